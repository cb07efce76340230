/*
 * How much of a log passes: of each call site LOG_LIMIT_LINES in LOG_LIMIT_NS,
 * which begin with its first line. What is more is counted.
 *
 * A call site is known by its format string.
 *
 * Units    nanoseconds of any clock that does not go back
 * Owns     nothing, embed it by value; borrows the format strings
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/log_level.h"

enum {
    LOG_LIMIT_LINES = 20,
    LOG_LIMIT_SITES = 64, /* those past it share a place */
    LOG_LIMIT_LAST_MAX = 255,
};

#define LOG_LIMIT_NS 5000000000ull

struct log_line {
    enum log_level level;
    const char *format;
    const char *text;
};

struct log_limit {
    struct log_site {
        const char *format;
        uint64_t since_ns;
        unsigned lines; /* since then */
        unsigned long suppressed;
        enum log_level level;              /* of the last one */
        char last[LOG_LIMIT_LAST_MAX + 1]; /* of those suppressed */
    } sites[LOG_LIMIT_SITES];
};

/* Whether @line may be written. */
bool log_limit_pass(struct log_limit *l, const struct log_line *line, uint64_t now_ns);

/**
 * What was suppressed while a call site's time ran that is over at @now_ns.
 *
 * Returns NULL when there is nothing (more) to tell. Valid until the next call.
 */
const struct log_site *log_limit_next(struct log_limit *l, uint64_t now_ns,
                                      unsigned long *suppressed);
