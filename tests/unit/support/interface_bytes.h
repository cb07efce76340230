/*
 * What an interface counted itself.
 *
 * Units    IP bytes
 * Threads  no state
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Of interface @name, link headers of @link_bytes taken off: what came in, or both ways. */
uint64_t interface_bytes(const char *name, unsigned link_bytes, bool both_ways);
