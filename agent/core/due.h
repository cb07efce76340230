/*
 * What one destination is still owed: what was reported and not yet accepted.
 *
 * A walk shows it line by line. Each line comes with claims: what is settled
 * when the line was accepted. What is not settled stays due and is shown by the
 * next walk, with what was added meanwhile.
 *
 *     due_walk_begin(&w, d);
 *     while (due_walk_line(&w, &line)) {
 *         claimed += due_claim(&line, &claims[claimed]);
 *         due_walk_next(&w);
 *     }
 *     due_settle(claims, claimed);
 *
 * A service is owed for each interface, or for all of them together. There is
 * room for twice as many as the engines that report tell apart: those that they
 * forgot since the last walk are owed, too. So what has a name there has one
 * here, unless nobody takes what is due while ever new services come. Past that,
 * or without memory, what a service moved goes to _other, and its requests count
 * as services_folded. Past DUE_INTERFACES_MAX names of interfaces one more is
 * INTERFACE_OTHER.
 *
 * Units    as in metric.h; times in nanoseconds
 * Owns     its services
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "core/metric.h"
#include "core/report.h"

enum { DUE_LINE_CLAIMS_MAX = TTFB_BUCKETS, DUE_INTERFACES_MAX = 1024 };

/* The largest integer that receivers, which count in doubles, take as it is. */
#define DUE_AMOUNT_MAX (1ull << 53)

struct due_options {
    struct metric_set metrics; /* that are sent */
    bool per_interface;        /* services by interface, else over all of them */
    bool percentiles;          /* ttfb as its percentiles, else as its buckets */
    size_t services_max;       /* see due_set_services_max() */
    uint64_t hash_seed;        /* random: the names come from the network */
    uint64_t idle_ns;          /* after which due_expire() drops a service that is owed nothing */
};

struct due;

int due_new(struct due **out, const struct due_options *options);
struct due *due_free(struct due *d);
AUTO_DEFINE(struct due, due_free)

/**
 * Take over metrics, services_max and idle_ns of @options. What is owed stays
 * owed as far as it is sent; of metrics that were not sent, what moves from now
 * on is owed. Ends walks; claims stay valid, but those of lines that a walk will
 * show again must not be settled. Returns -ENOMEM: then nothing has changed.
 */
int due_change(struct due *d, const struct due_options *options);

/**
 * The engines that report tell @services_max services apart, all of them
 * together, and for at least as long as it takes from one walk to the next.
 */
void due_set_services_max(struct due *d, size_t services_max);

/* Owe what @r says moved. */
void due_add(struct due *d, const struct report *r);

/* Owe what @t has more than at the last call. */
void due_set_agent(struct due *d, const struct agent_telemetry *t);

/* Owe nothing of what @t has. */
void due_know_agent(struct due *d, const struct agent_telemetry *t);

/*
 * Gauges begin as @levels has them, which is owed services by interface: reports
 * tell no more than how they change.
 */
void due_know_gauges(struct due *d, const struct due *levels);

/* Options of a due that is nothing but such levels. */
struct due_options due_levels(size_t services_max, uint64_t hash_seed);

/*
 * Drop services that are owed nothing and idle at @now_ns, and interfaces that
 * have gone and are owed nothing, with theirs. Ends walks and voids claims.
 */
void due_expire(struct due *d, uint64_t now_ns);

/**
 * IP bytes of services (their metric bytes) that are owed. If that is not sent:
 * those of services since the last time that nothing of them was owed.
 */
uint64_t due_bytes(const struct due *d);

/* How many requests there was no room for, since the last call. */
uint64_t due_take_folded(struct due *d);

/* How many services it holds, the three that the agent names itself included. */
size_t due_service_count(const struct due *d);

/* Kinds of claims. */
enum due_kind { DUE_COUNTER, DUE_GAUGE, DUE_BUCKET };

/* What is settled when a line was accepted. Valid until due_expire(). */
struct due_claim {
    enum due_kind kind;
    union {
        uint64_t *owed;   /* of a counter */
        uint64_t *told;   /* what the receiver was told a gauge is */
        uint32_t *bucket; /* of ttfb */
    };
    uint64_t amount;
};

struct due_line {
    enum metric_id metric;
    const char *variant;    /* "in", "out"; "1xx" to "5xx"; "p50", "p95", "p99"; or NULL */
    const char *service;    /* or NULL */
    const char *interface;  /* or NULL */
    uint64_t value;         /* at most DUE_AMOUNT_MAX; nanoseconds of a timing */
    uint64_t samples;       /* of a timing: how many it stands for */
    struct due_claim claim; /* with a NULL pointer: none */
    struct ttfb_histogram *histogram; /* all of it is claimed, too; or NULL */
};

/* Write what accepting @l settles to @out, DUE_LINE_CLAIMS_MAX at most. Returns how many. */
size_t due_claim(const struct due_line *l, struct due_claim *out);

void due_settle(const struct due_claim *claims, size_t count);

/* A place in what is owed. due_add() and due_settle() may be called in between. */
struct due_walk {
    struct due *due;
    enum metric_scope scope;
    struct due_interface *interface;
    struct due_service *service;
    unsigned series; /* of those of the scope that are sent */
    unsigned part;   /* of a timing: bucket, or percentile */
    bool split;      /* the line before was a part of this counter */
    uint64_t left;   /* of it */
    bool ended;
};

/* Begin with the agent, then the interfaces, then the services. */
void due_walk_begin(struct due_walk *w, struct due *d);

/* Fill @l with the line that the walk stands at. Returns whether there is one. */
bool due_walk_line(struct due_walk *w, struct due_line *l);

void due_walk_next(struct due_walk *w);
