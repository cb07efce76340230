/*
 * All workers, as one: watches are spread over them.
 *
 * Owns     the workers
 * Threads  the main thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "app/watch.h"
#include "base/macros.h"

enum { CREW_MAX = 64 };

struct crew;

int crew_new(struct crew **out);

/* End all threads, taking nothing more in, and free all. */
struct crew *crew_free(struct crew *c);
AUTO_DEFINE(struct crew, crew_free)

/* Have at least @workers, CREW_MAX at most. Returns -errno. */
int crew_grow(struct crew *c, size_t workers);

/**
 * Hand the @count shares of an interface over, each to another worker: those that
 * have least to do. There are so many workers.
 *
 * @workers gets the number of each share's worker, for crew_drop().
 */
void crew_take(struct crew *c, struct watch *const shares[], size_t count, unsigned workers[]);

/* A watch of @worker has ended. */
void crew_drop(struct crew *c, unsigned worker);

/* Have all watches do what they were asked for. */
void crew_wake(struct crew *c);

/* worker_is_moving() of all. */
bool crew_is_moving(struct crew *c);
