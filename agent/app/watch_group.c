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

/* A share while it is opened. */
struct opening {
    struct watch_share *share;
    struct watch_options options;
    uv_thread_t thread;
    bool runs; /* the thread */
    int error;
};

static void share_init(struct opening *opening, struct watch_group *g,
                       const struct watch_group_options *o)
{
    unsigned number = g->count++;
    struct watch_share *s = &g->shares[number];
    s->group = g;
    inbox_slot_init(&s->slot, o->inbox, s);
    reporter_init(&s->reporter, g->name, o->lines, o->context);

    opening->share = s;
    opening->options = (struct watch_options){
        .interface = o->netif,
        .ring_bytes = o->ring_bytes,
        .offload = o->offload,
        .leads = number == 0 && o->shares > 1,
        .follows = number > 0,
        .claims = o->claims,
        .engine = g->change.engine,
        .slot = &s->slot,
    };
    opening->options.engine.interface = g->name;
    opening->options.engine.observer = reporter_observer(&s->reporter, o->form);
}

static void open_share(void *argument)
{
    struct opening *o = argument;
    o->error = watch_open(&o->share->watch, &o->options);
}

/* Each in a thread of its own, for the kernel takes its time, but the first in this one. */
static int open_shares(struct opening openings[], unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        openings[i].runs = uv_thread_create(&openings[i].thread, open_share, &openings[i]) == 0;
    int error = 0;
    for (unsigned i = 0; i < count; i++) {
        if (openings[i].runs)
            uv_thread_join(&openings[i].thread);
        else
            open_share(&openings[i]);
        error = error ? error : openings[i].error;
    }
    return error;
}

static int join_shares(struct watch_group *g)
{
    struct capture_group captures = {0};
    int error = 0;
    for (unsigned i = 0; error == 0 && g->count > 1 && i < g->count; i++)
        error = watch_join(g->shares[i].watch, &captures);
    return error;
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

    struct opening openings[WATCH_SHARES_MAX] = {0};
    while (g->count < options->shares)
        share_init(&openings[g->count], g, options);
    int error = open_shares(openings, g->count);
    if (error == 0)
        error = join_shares(g);
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
    if (error < 0)
        dismiss(g); /* its claims can't be left any more without the rights */
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
