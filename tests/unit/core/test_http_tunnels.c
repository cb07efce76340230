#include "core/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/reading.h"

static const struct bytes upgrade_request =
    BYTES("GET /chat HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n");

static void request_that_may_change_the_protocol_stays_open(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
    feed(&r, upgrade_request);
    feed(&r, BYTES("GET / HTTP/1.1\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 75:head(GET /chat 1.1 upgrade)");
    assert_false(http_framer_skips(&r.framer, 1));
    http_framer_tunnel(&r.framer);
    feed(&r, BYTES("GET / HTTP/1.1\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 75:head(GET /chat 1.1 upgrade)");
    assert_true(http_framer_skips(&r.framer, UINT64_MAX));
}

static void released_request_ends_where_its_body_ended(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
    feed(&r, upgrade_request);
    http_framer_release(&r.framer);
    feed(&r, (struct bytes){0});
    feed(&r, BYTES("GET / HTTP/1.1\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 75:head(GET /chat 1.1 upgrade) 75:end "
                                       "75:start 93:head(GET / 1.1) 93:end");
}

static void bytes_behind_a_released_request_are_lost(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
    feed(&r, upgrade_request);
    feed(&r, BYTES("other protocol"));
    http_framer_release(&r.framer);
    feed(&r, (struct bytes){0});
    feed(&r, BYTES("GET / HTTP/1.1\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 75:head(GET /chat 1.1 upgrade) 89:end");
}

static void request_behind_one_that_may_change_the_protocol_begins_a_segment(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
    feed(&r, upgrade_request);
    http_framer_segment(&r.framer, BYTES("GET / HTTP/1.1\r\n\r\n"));
    feed(&r, BYTES("GET / HTTP/1.1\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 75:head(GET /chat 1.1 upgrade) "
                                       "75:start 93:head(GET / 1.1) 93:end");
}

static void segment_behind_connect_is_not_looked_at(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
    feed(&r, BYTES("CONNECT a:1 HTTP/1.1\r\n\r\n"));
    http_framer_segment(&r.framer, BYTES("GET / HTTP/1.1\r\n\r\n"));
    feed(&r, BYTES("GET / HTTP/1.1\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 24:head(CONNECT a:1 1.1 connect upgrade)");
}

static void body_comes_before_the_other_protocol(void **state)
{
    (void)state;
    struct bytes stream = BYTES("POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
                                "Content-Length: 2\r\n\r\nabPRI * HTTP/2.0\r\n\r\n");
    check_request(stream, "0:start 73:head(POST / 1.1 upgrade)");

    for (size_t cut = 73; cut <= 75; cut++) {
        AUTO(reading_deinit) struct reading r;
        reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
        struct bytes rest = stream;
        feed(&r, bytes_take(&rest, cut));
        http_framer_release(&r.framer);
        feed(&r, (struct bytes){0});
        feed(&r, bytes_take(&rest, 75 - cut));
        assert_string_equal(events_of(&r), "0:start 73:head(POST / 1.1 upgrade) 75:end");
    }
}

static void upgrade_with_a_chunked_body(void **state)
{
    (void)state;
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, HTTP_SIDE_REQUEST, NOTHING);
    feed(&r, BYTES("POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
    http_framer_release(&r.framer);
    feed(&r, BYTES("GET / HTTP/1.1\r\n\r\n"));
    assert_string_equal(events_of(&r), "0:start 82:head(POST / 1.1 upgrade) 93:end "
                                       "93:start 111:head(GET / 1.1) 111:end");
}

static void tunnel_swallows_all(void **state)
{
    (void)state;
    check(&(struct transcript){
        .side = HTTP_SIDE_REPLY,
        .stream = BYTES("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        .events = "0:start 38:head(1.1 101 Switching)",
        .reaction = TUNNEL,
    });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_that_may_change_the_protocol_stays_open),
        cmocka_unit_test(released_request_ends_where_its_body_ended),
        cmocka_unit_test(bytes_behind_a_released_request_are_lost),
        cmocka_unit_test(request_behind_one_that_may_change_the_protocol_begins_a_segment),
        cmocka_unit_test(segment_behind_connect_is_not_looked_at),
        cmocka_unit_test(body_comes_before_the_other_protocol),
        cmocka_unit_test(upgrade_with_a_chunked_body),
        cmocka_unit_test(tunnel_swallows_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
