/*
 * A capture thread: a libuv loop that serves one or more interfaces, or shares of
 * some.
 *
 * Captures are opened by the main thread, before the worker's starts, so that
 * what is wrong with them is known at once. From worker_start() on they are the
 * worker's, with their engines: the rest of the agent sees reports, and what an
 * engine's observer does with what it is told.
 *
 * Owns     its loop and what it watches
 * Threads  all functions: the main thread
 */
#pragma once

#include "app/inbox.h"
#include "app/watch.h"
#include "base/macros.h"

struct worker;

/* @inbox takes the answers. It outlives the worker. */
int worker_new(struct worker **out, struct inbox *inbox);

/* End the thread, taking nothing more in, and free all. */
struct worker *worker_free(struct worker *w);
AUTO_DEFINE(struct worker, worker_free)

/* Watch another interface, before any worker_start(). Returns what watch_open() does. */
int worker_watch(struct worker *w, const struct watch_options *options);

int worker_start(struct worker *w);

/*
 * The questions. Each interface of the worker answers each once, in the inbox;
 * at most one may be open at a time.
 */

/* What has moved since the last report? */
void worker_flush(struct worker *w);

/* The same for the last time: all that waits is taken in and charged. */
void worker_stop(struct worker *w);
