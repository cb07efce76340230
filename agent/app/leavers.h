/*
 * Destinations that are not wanted any more. Each gets a last flush, which may
 * take LEAVERS_PATIENCE_MS; then the log is told what could not be sent, and it
 * is closed.
 *
 * Units    nanoseconds since the epoch
 * Owns     the sinks
 * Threads  that of the sinks' loop
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/metric.h"
#include "io/statsd.h"
#include "io/syslog_sink.h"

enum { LEAVERS_PATIENCE_MS = 1900 };

struct leaver;

typedef void leavers_gone_fn(void *context);

/* Embed it where it stays: those that leave point to it. */
struct leavers {
    struct leaver *list;
    struct agent_telemetry past; /* what those that have left counted */
    leavers_gone_fn *gone;       /* NULL: nobody waits */
    void *context;
};

/* @s leaves. Without memory to wait for it, it is closed as it is. */
void leavers_add_statsd(struct leavers *l, struct statsd *s, const char *address);
void leavers_add_syslog(struct leavers *l, struct syslog_sink *s, uint64_t time_ns);

/* Add what all of them counted, since the start. */
void leavers_add_telemetry(const struct leavers *l, struct agent_telemetry *t);

/* Call @gone when the last of them has left. Returns false when there is none. */
bool leavers_await(struct leavers *l, leavers_gone_fn *gone, void *context);

/* Close all where they are. */
void leavers_close(struct leavers *l);
