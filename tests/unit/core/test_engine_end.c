#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/dialogue.h"

/* --- the end ---------------------------------------------------------------------------- */

static void late_packets_belong_to_the_connection(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    conversation_close(&c);
    conversation_ack(&c, DIRECTION_IN);
    conversation_ack(&c, DIRECTION_OUT);
    conversation_send_at(&c, DIRECTION_OUT, -41, BYTES(REPLY_OK));
    c.end[DIRECTION_OUT].seq--;
    conversation_fin(&c, DIRECTION_OUT);
    t.sink.now_ns += SECOND_NS;
    engine_expire(t.engine, t.sink.now_ns);
    conversation_ack(&c, DIRECTION_IN);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_OUT)->payload, 40);
    assert_int_equal(counts("yo", DIRECTION_OUT)->retransmitted, 40);
}

static void closed_connection_is_forgotten_soon(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    conversation_close(&c);
    t.sink.now_ns += 4 * SECOND_NS;
    engine_expire(t.engine, t.sink.now_ns);
    conversation_ack(&c, DIRECTION_IN);
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->not_http_bytes, HEADERS);
}

static void reset_ends_all_that_was_under_way(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a") REQUEST("b"));
    reply("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    conversation_reset(&c, DIRECTION_IN);
    assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 0 b 31/0\n");
    conversation_send(&c, DIRECTION_OUT, BYTES("late"));
    conversation_reset(&c, DIRECTION_IN);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "b")->unanswered, 1);
    assert_int_equal(trial_interface(&t)->not_http_bytes, 0);
}

static void reset_before_payload_is_not_http(void **state)
{
    (void)state;
    conversation_open(&c);
    conversation_reset(&c, DIRECTION_OUT);
    conversation_ack(&c, DIRECTION_IN);
    trial_finish(&t);
    assert_nothing_was_http();
}

static void reset_far_outside_ends_nothing(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    conversation_packet(&c, DIRECTION_OUT,
                        &(struct conversation_packet){
                            .flags = TCP_RST,
                            .seq = c.end[DIRECTION_OUT].seq + (1u << 30),
                        });
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
}

static void fin_far_outside_ends_nothing(void **state)
{
    (void)state;
    static const uint32_t offsets[] = {1u << 30, 0u - 5, 0u - (1u << 30), 1u << 31};
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        conversation_open(&c);
        request(REQUEST("a"));
        reply(REPLY_OK);
        for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++)
            conversation_packet(&c, d,
                                &(struct conversation_packet){
                                    .flags = TCP_FIN | TCP_ACK,
                                    .seq = c.end[d].seq + offsets[i],
                                    .ack = c.end[d].ack,
                                });
        request(REQUEST("b"));
        reply(REPLY_OK);
        conversation_close(&c);
        assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 200 b 31/40\n");
        trial_finish(&t);
        again(&(struct trial_options){0});
    }
}

static void client_may_close_its_half_first(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    conversation_fin(&c, DIRECTION_IN);
    conversation_ack(&c, DIRECTION_OUT);
    reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    reply("0123456789");
    conversation_fin(&c, DIRECTION_OUT);
    conversation_ack(&c, DIRECTION_IN);
    assert_told("GET /?s=yo 200 yo 32/49\n");
    trial_finish(&t);
    assert_all_went_to("yo");
}

static void fin_may_come_before_the_last_segment(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    uint32_t seq = c.end[DIRECTION_OUT].seq;
    conversation_miss(&c, DIRECTION_OUT, 38);
    conversation_fin(&c, DIRECTION_OUT);
    c.end[DIRECTION_IN].ack = seq;
    conversation_ack(&c, DIRECTION_IN);
    conversation_send_at(&c, DIRECTION_OUT, -39,
                         BYTES("HTTP/1.0 200 OK\r\n\r\n0123456789012345678"));
    c.end[DIRECTION_IN].ack = c.end[DIRECTION_OUT].seq;
    conversation_fin(&c, DIRECTION_IN);
    conversation_ack(&c, DIRECTION_OUT);
    assert_told("GET /?s=yo 200 yo 32/38\n");
    trial_finish(&t);
    assert_all_went_to("yo");
    assert_int_equal(trial_interface(&t)->gaps, 0);
}

static void fin_and_payload_may_be_one_packet(void **state)
{
    (void)state;
    conversation_open(&c);
    conversation_packet(&c, DIRECTION_IN,
                        &(struct conversation_packet){
                            .flags = TCP_FIN | TCP_ACK,
                            .seq = c.end[DIRECTION_IN].seq,
                            .ack = c.end[DIRECTION_IN].ack,
                            .payload = BYTES(REQUEST("yo")),
                        });
    conversation_miss(&c, DIRECTION_IN, 33);
    conversation_packet(&c, DIRECTION_OUT,
                        &(struct conversation_packet){
                            .flags = TCP_FIN | TCP_ACK,
                            .seq = c.end[DIRECTION_OUT].seq,
                            .ack = c.end[DIRECTION_OUT].ack,
                            .payload = BYTES("HTTP/1.0 200 OK\r\n\r\n"),
                        });
    assert_told("GET /?s=yo 200 yo 32/19\n");
    trial_finish(&t);
    assert_all_went_to("yo");
}

/* --- the same ends again ---------------------------------------------------------------- */

static void ends_used_again_after_the_close_are_another_connection(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        conversation_init(&c, &t.sink, 41000, 1000 + i * 100000);
        conversation_open(&c);
        request(REQUEST("a"));
        reply(REPLY_OK);
        conversation_close(&c);
    }
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/40\nGET /?s=a 200 a 31/40\nGET /?s=a 200 a 31/40\n");
    assert_int_equal(counts("a", DIRECTION_IN)->control, 3 * (OPEN_IN + CLOSE_IN));
    assert_int_equal(counts("a", DIRECTION_IN)->payload, 3 * 31);
    assert_int_equal(counts("a", DIRECTION_IN)->retransmitted, 0);
}

static void ends_used_again_while_open_end_the_old_connection(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    conversation_init(&c, &t.sink, 41000, 77777);
    conversation_open(&c);
    assert_told("GET /?s=a 0 a 31/0\n");
    request(REQUEST("b"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=a 0 a 31/0\nGET /?s=b 200 b 31/40\n");
    assert_int_equal(counts("b", DIRECTION_IN)->control, OPEN_IN + CLOSE_IN);
}

static void ends_used_again_for_something_else(void **state)
{
    (void)state;
    conversation_open(&c);
    request("\x16\x03\x01");
    conversation_close(&c);
    conversation_init(&c, &t.sink, 41000, 77777);
    conversation_open(&c);
    request(REQUEST("b"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_report(&t);
    assert_told("GET /?s=b 200 b 31/40\n");
    assert_all_went_to("b");
    conversation_init(&c, &t.sink, 41000, 99999);
    conversation_open(&c);
    request("\x16\x03\x01");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=b 200 b 31/40\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(late_packets_belong_to_the_connection),
        TEST(closed_connection_is_forgotten_soon),
        TEST(reset_ends_all_that_was_under_way),
        TEST(reset_before_payload_is_not_http),
        TEST(reset_far_outside_ends_nothing),
        TEST(fin_far_outside_ends_nothing),
        TEST(client_may_close_its_half_first),
        TEST(fin_may_come_before_the_last_segment),
        TEST(fin_and_payload_may_be_one_packet),
        TEST(ends_used_again_after_the_close_are_another_connection),
        TEST(ends_used_again_while_open_end_the_old_connection),
        TEST(ends_used_again_for_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
