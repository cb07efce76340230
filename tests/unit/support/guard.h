/*
 * Bytes that end where memory ends: reading one too many is a fault.
 *
 * Owns     its pages
 * Threads  one at a time
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct guard {
    uint8_t *pages;
    size_t size; /* of what can be used; an unreadable page follows */
};

/* Make room for @size bytes. Aborts without memory. */
void guard_init(struct guard *g, size_t size);
void guard_deinit(struct guard *g);
#define guard_deinit_auto guard_deinit

/* Copy @b to the very end. Valid until the next call. */
struct bytes guard_copy(struct guard *g, struct bytes b);
