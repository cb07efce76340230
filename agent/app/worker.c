#include "app/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { TICK_MS = 1000 };

enum order { ORDER_FLUSH = 1, ORDER_STOP = 2, ORDER_QUIT = 4 };

struct worker {
    uv_loop_t loop;
    uv_async_t orders_async;
    _Atomic unsigned orders; /* enum order, not followed yet */
    uv_timer_t ticks;
    uv_thread_t thread;
    bool started;
    struct inbox *inbox;
    struct watch **watches;
    size_t count;
};

/* Packets carry this clock's time. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void flush(struct worker *w)
{
    for (size_t i = 0; i < w->count; i++)
        watch_flush(w->watches[i], now_ns());
}

/* Stopped all first: the wait for the last blocks is the same for all of them. */
static void finish(struct worker *w)
{
    for (size_t i = 0; i < w->count; i++)
        watch_stop(w->watches[i]);
    for (size_t i = 0; i < w->count; i++)
        watch_finish(w->watches[i], now_ns());
}

/* After this the loop runs out of handles, and ends. */
static void quit(struct worker *w)
{
    for (size_t i = 0; i < w->count; i++)
        watch_close(w->watches[i]);
    w->count = 0;
    uv_close((uv_handle_t *)&w->orders_async, NULL);
    uv_close((uv_handle_t *)&w->ticks, NULL);
}

static void on_orders(uv_async_t *handle)
{
    struct worker *w = CONTAINER_OF(handle, struct worker, orders_async);
    unsigned orders = atomic_exchange(&w->orders, 0);
    if (orders & ORDER_FLUSH)
        flush(w);
    if (orders & ORDER_STOP)
        finish(w);
    if (orders & ORDER_QUIT)
        quit(w);
}

static void on_tick(uv_timer_t *handle)
{
    struct worker *w = CONTAINER_OF(handle, struct worker, ticks);
    for (size_t i = 0; i < w->count; i++)
        watch_tick(w->watches[i], now_ns());
}

static void order(struct worker *w, enum order o)
{
    atomic_fetch_or(&w->orders, o);
    uv_async_send(&w->orders_async);
}

int worker_new(struct worker **out, struct inbox *inbox)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->inbox = inbox;

    int error = uv_loop_init(&w->loop);
    if (error < 0) {
        free(w);
        return error;
    }
    error = uv_async_init(&w->loop, &w->orders_async, on_orders);
    if (error < 0) {
        uv_loop_close(&w->loop);
        free(w);
        return error;
    }
    uv_timer_init(&w->loop, &w->ticks);
    *out = w;
    return 0;
}

int worker_watch(struct worker *w, const struct watch_options *options)
{
    assert(!w->started);
    struct watch **watches = reallocarray(w->watches, w->count + 1, sizeof(*watches));
    if (!watches)
        return -ENOMEM;
    w->watches = watches;
    int error = watch_open(&w->watches[w->count], &w->loop, w->inbox, options);
    if (error < 0)
        return error;
    w->count++;
    return 0;
}

static void run(void *argument)
{
    struct worker *w = argument;
    uv_run(&w->loop, UV_RUN_DEFAULT);
}

int worker_start(struct worker *w)
{
    int error = uv_timer_start(&w->ticks, on_tick, TICK_MS, TICK_MS);
    for (size_t i = 0; error == 0 && i < w->count; i++)
        error = watch_start(w->watches[i]);
    if (error < 0)
        return error;
    error = uv_thread_create(&w->thread, run, w);
    if (error < 0)
        return error;
    w->started = true;
    return 0;
}

struct worker *worker_free(struct worker *w)
{
    if (!w)
        return NULL;
    order(w, ORDER_QUIT);
    if (w->started)
        uv_thread_join(&w->thread);
    else
        run(w);

    /* The loop ran out, so every close callback has been called. */
    int error = uv_loop_close(&w->loop);
    assert(error == 0);
    (void)error;
    free(w->watches);
    free(w);
    return NULL;
}

void worker_flush(struct worker *w)
{
    order(w, ORDER_FLUSH);
}

void worker_stop(struct worker *w)
{
    order(w, ORDER_STOP);
}
