/*
 * Syslog over UDP: one message a datagram (RFC 5426).
 *
 * After a rest the first message goes alone, and its host has PROBE_MS to say
 * that nobody listens: then it has not arrived and is not sent. So what is lost
 * at a receiver that is down is nothing, if its host says so; if that ends in
 * the middle, what was on its way for one round trip; all of it if the network
 * loses it without a word. After a refusal, which may have come too late for its
 * probe, the host is given more time.
 *
 * Batches are paced: a receiver with the default buffer takes about a hundred
 * such datagrams before it must have read some.
 */
#include "io/syslog_transport.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "io/datagram_socket.h"

enum {
    TURN_MS = 20, /* for a batch: 3200 messages/s */
    PROBE_MS = 100,
    PROBE_REFUSED_MS = 500,
    REST_MS = 100,
};

struct udp {
    struct syslog_transport transport;
    struct syslog_transport_options options;
    struct endpoint endpoint;
    struct datagram_socket socket;
    uv_timer_t turn;
    uint64_t sent_ms; /* when it last sent */
    bool probing;     /* only the first message is out */
    bool refused;     /* since a batch succeeded */
    bool failed;
    bool failing; /* as the log was told */
    struct syslog_batch *batch;
    size_t sent;
};

static void fail(struct udp *u, int error)
{
    u->failed = true;
    u->refused = true;
    u->sent_ms = 0; /* the next one is a probe */
    if (!u->failing)
        log_warning("syslog to %s:%s: %s: what is due waits", u->endpoint.host, u->endpoint.port,
                    uv_strerror(error));
    u->failing = true;
}

/* All that went out was not refused in time. */
static void succeed(struct udp *u)
{
    if (u->failing)
        log_info("syslog to %s:%s: goes again", u->endpoint.host, u->endpoint.port);
    u->failing = false;
    u->refused = false;
}

static void finish(struct udp *u)
{
    u->batch = syslog_batch_free(u->batch);
    u->options.sent(u->options.context, u->sent);
}

/* Returns 0, also when the kernel has no room now, or why the rest can't be sent. */
static int send_messages(struct udp *u, size_t end)
{
    int error = datagram_socket_connect(&u->socket);
    while (error == 0 && u->sent < end) {
        struct bytes m = syslog_batch_message(u->batch, u->sent);
        error = datagram_socket_send(&u->socket, (const char *)m.data, m.size);
        if (error == 0)
            u->sent++;
    }
    return datagram_socket_is_full(error) ? 0 : error;
}

static void on_turn(uv_timer_t *handle);

static uint64_t turn_ms(const struct udp *u)
{
    if (!u->probing)
        return TURN_MS;
    return u->refused ? PROBE_REFUSED_MS : PROBE_MS;
}

static void push(struct udp *u)
{
    uint64_t now_ms = uv_now(u->options.loop);
    u->probing = u->sent == 0 && now_ms - u->sent_ms >= REST_MS;
    u->sent_ms = now_ms;
    if (u->probing && u->socket.fd >= 0 && datagram_socket_check(&u->socket) < 0)
        u->refused = true; /* what is said of former messages comes too late for them */
    u->failed = false;
    int error = send_messages(u, u->probing ? 1 : u->batch->count);
    if (error < 0)
        fail(u, error);
    uv_timer_start(&u->turn, on_turn, turn_ms(u), 0);
}

/* The host of the receiver had its time to say that nobody listens. */
static void end_probe(struct udp *u)
{
    u->probing = false;
    int error = datagram_socket_check(&u->socket);
    if (error == 0)
        return;
    u->sent = 0;
    fail(u, error);
}

static void on_turn(uv_timer_t *handle)
{
    struct udp *u = CONTAINER_OF(handle, struct udp, turn);
    if (u->probing && !u->failed)
        end_probe(u);
    if (!u->failed && u->sent < u->batch->count) {
        push(u);
        return;
    }
    if (!u->failed)
        succeed(u);
    finish(u);
}

static void udp_send(struct syslog_transport *t, struct syslog_batch *b)
{
    struct udp *u = CONTAINER_OF(t, struct udp, transport);
    u->batch = b;
    u->sent = 0;
    push(u);
}

static void on_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_timer_t *)handle, struct udp, turn));
}

static void udp_close(struct syslog_transport *t)
{
    struct udp *u = CONTAINER_OF(t, struct udp, transport);
    datagram_socket_deinit(&u->socket);
    resolver_close(u->socket.resolver);
    uv_close((uv_handle_t *)&u->turn, on_closed);
    if (u->batch)
        finish(u);
}

int syslog_udp_new(struct syslog_transport **out, const struct syslog_transport_options *options,
                   const struct endpoint *e)
{
    static const struct syslog_transport_methods methods = {
        .send = udp_send,
        .close = udp_close,
    };
    struct udp *u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    struct resolver *resolver = NULL;
    int error = resolver_new(&resolver, options->loop, e, NULL, NULL);
    if (error < 0) {
        free(u);
        return error;
    }
    u->transport = (struct syslog_transport){.methods = &methods, .render = syslog_line};
    u->options = *options;
    u->endpoint = *e;
    datagram_socket_init(&u->socket, resolver);
    uv_timer_init(options->loop, &u->turn);
    *out = &u->transport;
    return 0;
}
