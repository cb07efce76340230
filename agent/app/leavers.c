#include "app/leavers.h"

#include <stdio.h>
#include <stdlib.h>
#include "core/table.h"

#include "app/telemetry.h"
#include "base/log.h"
#include "base/macros.h"

struct leaver {
    struct leavers *all;
    struct statsd *statsd;
    struct syslog_sink *syslog; /* one of the two is NULL */
    char name[128];             /* for the log */
    struct leaver *prev;
    struct leaver *next;
};

static void add_telemetry(const struct leaver *l, struct agent_telemetry *t)
{
    if (l->statsd)
        telemetry_statsd(t, l->statsd);
    if (l->syslog)
        telemetry_syslog(t, l->syslog);
}

static uint64_t owed_bytes(const struct leaver *l)
{
    return l->statsd ? statsd_due_bytes(l->statsd) : syslog_sink_due_bytes(l->syslog);
}

/* Its gauges end with it. */
static void remember(struct agent_telemetry *past, const struct leaver *l)
{
    struct agent_telemetry last = {0};
    add_telemetry(l, &last);
#define ADD_MEMBER(name, ...) past->name += last.name;
    AGENT_COUNTERS(ADD_MEMBER)
#undef ADD_MEMBER
    past->unsent_bytes += owed_bytes(l);
}

static void leave(struct leaver *l)
{
    struct leavers *all = l->all;
    telemetry_warn_unsent(l->name, owed_bytes(l));
    remember(&all->past, l);
    DL_DELETE(all->list, l);
    statsd_close(l->statsd);
    syslog_sink_close(l->syslog);
    free(l);
}

static void on_finished(void *context)
{
    struct leaver *l = context;
    struct leavers *all = l->all;
    leave(l);
    if (!all->list && all->gone)
        TAKE(all->gone)(all->context);
}

/* Returns NULL without memory, and closes @leaver's sink. */
static struct leaver *add(struct leavers *l, const struct leaver *leaver)
{
    struct leaver *own = malloc(sizeof(*own));
    if (!own) {
        telemetry_warn_unsent(leaver->name, owed_bytes(leaver));
        remember(&l->past, leaver);
        statsd_close(leaver->statsd);
        syslog_sink_close(leaver->syslog);
        return NULL;
    }
    *own = *leaver;
    own->all = l;
    DL_APPEND(l->list, own);
    return own;
}

void leavers_add_statsd(struct leavers *l, struct statsd *s, const char *address)
{
    struct leaver leaver = {.statsd = s};
    snprintf(leaver.name, sizeof(leaver.name), "statsd %s", address);
    struct leaver *own = add(l, &leaver);
    if (own)
        statsd_finish(s, LEAVERS_PATIENCE_MS, on_finished, own);
}

void leavers_add_syslog(struct leavers *l, struct syslog_sink *s, uint64_t time_ns)
{
    struct leaver *own = add(l, &(struct leaver){.syslog = s, .name = "syslog"});
    if (!own)
        return;
    syslog_sink_flush(s, time_ns);
    syslog_sink_finish(s, LEAVERS_PATIENCE_MS, on_finished, own);
}

void leavers_add_telemetry(const struct leavers *l, struct agent_telemetry *t)
{
#define ADD_MEMBER(name, ...) t->name += l->past.name;
    AGENT_COUNTERS(ADD_MEMBER)
#undef ADD_MEMBER
    for (const struct leaver *one = l->list; one; one = one->next)
        add_telemetry(one, t);
}

bool leavers_await(struct leavers *l, leavers_gone_fn *gone, void *context)
{
    if (!l->list)
        return false;
    l->gone = gone;
    l->context = context;
    return true;
}

void leavers_close(struct leavers *l)
{
    l->gone = NULL;
    while (l->list)
        leave(l->list);
}
