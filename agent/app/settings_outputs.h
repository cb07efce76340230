/*
 * The part of the config that says where what moved is sent to: statsd, flush
 * and syslog.
 *
 * Units    bytes, nanoseconds
 * Owns     all that it points to
 * Threads  immutable once made: any number of readers
 */
#pragma once

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/key.h"
#include "base/text.h"
#include "core/metric.h"
#include "core/statsd_encoder.h"
#include "io/endpoint.h"
#include "io/syslog_address.h"

struct settings_statsd {
    const char *address; /* as it was written */
    struct endpoint endpoint;
    enum statsd_dialect dialect;
    const char *prefix;
    bool with_host;   /* not datadog */
    const char *host; /* NULL: this host's name */
    const char **tags;
    size_t tag_count;
    struct metric_set metrics;
    uint32_t datagram_bytes;
};

struct settings_syslog {
    bool wanted; /* else the rest is not read */
    struct syslog_address address;
    int facility;
    uint64_t interval_ns;
    const char *host; /* NULL: this host's name */
    const char *tag;  /* NULL: the default; so with those that follow */
    const char *sd_id;
    struct metric_set metrics; /* none: the default */
};

struct settings_outputs {
    struct settings_statsd *statsd;
    size_t statsd_count;
    uint64_t flush_ns; /* between flushes to StatsD */
    struct settings_syslog syslog;
};

/* Whether all counters of @a and @b have the same names, and add up where they go. */
bool settings_statsd_are_twins(const struct settings_statsd *a, const struct settings_statsd *b);

/* What holds when the config says nothing: no outputs. */
void settings_outputs_init(struct settings_outputs *o);
void settings_outputs_deinit(struct settings_outputs *o);

/* Whether anything is sent anywhere, and whether by TCP. */
bool settings_outputs_wanted(const struct settings_outputs *o);
bool settings_outputs_want_tcp(const struct settings_outputs *o);

/* Between flushes to the same sink; 0 if there is none. */
uint64_t settings_outputs_longest_interval_ns(const struct settings_outputs *o);

/* False when Datadog is sent to at an interval which makes its graphs uneven. */
bool settings_outputs_suit_datadog(const struct settings_outputs *o);

/* Read functions of keys whose field is a struct settings_outputs. */
int settings_outputs_read_statsd(const struct key *k, const config_setting_t *s, void *field,
                                 struct text *error);
int settings_outputs_read_flush(const struct key *k, const config_setting_t *s, void *field,
                                struct text *error);
int settings_outputs_read_syslog(const struct key *k, const config_setting_t *s, void *field,
                                 struct text *error);
