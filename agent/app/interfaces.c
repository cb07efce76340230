/*
 * Whatever happens, all that is done is to compare what is there with what is
 * wanted (app/watch_plan.h): at the start, when the wish changes, when the kernel
 * has news, when a watch has left, and from time to time while something fails.
 */
#include "app/interfaces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/watch_failures.h"
#include "app/watch_plan.h"
#include "app/watch_set.h"
#include "base/log.h"
#include "base/text.h"
#include "io/capture.h"
#include "io/claims.h"
#include "io/netif.h"
#include "io/netif_monitor.h"
#include "io/privileges.h"

AUTO_DEFINE(struct watch_plan_item, free)

enum {
    RETRY_MS = 10000, /* what could not be watched is tried again after this */
    TURN_MAX = 4,     /* that begin in one turn of the loop: each takes a part of a second */
};

struct interfaces {
    struct interfaces_options options;
    struct watch_set watched;
    struct netif_monitor *monitor;
    uv_timer_t retry;
    uv_timer_t rest; /* of what is to begin */
    unsigned open_handles;

    struct interfaces_wish wish;
    struct watch_failures failures;
    struct claims *claims; /* with count_once */
    bool silent;           /* failures are not said, but kept */
    bool idle;             /* the log knows that nothing is watched */
    bool full;             /* the log knows that there are too many */

    bool asked;
    bool stopping;
};

static const char *words(const struct text *t)
{
    return text_failed(t) ? strerror(ENOMEM) : t->data;
}

/* --- what is said ------------------------------------------------------------------ */

static void say_failure(const char *name, int error, bool fatal)
{
    AUTO(text_deinit) struct text reason = {0};
    watch_describe_error(&reason, name, error);
    if (fatal)
        log_error("%s", words(&reason));
    else
        log_warning("%s", words(&reason));
}

/* What the config calls by its name should not be missed in silence. */
static void say_missing(const struct interfaces *i)
{
    const char *name;
    for (size_t n = 0; (name = watch_list_name(i->wish.list, n)); n++) {
        struct netif netif;
        if (watch_set_find(&i->watched, name))
            continue;
        if (netif_find(&netif, name) < 0)
            log_info("no interface '%s' yet: waiting for it", name);
        else if (!netif.up)
            log_info("%s is down: waiting for it to come up", name);
    }
}

static void say_if_idle(struct interfaces *i)
{
    bool idle = interfaces_count(i) == 0;
    if (idle && !i->idle)
        log_warning("watching no interface now: waiting for one to come");
    i->idle = idle;
}

static void say_if_full(struct interfaces *i, size_t refused)
{
    if (refused && !i->full)
        log_warning("%zu interfaces are not watched: %d are the most", refused, INTERFACES_MAX);
    i->full = refused > 0;
}

/* --- what begins and ends ---------------------------------------------------------- */

static void on_retry(uv_timer_t *timer);
static void on_rest(uv_timer_t *timer);

static void retry_later(struct interfaces *i)
{
    if (!uv_is_active((uv_handle_t *)&i->retry))
        uv_timer_start(&i->retry, on_retry, RETRY_MS, 0);
}

static void keep_failure(struct interfaces *i, const char *name, int index, int error)
{
    if (watch_failures_add(&i->failures, name, index, error) && !i->silent)
        say_failure(name, error, false);
    retry_later(i);
}

/* The rings are most of the memory that an idle agent has: @shares are to have one. */
static uint32_t ring_bytes(const struct interfaces *i, unsigned shares)
{
    if (i->wish.ring_bytes)
        return i->wish.ring_bytes;
    return MAX(CAPTURE_RING_BYTES / shares, (uint32_t)CAPTURE_RING_BYTES_MIN);
}

static void say_replaced(const struct watch_group *former, const struct netif *by)
{
    if (strcmp(former->name, by->name) != 0)
        log_info("%s is called %s now: its counts stay", former->name, by->name);
    else
        log_info("%s: another number of workers, its connections begin anew", former->name);
}

/* In place of @former unless that is NULL. */
static int begin(struct interfaces *i, const struct netif *netif, struct watch_group *former,
                 unsigned shares)
{
    const struct watch_list_interface *wanted = watch_list_find(i->wish.list, netif->name);
    struct watch_group_options options = {
        .netif = netif,
        .shares = wanted->workers,
        .ring_bytes = ring_bytes(i, shares),
        .offload = i->wish.offload,
        .claims = i->claims,
        .engine = i->wish.engine,
        .form = i->options.form,
        .lines = i->options.lines,
        .context = i->options.lines_context,
    };
    options.engine.ports = wanted->ports;
    int error = watch_set_begin(&i->watched, &options, former, i->wish.workers);
    if (error == 0 && former)
        say_replaced(former, netif);
    return error;
}

/* How many rings there will be. */
static unsigned count_shares(const struct interfaces *i, const struct watch_plan *p)
{
    unsigned shares = 0;
    for (const struct watch_group *g = i->watched.groups; g; g = g->next)
        shares += g->leaving ? 0 : g->count;
    for (size_t n = 0; n < p->begin_count; n++) {
        const struct watch_plan_begin *b = &p->begin[n];
        shares += watch_list_find(i->wish.list, b->netif->name)->workers;
        shares -= b->replaces ? watch_set_at(&i->watched, b->former)->count : 0;
    }
    return shares;
}

static void begin_all(struct interfaces *i, const struct watch_plan *p)
{
    unsigned shares = count_shares(i, p), tried = 0;
    AUTO(text_deinit) struct text names = {0};
    for (size_t n = 0; n < p->begin_count; n++) {
        const struct netif *netif = p->begin[n].netif;
        if (watch_failures_wait(&i->failures, netif->index))
            continue;
        if (tried++ == TURN_MAX && !i->silent) {
            uv_timer_start(&i->rest, on_rest, 0, 0);
            break;
        }
        struct watch_group *former =
            p->begin[n].replaces ? watch_set_at(&i->watched, p->begin[n].former) : NULL;
        int error = begin(i, netif, former, shares);
        if (error == -ENODEV || error == -ENETDOWN)
            continue; /* there will be news of it */
        if (error < 0) {
            keep_failure(i, netif->name, netif->index, error);
            continue;
        }
        watch_failures_remove(&i->failures, netif->index);
        text_printf(&names, "%s%s", names.size ? ", " : "", netif->name);
    }
    if (names.size && !i->silent)
        log_info("watching %s", words(&names));
}

static void end(struct watch_group *g, bool gone)
{
    log_info(gone ? "%s is gone: its counts stay" : "%s: watched no longer, its counts stay",
             g->name);
    watch_group_dismiss(g);
}

static void follow(struct interfaces *i, const struct watch_plan *p)
{
    size_t item = 0, ended = 0;
    for (struct watch_group *g = i->watched.groups; g; g = g->next, item++) {
        if (ended < p->end_count && p->end[ended].item == item)
            end(g, p->end[ended++].gone);
    }
    begin_all(i, p);
    crew_wake(i->watched.crew);
    say_if_full(i, p->refused_count);
}

static int compare(struct interfaces *i)
{
    AUTO(netif_list_free) struct netif_list *there = NULL;
    AUTO(free) struct watch_plan_item *items = watch_set_items(&i->watched);
    AUTO(watch_plan_deinit) struct watch_plan plan = {0};
    int error = items ? netif_list_new(&there) : -ENOMEM;
    if (error < 0)
        return error;
    watch_failures_keep(&i->failures, there);
    error = watch_plan_make(&plan, i->wish.list, there, items, i->watched.count, INTERFACES_MAX);
    if (error < 0)
        return error;
    follow(i, &plan);
    return 0;
}

/* Make what is watched what should be. */
static void adapt(struct interfaces *i)
{
    if (i->stopping || !i->wish.list)
        return;
    int error = compare(i);
    if (error < 0) {
        log_warning("can't list the interfaces: %s", strerror(-error));
        retry_later(i);
    }
    if (!i->silent)
        say_if_idle(i);
}

static void on_retry(uv_timer_t *timer)
{
    struct interfaces *i = CONTAINER_OF(timer, struct interfaces, retry);
    watch_failures_retry(&i->failures);
    adapt(i);
}

static void on_rest(uv_timer_t *timer)
{
    adapt(CONTAINER_OF(timer, struct interfaces, rest));
}

static void on_change(void *context)
{
    adapt(context);
}

/* --- what the watches tell --------------------------------------------------------- */

static void take_report(struct interfaces *i, const struct watch_share *s, struct report *report,
                        const char *missing)
{
    if (report)
        i->options.report(i->options.context, report);
    else
        log_error("%s: out of memory: %s", s->group->name, missing);
    report_free(report);
}

static void take_failure(struct interfaces *i, struct watch_group *g, int error)
{
    if (g->leaving) {
        if (error != -ENODEV)
            say_failure(g->name, error, false);
    } else if (error == -ENODEV) {
        end(g, true); /* one that has its place is another */
    } else {
        keep_failure(i, g->name, g->index, error);
        watch_group_dismiss(g);
    }
}

static void take_news(struct interfaces *i, const struct inbox_news *n)
{
    struct watch_share *s = n->owner;
    if (n->error)
        take_failure(i, s->group, n->error);
    if (n->answered)
        take_report(i, s, n->report, "what it counted comes later");
    if (n->ended) {
        take_report(i, s, n->last, "what it counted last is lost");
        watch_set_drop(&i->watched, s);
    }
}

static void tell_answered(struct interfaces *i)
{
    if (!i->asked || i->watched.unanswered > 0)
        return;
    i->asked = false;
    i->options.answered(i->options.context);
}

static void tell_ended(struct interfaces *i)
{
    if (i->stopping && !i->watched.groups)
        i->options.ended(i->options.context);
}

static void on_news(void *context)
{
    struct interfaces *i = context;
    bool left = false;
    struct inbox_news news;
    while (watch_set_take(&i->watched, &news)) {
        left |= news.error || news.ended;
        take_news(i, &news);
    }
    tell_answered(i);
    if (left) {
        crew_wake(i->watched.crew);
        adapt(i);
        tell_ended(i);
    }
}

/* --- from outside ------------------------------------------------------------------ */

int interfaces_new(struct interfaces **out, uv_loop_t *loop,
                   const struct interfaces_options *options)
{
    struct interfaces *i = calloc(1, sizeof(*i));
    if (!i)
        return -ENOMEM;
    i->options = *options;
    uv_timer_init(loop, &i->retry);
    uv_timer_init(loop, &i->rest);
    i->open_handles = 2;
    int error = watch_set_init(&i->watched, loop, on_news, i);
    if (error == 0)
        error = netif_monitor_new(&i->monitor, loop, on_change, i);
    if (error < 0) {
        interfaces_close(i);
        return error;
    }
    *out = i;
    return 0;
}

static void finish_close(struct interfaces *i)
{
    if (--i->open_handles == 0)
        free(i);
}

static void on_retry_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF((uv_timer_t *)handle, struct interfaces, retry));
}

static void on_rest_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF((uv_timer_t *)handle, struct interfaces, rest));
}

struct interfaces *interfaces_close(struct interfaces *i)
{
    if (!i)
        return NULL;
    watch_set_deinit(&i->watched);
    i->claims = claims_free(i->claims);
    i->monitor = netif_monitor_close(i->monitor);
    watch_list_free(i->wish.list);
    watch_failures_deinit(&i->failures);
    uv_close((uv_handle_t *)&i->retry, on_retry_closed);
    uv_close((uv_handle_t *)&i->rest, on_rest_closed);
    return NULL;
}

/* Returns -errno if @name, which must be watched, is not. */
static int check_name(const struct interfaces *i, const char *name)
{
    struct netif netif;
    if (watch_set_find(&i->watched, name))
        return 0;
    int error = netif_find(&netif, name);
    if (error == 0 && netif.up) {
        const struct watch_failure *f = watch_failures_find(&i->failures, netif.index);
        return f ? f->error : 0;
    }
    bool commanded = i->wish.list->name_count > 0;
    return !commanded ? 0 : error < 0 ? error : -ENETDOWN;
}

/* Returns -errno when it is no use to wait: the log says why. */
static int check_start(const struct interfaces *i)
{
    const char *name;
    int error = 0;
    for (size_t n = 0; error == 0 && (name = watch_list_name(i->wish.list, n)); n++) {
        error = check_name(i, name);
        if (error < 0)
            say_failure(name, error, true);
    }
    for (size_t n = 0; error == 0 && n < i->failures.count; n++) {
        const struct watch_failure *f = &i->failures.at[n];
        error = f->error == -EPERM ? f->error : 0; /* without the rights none can be */
        say_failure(f->name, f->error, error < 0);
    }
    return error;
}

static int make_claims(struct interfaces *i)
{
    privileges_raise();
    int error = claims_new(&i->claims);
    privileges_lower();
    if (error < 0)
        log_error("count_once: %s",
                  error == -EPERM ? "needs root or CAP_BPF: try sudo" : strerror(-error));
    return error;
}

int interfaces_start(struct interfaces *i, const struct interfaces_wish *wish)
{
    i->silent = true;
    i->wish = *wish;
    int error = wish->count_once ? make_claims(i) : 0;
    if (error < 0)
        return error;
    error = compare(i);
    if (error < 0)
        log_error("can't list the interfaces: %s", strerror(-error));
    return error < 0 ? error : check_start(i);
}

void interfaces_announce(struct interfaces *i)
{
    AUTO(text_deinit) struct text names = {0};
    for (const struct watch_group *g = i->watched.groups; g; g = g->next)
        text_printf(&names, "%s%s", names.size ? ", " : "", g->name);
    if (i->watched.groups)
        log_info("watching %s", words(&names));
    i->silent = false;
    say_missing(i);
    say_if_idle(i);
}

/* Those that leave may have requests to read until they have. */
static void change(struct interfaces *i)
{
    for (struct watch_group *g = i->watched.groups; g; g = g->next) {
        const struct watch_list_interface *wanted = watch_list_find(i->wish.list, g->name);
        watch_group_change(g, &i->wish.engine, wanted ? &wanted->ports : NULL);
    }
}

void interfaces_want(struct interfaces *i, const struct interfaces_wish *wish)
{
    watch_list_free(i->wish.list);
    i->wish = *wish;
    watch_failures_clear(&i->failures); /* what failed may not even be wanted now */
    change(i);
    adapt(i);
    crew_wake(i->watched.crew);
    say_missing(i);
}

void interfaces_judge(const struct interfaces *i, struct problems *p)
{
    const char *name;
    for (size_t n = 0; (name = watch_list_name(i->wish.list, n)); n++) {
        struct netif netif;
        if (netif_find(&netif, name) < 0)
            problems_add(p, "%s is gone, or was never there", name);
        else if (!netif.up)
            problems_add(p, "%s is down", name);
    }
    for (size_t n = 0; n < i->failures.count; n++) {
        AUTO(text_deinit) struct text reason = {0};
        watch_describe_error(&reason, i->failures.at[n].name, i->failures.at[n].error);
        problems_add(p, "%s", words(&reason));
    }
    if (interfaces_count(i) == 0)
        problems_add(p, "no interface is watched");
}

void interfaces_names(const struct interfaces *i, struct text *names)
{
    for (const struct watch_group *g = i->watched.groups; g; g = g->next) {
        struct netif netif;
        if (g->leaving || netif_find(&netif, g->name) < 0 || !netif.up)
            continue;
        text_add_json(names, bytes_from_string(g->name));
        text_add_char(names, ',');
    }
}

size_t interfaces_shares_max(const struct interfaces *i)
{
    return i->watched.shares_max;
}

const struct interfaces_wish *interfaces_wish(const struct interfaces *i)
{
    return &i->wish;
}

void interfaces_ask(struct interfaces *i)
{
    i->asked = true;
    watch_set_ask(&i->watched);
    tell_answered(i);
}

bool interfaces_are_asked(const struct interfaces *i)
{
    return i->asked;
}

size_t interfaces_count(const struct interfaces *i)
{
    return watch_set_count(&i->watched);
}

bool interfaces_are_moving(const struct interfaces *i)
{
    return crew_is_moving(i->watched.crew);
}

void interfaces_stop(struct interfaces *i)
{
    i->stopping = true;
    watch_set_dismiss(&i->watched);
    tell_ended(i);
}
