#include "core/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/reading.h"

/* --- bodies ------------------------------------------------------------------ */

static void body_has_the_length_that_was_declared(void **state)
{
    (void)state;
    check_request(BYTES("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\n"
                        "content-length:0\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
                  "0:start 38:head(POST / 1.1) 41:end 41:start 78:head(POST / 1.1) 78:end "
                  "78:start 96:head(GET / 1.0) 96:end");
    check_reply(BYTES("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"
                      "Content-Length: 1\r\n\r\nx"),
                "0:start 38:head(1.1 200 OK) 40:end 40:start 78:head(1.1 200 OK) 79:end");
}

static void body_that_looks_like_a_head_is_a_body(void **state)
{
    (void)state;
    check_request(BYTES("POST / HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
                  "0:start 39:head(POST / 1.1) 57:end");
    check_reply(BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "13\r\nHTTP/1.1 200 OK\r\n\r\n\r\n0\r\n\r\n"),
                "0:start 47:head(1.1 200 OK) 77:end");
}

static void chunks_have_extensions_and_trailers(void **state)
{
    (void)state;
    check_reply(BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "3;a=b;c=\"d\"\r\nabc\r\n000A\r\n0123456789\r\n0;last\r\n"
                      "Host: t\r\nX-Sum: 1\r\n\r\nHTTP/1.1 304 N\r\n\r\n"),
                "0:start 47:head(1.1 200 OK) 112:end 112:start 130:head(1.1 304 N) 130:end");
    check_request(BYTES("PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n"
                        "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
                  "0:start 52:head(PUT / 1.1) 63:end 63:start 81:head(GET / 1.1) 81:end");
}

static void chunk_extensions_may_be_anything_in_their_line(void **state)
{
    (void)state;
    static const char *const extensions[] = {
        "", ";", ";a", ";a=b;c=d", " ; a = b ", "  ", "\t", ";a=\"b;c\"", ";a=\"b\\\"c\"", ";\x80",
    };
    for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
        char stream[400], events[200];
        size_t size = strlen(extensions[i]);
        snprintf(stream, sizeof(stream),
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "aB%s\r\n%0171d\r\n0%s\r\n\r\nHTTP/1.1 304 N\r\n\r\n",
                 extensions[i], 0, extensions[i]);
        snprintf(events, sizeof(events),
                 "0:start 47:head(1.1 200 OK) %zu:end %zu:start %zu:head(1.1 304 N) %zu:end",
                 229 + 2 * size, 229 + 2 * size, 247 + 2 * size, 247 + 2 * size);
        check_reply(bytes_from_string(stream), events);
    }
}

static void broken_chunk_loses_the_stream(void **state)
{
    (void)state;
    check_reply(BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "xyz\r\nHTTP/1.1 304 N\r\n\r\n"),
                "0:start 47:head(1.1 200 OK)");
    check_reply(BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      ";a\r\nHTTP/1.1 304 N\r\n\r\n"),
                "0:start 47:head(1.1 200 OK)");
    check_reply(BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "fffffffffffffffff\r\nHTTP/1.1 304 N\r\n\r\n"),
                "0:start 47:head(1.1 200 OK)");
}

static void some_replies_have_no_body_whatever_they_say(void **state)
{
    (void)state;
    check_reply(BYTES("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"
                      "HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n"
                      "HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
                "0:start 44:head(1.1 100 Continue) 44:end 44:start 94:head(1.1 103 Early) 94:end "
                "94:start 132:head(1.1 204 No) 132:end 132:start 180:head(1.1 304 Not) 180:end "
                "180:start 218:head(1.1 200 OK) 219:end");
}

static void reply_to_head_has_no_body(void **state)
{
    (void)state;
    struct transcript t = {
        .side = HTTP_SIDE_REPLY,
        .stream = BYTES("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nHTTP/1.1 304 N\r\n\r\n"),
        .events = "0:start 40:head(1.1 200 OK) 40:end 40:start 58:head(1.1 304 N) 58:end",
        .reaction = NO_BODY,
    };
    check(&t);
    t.stream = BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 304 N\r\n\r\n");
    t.events = "0:start 47:head(1.1 200 OK) 47:end 47:start 65:head(1.1 304 N) 65:end";
    check(&t);
    t.stream = BYTES("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 304 N\r\n\r\n");
    t.events = "0:start 19:head(1.1 200 OK) 19:end 19:start 37:head(1.1 304 N) 37:end";
    check(&t);
}

static void conflicting_lengths(void **state)
{
    (void)state;
    /* RFC 9112, section 6.3: Transfer-Encoding overrides Content-Length. */
    check_request(
        BYTES("POST / HTTP/1.1\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"
              "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        "0:start 67:head(POST / 1.1) 78:end 78:start 96:head(GET / 1.1) 96:end");
    check_reply(BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n"
                      "1\r\nx\r\n0\r\n\r\nHTTP/1.1 304 N\r\n\r\n"),
                "0:start 67:head(1.1 200 OK) 78:end 78:start 96:head(1.1 304 N) 96:end");
    /* What cannot be told leaves the start line. */
    check_reply(BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
                "0:start 52:head(1.1 200 OK cut)");
    check_request(BYTES("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"),
                  "0:start 53:head(POST / 1.1 cut)");
    check_request(BYTES("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
                  "0:start 33:head(POST / 1.1 cut)");
    check_request(BYTES("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc"),
                  "0:start 44:head(POST / 1.1)");
}

static void close_in_a_head_says_nothing_of_the_framing(void **state)
{
    (void)state;
    check_reply(BYTES("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
                      "HTTP/1.1 304 N\r\n\r\n"),
                "0:start 57:head(1.1 200 OK) 58:end 58:start 76:head(1.1 304 N) 76:end");
    check_request(BYTES("GET / HTTP/1.0\r\nConnection: close\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
                  "0:start 37:head(GET / 1.0) 37:end 37:start 55:head(GET / 1.0) 55:end");
}

/* --- the end ------------------------------------------------------------------------- */

static void finish_tells_the_head_it_was_in(void **state)
{
    (void)state;
    static const struct {
        const char *stream;
        const char *events;
    } cases[] = {
        {"", ""},
        {"GET / HTTP/1.1\r\n\r\n", "0:start 18:head(GET / 1.1) 18:end"},
        {"GET", "0:start 3:abandon"},
        {"GET / HTTP/1.", "0:start 13:abandon"},
        {"GET / HTTP/1.1\r\nHost: a", "0:start 23:head(GET / 1.1 host=a cut)"},
        {"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab", "0:start 38:head(POST / 1.1)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(reading_deinit) struct reading r;
        reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
        feed(&r, bytes_from_string(cases[i].stream));
        http_framer_finish(&r.framer);
        feed(&r, (struct bytes){0});
        feed(&r, BYTES("GET / HTTP/1.1\r\n\r\n"));
        assert_string_equal(events_of(&r), cases[i].events);
    }
}

/* --- the look ---------------------------------------------------------------------------- */

static void look_tells_start_lines_from_others(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum http_look request;
        enum http_look reply;
    } cases[] = {
        {"", HTTP_LOOK_MORE, HTTP_LOOK_MORE},
        {"G", HTTP_LOOK_MORE, HTTP_LOOK_NO},
        {"GET", HTTP_LOOK_MORE, HTTP_LOOK_NO},
        {"GET ", HTTP_LOOK_MORE, HTTP_LOOK_NO},
        {"GET  ", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"GET /x HTTP/1.", HTTP_LOOK_MORE, HTTP_LOOK_NO},
        {"GET /x HTTP/1.1", HTTP_LOOK_MORE, HTTP_LOOK_NO},
        {"GET /x HTTP/1.1\r", HTTP_LOOK_YES, HTTP_LOOK_NO},
        {"GET /x HTTP/1.0\n", HTTP_LOOK_YES, HTTP_LOOK_NO},
        {"GET /x HTTP/2.0\r", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"GET /x\r\n", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"GET /x y HTTP/1.1\r\n", HTTP_LOOK_YES, HTTP_LOOK_NO},
        {"GET /x y HTTP/2\r\n", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"GET /x\1 HTTP/1.1\r\n", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"GET /x HTTP/1.11\r", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 / HTTP/1.1\r", HTTP_LOOK_YES, HTTP_LOOK_NO},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456 / HTTP/1.1\r", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"G\x80T", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"\x16\x03\x01", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"H", HTTP_LOOK_MORE, HTTP_LOOK_MORE},
        {"HTTP/1.1 20", HTTP_LOOK_NO, HTTP_LOOK_MORE},
        {"HTTP/1.1 200", HTTP_LOOK_NO, HTTP_LOOK_MORE},
        {"HTTP/1.1 200 ", HTTP_LOOK_NO, HTTP_LOOK_YES},
        {"HTTP/1.0 200\r", HTTP_LOOK_NO, HTTP_LOOK_YES},
        {"HTTP/1.1 2000", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"HTTP/2 200 ", HTTP_LOOK_NO, HTTP_LOOK_NO},
        {"\r\n", HTTP_LOOK_MORE, HTTP_LOOK_MORE},
        {"\r\nGET /x HTTP/1.1\r\n", HTTP_LOOK_YES, HTTP_LOOK_NO},
        {"\n\nHTTP/1.1 200 OK\r\n", HTTP_LOOK_NO, HTTP_LOOK_YES},
    };
    struct guard g;
    guard_init(&g, 100);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bytes b = guard_copy(&g, bytes_from_string(cases[i].text));
        assert_int_equal(http_look(HTTP_SIDE_REQUEST, b), cases[i].request);
        assert_int_equal(http_look(HTTP_SIDE_REPLY, b), cases[i].reply);
    }
    guard_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_has_the_length_that_was_declared),
        cmocka_unit_test(body_that_looks_like_a_head_is_a_body),
        cmocka_unit_test(chunks_have_extensions_and_trailers),
        cmocka_unit_test(chunk_extensions_may_be_anything_in_their_line),
        cmocka_unit_test(broken_chunk_loses_the_stream),
        cmocka_unit_test(some_replies_have_no_body_whatever_they_say),
        cmocka_unit_test(reply_to_head_has_no_body),
        cmocka_unit_test(conflicting_lengths),
        cmocka_unit_test(close_in_a_head_says_nothing_of_the_framing),
        cmocka_unit_test(finish_tells_the_head_it_was_in),
        cmocka_unit_test(look_tells_start_lines_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
