#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/dialogue.h"

static void full_table_charges_what_it_gives_up(void **state)
{
    (void)state;
    enum { SESSIONS = 16, CONNECTIONS = 100 };
    again(&(struct trial_options){.sessions_max = SESSIONS});
    for (uint16_t i = 0; i < CONNECTIONS; i++) {
        conversation_init(&c, &t.sink, (uint16_t)(41000 + i), i);
        conversation_open(&c);
        request(REQUEST("yo"));
        if (i % 2)
            conversation_send_at(&c, DIRECTION_IN, 100, BYTES("early"));
        if (i % 3 == 0)
            request("GET /?s=half HTTP/1.1\r\n");
    }
    AUTO(report_free) struct report *r = engine_report(t.engine, 0);
    assert_int_equal(r->gauges_delta.sessions, SESSIONS);
    ledger_add(t.ledger, r);
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->sessions_evicted, CONNECTIONS - SESSIONS);
    assert_int_equal(trial_service(&t, "yo")->requests, CONNECTIONS);
    assert_int_equal(trial_service(&t, "yo")->unanswered, CONNECTIONS);
    assert_int_equal(trial_interface(&t)->untracked_bytes, 0);
    assert_int_equal(trial_interface(&t)->not_http_bytes, 0);
}

static void evicted_connection_goes_on_at_its_next_message(void **state)
{
    (void)state;
    again(&(struct trial_options){.sessions_max = 1});
    struct conversation other;
    conversation_init(&other, &t.sink, 42000, 5000);
    conversation_open(&c);
    request(REQUEST("a"));
    reply(REPLY_OK);
    conversation_open(&other);
    conversation_send_text(&other, DIRECTION_IN, REQUEST("b"));
    request(REQUEST("c"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 0 b 31/0\nGET /?s=c 200 c 31/40\n");
}

static void idle_connection_is_dropped_after_its_time(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    t.sink.now_ns += 120 * SECOND_NS;
    engine_expire(t.engine, t.sink.now_ns);
    conversation_ack(&c, DIRECTION_OUT);
    t.sink.now_ns += 120 * SECOND_NS;
    engine_expire(t.engine, t.sink.now_ns);
    assert_told("");
    t.sink.now_ns += 2 * SECOND_NS;
    engine_expire(t.engine, t.sink.now_ns);
    assert_told("GET /?s=a 0 a 31/0\n");
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "a")->unanswered, 1);
}

static void idle_beginnings_are_dropped_after_their_time(void **state)
{
    (void)state;
    conversation_open(&c);
    t.sink.now_ns += 122 * SECOND_NS;
    engine_expire(t.engine, t.sink.now_ns);
    trial_report(&t);
    assert_int_equal(trial_interface(&t)->not_http_bytes, 3 * HEADERS);
    trial_finish(&t);
}

static void open_connections_belong_to_their_last_service(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    AUTO(report_free) struct report *first = engine_report(t.engine, 0);
    assert_int_equal(first->service_count, 1);
    assert_int_equal(first->services[0].open_delta, 1);
    assert_int_equal(first->gauges_delta.sessions, 1);
    reply(REPLY_OK);
    request(REQUEST("b"));
    conversation_reset(&c, DIRECTION_IN);
    AUTO(report_free) struct report *second = engine_report(t.engine, 0);
    assert_int_equal(second->service_count, 2);
    assert_int_equal(second->services[0].open_delta + second->services[1].open_delta, -1);
    assert_int_equal(second->gauges_delta.sessions, -1);
    ledger_add(t.ledger, first);
    ledger_add(t.ledger, second);
    trial_finish(&t);
}

static void lost_packets_are_unknown(void **state)
{
    (void)state;
    engine_lost(t.engine, &(struct engine_lost){
                              .ring_drops = 3,
                              .direction = {{.bytes = 1000, .control = 40, .packets = 2},
                                            {.bytes = 0, .control = 80}},
                          });
    engine_untracked(t.engine, 77);
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->ring_drops, 3);
    assert_int_equal(trial_interface(&t)->untracked_bytes, 77);
    assert_int_equal(trial_interface(&t)->tcp_bytes, 1120 + 77);
    assert_int_equal(counts("_unknown", DIRECTION_IN)->bytes, 1000);
    assert_int_equal(counts("_unknown", DIRECTION_IN)->packets, 2);
    assert_int_equal(counts("_unknown", DIRECTION_OUT)->control, 80);
}

static void duplicates_are_a_term_of_their_own(void **state)
{
    (void)state;
    engine_lost(t.engine, &(struct engine_lost){.duplicate_bytes = 500});
    engine_lost(t.engine, &(struct engine_lost){.duplicate_bytes = 60});
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->duplicate_bytes, 560);
    assert_int_equal(trial_interface(&t)->tcp_bytes, 560);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(full_table_charges_what_it_gives_up),
        TEST(evicted_connection_goes_on_at_its_next_message),
        TEST(idle_connection_is_dropped_after_its_time),
        TEST(idle_beginnings_are_dropped_after_their_time),
        TEST(open_connections_belong_to_their_last_service),
        TEST(lost_packets_are_unknown),
        TEST(duplicates_are_a_term_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
