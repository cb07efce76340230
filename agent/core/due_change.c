/*
 * Counters are kept whether they are sent or not. Those that are sent from now
 * on begin at zero.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/due_series.h"

int due_service_add_ttfb(struct due_service *s)
{
    if (!s->ttfb)
        s->ttfb = calloc(1, sizeof(*s->ttfb));
    return s->ttfb ? 0 : -ENOMEM;
}

static int add_ttfb(struct due *d)
{
    int error = 0;
    for (struct due_service *s = d->services; s && error == 0; s = s->hh.next)
        error = due_service_add_ttfb(s);
    return error;
}

/* Owe nothing of the series of @r that were not @sent. */
static void forget_unsent(const struct due_record *r, const struct metric_set *sent)
{
    for (size_t i = 0; i < r->sent->count; i++) {
        const struct due_series *s = r->sent->series[i];
        enum metric_form form = metrics[s->metric].form;
        if (metric_set_has(sent, s->metric) || form == METRIC_GAUGE)
            continue;
        if (form == METRIC_TIMING)
            *r->ttfb = (struct ttfb_histogram){0};
        else
            *due_counter(r, s) = 0;
    }
}

static void begin_new_series(struct due *d, const struct metric_set *sent)
{
    forget_unsent(&(struct due_record){&d->agent, NULL, &d->sent[METRIC_AGENT]}, sent);
    for (struct due_interface *i = d->interfaces; i; i = i->hh.next) {
        struct due_record r = due_record_of_interface(d, i);
        forget_unsent(&r, sent);
    }
    for (struct due_service *s = d->services; s; s = s->hh.next) {
        struct due_record r = due_record_of_service(d, s);
        forget_unsent(&r, sent);
    }
}

int due_set_metrics(struct due *d, const struct metric_set *sent)
{
    struct due_series_list lists[DUE_SCOPES] = {0};
    int error = due_series_lists_init(lists, sent);
    if (error == 0 && metric_set_has(sent, METRIC_ttfb))
        error = add_ttfb(d);
    if (error < 0) {
        due_series_lists_deinit(lists);
        return error;
    }
    due_series_lists_deinit(d->sent);
    memcpy(d->sent, lists, sizeof(d->sent));
    struct metric_set before = d->options.metrics;
    d->options.metrics = *sent;
    begin_new_series(d, &before);
    return 0;
}
