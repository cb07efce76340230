/*
 * What to do so that what is watched becomes what should be: which watches end,
 * and which interfaces they begin on.
 *
 * An interface is its name and the kernel's index together: one that was removed
 * and made again is another one, and so is one that got a new name. One that is
 * still there but to be watched otherwise, by a new name or with another number of
 * workers, is watched as it was until the new watch can take the old one's place.
 *
 * Owns     what it says to do
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "app/watch_list.h"
#include "base/macros.h"
#include "io/netif.h"

/* An interface that is watched, or was until a moment ago. */
struct watch_plan_item {
    const char *name;
    int index;
    unsigned workers;
    bool leaving; /* it has been told to end, and counts nothing new */
};

struct watch_plan_end {
    size_t item; /* its place */
    bool gone;   /* there is no such interface any more; else it is not wanted so */
};

struct watch_plan_begin {
    const struct netif *netif; /* of those there are */
    bool replaces;             /* another watch of it, which ends when this begins */
    size_t former;             /* that one's place */
};

struct watch_plan {
    size_t end_count;
    struct watch_plan_end *end;
    size_t begin_count;
    struct watch_plan_begin *begin;
    size_t refused_count; /* what would have begun, if there were room */
};

/**
 * Compare the @count @items with @list and what is @there, which is borrowed.
 *
 * An interface that is down is no reason to end, nor one to begin. At most @items_max
 * are watched at a time, those on their way out included; twice as many while some
 * replace others.
 */
int watch_plan_make(struct watch_plan *p, const struct watch_list *list,
                    const struct netif_list *there, const struct watch_plan_item *items,
                    size_t count, size_t items_max);
void watch_plan_deinit(struct watch_plan *p);
#define watch_plan_deinit_auto watch_plan_deinit
