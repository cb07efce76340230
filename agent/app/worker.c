#include "app/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "app/pulse.h"
#include "io/privileges.h"

enum { TICK_MS = 1000 };

struct worker {
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t ticks;
    uv_thread_t thread;
    bool started;
    atomic_bool quits;
    struct pulse pulse;

    uv_mutex_t mutex;
    /* Under the mutex: who comes last has not begun. */
    struct watch *watches[WORKER_WATCHES_MAX];
    size_t count;
    size_t begun;
};

static void on_ended(void *context, struct watch *ended)
{
    struct worker *w = context;
    uv_mutex_lock(&w->mutex);
    size_t i = 0;
    while (w->watches[i] != ended)
        i++;
    w->begun--;
    w->count--;
    w->watches[i] = w->watches[w->begun];
    w->watches[w->begun] = w->watches[w->count];
    uv_mutex_unlock(&w->mutex);
}

/* The one at @i that has begun, or NULL. Only this thread begins them, and takes them off. */
static struct watch *watch_at(struct worker *w, size_t i)
{
    uv_mutex_lock(&w->mutex);
    struct watch *watch = i < w->begun ? w->watches[i] : NULL;
    uv_mutex_unlock(&w->mutex);
    return watch;
}

static struct watch *next_new(struct worker *w)
{
    uv_mutex_lock(&w->mutex);
    struct watch *watch = w->begun < w->count ? w->watches[w->begun++] : NULL;
    uv_mutex_unlock(&w->mutex);
    return watch;
}

static void for_each(struct worker *w, void (*act)(struct watch *watch))
{
    struct watch *watch;
    for (size_t i = 0; (watch = watch_at(w, i)); i++)
        act(watch);
}

static void on_wake(uv_async_t *handle)
{
    struct worker *w = CONTAINER_OF(handle, struct worker, wake);
    for (struct watch *watch; (watch = next_new(w));)
        watch_begin(watch, &w->loop, on_ended, w);
    for_each(w, watch_obey);
    if (!w->quits || uv_is_closing((uv_handle_t *)&w->wake))
        return;
    for_each(w, watch_abandon);
    uv_close((uv_handle_t *)&w->wake, NULL);
    uv_close((uv_handle_t *)&w->ticks, NULL);
}

static void on_tick(uv_timer_t *handle)
{
    struct worker *w = CONTAINER_OF(handle, struct worker, ticks);
    pulse_beat(&w->pulse);
    for_each(w, watch_tick);
}

static int open_loop(struct worker *w)
{
    int error = uv_mutex_init(&w->mutex);
    if (error < 0)
        return error;
    error = uv_loop_init(&w->loop);
    if (error == 0) {
        error = uv_async_init(&w->loop, &w->wake, on_wake);
        if (error < 0)
            uv_loop_close(&w->loop);
    }
    if (error < 0) {
        uv_mutex_destroy(&w->mutex);
        return error;
    }
    uv_timer_init(&w->loop, &w->ticks);
    uv_timer_start(&w->ticks, on_tick, TICK_MS, TICK_MS);
    return 0;
}

static void run(void *argument)
{
    struct worker *w = argument;
    uv_run(&w->loop, UV_RUN_DEFAULT);
}

static void run_thread(void *argument)
{
    pthread_setname_np(pthread_self(), "worker");
    privileges_give_up_opening();
    run(argument);
}

int worker_new(struct worker **out)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    int error = open_loop(w);
    if (error < 0) {
        free(w);
        return error;
    }
    pulse_beat(&w->pulse); /* until its timer does */
    error = uv_thread_create(&w->thread, run_thread, w);
    w->started = error == 0;
    if (error < 0) {
        worker_free(w);
        return error;
    }
    *out = w;
    return 0;
}

struct worker *worker_free(struct worker *w)
{
    if (!w)
        return NULL;
    w->quits = true;
    worker_wake(w);
    if (w->started)
        uv_thread_join(&w->thread);
    else
        run(w);

    /* The loop ran out, so every close callback has been called. */
    int error = uv_loop_close(&w->loop);
    assert(error == 0);
    (void)error;
    uv_mutex_destroy(&w->mutex);
    free(w);
    return NULL;
}

void worker_take(struct worker *w, struct watch *watch)
{
    uv_mutex_lock(&w->mutex);
    assert(w->count < WORKER_WATCHES_MAX);
    w->watches[w->count++] = watch;
    uv_mutex_unlock(&w->mutex);
    worker_wake(w);
}

void worker_wake(struct worker *w)
{
    uv_async_send(&w->wake);
}

bool worker_is_moving(struct worker *w)
{
    return pulse_look(&w->pulse);
}
