#include "io/control_path.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct text *error, const char *path, int why, const char *words)
{
    text_printf(error, "control socket %s: %s", path, words);
    return why;
}

static int make_folder(const char *path, struct text *error)
{
    char copy[CONTROL_PATH_MAX + 1];
    strcpy(copy, path);
    const char *folder = dirname(copy);
    if (access(folder, F_OK) == 0 || mkdir(folder, 0755) == 0)
        return 0;
    return fail(error, path, -errno, strerror(errno));
}

/* Whether somebody listens at @path: 0 or 1; -errno if that can't be known. */
static int is_alive(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
    close(fd);
    if (error == ECONNREFUSED)
        return 0;
    return error == 0 || error == EAGAIN ? 1 : -error; /* EAGAIN: it is slow to accept */
}

int control_path_claim(const char *path, struct text *error)
{
    int r = make_folder(path, error);
    if (r < 0)
        return r;
    struct stat found;
    if (lstat(path, &found) < 0)
        return errno == ENOENT ? 0 : fail(error, path, -errno, strerror(errno));
    if (!S_ISSOCK(found.st_mode))
        return fail(error, path, -EEXIST, "there is something that is no socket");
    r = is_alive(path);
    if (r > 0)
        return fail(error, path, -EADDRINUSE, "another agent uses it");
    if (r < 0)
        return fail(error, path, r, strerror(-r));
    return unlink(path) < 0 ? fail(error, path, -errno, strerror(errno)) : 0;
}

static int give_to(const char *path, const char *group, struct text *error)
{
    errno = 0;
    const struct group *found = getgrnam(group);
    if (!found) {
        int why = errno ? -errno : -ENOENT;
        text_printf(error, "control socket %s: there is no group %s", path, group);
        return why;
    }
    if (chown(path, (uid_t)-1, found->gr_gid) == 0)
        return 0;
    int why = -errno;
    text_printf(error, "control socket %s: can't give it to group %s: %s", path, group,
                strerror(-why));
    return why;
}

int control_path_admit(const char *path, const char *group, struct text *error)
{
    int r = group ? give_to(path, group, error) : 0;
    if (r == 0 && chmod(path, 0660) < 0)
        return fail(error, path, -errno, strerror(errno));
    return r;
}
