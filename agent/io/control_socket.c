#include "io/control_socket.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const mode_t UMASK = 0117;

struct control_socket {
    int fd; /* -1: taken */
    bool bound;
    struct sockaddr_un address;
    char folder[CONTROL_PATH_MAX + 1];
};

static int fail(struct text *error, const char *path, int why, const char *words)
{
    text_printf(error, "control socket %s: %s", path, words);
    return why;
}

static int make_folder(const struct control_socket *s, struct text *error)
{
    if (access(s->folder, F_OK) == 0 || mkdir(s->folder, 0755) == 0)
        return 0;
    return fail(error, control_socket_path(s), -errno, strerror(errno));
}

/* Whether somebody listens there: 0 or 1; -errno if that can't be known. */
static int is_alive(const struct control_socket *s)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error =
        connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)) < 0 ? errno : 0;
    close(fd);
    if (error == ECONNREFUSED)
        return 0;
    return error == 0 || error == EAGAIN ? 1 : -error; /* EAGAIN: it is slow to accept */
}

static int claim(const struct control_socket *s, struct text *error)
{
    const char *path = control_socket_path(s);
    struct stat found;
    if (lstat(path, &found) < 0)
        return errno == ENOENT ? 0 : fail(error, path, -errno, strerror(errno));
    if (!S_ISSOCK(found.st_mode))
        return fail(error, path, -EEXIST, "there is something that is no socket");
    int r = is_alive(s);
    if (r > 0)
        return fail(error, path, -EADDRINUSE, "another agent uses it");
    if (r < 0)
        return fail(error, path, r, strerror(-r));
    return unlink(path) < 0 ? fail(error, path, -errno, strerror(errno)) : 0;
}

/* Nobody can connect before somebody listens. */
static int bind_to(struct control_socket *s, struct text *error)
{
    mode_t before = umask(UMASK);
    int r = bind(s->fd, (const struct sockaddr *)&s->address, sizeof(s->address)) < 0 ? -errno : 0;
    umask(before);
    s->bound = r == 0;
    return r < 0 ? fail(error, control_socket_path(s), r, strerror(-r)) : 0;
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
    if (lchown(path, (uid_t)-1, found->gr_gid) == 0) /* the folder may be another's by now */
        return 0;
    int why = -errno;
    text_printf(error, "control socket %s: can't give it to group %s: %s", path, group,
                strerror(-why));
    return why;
}

static int prepare(struct control_socket *s, const char *group, struct text *error)
{
    int r = make_folder(s, error);
    if (r == 0)
        r = claim(s, error);
    if (r == 0)
        r = bind_to(s, error);
    if (r == 0 && group)
        r = give_to(control_socket_path(s), group, error);
    if (r == 0 && listen(s->fd, 1) < 0)
        r = fail(error, control_socket_path(s), -errno, strerror(errno));
    return r;
}

int control_socket_open(struct control_socket **out, const char *path, const char *group,
                        struct text *error)
{
    AUTO(control_socket_close) struct control_socket *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->address.sun_family = AF_UNIX;
    strcpy(s->address.sun_path, path);
    char copy[CONTROL_PATH_MAX + 1];
    strcpy(copy, path);
    strcpy(s->folder, dirname(copy));
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return fail(error, path, -errno, strerror(errno));
    int r = prepare(s, group, error);
    if (r < 0)
        return r;
    *out = TAKE(s);
    return 0;
}

struct control_socket *control_socket_close(struct control_socket *s)
{
    if (!s)
        return NULL;
    if (s->fd >= 0)
        close(s->fd);
    if (s->bound)
        unlink(control_socket_path(s));
    free(s);
    return NULL;
}

const char *control_socket_path(const struct control_socket *s)
{
    return s->address.sun_path;
}

const char *control_socket_folder(const struct control_socket *s)
{
    return s->folder;
}

int control_socket_take_descriptor(struct control_socket *s)
{
    int fd = s->fd;
    s->fd = -1;
    return fd;
}
