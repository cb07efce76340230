/*
 * An interface that is watched, or a share of one: its capture, its engine, and
 * the handles that tie them to a worker's loop.
 *
 * It is opened by the main thread, which has the rights for that, and then lives
 * in a worker's. There it does what it is told: answers with reports, and in the
 * end leaves: takes in all that waits, ends every connection, and tells what it
 * counted last. Which packets are let in, from when to when, is the main thread's
 * to say: so one watch can take another's place at once.
 *
 * Units    bytes
 * Owns     all that
 * Threads  as the functions say
 */
#pragma once

#include <uv.h>

#include "app/inbox.h"
#include "base/macros.h"
#include "base/text.h"
#include "core/engine.h"
#include "io/capture.h"

struct watch_options {
    const struct netif *interface; /* copied */
    uint32_t ring_bytes;
    bool offload;                 /* let the kernel keep what need not be seen */
    bool leads;                   /* it is the first of several that share the interface */
    bool follows;                 /* it is another one */
    const struct claims *claims;  /* outlives the watch, or NULL: see io/capture.h */
    struct engine_options engine; /* what it borrows outlives the watch */
    struct inbox_slot *slot;      /* borrowed until inbox_end() */
};

struct watch_change {
    struct engine_options engine; /* see engine_change() */
    bool has_ports;               /* its ports are others than before */
};

struct watch;

/*
 * The main thread's, before watch_begin() and after inbox_end().
 */

/*
 * Open the capture, which lets nothing in. Any thread with the rights may. Returns what
 * capture_open() does, and -ENOMEM.
 */
int watch_open(struct watch **out, const struct watch_options *options);

/* Share the interface with the others of @group; who leads is the first to. Returns -errno. */
int watch_join(struct watch *w, struct capture_group *group);

/* Let packets in, when all of its group are open. Needs privileges_raise(). Returns -errno. */
int watch_start(struct watch *w);

/* Free one that has not begun, or has ended. NULL is fine. */
struct watch *watch_free(struct watch *w);
AUTO_DEFINE(struct watch, watch_free)

/* Say in one line of @t what to do about @error of watch_open(). */
void watch_describe_error(struct text *t, const char *interface, int error);

/*
 * The main thread's, at any time. Whoever calls them wakes the worker.
 */

/* Answer with what has moved since the last report: once, unless it ends first. */
void watch_ask(struct watch *w);

/* Work by @change, which is borrowed until a question that is asked after this is answered. */
void watch_change(struct watch *w, const struct watch_change *change);

/* Let no more packets in, at once, and leave. Needs privileges_raise(). May be called again. */
void watch_dismiss(struct watch *w);

/*
 * The worker thread's.
 */

/* The loop has done with @w. */
typedef void watch_ended_fn(void *context, struct watch *w);

/* Watch in @loop, whose thread this is. Whatever goes wrong is told as inbox_fail(). */
void watch_begin(struct watch *w, uv_loop_t *loop, watch_ended_fn *ended, void *context);

/* Do what was asked for. */
void watch_obey(struct watch *w);

/* What has to be done once a second. */
void watch_tick(struct watch *w);

/* End as soon as the loop runs, taking nothing more in. May be called again. */
void watch_abandon(struct watch *w);
