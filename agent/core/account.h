/*
 * The counters of one interface: a table of services, and where every byte that
 * was seen has gone.
 *
 * A byte is pending from account_seen() until it is charged to a service, or as
 * not HTTP, or as untracked. What is pending in the end was forgotten by us.
 *
 * Units    as in counts.h
 * Owns     its services: a pointer to one stays valid until account_forget()
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "core/counts.h"
#include "core/report.h"
#include "core/service_name.h"
#include "core/table.h"

struct service {
    struct service_name name;
    bool changed;  /* since the last report */
    bool kept;     /* something refers to it: see account_keep() */
    uint32_t open; /* connections whose last message was the service's */
    uint32_t open_reported;
    struct service_counts total;
    struct service_counts reported;
    struct ttfb_histogram ttfb; /* since the last report */
    uint64_t reported_ns;       /* when it was in a report for the last time */
    struct service *next_changed;
    UT_hash_handle hh;
};

struct account {
    struct service *services; /* uthash by name */
    struct service *changed;
    struct service *unspecified;
    struct service *unknown;
    struct service *other;
    uint32_t services_max; /* besides the three above */
    uint64_t hash_seed;
    uint64_t pending_bytes;
    struct interface_counts total;
    struct interface_counts reported;
    struct interface_gauges gauges_reported;
    bool ended;
};

int account_init(struct account *a, uint32_t services_max, uint64_t hash_seed);
void account_deinit(struct account *a);

/* The service called @name; _other when the table is full or memory short. */
struct service *account_service(struct account *a, const struct service_name *name);

static inline void account_touch(struct account *a, struct service *s)
{
    if (s->changed)
        return;
    s->changed = true;
    s->next_changed = a->changed;
    a->changed = s;
}

/* @ip_bytes came in. */
static inline void account_seen(struct account *a, uint64_t ip_bytes)
{
    a->total.tcp_bytes += ip_bytes;
    a->pending_bytes += ip_bytes;
}

/* Of what is pending, charge @counts to @s. */
static inline void account_charge(struct account *a, struct service *s, enum direction d,
                                  const struct direction_counts *counts)
{
    struct direction_counts *total = &s->total.direction[d];
    total->bytes += counts->bytes;
    total->payload += counts->payload;
    total->retransmitted += counts->retransmitted;
    total->control += counts->control;
    total->packets += counts->packets;
    a->pending_bytes -= counts->bytes + counts->control;
    account_touch(a, s);
}

static inline void account_not_http(struct account *a, uint64_t ip_bytes)
{
    a->total.not_http_bytes += ip_bytes;
    a->pending_bytes -= ip_bytes;
}

static inline void account_untracked(struct account *a, uint64_t ip_bytes)
{
    a->total.untracked_bytes += ip_bytes;
    a->pending_bytes -= ip_bytes;
}

/* @ip_bytes came in that another interface counts. */
static inline void account_duplicate(struct account *a, uint64_t ip_bytes)
{
    a->total.tcp_bytes += ip_bytes;
    a->total.duplicate_bytes += ip_bytes;
}

/* None of the services is in use any more: the next report says so. */
static inline void account_end(struct account *a)
{
    a->ended = true;
}

/**
 * What moved since the last report; there are @sessions now. Returns NULL
 * without memory: then it stays due.
 */
struct report *account_report(struct account *a, const char *interface, uint64_t now_ns,
                              uint64_t sessions);

/* Something refers to @s, or to none if it is NULL: the next account_forget() leaves it. */
static inline void account_keep(struct service *s)
{
    if (s)
        s->kept = true;
}

/* Forget the services whose last report was before @idle_since_ns and that nothing refers to. */
void account_forget(struct account *a, uint64_t idle_since_ns);
