/*
 * Interfaces that are there and wanted, but could not be watched.
 *
 * Owns     its entries
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "io/netif.h"

struct watch_failure {
    char name[IF_NAMESIZE];
    int index;
    int error;  /* -errno */
    bool waits; /* until the next watch_failures_retry() */
};

/* To begin with all zero. */
struct watch_failures {
    struct watch_failure *at;
    size_t count;
};

void watch_failures_deinit(struct watch_failures *f);

/*
 * @name could not be watched. Returns whether that is new. Without memory it is
 * not kept, and tried again at once.
 */
bool watch_failures_add(struct watch_failures *f, const char *name, int index, int error);

/* Forget @index: it can be watched. */
void watch_failures_remove(struct watch_failures *f, int index);

/* Forget those that are not @there any more. */
void watch_failures_keep(struct watch_failures *f, const struct netif_list *there);

/* Returns NULL if nothing is wrong with @index. */
const struct watch_failure *watch_failures_find(const struct watch_failures *f, int index);

/* Whether @index has to wait. */
bool watch_failures_wait(const struct watch_failures *f, int index);

/* Forget all. */
void watch_failures_clear(struct watch_failures *f);

/* Let all be tried again. */
void watch_failures_retry(struct watch_failures *f);
