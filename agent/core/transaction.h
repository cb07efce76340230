/*
 * A request and its reply, from the first byte of one to the end of both.
 *
 * Owns     the words of its heads, kept only for an observer that wants them
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/account.h"
#include "core/counts.h"
#include "core/http.h"
#include "core/pool.h"
#include "core/report.h"

struct transaction {
    struct transaction *prev; /* those that wait for a reply, oldest first */
    struct transaction *next;
    struct service *service; /* NULL: the request's head is not read yet */
    uint64_t time_ns;        /* of its first byte */
    uint64_t reply_time_ns;  /* of the final reply's first byte, 0: none */
    uint32_t seq;            /* of the request's first byte */
    uint32_t ack;            /* of the first segment: all replies before it had arrived */
    uint16_t status;         /* of the final reply, 0: none */
    uint16_t interim[INTERIM_MAX];
    uint8_t interim_count;
    bool has_request;
    bool connect;
    bool headless;
    bool upgrade;
    bool waiting;  /* is in the list */
    bool unpaired; /* there was no room in the list */
    bool request_ended;
    bool reply_ended;
    struct direction_counts counts[2];
    struct transaction_words *words;
};

/* @pool is of transactions. */
struct transaction *transaction_new(struct pool *pool);
struct transaction *transaction_free(struct transaction *t, struct pool *pool);

/* Remember what @head says: the request's, or the final reply's. */
void transaction_set_request(struct transaction *t, const struct http_head *head, bool with_words);
void transaction_set_reply(struct transaction *t, const struct http_head *head, bool with_words);

/* Tell @o of the message in direction @d, and of the whole when both have ended. */
void transaction_tell_message(const struct transaction *t, enum direction d,
                              const struct observer *o);
void transaction_tell(const struct transaction *t, const struct address *client,
                      const struct address *server, const struct observer *o);
