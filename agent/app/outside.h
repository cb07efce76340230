/*
 * What of the agent is there for others, and for the next agent: its control
 * socket, and its totals in the state folder. Either may be missing.
 *
 * Owns     both, embed it by value; their handles live in the loop it was given
 * Threads  the loop's
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "app/claim.h"
#include "app/control.h"
#include "app/outputs.h"
#include "app/state.h"
#include "core/ledger.h"

struct outside_options {
    struct claim *claim;        /* what it has is taken over */
    struct control_agent agent; /* want_reports() is for both */
    struct ledger *ledger;      /* borrowed, and given the totals of the agent before */
    const struct outputs *outputs;
};

struct outside {
    struct state *state;
    struct control *control;
};

/* Zeroed before. Returns -errno, and says why on the log. */
int outside_open(struct outside *o, uv_loop_t *loop, const struct outside_options *options);

/* When the ledger's totals began; 0: with this process. */
uint64_t outside_since_ns(const struct outside *o);

/* The reports are in. */
void outside_reports_in(struct outside *o, const struct console_moment *now);

/* End all that is in the loop. */
void outside_stop(struct outside *o);

/* The loop has ended: keep the totals, once and for all. */
void outside_finish(struct outside *o, const struct console_moment *now);

/* After outside_stop(), when the loop has run. */
void outside_deinit(struct outside *o);
