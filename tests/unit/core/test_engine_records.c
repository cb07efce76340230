/*
 * What an engine makes of single records of the filter, and what it orders.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "support/trial.h"

/* A trial, a conversation with its engine, and what was ordered. */
struct scene {
    struct trial trial;
    struct conversation c;
    unsigned order_count;
    struct flow flow; /* of the last order */
    struct filter_order order;
};

static void note_order(void *context, const struct flow *flow, const struct filter_order *order)
{
    struct scene *s = context;
    s->order_count++;
    s->flow = *flow;
    s->order = *order;
}

static int set_up(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof(s));
    trial_init(&s.trial, &(struct trial_options){.offload = {&s, note_order}});
    conversation_init(&s.c, &s.trial.sink, 2000, 100000);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    trial_deinit(&s->trial);
    return 0;
}

/* The flow of the conversation: the server, 10.0.0.1, is side 0. */
static struct flow flow_of(const struct scene *s)
{
    struct flow flow = {.port = {htons(80), htons(s->c.end[DIRECTION_IN].port)}};
    for (unsigned side = 0; side < 2; side++)
        memcpy(flow.address[side],
               (const uint8_t[]){[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)(1 + side)}, 16);
    return flow;
}

enum { SERVER_SIDE, CLIENT_SIDE };

/* The filter kept @size bytes of body in one packet, in all. */
static void tell_body(struct scene *s, uint32_t end_seq, uint32_t size)
{
    struct filter_record r = {
        .flow = flow_of(s),
        .side = SERVER_SIDE,
        .kept = {.bytes = 40 + size, .packets = 1, .end_seq = end_seq, .payload = size},
    };
    engine_kept(s->trial.engine, &r);
}

static void tell_control(struct scene *s, unsigned side, uint64_t bytes)
{
    struct filter_record r = {
        .flow = flow_of(s), .side = (uint16_t)side, .kept = {.control = bytes}};
    engine_kept(s->trial.engine, &r);
}

static void ask_for(struct scene *s, const char *target)
{
    char request[128];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n\r\n", target);
    conversation_send_text(&s->c, DIRECTION_IN, request);
}

static const struct direction_counts *counts_out(struct scene *s, const char *service)
{
    return &trial_service(&s->trial, service)->direction[DIRECTION_OUT];
}

/* --- records -------------------------------------------------------------------- */

static void record_before_its_connection_waits_for_it(void **state)
{
    struct scene *s = *state;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    uint32_t head_seq = s->c.end[DIRECTION_OUT].seq + 1;
    tell_body(s, head_seq + sizeof(head) - 1 + 5000, 5000);
    conversation_open(&s->c);
    trial_report(&s->trial);
    assert_int_equal(ledger_interface(s->trial.ledger, 0)->gauges.pending_bytes, 5040 + 3 * 40);
    ask_for(s, "/?s=yo");
    conversation_send_text(&s->c, DIRECTION_OUT, head);
    trial_report(&s->trial);
    assert_int_equal(counts_out(s, "yo")->payload, sizeof(head) - 1 + 5000);
    assert_int_equal(counts_out(s, "yo")->packets, 2);
    trial_finish(&s->trial);
}

/* Late packets of the one before may still come; what is kept is of the next. */
static void record_behind_a_connection_that_has_ended_waits_for_the_next(void **state)
{
    struct scene *s = *state;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    conversation_open(&s->c);
    ask_for(s, "/?s=old");
    conversation_send_text(&s->c, DIRECTION_OUT, "HTTP/1.1 204 No Content\r\n\r\n");
    conversation_close(&s->c);
    conversation_init(&s->c, &s->trial.sink, 2000, 900000);
    tell_body(s, s->c.end[DIRECTION_OUT].seq + 1 + sizeof(head) - 1 + 5000, 5000);
    conversation_open(&s->c);
    ask_for(s, "/?s=new");
    conversation_send_text(&s->c, DIRECTION_OUT, head);
    trial_finish(&s->trial);
    assert_int_equal(counts_out(s, "old")->payload, 27);
    assert_int_equal(counts_out(s, "new")->payload, sizeof(head) - 1 + 5000);
}

/* Its place was taken for a hole, as the other end had acknowledged what is behind it. */
static void record_that_comes_late_is_no_retransmission(void **state)
{
    struct scene *s = *state;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";
    static const char body[1000];
    conversation_open(&s->c);
    ask_for(s, "/?s=yo");
    conversation_send_text(&s->c, DIRECTION_OUT, head);
    uint32_t begin = s->c.end[DIRECTION_OUT].seq;
    s->c.end[DIRECTION_OUT].seq += 2000;
    conversation_send(&s->c, DIRECTION_OUT, bytes_make(body, 1000));
    ask_for(s, "/?s=next");
    tell_body(s, begin + 2000, 2000);
    trial_finish(&s->trial);
    assert_int_equal(counts_out(s, "yo")->payload, sizeof(head) - 1 + 3000);
    assert_int_equal(counts_out(s, "yo")->retransmitted, 0);
    assert_int_equal(counts_out(s, "yo")->bytes, 3 * 40 + sizeof(head) - 1 + 3000);
}

static void record_of_a_flow_that_never_comes_is_unknown(void **state)
{
    struct scene *s = *state;
    tell_body(s, 7000, 5000);
    for (int seconds = 0; seconds < 2; seconds++) {
        engine_expire(s->trial.engine, s->trial.sink.now_ns);
        trial_report(&s->trial);
    }
    assert_int_equal(counts_out(s, "_unknown")->bytes, 5040);
    trial_finish(&s->trial);
}

static void what_waits_for_a_flow_that_is_not_http_is_not_http(void **state)
{
    struct scene *s = *state;
    tell_control(s, CLIENT_SIDE, 80);
    conversation_open(&s->c);
    conversation_send_text(&s->c, DIRECTION_IN, "\x16\x03\x01");
    trial_report(&s->trial);
    assert_int_equal(trial_interface(&s->trial)->not_http_bytes, 80 + 3 * 40 + 43);
    tell_control(s, CLIENT_SIDE, 120);
    trial_report(&s->trial);
    assert_int_equal(trial_interface(&s->trial)->not_http_bytes, 120 + 3 * 40 + 43);
    trial_finish(&s->trial);
}

static void what_was_kept_counts_as_seen(void **state)
{
    struct scene *s = *state;
    tell_body(s, 7000, 5000);
    tell_control(s, CLIENT_SIDE, 80);
    const struct filter_counts *seen = engine_seen(s->trial.engine);
    assert_int_equal(seen->of[FILTER_KEPT_OUT].bytes, 5040);
    assert_int_equal(seen->of[FILTER_KEPT_OUT].packets, 1);
    assert_int_equal(seen->of[FILTER_KEPT_IN].control, 80);
    trial_finish(&s->trial);
}

/* The counts were read between the two halves of a change. */
static void range_that_is_told_after_its_bytes_is_no_gap(void **state)
{
    struct scene *s = *state;
    conversation_open(&s->c);
    ask_for(s, "/?s=yo");
    conversation_send_text(&s->c, DIRECTION_OUT, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    struct filter_record half = {
        .flow = flow_of(s), .side = SERVER_SIDE, .kept = {.bytes = 5040, .packets = 1}};
    half.kept.end_seq = s->c.end[DIRECTION_OUT].seq;
    engine_kept(s->trial.engine, &half);
    conversation_miss(&s->c, DIRECTION_OUT, 5000);
    tell_body(s, s->c.end[DIRECTION_OUT].seq, 5000);
    conversation_close(&s->c);
    trial_finish(&s->trial);
    assert_int_equal(trial_interface(&s->trial)->gaps, 0);
    assert_int_equal(counts_out(s, "yo")->payload, 5041);
}

static void what_came_early_follows_on_what_was_kept_before_it(void **state)
{
    struct scene *s = *state;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 5010\r\n\r\n";
    conversation_open(&s->c);
    ask_for(s, "/?s=yo");
    conversation_send_text(&s->c, DIRECTION_OUT, head);
    uint32_t seq = s->c.end[DIRECTION_OUT].seq;
    conversation_send_at(&s->c, DIRECTION_OUT, 5000, BYTES("0123456789"));
    tell_body(s, seq + 5000, 5000);
    trial_report(&s->trial);
    assert_int_equal(counts_out(s, "yo")->payload, sizeof(head) - 1 + 5010);
    trial_finish(&s->trial);
}

/* What the filter cuts off is a body: no reply may have begun in it. */
static void body_that_was_cut_off_hides_no_reply(void **state)
{
    struct scene *s = *state;
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char rest[] = "5\r\nhello\r\n0\r\n\r\n";
    conversation_open(&s->c);
    ask_for(s, "/?s=one");
    s->c.snap_bytes = 40 + sizeof(head) - 1;
    conversation_send_text(&s->c, DIRECTION_OUT,
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    s->c.snap_bytes = 0;
    ask_for(s, "/?s=two");
    conversation_miss(&s->c, DIRECTION_OUT, sizeof(rest) - 1);
    tell_body(s, s->c.end[DIRECTION_OUT].seq, sizeof(rest) - 1);
    ask_for(s, "/?s=three");
    for (int i = 0; i < 2; i++)
        conversation_send_text(&s->c, DIRECTION_OUT, "HTTP/1.1 204 No Content\r\n\r\n");
    trial_finish(&s->trial);
    assert_int_equal(trial_service(&s->trial, "two")->unanswered, 0);
    assert_int_equal(trial_service(&s->trial, "two")->replies[1], 1);
    assert_int_equal(trial_service(&s->trial, "three")->replies[1], 1);
}

static void flow_is_known_from_its_first_packet_to_its_end(void **state)
{
    struct scene *s = *state;
    struct flow flow = flow_of(s);
    assert_false(engine_knows(s->trial.engine, &flow));
    conversation_syn(&s->c);
    assert_true(engine_knows(s->trial.engine, &flow));
    conversation_syn_ack(&s->c);
    ask_for(s, "/?s=yo");
    assert_true(engine_knows(s->trial.engine, &flow));
    trial_finish(&s->trial);
    assert_false(engine_knows(s->trial.engine, &flow));
}

static void flow_that_was_forgotten_is_counted_from_zero(void **state)
{
    struct scene *s = *state;
    struct flow flow = flow_of(s);
    tell_body(s, 7000, 5000);
    engine_finish(s->trial.engine);
    engine_forget(s->trial.engine, &flow);
    tell_body(s, 9000, 1000);
    trial_finish(&s->trial);
    assert_int_equal(counts_out(s, "_unknown")->bytes, 5040 + 1040);
}

/* --- orders ---------------------------------------------------------------------------- */

static void assert_order(const struct scene *s, unsigned side, enum filter_order_kind kind,
                         uint32_t seq)
{
    struct flow flow = flow_of(s);
    assert_memory_equal(&s->flow, &flow, sizeof(flow));
    assert_int_equal(s->order.side[side].kind, kind);
    assert_int_equal(s->order.side[side].seq, seq);
}

static void begin_reply(struct scene *s, const char *head)
{
    conversation_open(&s->c);
    ask_for(s, "/?s=yo");
    conversation_send_text(&s->c, DIRECTION_OUT, head);
}

/* Of a body whose bytes look like a reply's. */
static void send_body(struct scene *s)
{
    static const char body[4000] = "HTTP/1.1 200 OK\r\n\r\n";
    conversation_send(&s->c, DIRECTION_OUT, bytes_make(body, sizeof(body)));
}

static void body_of_length_that_is_delivered_is_ordered(void **state)
{
    struct scene *s = *state;
    begin_reply(s, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    assert_int_equal(s->order_count, 0);
    uint32_t end = s->c.end[DIRECTION_OUT].seq + 1000000;
    send_body(s);
    assert_int_equal(s->order_count, 1);
    assert_order(s, SERVER_SIDE, FILTER_ORDER_LENGTH, end);
    assert_order(s, CLIENT_SIDE, FILTER_ORDER_NONE, 0);
    send_body(s);
    assert_int_equal(s->order_count, 1);
    trial_finish(&s->trial);
}

static void short_bodies_are_not_worth_an_order(void **state)
{
    struct scene *s = *state;
    begin_reply(s, "HTTP/1.1 200 OK\r\nContent-Length: 69000\r\n\r\n");
    send_body(s);
    assert_int_equal(s->order_count, 0);
    trial_finish(&s->trial);
}

static void chunked_body_is_ordered_until_the_client_sends(void **state)
{
    struct scene *s = *state;
    begin_reply(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n");
    assert_int_equal(s->order_count, 0);
    send_body(s);
    assert_order(s, SERVER_SIDE, FILTER_ORDER_TURN, s->c.end[DIRECTION_IN].seq);
    trial_finish(&s->trial);
}

/* Its reply may begin in any packet. */
static void chunked_body_is_not_ordered_when_another_request_waits(void **state)
{
    struct scene *s = *state;
    begin_reply(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n");
    ask_for(s, "/?s=another");
    send_body(s);
    assert_int_equal(s->order_count, 0);
    trial_finish(&s->trial);
}

static void tunnel_is_ordered_both_ways(void **state)
{
    struct scene *s = *state;
    conversation_open(&s->c);
    conversation_send_text(&s->c, DIRECTION_IN, "CONNECT h:443 HTTP/1.1\r\n\r\n");
    conversation_send_text(&s->c, DIRECTION_OUT, "HTTP/1.1 200 OK\r\n\r\n");
    assert_order(s, SERVER_SIDE, FILTER_ORDER_TUNNEL, 0);
    assert_order(s, CLIENT_SIDE, FILTER_ORDER_TUNNEL, 0);
    trial_finish(&s->trial);
}

static void what_is_not_http_is_ordered_once(void **state)
{
    struct scene *s = *state;
    conversation_open(&s->c);
    for (int i = 0; i < 3; i++)
        conversation_send_text(&s->c, DIRECTION_IN, "\x16\x03\x01");
    assert_int_equal(s->order_count, 1);
    assert_order(s, SERVER_SIDE, FILTER_ORDER_TUNNEL, 0);
    assert_order(s, CLIENT_SIDE, FILTER_ORDER_TUNNEL, 0);
    trial_finish(&s->trial);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(record_before_its_connection_waits_for_it),
        TEST(record_behind_a_connection_that_has_ended_waits_for_the_next),
        TEST(record_that_comes_late_is_no_retransmission),
        TEST(record_of_a_flow_that_never_comes_is_unknown),
        TEST(what_waits_for_a_flow_that_is_not_http_is_not_http),
        TEST(what_was_kept_counts_as_seen),
        TEST(range_that_is_told_after_its_bytes_is_no_gap),
        TEST(what_came_early_follows_on_what_was_kept_before_it),
        TEST(body_that_was_cut_off_hides_no_reply),
        TEST(flow_is_known_from_its_first_packet_to_its_end),
        TEST(flow_that_was_forgotten_is_counted_from_zero),
        TEST(body_of_length_that_is_delivered_is_ordered),
        TEST(short_bodies_are_not_worth_an_order),
        TEST(chunked_body_is_ordered_until_the_client_sends),
        TEST(chunked_body_is_not_ordered_when_another_request_waits),
        TEST(tunnel_is_ordered_both_ways),
        TEST(what_is_not_http_is_ordered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
