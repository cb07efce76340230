#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/dialogue.h"

/* --- one request ---------------------------------------------------------- */

static void all_bytes_of_a_connection_go_to_its_service(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    conversation_ack(&c, DIRECTION_OUT);
    reply("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    conversation_ack(&c, DIRECTION_IN);
    conversation_close(&c);
    trial_finish(&t);

    assert_counts("yo", DIRECTION_IN,
                  (struct direction_counts){
                      .bytes = REQUEST_BYTES + HEADERS,
                      .payload = REQUEST_BYTES,
                      .control = OPEN_IN + HEADERS + CLOSE_IN,
                      .packets = 1,
                  });
    assert_counts("yo", DIRECTION_OUT,
                  (struct direction_counts){
                      .bytes = 45 + HEADERS,
                      .payload = 45,
                      .control = OPEN_OUT + HEADERS + CLOSE_OUT,
                      .packets = 1,
                  });
    const struct service_counts *yo = trial_service(&t, "yo");
    assert_int_equal(yo->requests, 1);
    assert_int_equal(yo->replies[3], 1);
    assert_int_equal(yo->unanswered, 0);
    assert_told("GET /?s=yo 404 yo 32/45\n");
    assert_string_equal(t.messages.data, "+72 in yo GET /?s=yo HTTP/1.1\n"
                                         "+85 out yo HTTP/1.1 404 Not Found\n");
}

/* One request and its reply, cut into segments of @in and @out bytes. */
static void exchange_cut(size_t in, size_t out)
{
    conversation_open(&c);
    conversation_send_cut(&c, DIRECTION_IN, BYTES(REQUEST("yo")), in);
    conversation_send_cut(&c, DIRECTION_OUT, BYTES(REPLY_OK), out);
    conversation_close(&c);
    trial_finish(&t);

    uint64_t in_packets = (REQUEST_BYTES + in - 1) / in;
    uint64_t out_packets = (REPLY_BYTES + out - 1) / out;
    assert_counts("yo", DIRECTION_IN,
                  (struct direction_counts){
                      .bytes = REQUEST_BYTES + in_packets * HEADERS,
                      .payload = REQUEST_BYTES,
                      .control = OPEN_IN + CLOSE_IN,
                      .packets = in_packets,
                  });
    assert_counts("yo", DIRECTION_OUT,
                  (struct direction_counts){
                      .bytes = REPLY_BYTES + out_packets * HEADERS,
                      .payload = REPLY_BYTES,
                      .control = OPEN_OUT + CLOSE_OUT,
                      .packets = out_packets,
                  });
    assert_told("GET /?s=yo 200 yo 32/40\n");
}

static void heads_may_be_split_anywhere(void **state)
{
    (void)state;
    for (size_t in = 1; in <= REQUEST_BYTES; in++) {
        for (size_t out = 1; out <= REPLY_BYTES; out += 3) {
            exchange_cut(in, out);
            end(NULL);
            begin(NULL);
        }
    }
}

static void request_without_rule_is_unspecified(void **state)
{
    (void)state;
    conversation_open(&c);
    request("GET / HTTP/1.1\r\n\r\n");
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET / 200 _unspecified 18/40\n");
}

static void reply_ends_with_the_connection_when_nothing_else_ends_it(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply("HTTP/1.0 200 OK\r\n\r\n");
    reply("HTTP/1.0 200 OK\r\n\r\n");
    conversation_fin(&c, DIRECTION_OUT);
    conversation_fin(&c, DIRECTION_IN);
    assert_told("GET /?s=yo 200 yo 32/38\n");
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->replies[1], 1);
}

static void keep_alive_tells_services_apart(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    reply(REPLY_OK);
    conversation_ack(&c, DIRECTION_IN);
    request(REQUEST("b"));
    reply(REPLY_OK);
    conversation_ack(&c, DIRECTION_IN);
    request(REQUEST("a"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);

    assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 200 b 31/40\nGET /?s=a 200 a 31/40\n");
    assert_counts("a", DIRECTION_IN,
                  (struct direction_counts){
                      .bytes = 2 * (31 + HEADERS),
                      .payload = 62,
                      .control = OPEN_IN + HEADERS + CLOSE_IN,
                      .packets = 2,
                  });
    assert_counts("b", DIRECTION_IN,
                  (struct direction_counts){
                      .bytes = 31 + HEADERS, .payload = 31, .control = HEADERS, .packets = 1});
    assert_counts("b", DIRECTION_OUT,
                  (struct direction_counts){.bytes = 40 + HEADERS, .payload = 40, .packets = 1});
}

static void impatient_observer_is_told_at_once(void **state)
{
    (void)state;
    end(NULL);
    trial_init(&t, &(struct trial_options){.impatient = true});
    conversation_open(&c);
    request(REQUEST("yo"));
    assert_string_equal(t.messages.data, "+72 in yo GET /?s=yo HTTP/1.1\n");
    reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    assert_told("");
    reply("k");
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_string_equal(t.messages.data, "+72 in yo GET /?s=yo HTTP/1.1\n"
                                         "+120 out yo HTTP/1.1 200 OK\n");
    trial_finish(&t);
}

static void time_to_first_byte_is_from_first_byte_to_first_byte(void **state)
{
    (void)state;
    conversation_open(&c);
    uint64_t start = t.sink.now_ns;
    request("GET /");
    request(" HTTP/1.1\r\n\r\n");
    reply("HTTP/1.1 103 E\r\n\r\n");
    uint64_t first = t.sink.now_ns;
    reply("HTTP/1.1 20");
    reply("4 N\r\n\r\n");
    trial_finish(&t);
    assert_int_equal(t.transactions[0].ttfb_ns, first - start);
}

/* --- replies and what they answer -------------------------------------------------- */

static void reply_before_the_body_of_the_request_has_ended(void **state)
{
    (void)state;
    conversation_open(&c);
    request("POST /?s=yo HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    reply("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    request("defghij");
    request(REQUEST("b"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("POST /?s=yo 413 yo 54/38\nGET /?s=b 200 b 31/40\n");
    assert_int_equal(trial_service(&t, "yo")->unanswered, 0);
}

static void interim_replies_do_not_answer(void **state)
{
    (void)state;
    conversation_open(&c);
    request("POST /?s=yo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    reply("HTTP/1.1 100 Continue\r\n\r\n");
    request("abc");
    reply("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n" REPLY_OK);
    request(REQUEST("b"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("POST /?s=yo 100,103,102,200 yo 68/120\nGET /?s=b 200 b 31/40\n");
    assert_int_equal(trial_service(&t, "yo")->replies[0], 3);
    assert_int_equal(trial_service(&t, "yo")->replies[1], 1);
}

static void interim_replies_past_what_is_kept_are_counted(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    for (unsigned i = 0; i < 20; i++)
        reply("HTTP/1.1 102 P\r\n\r\n");
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 102,102,102,102,102,102,102,102,200 yo 32/400\n");
    assert_int_equal(trial_service(&t, "yo")->replies[0], 20);
}

static void expectation_that_fails_has_no_body(void **state)
{
    (void)state;
    conversation_open(&c);
    request("POST /?s=yo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n");
    reply("HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("POST /?s=yo 417 yo 66/57\n");
}

static void reply_to_half_a_head_has_no_known_service(void **state)
{
    (void)state;
    conversation_open(&c);
    request("GET /?s=yo HTTP/1.1\r\nX: aaaaaa");
    reply("HTTP/1.1 431 Too large\r\nContent-Length: 0\r\n\r\n");
    conversation_close(&c);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "_unknown")->replies[3], 1);
    assert_int_equal(trial_service(&t, "_unknown")->direction[DIRECTION_IN].payload, 30);
    assert_int_equal(trial_service(&t, "_unknown")->requests, 1);
    assert_int_equal(trial_service(&t, "_unknown")->unanswered, 0);
    assert_told("GET /?s=yo 431 _unknown 30/45\n");
}

static void reply_without_request_is_unknown(void **state)
{
    (void)state;
    conversation_open(&c);
    reply("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("- - 408 _unknown 0/43\n");
    assert_int_equal(trial_service(&t, "_unknown")->replies[3], 1);
    assert_int_equal(trial_service(&t, "_unknown")->direction[DIRECTION_IN].control,
                     OPEN_IN + CLOSE_IN);
}

static void late_second_reply_is_unknown(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    reply("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n- - 408 _unknown 0/43\n");
}

static void request_without_reply_is_unanswered(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a") REQUEST("b"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 0 b 31/0\n");
    assert_int_equal(trial_service(&t, "a")->unanswered, 0);
    assert_int_equal(trial_service(&t, "b")->unanswered, 1);
}

static void interim_reply_alone_leaves_it_unanswered(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a"));
    reply("HTTP/1.1 100 C\r\n\r\n");
    conversation_reset(&c, DIRECTION_OUT);
    trial_finish(&t);
    assert_told("GET /?s=a 100,0 a 31/18\n");
    assert_int_equal(trial_service(&t, "a")->unanswered, 1);
}

static void stray_bytes_behind_a_message_stay_with_it(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a") "\r\n");
    reply(REPLY_OK "\r\n");
    request(REQUEST("b"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 33/42\nGET /?s=b 200 b 31/40\n");
}

static void garbage_behind_a_message_does_not_stop_the_next(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a") "\x80garbage garb");
    reply(REPLY_OK "\x80\x81");
    request(REQUEST("b"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "a")->direction[DIRECTION_IN].payload, 44);
    assert_int_equal(trial_service(&t, "a")->direction[DIRECTION_OUT].payload, 42);
    assert_int_equal(trial_service(&t, "b")->direction[DIRECTION_IN].payload, 31);
    assert_int_equal(trial_service(&t, "b")->replies[1], 1);
}

static void body_that_looks_like_a_request_is_none(void **state)
{
    (void)state;
    conversation_open(&c);
    request("POST /?s=a HTTP/1.1\r\nContent-Length: 62\r\n\r\n");
    request(REQUEST("b"));
    request(REQUEST("c"));
    reply("HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n");
    reply(REPLY_OK);
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("POST /?s=a 200 a 105/119\n");
}

static void reply_to_head_may_declare_any_length(void **state)
{
    (void)state;
    conversation_open(&c);
    request("HEAD /?s=a HTTP/1.1\r\n\r\n");
    reply("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    request(REQUEST("b"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("HEAD /?s=a 200 a 23/41\nGET /?s=b 200 b 31/40\n");
}

static void empty_line_may_come_before_the_first_request(void **state)
{
    (void)state;
    conversation_open(&c);
    request("\r\n" REQUEST("a"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/40\n");
    assert_int_equal(trial_service(&t, "a")->direction[DIRECTION_IN].bytes, 33 + HEADERS);
}

/* --- what is not HTTP ---------------------------------------------------------------- */

static void first_payload_decides_what_is_not_http(void **state)
{
    (void)state;
    static const char *const openings[] = {
        "\x16\x03\x01\x02", "SSH-2.0-OpenSSH\r\n", "GET /\r\n", "EHLO x\r\n", "\x80", "GET /\x01",
    };
    for (size_t i = 0; i < ARRAY_SIZE(openings); i++) {
        conversation_open(&c);
        request(openings[i]);
        request(REQUEST("yo"));
        reply(REPLY_OK);
        conversation_close(&c);
        c.end[DIRECTION_IN].port++;
    }
    trial_finish(&t);
    assert_told("");
    assert_int_equal(trial_interface(&t)->not_http_bytes, trial_interface(&t)->tcp_bytes);
    assert_int_equal(trial_interface(&t)->untracked_bytes, 0);
}

static void server_that_greets_first_is_not_http(void **state)
{
    (void)state;
    conversation_open(&c);
    reply("220 mail\r\n");
    request("EHLO x\r\n");
    conversation_close(&c);
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->not_http_bytes, trial_interface(&t)->tcp_bytes);
}

static void connection_without_payload_is_not_http(void **state)
{
    (void)state;
    conversation_open(&c);
    conversation_close(&c);
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->not_http_bytes, trial_interface(&t)->tcp_bytes);
}

static void names_past_the_cap_go_to_other(void **state)
{
    (void)state;
    end(NULL);
    trial_init(&t, &(struct trial_options){.services_max = 3});
    conversation_open(&c);
    for (unsigned i = 0; i < 10; i++) {
        char text[60];
        snprintf(text, sizeof(text), "GET /?s=n%u HTTP/1.1\r\n\r\n", i);
        request(text);
        reply(REPLY_OK);
    }
    request("GET / HTTP/1.1\r\n\r\n");
    reply(REPLY_OK);
    request("GET /?s=n1 HTTP/1.1\r\n\r\n");
    reply(REPLY_OK);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "_other")->requests, 7);
    assert_int_equal(trial_service(&t, "_other")->replies[1], 7);
    assert_int_equal(trial_service(&t, "n1")->requests, 2);
    assert_int_equal(trial_service(&t, "_unspecified")->requests, 1);
    assert_int_equal(trial_interface(&t)->services_folded, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_bytes_of_a_connection_go_to_its_service),
        TEST(heads_may_be_split_anywhere),
        TEST(request_without_rule_is_unspecified),
        TEST(reply_ends_with_the_connection_when_nothing_else_ends_it),
        TEST(keep_alive_tells_services_apart),
        TEST(impatient_observer_is_told_at_once),
        TEST(time_to_first_byte_is_from_first_byte_to_first_byte),
        TEST(reply_before_the_body_of_the_request_has_ended),
        TEST(interim_replies_do_not_answer),
        TEST(interim_replies_past_what_is_kept_are_counted),
        TEST(expectation_that_fails_has_no_body),
        TEST(reply_to_half_a_head_has_no_known_service),
        TEST(reply_without_request_is_unknown),
        TEST(late_second_reply_is_unknown),
        TEST(request_without_reply_is_unanswered),
        TEST(interim_reply_alone_leaves_it_unanswered),
        TEST(stray_bytes_behind_a_message_stay_with_it),
        TEST(garbage_behind_a_message_does_not_stop_the_next),
        TEST(body_that_looks_like_a_request_is_none),
        TEST(reply_to_head_may_declare_any_length),
        TEST(empty_line_may_come_before_the_first_request),
        TEST(first_payload_decides_what_is_not_http),
        TEST(server_that_greets_first_is_not_http),
        TEST(connection_without_payload_is_not_http),
        TEST(names_past_the_cap_go_to_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
