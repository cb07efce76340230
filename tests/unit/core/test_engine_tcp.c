#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/dialogue.h"

/* --- order -------------------------------------------------------------------- */

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

/* --- holes ---------------------------------------------------------------------- */

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

/* --- snap length ------------------------------------------------------------------ */

static void cut_packets_count_in_full(void **state)
{
    (void)state;
    for (uint32_t snap = 40; snap < 130; snap++) {
        conversation_open(&c);
        c.snap_bytes = snap;
        request("GET /?s=yo HTTP/1.1\r\nHost: h\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n");
        reply("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
              "012345678901234567890123456789012345678901234567890123456789");
        request("GET /?s=yo HTTP/1.1\r\nHost: h\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n");
        reply("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
              "012345678901234567890123456789012345678901234567890123456789");
        conversation_close(&c);
        trial_finish(&t);
        if (snap >= 40 + 21) {
            assert_told("GET /?s=yo 200 yo 72/99\nGET /?s=yo 200 yo 72/99\n");
            assert_all_went_to("yo");
        }
        again(&(struct trial_options){0});
    }
}

/* --- the beginning ------------------------------------------------------------------ */

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

/* --- links ----------------------------------------------------------------------------------- */

static void ipv6_counts_its_longer_header(void **state)
{
    (void)state;
    c.end[DIRECTION_IN].address = "fd00::2";
    c.end[DIRECTION_OUT].address = "fd00::1";
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_IN)->bytes, 32 + 60);
}

static void vlans_keep_the_same_addresses_apart(void **state)
{
    (void)state;
    struct conversation other;
    conversation_init(&other, &t.sink, 41000, 5000);
    c.vlan = 7;
    other.vlan = 8;
    conversation_open(&c);
    conversation_open(&other);
    request(REQUEST("a"));
    conversation_send_text(&other, DIRECTION_IN, REQUEST("b"));
    conversation_send_text(&other, DIRECTION_OUT, REPLY_OK);
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    trial_finish(&t);
    assert_told("GET /?s=b 200 b 31/40\nGET /?s=a 404 a 31/37\n");
}

static void super_packet_counts_as_its_segments(void **state)
{
    (void)state;
    static uint8_t body[10000];
    conversation_open(&c);
    request(REQUEST("yo"));
    reply("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
    c.gso_size = 1448;
    conversation_send(&c, DIRECTION_OUT, bytes_make(body, sizeof(body)));
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/10042\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_OUT)->packets, 8);
    assert_int_equal(counts("yo", DIRECTION_OUT)->bytes, 10042 + 8 * HEADERS);
}

static void fragments_make_one_segment(void **state)
{
    (void)state;
    conversation_open(&c);
    struct frame_spec spec = {
        .source = "10.0.0.2",
        .destination = "10.0.0.1",
        .source_port = 41000,
        .destination_port = 80,
        .seq = c.end[DIRECTION_IN].seq,
        .ack = c.end[DIRECTION_IN].ack,
        .flags = TCP_ACK,
        .payload = BYTES(REQUEST("yo")),
    };
    uint8_t segment[200], packet[200];
    size_t size = frame_build_segment(&spec, segment, sizeof(segment));
    for (size_t start = 0; start < size; start += 24) {
        struct bytes data = bytes_make(segment + start, MIN(size - start, (size_t)24));
        struct fragment_spec fragment = {
            .id = 9, .offset = (uint16_t)start, .more = start + 24 < size};
        size_t bytes = frame_build_fragment(&spec, &fragment, data, packet, sizeof(packet));
        struct frame f = frame_of(bytes_make(packet, bytes), t.sink.now_ns);
        engine_frame(t.engine, &f);
    }
    conversation_miss(&c, DIRECTION_IN, 32);
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_int_equal(counts("yo", DIRECTION_IN)->bytes, 3 * 20 + 20 + 32);
    assert_int_equal(counts("yo", DIRECTION_IN)->packets, 3);
}

static void fragments_that_stay_alone_are_untracked(void **state)
{
    (void)state;
    struct frame_spec spec = {.source = "10.0.0.2", .destination = "10.0.0.1", .flags = TCP_ACK};
    struct fragment_spec fragment = {.id = 1, .offset = 64, .more = true};
    uint8_t packet[200];
    size_t size = frame_build_fragment(&spec, &fragment, BYTES("01234567"), packet, sizeof(packet));
    struct frame f = frame_of(bytes_make(packet, size), t.sink.now_ns);
    engine_frame(t.engine, &f);
    engine_expire(t.engine, t.sink.now_ns + 31 * SECOND_NS);
    trial_report(&t);
    assert_int_equal(trial_interface(&t)->untracked_bytes, 28);
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->tcp_bytes, 28);
}

static void other_ports_are_not_counted(void **state)
{
    (void)state;
    again(&(struct trial_options){.port = 80});
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    uint64_t bytes = 3 * HEADERS + 32 + 40 + 2 * HEADERS;
    c.end[DIRECTION_OUT].port = 81;
    conversation_open(&c);
    request(REQUEST("yo"));
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->tcp_bytes, bytes);
}

/* --- limits ------------------------------------------------------------------------------------
 */

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
        TEST(segments_in_any_order_give_the_same),
        TEST(sequence_numbers_wrap_anywhere),
        TEST(retransmission_is_no_new_payload),
        TEST(retransmission_may_reach_beyond_what_was_there),
        TEST(early_segments_may_overlap),
        TEST(retransmission_of_an_old_message_goes_to_the_last_one),
        TEST(reply_that_does_not_acknowledge_a_request_does_not_answer_it),
        TEST(keep_alive_probes_are_no_payload),
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
        TEST(cut_packets_count_in_full),
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
        TEST(ipv6_counts_its_longer_header),
        TEST(vlans_keep_the_same_addresses_apart),
        TEST(super_packet_counts_as_its_segments),
        TEST(fragments_make_one_segment),
        TEST(fragments_that_stay_alone_are_untracked),
        TEST(other_ports_are_not_counted),
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
