/*
 * What the reference filters and their program share: the counts of one
 * direction of a connection.
 *
 * Units    IP bytes, a super-packet as one packet; addresses and ports in
 *          network order
 * Owns     nothing
 * Threads  an entry is changed by one CPU at a time, as the packets of a
 *          connection are
 */
#pragma once

#include <linux/types.h>

enum { REFERENCE_PORT = 80, REFERENCE_FLOWS_MAX = 1 << 18, REFERENCE_HEAD_BYTES = 256 };

struct reference_flow {
    __be32 source, destination;
    __be16 source_port, destination_port;
};

struct reference_count {
    __u64 packets;
    __u64 bytes;
};

_Static_assert(sizeof(struct reference_flow) == 12, "no padding in a key");
