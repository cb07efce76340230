/*
 * Names of services, interfaces and hosts as they go to StatsD receivers: lower
 * case, because some fold it, and of [a-z0-9_-], because each changes something
 * else.
 *
 * Two names don't become one by chance. A dot, which would begin a node of its own in a
 * tree, becomes "__": api.example.com is api__example__com. What can't be told
 * back that way, does not fit, or is in upper case is cut, its other bytes
 * become '_', and it gets the mark of core/name_mark.h: Yo is
 * yo__8ed506c66d6d. A name that has the mark already, as core/service_name.h
 * gives it, is kept.
 *
 * Owns     nothing, copy it by value
 * Threads  no state
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

enum { STATSD_NAME_MAX = 64 };

struct statsd_name {
    char text[STATSD_NAME_MAX + 1]; /* NUL-terminated, never empty */
};

enum statsd_name_kind {
    STATSD_NODE, /* of a tree; never "agent", which is ours */
    STATSD_TAG,  /* a tag's value: dots stay */
};

/* Make a name of at most @size_max bytes, 15 to STATSD_NAME_MAX, of @raw. */
void statsd_name_make(struct statsd_name *name, enum statsd_name_kind kind, struct bytes raw,
                      size_t size_max);
