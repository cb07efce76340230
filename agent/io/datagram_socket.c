#include "io/datagram_socket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void datagram_socket_init(struct datagram_socket *s, struct resolver *resolver)
{
    *s = (struct datagram_socket){.resolver = resolver, .fd = -1};
}

void datagram_socket_deinit(struct datagram_socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static int give_up(struct datagram_socket *s, int error)
{
    datagram_socket_deinit(s);
    s->turn++;
    resolver_retry(s->resolver);
    return error;
}

static bool is_current(const struct datagram_socket *s, const struct resolver_addresses *known)
{
    for (size_t i = 0; i < known->count; i++)
        if (known->at[i].size == s->address.size &&
            memcmp(&known->at[i].any, &s->address.any, s->address.size) == 0)
            return true;
    return false;
}

int datagram_socket_connect(struct datagram_socket *s)
{
    const struct resolver_addresses *known = resolver_addresses(s->resolver);
    if (s->fd >= 0 && is_current(s, known))
        return 0;
    datagram_socket_deinit(s);
    if (known->count == 0) {
        int error = resolver_error(s->resolver);
        return error ? error : UV_EAI_AGAIN;
    }

    s->address = known->at[s->turn % known->count];
    s->fd = socket(s->address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, &s->address.any, s->address.size) < 0)
        return give_up(s, -errno);
    return 0;
}

int datagram_socket_send(struct datagram_socket *s, const char *data, size_t size)
{
    if (send(s->fd, data, size, MSG_NOSIGNAL) >= 0)
        return 0;
    int error = -errno;
    return datagram_socket_is_full(error) ? error : give_up(s, error);
}

int datagram_socket_check(struct datagram_socket *s)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    return error ? give_up(s, -error) : 0;
}

bool datagram_socket_is_full(int error)
{
    return error == -EAGAIN || error == -ENOBUFS;
}
