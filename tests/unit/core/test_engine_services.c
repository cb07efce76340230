#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/conversation.h"
#include "support/trial.h"

#define REQUEST(name) "GET /?s=" name " HTTP/1.1\r\nHost: h\r\n\r\n"
#define REPLY         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#define IDLE_NS (100 * 1000000000ull)

static void begin(struct trial *t, uint64_t idle_ns)
{
    trial_init(t, &(struct trial_options){.services_idle_ns = idle_ns});
}

static uint64_t services(struct trial *t)
{
    trial_report(t);
    return ledger_interface(t->ledger, 0)->gauges.services;
}

/* Time passes, with what that brings about. */
static void wait(struct trial *t, uint64_t ns)
{
    t->sink.now_ns += ns;
    engine_expire(t->engine, t->sink.now_ns);
    trial_report(t);
}

static void ask(struct conversation *c, struct trial *t, uint16_t number)
{
    conversation_init(c, &t->sink, number, 1000);
    conversation_open(c);
    conversation_send_text(c, DIRECTION_IN, REQUEST("yo"));
}

static void idle_service_is_forgotten_and_counts_on_when_it_is_back(void **state)
{
    (void)state;
    AUTO(trial_deinit) struct trial t;
    begin(&t, IDLE_NS);
    for (uint16_t round = 1; round <= 3; round++) {
        struct conversation c;
        ask(&c, &t, round);
        conversation_send_text(&c, DIRECTION_OUT, REPLY);
        conversation_close(&c);
        trial_report(&t);
        wait(&t, IDLE_NS / 2);
        assert_int_equal(services(&t), 1);
        wait(&t, IDLE_NS);
        assert_int_equal(services(&t), 0);
        assert_int_equal(trial_service(&t, "yo")->requests, round);
        assert_int_equal(trial_service(&t, "yo")->direction[DIRECTION_OUT].bytes,
                         round * c.end[DIRECTION_OUT].sent.bytes);
    }
    trial_finish(&t);
}

static void service_of_an_open_connection_stays(void **state)
{
    (void)state;
    AUTO(trial_deinit) struct trial t;
    begin(&t, IDLE_NS);
    struct conversation c;
    ask(&c, &t, 1);
    trial_report(&t);
    wait(&t, IDLE_NS + IDLE_NS / 8);
    assert_int_equal(services(&t), 1);
    conversation_send_text(&c, DIRECTION_OUT, REPLY);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->replies[1], 1);
}

static void services_are_kept_when_nothing_is_said_of_them(void **state)
{
    (void)state;
    AUTO(trial_deinit) struct trial t;
    begin(&t, 0);
    struct conversation c;
    ask(&c, &t, 1);
    conversation_close(&c);
    trial_report(&t);
    wait(&t, 1000 * IDLE_NS);
    assert_int_equal(services(&t), 1);
}

/* All that a connection may have under way, with a report after each packet. */
static void talk(struct trial *t)
{
    struct conversation c[3];
    for (uint16_t i = 0; i < ARRAY_SIZE(c); i++) {
        conversation_init(&c[i], &t->sink, (uint16_t)(i + 1), 1000);
        conversation_open(&c[i]);
    }
    static const struct step {
        unsigned conversation;
        enum direction direction;
        const char *text;
    } steps[] = {
        {0, DIRECTION_IN, REQUEST("a") REQUEST("b") "GET /?s=c HTTP/1.1\r\nExpect: 100-con"},
        {1, DIRECTION_IN, "POST /?s=d HTTP/1.1\r\nContent-Length: 9\r\n\r\n123"},
        {0, DIRECTION_OUT, REPLY "HTTP/1.1 200 OK\r\nContent-Le"},
        {2, DIRECTION_OUT, REPLY},
        {1, DIRECTION_OUT, "HTTP/1.1 100 Continue\r\n\r\n"},
        {0, DIRECTION_IN, "tinue\r\n\r\n"},
        {1, DIRECTION_IN, "456"},
        {0, DIRECTION_OUT, "ngth: 2\r\n\r\nok"},
        {2, DIRECTION_IN, "GET /?s=e HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
        {2, DIRECTION_OUT, "HTTP/1.1 101 Go\r\n\r\n"},
        {1, DIRECTION_IN, "789" REQUEST("f")},
        {0, DIRECTION_OUT, "stray"},
        {2, DIRECTION_IN, "anything"},
        {1, DIRECTION_OUT, REPLY},
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        const struct step *s = &steps[i];
        conversation_send_text(&c[s->conversation], s->direction, s->text);
        trial_report(t);
        t->sink.now_ns += IDLE_NS / 100;
        trial_report(t);
    }
    conversation_close(&c[0]);
    trial_report(t);
    conversation_reset(&c[1], DIRECTION_OUT);
    trial_report(t);
    trial_finish(t);
}

static void forgetting_changes_no_number(void **state)
{
    (void)state;
    AUTO(trial_deinit) struct trial forgets;
    AUTO(trial_deinit) struct trial keeps;
    begin(&forgets, 1);
    begin(&keeps, 0);
    talk(&forgets);
    talk(&keeps);
    assert_string_equal(trial_transactions(&forgets), trial_transactions(&keeps));
    struct ledger_services all = ledger_services(keeps.ledger, LEDGER_TOTAL);
    assert_true(all.count >= 6);
    for (size_t i = 0; i < all.count; i++)
        assert_memory_equal(trial_service(&forgets, all.services[i]->name.text),
                            &all.services[i]->counts[LEDGER_TOTAL],
                            sizeof(all.services[i]->counts[LEDGER_TOTAL]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_service_is_forgotten_and_counts_on_when_it_is_back),
        cmocka_unit_test(service_of_an_open_connection_stays),
        cmocka_unit_test(services_are_kept_when_nothing_is_said_of_them),
        cmocka_unit_test(forgetting_changes_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
