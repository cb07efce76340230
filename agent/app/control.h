/*
 * What the agent answers on its control socket: see control_request.h for what
 * may be asked. Totals are those of reports that came in after the question, or
 * of what there is when the workers have not reported for CONTROL_REPORTS_MS.
 * However much is asked, the workers are asked, and reloads begin, every
 * CONTROL_GAP_MS at most: what comes earlier waits for that.
 *
 * A status is a line of totals with "version", "pid", "health" ("ok" or
 * "degraded"), "problems" (in words), and "destinations", of which each has
 * "kind", "address", "state" ("ok" or "failing"), "error" (words or null),
 * "sent", "sent_bytes", "refused" and "due_bytes". A reload is answered with
 * {"done":"reload","said":[words]}, rules as explain.h says.
 *
 * Units    nanoseconds of CLOCK_MONOTONIC
 * Owns     its socket and clients; its handles live in the loop it was given
 * Threads  the loop's
 */
#pragma once

#include <uv.h>

#include "app/health.h"
#include "app/outputs.h"
#include "app/reload.h"
#include "base/macros.h"
#include "base/text.h"
#include "core/ledger.h"
#include "core/rule.h"
#include "io/console.h"
#include "io/control_socket.h"

enum {
    CONTROL_REPORTS_MS = 2000,
    CONTROL_GAP_MS = 90, /* less than the shortest interval of a watch: its lines would slip */
};

/* What it asks of the agent. */
struct control_agent {
    void *context;

    /* Collect reports, then control_reports_in(). */
    void (*want_reports)(void *context);
    struct console_moment (*moment)(void *context);
    const struct rule_set *(*rules)(void *context);

    /* Add what is wrong with what is watched. */
    void (*judge)(void *context, struct problems *p);

    /* Add the names of the interfaces that are watched and up, as members of a JSON array, with a
     * comma behind each. */
    void (*watching)(void *context, struct text *names);

    /* Reload, and call @done with @asker; or forget that @asker wants that. */
    void (*reload)(void *context, reload_done_fn *done, void *asker);
    void (*forget_reload)(void *context, const void *asker);
};

struct control;

/**
 * Listen at @socket, which is taken over whatever comes of it. @ledger and @outputs
 * are borrowed. Returns -errno.
 */
int control_new(struct control **out, uv_loop_t *loop, struct control_socket *socket,
                const struct control_agent *agent, struct ledger *ledger,
                const struct outputs *outputs);

/* Close all clients; the rest is freed when the loop has run. NULL is fine. */
struct control *control_close(struct control *c);
AUTO_DEFINE(struct control, control_close)

/* The reports are in: answer. */
void control_reports_in(struct control *c);
