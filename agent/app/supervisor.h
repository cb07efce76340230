/*
 * What the service manager is told while the agent runs: that it is alive, as
 * long as every loop moves, and how much it has to do.
 *
 * Who runs under no service manager has timers that never fire.
 *
 * Owns     its handles, which live in the loop it was given
 * Threads  the loop's
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/macros.h"
#include "core/ledger.h"
#include "core/report.h"

enum { SUPERVISOR_LOOK_MS = 1500 };

struct supervisor;

struct supervisor_options {
    /* Whether all other loops have moved since this was last asked: SUPERVISOR_LOOK_MS ago, or
     * longer. Until it is asked again, the answer holds. */
    bool (*alive)(void *context);

    /* The last status is old: collect reports, then supervisor_show(). */
    void (*due)(void *context);
    void *context;
};

int supervisor_new(struct supervisor **out, uv_loop_t *loop,
                   const struct supervisor_options *options);

/* Stop, and free it when the loop has run. NULL is fine. */
struct supervisor *supervisor_close(struct supervisor *s);
AUTO_DEFINE(struct supervisor, supervisor_close)

/* Note what @r says. All reports must come here. */
void supervisor_add(struct supervisor *s, const struct report *r);

/* The reports are in: tell what they add up to in @l, and how many interfaces are watched. */
void supervisor_show(struct supervisor *s, const struct ledger *l, size_t interface_count);
