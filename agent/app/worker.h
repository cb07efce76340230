/*
 * A capture thread: a libuv loop that serves watches, which come and go.
 *
 * The main thread opens a watch, and hands it over: from then on the watch is the
 * worker's, with its engine. The rest of the agent sees reports, and what an
 * engine's observer does with what it is told.
 *
 * Owns     its thread, its loop and what it watches
 * Threads  all functions: the main thread
 */
#pragma once

#include <stdbool.h>

#include "app/watch.h"
#include "base/macros.h"

enum { WORKER_WATCHES_MAX = 1024 }; /* at a time */

struct worker;

/* Start the thread. */
int worker_new(struct worker **out);

/* End the thread, taking nothing more in, and free all. */
struct worker *worker_free(struct worker *w);
AUTO_DEFINE(struct worker, worker_free)

/* Hand @watch over. */
void worker_take(struct worker *w, struct watch *watch);

/* Have all watches do what they were asked for. */
void worker_wake(struct worker *w);

/* Whether its loop has moved since this was last asked, if that is more than a second ago. */
bool worker_is_moving(struct worker *w);
