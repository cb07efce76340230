/*
 * The agent that watches interfaces: main thread and workers.
 *
 * Units    nanoseconds, bytes
 * Owns     what it is to do
 * Threads  the main thread; starts the workers and ends them
 */
#pragma once

#include <stdint.h>

#include "app/claim.h"
#include "app/interfaces.h"
#include "app/settings_outputs.h"
#include "io/console.h"

struct agent_options {
    struct interfaces_wish wish; /* its list is taken over */
    enum console_form form;
    uint64_t interval_ns;
    const struct settings_outputs *outputs; /* borrowed */
};

struct intent;

/**
 * Do @intent, which is taken over, and what takes its place when the config is read
 * again at SIGHUP; with what @claim has, which is taken over.
 *
 * Watch until SIGINT or SIGTERM, print, send to the outputs, and say on the log
 * what goes wrong. A second signal ends the process at once.
 *
 * Returns the exit status of the process.
 */
int agent_run(struct intent *intent, struct claim *claim);
