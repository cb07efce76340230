/*
 * The interfaces that are watched: those of the wanted ones that are there.
 *
 * Interfaces come, go and change their names, and what is wanted may change: each
 * time, watches begin and end as it takes. What one that ends has counted last is
 * reported.
 *
 * Owns     the crew, and what it watches; its handles live in the loop it was given
 * Threads  the main thread, which is the loop's
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "app/problems.h"
#include "app/reporter.h"
#include "app/watch_list.h"
#include "base/macros.h"
#include "core/engine.h"
#include "core/report.h"
#include "io/console.h"

enum { INTERFACES_MAX = 256 }; /* that are watched at a time */

/* What is wanted. */
struct interfaces_wish {
    struct watch_list *list;
    struct engine_options engine; /* for each of them; its name, ports and observer are not read */
    uint32_t ring_bytes;          /* for each worker of them, 0: by their number */
    bool offload;                 /* let the kernel keep what need not be seen */
    bool count_once;              /* what passes several of them, on the first one only */
    unsigned workers;             /* threads; more, if an interface wants more */
};

struct interfaces_options {
    enum console_form form;   /* what engines have to tell */
    reporter_lines_fn *lines; /* takes it, in the workers' threads */
    void *lines_context;

    void (*report)(void *context, const struct report *r); /* what has moved */
    void (*answered)(void *context); /* all that was asked for by interfaces_ask() is reported */
    void (*ended)(void *context);    /* what interfaces_stop() began has ended */
    void *context;                   /* of these three */
};

struct interfaces;

int interfaces_new(struct interfaces **out, uv_loop_t *loop,
                   const struct interfaces_options *options);

/* End all where it is, and free it when the loop has run. NULL is fine. */
struct interfaces *interfaces_close(struct interfaces *i);
AUTO_DEFINE(struct interfaces, interfaces_close)

/**
 * Watch what @wish wants of what is there, for the first time. Takes its list over.
 *
 * What is not there, or can't be watched, may be there later. But an interface
 * that the command line calls by its name must be there, one that the config calls
 * by its name must not fail if it is, and the rights must do. Returns -errno when
 * they don't: the log says why.
 */
int interfaces_start(struct interfaces *i, const struct interfaces_wish *wish);

/* Say on the log what is watched and what is missed; from now on all that changes is said. */
void interfaces_announce(struct interfaces *i);

/**
 * Want something else. Takes its list over.
 *
 * What was watched and is still wanted goes on, with its sessions, unless it has
 * another number of workers: then it begins anew, as soon as it can. It takes the rules, limits and
 * ports that are wanted now; whoever has answered a question that was asked after
 * this has done so, and does not use the former ones. ring_bytes and offload are
 * for those that begin, count_once stays as it was. What can't be watched is tried
 * again at once; what can't begin anew goes on as it was.
 */
void interfaces_want(struct interfaces *i, const struct interfaces_wish *wish);

/* How many are watched, those on their way out left out. */
size_t interfaces_count(const struct interfaces *i);

/* Add what is wanted and not watched. */
void interfaces_judge(const struct interfaces *i, struct problems *p);

/* Add the names of those that are watched and up, as members of a JSON array, each with a comma
 * behind. */
void interfaces_names(const struct interfaces *i, struct text *names);

/* The most engines that there have been at a time. */
size_t interfaces_shares_max(const struct interfaces *i);

/* What is wanted; valid until it changes. */
const struct interfaces_wish *interfaces_wish(const struct interfaces *i);

/*
 * Ask all for a report. answered() follows, perhaps before this returns, and
 * before that there must not be another question.
 */
void interfaces_ask(struct interfaces *i);

/* Whether a question is open. */
bool interfaces_are_asked(const struct interfaces *i);

/* Whether all workers have moved since this was last asked, if that is more than a second ago. */
bool interfaces_are_moving(const struct interfaces *i);

/* Watch nothing any more. The last reports, and ended(), follow, perhaps before this returns. */
void interfaces_stop(struct interfaces *i);
