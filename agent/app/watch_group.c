#include "app/watch_group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/privileges.h"

/* The options of one of @shares engines, of those for all of them. */
static struct engine_options share_engine(const struct engine_options *all, unsigned shares)
{
    struct engine_options e = *all;
    e.sessions_max = (all->sessions_max - 1) / shares + 1;
    return e;
}

static int open_share(struct watch_group *g, const struct watch_group_options *o,
                      struct capture_group *captures)
{
    struct watch_share *s = &g->shares[g->count++];
    s->group = g;
    inbox_slot_init(&s->slot, o->inbox, s);
    reporter_init(&s->reporter, g->name, o->lines, o->context);

    struct watch_options options = {
        .interface = o->netif,
        .ring_bytes = o->ring_bytes,
        .offload = o->offload,
        .group = o->shares > 1 ? captures : NULL,
        .claims = o->claims,
        .engine = g->change.engine,
        .slot = &s->slot,
    };
    options.engine.interface = g->name;
    options.engine.observer = reporter_observer(&s->reporter, o->form);
    return watch_open(&s->watch, &options);
}

int watch_group_open(struct watch_group **out, const struct watch_group_options *options)
{
    AUTO(watch_group_free)
    struct watch_group *g = calloc(1, sizeof(*g) + options->shares * sizeof(g->shares[0]));
    if (!g)
        return -ENOMEM;
    memcpy(g->name, options->netif->name, sizeof(g->name));
    g->index = options->netif->index;
    g->change.engine = share_engine(&options->engine, options->shares);

    struct capture_group captures = {0};
    int error = 0;
    while (error == 0 && g->count < options->shares)
        error = open_share(g, options, &captures);
    if (error < 0)
        return error;
    log_debug("%s: %u ports (0: all), ring of %u KiB", g->name, options->engine.ports.count,
              options->ring_bytes >> 10);
    *out = TAKE(g);
    return 0;
}

static void dismiss(struct watch_group *g)
{
    g->leaving = true;
    for (unsigned i = 0; i < g->count; i++)
        if (g->shares[i].watch)
            watch_dismiss(g->shares[i].watch);
}

/* All of the former are deaf before the first hears: their shares differ. */
int watch_group_start(struct watch_group *g, struct watch_group *former)
{
    int error = 0;
    privileges_raise();
    if (former)
        dismiss(former);
    for (unsigned i = 0; error == 0 && i < g->count; i++)
        error = watch_start(g->shares[i].watch);
    privileges_lower();
    return error;
}

void watch_group_begin(struct watch_group *g, struct crew *c)
{
    struct watch *watches[WATCH_SHARES_MAX];
    unsigned workers[WATCH_SHARES_MAX];
    for (unsigned i = 0; i < g->count; i++)
        watches[i] = g->shares[i].watch;
    crew_take(c, watches, g->count, workers);
    for (unsigned i = 0; i < g->count; i++)
        g->shares[i].worker = workers[i];
}

struct watch_group *watch_group_free(struct watch_group *g)
{
    if (!g)
        return NULL;
    for (unsigned i = 0; i < g->count; i++) {
        struct watch_share *s = &g->shares[i];
        watch_free(s->watch);
        inbox_slot_deinit(&s->slot);
        reporter_deinit(&s->reporter);
    }
    free(g);
    return NULL;
}

unsigned watch_group_ask(struct watch_group *g)
{
    unsigned asked = 0;
    for (unsigned i = 0; i < g->count; i++) {
        struct watch_share *s = &g->shares[i];
        if (!s->watch)
            continue;
        s->unanswered = true;
        watch_ask(s->watch);
        asked++;
    }
    return asked;
}

void watch_group_change(struct watch_group *g, const struct engine_options *engine,
                        const struct port_set *ports)
{
    const struct port_set before = g->change.engine.ports;
    g->change.has_ports = ports && memcmp(ports, &before, sizeof(before)) != 0;
    g->change.engine = share_engine(engine, g->count);
    g->change.engine.ports = g->change.has_ports ? *ports : before;
    for (unsigned i = 0; i < g->count; i++)
        if (g->shares[i].watch)
            watch_change(g->shares[i].watch, &g->change);
}

void watch_group_dismiss(struct watch_group *g)
{
    privileges_raise();
    dismiss(g);
    privileges_lower();
}

bool watch_group_has_ended(const struct watch_group *g)
{
    for (unsigned i = 0; i < g->count; i++)
        if (g->shares[i].watch)
            return false;
    return true;
}
