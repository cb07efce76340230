/*
 * StatsD: what moved goes to one receiver, as counters, gauges and timings in
 * lines of its dialect (core/statsd_encoder.h), over UDP or a unix datagram
 * socket.
 *
 * What is due waits in a core/due.h until the kernel has accepted a datagram
 * that tells it. A failure ends the flush, and the rest goes with the next one:
 * memory is bounded by the number of services, whatever the receiver does.
 *
 * A flush begins with the line "agent.up:1|g" and a pause, in which a host that
 * has no receiver says so: then nothing that counts is sent. So what the kernel
 * accepted while nobody listened is at most what was on its way during one round
 * trip, when a receiver ends in the middle of a flush; all of it if the network
 * loses it without a word. A host that says so later than in the pause, of 100 ms,
 * is given 500 ms from then on, until a flush has succeeded: it loses the first.
 *
 * A flush is spread over half of the interval, so that a receiver with the
 * default socket buffer (212992 bytes, of which a datagram takes more than its
 * size) may be busy with something else meanwhile: for 300 ms at the slowest
 * pace, 0.4 MB/s, for 40 ms at the fastest, 3.2 MB/s. A flush that is late goes
 * faster, and the last one is spread over half of its patience.
 *
 * Units    nanoseconds since the epoch, unless said otherwise
 * Owns     what is due and its socket; its handles live in the loop it was given
 * Threads  the loop's
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "base/macros.h"
#include "core/datagram.h"
#include "core/due.h"
#include "core/report.h"
#include "core/statsd_encoder.h"
#include "io/endpoint.h"

#define STATSD_DEFAULT_PORT "8125"

enum { STATSD_DATAGRAM_BYTES = 1432 }; /* a good datagram_bytes: one Ethernet frame */

struct statsd_options {
    const char *name;         /* for the log: the endpoint as the config writes it; copied */
    struct endpoint endpoint; /* not ENDPOINT_TCP */
    enum statsd_dialect dialect;
    const char *prefix;      /* statsd_prefix_check() */
    const char *host;        /* see statsd_encoder_options */
    const char *const *tags; /* statsd_tag_check() */
    size_t tag_count;
    struct metric_set metrics;
    size_t datagram_bytes; /* DATAGRAM_BYTES_MIN to DATAGRAM_BYTES_MAX */
    uint64_t interval_ns;  /* between flushes */
    size_t services_max;   /* due_set_services_max() */
    uint64_t hash_seed;
    uint64_t idle_ns; /* after which a service is forgotten */
};

struct statsd;

/* Returns -EMSGSIZE when lines with these tags might not fit into a datagram. */
int statsd_new(struct statsd **out, uv_loop_t *loop, const struct statsd_options *options);

/* What statsd_new() and statsd_change() would return but for want of memory. */
int statsd_check(const struct statsd_options *options);

/**
 * Take over @options, which have the same endpoint, dialect and hash_seed. What
 * is due is sent by them, what is under way is finished. Metrics that were not
 * sent begin now. On failure nothing has changed.
 */
int statsd_change(struct statsd *s, const struct statsd_options *options);

/* Stop where it is, and free all when the loop has run. NULL is fine. */
struct statsd *statsd_close(struct statsd *s);
AUTO_DEFINE(struct statsd, statsd_close)

void statsd_set_services_max(struct statsd *s, size_t services_max);

/* Owe what @r says moved, and what @t has more than at the last call. */
void statsd_add(struct statsd *s, const struct report *r);
void statsd_set_agent(struct statsd *s, const struct agent_telemetry *t);

/* Owe nothing of what @t has: it was before this destination. */
void statsd_know_agent(struct statsd *s, const struct agent_telemetry *t);

/* Gauges begin as @levels has them: due_know_gauges(). */
void statsd_know_gauges(struct statsd *s, const struct due *levels);

/*
 * An interval ended at @time_ns: begin to send what is due. A flush that is
 * still under way goes on, with what was added to what it has not reached.
 */
void statsd_flush(struct statsd *s, uint64_t time_ns);

typedef void statsd_finished_fn(void *context);

/**
 * Flush for the last time, and call @finished, once and not before this returns,
 * when all was sent that can be, @patience_ms from now at the latest. Then look
 * at what is left, and close.
 */
void statsd_finish(struct statsd *s, uint64_t patience_ms, statsd_finished_fn *finished,
                   void *context);

/* Since the start. */
struct statsd_counts {
    uint64_t datagrams;    /* accepted by the kernel */
    uint64_t bytes;        /* of them */
    uint64_t refused;      /* sends, and lookups, that failed */
    uint64_t flushes_late; /* intervals that ended while a flush was still under way */
    uint64_t flush_ms;     /* from its first datagram to its last; 0: it had none */
};

const struct statsd_counts *statsd_counts(const struct statsd *s);

/* IP bytes of services that no accepted datagram has told. */
uint64_t statsd_due_bytes(const struct statsd *s);

/* Why nothing could be sent when it was last tried: -errno as libuv has it, 0 if it could. */
int statsd_failure(const struct statsd *s);

/* Those of them that the last flush could not send, or has not yet. */
uint64_t statsd_left_bytes(const struct statsd *s);
