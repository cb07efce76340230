/*
 * What is counted, for each service and for each interface.
 *
 * Units    IP bytes: IP header + TCP header + payload, a super-packet as the
 *          packets it stands for. Payload bytes: of the TCP stream. Packets: IP
 *          packets.
 * Owns     nothing, embed them by value
 * Threads  as their owner
 */
#pragma once

#include <stdint.h>

/* In is towards the server. */
enum direction { DIRECTION_IN, DIRECTION_OUT };

/* X(name, unit) for each measure of one direction. */
#define DIRECTION_COUNTS(X)                                                                        \
    X(bytes, "byte")         /* IP bytes of packets with payload */                                \
    X(payload, "byte")       /* the stream, each byte once, by sequence number */                  \
    X(retransmitted, "byte") /* payload seen again */                                              \
    X(control, "byte")       /* IP bytes of packets without payload */                             \
    X(packets, "packet")     /* of bytes */

struct direction_counts {
#define DIRECTION_COUNT_MEMBER(name, unit) uint64_t name;
    DIRECTION_COUNTS(DIRECTION_COUNT_MEMBER)
#undef DIRECTION_COUNT_MEMBER
};

enum { STATUS_CLASSES = 5 };

struct service_counts {
    struct direction_counts direction[2];
    uint64_t requests;
    uint64_t replies[STATUS_CLASSES]; /* 1xx to 5xx */
    uint64_t unanswered;              /* requests whose connection ended without a reply */
};

/*
 * The two sides of an interface's books, IP bytes:
 *
 *   tcp = services (their bytes + control) + not_http + untracked + duplicate + pending
 */
#define BALANCE_COUNTS(X)                                                                          \
    X(tcp_bytes)       /* every TCP packet on watched ports */                                     \
    X(not_http_bytes)  /* of connections that are not HTTP */                                      \
    X(untracked_bytes) /* of connections that could not be tracked */                              \
    X(duplicate_bytes) /* of connections that another interface counts */

/* X(name) for what tells how the engine fares. */
#define ENGINE_COUNTS(X)                                                                           \
    X(ring_drops)       /* packets that the ring had no room for */                                \
    X(sessions_evicted) /* connections given up before their time: table full */                   \
    X(services_folded)  /* requests whose service became _other: table full */                     \
    X(names_changed)    /* services whose name from the network did not fit */                     \
    X(gaps)             /* holes in streams that did not fill */                                   \
    X(heads_cut)        /* heads of which a part was missing, too long or not HTTP */              \
    X(resumed)          /* streams that were lost and found their next head */

struct interface_counts {
#define INTERFACE_COUNT_MEMBER(name) uint64_t name;
    BALANCE_COUNTS(INTERFACE_COUNT_MEMBER)
    ENGINE_COUNTS(INTERFACE_COUNT_MEMBER)
};

/* X(name) for what is told as it is now, not as it grew. */
#define INTERFACE_GAUGES(X)                                                                        \
    X(pending_bytes) /* counted in tcp_bytes, their service not known yet */                       \
    X(sessions)      /* HTTP connections in the table */                                           \
    X(services)      /* in use, by each of those that report */

struct interface_gauges {
    INTERFACE_GAUGES(INTERFACE_COUNT_MEMBER)
#undef INTERFACE_COUNT_MEMBER
};

/* @into += @from, member by member. */
void service_counts_add(struct service_counts *into, const struct service_counts *from);
void interface_counts_add(struct interface_counts *into, const struct interface_counts *from);
void interface_gauges_add(struct interface_gauges *into, const struct interface_gauges *from);

/* @a - @b, member by member. */
struct service_counts service_counts_difference(const struct service_counts *a,
                                                const struct service_counts *b);
struct interface_counts interface_counts_difference(const struct interface_counts *a,
                                                    const struct interface_counts *b);
struct interface_gauges interface_gauges_difference(const struct interface_gauges *a,
                                                    const struct interface_gauges *b);

/* bytes + control of both directions: what the service adds to the balance. */
uint64_t service_counts_ip_bytes(const struct service_counts *c);
