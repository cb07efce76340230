/*
 * Things that have a name and counts, with their rates and the history of two of
 * these: the services of the agent, or its interfaces.
 *
 * Units    counts; rates a second; a history has one sample for each interval
 * Owns     its items; pointers to them are valid until the next sample
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/table.h"

enum { TOP_NAME_MAX = 64, TOP_COUNTS = 8, TOP_HISTORIES = 2, TOP_HISTORY = 120 };

struct top_item {
    char name[TOP_NAME_MAX + 1]; /* printable ASCII */
    uint64_t count[TOP_COUNTS];
    double rate[TOP_COUNTS];
    float history[TOP_HISTORIES][TOP_HISTORY]; /* of the first rates; see top_item_average() */
    bool seen;                                 /* in the sample that is being taken */
    UT_hash_handle hh;
};

struct top_table {
    struct top_item *items; /* uthash by name */
    size_t count;
    size_t max;
    uint64_t samples; /* that the histories had so far */
};

void top_table_init(struct top_table *t, size_t max);
void top_table_deinit(struct top_table *t);

/**
 * Add or update an item of the sample. @elapsed_s is the time since the one
 * before, or 0: then there are no rates. What became less counts as still.
 *
 * Past the table's bound, without memory, and for a name that the sample had, nothing happens.
 */
void top_table_take(struct top_table *t, const char *name, const uint64_t count[static TOP_COUNTS],
                    double elapsed_s);

/* The sample is complete: forget what was not in it. It stood for @intervals. */
void top_table_end_sample(struct top_table *t, unsigned intervals);

struct top_item *top_table_find(const struct top_table *t, const char *name);

/*
 * The mean of history @which over the @size samples before @end, counted from the
 * first that the table had. What is not kept, or not known yet, does not count; 0
 * without any.
 */
double top_item_average(const struct top_table *t, const struct top_item *i, unsigned which,
                        uint64_t end, unsigned size);
