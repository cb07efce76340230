#include "io/identity.h"

#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <unistd.h>

int identity_choose(struct identity *out, const char *user)
{
    *out = (struct identity){.changes = false};
    if (!user || geteuid() != 0)
        return 0;
    errno = 0;
    const struct passwd *found = getpwnam(user);
    if (!found)
        return errno ? -errno : -ENOENT;
    *out = (struct identity){.changes = true, .user = found->pw_uid, .group = found->pw_gid};
    return 0;
}

int identity_give(const struct identity *who, const char *path, bool group)
{
    if (!who->changes)
        return 0;
    return lchown(path, who->user, group ? who->group : (gid_t)-1) < 0 ? -errno : 0;
}
