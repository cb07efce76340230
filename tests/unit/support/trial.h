/*
 * An engine on trial: it gets frames, and what it told is kept for questions.
 * Rules are {query = "s"}.
 *
 * In the end its books must balance to the byte, with nothing pending.
 *
 * Units    as in core/counts.h
 * Owns     the engine and all that it told
 * Threads  one at a time
 */
#pragma once

#include "base/text.h"
#include "core/engine.h"
#include "core/ledger.h"
#include "support/conversation.h"

enum { TRIAL_WORD_MAX = 64 };

/* What an observer was told of a transaction. */
struct trial_transaction {
    uint16_t client_port;
    char method[TRIAL_WORD_MAX];
    char target[TRIAL_WORD_MAX];
    char service[SERVICE_NAME_MAX + 1];
    unsigned status;
    unsigned interim_count;
    uint16_t interim[INTERIM_MAX];
    uint64_t ip_bytes[2];
    uint64_t payload[2];
    uint64_t ttfb_ns;
};

struct trial {
    struct rule_set *rules;
    struct engine *engine;
    struct ledger *ledger;
    struct conversation_sink sink; /* the engine, for conversations */
    struct trial_transaction *transactions;
    size_t transaction_count;
    struct text messages; /* "+136 in yo GET /x HTTP/1.1\n" */
    struct text told;     /* see trial_transactions() */
};

/* What may differ from one trial to the other; 0: what the agent has. */
struct trial_options {
    uint32_t sessions_max;
    uint32_t services_max;
    uint64_t services_idle_ns;
    uint16_t port; /* 0: all */
    bool impatient;
    bool unobserved;
    struct engine_offload offload;
};

void trial_init(struct trial *t, const struct trial_options *options);
void trial_deinit(struct trial *t);
#define trial_deinit_auto trial_deinit

/* Take in what the engine reports by now. */
void trial_report(struct trial *t);

/* End every connection. Fails the test unless the books balance and nothing is pending. */
void trial_finish(struct trial *t);

/* Totals of a service, zero if it never moved anything, and of the interface. */
const struct service_counts *trial_service(struct trial *t, const char *name);
const struct interface_counts *trial_interface(struct trial *t);

/* A line each: "GET /x 200 yo 84/358", interim replies before the status as "100,". */
const char *trial_transactions(struct trial *t);
