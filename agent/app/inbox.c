#include "app/inbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct slot {
    bool answered;
    struct report *report;
    int gone;
};

struct inbox {
    uv_async_t async;
    uv_mutex_t mutex;
    inbox_news_fn *news;
    void *context;
    unsigned count;
    struct slot slots[]; /* under the mutex */
};

static void on_async(uv_async_t *handle)
{
    struct inbox *i = CONTAINER_OF(handle, struct inbox, async);
    i->news(i->context);
}

int inbox_new(struct inbox **out, uv_loop_t *loop, unsigned interfaces, inbox_news_fn *news,
              void *context)
{
    struct inbox *i = calloc(1, sizeof(*i) + interfaces * sizeof(i->slots[0]));
    if (!i)
        return -ENOMEM;
    i->news = news;
    i->context = context;
    i->count = interfaces;

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
    for (unsigned n = 0; n < i->count; n++)
        report_free(i->slots[n].report);
    uv_mutex_destroy(&i->mutex);
    free(i);
}

struct inbox *inbox_close(struct inbox *i)
{
    if (i)
        uv_close((uv_handle_t *)&i->async, on_closed);
    return NULL;
}

void inbox_answer(struct inbox *i, unsigned interface, struct report *report)
{
    uv_mutex_lock(&i->mutex);
    struct slot *s = &i->slots[interface];
    assert(!s->answered);
    s->answered = true;
    s->report = report;
    uv_mutex_unlock(&i->mutex);
    inbox_wake(i);
}

void inbox_gone(struct inbox *i, unsigned interface, int error)
{
    uv_mutex_lock(&i->mutex);
    i->slots[interface].gone = error;
    uv_mutex_unlock(&i->mutex);
    inbox_wake(i);
}

void inbox_wake(struct inbox *i)
{
    uv_async_send(&i->async);
}

bool inbox_take(struct inbox *i, unsigned interface, struct report **report)
{
    uv_mutex_lock(&i->mutex);
    struct slot *s = &i->slots[interface];
    bool answered = s->answered;
    if (answered) {
        *report = TAKE(s->report);
        s->answered = false;
    }
    uv_mutex_unlock(&i->mutex);
    return answered;
}

int inbox_take_gone(struct inbox *i, unsigned interface)
{
    uv_mutex_lock(&i->mutex);
    int gone = i->slots[interface].gone;
    i->slots[interface].gone = 0;
    uv_mutex_unlock(&i->mutex);
    return gone;
}
