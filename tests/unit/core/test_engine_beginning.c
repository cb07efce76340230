#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/dialogue.h"

static void connection_joined_in_the_middle_begins_at_its_next_message(void **state)
{
    (void)state;
    conversation_send_text(&c, DIRECTION_OUT, "rest of a body");
    conversation_ack(&c, DIRECTION_IN);
    reply("more of it");
    request(REQUEST("yo"));
    reply(REPLY_OK);
    request(REQUEST("b"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\nGET /?s=b 200 b 31/40\n");
    assert_int_equal(trial_interface(&t)->not_http_bytes, 54 + 50 + HEADERS);
}

static void connection_joined_before_a_reply_makes_it_unknown(void **state)
{
    (void)state;
    conversation_ack(&c, DIRECTION_OUT);
    reply(REPLY_OK);
    request(REQUEST("yo"));
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("- - 200 _unknown 0/40\nGET /?s=yo 404 yo 32/37\n");
}

static void connection_joined_inside_a_head_waits_for_the_next(void **state)
{
    (void)state;
    request("ost: h\r\n\r\n");
    reply(REPLY_OK);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("- - 200 _unknown 0/40\nGET /?s=yo 200 yo 32/40\n");
}

static void syn_ack_alone_tells_who_is_the_server(void **state)
{
    (void)state;
    c.end[DIRECTION_IN].seq++;
    c.end[DIRECTION_OUT].ack = c.end[DIRECTION_IN].seq;
    conversation_syn_ack(&c);
    conversation_send(&c, DIRECTION_IN, BYTES("GE"));
    request("T /?s=yo HTTP/1.1\r\n\r\n");
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 23/40\n");
}

static void syn_alone_tells_who_is_the_client(void **state)
{
    (void)state;
    conversation_syn(&c);
    c.end[DIRECTION_OUT].seq++;
    c.end[DIRECTION_IN].ack = c.end[DIRECTION_OUT].seq;
    conversation_send(&c, DIRECTION_IN, BYTES("GE"));
    request("T /?s=yo HTTP/1.1\r\n\r\n");
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 23/40\n");
}

static void data_in_the_syn_is_payload(void **state)
{
    (void)state;
    conversation_packet(&c, DIRECTION_IN,
                        &(struct conversation_packet){
                            .flags = TCP_SYN,
                            .seq = c.end[DIRECTION_IN].seq,
                            .payload = BYTES(REQUEST("yo")),
                        });
    conversation_miss(&c, DIRECTION_IN, 33);
    conversation_syn_ack(&c);
    reply(REPLY_OK);
    conversation_ack(&c, DIRECTION_IN);
    request(REQUEST("b"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\nGET /?s=b 200 b 31/40\n");
    assert_int_equal(counts("yo", DIRECTION_IN)->payload, 32);
}

static void data_in_the_syn_may_be_refused(void **state)
{
    (void)state;
    conversation_packet(&c, DIRECTION_IN,
                        &(struct conversation_packet){
                            .flags = TCP_SYN,
                            .seq = c.end[DIRECTION_IN].seq,
                            .payload = BYTES(REQUEST("yo")),
                        });
    conversation_miss(&c, DIRECTION_IN, 1);
    conversation_syn_ack(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_IN)->retransmitted, 32);
}

static void handshake_may_be_repeated(void **state)
{
    (void)state;
    conversation_syn(&c);
    c.end[DIRECTION_IN].seq--;
    conversation_syn(&c);
    conversation_syn_ack(&c);
    c.end[DIRECTION_OUT].seq--;
    conversation_syn_ack(&c);
    conversation_ack(&c, DIRECTION_IN);
    request(REQUEST("yo"));
    c.end[DIRECTION_OUT].seq--;
    conversation_syn_ack(&c);
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
}

static void flood_of_syns_costs_no_session(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    struct conversation attacker;
    for (uint32_t i = 0; i < 100000; i++) {
        conversation_init(&attacker, &t.sink, (uint16_t)i, i * 77);
        attacker.end[DIRECTION_IN].address = i >> 16 ? "10.9.0.1" : "10.9.0.2";
        conversation_syn(&attacker);
        conversation_syn_ack(&attacker);
    }
    AUTO(report_free) struct report *r = engine_report(t.engine, 0);
    assert_int_equal(r->gauges_delta.sessions, 1);
    assert_in_range(r->gauges_delta.pending_bytes, 0, 20000 * 80);
    ledger_add(t.ledger, r);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->replies[1], 2);
    assert_int_equal(trial_interface(&t)->sessions_evicted, 0);
    assert_int_not_equal(trial_interface(&t)->untracked_bytes, 0);
}

static void first_segment_may_come_second(void **state)
{
    (void)state;
    conversation_open(&c);
    conversation_send_at(&c, DIRECTION_IN, 5, bytes_make(REQUEST("yo") + 5, 27));
    conversation_send(&c, DIRECTION_IN, bytes_make(REQUEST("yo"), 5));
    conversation_miss(&c, DIRECTION_IN, 27);
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
}

static void first_segment_of_what_is_not_http_may_come_second(void **state)
{
    (void)state;
    conversation_open(&c);
    conversation_send_at(&c, DIRECTION_IN, 3, BYTES("hello"));
    conversation_send(&c, DIRECTION_IN, BYTES("\x16\x03\x01"));
    conversation_miss(&c, DIRECTION_IN, 5);
    reply("\x16\x03\x03");
    conversation_close(&c);
    trial_finish(&t);
    assert_nothing_was_http();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connection_joined_in_the_middle_begins_at_its_next_message),
        TEST(connection_joined_before_a_reply_makes_it_unknown),
        TEST(connection_joined_inside_a_head_waits_for_the_next),
        TEST(syn_ack_alone_tells_who_is_the_server),
        TEST(syn_alone_tells_who_is_the_client),
        TEST(data_in_the_syn_is_payload),
        TEST(data_in_the_syn_may_be_refused),
        TEST(handshake_may_be_repeated),
        TEST(flood_of_syns_costs_no_session),
        TEST(first_segment_may_come_second),
        TEST(first_segment_of_what_is_not_http_may_come_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
