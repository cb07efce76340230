#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/dialogue.h"

static void hole_in_a_body_that_is_acknowledged_counts_as_payload(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    conversation_miss(&c, DIRECTION_OUT, 900);
    conversation_ack(&c, DIRECTION_IN);
    conversation_send(&c, DIRECTION_OUT, bytes_make((uint8_t[100]){0}, 100));
    request(REQUEST("b"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/1041\nGET /?s=b 200 b 31/40\n");
    assert_int_equal(counts("yo", DIRECTION_OUT)->payload, 1041);
    assert_int_equal(counts("yo", DIRECTION_OUT)->bytes, 141 + 2 * HEADERS);
    assert_int_equal(trial_interface(&t)->gaps, 1);
}

/* All but a byte every 200 MiB is missed, so that it does not take long. */
static uint64_t send_huge_body(enum direction d, unsigned pieces)
{
    for (unsigned i = 0; i < pieces; i++) {
        conversation_miss(&c, d, 200 << 20);
        conversation_ack(&c, !d);
        conversation_send(&c, d, BYTES("x"));
    }
    return (uint64_t)pieces * ((200 << 20) + 1);
}

static void messages_may_be_longer_than_half_the_sequence_space(void **state)
{
    (void)state;
    for (unsigned pieces = 9; pieces < 32; pieces += 3) { /* 1.8 to 6.3 GB */
        char head[100];
        uint64_t size = (uint64_t)pieces * ((200 << 20) + 1);
        conversation_open(&c);
        reply("HTTP/1.1 408 N\r\nContent-Length: 0\r\n\r\n");
        snprintf(head, sizeof(head), "PUT /?s=a HTTP/1.1\r\nContent-Length: %llu\r\n\r\n",
                 (unsigned long long)size);
        request(head);
        assert_int_equal(send_huge_body(DIRECTION_IN, pieces), size);
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
                 (unsigned long long)size);
        reply(head);
        send_huge_body(DIRECTION_OUT, pieces);
        conversation_send_at(&c, DIRECTION_OUT, -1, BYTES("x"));
        request(REQUEST("b"));
        reply(REPLY_OK);
        conversation_close(&c);
        trial_finish(&t);
        assert_int_equal(trial_service(&t, "a")->replies[1], 1);
        assert_int_equal(trial_service(&t, "a")->unanswered, 0);
        assert_int_equal(trial_service(&t, "b")->replies[1], 1);
        assert_int_equal(t.transactions[1].payload[DIRECTION_IN] / (200 << 20), pieces);
        assert_int_equal(t.transactions[1].payload[DIRECTION_OUT] / (200 << 20), pieces);
        assert_int_equal(t.transactions[1].ip_bytes[DIRECTION_OUT],
                         counts("a", DIRECTION_OUT)->bytes);
        again(&(struct trial_options){0});
    }
}

static void hole_that_fills_is_none(void **state)
{
    (void)state;
    static const uint8_t body[1000];
    conversation_open(&c);
    request(REQUEST("yo"));
    reply("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    conversation_send_at(&c, DIRECTION_OUT, 900, bytes_make(body, 100));
    conversation_ack(&c, DIRECTION_IN);
    conversation_ack(&c, DIRECTION_IN);
    conversation_send(&c, DIRECTION_OUT, bytes_make(body, 900));
    conversation_miss(&c, DIRECTION_OUT, 100);
    conversation_ack(&c, DIRECTION_IN);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/1041\n");
    assert_int_equal(trial_interface(&t)->gaps, 0);
}

static void hole_that_nobody_acknowledged_is_no_payload(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    conversation_ack(&c, DIRECTION_IN);
    conversation_send_at(&c, DIRECTION_OUT, 900, bytes_make((uint8_t[100]){0}, 100));
    conversation_ack(&c, DIRECTION_IN);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/141\n");
    assert_int_equal(counts("yo", DIRECTION_OUT)->payload, 141);
    assert_int_equal(trial_interface(&t)->gaps, 1);
}

/* Miss the first, the second, ... segment of a few messages on their way. */
static void any_missing_segment_leaves_the_next_message_whole(void **state)
{
    (void)state;
    static const char *const in[] = {
        "GET /?s=a HTTP/1.1\r\n",
        "Host: h\r\n\r\n",
        "POST /?s=b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "PUT /?s=c HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
        "abc",
    };
    for (size_t missing = 0; missing < ARRAY_SIZE(in); missing++) {
        conversation_open(&c);
        for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
            if (i == missing)
                conversation_miss(&c, DIRECTION_IN, strlen(in[i]));
            else
                request(in[i]);
            conversation_ack(&c, DIRECTION_OUT);
            if (i == 1 || i == 4 || i == 6)
                reply(REPLY_OK);
        }
        request(REQUEST("last"));
        reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
        conversation_close(&c);
        trial_finish(&t);
        assert_int_equal(trial_service(&t, "last")->requests, 1);
        assert_int_equal(trial_service(&t, "last")->replies[3], 1);
        assert_int_equal(trial_service(&t, "last")->unanswered, 0);
        if (missing > 0) /* otherwise nobody knows what the first one was */
            assert_int_equal(trial_interface(&t)->not_http_bytes, 0);
        again(&(struct trial_options){0});
    }
}

static void missing_reply_does_not_shift_those_behind_it(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    conversation_miss(&c, DIRECTION_OUT, 40);
    conversation_ack(&c, DIRECTION_IN);
    request(REQUEST("b"));
    reply(REPLY_OK);
    request(REQUEST("c"));
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    trial_finish(&t);
    assert_told("GET /?s=a 0 a 31/0\nGET /?s=b 200 b 31/40\nGET /?s=c 404 c 31/37\n");
}

static void missing_request_makes_its_reply_unknown(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    reply(REPLY_OK);
    conversation_miss(&c, DIRECTION_IN, 31);
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    request(REQUEST("c"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 62/40\n- - 404 _unknown 0/37\nGET /?s=c 200 c 31/40\n");
}

static void request_that_is_seen_after_its_reply_gets_no_other(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    reply(REPLY_OK);
    conversation_miss(&c, DIRECTION_IN, 31);
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    conversation_send_at(&c, DIRECTION_IN, -31, BYTES(REQUEST("b")));
    request(REQUEST("c"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 0 b 31/0\n"
                "- - 404 _unknown 0/37\nGET /?s=c 200 c 31/40\n");
}

static void reply_that_is_misread_does_not_shift_those_behind_it(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    reply("no chunk");
    request(REQUEST("b"));
    reply("TTP/1.1 200 OK\r\n\r\n");
    request(REQUEST("c"));
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/73\nGET /?s=b 0 b 31/0\nGET /?s=c 404 c 31/37\n");
}

static void reply_that_tells_of_a_missing_request_makes_it_http(void **state)
{
    (void)state;
    conversation_open(&c);
    conversation_send_at(&c, DIRECTION_IN, 6, BYTES("s=yo HTTP/1.1\r\n\r\n"));
    conversation_miss(&c, DIRECTION_IN, 23);
    reply("HTTP/1.1 200 OK\r\nContent-Length: ");
    reply("2\r\n\r\nok");
    trial_finish(&t);
    assert_told("- - 200 _unknown 0/40\n");
    assert_all_went_to("_unknown");
}

static void hole_at_the_end_is_seen_at_the_fin(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply("HTTP/1.1 200 OK\r\n\r\n");
    conversation_miss(&c, DIRECTION_OUT, 500);
    conversation_fin(&c, DIRECTION_OUT);
    conversation_fin(&c, DIRECTION_IN);
    conversation_ack(&c, DIRECTION_OUT);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/519\n");
    assert_all_went_to("yo");
}

static void segments_far_outside_are_counted_but_not_followed(void **state)
{
    (void)state;
    static const int32_t offsets[] = {1 << 29, INT32_MAX - 100, INT32_MIN, -(1 << 30)};
    conversation_open(&c);
    request(REQUEST("yo"));
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
        conversation_send_at(&c, DIRECTION_IN, offsets[i], BYTES(REQUEST("evil")));
    reply(REPLY_OK);
    request(REQUEST("b"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\nGET /?s=b 200 b 31/40\n");
    assert_int_equal(counts("yo", DIRECTION_IN)->bytes + counts("b", DIRECTION_IN)->bytes,
                     c.end[DIRECTION_IN].sent.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hole_in_a_body_that_is_acknowledged_counts_as_payload),
        TEST(messages_may_be_longer_than_half_the_sequence_space),
        TEST(hole_that_fills_is_none),
        TEST(hole_that_nobody_acknowledged_is_no_payload),
        TEST(any_missing_segment_leaves_the_next_message_whole),
        TEST(missing_reply_does_not_shift_those_behind_it),
        TEST(missing_request_makes_its_reply_unknown),
        TEST(request_that_is_seen_after_its_reply_gets_no_other),
        TEST(reply_that_is_misread_does_not_shift_those_behind_it),
        TEST(reply_that_tells_of_a_missing_request_makes_it_http),
        TEST(hole_at_the_end_is_seen_at_the_fin),
        TEST(segments_far_outside_are_counted_but_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
