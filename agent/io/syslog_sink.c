/*
 * One batch is on its way at a time: first lines of the log, then what a walk
 * over what is due comes across. With it goes a record of what its messages
 * claim; what the transport says was accepted is settled from that.
 */
#include "io/syslog_sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "io/line_queue.h"

enum {
    TIMESTAMP_MAX = sizeof("2026-11-23T08:25:04.029595Z"),
    INTERFACE_NAME_MAX = 64,
    RECONNECT_MIN_MS = 1000,
    RECONNECT_MAX_MS = 60000,
    MESSAGE_CLAIMS_MAX = SYSLOG_FACTS_MAX + DUE_LINE_CLAIMS_MAX,
    CLAIMS_MAX = SYSLOG_BATCH_MAX * SYSLOG_FACTS_MAX + MESSAGE_CLAIMS_MAX,
};

/* What the batch on its way is made of. */
struct in_flight {
    size_t count;
    size_t lines; /* the first of them */
    struct {
        size_t bytes_end;  /* of what was rendered */
        size_t claims_end; /* in claims */
    } at[SYSLOG_BATCH_MAX];
    struct due_claim claims[CLAIMS_MAX];
};

struct syslog_sink {
    struct syslog_origin origin;
    struct syslog_transport *transport;
    struct syslog_transport *successor; /* takes over when nothing is on its way, or NULL */
    struct line_queue *lines;
    uv_timer_t finish;
    syslog_sink_finished_fn *finished; /* NULL: not asked for yet */
    void *finished_context;

    struct due *due;
    uint64_t time_ns; /* of the last flush */
    struct due_walk walk;
    bool walking;
    bool again;          /* another flush came while walking */
    uint64_t left_bytes; /* that were due when the last flush had ended */

    bool closing;
    bool sending;
    struct in_flight in_flight;
    uint32_t sequence; /* of the next message */
    bool failing;      /* the last messages that were tried were not all accepted */
    struct syslog_sink_counts counts;
    unsigned long dropped; /* lines of the log, that it was not told of yet */
};

static void format_timestamp(char out[TIMESTAMP_MAX], uint64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t size = strftime(out, TIMESTAMP_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + size, TIMESTAMP_MAX - size, ".%06uZ", (unsigned)(time_ns % 1000000000 / 1000));
}

static uint32_t sequence_after(uint32_t sequence, size_t count)
{
    return (uint32_t)((sequence - 1 + count) % SYSLOG_SEQUENCE_MAX + 1);
}

/* Give @m its number and add it to @b, with the claims up to @claims_end. */
static void add_message(struct syslog_sink *s, struct syslog_batch *b, struct syslog_message *m,
                        size_t claims_end)
{
    struct in_flight *f = &s->in_flight;
    m->sequence = sequence_after(s->sequence, b->count);
    s->transport->render(&b->data, &s->origin, m);
    b->at[b->count].end = b->data.size;
    b->at[b->count].severity = m->severity;
    f->at[b->count].bytes_end = b->data.size;
    f->at[b->count].claims_end = claims_end;
    f->count = ++b->count;
}

static void add_lines(struct syslog_sink *s, struct syslog_batch *b)
{
    static const int severities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
    };
    const struct line *line = line_queue_first(s->lines);
    for (; line && b->count < SYSLOG_BATCH_MAX; line = line->next) {
        char timestamp[TIMESTAMP_MAX];
        format_timestamp(timestamp, line->time_ns);
        struct syslog_message m = {
            .severity = severities[line->level],
            .timestamp = timestamp,
            .line = bytes_from_string(line->text),
        };
        add_message(s, b, &m, 0);
    }
    s->in_flight.lines = b->count;
}

/* One subject's lines of the walk, gathered. */
struct gathering {
    struct due_line first;
    struct syslog_fact facts[SYSLOG_FACTS_MAX];
    size_t fact_count;
    size_t claims_end; /* in the claims in flight */
    bool moved;        /* there is more than gauges */
};

static bool same_subject(const struct due_line *a, const struct due_line *b)
{
    return metrics[a->metric].scope == metrics[b->metric].scope && a->service == b->service &&
           a->interface == b->interface;
}

static void gather_line(struct syslog_sink *s, struct gathering *g, const struct due_line *l)
{
    struct syslog_fact *f = &g->facts[g->fact_count];
    syslog_fact_make(f, l);
    if (g->fact_count && strcmp(f[-1].name, f->name) == 0)
        f[-1].value += f->value; /* more than other receivers take in one line */
    else
        g->fact_count++;
    g->claims_end += due_claim(l, &s->in_flight.claims[g->claims_end]);
    g->moved |= metrics[l->metric].form != METRIC_GAUGE;
}

/* Returns whether there was a subject left. */
static bool gather_subject(struct syslog_sink *s, struct gathering *g)
{
    struct due_line line;
    if (!due_walk_line(&s->walk, &line))
        return false;
    g->first = line;
    do {
        gather_line(s, g, &line);
        due_walk_next(&s->walk);
    } while (g->fact_count < SYSLOG_FACTS_MAX && due_walk_line(&s->walk, &line) &&
             same_subject(&g->first, &line));
    return true;
}

/* @interface holds the name of one as long as @m is used. */
static void name_subject(const struct syslog_sink *s, const struct due_line *l,
                         struct syslog_message *m, char interface[static INTERFACE_NAME_MAX])
{
    switch (metrics[l->metric].scope) {
    case METRIC_SERVICE:
        m->subject = "service";
        m->name = l->service;
        break;
    case METRIC_INTERFACE:
        m->subject = "interface";
        syslog_header_field(interface, INTERFACE_NAME_MAX, l->interface);
        m->name = interface;
        break;
    case METRIC_AGENT:
        m->subject = "agent";
        m->name = s->origin.app_name;
        break;
    }
}

/* A service of which only gauges are known did not move. */
static void add_subject(struct syslog_sink *s, struct syslog_batch *b, const struct gathering *g)
{
    if (metrics[g->first.metric].scope == METRIC_SERVICE && !g->moved)
        return;
    char timestamp[TIMESTAMP_MAX];
    format_timestamp(timestamp, s->time_ns);
    struct syslog_message m = {
        .severity = LOG_INFO,
        .timestamp = timestamp,
        .facts = g->facts,
        .fact_count = g->fact_count,
    };
    char interface[INTERFACE_NAME_MAX];
    name_subject(s, &g->first, &m, interface);
    add_message(s, b, &m, g->claims_end);
}

static void begin_walk(struct syslog_sink *s)
{
    due_expire(s->due, s->time_ns);
    due_walk_begin(&s->walk, s->due);
    s->walking = true;
    s->again = false;
    s->left_bytes = 0;
}

static size_t claims_in(const struct in_flight *f)
{
    return f->count ? f->at[f->count - 1].claims_end : 0;
}

static void add_subjects(struct syslog_sink *s, struct syslog_batch *b)
{
    while (s->walking && b->count < SYSLOG_BATCH_MAX &&
           claims_in(&s->in_flight) + MESSAGE_CLAIMS_MAX <= CLAIMS_MAX) {
        struct gathering g = {.claims_end = claims_in(&s->in_flight)};
        s->walking = gather_subject(s, &g);
        if (s->walking)
            add_subject(s, b, &g);
    }
}

static void on_finish(uv_timer_t *handle)
{
    struct syslog_sink *s = CONTAINER_OF(handle, struct syslog_sink, finish);
    syslog_sink_finished_fn *finished = s->finished;
    s->finished = NULL;
    finished(s->finished_context);
}

static void rest(struct syslog_sink *s)
{
    if (s->finished)
        uv_timer_start(&s->finish, on_finish, 0, 0);
}

/* What can't be tried for lack of memory is due at the next flush. */
static struct syslog_batch *make_batch(struct syslog_sink *s)
{
    AUTO(syslog_batch_free) struct syslog_batch *b = syslog_batch_new();
    s->in_flight.count = 0;
    if (b) {
        add_lines(s, b);
        add_subjects(s, b);
    }
    if (b && b->count && !text_failed(&b->data))
        return TAKE(b);
    if (s->walking)
        s->left_bytes = due_bytes(s->due);
    s->walking = false;
    return NULL;
}

static void pump(struct syslog_sink *s)
{
    if (s->sending)
        return;
    struct syslog_batch *b;
    do {
        if (s->again && !s->walking)
            begin_walk(s);
        b = make_batch(s);
    } while (!b && s->again);
    if (b) {
        s->sending = true;
        s->transport->methods->send(s->transport, b);
    } else {
        rest(s);
    }
}

static void settle(struct syslog_sink *s, size_t accepted)
{
    if (accepted == 0)
        return;
    struct in_flight *f = &s->in_flight;
    for (size_t i = 0; i < MIN(accepted, f->lines); i++)
        line_queue_remove_first(s->lines);
    due_settle(f->claims, f->at[accepted - 1].claims_end);
    s->sequence = sequence_after(s->sequence, accepted);
    s->counts.messages += accepted;
    s->counts.bytes += f->at[accepted - 1].bytes_end;
}

static void count_dropped(struct syslog_sink *s)
{
    unsigned long dropped = line_queue_take_dropped(s->lines);
    s->counts.lines_dropped += dropped;
    s->dropped += dropped;
}

static void tell_dropped(struct syslog_sink *s)
{
    count_dropped(s);
    if (s->dropped)
        log_warning("%lu lines of the log were dropped: syslog took them too slowly", s->dropped);
    s->dropped = 0;
}

static bool is_flushing(const struct syslog_sink *s)
{
    return s->walking || (s->sending && claims_in(&s->in_flight));
}

static void succeed(struct syslog_sink *s)
{
    syslog_transport_close(s->transport);
    s->transport = TAKE(s->successor);
}

static void on_sent(void *context, size_t accepted)
{
    struct syslog_sink *s = context;
    size_t refused = s->in_flight.count - accepted;
    settle(s, accepted);
    if (refused && is_flushing(s))
        s->left_bytes = due_bytes(s->due);
    s->sending = false;
    if (s->closing)
        return;
    if (s->successor)
        succeed(s);
    s->counts.refused += refused;
    s->failing = refused > 0;
    if (refused)
        s->walking = false;
    else
        tell_dropped(s);
    if (!refused || s->again)
        pump(s);
    else
        rest(s);
}

static void on_lines(void *context)
{
    pump(context);
}

static struct due_options due_options(const struct syslog_sink_options *o)
{
    struct metric_set metrics_sent = o->metrics;
    if (metrics_sent.bits == 0) {
        metrics_sent = metric_set_default();
        metric_set_add(&metrics_sent, METRIC_ttfb);
    }
    return (struct due_options){
        .metrics = metrics_sent,
        .percentiles = true,
        .services_max = o->services_max,
        .hash_seed = o->hash_seed,
        .idle_ns = o->idle_ns,
    };
}

static void init_origin(struct syslog_origin *to, const struct syslog_sink_options *o)
{
    char hostname[SYSLOG_HOSTNAME_MAX + 1] = "";
    if (!o->hostname)
        gethostname(hostname, sizeof(hostname) - 1);
    to->facility = o->facility;
    to->process_id = (unsigned)getpid();
    syslog_header_field(to->hostname, sizeof(to->hostname), o->hostname ? o->hostname : hostname);
    syslog_header_field(to->app_name, sizeof(to->app_name), o->tag ? o->tag : SYSLOG_TAG);
    syslog_header_field(to->sd_id, sizeof(to->sd_id), o->sd_id ? o->sd_id : SYSLOG_SD_ID);
}

static int open_transport(struct syslog_transport **out, struct syslog_sink *s,
                          const struct syslog_origin *origin, const struct syslog_sink_options *o)
{
    const struct syslog_transport_options options = {
        .loop = s->finish.loop,
        .origin = origin,
        .sent = on_sent,
        .context = s,
        .reconnect_min_ms = o->reconnect_min_ms ? o->reconnect_min_ms : RECONNECT_MIN_MS,
        .reconnect_max_ms = o->reconnect_max_ms ? o->reconnect_max_ms : RECONNECT_MAX_MS,
    };
    if (o->address.local)
        return syslog_local_new(out, &options);
    if (o->address.endpoint.transport == ENDPOINT_TCP)
        return syslog_tcp_new(out, &options, &o->address.endpoint);
    return syslog_udp_new(out, &options, &o->address.endpoint);
}

static int open_parts(struct syslog_sink *s, const struct syslog_sink_options *o)
{
    init_origin(&s->origin, o);
    const struct due_options due = due_options(o);
    int error = due_new(&s->due, &due);
    if (error == 0)
        error = line_queue_new(&s->lines, s->finish.loop, SYSLOG_LINES_MAX, on_lines, s);
    if (error == 0)
        error = open_transport(&s->transport, s, &s->origin, o);
    return error;
}

int syslog_sink_new(struct syslog_sink **out, uv_loop_t *loop,
                    const struct syslog_sink_options *options)
{
    struct syslog_sink *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->sequence = 1;
    uv_timer_init(loop, &s->finish);
    int error = open_parts(s, options);
    if (error < 0) {
        syslog_sink_close(s);
        return error;
    }
    *out = s;
    return 0;
}

static bool is_same_origin(const struct syslog_origin *a, const struct syslog_origin *b)
{
    return a->facility == b->facility && strcmp(a->hostname, b->hostname) == 0 &&
           strcmp(a->app_name, b->app_name) == 0 && strcmp(a->sd_id, b->sd_id) == 0;
}

static int change_metrics(struct syslog_sink *s, const struct syslog_sink_options *options)
{
    const struct due_options due = due_options(options);
    int error = due_change(s->due, &due);
    if (error == 0 && s->walking) {
        s->walking = false; /* the change has ended it */
        s->again = true;
    }
    return error;
}

int syslog_sink_change(struct syslog_sink *s, const struct syslog_sink_options *options)
{
    struct syslog_origin origin;
    init_origin(&origin, options);
    /* The others take it with each message; this one writes in a thread of its own. */
    bool reopens = options->address.local && !is_same_origin(&origin, &s->origin);
    AUTO(syslog_transport_close) struct syslog_transport *other = NULL;
    int error = reopens ? open_transport(&other, s, &origin, options) : 0;
    if (error == 0)
        error = change_metrics(s, options);
    if (error < 0)
        return error;
    s->origin = origin;
    if (!reopens)
        return 0;
    syslog_transport_close(s->successor);
    s->successor = TAKE(other);
    if (!s->sending)
        succeed(s);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct syslog_sink *s = CONTAINER_OF((uv_timer_t *)handle, struct syslog_sink, finish);
    due_free(s->due);
    free(s);
}

struct syslog_sink *syslog_sink_close(struct syslog_sink *s)
{
    if (!s)
        return NULL;
    s->closing = true;
    s->transport = syslog_transport_close(s->transport);
    s->successor = syslog_transport_close(s->successor);
    s->lines = line_queue_close(s->lines);
    uv_close((uv_handle_t *)&s->finish, on_closed);
    return NULL;
}

void syslog_sink_set_services_max(struct syslog_sink *s, size_t services_max)
{
    due_set_services_max(s->due, services_max);
}

void syslog_sink_add(struct syslog_sink *s, const struct report *r)
{
    due_add(s->due, r);
}

void syslog_sink_know_gauges(struct syslog_sink *s, const struct due *levels)
{
    due_know_gauges(s->due, levels);
}

void syslog_sink_know_agent(struct syslog_sink *s, const struct agent_telemetry *t)
{
    due_know_agent(s->due, t);
}

void syslog_sink_set_agent(struct syslog_sink *s, const struct agent_telemetry *t)
{
    due_set_agent(s->due, t);
}

static void say_folded(struct syslog_sink *s)
{
    uint64_t folded = due_take_folded(s->due);
    if (folded)
        log_warning("syslog: too many services are due: %llu requests went to " SERVICE_OTHER,
                    (unsigned long long)folded);
}

void syslog_sink_flush(struct syslog_sink *s, uint64_t time_ns)
{
    say_folded(s);
    s->time_ns = time_ns;
    s->again = true;
    s->counts.flushes_late += s->walking;
    pump(s);
}

void syslog_sink_log(void *sink, enum log_level level, const char *line)
{
    struct syslog_sink *s = sink;
    line_queue_add(s->lines, level, line);
}

void syslog_sink_finish(struct syslog_sink *s, uint64_t patience_ms,
                        syslog_sink_finished_fn *finished, void *context)
{
    s->finished = finished;
    s->finished_context = context;
    uv_timer_start(&s->finish, on_finish, patience_ms, 0);
    pump(s);
}

const struct syslog_sink_counts *syslog_sink_counts(struct syslog_sink *s)
{
    count_dropped(s);
    return &s->counts;
}

uint64_t syslog_sink_due_bytes(const struct syslog_sink *s)
{
    return due_bytes(s->due);
}

bool syslog_sink_is_failing(const struct syslog_sink *s)
{
    return s->failing;
}

uint64_t syslog_sink_left_bytes(const struct syslog_sink *s)
{
    return is_flushing(s) ? due_bytes(s->due) : s->left_bytes;
}
