/*
 * The agent that watches interfaces: main thread and workers.
 *
 * Units    nanoseconds, bytes
 * Owns     nothing beyond the call
 * Threads  the main thread; starts the workers and ends them
 */
#pragma once

#include <stdint.h>

#include "app/settings_outputs.h"
#include "app/watch_list.h"
#include "core/engine.h"
#include "io/console.h"

struct agent_options {
    const struct watch_list *interfaces;
    struct engine_options
        engine;          /* for each of them; its number, ports and observer are not read */
    uint32_t ring_bytes; /* for each worker of them, 0: by their number */
    bool offload;        /* let the kernel keep what need not be seen */
    unsigned workers;    /* threads; more, if an interface wants more */
    enum console_form form;
    uint64_t interval_ns;
    const struct settings_outputs *outputs;
};

/**
 * Watch until SIGINT or SIGTERM, print, send to the outputs, and say on the log
 * what goes wrong. A second signal ends the process at once.
 *
 * Returns the exit status of the process.
 */
int agent_run(const struct agent_options *options);
