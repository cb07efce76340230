/*
 * Lines of the agent's log on their way from any thread to the loop's.
 *
 * Bounded: a line that finds it full is dropped and counted.
 *
 * Units    nanoseconds since the epoch
 * Owns     its lines; its handle lives in the loop it was given
 * Threads  line_queue_add: any; the rest: the loop's
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/log_level.h"
#include "base/macros.h"

struct line {
    struct line *next; /* the one after it, or NULL */
    struct line *prev;
    uint64_t time_ns;
    enum log_level level;
    char text[];
};

struct line_queue;

/* Called in the loop's thread when lines were added. */
typedef void line_queue_news_fn(void *context);

int line_queue_new(struct line_queue **out, uv_loop_t *loop, size_t lines_max,
                   line_queue_news_fn *news, void *context);

/* Nobody adds any more. Frees all when the loop has run. NULL is fine. */
struct line_queue *line_queue_close(struct line_queue *q);
AUTO_DEFINE(struct line_queue, line_queue_close)

/* Add a copy of @text, which came in now. */
void line_queue_add(struct line_queue *q, enum log_level level, const char *text);

/* The oldest line, or NULL. It stays until it is removed. */
const struct line *line_queue_first(struct line_queue *q);

/* Remove the oldest line. */
void line_queue_remove_first(struct line_queue *q);

/* How many were dropped since the last call. */
unsigned long line_queue_take_dropped(struct line_queue *q);
