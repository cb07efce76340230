#include "core/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "support/guard.h"

/* What the caller does when it has read a head. */
enum reaction { NOTHING, NO_BODY, TUNNEL };

/* A stream, and what is to be told of it: "position:event(what) ...". */
struct transcript {
    enum http_side side;
    struct bytes stream;
    const char *events;
    enum reaction reaction; /* to the first head */
};

/* A framer at work, and the log of what it told. */
struct reading {
    struct http_framer framer;
    struct http_pool pool;
    struct guard guard;
    size_t position;
    struct text log;
    enum reaction reaction;
};

static void reading_init(struct reading *r, enum http_side side, enum reaction reaction)
{
    *r = (struct reading){.reaction = reaction};
    http_framer_init(&r->framer, side);
    http_pool_init(&r->pool);
    text_init(&r->log);
    guard_init(&r->guard, 1 << 20);
}

static void reading_deinit(struct reading *r)
{
    http_framer_deinit(&r->framer, &r->pool);
    http_pool_deinit(&r->pool);
    text_deinit(&r->log);
    guard_deinit(&r->guard);
}
#define reading_deinit_auto reading_deinit

static void log_word(struct text *log, struct bytes word)
{
    struct bytes start = bytes_make(word.data, word.size < 40 ? word.size : 40);
    text_add_printable(log, start);
    if (start.size < word.size)
        text_printf(log, "...%zu", word.size);
}

static void log_head(struct text *log, enum http_side side, const struct http_head *h)
{
    if (side == HTTP_SIDE_REQUEST) {
        log_word(log, h->method);
        text_add_char(log, ' ');
        log_word(log, h->target);
        text_printf(log, " %u.%u", h->major, h->minor);
        if (h->host.data) {
            text_add_string(log, " host=");
            log_word(log, h->host);
        }
    } else {
        text_printf(log, "%u.%u %u ", h->major, h->minor, h->status);
        log_word(log, h->reason);
    }
    text_add_string(log, h->connect ? " connect" : "");
    text_add_string(log, h->headless ? " headless" : "");
    text_add_string(log, h->upgrade ? " upgrade" : "");
    text_add_string(log, h->cut ? " cut" : "");
}

static void log_event(struct reading *r, const struct http_event *event)
{
    static const char *const names[] = {"start", "head", "abandon", "end"};
    text_printf(&r->log, "%s%zu:%s", r->log.size ? " " : "", r->position, names[event->kind]);
    if (event->kind != HTTP_EVENT_HEAD)
        return;
    text_add_char(&r->log, '(');
    log_head(&r->log, (enum http_side)r->framer.side, &event->head);
    text_add_char(&r->log, ')');
}

static void react(struct reading *r, const struct http_event *event)
{
    if (event->kind != HTTP_EVENT_HEAD)
        return;
    if (r->reaction == NO_BODY)
        http_framer_no_body(&r->framer);
    if (r->reaction == TUNNEL)
        http_framer_tunnel(&r->framer);
    r->reaction = NOTHING;
}

/* Hand in @piece, at the end of readable memory. */
static void feed(struct reading *r, struct bytes piece)
{
    struct bytes in = guard_copy(&r->guard, piece);
    struct http_event event;
    enum http_step step;
    do {
        size_t before = in.size;
        step = http_framer_step(&r->framer, &r->pool, &in, &event);
        r->position += before - in.size;
        if (step == HTTP_STEP_EVENT) {
            log_event(r, &event);
            react(r, &event);
        }
    } while (step == HTTP_STEP_EVENT);
    assert_int_equal(in.size, 0);
}

static void feed_hole(struct reading *r, size_t count)
{
    http_framer_skip(&r->framer, count);
    feed(r, (struct bytes){0});
    r->position += count;
}

static const char *events_of(const struct reading *r)
{
    assert_false(text_failed(&r->log));
    return r->log.size ? r->log.data : "";
}

/* Feed @t in pieces of @piece bytes, the first of @first bytes. */
static void check_pieces(const struct transcript *t, size_t first, size_t piece)
{
    AUTO(reading_deinit) struct reading r;
    reading_init(&r, t->side, t->reaction);
    struct bytes rest = t->stream;
    feed(&r, bytes_take(&rest, first));
    while (rest.size)
        feed(&r, bytes_take(&rest, piece));
    assert_string_equal(events_of(&r), t->events);
}

static void check(const struct transcript *t)
{
    check_pieces(t, t->stream.size, 1);
    check_pieces(t, 1, 1);
    for (size_t cut = 0; cut <= t->stream.size; cut++)
        check_pieces(t, cut, t->stream.size);
}

static void check_request(struct bytes stream, const char *events)
{
    check(&(struct transcript){HTTP_SIDE_REQUEST, stream, events, NOTHING});
}

static void check_reply(struct bytes stream, const char *events)
{
    check(&(struct transcript){HTTP_SIDE_REPLY, stream, events, NOTHING});
}

/* The same for streams too long to be cut everywhere. */
static void check_long(enum http_side side, struct bytes stream, const char *events)
{
    struct transcript t = {side, stream, events, NOTHING};
    check_pieces(&t, stream.size, 1);
    check_pieces(&t, 1, 1);
    check_pieces(&t, 17, 1460);
    check_pieces(&t, stream.size - 1, 1);
}

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

/* --- other protocols -------------------------------------------------------------- */

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

/* --- holes ----------------------------------------------------------------------------- */

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
        cmocka_unit_test(body_has_the_length_that_was_declared),
        cmocka_unit_test(body_that_looks_like_a_head_is_a_body),
        cmocka_unit_test(chunks_have_extensions_and_trailers),
        cmocka_unit_test(chunk_extensions_may_be_anything_in_their_line),
        cmocka_unit_test(broken_chunk_loses_the_stream),
        cmocka_unit_test(some_replies_have_no_body_whatever_they_say),
        cmocka_unit_test(reply_to_head_has_no_body),
        cmocka_unit_test(conflicting_lengths),
        cmocka_unit_test(close_in_a_head_says_nothing_of_the_framing),
        cmocka_unit_test(target_is_kept_up_to_64_kib),
        cmocka_unit_test(headers_have_no_limit),
        cmocka_unit_test(host_and_reason_are_kept_in_part),
        cmocka_unit_test(request_that_may_change_the_protocol_stays_open),
        cmocka_unit_test(released_request_ends_where_its_body_ended),
        cmocka_unit_test(bytes_behind_a_released_request_are_lost),
        cmocka_unit_test(request_behind_one_that_may_change_the_protocol_begins_a_segment),
        cmocka_unit_test(segment_behind_connect_is_not_looked_at),
        cmocka_unit_test(body_comes_before_the_other_protocol),
        cmocka_unit_test(upgrade_with_a_chunked_body),
        cmocka_unit_test(tunnel_swallows_all),
        cmocka_unit_test(finish_tells_the_head_it_was_in),
        cmocka_unit_test(hole_inside_a_body_of_known_length_does_no_harm),
        cmocka_unit_test(hole_up_to_the_end_of_a_body_ends_it),
        cmocka_unit_test(hole_over_the_end_of_a_body_waits_for_a_start_line),
        cmocka_unit_test(hole_at_every_place_is_survived),
        cmocka_unit_test(cut_head_of_a_reply_to_head_waits_for_a_start_line),
        cmocka_unit_test(hole_in_a_head_leaves_the_start_line),
        cmocka_unit_test(look_tells_start_lines_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
