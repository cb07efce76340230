/*
 * How long a start may take: the kernel checks the filter of each capture that is
 * opened, in up to half a second, on a slow machine longer.
 *
 * Units    nanoseconds
 * Owns     nothing
 * Threads  any
 */
#pragma once

#include <stdint.h>

#include "app/watch_list.h"
#include "io/netif.h"

#define OPENING_CAPTURE_NS 2000000000ull

/* In which all that @list wants of what is @there should be open, be it OPENING_CAPTURE_NS each. */
uint64_t opening_patience_ns(const struct watch_list *list, const struct netif_list *there);
