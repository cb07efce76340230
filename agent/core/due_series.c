#include "core/due_series.h"

#include <errno.h>
#include <stdlib.h>

#include "base/macros.h"

/* The rows of a metric, by its scope and form. */
#define SERVICE_COUNTER(name)                                                                      \
    {METRIC_##name, NULL, offsetof(struct due_service_values, counts.name)},
#define SERVICE_EACH_WAY(name)                                                                     \
    {METRIC_##name, "in",                                                                          \
     offsetof(struct due_service_values, counts.direction[DIRECTION_IN].name)},                    \
        {METRIC_##name, "out",                                                                     \
         offsetof(struct due_service_values, counts.direction[DIRECTION_OUT].name)},
#define SERVICE_BY_CLASS(name)                                                                     \
    {METRIC_##name, "1xx", offsetof(struct due_service_values, counts.name[0])},                   \
        {METRIC_##name, "2xx", offsetof(struct due_service_values, counts.name[1])},               \
        {METRIC_##name, "3xx", offsetof(struct due_service_values, counts.name[2])},               \
        {METRIC_##name, "4xx", offsetof(struct due_service_values, counts.name[3])},               \
        {METRIC_##name, "5xx", offsetof(struct due_service_values, counts.name[4])},
#define SERVICE_GAUGE(name)     {METRIC_##name, NULL, offsetof(struct due_service_values, name)},
#define SERVICE_TIMING(name)    {METRIC_##name, NULL, 0},
#define INTERFACE_COUNTER(name) {METRIC_##name, NULL, offsetof(struct due_interface_values, name)},
#define INTERFACE_GAUGE(name)   {METRIC_##name, NULL, offsetof(struct due_interface_values, name)},
#define AGENT_COUNTER(name)     {METRIC_##name, NULL, offsetof(struct due_agent_values, name)},
#define AGENT_GAUGE(name)       {METRIC_##name, NULL, offsetof(struct due_agent_values, name)},
#define HEARTBEAT_GAUGE(name)

static const struct due_series all_series[] = {
#define METRIC_ROWS(name, SCOPE, FORM, ...) SCOPE##_##FORM(name)
    METRICS(METRIC_ROWS)
#undef METRIC_ROWS
};

static int init_list(struct due_series_list *l, enum metric_scope scope,
                     const struct metric_set *sent)
{
    const struct due_series **series = calloc(ARRAY_SIZE(all_series), sizeof(struct due_series *));
    if (!series)
        return -ENOMEM;

    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all_series); i++) {
        const struct due_series *s = &all_series[i];
        if (metrics[s->metric].scope == scope && metric_set_has(sent, s->metric))
            series[count++] = s;
    }
    *l = (struct due_series_list){count, series};
    return 0;
}

int due_series_lists_init(struct due_series_list lists[DUE_SCOPES], const struct metric_set *sent)
{
    int error = 0;
    for (unsigned scope = 0; error == 0 && scope < DUE_SCOPES; scope++)
        error = init_list(&lists[scope], (enum metric_scope)scope, sent);
    return error;
}

void due_series_lists_deinit(struct due_series_list lists[DUE_SCOPES])
{
    for (unsigned scope = 0; scope < DUE_SCOPES; scope++)
        free(TAKE(lists[scope].series));
}

struct due_record due_record_of_service(const struct due *d, struct due_service *s)
{
    return (struct due_record){&s->values, s->ttfb, &d->sent[METRIC_SERVICE]};
}

struct due_record due_record_of_interface(const struct due *d, struct due_interface *i)
{
    return (struct due_record){&i->values, NULL, &d->sent[METRIC_INTERFACE]};
}

static bool is_empty(const struct ttfb_histogram *h)
{
    static const struct ttfb_histogram empty;
    return memcmp(h, &empty, sizeof(empty)) == 0;
}

static bool is_settled(const struct due_record *r, const struct due_series *s)
{
    switch (metrics[s->metric].form) {
    case METRIC_GAUGE:
        return due_gauge(r, s)->value == 0 && due_gauge(r, s)->told == 0;
    case METRIC_TIMING:
        return is_empty(r->ttfb);
    default:
        return *due_counter(r, s) == 0;
    }
}

bool due_record_owes(const struct due_record *r)
{
    for (size_t i = 0; i < r->sent->count; i++)
        if (metrics[r->sent->series[i]->metric].form != METRIC_GAUGE &&
            !is_settled(r, r->sent->series[i]))
            return true;
    return false;
}

bool due_record_is_settled(const struct due_record *r)
{
    for (size_t i = 0; i < r->sent->count; i++)
        if (!is_settled(r, r->sent->series[i]))
            return false;
    return true;
}
