/*
 * What the filter in the kernel and the agent share: the counts of packets, and
 * the rule that says which way a packet goes.
 *
 * Units    IP bytes, a super-packet as the packets it stands for; ports in host
 *          order
 * Owns     nothing
 * Threads  the kernel keeps one copy of the counts a CPU
 */
#pragma once

#include <linux/types.h>

/* Every TCP packet that the filter meets is in one of these. */
enum filter_class {
    FILTER_IN,        /* on watched ports, see filter_class() */
    FILTER_OUT,       /* the same */
    FILTER_FRAGMENT,  /* of a datagram that carries TCP, its ports are not known */
    FILTER_MALFORMED, /* TCP by the IP header, but without a TCP header; not delivered */
    FILTER_CLASSES,
};

struct filter_count {
    __u64 bytes;   /* of packets with payload, and of what is not a whole TCP packet */
    __u64 control; /* of packets without payload */
    __u64 packets; /* of bytes */
};

_Static_assert(sizeof(struct filter_count) == 24, "the same on both sides");

/* By enum filter_class. */
struct filter_counts {
    struct filter_count of[FILTER_CLASSES];
};

/*
 * The direction of a packet as far as its ports tell. Towards a watched port is
 * in. Between two watched ports, as when all are, the lower one is the server's.
 */
static inline enum filter_class filter_class(__u16 source, int source_watched, __u16 destination,
                                             int destination_watched)
{
    int in = destination_watched && (!source_watched || destination < source);
    return in ? FILTER_IN : FILTER_OUT;
}

/* The bit of @port is number port % 64 of entry port / 64 of the map of watched ports. */
enum { FILTER_PORT_WORDS = 65536 / 64 };
