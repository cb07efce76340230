#include "app/inbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/table.h"

struct inbox {
    uv_async_t async;
    uv_mutex_t mutex;
    inbox_news_fn *news;
    void *context;
    struct inbox_slot *queue; /* under the mutex, as are the slots */
};

static void on_async(uv_async_t *handle)
{
    struct inbox *i = CONTAINER_OF(handle, struct inbox, async);
    i->news(i->context);
}

int inbox_new(struct inbox **out, uv_loop_t *loop, inbox_news_fn *news, void *context)
{
    struct inbox *i = calloc(1, sizeof(*i));
    if (!i)
        return -ENOMEM;
    i->news = news;
    i->context = context;

    int error = uv_mutex_init(&i->mutex);
    if (error < 0) {
        free(i);
        return error;
    }
    error = uv_async_init(loop, &i->async, on_async);
    if (error < 0) {
        uv_mutex_destroy(&i->mutex);
        free(i);
        return error;
    }
    *out = i;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct inbox *i = CONTAINER_OF(handle, struct inbox, async);
    uv_mutex_destroy(&i->mutex);
    free(i);
}

struct inbox *inbox_close(struct inbox *i)
{
    if (i)
        uv_close((uv_handle_t *)&i->async, on_closed);
    return NULL;
}

void inbox_slot_init(struct inbox_slot *s, struct inbox *i, void *owner)
{
    *s = (struct inbox_slot){.inbox = i, .owner = owner};
}

void inbox_slot_deinit(struct inbox_slot *s)
{
    uv_mutex_lock(&s->inbox->mutex);
    if (s->queued)
        DL_DELETE(s->inbox->queue, s);
    uv_mutex_unlock(&s->inbox->mutex);
    report_free(s->news.report);
    report_free(s->news.last);
}

/* Until put(), what is told of @s can be changed. */
static struct inbox_news *get(struct inbox_slot *s)
{
    uv_mutex_lock(&s->inbox->mutex);
    return &s->news;
}

/* The slot may go as soon as its news can be taken: the inbox stays. */
static void put(struct inbox_slot *s)
{
    struct inbox *i = s->inbox;
    if (!s->queued)
        DL_APPEND(i->queue, s);
    s->queued = true;
    uv_mutex_unlock(&i->mutex);
    uv_async_send(&i->async);
}

void inbox_answer(struct inbox_slot *s, struct report *report)
{
    struct inbox_news *n = get(s);
    assert(!n->answered);
    n->answered = true;
    n->report = report;
    put(s);
}

void inbox_fail(struct inbox_slot *s, int error)
{
    get(s)->error = error;
    put(s);
}

void inbox_end(struct inbox_slot *s, struct report *last)
{
    struct inbox_news *n = get(s);
    n->ended = true;
    n->last = last;
    put(s);
}

bool inbox_take(struct inbox *i, struct inbox_news *news)
{
    uv_mutex_lock(&i->mutex);
    struct inbox_slot *s = i->queue;
    if (s) {
        DL_DELETE(i->queue, s);
        s->queued = false;
        *news = s->news;
        news->owner = s->owner;
        s->news = (struct inbox_news){0};
    }
    uv_mutex_unlock(&i->mutex);
    return s;
}
