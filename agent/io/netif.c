#include "io/netif.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Fill @n, of which name and index are known. -ENODEV: the name is another one's by now. */
static int query(int fd, struct netif *n)
{
    struct ifreq request = {0};
    memcpy(request.ifr_name, n->name, sizeof(request.ifr_name));
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return -errno;
    n->up = request.ifr_flags & IFF_UP;
    if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return -errno;
    n->type = request.ifr_hwaddr.sa_family;
    if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
        return -errno;
    return request.ifr_ifindex == n->index ? 0 : -ENODEV;
}

/* A socket to ask the kernel with. */
static int query_open(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int netif_find(struct netif *out, const char *name)
{
    if (strlen(name) >= IF_NAMESIZE)
        return -ENODEV;
    struct netif found = {.index = (int)if_nametoindex(name)};
    if (!found.index)
        return -errno;
    strcpy(found.name, name);

    int fd = query_open();
    if (fd < 0)
        return fd;
    int r = query(fd, &found);
    close(fd);
    if (r == 0)
        *out = found;
    return r;
}

static size_t count_names(const struct if_nameindex *names)
{
    size_t count = 0;
    while (names[count].if_index)
        count++;
    return count;
}

static int list_fill(struct netif_list *l, const struct if_nameindex *names, size_t count)
{
    int fd = query_open();
    if (fd < 0)
        return fd;
    for (size_t i = 0; i < count; i++) {
        struct netif *n = &l->interfaces[l->count];
        *n = (struct netif){.index = (int)names[i].if_index};
        strncpy(n->name, names[i].if_name, sizeof(n->name) - 1);
        /* One that has gone meanwhile is not there. */
        l->count += query(fd, n) == 0;
    }
    close(fd);
    return 0;
}

int netif_list_new(struct netif_list **out)
{
    struct if_nameindex *names = if_nameindex();
    if (!names)
        return -errno;
    size_t count = count_names(names);
    AUTO(netif_list_free)
    struct netif_list *l = calloc(1, sizeof(*l) + count * sizeof(l->interfaces[0]));
    int r = l ? list_fill(l, names, count) : -ENOMEM;
    if_freenameindex(names);
    if (r == 0)
        *out = TAKE(l);
    return r;
}

struct netif_list *netif_list_free(struct netif_list *l)
{
    free(l);
    return NULL;
}
