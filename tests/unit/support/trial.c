#include "support/trial.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void take_frame(void *context, const struct frame *f)
{
    struct trial *t = context;
    engine_frame(t->engine, f);
}

static void copy_word(char to[TRIAL_WORD_MAX], struct bytes word)
{
    snprintf(to, TRIAL_WORD_MAX, "%.*s", word.data ? (int)word.size : 1,
             word.data ? (const char *)word.data : "-");
}

static void take_transaction(void *context, const struct transaction_seen *seen)
{
    struct trial *t = context;
    size_t size = (t->transaction_count + 1) * sizeof(t->transactions[0]);
    if ((t->transaction_count & (t->transaction_count - 1)) == 0)
        t->transactions = realloc(t->transactions, 2 * size);
    assert_non_null(t->transactions);

    struct trial_transaction *told = &t->transactions[t->transaction_count++];
    *told = (struct trial_transaction){
        .client_port = ntohs(seen->client.port),
        .status = seen->status,
        .interim_count = seen->interim_count,
        .ip_bytes = {seen->direction[0].ip_bytes, seen->direction[1].ip_bytes},
        .payload = {seen->direction[0].payload_bytes, seen->direction[1].payload_bytes},
        .ttfb_ns = seen->ttfb_ns,
    };
    memcpy(told->interim, seen->interim, sizeof(told->interim));
    memcpy(told->service, seen->service->text, sizeof(told->service));
    copy_word(told->method, seen->method);
    copy_word(told->target, seen->target);
}

static void take_message(void *context, const struct message_seen *seen)
{
    struct trial *t = context;
    text_printf(&t->messages, "+%llu %s %s %.*s\n", (unsigned long long)seen->ip_bytes,
                seen->direction == DIRECTION_IN ? "in" : "out", seen->service->text,
                (int)seen->start_line.size,
                seen->start_line.size ? (const char *)seen->start_line.data : "");
}

static void start_engine(struct trial *t, const struct trial_options *options)
{
    struct engine_options *o = calloc(1, sizeof(*o));
    assert_non_null(o);
    *o = (struct engine_options){
        .interface = "test0",
        .rules = t->rules,
        .session_timeout_ns = 121 * 1000000000ull,
        .sessions_max = options->sessions_max ? options->sessions_max : 65536,
        .services_max = options->services_max ? options->services_max : 1000,
        .services_idle_ns = options->services_idle_ns,
        .hash_seed = 0x5eed,
        .offload = options->offload,
    };
    if (options->port)
        port_set_add(&o->ports, options->port);
    if (!options->unobserved)
        o->observer = (struct observer){
            .context = t,
            .patient = !options->impatient,
            .message = take_message,
            .transaction = take_transaction,
        };
    assert_int_equal(engine_new(&t->engine, o), 0);
    free(o);
}

void trial_init(struct trial *t, const struct trial_options *options)
{
    static const struct rule_options rule = {.query = "s"};
    *t = (struct trial){.sink = {.take = take_frame, .context = t, .now_ns = 1000000000}};
    text_init(&t->messages);
    text_init(&t->told);
    struct rule_error error;
    assert_int_equal(rule_set_new(&t->rules, &rule, 1, &error), 0);
    assert_int_equal(ledger_new(&t->ledger,
                                &(struct ledger_options){
                                    .services_max = 100000,
                                }),
                     0);
    start_engine(t, options);
}

void trial_deinit(struct trial *t)
{
    engine_free(t->engine);
    ledger_free(t->ledger);
    rule_set_free(t->rules);
    free(t->transactions);
    text_deinit(&t->messages);
    text_deinit(&t->told);
}

void trial_report(struct trial *t)
{
    AUTO(report_free) struct report *r = engine_report(t->engine, t->sink.now_ns);
    assert_non_null(r);
    ledger_add(t->ledger, r);
    assert_int_equal(ledger_interface_imbalance(ledger_interface(t->ledger, 0)), 0);
}

void trial_finish(struct trial *t)
{
    engine_finish(t->engine);
    trial_report(t);
    const struct interface_gauges *gauges = &ledger_interface(t->ledger, 0)->gauges;
    assert_int_equal(gauges->pending_bytes, 0);
    assert_int_equal(gauges->sessions, 0);
    assert_int_equal(gauges->services, 0);
}

const struct service_counts *trial_service(struct trial *t, const char *name)
{
    static const struct service_counts none;
    struct ledger_services all = ledger_services(t->ledger, LEDGER_TOTAL);
    for (size_t i = 0; i < all.count; i++)
        if (strcmp(all.services[i]->name.text, name) == 0)
            return &all.services[i]->counts[LEDGER_TOTAL];
    return &none;
}

const struct interface_counts *trial_interface(struct trial *t)
{
    return &ledger_interface(t->ledger, 0)->period[LEDGER_TOTAL].counts;
}

const char *trial_transactions(struct trial *t)
{
    text_clear(&t->told);
    text_add_string(&t->told, "");
    for (size_t i = 0; i < t->transaction_count; i++) {
        const struct trial_transaction *told = &t->transactions[i];
        text_printf(&t->told, "%s %s ", told->method, told->target);
        for (unsigned k = 0; k < told->interim_count; k++)
            text_printf(&t->told, "%u,", told->interim[k]);
        text_printf(&t->told, "%u %s %llu/%llu\n", told->status, told->service,
                    (unsigned long long)told->payload[0], (unsigned long long)told->payload[1]);
    }
    return t->told.data ? t->told.data : "";
}
