/*
 * The engine of one interface: from frames to bytes a service.
 *
 *   frame -> packet -> session -> stream -> http -> rule -> account
 *
 * Every IP byte of a TCP packet on a watched port that is handed in is charged
 * once: to a service, as not HTTP, or as untracked. What waits for its service
 * to be known is pending.
 *
 * Units    bytes, nanoseconds since the epoch
 * Owns     its sessions and counters; borrows its options' rules
 * Threads  one at a time
 */
#pragma once

#include <stdint.h>

#include "core/packet.h"
#include "core/port_set.h"
#include "core/report.h"
#include "core/rule.h"
#include "core/seen.h"

/*
 * Where the engine puts its hand-overs: what it asks the filter to keep. NULL
 * members: nowhere. Only a hint: what is delivered all the same is taken.
 */
struct engine_offload {
    void *context;
    void (*order)(void *context, const struct flow *flow, const struct filter_order *order);
};

struct engine_options {
    const char *interface;        /* a name for its reports, which it outlives */
    const struct rule_set *rules; /* outlives the engine */
    struct port_set ports;
    uint64_t session_timeout_ns;
    uint64_t linger_ns; /* how long a closed connection waits for late packets, 0: 3 s */
    uint32_t sessions_max;
    uint32_t services_max;
    uint64_t services_idle_ns; /* after which one is forgotten, 0: never */
    uint64_t hash_seed;        /* random: the keys come from the network */
    struct observer observer;
    struct engine_offload offload;
};

struct engine;

int engine_new(struct engine **out, const struct engine_options *options);
struct engine *engine_free(struct engine *e);
AUTO_DEFINE(struct engine, engine_free)

/**
 * Take over rules, session_timeout_ns, sessions_max, services_max and
 * services_idle_ns of @options. A request whose head was read stays with its
 * service. The former rules are not used any more.
 */
void engine_change(struct engine *e, const struct engine_options *options);

/**
 * Watch @ports, as the filter has done since @now_ns. What it let pass before
 * is taken as it was meant. Connections that are watched no longer end within
 * seconds. Returns -ENOMEM: then nothing has changed.
 *
 * Bytes of a connection with both ends watched may count twice, if the change
 * turns its direction while they are on their way (bpf/filter.h).
 */
int engine_set_ports(struct engine *e, const struct port_set *ports, uint64_t now_ns);

/* Take a frame. */
void engine_frame(struct engine *e, const struct frame *f);

/*
 * Take what the filter kept of a flow. Records may come before the packets that
 * they follow, not after those that they precede.
 */
void engine_kept(struct engine *e, const struct filter_record *record);

/*
 * Whether the flow is one that the engine knows. When it is not, and has been
 * quiet for long, the filter may forget it: then engine_forget() it, too.
 */
bool engine_knows(const struct engine *e, const struct flow *flow);
void engine_forget(struct engine *e, const struct flow *flow);

/* What was handed in so far, as core/seen.h counts it. */
const struct filter_counts *engine_seen(const struct engine *e);

/*
 * Packets that the kernel counted but could not deliver, by direction as far as
 * the ports tell it. They are charged to _unknown, but for those that it did not
 * have to deliver.
 */
struct engine_lost {
    uint64_t ring_drops;
    struct direction_counts direction[2]; /* bytes, control and packets are read */
    uint64_t duplicate_bytes;             /* IP bytes of packets that another interface counts */
};

void engine_lost(struct engine *e, const struct engine_lost *lost);

/* IP bytes of TCP packets that no one can tell more of, seen outside the engine. */
void engine_untracked(struct engine *e, uint64_t ip_bytes);

/* Drop what has been idle for longer than its timeout at @now_ns. */
void engine_expire(struct engine *e, uint64_t now_ns);

/* End every connection: all that is pending is charged. */
void engine_finish(struct engine *e);

/**
 * What moved since the last report, or NULL without memory: then it stays due.
 */
struct report *engine_report(struct engine *e, uint64_t now_ns);
