/*
 * All that watches one interface, from when it was found until it has gone: a
 * watch, or one for each of the workers that share it.
 *
 * Owns     its watches; what they do in their workers ends before that
 * Threads  the main thread; a share's reporter is used by its watch's
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/crew.h"
#include "app/inbox.h"
#include "app/reporter.h"
#include "app/watch.h"
#include "base/macros.h"
#include "core/engine.h"
#include "io/console.h"
#include "io/netif.h"

enum { WATCH_SHARES_MAX = 16 };

struct watch_share {
    struct watch_group *group;
    struct watch *watch;    /* NULL: it has ended */
    struct inbox_slot slot; /* its owner is this */
    struct reporter reporter;
    unsigned worker;
    bool unanswered; /* it was asked */
};

struct watch_group {
    char name[IF_NAMESIZE];
    int index;
    bool leaving;
    struct watch_change change; /* how the engines are to work now */
    struct watch_group *prev;
    struct watch_group *next;
    unsigned count;
    struct watch_share shares[];
};

struct watch_group_options {
    const struct netif *netif;
    unsigned shares;              /* WATCH_SHARES_MAX at most */
    struct inbox *inbox;          /* outlives the group */
    uint32_t ring_bytes;          /* for each share */
    bool offload;                 /* let the kernel keep what need not be seen */
    const struct claims *claims;  /* outlives the group, or NULL: see io/capture.h */
    struct engine_options engine; /* of the interface; its name and observer are not read */
    enum console_form form;       /* what the engines have to tell */
    reporter_lines_fn *lines;     /* takes it, in the workers' threads */
    void *context;
};

/* Open all captures, which let nothing in. Returns what watch_open() does. */
int watch_group_open(struct watch_group **out, const struct watch_group_options *options);

/*
 * Let packets in, in place of @former unless that is NULL, which is dismissed. Nothing
 * is counted by both, but what passes in between by none: 10 to 20 microseconds for
 * each share of @former. Returns -errno; @former is dismissed all the same.
 */
int watch_group_start(struct watch_group *g, struct watch_group *former);

/* Hand the watches over to as many workers. */
void watch_group_begin(struct watch_group *g, struct crew *c);

/* Free one that has not begun, or has ended, or whose crew has gone. NULL is fine. */
struct watch_group *watch_group_free(struct watch_group *g);
AUTO_DEFINE(struct watch_group, watch_group_free)

/* Ask all that are left for a report; wake the crew. Returns how many that is. */
unsigned watch_group_ask(struct watch_group *g);

/*
 * Have all take over what may change of @engine, and @ports unless NULL; wake the
 * crew. Not again before all have answered a question that was asked after it.
 */
void watch_group_change(struct watch_group *g, const struct engine_options *engine,
                        const struct port_set *ports);

/* Let no more packets in, at once, and have all leave; wake the crew. May be called again. */
void watch_group_dismiss(struct watch_group *g);

/* Whether all watches have ended. */
bool watch_group_has_ended(const struct watch_group *g);
