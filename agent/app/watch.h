/*
 * An interface that is watched, or a share of one: its capture, its engine, and
 * the handle that ties them to a worker's loop.
 *
 * Units    bytes, nanoseconds since the epoch
 * Owns     all three
 * Threads  one at a time: made before the worker's thread starts, then that
 *          thread's until watch_close()
 */
#pragma once

#include <uv.h>

#include "app/inbox.h"
#include "base/macros.h"
#include "base/text.h"
#include "core/engine.h"
#include "io/capture.h"

struct watch_options {
    const char *interface; /* copied */
    uint32_t ring_bytes;
    bool offload;                 /* let the kernel keep what need not be seen */
    struct capture_group *group;  /* that shares the interface, or NULL */
    struct engine_options engine; /* its number is that of the answers */
};

struct watch;

/**
 * Open the capture and watch it in @loop. Answers go to @inbox, which outlives it.
 *
 * Returns what capture_open() does, and -ENOMEM.
 */
int watch_open(struct watch **out, uv_loop_t *loop, struct inbox *inbox,
               const struct watch_options *options);

/* Begin to watch, when all of its group are open. Returns -errno. */
int watch_start(struct watch *w);

/* Say in one line of @t what to do about @error of watch_open(). */
void watch_describe_error(struct text *t, const char *interface, int error);

/* Close the handle; the rest goes with it when the loop has run. NULL is fine. */
struct watch *watch_close(struct watch *w);
AUTO_DEFINE(struct watch, watch_close)

/* What has to be done once a second. */
void watch_tick(struct watch *w, uint64_t now_ns);

/* Answer with what has moved since the last report. */
void watch_flush(struct watch *w, uint64_t now_ns);

/* Let nothing new in. watch_finish() must follow, and may wait 100 ms. */
void watch_stop(struct watch *w);

/* Take in all that waits, end every connection, and answer for the last time. */
void watch_finish(struct watch *w, uint64_t now_ns);
