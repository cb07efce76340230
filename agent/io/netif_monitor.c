/*
 * The kernel's messages are not read, only heard: whatever they say, and also
 * when some were lost (ENOBUFS), who listens has to look at what there is.
 */
#include "io/netif_monitor.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of one turn of the loop. */
enum { MESSAGES_MAX = 1000 };

struct netif_monitor {
    int fd;
    uv_poll_t poll;
    uv_timer_t pause;
    unsigned open_handles;
    bool again; /* news came during the pause */
    netif_monitor_fn *changed;
    void *context;
};

static void tell(struct netif_monitor *m);

static void on_pause(uv_timer_t *timer)
{
    struct netif_monitor *m = CONTAINER_OF(timer, struct netif_monitor, pause);
    if (m->again)
        tell(m);
}

static void tell(struct netif_monitor *m)
{
    m->again = false;
    uv_timer_start(&m->pause, on_pause, NETIF_MONITOR_PAUSE_MS, 0);
    m->changed(m->context);
}

/* Returns whether there was anything. */
static bool take_messages(const struct netif_monitor *m)
{
    char first; /* the rest of a message is dropped by the kernel */
    int taken = 0;
    while (taken < MESSAGES_MAX &&
           (recv(m->fd, &first, sizeof(first), MSG_DONTWAIT) >= 0 || errno == ENOBUFS))
        taken++;
    return taken > 0;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static int listen_to(struct netif_monitor *m)
{
    return uv_poll_start(&m->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct netif_monitor *m = CONTAINER_OF(handle, struct netif_monitor, poll);
    bool news = take_messages(m);
    if (status < 0)
        listen_to(m); /* libuv stops at POLLERR, which is how messages that were lost show */
    if (!news)
        return;
    if (uv_is_active((uv_handle_t *)&m->pause))
        m->again = true;
    else
        tell(m);
}

/* Returns a socket that hears of links, or -errno. */
static int open_socket(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int netif_monitor_new(struct netif_monitor **out, uv_loop_t *loop, netif_monitor_fn *changed,
                      void *context)
{
    struct netif_monitor *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->changed = changed;
    m->context = context;
    m->fd = open_socket();
    int error = m->fd < 0 ? m->fd : uv_poll_init(loop, &m->poll, m->fd);
    if (error < 0) {
        if (m->fd >= 0)
            close(m->fd);
        free(m);
        return error;
    }
    uv_timer_init(loop, &m->pause);
    m->open_handles = 2;
    error = listen_to(m);
    if (error < 0) {
        netif_monitor_close(m);
        return error;
    }
    *out = m;
    return 0;
}

static void finish_close(struct netif_monitor *m)
{
    if (--m->open_handles > 0)
        return;
    close(m->fd);
    free(m);
}

static void on_poll_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF((uv_poll_t *)handle, struct netif_monitor, poll));
}

static void on_pause_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF((uv_timer_t *)handle, struct netif_monitor, pause));
}

struct netif_monitor *netif_monitor_close(struct netif_monitor *m)
{
    if (!m)
        return NULL;
    uv_close((uv_handle_t *)&m->poll, on_poll_closed);
    uv_close((uv_handle_t *)&m->pause, on_pause_closed);
    return NULL;
}
