/*
 * Connections of which no one knows yet that they are HTTP: before their first
 * payload, after a first payload that was something else, or joined in the
 * middle. A table of fixed size that forgets the oldest: a SYN flood costs
 * nothing else.
 *
 * Units    bytes, nanoseconds
 * Owns     its embryos; a pointer to one is valid until the next embryo_table_add()
 *          or _expire()
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "core/packet.h"
#include "core/pool.h"
#include "core/table.h"

enum embryo_kind {
    EMBRYO_NEW,      /* its handshake was seen, no payload yet */
    EMBRYO_MIDWAY,   /* joined in the middle: may turn out to be HTTP at any segment */
    EMBRYO_NOT_HTTP, /* its first payload was something else */
};

enum { CLIENT_UNKNOWN = 2 };

struct embryo {
    struct flow flow;
    UT_hash_handle hh;
    struct embryo *prev; /* the longest idle first */
    struct embryo *next;
    uint64_t seen_ns;
    uint64_t control_bytes[2]; /* pending, by side */
    uint32_t initial_seq[2];   /* of each side's SYN */
    bool syn_seen[2];
    bool fin_seen[2];
    bool handed_over; /* the filter was asked to keep its packets */
    uint8_t kind;     /* enum embryo_kind */
    uint8_t client;   /* side, or CLIENT_UNKNOWN */
};

struct embryo_table {
    struct embryo *table; /* uthash by flow */
    struct embryo *idle;
    struct pool pool; /* of embryos */
    uint32_t max;
    uint64_t hash_seed;
};

void embryo_table_init(struct embryo_table *t, uint32_t max, uint64_t hash_seed);
/* Also frees what is left. */
void embryo_table_deinit(struct embryo_table *t);

struct embryo *embryo_table_find(const struct embryo_table *t, const struct flow *flow);

/**
 * Add an embryo for @flow, which has none.
 *
 * @forgotten_bytes gets what was pending for the one that had to be forgotten.
 * Returns NULL without memory.
 */
struct embryo *embryo_table_add(struct embryo_table *t, const struct flow *flow, uint64_t now_ns,
                                uint64_t *forgotten_bytes);

/* @e had a packet at @now_ns. */
void embryo_table_touch(struct embryo_table *t, struct embryo *e, uint64_t now_ns);

/* Returns what was pending for it, which is the caller's to charge. */
uint64_t embryo_table_remove(struct embryo_table *t, struct embryo *e);

/* Remove those idle since before @since_ns. Returns what was pending for them. */
uint64_t embryo_table_expire(struct embryo_table *t, uint64_t since_ns);

/* Take what is pending for @e off it. */
uint64_t embryo_take_pending(struct embryo *e);
