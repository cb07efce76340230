#include "io/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/control_socket.h"

enum { SEND_TIMEOUT_MS = 5000, READ_BYTES = 65536 };

struct control_client {
    int fd;
    struct text in;
    size_t searched; /* of in: there is no line end in it */
    size_t taken;    /* of in: the line that was given out, with its end */
};

int control_client_open(struct control_client **out, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) > CONTROL_PATH_MAX)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    AUTO(control_client_close) struct control_client *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    *out = TAKE(c);
    return 0;
}

struct control_client *control_client_close(struct control_client *c)
{
    if (!c)
        return NULL;
    if (c->fd >= 0)
        close(c->fd);
    text_deinit(&c->in);
    free(c);
    return NULL;
}

pid_t control_client_peer(const struct control_client *c)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

/* Returns 1 when there is one of @events, 0 when the time is over, or -errno. */
static int wait_for(const struct control_client *c, short events, int timeout_ms)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    int ready = poll(&p, 1, timeout_ms);
    return ready < 0 && errno != EINTR ? -errno : ready > 0;
}

static int send_all(struct control_client *c, struct bytes b)
{
    while (b.size) {
        ssize_t sent = send(c->fd, b.data, b.size, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes_take(&b, (size_t)sent);
            continue;
        }
        if (errno == EPIPE)
            return 0; /* it may have said why */
        if (errno != EAGAIN)
            return -errno;
        int ready = wait_for(c, POLLOUT, SEND_TIMEOUT_MS);
        if (ready <= 0)
            return ready < 0 ? ready : -ETIMEDOUT;
    }
    return 0;
}

int control_client_ask(struct control_client *c, const char *request)
{
    AUTO(text_deinit) struct text line = {0};
    text_add_string(&line, request);
    text_add_char(&line, '\n');
    return text_failed(&line) ? -ENOMEM : send_all(c, bytes_make(line.data, line.size));
}

static void drop_taken(struct control_client *c)
{
    if (!c->taken)
        return;
    c->in.size -= c->taken;
    memmove(c->in.data, c->in.data + c->taken, c->in.size + 1); /* with its NUL */
    c->taken = 0;
}

static bool find_line(struct control_client *c, struct bytes *line)
{
    const char *end =
        c->in.size ? memchr(c->in.data + c->searched, '\n', c->in.size - c->searched) : NULL;
    c->searched = end ? 0 : c->in.size;
    if (!end)
        return false;
    *line = bytes_make(c->in.data, (size_t)(end - c->in.data));
    c->taken = line->size + 1;
    return true;
}

/* Read what there is. Returns 0, or -errno; nothing is -EAGAIN. */
static int read_more(struct control_client *c)
{
    char data[READ_BYTES];
    ssize_t got = recv(c->fd, data, sizeof(data), 0);
    if (got <= 0)
        return got == 0 ? -ECONNRESET : -errno;
    text_add(&c->in, bytes_make(data, (size_t)got));
    if (text_failed(&c->in))
        return -ENOMEM;
    return c->in.size > CONTROL_REPLY_MAX ? -EMSGSIZE : 0;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int control_client_take(struct control_client *c, int timeout_ms, struct bytes *line)
{
    drop_taken(c);
    int64_t end_ms = now_ms() + timeout_ms;
    while (!find_line(c, line)) {
        int r = read_more(c);
        if (r == 0)
            continue;
        if (r != -EAGAIN)
            return r;
        int64_t left_ms = end_ms - now_ms();
        r = wait_for(c, POLLIN, left_ms > 0 ? (int)left_ms : 0);
        if (r < 0)
            return r;
        if (r == 0 && now_ms() >= end_ms)
            return CONTROL_CLIENT_NONE;
    }
    return CONTROL_CLIENT_LINE;
}

int control_client_fd(const struct control_client *c)
{
    return c->fd;
}

void control_client_describe(struct text *t, const char *path, int error)
{
    text_printf(t, "%s: ", path);
    switch (error) {
    case -ENOENT:
        text_add_string(t, "no such socket: no agent runs, or its config has another one");
        break;
    case -ECONNREFUSED:
        text_add_string(t, "no agent runs: nobody listens at its socket");
        break;
    case -EACCES:
    case -EPERM:
        text_add_string(t, "permission denied: be root, or in the group of the socket");
        break;
    case -EAGAIN:
    case -ETIMEDOUT:
        text_add_string(t, "the agent does not answer");
        break;
    case -ECONNRESET:
    case -EPIPE:
        text_add_string(t, "the agent closed the connection");
        break;
    default:
        text_add_string(t, strerror(-error));
        break;
    }
}
