/*
 * An HTTP connection as TCP sees it: two streams, their ends, and the exchange
 * that takes what they carry. Once it has closed, only what late packets need is
 * left: thousands of those linger where connections are short.
 *
 * Units    bytes, nanoseconds
 * Owns     its streams and its exchange
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/embryo.h"
#include "core/exchange.h"
#include "core/packet.h"
#include "core/pool.h"
#include "core/stream.h"
#include "core/table.h"

/* What all sessions of an engine share. */
struct session_env {
    struct exchange_env exchange;
    struct stream_budget budget;
    struct pool sessions;
};

struct session {
    struct flow flow;
    UT_hash_handle hh;
    struct session *prev; /* in the list of the open or of the closed ones, longest idle first */
    struct session *next;
    uint64_t seen_ns;
    struct stream stream[2];    /* by side of the flow */
    struct exchange *exchange;  /* NULL: has closed and was HTTP */
    struct service *service[2]; /* by direction, then: whose late packets are */
    struct filter_order order;  /* what the filter was asked to keep */
    uint8_t client;             /* side of the flow */
    bool closed;                /* late packets may follow */
};

/*
 * A session for what was @e, whose client is @client. Pending bytes of @e move
 * over.
 */
struct session *session_new(struct embryo *e, unsigned client, struct session_env *env);

/* Frees a session that was closed. Returns NULL. */
struct session *session_free(struct session *s, struct session_env *env);

/**
 * Take @p, a packet of this session that was counted as seen.
 *
 * The session may be closed afterwards, or turn out not to be HTTP: see
 * session_is_http().
 */
void session_packet(struct session *s, struct session_env *env, const struct packet *p);

/*
 * Take what the filter kept of @side: a range of its stream, whose packets were
 * counted as seen.
 */
void session_kept(struct session *s, struct session_env *env, unsigned side,
                  const struct filter_kept *kept);

/*
 * After @p: whether there is something new that the filter might as well keep.
 * Then order is what to ask it for.
 */
bool session_hand_over(struct session *s, const struct packet *p);

/* Whether @p opens another connection between the same ends. */
bool session_is_reused(const struct session *s, const struct packet *p);

/*
 * End it, whatever is still under way: early segments are taken as they are,
 * nothing stays pending.
 */
void session_close(struct session *s, struct session_env *env);

/* Whether it is known where both streams begin. With TCP Fast Open, data may come before. */
static inline bool session_knows_places(const struct session *s)
{
    return s->stream[0].started && s->stream[1].started;
}

/* False once it is certain that it is not HTTP: it is to be closed then. */
static inline bool session_may_be_http(const struct session *s)
{
    return !s->exchange || s->exchange->verdict != EXCHANGE_NOT_HTTP;
}

/* Keep all services that it refers to. */
void session_keep_services(const struct session *s);
