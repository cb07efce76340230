#include "support/reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void reading_init(struct reading *r, enum http_side side, enum reaction reaction)
{
    *r = (struct reading){.reaction = reaction};
    http_framer_init(&r->framer, side);
    http_pool_init(&r->pool);
    text_init(&r->log);
    guard_init(&r->guard, 1 << 20);
}

void reading_deinit(struct reading *r)
{
    http_framer_deinit(&r->framer, &r->pool);
    http_pool_deinit(&r->pool);
    text_deinit(&r->log);
    guard_deinit(&r->guard);
}

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

void feed(struct reading *r, struct bytes piece)
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

void feed_hole(struct reading *r, size_t count)
{
    http_framer_skip(&r->framer, count);
    feed(r, (struct bytes){0});
    r->position += count;
}

const char *events_of(const struct reading *r)
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

void check(const struct transcript *t)
{
    check_pieces(t, t->stream.size, 1);
    check_pieces(t, 1, 1);
    for (size_t cut = 0; cut <= t->stream.size; cut++)
        check_pieces(t, cut, t->stream.size);
}

void check_request(struct bytes stream, const char *events)
{
    check(&(struct transcript){HTTP_SIDE_REQUEST, stream, events, NOTHING});
}

void check_reply(struct bytes stream, const char *events)
{
    check(&(struct transcript){HTTP_SIDE_REPLY, stream, events, NOTHING});
}

void check_long(enum http_side side, struct bytes stream, const char *events)
{
    struct transcript t = {side, stream, events, NOTHING};
    check_pieces(&t, stream.size, 1);
    check_pieces(&t, 1, 1);
    check_pieces(&t, 17, 1460);
    check_pieces(&t, stream.size - 1, 1);
}
