#include "app/outputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/telemetry.h"
#include "base/log.h"
#include "io/statsd.h"
#include "io/syslog_sink.h"

enum { HOST_NAME_BYTES = 256 };

/* The interval of a kind of sinks. */
struct pace {
    uv_timer_t timer;
    struct outputs *outputs;
    bool over;
};

struct outputs {
    const struct settings_outputs *settings;
    outputs_due_fn *due;
    void *context;
    struct pace statsd_pace;
    struct pace syslog_pace;
    unsigned open_handles;

    struct statsd **statsd; /* as in the settings */
    size_t statsd_count;
    struct syslog_sink *syslog; /* NULL: none */

    outputs_finished_fn *finished;
    size_t unfinished;
};

static void on_interval(uv_timer_t *timer)
{
    struct pace *p = CONTAINER_OF(timer, struct pace, timer);
    p->over = true;
    p->outputs->due(p->outputs->context);
}

static void init_pace(struct outputs *o, struct pace *p, uv_loop_t *loop)
{
    p->outputs = o;
    uv_timer_init(loop, &p->timer);
    o->open_handles++;
}

/* The first interval is a part of one, so that hosts that start together don't flush together. */
static void start_pace(struct pace *p, uint64_t interval_ns, uint64_t random)
{
    uint64_t interval_ms = interval_ns / 1000000;
    uv_timer_start(&p->timer, on_interval, 1 + random % interval_ms, interval_ms);
}

static int open_destination(struct outputs *o, uv_loop_t *loop,
                            const struct outputs_options *options, const char *host)
{
    const struct settings_statsd *d = &o->settings->statsd[o->statsd_count];
    int error = statsd_new(&o->statsd[o->statsd_count], loop,
                           &(struct statsd_options){
                               .name = d->address,
                               .endpoint = d->endpoint,
                               .dialect = d->dialect,
                               .prefix = d->prefix,
                               .host = d->host || !d->with_host ? d->host : host,
                               .tags = d->tags,
                               .tag_count = d->tag_count,
                               .metrics = d->metrics,
                               .datagram_bytes = d->datagram_bytes,
                               .interval_ns = o->settings->flush_ns,
                               .services_max = options->services_max,
                               .hash_seed = options->hash_seed,
                               .idle_ns = options->idle_ns,
                           });
    if (error == 0)
        o->statsd_count++;
    return error;
}

static int open_statsd(struct outputs *o, uv_loop_t *loop, const struct outputs_options *options)
{
    size_t count = o->settings->statsd_count;
    if (count == 0)
        return 0;
    char host[HOST_NAME_BYTES];
    size_t host_bytes = sizeof(host);
    int error = uv_os_gethostname(host, &host_bytes);
    if (error < 0)
        return error;
    o->statsd = calloc(count, sizeof(*o->statsd));
    if (!o->statsd)
        return -ENOMEM;
    while (error == 0 && o->statsd_count < count)
        error = open_destination(o, loop, options, host);
    if (error == 0)
        start_pace(&o->statsd_pace, o->settings->flush_ns, options->hash_seed >> 32);
    return error;
}

static int open_syslog(struct outputs *o, uv_loop_t *loop, const struct outputs_options *options)
{
    const struct settings_syslog *s = &o->settings->syslog;
    if (!s->wanted)
        return 0;
    int error = syslog_sink_new(&o->syslog, loop,
                                &(struct syslog_sink_options){
                                    .address = s->address,
                                    .facility = s->facility,
                                    .hostname = s->host,
                                    .tag = s->tag,
                                    .sd_id = s->sd_id,
                                    .metrics = s->metrics,
                                    .services_max = options->services_max,
                                    .hash_seed = options->hash_seed,
                                    .idle_ns = options->idle_ns,
                                });
    if (error < 0)
        return error;
    start_pace(&o->syslog_pace, s->interval_ns, options->hash_seed & UINT32_MAX);
    if (!isatty(STDERR_FILENO))
        log_set_writer(syslog_sink_log, o->syslog);
    return 0;
}

int outputs_new(struct outputs **out, uv_loop_t *loop, const struct outputs_options *options)
{
    struct outputs *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->settings = options->settings;
    o->due = options->due;
    o->context = options->context;
    init_pace(o, &o->statsd_pace, loop);
    init_pace(o, &o->syslog_pace, loop);

    int error = open_statsd(o, loop, options);
    if (error == 0)
        error = open_syslog(o, loop, options);
    if (error < 0) {
        outputs_close(o);
        return error;
    }
    *out = o;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct outputs *o = CONTAINER_OF((uv_timer_t *)handle, struct pace, timer)->outputs;
    if (--o->open_handles == 0)
        free(o);
}

/* The log goes to stderr again. */
static void take_log_back(void)
{
    log_finish();
    log_set_writer(NULL, NULL);
}

struct outputs *outputs_close(struct outputs *o)
{
    if (!o)
        return NULL;
    if (o->syslog)
        take_log_back();
    o->syslog = syslog_sink_close(o->syslog);
    for (size_t i = 0; i < o->statsd_count; i++)
        statsd_close(o->statsd[i]);
    free(o->statsd);
    uv_close((uv_handle_t *)&o->statsd_pace.timer, on_closed);
    uv_close((uv_handle_t *)&o->syslog_pace.timer, on_closed);
    return NULL;
}

void outputs_set_services_max(struct outputs *o, size_t services_max)
{
    for (size_t i = 0; i < o->statsd_count; i++)
        statsd_set_services_max(o->statsd[i], services_max);
    if (o->syslog)
        syslog_sink_set_services_max(o->syslog, services_max);
}

void outputs_add(struct outputs *o, const struct report *r)
{
    for (size_t i = 0; i < o->statsd_count; i++)
        statsd_add(o->statsd[i], r);
    if (o->syslog)
        syslog_sink_add(o->syslog, r);
}

static void add_statsd_telemetry(struct agent_telemetry *t, const struct statsd *s)
{
    const struct statsd_counts *c = statsd_counts(s);
    t->datagrams_sent += c->datagrams;
    t->bytes_sent += c->bytes;
    t->sends_refused += c->refused;
    t->flushes_late += c->flushes_late;
    t->due_bytes = MAX(t->due_bytes, statsd_left_bytes(s));
    t->flush_ms = MAX(t->flush_ms, c->flush_ms);
}

static void add_syslog_telemetry(struct agent_telemetry *t, struct syslog_sink *s)
{
    const struct syslog_sink_counts *c = syslog_sink_counts(s);
    t->messages_sent += c->messages;
    t->lines_dropped += c->lines_dropped;
    t->sends_refused += c->refused;
    t->flushes_late += c->flushes_late;
    t->due_bytes = MAX(t->due_bytes, syslog_sink_left_bytes(s));
}

static struct agent_telemetry telemetry(const struct outputs *o)
{
    struct agent_telemetry t = {0};
    telemetry_process(&t);
    for (size_t i = 0; i < o->statsd_count; i++)
        add_statsd_telemetry(&t, o->statsd[i]);
    if (o->syslog)
        add_syslog_telemetry(&t, o->syslog);
    return t;
}

static void set_agent(struct outputs *o)
{
    const struct agent_telemetry t = telemetry(o);
    for (size_t i = 0; i < o->statsd_count; i++)
        statsd_set_agent(o->statsd[i], &t);
    if (o->syslog)
        syslog_sink_set_agent(o->syslog, &t);
}

void outputs_flush(struct outputs *o, uint64_t time_ns)
{
    if (!o->statsd_pace.over && !o->syslog_pace.over)
        return;
    set_agent(o);
    if (o->statsd_pace.over)
        for (size_t i = 0; i < o->statsd_count; i++)
            statsd_flush(o->statsd[i], time_ns);
    if (o->syslog_pace.over)
        syslog_sink_flush(o->syslog, time_ns);
    o->statsd_pace.over = false;
    o->syslog_pace.over = false;
}

static void warn_unsent(const char *kind, const char *name, uint64_t bytes)
{
    if (bytes)
        log_warning("%s%s: %llu of the bytes counted could not be sent any more", kind, name,
                    (unsigned long long)bytes);
}

static void on_finished(void *context)
{
    struct outputs *o = context;
    if (--o->unfinished)
        return;
    take_log_back();
    for (size_t i = 0; i < o->statsd_count; i++)
        warn_unsent("statsd ", o->settings->statsd[i].address, statsd_due_bytes(o->statsd[i]));
    if (o->syslog)
        warn_unsent("syslog", "", syslog_sink_due_bytes(o->syslog));
    o->finished(o->context);
}

void outputs_finish(struct outputs *o, uint64_t time_ns, uint64_t patience_ms,
                    outputs_finished_fn *finished)
{
    uv_timer_stop(&o->statsd_pace.timer);
    uv_timer_stop(&o->syslog_pace.timer);
    o->finished = finished;
    set_agent(o);
    o->unfinished = 1; /* this call */
    for (size_t i = 0; i < o->statsd_count; i++) {
        o->unfinished++;
        statsd_finish(o->statsd[i], patience_ms, on_finished, o);
    }
    if (o->syslog) {
        o->unfinished++;
        syslog_sink_flush(o->syslog, time_ns);
        syslog_sink_finish(o->syslog, patience_ms, on_finished, o);
    }
    on_finished(o);
}
