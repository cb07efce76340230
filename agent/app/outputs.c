#include "app/outputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/destinations.h"
#include "app/telemetry.h"

/* The interval of a kind of sinks. */
struct pace {
    uv_timer_t timer;
    struct outputs *outputs;
    uint64_t interval_ms; /* 0: there are no such sinks */
    bool over;
};

struct outputs {
    outputs_due_fn *due;
    void *context;
    struct pace statsd_pace;
    struct pace syslog_pace;
    unsigned open_handles;

    struct destinations_options options;
    struct destinations to;
    struct due *levels; /* how gauges stand, for destinations to come */

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

/*
 * Where it had another interval, one begins anew. The first is a part of one, so
 * that hosts that start together don't flush together.
 */
static void set_pace(struct pace *p, bool wanted, uint64_t interval_ns, uint64_t random)
{
    uint64_t interval_ms = wanted ? interval_ns / 1000000 : 0;
    if (interval_ms == p->interval_ms)
        return;
    p->interval_ms = interval_ms;
    if (wanted)
        uv_timer_start(&p->timer, on_interval, 1 + random % interval_ms, interval_ms);
    else
        uv_timer_stop(&p->timer);
}

static void set_paces(struct outputs *o, const struct settings_outputs *settings)
{
    uint64_t random = o->options.hash_seed;
    set_pace(&o->statsd_pace, settings->statsd_count > 0, settings->flush_ns, random >> 32);
    set_pace(&o->syslog_pace, settings->syslog.wanted, settings->syslog.interval_ns,
             random & UINT32_MAX);
}

static int open_destinations(struct outputs *o, const struct settings_outputs *settings)
{
    const struct due_options levels = due_levels(o->options.services_max, o->options.hash_seed);
    int error = due_new(&o->levels, &levels);
    if (error < 0)
        return error;
    const struct destinations_past none = {.levels = o->levels};
    return destinations_change(&o->to, settings, &o->options, &none, 0);
}

int outputs_new(struct outputs **out, uv_loop_t *loop, const struct outputs_options *options)
{
    struct outputs *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->due = options->due;
    o->context = options->context;
    o->options = (struct destinations_options){
        .services_max = options->services_max,
        .hash_seed = options->hash_seed,
        .idle_ns = options->idle_ns,
    };
    destinations_init(&o->to, loop);
    init_pace(o, &o->statsd_pace, loop);
    init_pace(o, &o->syslog_pace, loop);

    int error = open_destinations(o, options->settings);
    if (error < 0) {
        outputs_close(o);
        return error;
    }
    set_paces(o, options->settings);
    *out = o;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct outputs *o = CONTAINER_OF((uv_timer_t *)handle, struct pace, timer)->outputs;
    if (--o->open_handles == 0)
        free(o);
}

struct outputs *outputs_close(struct outputs *o)
{
    if (!o)
        return NULL;
    destinations_close(&o->to);
    o->levels = due_free(o->levels);
    uv_close((uv_handle_t *)&o->statsd_pace.timer, on_closed);
    uv_close((uv_handle_t *)&o->syslog_pace.timer, on_closed);
    return NULL;
}

static struct agent_telemetry telemetry(const struct outputs *o)
{
    struct agent_telemetry t = {0};
    telemetry_process(&t);
    leavers_add_telemetry(&o->to.leavers, &t);
    for (size_t i = 0; i < o->to.statsd_count; i++)
        telemetry_statsd(&t, o->to.statsd[i]);
    if (o->to.syslog)
        telemetry_syslog(&t, o->to.syslog);
    return t;
}

int outputs_change(struct outputs *o, const struct settings_outputs *settings, uint64_t idle_ns,
                   uint64_t time_ns)
{
    struct destinations_options options = o->options;
    options.idle_ns = idle_ns;
    const struct destinations_past past = {telemetry(o), o->levels};
    int error = destinations_change(&o->to, settings, &options, &past, time_ns);
    if (error < 0)
        return error;
    o->options = options;
    set_paces(o, settings);
    return 0;
}

void outputs_set_services_max(struct outputs *o, size_t services_max)
{
    o->options.services_max = services_max;
    due_set_services_max(o->levels, services_max);
    for (size_t i = 0; i < o->to.statsd_count; i++)
        statsd_set_services_max(o->to.statsd[i], services_max);
    if (o->to.syslog)
        syslog_sink_set_services_max(o->to.syslog, services_max);
}

void outputs_add(struct outputs *o, const struct report *r)
{
    due_add(o->levels, r);
    for (size_t i = 0; i < o->to.statsd_count; i++)
        statsd_add(o->to.statsd[i], r);
    if (o->to.syslog)
        syslog_sink_add(o->to.syslog, r);
}

static void set_agent(struct outputs *o)
{
    const struct agent_telemetry t = telemetry(o);
    for (size_t i = 0; i < o->to.statsd_count; i++)
        statsd_set_agent(o->to.statsd[i], &t);
    if (o->to.syslog)
        syslog_sink_set_agent(o->to.syslog, &t);
}

void outputs_flush(struct outputs *o, uint64_t time_ns)
{
    due_expire(o->levels, time_ns);
    if (!o->statsd_pace.over && !o->syslog_pace.over)
        return;
    set_agent(o);
    if (o->statsd_pace.over)
        for (size_t i = 0; i < o->to.statsd_count; i++)
            statsd_flush(o->to.statsd[i], time_ns);
    if (o->syslog_pace.over)
        syslog_sink_flush(o->to.syslog, time_ns);
    o->statsd_pace.over = false;
    o->syslog_pace.over = false;
}

static void warn_unsent_statsd(const struct outputs *o, size_t number)
{
    char name[128];
    snprintf(name, sizeof(name), "statsd %s", o->to.settings->statsd[number].address);
    telemetry_warn_unsent(name, statsd_due_bytes(o->to.statsd[number]));
}

static void on_finished(void *context)
{
    struct outputs *o = context;
    if (--o->unfinished)
        return;
    destinations_take_log_back();
    for (size_t i = 0; i < o->to.statsd_count; i++)
        warn_unsent_statsd(o, i);
    if (o->to.syslog)
        telemetry_warn_unsent("syslog", syslog_sink_due_bytes(o->to.syslog));
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
    for (size_t i = 0; i < o->to.statsd_count; i++) {
        o->unfinished++;
        statsd_finish(o->to.statsd[i], patience_ms, on_finished, o);
    }
    if (o->to.syslog) {
        o->unfinished++;
        syslog_sink_flush(o->to.syslog, time_ns);
        syslog_sink_finish(o->to.syslog, patience_ms, on_finished, o);
    }
    o->unfinished += leavers_await(&o->to.leavers, on_finished, o);
    on_finished(o);
}

size_t outputs_destination_count(const struct outputs *o)
{
    return o->to.statsd_count + (o->to.syslog != NULL);
}

static void show_statsd(const struct outputs *o, size_t number, struct outputs_destination *out)
{
    const struct statsd *s = o->to.statsd[number];
    const struct statsd_counts *c = statsd_counts(s);
    int failure = statsd_failure(s);
    *out = (struct outputs_destination){
        .kind = "statsd",
        .failing = failure != 0,
        .reason = failure ? uv_strerror(failure) : NULL,
        .sent = c->datagrams,
        .sent_bytes = c->bytes,
        .refused = c->refused,
        .late = c->flushes_late,
        .due_bytes = statsd_due_bytes(s),
    };
    snprintf(out->name, sizeof(out->name), "%s", o->to.settings->statsd[number].address);
}

static void show_syslog(const struct outputs *o, struct outputs_destination *out)
{
    const struct syslog_sink_counts *c = syslog_sink_counts(o->to.syslog);
    *out = (struct outputs_destination){
        .kind = "syslog",
        .failing = syslog_sink_is_failing(o->to.syslog),
        .sent = c->messages,
        .sent_bytes = c->bytes,
        .refused = c->refused,
        .late = c->flushes_late,
        .due_bytes = syslog_sink_due_bytes(o->to.syslog),
    };
    const struct syslog_address *a = &o->to.settings->syslog.address;
    if (a->local)
        strcpy(out->name, "local");
    else
        snprintf(out->name, sizeof(out->name), "%s://%s:%s",
                 a->endpoint.transport == ENDPOINT_TCP ? "tcp" : "udp", a->endpoint.host,
                 a->endpoint.port);
}

void outputs_destination(const struct outputs *o, size_t number, struct outputs_destination *out)
{
    if (number < o->to.statsd_count)
        show_statsd(o, number, out);
    else
        show_syslog(o, out);
}
