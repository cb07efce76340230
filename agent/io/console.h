/*
 * What --print shows on standard output, in one of four forms, or nothing.
 *
 * Each form is a function from what is shown to text; struct console decides
 * when, and writes. Events and transactions are rendered by the workers as they
 * happen and reach the main thread through a console_buffer.
 *
 * Writing is synchronous. The process must ignore SIGPIPE: then a reader that
 * went away is -EPIPE here, as a full disk is -ENOSPC.
 *
 * Units    nanoseconds
 * Owns     a console: the terminal's cursor while a table is drawn
 * Threads  rendering: any, no state; console: the main thread; console_buffer:
 *          as its functions say
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/text.h"
#include "core/ledger.h"
#include "core/report.h"

/* X(NAME, name) for each form, by its name on the command line. */
#define CONSOLE_FORMS(X)                                                                           \
    X(TABLE, "table")                                                                              \
    X(JSON, "json")                                                                                \
    X(EVENTS, "events")                                                                            \
    X(TRANSACTIONS, "transactions")                                                                \
    X(NONE, "none")

enum console_form {
#define CONSOLE_FORM_MEMBER(NAME, name) CONSOLE_##NAME,
    CONSOLE_FORMS(CONSOLE_FORM_MEMBER)
#undef CONSOLE_FORM_MEMBER
};

/* Find the form called @name. Returns whether there is one. */
bool console_form_find(enum console_form *form, const char *name);

/* When something is shown. */
struct console_moment {
    uint64_t time_ns;     /* since the epoch */
    uint64_t interval_ns; /* since the last interval ended, or the start */
    uint64_t elapsed_ns;  /* since the start */
    uint64_t since_ns;    /* when the totals began, since the epoch; 0: with the start */
};

/* Rendering: each adds to @t; check text_failed() at the end. */

/* A line of JSON with what moved in the interval. */
void console_json_interval(struct text *t, struct ledger *l, const struct console_moment *now);

/* The line of JSON with the totals. */
void console_json_final(struct text *t, struct ledger *l, const struct console_moment *now);

/*
 * Members of an object of JSON, each with a comma behind it, which
 * console_json_end() makes the end of the line.
 */
void console_json_moment(struct text *t, const struct console_moment *now);

/*
 * The totals, of the @services_max services with most bytes; the sum of the
 * others, if there are, is "services_left_out".
 */
void console_json_totals(struct text *t, struct ledger *l, size_t services_max);
void console_json_end(struct text *t);

/* The two lines of a message. */
void console_event(struct text *t, const struct message_seen *m);

/* A line of JSON with a request and its reply on @interface. */
void console_transaction(struct text *t, const struct transaction_seen *x, const char *interface);

struct console_screen {
    bool terminal;          /* false: no escapes, and all rows and columns */
    unsigned rows, columns; /* of the terminal */
};

/* The table of services and the books of the interfaces. */
void console_table(struct text *t, struct ledger *l, const struct console_moment *now,
                   const struct console_screen *screen);

/*
 * Text on its way from the workers to the main thread, bounded: a worker never
 * waits for the reader of standard output.
 */
struct console_buffer;

enum { CONSOLE_BUFFER_MAX = 64 << 20 };

int console_buffer_new(struct console_buffer **out, size_t bytes_max);
struct console_buffer *console_buffer_free(struct console_buffer *b);
AUTO_DEFINE(struct console_buffer, console_buffer_free)

/**
 * Append @lines, whole lines, or drop and count them when the bound is reached
 * or memory is out. Any thread.
 *
 * Returns whether the buffer was empty: then the main thread has to be told.
 */
bool console_buffer_add(struct console_buffer *b, const struct text *lines);

/**
 * Move all that waits into @out, whose old contents are freed. Any thread.
 *
 * Returns how many lines were dropped since the last call.
 */
uint64_t console_buffer_take(struct console_buffer *b, struct text *out);

struct console {
    enum console_form form;
    int fd;
    bool terminal;
    bool cursor_hidden;
    bool shown_interval;
    uint64_t dropped_lines; /* not yet reported */
};

/* Show @form on @fd, which stays the caller's. */
void console_init(struct console *c, enum console_form form, int fd);

/* Give the terminal its cursor back, on every way out. */
void console_deinit(struct console *c);
#define console_deinit_auto console_deinit

/*
 * The rest return 0, or the negative errno of a write, after which there is no
 * point in going on.
 */

/* An interval has ended; ledger_end_interval() comes after it. */
int console_interval(struct console *c, struct ledger *l, const struct console_moment *now);

/**
 * All has ended: show the totals. When intervals were shown, what moved since
 * the last of them is shown first, so that the intervals add up to the totals.
 */
int console_finish(struct console *c, struct ledger *l, const struct console_moment *now);

/* Write what the workers put into @b. */
int console_drain(struct console *c, struct console_buffer *b);
