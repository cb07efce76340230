/*
 * The console's side of the agent: what is shown on standard output, and when.
 *
 * Lines of events and transactions are shown as the workers hand them in. A table
 * or a line of JSON is shown when an interval is over: the owner is told, collects
 * reports, and then calls display_interval().
 *
 * Units    nanoseconds
 * Owns     the console and its lines; its handles live in the loop it was given
 * Threads  display_add_lines: any; the rest: the loop's
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "base/macros.h"
#include "base/text.h"
#include "core/ledger.h"
#include "io/console.h"

struct display_options {
    enum console_form form;
    uint64_t interval_ns;
    void (*due)(void *context);    /* an interval is over: reports are wanted */
    void (*failed)(void *context); /* standard output can't be written: the log says why */
    void *context;
};

struct display;

int display_new(struct display **out, uv_loop_t *loop, const struct display_options *options);

/* Close the handles; the rest goes when the loop has run. NULL is fine. */
struct display *display_close(struct display *d);
AUTO_DEFINE(struct display, display_close)

/* The totals began at @since_ns since the epoch, before this process. */
void display_set_since(struct display *d, uint64_t since_ns);

struct console_moment display_moment(const struct display *d);

/* Begin to show intervals. */
int display_start(struct display *d);

/* A reporter_lines_fn. */
void display_add_lines(void *display, const struct text *lines);

/* The reports are in: show what moved, if an interval is over. */
void display_interval(struct display *d, struct ledger *l);

/* Give the terminal back; what is shown later may spoil it. */
void display_release(struct display *d);

/* Show the lines that are left, and the totals. */
void display_totals(struct display *d, struct ledger *l);
