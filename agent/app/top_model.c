#include "app/top_model.h"

#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "base/text.h"

static const char ALL[] = "all";
static const char OTHERS[] = "(others)";

void top_model_init(struct top_model *m, double interval_s)
{
    *m = (struct top_model){.interval_s = interval_s};
    top_table_init(&m->services, TOP_SERVICES_MAX);
    top_table_init(&m->interfaces, TOP_INTERFACES_MAX);
    top_table_init(&m->all, 1);
}

void top_model_deinit(struct top_model *m)
{
    top_table_deinit(&m->services);
    top_table_deinit(&m->interfaces);
    top_table_deinit(&m->all);
}

static uint64_t number_of(const json_t *object, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(object, name));
    return number > 0 ? (uint64_t)number : 0;
}

static const char *string_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "?";
}

static void copy_words(char *to, size_t size, const char *words)
{
    AUTO(text_deinit) struct text t = {0};
    text_add_printable(&t, bytes_from_string(words));
    snprintf(to, size, "%s", t.data ? t.data : "");
}

static void take_service(struct top_model *m, const json_t *s, const char *name, double elapsed_s,
                         uint64_t sum[static TOP_COUNTS])
{
    const json_t *replies = json_object_get(s, "replies");
    const uint64_t count[TOP_COUNTS] = {
        [TOP_IN] = number_of(json_object_get(s, "in"), "bytes"),
        [TOP_OUT] = number_of(json_object_get(s, "out"), "bytes"),
        [TOP_REQUESTS] = number_of(s, "requests"),
        [TOP_4XX] = number_of(replies, "4xx"),
        [TOP_5XX] = number_of(replies, "5xx"),
        [TOP_OPEN] = number_of(s, "open"),
    };
    for (unsigned c = 0; c < TOP_COUNTS; c++)
        sum[c] += count[c];
    top_table_take(&m->services, name, count, elapsed_s);
}

static void take_services(struct top_model *m, const json_t *status, double elapsed_s,
                          unsigned intervals)
{
    uint64_t sum[TOP_COUNTS] = {0};
    size_t at;
    const json_t *s;
    json_array_foreach(json_object_get(status, "services"), at, s)
        take_service(m, s, string_of(s, "name"), elapsed_s, sum);
    const json_t *others = json_object_get(status, "services_left_out");
    if (others)
        take_service(m, others, OTHERS, elapsed_s, sum);
    top_table_end_sample(&m->services, intervals);
    top_table_take(&m->all, ALL, sum, elapsed_s);
    top_table_end_sample(&m->all, intervals);
}

static bool is_in(const json_t *names, const char *name)
{
    size_t at;
    const json_t *n;
    json_array_foreach(names, at, n) if (json_is_string(n) &&
                                         strcmp(json_string_value(n), name) == 0) return true;
    return false;
}

static void take_interfaces(struct top_model *m, const json_t *status, double elapsed_s,
                            unsigned intervals)
{
    const json_t *watching = json_object_get(status, "watching");
    size_t at;
    const json_t *i;
    json_array_foreach(json_object_get(status, "interfaces"), at, i)
    {
        const char *name = string_of(i, "name");
        const uint64_t count[TOP_COUNTS] = {
            [TOP_TCP] = number_of(i, "tcp_bytes"),
            [TOP_SERVICE] = number_of(i, "service_bytes"),
            [TOP_NOT_HTTP] = number_of(i, "not_http_bytes"),
            [TOP_UNTRACKED] = number_of(i, "untracked_bytes"),
            [TOP_PENDING] = number_of(i, "pending_bytes"),
            [TOP_DROPS] = number_of(i, "ring_drops"),
            [TOP_WATCHED] = is_in(watching, name),
        };
        top_table_take(&m->interfaces, name, count, elapsed_s);
    }
    top_table_end_sample(&m->interfaces, intervals);
}

static void take_health(struct top_model *m, const json_t *status)
{
    copy_words(m->version, sizeof(m->version), string_of(status, "version"));
    m->healthy = strcmp(string_of(status, "health"), "ok") == 0;
    m->problem_count = 0;
    size_t at;
    const json_t *problem;
    json_array_foreach(json_object_get(status, "problems"), at, problem)
    {
        if (m->problem_count < TOP_PROBLEMS_MAX && json_is_string(problem))
            copy_words(m->problems[m->problem_count++], TOP_WORDS_MAX, json_string_value(problem));
    }
}

/* What the reply stands for, and for how long after the one before. */
static double elapsed_since(const struct top_model *m, long long pid, double up_s)
{
    bool same = m->known && pid == m->pid && up_s > m->up_s;
    return same ? up_s - m->up_s : 0;
}

static unsigned intervals_in(const struct top_model *m, double elapsed_s)
{
    double intervals = elapsed_s / m->interval_s + 0.5;
    if (intervals < 1)
        return 1;
    return intervals < TOP_HISTORY ? (unsigned)intervals : TOP_HISTORY;
}

bool top_model_take(struct top_model *m, const json_t *status)
{
    double up_s = json_number_value(json_object_get(status, "seconds"));
    if (!json_is_array(json_object_get(status, "services")) ||
        !json_is_array(json_object_get(status, "interfaces")) || !(up_s >= 0 && up_s < 1e10))
        return false;
    long long pid = json_integer_value(json_object_get(status, "pid"));
    double elapsed_s = elapsed_since(m, pid, up_s);
    unsigned intervals = intervals_in(m, elapsed_s);
    take_services(m, status, elapsed_s, intervals);
    take_interfaces(m, status, elapsed_s, intervals);
    take_health(m, status);
    m->known = true;
    m->pid = pid;
    m->up_s = up_s;
    return true;
}

const struct top_item *top_model_all(const struct top_model *m)
{
    return m->all.items;
}

int64_t top_interface_imbalance(const struct top_item *i)
{
    return (int64_t)(i->count[TOP_TCP] - i->count[TOP_SERVICE] - i->count[TOP_NOT_HTTP] -
                     i->count[TOP_UNTRACKED] - i->count[TOP_PENDING]);
}
