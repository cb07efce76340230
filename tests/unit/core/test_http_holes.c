#include "core/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/reading.h"

static void hole_inside_a_body_of_known_length_does_no_harm(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REPLY, NOTHING);
    feed(&r, BYTES("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"));
    assert_true(http_framer_skips(&r.framer, 97));
    assert_false(http_framer_skips(&r.framer, 98));
    feed_hole(&r, 90);
    feed(&r, BYTES("1234567"));
    feed(&r, BYTES("HTTP/1.1 304 N\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 40:head(1.1 200 OK) 140:end "
                                       "140:start 158:head(1.1 304 N) 158:end");
}

static void hole_up_to_the_end_of_a_body_ends_it(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REPLY, NOTHING);
    feed(&r, BYTES("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
    http_framer_skip(&r.framer, 100);
    feed(&r, BYTES("HTTP/1.1 304 N\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 40:head(1.1 200 OK) 40:end "
                                       "40:start 58:head(1.1 304 N) 58:end");
}

static void hole_over_the_end_of_a_body_waits_for_a_start_line(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REPLY, NOTHING);
    feed(&r, BYTES("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
    feed_hole(&r, 101);
    feed(&r, BYTES("HTTP/1.1 304 N\r\n\r\n"));
    http_framer_segment(&r.framer, BYTES("body HTTP/1.1 304 N\r\n\r\n"));
    feed(&r, BYTES("body HTTP/1.1 304 N\r\n\r\n"));
    http_framer_segment(&r.framer, BYTES("HTTP/1.1 304 N\r\n\r\n"));
    feed(&r, BYTES("HTTP/1.1 304 N\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 40:head(1.1 200 OK) 40:end "
                                       "182:start 200:head(1.1 304 N) 200:end");
}

/* Whatever is missing, and however much of it: nothing but complete facts, and on it goes. */
static void hole_at_every_place_is_survived(void **state)
{
    (void)state;
    static const struct bytes stream = BYTES(
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
        "PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: t\r\n\r\n"
        "GET /c HTTP/1.1\r\nHost: i\r\n\r\n");
    static const struct bytes next = BYTES("GET /next HTTP/1.1\r\n\r\n");
    for (size_t start = 0; start < stream.size; start++) {
        for (size_t end = start + 1; end <= stream.size; end++) {
            AUTO(reading_deinit) struct reading r;
            reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
            feed(&r, bytes_make(stream.data, start));
            feed_hole(&r, end - start);
            feed(&r, bytes_make(stream.data + end, stream.size - end));
            assert_null(strstr(events_of(&r), "head(O"));

            http_framer_segment(&r.framer, next);
            bool ready = r.framer.state == HTTP_STATE_IDLE;
            feed(&r, next);
            assert_int_equal(ready, strstr(events_of(&r), "head(GET /next 1.1)") != NULL);
        }
    }
}

static void cut_head_of_a_reply_to_head_waits_for_a_start_line(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REPLY, NO_BODY);
    feed(&r, BYTES("HTTP/1.1 200 OK\r\nX: "));
    feed_hole(&r, 10);
    feed(&r, BYTES("HTTP/1.1 304 N\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 20:head(1.1 200 OK cut)");
}

static void hole_in_a_head_leaves_the_start_line(void **state)
{
    (void)state;
    static const struct bytes stream = BYTES("GET /a HTTP/1.1\r\nHost: h\r\n");
    for (size_t cut = 1; cut <= stream.size; cut++) {
        AUTO(reading_deinit) struct reading r;
        reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
        feed(&r, bytes_make(stream.data, cut));
        feed_hole(&r, 1);
        const char *last = strrchr(events_of(&r), ':') + 1;
        if (cut < 5)
            assert_string_equal(last, "abandon");
        else if (cut < 15) /* a word in capitals and a path: the rest is missing */
            assert_memory_equal(last, "head(GET /", 10);
        else
            assert_memory_equal(last, "head(GET /a 1.1", 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hole_inside_a_body_of_known_length_does_no_harm),
        cmocka_unit_test(hole_up_to_the_end_of_a_body_ends_it),
        cmocka_unit_test(hole_over_the_end_of_a_body_waits_for_a_start_line),
        cmocka_unit_test(hole_at_every_place_is_survived),
        cmocka_unit_test(cut_head_of_a_reply_to_head_waits_for_a_start_line),
        cmocka_unit_test(hole_in_a_head_leaves_the_start_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
