/*
 * This host's own log, written by a thread that may hang in it: syslog(3) and
 * the journal wait for whoever reads /dev/log, the main loop must not.
 * It is left behind when it hangs, and frees what it holds if it ever goes on.
 */
#include "io/syslog_transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "io/detached_thread.h"
#include "io/syslog_writer.h"

struct local {
    struct syslog_transport transport;
    struct syslog_transport_options options;
    struct syslog_origin origin;
    const struct syslog_writer *writer;
    uv_async_t done;
    bool failing;                /* as the log was told */
    _Atomic unsigned references; /* the loop's and the thread's */
    pthread_cond_t wake;
    pthread_mutex_t mutex; /* of what follows */
    struct syslog_batch *batch;
    size_t accepted;
    bool written; /* the batch, as far as it could be */
    bool closing;
};

static void drop_reference(struct local *l)
{
    if (atomic_fetch_sub(&l->references, 1) > 1)
        return;
    syslog_batch_free(l->batch);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

/* The next batch, or NULL when there won't be any. */
static const struct syslog_batch *wait_for_batch(struct local *l)
{
    pthread_mutex_lock(&l->mutex);
    while (!l->closing && (!l->batch || l->written))
        pthread_cond_wait(&l->wake, &l->mutex);
    const struct syslog_batch *b = l->closing ? NULL : l->batch;
    pthread_mutex_unlock(&l->mutex);
    return b;
}

/* Returns whether to go on. */
static bool count_accepted(struct local *l)
{
    pthread_mutex_lock(&l->mutex);
    l->accepted++;
    bool go_on = !l->closing;
    pthread_mutex_unlock(&l->mutex);
    return go_on;
}

static void write_batch(struct local *l, const struct syslog_batch *b)
{
    if (!l->writer->begin(&l->origin))
        return;
    for (size_t i = 0; i < b->count; i++) {
        struct bytes message = syslog_batch_message(b, i);
        if (!l->writer->write(&l->origin, b->at[i].severity, message) || !count_accepted(l))
            break;
    }
    l->writer->end();
}

static void tell_written(struct local *l)
{
    pthread_mutex_lock(&l->mutex);
    l->written = true;
    if (!l->closing)
        uv_async_send(&l->done);
    pthread_mutex_unlock(&l->mutex);
}

static void *run(void *context)
{
    struct local *l = context;
    const struct syslog_batch *b;
    while ((b = wait_for_batch(l))) {
        write_batch(l, b);
        tell_written(l);
    }
    drop_reference(l);
    return NULL;
}

static void on_done(uv_async_t *handle)
{
    struct local *l = CONTAINER_OF(handle, struct local, done);
    pthread_mutex_lock(&l->mutex);
    AUTO(syslog_batch_free) struct syslog_batch *b = l->written ? TAKE(l->batch) : NULL;
    size_t accepted = l->accepted;
    pthread_mutex_unlock(&l->mutex);
    if (!b)
        return;

    bool failed = accepted < b->count;
    if (failed && !l->failing)
        log_warning("syslog: nobody takes this host's log: what is due waits");
    l->failing = failed;
    l->options.sent(l->options.context, accepted);
}

static void local_send(struct syslog_transport *t, struct syslog_batch *b)
{
    struct local *l = CONTAINER_OF(t, struct local, transport);
    pthread_mutex_lock(&l->mutex);
    l->batch = b;
    l->accepted = 0;
    l->written = false;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->mutex);
}

static void on_closed(uv_handle_t *handle)
{
    drop_reference(CONTAINER_OF((uv_async_t *)handle, struct local, done));
}

/* The batch stays the thread's, which may be in the middle of it. */
static void local_close(struct syslog_transport *t)
{
    struct local *l = CONTAINER_OF(t, struct local, transport);
    pthread_mutex_lock(&l->mutex);
    bool on_its_way = l->batch;
    size_t accepted = l->accepted;
    l->closing = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->mutex);

    if (on_its_way)
        l->options.sent(l->options.context, accepted);
    uv_close((uv_handle_t *)&l->done, on_closed);
}

static int start(struct local *l)
{
    int error = uv_async_init(l->options.loop, &l->done, on_done);
    if (error < 0) {
        free(l);
        return error;
    }
    l->references = 2;
    error = detached_thread_start(run, l);
    if (error < 0) {
        l->references = 1;
        uv_close((uv_handle_t *)&l->done, on_closed);
    }
    return error;
}

int syslog_local_new(struct syslog_transport **out, const struct syslog_transport_options *options)
{
    static const struct syslog_transport_methods methods = {
        .send = local_send,
        .close = local_close,
    };
    const struct syslog_writer *journal = syslog_writer_journal();
    const struct syslog_writer *writer = journal ? journal : &syslog_writer_plain;
    struct local *l = malloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    *l = (struct local){
        .transport = {.methods = &methods, .render = writer->render},
        .options = *options,
        .origin = *options->origin,
        .writer = writer,
        .wake = PTHREAD_COND_INITIALIZER,
        .mutex = PTHREAD_MUTEX_INITIALIZER,
    };
    int error = start(l);
    if (error < 0)
        return error;
    *out = &l->transport;
    return 0;
}
