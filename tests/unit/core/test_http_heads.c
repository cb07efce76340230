#include "core/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/reading.h"

/* --- heads ---------------------------------------------------------------- */

static void request_without_body_ends_with_its_head(void **state)
{
    (void)state;
    check_request(BYTES("GET /x?s=yo HTTP/1.1\r\nHost: a.b:8080\r\nAccept: */*\r\n\r\n"),
                  "0:start 53:head(GET /x?s=yo 1.1 host=a.b:8080) 53:end");
    check_request(BYTES("GET / HTTP/1.0\r\n\r\n"), "0:start 18:head(GET / 1.0) 18:end");
}

static void reply_is_close_delimited_without_a_length(void **state)
{
    (void)state;
    check_reply(BYTES("HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
                "0:start 19:head(1.0 200 OK)");
    check_reply(BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
                "0:start 44:head(1.1 200 OK)");
}

static void reason_may_be_missing(void **state)
{
    (void)state;
    check_reply(BYTES("HTTP/1.1 204\r\n\r\n"), "0:start 16:head(1.1 204 ) 16:end");
    check_reply(BYTES("HTTP/1.1 204 \r\n\r\n"), "0:start 17:head(1.1 204 ) 17:end");
    check_reply(BYTES("HTTP/1.1 404 N\xf6t found\r\nContent-Length: 0\r\n\r\n"),
                "0:start 45:head(1.1 404 N\\xf6t found) 45:end");
}

static void any_method_token_is_a_method(void **state)
{
    (void)state;
    check_request(BYTES("PROPFIND / HTTP/1.1\r\n\r\n"), "0:start 23:head(PROPFIND / 1.1) 23:end");
    check_request(BYTES("x HTTP/1.1 HTTP/1.1\r\n\r\n"), "0:start 6:abandon");
    check_request(BYTES("!#$%&'*+-.^_`|~09aZ / HTTP/1.1\r\n\r\n"),
                  "0:start 34:head(!#$%&'*+-.^_`|~09aZ / 1.1) 34:end");
    check_request(BYTES("get / HTTP/1.1\r\n\r\n"), "0:start 18:head(get / 1.1) 18:end");
    check_request(BYTES("BREW /pot HTTP/1.1\r\nContent-Length: 2\r\n\r\nokGET / HTTP/1.1\r\n\r\n"),
                  "0:start 41:head(BREW /pot 1.1) 43:end "
                  "43:start 61:head(GET / 1.1) 61:end");
}

static void target_may_have_blanks(void **state)
{
    (void)state;
    check_request(BYTES("GET /a b?s=c d HTTP/1.1\r\nHost: h\r\n\r\n"),
                  "0:start 25:head(GET /a 1.1 cut)");
    check_request(BYTES("GET /a b HTTP/2\r\nHost: h\r\n\r\n"), "0:start 17:abandon");
    check_request(BYTES("GET /a \n"), "0:start 8:abandon");
}

static void method_has_at_most_32_bytes(void **state)
{
    (void)state;
    check_request(BYTES("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 / HTTP/1.1\r\n\r\n"),
                  "0:start 47:head(ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 / 1.1) 47:end");
    check_request(BYTES("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456 / HTTP/1.1\r\n\r\n"),
                  "0:start 32:abandon");
}

static void head_requests_and_heads_of_connect_are_told_apart(void **state)
{
    (void)state;
    check_request(BYTES("HEAD / HTTP/1.1\r\n\r\n"), "0:start 19:head(HEAD / 1.1 headless) 19:end");
    check_request(BYTES("HEADS / HTTP/1.1\r\n\r\n"), "0:start 20:head(HEADS / 1.1) 20:end");
    check_request(BYTES("CONNECTED / HTTP/1.1\r\n\r\n"), "0:start 24:head(CONNECTED / 1.1) 24:end");
}

static void targets_come_in_four_forms(void **state)
{
    (void)state;
    check_request(BYTES("GET http://u@h.example:80/p?q#f HTTP/1.1\r\nHost: other\r\n\r\n"),
                  "0:start 57:head(GET http://u@h.example:80/p?q#f 1.1 host=other) 57:end");
    check_request(BYTES("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
                  "0:start 31:head(OPTIONS * 1.1 host=h) 31:end");
    check_request(BYTES("CONNECT h.example:443 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
                  "0:start 34:head(CONNECT h.example:443 1.1 connect upgrade)");
    check_request(BYTES("GET /%C3%A9\xc3\xa9 HTTP/1.1\r\n\r\n"),
                  "0:start 26:head(GET /%C3%A9\\xc3\\xa9 1.1) 26:end");
}

static void first_host_counts(void **state)
{
    (void)state;
    check_request(BYTES("GET / HTTP/1.1\r\nhOsT:  a \r\nX-Host: b\r\nHosts: c\r\nHost: d\r\n\r\n"),
                  "0:start 59:head(GET / 1.1 host=a) 59:end");
    check_request(BYTES("GET / HTTP/1.1\r\nX: host\r\nEmpty:\r\nHost:a\r\n\r\n"),
                  "0:start 43:head(GET / 1.1 host=a) 43:end");
    check_request(BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
                  "0:start 25:head(GET / 1.1 host=) 25:end");
}

static void header_may_be_folded(void **state)
{
    (void)state;
    check_request(BYTES("GET / HTTP/1.1\r\nX: a\r\n b\r\n\tc\r\nHost: h\r\n\r\n"),
                  "0:start 41:head(GET / 1.1 host=h) 41:end");
    check_request(BYTES("POST / HTTP/1.1\r\nX: a\r\n Content-Length: 9\r\n\r\n"),
                  "0:start 45:head(POST / 1.1) 45:end");
}

static void lines_may_end_in_lf_alone(void **state)
{
    (void)state;
    check_request(BYTES("GET / HTTP/1.1\nHost: a\n\nGET /b HTTP/1.1\n\n"),
                  "0:start 24:head(GET / 1.1 host=a) 24:end "
                  "24:start 41:head(GET /b 1.1) 41:end");
    check_reply(BYTES("HTTP/1.1 200 OK\nContent-Length: 1\n\nxHTTP/1.1 200 OK\n"),
                "0:start 35:head(1.1 200 OK) 36:end 36:start");
}

static void empty_lines_between_messages_belong_to_none(void **state)
{
    (void)state;
    check_request(BYTES("\r\n\nGET / HTTP/1.1\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n\n"),
                  "3:start 21:head(GET / 1.1) 21:end 25:start 43:head(GET / 1.1) 43:end");
    check_reply(BYTES("\r\nHTTP/1.1 304 N\r\n\r\n\r\nHTTP/1.1 304 N\r\n\r\n"),
                "2:start 20:head(1.1 304 N) 20:end 22:start 40:head(1.1 304 N) 40:end");
}

static void what_is_no_http_1_is_abandoned(void **state)
{
    (void)state;
    /* HTTP/0.9, as far as a line without a version tells. */
    check_request(BYTES("GET /\r\n"), "0:start");
    check_request(BYTES("GET /\r\n\r\n"), "0:start 9:abandon");
    check_request(BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "0:start 18:abandon");
    check_request(BYTES("GET / HTTP/3.0\r\n\r\n"), "0:start 14:abandon");
    check_request(BYTES("GET / ICE/1.0\r\n\r\n"), "0:start 15:abandon");
    check_request(BYTES("GET\r\n"), "0:start 3:abandon");
    check_request(BYTES("GET\0/ HTTP/1.1\r\n\r\n"), "0:start 3:abandon");
    check_request(BYTES("\x16\x03\x01\x02"), "");
    check_reply(BYTES("HTTP/2.0 200 OK\r\n\r\n"), "0:start 19:abandon");
    check_reply(BYTES("ICY 200 OK\r\n\r\n"), "");
    check_reply(BYTES("HTTQ"), "0:start 3:abandon");
}

static void malformed_header_cuts_the_head(void **state)
{
    (void)state;
    check_request(BYTES("GET /a HTTP/1.1\r\nHost: h\r\nb\0d: x\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
                  "0:start 27:head(GET /a 1.1 host=h cut)");
    check_reply(BYTES("HTTP/1.1 200 OK\r\n\x80: x\r\n\r\n"), "0:start 17:head(1.1 200 OK cut)");
}

static void garbage_after_a_message_is_no_message(void **state)
{
    (void)state;
    check_request(BYTES("GET / HTTP/1.1\r\n\r\n\x80garbage\r\nGET / HTTP/1.1\r\n\r\n"),
                  "0:start 18:head(GET / 1.1) 18:end");
    check_request(BYTES("GET / HTTP/1.1\r\n\r\ngarbage\r\nGET / HTTP/1.1\r\n\r\n"),
                  "0:start 18:head(GET / 1.1) 18:end 18:start 25:abandon");
    check_reply(BYTES("HTTP/1.1 304 N\r\n\r\nHello\r\nHTTP/1.1 304 N\r\n\r\n"),
                "0:start 18:head(1.1 304 N) 18:end 18:start 19:abandon");
}

/* --- long ones ----------------------------------------------------------------- */

static struct bytes repeat(struct text *t, const char *before, size_t count, char c,
                           const char *behind)
{
    text_init(t);
    text_add_string(t, before);
    for (size_t i = 0; i < count; i++)
        text_add_char(t, c);
    text_add_string(t, behind);
    assert_false(text_failed(t));
    return bytes_make(t->data, t->size);
}

static void target_is_kept_up_to_64_kib(void **state)
{
    (void)state;
    static const size_t sizes[] = {65535, 65536, 65537, 300000};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        AUTO(text_deinit) struct text t;
        struct bytes stream =
            repeat(&t, "GET /", sizes[i] - 1, 'a', " HTTP/1.1\r\nHost: h\r\n\r\n");
        char events[200];
        snprintf(events, sizeof(events),
                 "0:start %zu:head(GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...%zu 1.1 host=h) "
                 "%zu:end",
                 stream.size, MIN(sizes[i], (size_t)65536), stream.size);
        check_long(HTTP_SIDE_REQUEST, stream, events);
        assert_int_equal(http_look(HTTP_SIDE_REQUEST, stream), HTTP_LOOK_YES);
    }
}

static void headers_have_no_limit(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t;
    struct bytes stream = repeat(&t, "GET / HTTP/1.1\r\nX: ", 500000, 'a', "\r\nHost: h\r\n\r\n");
    check_long(HTTP_SIDE_REQUEST, stream, "0:start 500032:head(GET / 1.1 host=h) 500032:end");
}

static void host_and_reason_are_kept_in_part(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text host;
    check_long(HTTP_SIDE_REQUEST, repeat(&host, "GET / HTTP/1.1\r\nHost: ", 1000, 'h', "\r\n\r\n"),
               "0:start 1026:head(GET / 1.1 host=hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh...512) "
               "1026:end");
    AUTO(text_deinit) struct text reason;
    check_long(HTTP_SIDE_REPLY, repeat(&reason, "HTTP/1.1 304 ", 1000, 'r', "\r\n\r\n"),
               "0:start 1017:head(1.1 304 rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr...256) "
               "1017:end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_without_body_ends_with_its_head),
        cmocka_unit_test(reply_is_close_delimited_without_a_length),
        cmocka_unit_test(reason_may_be_missing),
        cmocka_unit_test(any_method_token_is_a_method),
        cmocka_unit_test(target_may_have_blanks),
        cmocka_unit_test(method_has_at_most_32_bytes),
        cmocka_unit_test(head_requests_and_heads_of_connect_are_told_apart),
        cmocka_unit_test(targets_come_in_four_forms),
        cmocka_unit_test(first_host_counts),
        cmocka_unit_test(header_may_be_folded),
        cmocka_unit_test(lines_may_end_in_lf_alone),
        cmocka_unit_test(empty_lines_between_messages_belong_to_none),
        cmocka_unit_test(what_is_no_http_1_is_abandoned),
        cmocka_unit_test(malformed_header_cuts_the_head),
        cmocka_unit_test(garbage_after_a_message_is_no_message),
        cmocka_unit_test(target_is_kept_up_to_64_kib),
        cmocka_unit_test(headers_have_no_limit),
        cmocka_unit_test(host_and_reason_are_kept_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
