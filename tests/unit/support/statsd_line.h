/*
 * A receiver's view of StatsD lines, as strict as the strictest: the rules of
 * the Datadog Agent for names, values, types, rates and tags, and those of
 * collectd, which takes nothing but "name:value|c" and "|g", for the others; for
 * tags in a name those of carbon, as far as statsd leaves a name as it is.
 *
 * Owns     nothing, the line's parts are copied
 * Threads  no state
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { STATSD_LINE_TEXT_MAX = 1500 };

struct statsd_line {
    char name[STATSD_LINE_TEXT_MAX];
    char tags[STATSD_LINE_TEXT_MAX]; /* as they came, without "#" or the first ";" */
    char type;
    bool is_whole; /* value is a number without a fraction */
    uint64_t value;
    double number;
    double rate; /* 1 if there is none */
};

/* Read @raw. Returns NULL, or what is wrong with it. */
const char *statsd_line_read_datadog(struct statsd_line *l, struct bytes raw);
const char *statsd_line_read_graphite(struct statsd_line *l, struct bytes raw);
const char *statsd_line_read_graphite_tags(struct statsd_line *l, struct bytes raw);
