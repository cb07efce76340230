/*
 * What the filter kept of each flow, and how much of it was taken so far.
 *
 * The filter's counts only grow, and are told again and again: the difference to
 * what was told before is what is new. Records may be on their way while the
 * counts themselves are read: what is behind what was taken is old news, and
 * counts that are ahead of such a record tell nothing yet. A flow begins at zero
 * behind its last record; when that one was lost, what the next flow has kept
 * shows only once it is more. What is told of a flow before its first packet has
 * come waits here.
 *
 * Units    bytes
 * Owns     its flows; embed it by value
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/filter.h"
#include "core/pool.h"
#include "core/table.h"

/* A difference that waits for its connection. */
struct kept_wait {
    struct kept_wait *next;
    unsigned side;
    struct filter_kept kept;
};

struct kept_flow {
    struct flow flow;
    UT_hash_handle hh;
    struct filter_kept taken[2]; /* by side */
    uint32_t number[2];          /* of the last record that was made */
    struct kept_wait *waits;     /* in the order in which they came */
    struct kept_flow *prev;      /* of those with waits */
    struct kept_flow *next;
    bool old;  /* its waits were there at the last kept_table_age() */
    bool last; /* the filter has told all of it: the next one begins at zero */
};

struct kept_table {
    struct kept_flow *flows; /* uthash by flow */
    struct kept_flow *waiting;
    struct pool flow_pool; /* of kept_flow */
    struct pool wait_pool; /* of kept_wait */
    uint64_t hash_seed;
};

void kept_table_init(struct kept_table *t, uint64_t hash_seed);
void kept_table_deinit(struct kept_table *t);

/**
 * Take @record. @difference gets what is new in it.
 *
 * Returns the flow, or NULL without memory: then all of the record counts as new,
 * and will again.
 */
struct kept_flow *kept_table_take(struct kept_table *t, const struct filter_record *record,
                                  struct filter_kept *difference);

/* Let @difference of @side wait. Returns -ENOMEM. */
int kept_flow_wait(struct kept_table *t, struct kept_flow *f, unsigned side,
                   const struct filter_kept *difference);

/* Take the oldest difference that waits off @f. Returns whether there was one. */
bool kept_flow_next(struct kept_table *t, struct kept_flow *f, unsigned *side,
                    struct filter_kept *difference);

/* The flow with something waiting for @flow, or NULL. */
struct kept_flow *kept_table_find_waiting(struct kept_table *t, const struct flow *flow);

/* A flow whose waits have seen kept_table_age() twice, or NULL. */
struct kept_flow *kept_table_find_old(struct kept_table *t);
void kept_table_age(struct kept_table *t);

/* The filter tells no more of @f, or of the flow @flow. */
void kept_table_remove(struct kept_table *t, struct kept_flow *f);
void kept_table_forget(struct kept_table *t, const struct flow *flow);
