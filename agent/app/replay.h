/*
 * A capture file through the engine, by the file's clock.
 *
 * Units    nanoseconds
 * Owns     nothing beyond the call
 * Threads  the main thread; starts none
 */
#pragma once

#include <stdint.h>

#include "core/engine.h"
#include "io/console.h"

struct replay_options {
    const char *path;             /* "-": standard input */
    const char *interface;        /* what to call it */
    struct engine_options engine; /* its number and observer are not read */
    enum console_form form;
    uint64_t interval_ns; /* of the file's clock; 0: only totals are shown */

    /* Called when the file is open, before it is read. Returns -errno, which the log has been told,
     * if it must not be. NULL: nothing to do. */
    int (*opened)(void);
};

/**
 * Read the file to its end, or to SIGINT or SIGTERM, print, and say on the log
 * what goes wrong. What could be read of a damaged file is shown.
 *
 * Returns the exit status of the process.
 */
int replay_run(const struct replay_options *options);
