/*
 * Where what is owed is kept: a series is one line of a service, an interface
 * or the agent, and its place in their values. Shared by due.c and due_walk.c.
 *
 * Owns     nothing
 * Threads  as struct due
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/counts.h"
#include "core/due.h"
#include "core/metric.h"
#include "core/service_name.h"
#include "core/table.h"
#include "core/ttfb.h"

struct due_gauge {
    uint64_t value;
    uint64_t told;
};

struct due_service_values {
    struct service_counts counts;
    struct due_gauge open;
};

struct due_interface_values {
#define DUE_COUNTER_MEMBER(name, ...) uint64_t name;
#define DUE_GAUGE_MEMBER(name, ...)   struct due_gauge name;
    BALANCE_COUNTS(DUE_COUNTER_MEMBER)
    ENGINE_COUNTS(DUE_COUNTER_MEMBER)
    uint64_t service_bytes;
    INTERFACE_GAUGES(DUE_GAUGE_MEMBER)
};

struct due_agent_values {
    AGENT_COUNTERS(DUE_COUNTER_MEMBER)
    AGENT_GAUGES(DUE_GAUGE_MEMBER)
#undef DUE_COUNTER_MEMBER
#undef DUE_GAUGE_MEMBER
};

struct due_series {
    enum metric_id metric;
    const char *variant;
    size_t offset; /* in the values of its scope: of a counter, or of a due_gauge */
};

/* The series of a scope that are sent. */
struct due_series_list {
    size_t count;
    const struct due_series **series;
};

enum { DUE_SCOPES = METRIC_AGENT + 1 };

/* Fill @lists, by scope, with those in @sent. Returns -ENOMEM: then deinit all the same. */
int due_series_lists_init(struct due_series_list lists[DUE_SCOPES], const struct metric_set *sent);
void due_series_lists_deinit(struct due_series_list lists[DUE_SCOPES]);

struct due_interface {
    struct due_interface_values values;
    bool gone;       /* its last report was the last of an engine */
    size_t services; /* owed for it, besides the reserved ones */
    UT_hash_handle hh;
    char name[];
};

struct due_service_key {
    struct due_interface *interface; /* NULL when services are owed for all together */
    struct service_name name;
};

struct due_service {
    struct due_service_key key;
    struct due_service_values values;
    struct ttfb_histogram *ttfb; /* NULL: was never sent */
    uint64_t moved_ns;
    UT_hash_handle hh;
};

struct due {
    struct due_options options;
    struct due_series_list sent[DUE_SCOPES];
    struct due_agent_values agent;
    struct agent_telemetry agent_seen;
    struct due_interface *interfaces; /* uthash by name */
    struct due_interface *other;      /* one of them */
    struct due_service *services;     /* uthash by key */
    uint64_t folded;                  /* requests, not asked for yet */
};

/* What a walk looks at: the values of one service, one interface, or the agent. */
struct due_record {
    void *values;
    struct ttfb_histogram *ttfb;
    const struct due_series_list *sent;
};

/* Returns -ENOMEM. */
int due_service_add_ttfb(struct due_service *s);

/* Send @sent from now on: see due_change(). */
int due_set_metrics(struct due *d, const struct metric_set *sent);

struct due_record due_record_of_service(const struct due *d, struct due_service *s);
struct due_record due_record_of_interface(const struct due *d, struct due_interface *i);

static inline uint64_t *due_counter(const struct due_record *r, const struct due_series *s)
{
    return (uint64_t *)((char *)r->values + s->offset);
}

static inline struct due_gauge *due_gauge(const struct due_record *r, const struct due_series *s)
{
    return (struct due_gauge *)((char *)r->values + s->offset);
}

/* Whether no line of @r would be shown, nor any if it stays as it is. */
bool due_record_is_settled(const struct due_record *r);

/* Whether there is more than gauges to show. */
bool due_record_owes(const struct due_record *r);
