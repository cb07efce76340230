/*
 * Where what moved is sent to: all StatsD destinations, and syslog.
 *
 * Each kind has an interval of its own. When one is over, the owner is told: it
 * collects reports, adds them, and then flushes. All reports must be added,
 * also those that were asked for by somebody else.
 *
 * Units    nanoseconds since the epoch, unless said otherwise
 * Owns     the sinks; its handles live in the loop it was given
 * Threads  the loop's
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "app/settings_outputs.h"
#include "base/macros.h"
#include "core/report.h"

struct outputs;

/* An interval is over: collect reports, then outputs_flush(). */
typedef void outputs_due_fn(void *context);

struct outputs_options {
    const struct settings_outputs *settings; /* borrowed until outputs_change() */
    size_t services_max;                     /* that all engines together tell apart */
    uint64_t hash_seed;                      /* random; moves the first flush, too */
    uint64_t idle_ns;                        /* after which a service is forgotten */
    outputs_due_fn *due;
    void *context;
};

int outputs_new(struct outputs **out, uv_loop_t *loop, const struct outputs_options *options);

/* Stop where all is, and free it when the loop has run. NULL is fine. */
struct outputs *outputs_close(struct outputs *o);
AUTO_DEFINE(struct outputs, outputs_close)

/**
 * Do as @settings say from now on, and forget services after @idle_ns. Add all
 * reports of what moved until now before: to a new destination it is not owed.
 * What a destination keeps is said in app/destinations.h.
 *
 * Returns -errno: then nothing has changed.
 */
int outputs_change(struct outputs *o, const struct settings_outputs *settings, uint64_t idle_ns,
                   uint64_t time_ns);

void outputs_set_services_max(struct outputs *o, size_t services_max);

/* Owe what @r says moved. */
void outputs_add(struct outputs *o, const struct report *r);

/* The reports are in: send what is due, where an interval is over. */
void outputs_flush(struct outputs *o, uint64_t time_ns);

typedef void outputs_finished_fn(void *context);

/**
 * Send all that is due for the last time, say on the log what could not be sent,
 * and call @finished, once, @patience_ms from now at the latest, perhaps before
 * this returns. Then close.
 */
void outputs_finish(struct outputs *o, uint64_t time_ns, uint64_t patience_ms,
                    outputs_finished_fn *finished);

/* What is to be seen of a destination, since the start. */
struct outputs_destination {
    const char *kind;                                      /* "statsd" or "syslog" */
    char name[ENDPOINT_HOST_MAX + ENDPOINT_PORT_MAX + 16]; /* as the config writes it */
    bool failing;                                          /* it did not take what was last tried */
    const char *reason;                                    /* why, or NULL: see the log */
    uint64_t sent;                                         /* datagrams, or messages */
    uint64_t sent_bytes;
    uint64_t refused;
    uint64_t late;      /* flushes that had not ended when the next was due */
    uint64_t due_bytes; /* IP bytes of services that it is still owed */
};

size_t outputs_destination_count(const struct outputs *o);
void outputs_destination(const struct outputs *o, size_t number, struct outputs_destination *out);
