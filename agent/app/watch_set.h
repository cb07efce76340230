/*
 * All that is watched, and who watches it.
 *
 * Owns     the inbox, the crew and the groups; the inbox's handle lives in the
 *          loop it was given
 * Threads  the main thread, which is the loop's
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "app/crew.h"
#include "app/inbox.h"
#include "app/watch_group.h"
#include "app/watch_plan.h"

struct watch_set {
    struct inbox *inbox;
    struct crew *crew;
    struct watch_group *groups;
    size_t count;      /* of them */
    size_t shares;     /* of all of them */
    size_t shares_max; /* at a time, so far */
    size_t unanswered; /* of those that were asked */
};

/* @news is called when there may be something for watch_set_take(). */
int watch_set_init(struct watch_set *s, uv_loop_t *loop, inbox_news_fn *news, void *context);

/* End all threads. One that could not be made is fine. */
void watch_set_deinit(struct watch_set *s);

/**
 * Watch one more interface, with up to @workers threads in all, or as many as its
 * shares; in place of @former unless that is NULL, see watch_group_start(). The inbox
 * of @options is not read. Returns -errno; if it could not be opened, @former goes on.
 */
int watch_set_begin(struct watch_set *s, const struct watch_group_options *options,
                    struct watch_group *former, size_t workers);

/* That which watches the interface called @name and is not leaving, or NULL. */
struct watch_group *watch_set_find(const struct watch_set *s, const char *name);

/* How many there are that are not leaving. */
size_t watch_set_count(const struct watch_set *s);

/* The groups, in their order, for a plan; to be freed. NULL without memory. */
struct watch_plan_item *watch_set_items(const struct watch_set *s);

/* That which was @item of them; none has been dropped since. */
struct watch_group *watch_set_at(const struct watch_set *s, size_t item);

/* Ask all for a report. */
void watch_set_ask(struct watch_set *s);

/* Have all leave. */
void watch_set_dismiss(struct watch_set *s);

/**
 * Take news of a share: @news->owner is a struct watch_share.
 *
 * Returns whether there was some. If it has ended, watch_set_drop() it when its
 * reports have been read.
 */
bool watch_set_take(struct watch_set *s, struct inbox_news *news);

/* Free @share, which has ended, and its group with the last one. */
void watch_set_drop(struct watch_set *s, struct watch_share *share);
