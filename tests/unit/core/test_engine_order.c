#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/dialogue.h"

static void segments_in_any_order_give_the_same(void **state)
{
    (void)state;
    static const unsigned orders[][3] = {
        {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
    };
    static const struct bytes in = BYTES(REQUEST("yo"));
    static const struct bytes out = BYTES(REPLY_OK);
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
        conversation_open(&c);
        for (size_t k = 0; k < 3; k++) {
            uint32_t start = orders[i][k] * 10;
            size_t size = orders[i][k] == 2 ? in.size - 20 : 10;
            conversation_send_at(&c, DIRECTION_IN, (int32_t)start,
                                 bytes_make(in.data + start, size));
        }
        conversation_miss(&c, DIRECTION_IN, in.size);
        conversation_ack(&c, DIRECTION_OUT);
        for (size_t k = 0; k < 3; k++) {
            uint32_t start = orders[i][k] * 13;
            size_t size = orders[i][k] == 2 ? out.size - 26 : 13;
            conversation_send_at(&c, DIRECTION_OUT, (int32_t)start,
                                 bytes_make(out.data + start, size));
        }
        conversation_miss(&c, DIRECTION_OUT, out.size);
        conversation_close(&c);
        trial_finish(&t);
        assert_told("GET /?s=yo 200 yo 32/40\n");
        assert_all_went_to("yo");
        assert_int_equal(counts("yo", DIRECTION_IN)->retransmitted, 0);
        assert_int_equal(trial_interface(&t)->gaps, 0);
        again(&(struct trial_options){0});
    }
}

static void sequence_numbers_wrap_anywhere(void **state)
{
    (void)state;
    for (uint32_t before = 0; before < 120; before++) {
        conversation_init(&c, &t.sink, 41000, 0u - before);
        c.end[DIRECTION_OUT].seq = 0u - before;
        conversation_open(&c);
        conversation_send_at(&c, DIRECTION_IN, 10, bytes_make(REQUEST("yo") + 10, 22));
        conversation_send(&c, DIRECTION_IN, bytes_make(REQUEST("yo"), 10));
        conversation_miss(&c, DIRECTION_IN, 22);
        reply(REPLY_OK);
        request(REQUEST("b"));
        reply(REPLY_OK);
        conversation_close(&c);
        trial_finish(&t);
        assert_told("GET /?s=yo 200 yo 32/40\nGET /?s=b 200 b 31/40\n");
        assert_int_equal(trial_interface(&t)->gaps, 0);
        again(&(struct trial_options){0});
    }
}

static void retransmission_is_no_new_payload(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    conversation_send_at(&c, DIRECTION_IN, -32, BYTES(REQUEST("yo")));
    reply(REPLY_OK);
    conversation_send_at(&c, DIRECTION_OUT, -40, BYTES(REPLY_OK));
    conversation_send_at(&c, DIRECTION_IN, -32, BYTES(REQUEST("yo")));
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_IN)->payload, 32);
    assert_int_equal(counts("yo", DIRECTION_IN)->retransmitted, 64);
    assert_int_equal(counts("yo", DIRECTION_OUT)->payload, 40);
    assert_int_equal(counts("yo", DIRECTION_OUT)->retransmitted, 40);
}

static void retransmission_may_reach_beyond_what_was_there(void **state)
{
    (void)state;
    conversation_open(&c);
    conversation_send(&c, DIRECTION_IN, bytes_make(REQUEST("yo"), 12));
    conversation_send_at(&c, DIRECTION_IN, -12, BYTES(REQUEST("yo")));
    conversation_miss(&c, DIRECTION_IN, 20);
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_IN)->payload, 32);
    assert_int_equal(counts("yo", DIRECTION_IN)->retransmitted, 12);
}

static void early_segments_may_overlap(void **state)
{
    (void)state;
    static const struct bytes in = BYTES(REQUEST("yo"));
    conversation_open(&c);
    conversation_send_at(&c, DIRECTION_IN, 20, bytes_make(in.data + 20, 12));
    conversation_send_at(&c, DIRECTION_IN, 8, bytes_make(in.data + 8, 20));
    conversation_send_at(&c, DIRECTION_IN, 8, bytes_make(in.data + 8, 4));
    conversation_send_at(&c, DIRECTION_IN, 20, bytes_make(in.data + 20, 12));
    conversation_send(&c, DIRECTION_IN, bytes_make(in.data, 10));
    conversation_miss(&c, DIRECTION_IN, 22);
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_IN)->payload, 32);
    assert_int_equal(counts("yo", DIRECTION_IN)->retransmitted, 12 + 20 + 4 + 12 + 10 - 32);
}

static void retransmission_of_an_old_message_goes_to_the_last_one(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    reply(REPLY_OK);
    request(REQUEST("b"));
    conversation_send_at(&c, DIRECTION_OUT, -40, BYTES(REPLY_OK));
    reply("HTTP/1.1 200 OK\r\n");
    conversation_send_at(&c, DIRECTION_OUT, -57, BYTES(REPLY_OK));
    conversation_send_at(&c, DIRECTION_OUT, -17, BYTES("HTTP"));
    reply("Content-Length: 2\r\n\r\nok");
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 200 b 31/40\n");
    assert_int_equal(counts("a", DIRECTION_OUT)->retransmitted, 80);
    assert_int_equal(counts("b", DIRECTION_OUT)->retransmitted, 4);
}

static void reply_that_does_not_acknowledge_a_request_does_not_answer_it(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    reply(REPLY_OK);
    c.end[DIRECTION_IN].ack = c.end[DIRECTION_OUT].seq;
    uint32_t ack = c.end[DIRECTION_OUT].ack;
    request(REQUEST("b")); /* on its way when the server had enough of waiting */
    c.end[DIRECTION_OUT].ack = ack;
    reply("HTTP/1.1 408 N\r\nContent-Length: 0\r\n\r\n");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/40\n- - 408 _unknown 0/37\nGET /?s=b 0 b 31/0\n");
}

static void keep_alive_probes_are_no_payload(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    for (unsigned i = 0; i < 5; i++) {
        conversation_send_at(&c, DIRECTION_IN, -1, (struct bytes){0});
        conversation_ack(&c, DIRECTION_OUT);
        conversation_send_at(&c, DIRECTION_OUT, -1, BYTES("\0"));
        conversation_ack(&c, DIRECTION_IN);
    }
    request(REQUEST("yo"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\nGET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_OUT)->payload, 80);
    assert_int_equal(counts("yo", DIRECTION_OUT)->retransmitted, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(segments_in_any_order_give_the_same),
        TEST(sequence_numbers_wrap_anywhere),
        TEST(retransmission_is_no_new_payload),
        TEST(retransmission_may_reach_beyond_what_was_there),
        TEST(early_segments_may_overlap),
        TEST(retransmission_of_an_old_message_goes_to_the_last_one),
        TEST(reply_that_does_not_acknowledge_a_request_does_not_answer_it),
        TEST(keep_alive_probes_are_no_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
