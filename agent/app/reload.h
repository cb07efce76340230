/*
 * Reading the config again while the agent runs, at SIGHUP and when asked to.
 *
 * What is to be done from now on is read and checked whole: when something is
 * wrong with it, nothing changes. Then the interfaces are asked for reports, so
 * that all that moved until now is told by the former settings; the new ones are
 * applied; and when all have reported once more, nobody uses the former any
 * longer, and they are freed.
 *
 * One reload at a time. Whoever asks for one meanwhile gets another after it, the
 * same for all.
 *
 * Owns     the intents; its handle lives in the loop it was given
 * Threads  the loop's
 */
#pragma once

#include <uv.h>

#include "app/intent.h"
#include "base/macros.h"
#include "base/text.h"

struct reload;

/*
 * A reload has ended. With a negative @error nothing has changed, and @said is a
 * line that says why; else it has a line, with its end, for each thing that is not
 * as the config has it. Valid during the call.
 */
typedef void reload_done_fn(void *context, int error, const struct text *said);

struct reload_options {
    struct intent *intent; /* what is done to begin with; taken over, not on failure */

    /* Do @next from now on. Returns -errno: then nothing has changed. */
    int (*apply)(void *context, struct intent *next);

    /* Ask all interfaces for reports, unless they are asked; reload_answered() follows. */
    void (*ask)(void *context);

    void *context; /* of both */
};

/*
 * SIGHUP waits for reload_new() from now on, in which another would end the process.
 * Before there is a second thread.
 */
void reload_hold_signal(void);

/* From now on SIGHUP reloads: one that was held, too. */
int reload_new(struct reload **out, uv_loop_t *loop, const struct reload_options *options);

/**
 * Give up what is under way, and free all when the loop has run. Nobody may use
 * the intents any more. From now on SIGHUP does nothing. NULL is fine.
 */
struct reload *reload_close(struct reload *r);
AUTO_DEFINE(struct reload, reload_close)

/* Reload; @done, unless NULL, is called once, perhaps before this returns. */
void reload_begin(struct reload *r, reload_done_fn *done, void *context);

/* Who asked with @context has gone: its done() is not called. */
void reload_forget(struct reload *r, const void *context);

/* All interfaces have answered. May apply the next settings, and ask again. */
void reload_answered(struct reload *r);
