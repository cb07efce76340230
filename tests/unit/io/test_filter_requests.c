/*
 * Which requests the filter takes for the only one under way, and what it keeps of their
 * bodies. In doubt, all is delivered.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/macros.h"
#include "support/scene.h"

/* --- what is not safe -------------------------------------------------------------- */

static void two_requests_in_a_packet_are_not_safe(void **state)
{
    struct scene *s = *state;
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, GET GET);
    scene_assert_unsafe(s);
}

static void two_requests_one_behind_the_other_are_not_safe(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    ASSERT_DELIVERED(s, CLIENT, GET);
    scene_assert_unsafe(s);
}

static void request_before_the_reply_was_received_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    scene_in_flight(s, CLIENT, 1);
    ASSERT_DELIVERED(s, CLIENT, GET);
    scene_assert_unsafe(s);
}

static void request_inside_of_a_body_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    scene_assert_unsafe(s);
}

/* What begins an upload of @body_bytes, of which nothing is in this packet. */
static void begin_upload(struct scene *s, unsigned body_bytes)
{
    static char head[128];
    snprintf(head, sizeof(head), "POST /x HTTP/1.1\r\ncontent-LENGTH: %u\r\nHost: a\r\n\r\n",
             body_bytes);
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, head);
}

static void body_of_a_request_is_kept_to_its_last_byte(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 2500);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_ACK_KEPT(s, SERVER);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 500);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_int_equal(scene_recorded(s, CLIENT)->payload, 2500);
}

static void body_may_begin_in_the_packet_of_its_head(void **state)
{
    struct scene *s = *state;
    static const char put[] = "PUT / HTTP/1.1\r\nA: content-length: 3\nContent-Length:1000 \r\n\n";
    static const char fine[] = "PUT / HTTP/1.1\r\nA: content-length: 3\nContent-Length:1000\r\n\n";
    scene_handshake(s);
    assert_int_equal(scene_send(s, CLIENT, scene_text_and_filler(put, 500)), 500);
    ASSERT_BODY_DELIVERED(s, CLIENT, 500);
    s->client_port++;
    scene_handshake(s);
    assert_int_equal(scene_send(s, CLIENT, scene_text_and_filler(fine, 500)), 500);
    ASSERT_BODY_KEPT(s, CLIENT, 500 + strlen(fine));
    scene_assert_keeps_reply(s);
    scene_assert_keeps_next_exchange(s);
}

static void request_with_its_body_in_one_packet_is_safe(void **state)
{
    struct scene *s = *state;
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "PATCH / HTTP/1.1\r\nContent-Length: 7\r\n\r\ns=yo&c=");
    scene_assert_keeps_reply(s);
    ASSERT_DELIVERED(s, CLIENT, "POST / HTTP/1.1\r\n\r\n");
    scene_assert_keeps_reply(s);
    scene_assert_keeps_next_exchange(s);
}

static void sequence_numbers_wrap_in_the_body_of_a_request(void **state)
{
    struct scene *s = *state;
    s->seq[CLIENT] = s->ack[SERVER] = UINT32_MAX - 600;
    begin_upload(s, 2000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    scene_assert_keeps_reply(s);
}

static void what_follows_a_body_is_delivered(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 7);
    ASSERT_DELIVERED(s, CLIENT, "s=yo&c=d");
    scene_assert_unsafe(s);
    s->client_port++;
    begin_upload(s, 7);
    ASSERT_BODY_KEPT(s, CLIENT, 7);
    ASSERT_DELIVERED(s, CLIENT, GET);
    scene_assert_unsafe(s);
    s->client_port++;
    scene_handshake(s);
    assert_int_equal(
        scene_send(s, CLIENT,
                   scene_text_and_filler("POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n", 100)),
        100);
    scene_assert_unsafe(s);
}

/* On a connection of its own, a request with @line and @field lets nothing be kept. */
static void assert_request_unsafe(struct scene *s, const char *line, const char *field)
{
    char head[128];
    snprintf(head, sizeof(head), "%s\r\n%s\r\n\r\n", line, field);
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, head);
    scene_assert_unsafe(s);
    s->client_port++;
}

/* Another reader might take it for longer, for shorter, or for none. */
static void body_of_doubtful_length_is_not_safe(void **state)
{
    struct scene *s = *state;
    static const char *const fields[] = {
        "Content-Length: 5\r\nContent-Length: 1000",
        "Content-Length: 1000\r\nTransfer-Encoding: chunked",
        "transfer-encoding: chunked",
        "Content-Length: 1000, 1000",
        "Content-Length: +1000",
        "Content-Length: 0x1000",
        "Content-Length:",
        "Content-Length: 1000\r\n 1000",
        "Content-Length: 10000000000",
        "Content-Length: 1000\rx",
        "Content-Length : 1000",
        "Content-Length: 1000\r\nContent-Length : 0",
        "Content\x0dLength: 1000",
        "Content-Length\x1a 1000",
        "Content-Length: 1000\r\nX:\rxTransfer-Encoding: chunked",
        "Content-Length: 1000\r\n\rX: y",
        "Content-Length: 100\r0",
        "Content-Length: \r1000",
        "Content-Lengths: 1000",
        " Content-Length: 1000",
        "\tContent-Length: 1000",
        " Transfer-Encoding: chunked",
        "A\r\nContent-Length: 1000",
        ": b\r\nContent-Length: 1000",
        "A(: b\r\nContent-Length: 1000",
        "A: \x01\r\nContent-Length: 1000",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        assert_request_unsafe(s, "POST / HTTP/1.1", fields[i]);
        assert_request_unsafe(s, "GET / HTTP/1.1", fields[i]);
    }
}

static void body_of_what_is_no_request_of_http_1_is_not_safe(void **state)
{
    struct scene *s = *state;
    static const char *const lines[] = {
        "PUB x 1",         "POST / HTTP/2.0",    "POST / HTTP/1.5", "post / HTTP/1.1",
        "POST /",          "POST /a b HTTP/1.1", "POST a HTTP/1.1", "POST  HTTP/1.1",
        "P(ST / HTTP/1.1", "POST /\x01 HTTP/1.1"};
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        assert_request_unsafe(s, lines[i], "Content-Length: 1000");
}

enum { SHIFTS = 12 }; /* two windows of the scan */

/* A body that looks like a request must not be taken for one, whatever the method. */
static void body_of_any_method_is_kept_as_a_body(void **state)
{
    struct scene *s = *state;
    static const char trap[] = "POST / HTTP/1.1\r\nContent-Length: 90000000\r\n\r\n";
    for (int shift = 1; shift <= SHIFTS; shift++) {
        char head[128];
        snprintf(head, sizeof(head), "GET /%0*d HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", shift, 0,
                 strlen(trap));
        scene_handshake(s);
        ASSERT_DELIVERED(s, CLIENT, head);
        scene_assert_keeps_reply(s);
        assert_int_equal(scene_say(s, CLIENT, trap), DROPPED);
        ASSERT_DELIVERED(s, CLIENT, GET);
        s->client_port++;
    }
}

static void request_with_a_lone_carriage_return_is_not_safe(void **state)
{
    struct scene *s = *state;
    for (int shift = 1; shift <= SHIFTS; shift++) {
        char line[128];
        snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1\r\nA: b\r\n\rXGET /2 HTTP/1.1", shift, 0);
        assert_request_unsafe(s, line, "B: c");
        snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1", shift, 0);
        assert_request_unsafe(s, line, "A: b\r");
        assert_request_unsafe(s, line, " A: b");
    }
}

/* Its fields begin like those that tell of a body. */
static void request_of_a_browser_is_as_safe_as_a_short_one(void **state)
{
    struct scene *s = *state;
    for (int shift = 1; shift <= SHIFTS; shift++) {
        char head[256];
        snprintf(head, sizeof(head),
                 "GET /%0*d HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n"
                 "Cache-Control: no-cache\r\nCookie: a=b\r\nC: d\r\nT: u\r\nTE: trailers\r\n\r\n",
                 shift, 0);
        scene_handshake(s);
        ASSERT_DELIVERED(s, CLIENT, head);
        scene_assert_keeps_reply(s);
        scene_assert_keeps_next_exchange(s);
        s->client_port++;
    }
}

/* A SYN with @payload; the first of @who, or that once more. */
static void send_syn(struct scene *s, enum who who, uint32_t seq, struct bytes payload)
{
    struct frame_spec syn = scene_spec(s, who, payload);
    syn.flags = who == CLIENT ? TCP_SYN : TCP_SYN | TCP_ACK;
    syn.seq = seq;
    assert_int_equal(scene_send_spec(s, &syn), payload.size);
}

static void fast_open(struct scene *s, uint32_t seq)
{
    s->seq[CLIENT] = seq;
    send_syn(s, CLIENT, seq, bytes_from_string(GET));
    s->seq[CLIENT] += 1 + (uint32_t)strlen(GET);
    s->ack[SERVER] = s->seq[CLIENT];
}

static void request_on_a_syn_is_not_safe(void **state)
{
    struct scene *s = *state;
    for (unsigned repeated = 0; repeated < 4; repeated++) {
        fast_open(s, 1000);
        if (repeated & 1)
            send_syn(s, CLIENT, 1000, bytes_make(NULL, 0));
        assert_int_equal(scene_send_flags(s, SERVER, TCP_SYN), 0);
        if (repeated & 2)
            send_syn(s, SERVER, s->seq[SERVER] - 1, bytes_make(NULL, 0));
        ASSERT_DELIVERED(s, CLIENT, GET);
        scene_assert_unsafe(s);
        s->client_port++;
    }
}

static void request_behind_a_syn_that_came_again_is_not_safe(void **state)
{
    struct scene *s = *state;
    for (enum who who = CLIENT; who <= SERVER; who++) {
        uint32_t seq = s->seq[who];
        scene_ask(s);
        send_syn(s, who, seq, bytes_make(NULL, 0));
        ASSERT_DELIVERED(s, CLIENT, GET);
        scene_assert_unsafe(s);
        s->client_port++;

        seq = s->seq[who];
        scene_become_unsafe(s);
        send_syn(s, who, seq, bytes_make(NULL, 0));
        ASSERT_DELIVERED(s, CLIENT, GET);
        scene_assert_unsafe(s);
        s->client_port++;
    }
}

static void what_comes_again_with_a_request_behind_it_is_not_safe(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 900);
    assert_int_equal(scene_send_at(s, CLIENT, -100, scene_filler(300)), 300);
    s->seq[CLIENT] += 200;
    s->ack[SERVER] = s->seq[CLIENT];
    scene_assert_unsafe(s);
}

static void request_head_that_is_too_long_to_look_at_has_no_known_body(void **state)
{
    struct scene *s = *state;
    static const char post[] = "POST / HTTP/1.1\r\nContent-Length: 1000\r\nCookie: \r\n\r\n";
    scene_handshake(s);
    assert_int_equal(scene_send(s, CLIENT, scene_head_of_size(post, 1024)), 1024);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    s->client_port++;
    scene_handshake(s);
    assert_int_equal(scene_send(s, CLIENT, scene_head_of_size(post, 1025)), 1025);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void body_of_a_request_goes_on_behind_100_continue(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 2000);
    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_BODY_KEPT(s, CLIENT, 2000);
    scene_assert_keeps_reply(s);
    scene_assert_keeps_next_exchange(s);
}

static void body_of_a_request_is_kept_behind_an_early_reply(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 2000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    scene_assert_keeps_reply(s);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    scene_assert_keeps_next_exchange(s);
}

static void gap_in_the_body_of_a_request_tells_its_place(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 4000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    uint32_t end = s->seq[CLIENT];
    s->seq[CLIENT] += 500;
    assert_int_equal(scene_send(s, CLIENT, scene_filler(1000)), 0);
    assert_int_equal(scene_recorded(s, CLIENT)->end_seq, end);
    assert_int_equal(scene_send_at(s, CLIENT, -1500, scene_filler(500)), 0);
    ASSERT_BODY_KEPT(s, CLIENT, 1500);
    scene_assert_keeps_reply(s);
}

static void request_in_two_packets_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "GET / HT");
    ASSERT_DELIVERED(s, CLIENT, "TP/1.1\r\n\r\n");
    scene_assert_unsafe(s);
}

static void request_of_line_feeds_alone_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "GET /x HTTP/1.1\nHost: h\n\n");
    scene_assert_unsafe(s);
    s->client_port++;
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "GET /x HTTP/1.1\n\nGET /y HTTP/1.1\r\n\r\n");
    scene_assert_unsafe(s);
}

static void request_that_does_not_begin_with_a_letter_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "\r\n" GET);
    scene_assert_unsafe(s);
    s->client_port++;
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "get / HTTP/1.1\r\n\r\n");
    scene_assert_unsafe(s);
}

static void longest_request_that_is_looked_at_is_safe(void **state)
{
    struct scene *s = *state;
    scene_handshake(s);
    assert_int_equal(scene_send(s, CLIENT, scene_head_of_size(GET, 1024)), 1024);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    s->client_port++;
    scene_handshake(s);
    assert_int_equal(scene_send(s, CLIENT, scene_head_of_size(GET, 1025)), 1025);
    scene_assert_unsafe(s);
}

static void interim_reply_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1 100 Continue\r\n\r\n");
    scene_assert_unsafe(s);
}

static void reply_that_is_none_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    ASSERT_DELIVERED(s, SERVER, "\r\nHTTP/1.1 200 OK\r\n\r\n");
    scene_assert_unsafe(s);
    s->client_port++;
    scene_ask(s);
    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1");
    scene_assert_unsafe(s);
}

static void gap_in_what_the_client_sends_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    s->seq[CLIENT] += 100;
    ASSERT_DELIVERED(s, CLIENT, GET);
    scene_assert_unsafe(s);
}

static void gap_before_a_reply_is_not_safe(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    s->seq[SERVER] += 100;
    scene_assert_unsafe(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_requests_in_a_packet_are_not_safe),
        TEST(two_requests_one_behind_the_other_are_not_safe),
        TEST(request_before_the_reply_was_received_is_not_safe),
        TEST(request_inside_of_a_body_is_not_safe),
        TEST(body_of_a_request_is_kept_to_its_last_byte),
        TEST(body_may_begin_in_the_packet_of_its_head),
        TEST(request_with_its_body_in_one_packet_is_safe),
        TEST(sequence_numbers_wrap_in_the_body_of_a_request),
        TEST(what_follows_a_body_is_delivered),
        TEST(body_of_doubtful_length_is_not_safe),
        TEST(body_of_what_is_no_request_of_http_1_is_not_safe),
        TEST(body_of_any_method_is_kept_as_a_body),
        TEST(request_with_a_lone_carriage_return_is_not_safe),
        TEST(request_of_a_browser_is_as_safe_as_a_short_one),
        TEST(request_on_a_syn_is_not_safe),
        TEST(request_behind_a_syn_that_came_again_is_not_safe),
        TEST(what_comes_again_with_a_request_behind_it_is_not_safe),
        TEST(request_head_that_is_too_long_to_look_at_has_no_known_body),
        TEST(body_of_a_request_goes_on_behind_100_continue),
        TEST(body_of_a_request_is_kept_behind_an_early_reply),
        TEST(gap_in_the_body_of_a_request_tells_its_place),
        TEST(request_in_two_packets_is_not_safe),
        TEST(request_of_line_feeds_alone_is_not_safe),
        TEST(request_that_does_not_begin_with_a_letter_is_not_safe),
        TEST(longest_request_that_is_looked_at_is_safe),
        TEST(interim_reply_is_not_safe),
        TEST(reply_that_is_none_is_not_safe),
        TEST(gap_in_what_the_client_sends_is_not_safe),
        TEST(gap_before_a_reply_is_not_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
