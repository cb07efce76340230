/*
 * Totals that outlive the process, in a folder: read at the start, written every
 * STATE_INTERVAL_MS and at the end. What can't be read is set aside and said;
 * what can't be written is said, once until it can.
 *
 * Units    nanoseconds since the epoch
 * Owns     the folder; its handles live in the loop it was given, and it writes in a
 *          thread of its own, which has no capabilities
 * Threads  the loop's
 */
#pragma once

#include <uv.h>

#include "base/macros.h"
#include "base/text.h"
#include "core/ledger.h"
#include "io/console.h"
#include "io/state_file.h"

enum { STATE_INTERVAL_MS = 60000 };

struct state;

/* Collect reports, then state_reports_in(). */
typedef void state_due_fn(void *context);

struct state_options {
    struct state_file *file; /* taken over, whatever comes of it */
    uint64_t interval_ms;    /* 0: STATE_INTERVAL_MS */
    struct ledger *ledger;   /* borrowed, and given what the folder has */
    state_due_fn *due;
    void *context;
};

/* Returns -errno, and but for -ENOMEM fills @error with one line. */
int state_new(struct state **out, uv_loop_t *loop, const struct state_options *options,
              struct text *error);

/* When the ledger's totals began; 0: with this process. */
uint64_t state_since_ns(const struct state *s);

/* The reports are in: write them, if it is time. */
void state_reports_in(struct state *s, const struct console_moment *now);

/* Nothing is written any more in the loop: wait for what is, and end its handles. */
void state_stop(struct state *s);

/* The loop has ended: write for the last time. */
void state_finish(struct state *s, const struct console_moment *now);

/* After state_stop(), when the loop has run. */
struct state *state_free(struct state *s);
AUTO_DEFINE(struct state, state_free)
