/*
 * How long replies took to begin: a histogram of the times from the first byte
 * of a request to the first byte of its final reply.
 *
 * Buckets are log-linear, four to each power of two: a time is told to 12.5 % at
 * worst (half the width of its bucket) from 65 us to 34 s. What is shorter or
 * longer is in the first or the last bucket.
 *
 * Units    nanoseconds
 * Owns     nothing, embed it by value
 * Threads  as its owner
 */
#pragma once

#include <stdint.h>

enum {
    TTFB_FIRST_OCTAVE = 16, /* 2^16 ns */
    TTFB_OCTAVES = 19,
    TTFB_BUCKETS_PER_OCTAVE = 4,
    TTFB_BUCKETS = TTFB_OCTAVES * TTFB_BUCKETS_PER_OCTAVE + 2,
};

struct ttfb_histogram {
    uint32_t buckets[TTFB_BUCKETS];
};

static inline unsigned ttfb_bucket(uint64_t ttfb_ns)
{
    if (ttfb_ns < 1ull << TTFB_FIRST_OCTAVE)
        return 0;
    unsigned octave = 63 - (unsigned)__builtin_clzll(ttfb_ns);
    if (octave >= TTFB_FIRST_OCTAVE + TTFB_OCTAVES)
        return TTFB_BUCKETS - 1;
    unsigned quarter = (unsigned)(ttfb_ns >> (octave - 2)) & 3;
    return 1 + (octave - TTFB_FIRST_OCTAVE) * TTFB_BUCKETS_PER_OCTAVE + quarter;
}

/* The shortest time in @bucket. */
static inline uint64_t ttfb_bucket_start_ns(unsigned bucket)
{
    if (bucket == 0)
        return 0;
    unsigned octave = TTFB_FIRST_OCTAVE + (bucket - 1) / TTFB_BUCKETS_PER_OCTAVE;
    uint64_t quarters = TTFB_BUCKETS_PER_OCTAVE + (bucket - 1) % TTFB_BUCKETS_PER_OCTAVE;
    return quarters << (octave - 2);
}

/* The time that stands for all of @bucket: its middle, the start of the last one. */
static inline uint64_t ttfb_bucket_ns(unsigned bucket)
{
    uint64_t start_ns = ttfb_bucket_start_ns(bucket);
    if (bucket == TTFB_BUCKETS - 1)
        return start_ns;
    return start_ns + (ttfb_bucket_start_ns(bucket + 1) - start_ns) / 2;
}

static inline void ttfb_add(struct ttfb_histogram *into, const struct ttfb_histogram *from)
{
    for (unsigned i = 0; i < TTFB_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}
