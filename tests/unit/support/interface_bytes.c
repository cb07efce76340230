#include "support/interface_bytes.h"

#include <ifaddrs.h>
#include <linux/if_link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

uint64_t interface_bytes(const char *name, unsigned link_bytes, bool both_ways)
{
    struct ifaddrs *all;
    uint64_t bytes = 0;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        if (!a->ifa_addr || a->ifa_addr->sa_family != AF_PACKET || strcmp(a->ifa_name, name) != 0)
            continue;
        const struct rtnl_link_stats *s = a->ifa_data;
        bytes = s->rx_bytes - (uint64_t)link_bytes * s->rx_packets;
        if (both_ways)
            bytes += s->tx_bytes - (uint64_t)link_bytes * s->tx_packets;
    }
    freeifaddrs(all);
    return bytes;
}
