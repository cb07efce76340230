/*
 * Where the settings want what moved to be sent to: the StatsD destinations, and
 * syslog. What the settings want may change.
 *
 * A destination is the same one as before if its address and its dialect are: it
 * keeps what is due to it. One that is not wanted any more gets a last flush. A
 * new one is owed what moves from then on.
 *
 * While there is a syslog and stderr is no terminal, the agent's own log goes
 * there.
 *
 * Units    nanoseconds
 * Owns     the sinks, those that leave included
 * Threads  that of the loop it was given
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "app/leavers.h"
#include "app/settings_outputs.h"
#include "core/due.h"
#include "core/metric.h"

/* What all of them share. */
struct destinations_options {
    size_t services_max; /* that all engines together tell apart */
    uint64_t hash_seed;
    uint64_t idle_ns; /* after which a service is forgotten */
};

struct destinations {
    uv_loop_t *loop;
    const struct settings_outputs *settings; /* as they are wanted now; NULL: none yet */
    struct statsd **statsd;                  /* as in the settings */
    size_t statsd_count;
    struct syslog_sink *syslog; /* NULL: none */
    struct leavers leavers;
};

/* What there was before a destination is. */
struct destinations_past {
    struct agent_telemetry agent; /* is not owed to it */
    const struct due *levels;     /* what its gauges begin with */
};

/* None. Stays where it is until destinations_close(). */
void destinations_init(struct destinations *d, uv_loop_t *loop);

/**
 * Send to those of @settings, which are borrowed from now on.
 *
 * Returns -errno, and -EMSGSIZE when lines with this host's name might not fit
 * into a datagram: then nothing has changed.
 */
int destinations_change(struct destinations *d, const struct settings_outputs *settings,
                        const struct destinations_options *options,
                        const struct destinations_past *past, uint64_t time_ns);

/* The log goes to stderr again. */
void destinations_take_log_back(void);

/* Close all where they are. */
void destinations_close(struct destinations *d);
