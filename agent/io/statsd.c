/*
 * A flush is a chain of timer callbacks: the heartbeat, a pause, then a burst of
 * datagrams each turn until the walk over what is due has ended. A datagram that
 * the kernel has no room for waits for its next turn, longer each time.
 */
#include "io/statsd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/datagram_socket.h"
#include "io/resolver.h"

enum {
    PAUSE_MS = 100,
    PAUSE_REFUSED_MS = 500, /* after a refusal, which may have come late */
    TURN_MS = 10,
    TURN_BYTES_MIN = 4 * 1024,
    TURN_BYTES_MAX = 32 * 1024,
    FULL_MS_MAX = 640,
};

enum state { STATE_IDLE, STATE_KNOCK, STATE_LISTEN, STATE_SEND };

struct statsd {
    char *name;
    struct due *due;
    struct statsd_encoder *encoder;
    struct text line;
    struct resolver *resolver;
    struct datagram_socket socket;
    uv_timer_t turn;
    uv_timer_t patience;
    unsigned open_handles;

    enum state state;
    size_t knocks_left;
    bool refused; /* a knock, since a flush succeeded */
    uint64_t interval_ms;
    uint64_t turn_bytes; /* to send in a turn */
    uint64_t wait_ms;    /* for room; from TURN_MS, doubled while there is none */
    uint64_t begun_ms;
    uint64_t begun_bytes; /* counts.bytes then */
    uint64_t flush_bytes; /* of the last whole flush, 0: there was none */
    uint64_t left_bytes;  /* that were due when the last flush had ended */
    struct due_walk walk;
    struct datagram datagram;
    struct statsd_counts counts;
    int failure; /* as the log was told; 0: none */

    statsd_finished_fn *finished; /* NULL: nobody waits */
    void *finished_context;
    bool once_more; /* for what was added behind the walk */
};

static int make_encoder(struct statsd_encoder **out, const struct statsd_options *o)
{
    AUTO(statsd_encoder_free) struct statsd_encoder *e = NULL;
    int error = statsd_encoder_new(&e, &(struct statsd_encoder_options){
                                           .dialect = o->dialect,
                                           .prefix = o->prefix,
                                           .host = o->host,
                                           .tags = o->tags,
                                           .tag_count = o->tag_count,
                                       });
    if (error < 0)
        return error;
    if (statsd_encoder_line_max(e) > o->datagram_bytes)
        return -EMSGSIZE;
    *out = TAKE(e);
    return 0;
}

static struct due_options due_options(const struct statsd_options *o)
{
    return (struct due_options){
        .metrics = o->metrics,
        .per_interface = o->dialect != STATSD_GRAPHITE,
        .percentiles = o->dialect != STATSD_DATADOG,
        .services_max = o->services_max,
        .hash_seed = o->hash_seed,
        .idle_ns = o->idle_ns,
    };
}

static int make_parts(struct statsd *s, const struct statsd_options *o)
{
    s->name = strdup(o->name);
    if (!s->name)
        return -ENOMEM;
    int error = make_encoder(&s->encoder, o);
    if (error < 0)
        return error;
    const struct due_options due = due_options(o);
    return due_new(&s->due, &due);
}

/* What has no handle. */
static struct statsd *free_parts(struct statsd *s)
{
    statsd_encoder_free(s->encoder);
    due_free(s->due);
    text_deinit(&s->line);
    free(s->name);
    free(s);
    return NULL;
}

static void use_sizes(struct statsd *s, const struct statsd_options *o)
{
    datagram_init(&s->datagram, o->datagram_bytes);
    s->interval_ms = o->interval_ns / 1000000;
}

int statsd_new(struct statsd **out, uv_loop_t *loop, const struct statsd_options *options)
{
    assert(options->endpoint.transport != ENDPOINT_TCP);

    struct statsd *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    int error = make_parts(s, options);
    if (error == 0)
        error = resolver_new(&s->resolver, loop, &options->endpoint, NULL, NULL);
    if (error < 0) {
        free_parts(s);
        return error;
    }
    datagram_socket_init(&s->socket, s->resolver);
    use_sizes(s, options);
    uv_timer_init(loop, &s->turn);
    uv_timer_init(loop, &s->patience);
    s->turn.data = s;
    s->patience.data = s;
    s->open_handles = 2;
    *out = s;
    return 0;
}

int statsd_check(const struct statsd_options *options)
{
    AUTO(statsd_encoder_free) struct statsd_encoder *e = NULL;
    return make_encoder(&e, options);
}

int statsd_change(struct statsd *s, const struct statsd_options *options)
{
    AUTO(statsd_encoder_free) struct statsd_encoder *e = NULL;
    int error = make_encoder(&e, options);
    if (error < 0)
        return error;
    const struct due_options due = due_options(options);
    error = due_change(s->due, &due);
    if (error < 0)
        return error;
    statsd_encoder_free(s->encoder);
    s->encoder = TAKE(e);
    use_sizes(s, options); /* a datagram that was not accepted is still due: it is made anew */
    if (s->state == STATE_SEND)
        due_walk_begin(&s->walk, s->due);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct statsd *s = handle->data;
    if (--s->open_handles == 0)
        free_parts(s);
}

struct statsd *statsd_close(struct statsd *s)
{
    if (!s)
        return NULL;
    datagram_socket_deinit(&s->socket);
    resolver_close(s->resolver);
    uv_close((uv_handle_t *)&s->turn, on_closed);
    uv_close((uv_handle_t *)&s->patience, on_closed);
    return NULL;
}

void statsd_set_services_max(struct statsd *s, size_t services_max)
{
    due_set_services_max(s->due, services_max);
}

void statsd_add(struct statsd *s, const struct report *r)
{
    due_add(s->due, r);
}

void statsd_set_agent(struct statsd *s, const struct agent_telemetry *t)
{
    due_set_agent(s->due, t);
}

void statsd_know_gauges(struct statsd *s, const struct due *levels)
{
    due_know_gauges(s->due, levels);
}

void statsd_know_agent(struct statsd *s, const struct agent_telemetry *t)
{
    due_know_agent(s->due, t);
}

static void on_turn(uv_timer_t *timer);

static void go_on(struct statsd *s, enum state state, uint64_t delay_ms)
{
    s->state = state;
    uv_timer_start(&s->turn, on_turn, delay_ms, 0);
}

/* Let a flush like the last one that was whole take @time_ms. */
static void set_pace(struct statsd *s, uint64_t time_ms)
{
    uint64_t turns = MAX(time_ms / TURN_MS, (uint64_t)1);
    uint64_t turn_bytes = MAX(s->flush_bytes / turns, (uint64_t)TURN_BYTES_MIN);
    s->turn_bytes = MIN(turn_bytes, (uint64_t)TURN_BYTES_MAX);
}

static void begin(struct statsd *s)
{
    /* Each address, and once more: the first error may be an old one. */
    s->knocks_left = resolver_addresses(s->resolver)->count + 1;
    s->begun_bytes = s->counts.bytes;
    go_on(s, STATE_KNOCK, 0);
}

static void finish(struct statsd *s)
{
    uv_timer_stop(&s->patience);
    statsd_finished_fn *finished = TAKE(s->finished);
    finished(s->finished_context);
}

/* Whatever has not been sent stays due. */
static void end(struct statsd *s)
{
    uv_timer_stop(&s->turn);
    s->counts.flush_ms = s->state == STATE_SEND ? uv_now(s->turn.loop) - s->begun_ms : 0;
    s->state = STATE_IDLE;
    datagram_clear(&s->datagram);
    if (s->finished)
        finish(s);
}

static void fail(struct statsd *s, int error)
{
    s->counts.refused++;
    if (!s->failure)
        log_warning("statsd %s: %s: what is due is kept", s->name, uv_strerror(error));
    s->failure = error;
    s->left_bytes = due_bytes(s->due);
    end(s);
}

static void succeed(struct statsd *s)
{
    if (s->failure)
        log_info("statsd %s: sent again, with what was due", s->name);
    s->failure = 0;
    s->refused = false;
    if (s->once_more) {
        s->once_more = false;
        due_walk_begin(&s->walk, s->due);
        go_on(s, STATE_SEND, 0);
    } else {
        s->flush_bytes = s->counts.bytes - s->begun_bytes;
        s->left_bytes = 0;
        end(s);
    }
}

static void knock_again(struct statsd *s, int error)
{
    s->refused = true;
    if (--s->knocks_left == 0) {
        fail(s, error);
    } else {
        s->counts.refused++;
        go_on(s, STATE_KNOCK, 0);
    }
}

static void knock(struct statsd *s)
{
    text_clear(&s->line);
    statsd_encoder_add_heartbeat(s->encoder, &s->line);
    int error = text_failed(&s->line) ? -ENOMEM : datagram_socket_connect(&s->socket);
    if (error == 0)
        error = datagram_socket_send(&s->socket, s->line.data, s->line.size);
    if (error < 0 && !datagram_socket_is_full(error))
        knock_again(s, error);
    else
        go_on(s, STATE_LISTEN, s->refused || s->failure ? PAUSE_REFUSED_MS : PAUSE_MS);
}

static void listen_for_error(struct statsd *s)
{
    int error = datagram_socket_check(&s->socket);
    if (error < 0) {
        knock_again(s, error);
        return;
    }
    due_walk_begin(&s->walk, s->due);
    s->begun_ms = uv_now(s->turn.loop);
    s->wait_ms = TURN_MS;
    go_on(s, STATE_SEND, 0);
}

/* Returns 0 when the datagram was accepted. */
static int send_datagram(struct statsd *s)
{
    int error = datagram_socket_send(&s->socket, s->datagram.data, s->datagram.size);
    if (error < 0)
        return error;
    s->counts.datagrams++;
    s->counts.bytes += s->datagram.size;
    s->wait_ms = TURN_MS;
    datagram_accept(&s->datagram);
    return 0;
}

enum burst { BURST_MORE, BURST_END };

/* Returns an enum burst, or the error of what stays in the datagram. */
static int send_burst(struct statsd *s)
{
    size_t sent = 0;
    while (sent < s->turn_bytes) {
        if (s->datagram.size == 0) {
            int error = datagram_fill(&s->datagram, &s->walk, s->encoder, &s->line);
            if (error < 0)
                return error;
        }
        size_t size = s->datagram.size;
        if (size == 0)
            return BURST_END;
        int error = send_datagram(s);
        if (error < 0)
            return error;
        sent += size;
    }
    return BURST_MORE;
}

static void send_turn(struct statsd *s)
{
    int outcome = send_burst(s);
    if (outcome == BURST_END) {
        succeed(s);
    } else if (datagram_socket_is_full(outcome)) {
        go_on(s, STATE_SEND, s->wait_ms);
        s->wait_ms = MIN(2 * s->wait_ms, (uint64_t)FULL_MS_MAX);
    } else if (outcome < 0) {
        fail(s, outcome);
    } else {
        go_on(s, STATE_SEND, TURN_MS);
    }
}

static void on_turn(uv_timer_t *timer)
{
    struct statsd *s = timer->data;
    switch (s->state) {
    case STATE_KNOCK:
        knock(s);
        return;
    case STATE_LISTEN:
        listen_for_error(s);
        return;
    case STATE_SEND:
        send_turn(s);
        return;
    case STATE_IDLE:
        return;
    }
}

static void say_folded(struct statsd *s)
{
    uint64_t folded = due_take_folded(s->due);
    if (folded)
        log_warning("statsd %s: too many services are due: %llu requests went to " SERVICE_OTHER,
                    s->name, (unsigned long long)folded);
}

void statsd_flush(struct statsd *s, uint64_t time_ns)
{
    say_folded(s);
    if (s->state != STATE_IDLE) {
        s->counts.flushes_late++;
        s->turn_bytes = MIN(2 * s->turn_bytes, (uint64_t)TURN_BYTES_MAX);
        return;
    }
    due_expire(s->due, time_ns);
    set_pace(s, s->interval_ms / 2);
    begin(s);
}

static void on_patience(uv_timer_t *timer)
{
    end(timer->data);
}

void statsd_finish(struct statsd *s, uint64_t patience_ms, statsd_finished_fn *finished,
                   void *context)
{
    s->finished = finished;
    s->finished_context = context;
    uv_timer_start(&s->patience, on_patience, patience_ms, 0);
    set_pace(s, patience_ms / 2);
    if (s->flush_bytes == 0)
        s->turn_bytes = TURN_BYTES_MAX; /* there was none to go by */
    if (s->state == STATE_IDLE)
        begin(s);
    else
        s->once_more = true;
}

const struct statsd_counts *statsd_counts(const struct statsd *s)
{
    return &s->counts;
}

uint64_t statsd_due_bytes(const struct statsd *s)
{
    return due_bytes(s->due);
}

int statsd_failure(const struct statsd *s)
{
    return s->failure;
}

uint64_t statsd_left_bytes(const struct statsd *s)
{
    return s->state == STATE_IDLE ? s->left_bytes : due_bytes(s->due);
}
