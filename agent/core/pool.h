/*
 * Objects of one size that come and go with packets. Some of those that were
 * given back are kept for the next to come: they are in the cache, and batches of
 * them don't pass through malloc.
 *
 * Owns     what was given back
 * Threads  one at a time
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pool {
    struct pool_spare *spares;
    uint32_t count;
    uint32_t spares_max;
    size_t object_bytes; /* at least a pointer */
};

void pool_init(struct pool *p, size_t object_bytes, uint32_t spares_max);
/* Objects that are still out are not affected: free() them. */
void pool_deinit(struct pool *p);

/* An object, its bytes undefined; NULL without memory. */
void *pool_take(struct pool *p);

/* Give back what pool_take() returned, or NULL. */
void pool_give(struct pool *p, void *object);
