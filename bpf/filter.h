/*
 * What the filter in the kernel and the agent share: the counts of packets, the
 * rule that says which way a packet goes, and what the filter keeps of a flow.
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
    FILTER_IN,        /* delivered, on watched ports, see filter_class() */
    FILTER_OUT,       /* the same */
    FILTER_FRAGMENT,  /* of a datagram that carries TCP, its ports are not known */
    FILTER_MALFORMED, /* TCP by the IP header, but without a TCP header; not delivered */
    FILTER_KEPT_IN,   /* on watched ports, counted with their flow and not delivered */
    FILTER_KEPT_OUT,
    FILTER_DUPLICATE, /* of a connection that another capture counts; not delivered */
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

/*
 * A connection. The ends are ordered, so that both directions have the same
 * flow. IPv4 addresses are written as ::ffff:a.b.c.d. Made to be hashed whole: no
 * padding.
 */
struct flow {
    __u8 address[2][16];
    __be16 port[2];
    __u16 vlan[2];
};

_Static_assert(sizeof(struct flow) == 40, "no padding");

/*
 * What was kept of one side of a flow: packets that were counted here and not
 * delivered. The counts only grow. payload and end_seq change as one, so that
 * whoever reads them finds a range of the stream: the payload bytes that were
 * kept since it last looked end at end_seq, if none was delivered in between. A
 * record is made before one is.
 */
struct filter_kept {
    __u64 bytes;   /* IP bytes of packets with payload */
    __u64 control; /* IP bytes of packets without */
    __u64 packets; /* of bytes */
    union {
        __u64 range;
        struct {
            __u32 end_seq;
            __u32 payload; /* modulo 2^32 */
        };
    };
};

/*
 * What was kept of @flow's @side before the packet that comes next in the ring; or
 * by now, when it was read from the flow itself.
 */
struct filter_record {
    struct flow flow;
    struct filter_kept kept;
    __u32 number; /* of records that were made of this side, this one included */
    __u16 side;
    __u8 last; /* no more of this flow follows */
    __u8 read; /* from the flow: a record that was made before may be read later */
};

_Static_assert(sizeof(struct filter_record) == 80, "no padding, the same on both sides");

/* Where an exchange of a request and its reply is, as far as the filter follows it. */
enum filter_turn {
    FILTER_TURN_UNKNOWN,
    FILTER_TURN_ASKED,    /* by the one request that is under way */
    FILTER_TURN_BODY,     /* the reply's head was delivered, the rest is kept */
    FILTER_TURN_ANSWERED, /* a reply was delivered, but the end of its head was not seen */
};

struct filter_flow {
    struct filter_kept kept[2]; /* by side */
    __u64 seen_ns;              /* of the last packet kept, CLOCK_MONOTONIC */
    __u32 next_seq[2];          /* the highest that was passed */
    __u32 recorded[2];          /* kept payload that a record has told */
    __u32 record_count[2];
    __u32 request_end; /* of the request that is under way, with its body */
    __u32 ended;       /* which sides have: a half for each */
    __u8 seq_known[2];
    __u8 unrecorded[2]; /* something was kept since the last record */
    __u8 turn;          /* enum filter_turn */
    __u8 asker;         /* the side that sent the request */
    __u8 unsafe;        /* what is under way is not known, for good */
    __u8 over;          /* its last record is made, or about to be */
};

_Static_assert(sizeof(struct filter_flow) == 112, "no padding, the same on both sides");

/* What the agent asks the filter to keep: a hand-over. */
enum filter_order_kind {
    FILTER_ORDER_NONE,
    FILTER_ORDER_LENGTH, /* what ends at seq or before */
    FILTER_ORDER_TURN,   /* until the other side sends payload: as long as it is at seq */
    FILTER_ORDER_TUNNEL, /* all */
};

struct filter_order {
    struct {
        __u32 kind; /* enum filter_order_kind */
        __u32 seq;
    } side[2];
};

/* Which capture counts one side of a flow, of those that see it. They are interface indexes. */
struct filter_claim_side {
    __u64 missed_ns; /* CLOCK_MONOTONIC: with missed_by, when that was */
    __u32 owner;
    __u32 missed_by; /* another saw a packet, and the owner has seen none since. 0: it has */
    __u32 seen;      /* the owner has seen a packet */
    __u32 zero;
};

struct filter_claim {
    struct filter_claim_side side[2];
};

_Static_assert(sizeof(struct filter_claim) == 48, "no padding, the same on both sides");

/* The bit of @port is number port % 64 of entry port / 64 of the map of watched ports. */
enum { FILTER_PORT_WORDS = 65536 / 64 };

enum { FILTER_FLOWS_MAX = 65536, FILTER_RECORDS_BYTES = 2 << 20 };
enum { FILTER_CLAIMS_MAX = 65536, FILTER_CLAIMANTS_MAX = 4096 };
