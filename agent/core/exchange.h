/*
 * The HTTP messages of one connection: which reply answers which request, and
 * to which service each byte goes (RFC 9110, sections 3.9 and 15; RFC 9112,
 * section 9).
 *
 * Is handed the payload of both directions in order, and tells after each
 * piece whether the connection is HTTP at all. What comes before the first head
 * is pending until then.
 *
 * Units    bytes, nanoseconds
 * Owns     its transactions
 * Threads  one at a time, with what its environment points to
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/account.h"
#include "core/http.h"
#include "core/packet.h"
#include "core/pool.h"
#include "core/report.h"
#include "core/rule.h"
#include "core/stream.h"
#include "core/transaction.h"

/* What all exchanges of an engine share. */
struct exchange_env {
    struct account account;
    struct http_pool pool;
    struct pool exchanges;
    struct pool transactions;
    const struct rule_set *rules;
    struct observer observer;
    uint32_t waiting_count; /* requests that wait for a reply */
    bool filtered;          /* what is cut off a segment is known to hold no head */
};

enum exchange_verdict {
    EXCHANGE_UNDECIDED, /* no head was read yet */
    EXCHANGE_HTTP,
    EXCHANGE_NOT_HTTP, /* end it */
};

enum message_state {
    MESSAGE_NONE,
    MESSAGE_OPEN,
    MESSAGE_ENDED, /* but what follows in the same segment may still belong to it */
};

struct message {
    uint8_t state; /* enum message_state */
    bool interim;  /* a 1xx reply */
    uint32_t seq;  /* of its first byte */
    uint32_t ack;  /* of the segment with its first byte */
    uint64_t time_ns;
    struct service *service;         /* NULL: its head is not read yet, counts are pending */
    struct transaction *transaction; /* NULL: none, or not known yet */
    struct direction_counts counts;
};

struct exchange_side {
    struct http_framer framer;
    struct message message;
    struct service *service; /* of the last message whose head was read */
};

struct exchange {
    struct exchange_side side[2]; /* by enum direction */
    struct transaction *waiting;  /* for a reply, oldest first */
    uint32_t waiting_count;
    uint32_t unpaired_count;            /* requests behind them for which there was no room */
    uint32_t unasked_ack;               /* of the last reply that answers none of them */
    uint8_t verdict;                    /* enum exchange_verdict */
    uint8_t client;                     /* side of the flow */
    bool unasked;                       /* unasked_ack is known */
    bool replies_lost;                  /* reply heads may be missing since the last one */
    bool midway;                        /* not seen from its beginning, or with holes */
    bool open;                          /* counted as an open connection of last */
    struct service *first;              /* of the first head in either direction */
    struct service *last;               /* of the last one */
    struct direction_counts prelude[2]; /* pending: before the first head */
    const struct flow *flow;
};

/**
 * @client is the side of @flow (which outlives the exchange) that sends the
 * requests. With @midway, the connection is joined in the middle: it goes on at
 * the next segment that begins with a start line.
 *
 * Returns NULL without memory.
 */
struct exchange *exchange_new(struct exchange_env *env, const struct flow *flow, unsigned client,
                              bool midway);

/* Only after exchange_close() nothing is lost by it. Returns NULL. */
struct exchange *exchange_free(struct exchange *x, struct exchange_env *env);

/* What went before the first segment: pending control bytes. */
void exchange_add_prelude(struct exchange *x, enum direction d, uint64_t control_bytes);

/* Take @segment, the next one in direction @d. */
void exchange_segment(struct exchange *x, struct exchange_env *env, enum direction d,
                      const struct segment *segment);

/* Take @segment, all of which was there before, or is no part of the stream. */
void exchange_repeat(struct exchange *x, struct exchange_env *env, enum direction d,
                     const struct segment *segment, bool outside);

/*
 * @size bytes of the stream in direction @d are missing. With @received the
 * other end has them all the same, so they are counted as payload.
 */
void exchange_hole(struct exchange *x, struct exchange_env *env, enum direction d, uint32_t size,
                   bool received);

/* Take a packet without payload. */
void exchange_control(struct exchange *x, struct exchange_env *env, enum direction d,
                      uint64_t ip_bytes);

/* Direction @d ends here. */
void exchange_finish(struct exchange *x, struct exchange_env *env, enum direction d);

/*
 * The connection ends here: nothing is pending any more, requests without a
 * reply are told.
 */
void exchange_close(struct exchange *x, struct exchange_env *env);

/* Whose bytes in direction @d are that belong to no message; NULL before the first head. */
static inline struct service *exchange_service(const struct exchange *x, enum direction d)
{
    return x->side[d].service ? x->side[d].service : x->first;
}

/* Keep all services that it refers to. */
void exchange_keep_services(const struct exchange *x);

/* Whether it would not look at the next @count bytes of direction @d. */
static inline bool exchange_skips(const struct exchange *x, enum direction d, uint64_t count)
{
    return http_framer_skips(&x->side[d].framer, count);
}
