/*
 * What the agent tells of services, interfaces and itself: one list, for the
 * config (which are sent), the encoders, and the documentation.
 *
 * Units    in the list
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* X(name, SCOPE, FORM, sent by default, unit, meaning) */

#define SERVICE_METRICS(X)                                                                         \
    X(bytes, SERVICE, EACH_WAY, true, "byte", "IP bytes of packets that carry payload")            \
    X(payload, SERVICE, EACH_WAY, false, "byte", "bytes of the TCP stream, each once")             \
    X(retransmitted, SERVICE, EACH_WAY, false, "byte", "payload seen again")                       \
    X(control, SERVICE, EACH_WAY, false, "byte", "IP bytes of packets without payload")            \
    X(packets, SERVICE, EACH_WAY, false, "packet", "packets that carry payload")                   \
    X(requests, SERVICE, COUNTER, true, "request", "requests")                                     \
    X(replies, SERVICE, BY_CLASS, true, "reply", "replies by class of their status")               \
    X(unanswered, SERVICE, COUNTER, true, "request", "requests that never got a reply")            \
    X(open, SERVICE, GAUGE, true, "connection", "connections open now")                            \
    X(ttfb, SERVICE, TIMING, false, "millisecond",                                                 \
      "time from a request to the first byte of its reply, within 12.5 %")

#define INTERFACE_METRICS(X)                                                                       \
    X(tcp_bytes, INTERFACE, COUNTER, true, "byte",                                                 \
      "IP bytes of all TCP packets on watched ports: the sum of the five that follow")             \
    X(service_bytes, INTERFACE, COUNTER, true, "byte", "of these, charged to services")            \
    X(not_http_bytes, INTERFACE, COUNTER, true, "byte", "of connections that are not HTTP")        \
    X(untracked_bytes, INTERFACE, COUNTER, true, "byte",                                           \
      "of connections that could not be tracked")                                                  \
    X(duplicate_bytes, INTERFACE, COUNTER, true, "byte",                                           \
      "of connections that another interface counts, with count_once")                             \
    X(pending_bytes, INTERFACE, GAUGE, true, "byte", "whose service is not known yet")             \
    X(ring_drops, INTERFACE, COUNTER, true, "packet", "packets that the ring had no room for")     \
    X(sessions, INTERFACE, GAUGE, true, "connection", "HTTP connections in the table")             \
    X(sessions_evicted, INTERFACE, COUNTER, true, "connection",                                    \
      "connections given up before their time: table full")                                        \
    X(services, INTERFACE, GAUGE, true, "service",                                                 \
      "services in use; one that several workers see counts for each")                             \
    X(services_folded, INTERFACE, COUNTER, true, "request",                                        \
      "requests whose service became _other: table full")                                          \
    X(names_changed, INTERFACE, COUNTER, true, "service",                                          \
      "services whose name from the network did not fit, and was changed")                         \
    X(gaps, INTERFACE, COUNTER, true, "gap", "holes in streams that did not fill")                 \
    X(heads_cut, INTERFACE, COUNTER, true, "head",                                                 \
      "heads of which a part was missing, too long or not HTTP")                                   \
    X(resumed, INTERFACE, COUNTER, true, "stream",                                                 \
      "streams that were lost and found their next head")

#define AGENT_COUNTERS(X)                                                                          \
    X(datagrams_sent, AGENT, COUNTER, true, "datagram", "datagrams that the kernel took")          \
    X(bytes_sent, AGENT, COUNTER, true, "byte", "their payload")                                   \
    X(messages_sent, AGENT, COUNTER, true, "message", "messages that syslog took")                 \
    X(sends_refused, AGENT, COUNTER, true, "error",                                                \
      "sends that failed: what they carried stayed due")                                           \
    X(flushes_late, AGENT, COUNTER, true, "flush",                                                 \
      "flushes that had not ended when the next was due")                                          \
    X(lines_dropped, AGENT, COUNTER, true, "line",                                                 \
      "lines of the agent's log that syslog was too slow for")                                     \
    X(unsent_bytes, AGENT, COUNTER, true, "byte",                                                  \
      "of the metric bytes, due to a destination that a reload took out, and never sent")          \
    X(cpu_ms, AGENT, COUNTER, true, "millisecond", "CPU time used")

#define AGENT_GAUGES(X)                                                                            \
    X(due_bytes, AGENT, GAUGE, true, "byte",                                                       \
      "of the metric bytes, what the last flush could not send: of the destination that is "       \
      "owed most")                                                                                 \
    X(flush_ms, AGENT, GAUGE, true, "millisecond",                                                 \
      "how long the last flush to StatsD took: of the slowest destination")                        \
    X(memory_bytes, AGENT, GAUGE, true, "byte", "memory in use")

#define METRICS(X)                                                                                 \
    SERVICE_METRICS(X)                                                                             \
    INTERFACE_METRICS(X)                                                                           \
    AGENT_COUNTERS(X)                                                                              \
    AGENT_GAUGES(X)                                                                                \
    X(up, HEARTBEAT, GAUGE, true, "agent", "1, before each flush to StatsD, chosen or not")

enum metric_id {
#define METRIC_MEMBER(name, ...) METRIC_##name,
    METRICS(METRIC_MEMBER)
#undef METRIC_MEMBER
        METRIC_COUNT,
};

/* Before the names of all metrics but services'. */
#define METRIC_AGENT_PREFIX "agent."

enum metric_scope {
    METRIC_SERVICE,
    METRIC_INTERFACE,
    METRIC_AGENT,
    METRIC_HEARTBEAT = METRIC_AGENT, /* has no value that is kept */
};

enum metric_form {
    METRIC_COUNTER,
    METRIC_EACH_WAY, /* counters, one a direction */
    METRIC_BY_CLASS, /* counters, one a class of status */
    METRIC_GAUGE,
    METRIC_TIMING,
};

struct metric {
    const char *name; /* as in the config and on the wire */
    enum metric_scope scope;
    enum metric_form form;
    bool by_default;
    const char *unit;
    const char *meaning;
};

extern const struct metric metrics[METRIC_COUNT];

struct metric_set {
    uint64_t bits;
};

_Static_assert(METRIC_COUNT <= 64, "a metric_set has a bit for each");

static inline bool metric_set_has(const struct metric_set *s, enum metric_id id)
{
    return s->bits >> id & 1;
}

static inline void metric_set_add(struct metric_set *s, enum metric_id id)
{
    s->bits |= 1ull << id;
}

struct metric_set metric_set_default(void);

/**
 * Add what the config calls @name: a metric, "default" for those that are sent
 * by default, or "all". Returns whether there is such a thing.
 */
bool metric_set_add_name(struct metric_set *s, struct bytes name);

/* What is known of the agent as a whole. */
struct agent_telemetry {
#define TELEMETRY_MEMBER(name, ...) uint64_t name;
    AGENT_COUNTERS(TELEMETRY_MEMBER) /* since the start */
    AGENT_GAUGES(TELEMETRY_MEMBER)
#undef TELEMETRY_MEMBER
};
