/*
 * The network interfaces of this host.
 *
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

struct netif {
    char name[IF_NAMESIZE];
    int index;
    unsigned short type; /* ARPHRD_ value of <net/if_arp.h>: its link header */
    bool up;
};

/**
 * Look up the interface that is called @name.
 *
 * Returns -ENODEV when there is none.
 */
int netif_find(struct netif *out, const char *name);

/* The interfaces there are, in the kernel's order. */
struct netif_list {
    size_t count;
    struct netif interfaces[];
};

int netif_list_new(struct netif_list **out);
struct netif_list *netif_list_free(struct netif_list *l);
AUTO_DEFINE(struct netif_list, netif_list_free)
