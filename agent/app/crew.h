/*
 * All workers, as one: the interfaces are spread over them in turn, and so are the
 * shares of one interface: no two of them have the same worker, if there are as
 * many workers.
 *
 * Owns     the workers
 * Threads  the main thread
 */
#pragma once

#include "app/inbox.h"
#include "app/watch.h"
#include "base/macros.h"

struct crew;

/* @inbox takes the answers. It outlives the crew. */
int crew_new(struct crew **out, struct inbox *inbox, unsigned workers);

/* End all threads, taking nothing more in, and free all. */
struct crew *crew_free(struct crew *c);
AUTO_DEFINE(struct crew, crew_free)

/* Watch another interface, or share of one, before crew_start(). Returns what watch_open() does. */
int crew_watch(struct crew *c, const struct watch_options *options);

/* After a failure some may run: crew_free() ends them. */
int crew_start(struct crew *c);

/* The questions of worker.h, to all. */
void crew_flush(struct crew *c);
void crew_stop(struct crew *c);
