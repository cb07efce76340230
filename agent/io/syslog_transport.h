/*
 * A way for syslog messages, one batch at a time: UDP, TCP, or this host's own
 * log. io/syslog_sink.h decides what is sent, this how.
 *
 * Owns     the batch it was given, until it is sent; its handles live in the
 *          loop it was given
 * Threads  the loop's
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/macros.h"
#include "base/text.h"
#include "core/syslog_line.h"
#include "io/endpoint.h"

enum { SYSLOG_BATCH_MAX = 64 };

/* Messages as their transport wants them, one behind the other. */
struct syslog_batch {
    struct text data;
    size_t count;
    struct {
        size_t end; /* in data */
        int severity;
    } at[SYSLOG_BATCH_MAX];
};

struct syslog_batch *syslog_batch_new(void); /* NULL without memory */
struct syslog_batch *syslog_batch_free(struct syslog_batch *b);
AUTO_DEFINE(struct syslog_batch, syslog_batch_free)

/* Message @number. */
struct bytes syslog_batch_message(const struct syslog_batch *b, size_t number);

/**
 * A batch has gone, or its first @accepted messages: then the rest could not be
 * sent now. An accepted one is the receiver's or the kernel's.
 */
typedef void syslog_sent_fn(void *context, size_t accepted);

struct syslog_transport_options {
    uv_loop_t *loop;
    const struct syslog_origin *origin; /* copied where it is needed later */
    syslog_sent_fn *sent;
    void *context;
    uint64_t reconnect_min_ms; /* of TCP, doubled after each failure */
    uint64_t reconnect_max_ms;
};

struct syslog_transport {
    const struct syslog_transport_methods *methods;

    /* Add @m as this transport sends it. */
    void (*render)(struct text *t, const struct syslog_origin *o, const struct syslog_message *m);
};

struct syslog_transport_methods {
    /* Take @b over and begin to send it; the former one has been sent. Calls sent() later. */
    void (*send)(struct syslog_transport *t, struct syslog_batch *b);

    /* Calls sent() at once if a batch is on its way, and frees all when the loop has run. */
    void (*close)(struct syslog_transport *t);
};

int syslog_udp_new(struct syslog_transport **out, const struct syslog_transport_options *options,
                   const struct endpoint *e);
int syslog_tcp_new(struct syslog_transport **out, const struct syslog_transport_options *options,
                   const struct endpoint *e);
int syslog_local_new(struct syslog_transport **out, const struct syslog_transport_options *options);

struct syslog_transport *syslog_transport_close(struct syslog_transport *t);
AUTO_DEFINE(struct syslog_transport, syslog_transport_close)
