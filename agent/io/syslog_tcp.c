/*
 * Syslog over TCP with octet counting (RFC 6587, section 3.4.1).
 *
 * A message is accepted once all of its bytes are in the kernel, and is never
 * sent again then. What a connection had taken when it broke and its other end
 * had not read is lost with it: of a receiver that stopped reading what fits
 * into its own buffer and UNSENT_BYTES here, of a network that went away at most
 * SEND_BUFFER_BYTES. A message of which only a part went out is sent whole on
 * the next connection: the receiver drops the part, whose count is not reached.
 *
 * Without a connection a batch waits for one, tried again after a time that
 * doubles with each failure. The other end has nothing to say; reading tells
 * that it has closed.
 */
#include "io/syslog_transport.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/log.h"
#include "io/resolver.h"

enum {
    SEND_BUFFER_BYTES = 65536,
    UNSENT_BYTES = 8192,
    KEEPALIVE_S = 60,
};

struct tcp {
    struct syslog_transport transport;
    struct syslog_transport_options options;
    struct endpoint endpoint;
    struct resolver *resolver;
    uv_timer_t attempt; /* to connect */
    uv_timer_t turn;    /* of the loop, between batches */
    unsigned open_handles;
    size_t address;
    unsigned failures;
    bool failing; /* as the log was told */
    struct connection *connection;
    struct syslog_batch *batch;
    size_t sent;
};

struct connection {
    struct tcp *owner; /* NULL: given up */
    uv_tcp_t handle;
    uv_connect_t connect;
    uv_write_t write;
    bool connected;
    uint64_t since_ms;
    char ignored[256];
};

static void start_attempt(struct tcp *t);
static void push(struct tcp *t);

static void on_attempt(uv_timer_t *handle)
{
    start_attempt(CONTAINER_OF(handle, struct tcp, attempt));
}

/* Between the half and all of what is due, so that many agents don't come at once. */
static uint64_t retry_ms(const struct tcp *t)
{
    uint64_t delay_ms = t->options.reconnect_min_ms;
    for (unsigned i = 1; i < t->failures && delay_ms < t->options.reconnect_max_ms; i++)
        delay_ms *= 2;
    delay_ms = MIN(delay_ms, t->options.reconnect_max_ms);
    uint64_t random = 0;
    uv_random(NULL, NULL, &random, sizeof(random), 0, NULL);
    return delay_ms / 2 + random % (delay_ms / 2 + 1);
}

static void retry(struct tcp *t, int error)
{
    resolver_retry(t->resolver);
    t->failures++;
    if (!t->failing)
        log_warning("syslog to %s:%s: %s: what is due waits", t->endpoint.host, t->endpoint.port,
                    uv_strerror(error));
    t->failing = true;
    uv_timer_start(&t->attempt, on_attempt, retry_ms(t), 0);
}

static void on_connection_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_tcp_t *)handle, struct connection, handle));
}

static void give_up(struct connection *c)
{
    c->owner->connection = NULL;
    c->owner = NULL;
    uv_close((uv_handle_t *)&c->handle, on_connection_closed);
}

/* A connection that held for long was a good one: the next attempt comes soon. */
static void lose(struct connection *c, int error)
{
    struct tcp *t = c->owner;
    if (c->connected && uv_now(t->options.loop) - c->since_ms >= t->options.reconnect_max_ms)
        t->failures = 0;
    give_up(c);
    retry(t, error);
}

static void on_allocate(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)size;
    struct connection *c = CONTAINER_OF((uv_tcp_t *)handle, struct connection, handle);
    *buffer = uv_buf_init(c->ignored, sizeof(c->ignored));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    (void)buffer;
    struct connection *c = CONTAINER_OF((uv_tcp_t *)stream, struct connection, handle);
    if (size < 0)
        lose(c, (int)size);
}

static void on_connected(uv_connect_t *request, int error)
{
    struct connection *c = CONTAINER_OF(request, struct connection, connect);
    struct tcp *t = c->owner;
    if (!t)
        return;
    if (error < 0) {
        lose(c, error);
        return;
    }
    c->connected = true;
    c->since_ms = uv_now(t->options.loop);
    uv_tcp_keepalive(&c->handle, 1, KEEPALIVE_S);
    uv_read_start((uv_stream_t *)&c->handle, on_allocate, on_read);
    if (t->failing)
        log_info("syslog to %s:%s: connected again", t->endpoint.host, t->endpoint.port);
    t->failing = false;
    if (t->batch)
        push(t);
}

/* Keep in the kernel what keeps the network busy, no more. */
static void limit_buffers(struct connection *c)
{
    int send_bytes = SEND_BUFFER_BYTES, unsent_bytes = UNSENT_BYTES, fd = -1;
    uv_send_buffer_size((uv_handle_t *)&c->handle, &send_bytes);
    uv_fileno((uv_handle_t *)&c->handle, &fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof(unsent_bytes));
}

static int connect_to(struct tcp *t, const struct resolver_address *to)
{
    struct connection *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    int error = uv_tcp_init_ex(t->options.loop, &c->handle, to->any.sa_family);
    if (error < 0) {
        free(c);
        return error;
    }
    c->owner = t;
    t->connection = c;
    limit_buffers(c);
    error = uv_tcp_connect(&c->connect, &c->handle, &to->any, on_connected);
    if (error < 0)
        give_up(c);
    return error;
}

/* Where one address fails, the next one is tried the next time. */
static void start_attempt(struct tcp *t)
{
    const struct resolver_addresses *known = resolver_addresses(t->resolver);
    int error = resolver_error(t->resolver);
    if (known->count)
        error = connect_to(t, &known->at[t->address++ % known->count]);
    else if (error == 0)
        return; /* being looked up */
    if (error < 0)
        retry(t, error);
}

static void on_resolved(void *context)
{
    struct tcp *t = context;
    if (!t->connection && !uv_is_active((uv_handle_t *)&t->attempt))
        start_attempt(t);
}

static void finish(struct tcp *t)
{
    t->batch = syslog_batch_free(t->batch);
    t->options.sent(t->options.context, t->sent);
}

static void on_turn(uv_timer_t *handle)
{
    finish(CONTAINER_OF(handle, struct tcp, turn));
}

static void on_written(uv_write_t *request, int error)
{
    struct connection *c = CONTAINER_OF(request, struct connection, write);
    struct tcp *t = c->owner;
    if (!t)
        return;
    if (error < 0) {
        lose(c, error);
        return;
    }
    t->sent++;
    push(t);
}

/* What the kernel does not take at once is left to the loop. Then, or without a connection, stop.
 */
static bool write_message(struct tcp *t, struct bytes m)
{
    struct connection *c = t->connection;
    if (!c || !c->connected)
        return false;
    uv_buf_t buffer = uv_buf_init((char *)m.data, (unsigned)m.size);
    int n = uv_try_write((uv_stream_t *)&c->handle, &buffer, 1);
    if (n == (int)m.size)
        return true;

    int error = n < 0 && n != UV_EAGAIN ? n : 0;
    if (error == 0) {
        bytes_take(&m, (size_t)MAX(n, 0));
        buffer = uv_buf_init((char *)m.data, (unsigned)m.size);
        error = uv_write(&c->write, (uv_stream_t *)&c->handle, &buffer, 1, on_written);
    }
    if (error < 0)
        lose(c, error);
    return false;
}

static void push(struct tcp *t)
{
    while (t->sent < t->batch->count) {
        if (!write_message(t, syslog_batch_message(t->batch, t->sent)))
            return;
        t->sent++;
    }
    uv_timer_start(&t->turn, on_turn, 0, 0);
}

/* The same with its length in front. */
static void tcp_render(struct text *t, const struct syslog_origin *o,
                       const struct syslog_message *m)
{
    AUTO(text_deinit) struct text line = {0};
    syslog_line(&line, o, m);
    text_printf(t, "%zu ", line.size);
    text_add(t, bytes_make(line.data, line.size));
    t->failed |= text_failed(&line);
}

static void tcp_send(struct syslog_transport *transport, struct syslog_batch *b)
{
    struct tcp *t = CONTAINER_OF(transport, struct tcp, transport);
    t->batch = b;
    t->sent = 0;
    push(t);
}

static void on_handle_closed(struct tcp *t)
{
    if (--t->open_handles == 0)
        free(t);
}

static void on_attempt_closed(uv_handle_t *handle)
{
    on_handle_closed(CONTAINER_OF((uv_timer_t *)handle, struct tcp, attempt));
}

static void on_turn_closed(uv_handle_t *handle)
{
    on_handle_closed(CONTAINER_OF((uv_timer_t *)handle, struct tcp, turn));
}

static void tcp_close(struct syslog_transport *transport)
{
    struct tcp *t = CONTAINER_OF(transport, struct tcp, transport);
    if (t->connection)
        give_up(t->connection);
    t->resolver = resolver_close(t->resolver);
    uv_close((uv_handle_t *)&t->attempt, on_attempt_closed);
    uv_close((uv_handle_t *)&t->turn, on_turn_closed);
    if (t->batch)
        finish(t);
}

int syslog_tcp_new(struct syslog_transport **out, const struct syslog_transport_options *options,
                   const struct endpoint *e)
{
    static const struct syslog_transport_methods methods = {
        .send = tcp_send,
        .close = tcp_close,
    };
    struct tcp *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->transport = (struct syslog_transport){.methods = &methods, .render = tcp_render};
    t->options = *options;
    t->endpoint = *e;
    int error = resolver_new(&t->resolver, options->loop, e, on_resolved, t);
    if (error < 0) {
        free(t);
        return error;
    }
    uv_timer_init(options->loop, &t->attempt);
    uv_timer_init(options->loop, &t->turn);
    t->open_handles = 2;
    start_attempt(t);
    *out = &t->transport;
    return 0;
}
