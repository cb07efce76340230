#include "core/rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/percent.h"
#include "core/rule_error.h"
#include "core/rule_index.h"
#include "core/rule_pattern.h"
#include "core/target.h"

/* Texts longer than this name a service as they are written, not decoded. */
enum { DECODED_MAX = 4096 };

struct rule_set {
    struct rule_index *index;
    size_t count;
    struct rule_pattern patterns[];
};

/* Whether a rule before number @rule takes all that it would. */
static int check_reachable(const struct rule_set *s, size_t rule,
                           const struct rule_options *options, struct rule_error *error)
{
    for (size_t earlier = 0; earlier < rule; earlier++) {
        if (!rule_pattern_covers(&s->patterns[earlier], &s->patterns[rule]))
            continue;
        char what[80];
        snprintf(what, sizeof(what), "rule that never matches, for rule %zu takes all it would",
                 earlier + 1);
        return rule_error_whole(error, what, options);
    }
    return 0;
}

/* Add the next rule. */
static int add(struct rule_set *s, const struct rule_options *options, struct rule_error *error)
{
    size_t rule = s->count;
    error->rule = rule;
    int r = rule_pattern_init(&s->patterns[rule], options, error);
    if (r < 0)
        return r;
    s->count++;

    r = check_reachable(s, rule, options, error);
    if (r == 0)
        r = rule_index_add(s->index, &s->patterns[rule], (int)rule);
    return r;
}

int rule_set_new(struct rule_set **out, const struct rule_options *rules, size_t count,
                 struct rule_error *error)
{
    if (count > RULES_MAX) {
        error->rule = RULES_MAX;
        snprintf(error->message, sizeof(error->message), "more than %d rules", RULES_MAX);
        return -EINVAL;
    }
    AUTO(rule_set_free) struct rule_set *s = calloc(1, sizeof(*s) + count * sizeof(s->patterns[0]));
    if (!s)
        return -ENOMEM;

    int r = rule_index_new(&s->index);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add(s, &rules[i], error);
    if (r < 0)
        return r;
    *out = TAKE(s);
    return 0;
}

struct rule_set *rule_set_free(struct rule_set *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->count; i++)
        rule_pattern_deinit(&s->patterns[i]);
    rule_index_free(s->index);
    free(s);
    return NULL;
}

static void name_decoded(struct service_name *name, struct bytes encoded, enum percent_kind kind)
{
    uint8_t decoded[DECODED_MAX];
    if (encoded.size <= sizeof(decoded))
        encoded = bytes_make(decoded, percent_decode(decoded, encoded, kind));
    service_name_make(name, encoded);
}

static void name_by_query(struct service_name *name, struct bytes query, struct bytes parameter)
{
    struct target_parameter p;
    while (target_take_last_parameter(&query, &p)) {
        if (percent_equal(p.name, parameter, PERCENT_FORM)) {
            name_decoded(name, p.value, PERCENT_FORM);
            return;
        }
    }
}

static void name_by_path(struct service_name *name, struct bytes path, struct bytes pattern)
{
    struct bytes segment, expected;
    while (target_take_segment(&pattern, &expected) && target_take_segment(&path, &segment)) {
        if (rule_pattern_is_placeholder(expected)) {
            name_decoded(name, segment, PERCENT_URI);
            return;
        }
    }
}

/* Name what @t was found to match. */
static void name_by_pattern(struct service_name *name, const struct rule_pattern *p,
                            const struct target *t)
{
    switch (p->source) {
    case RULE_SOURCE_FIXED:
        *name = p->service;
        break;
    case RULE_SOURCE_QUERY:
        name_by_query(name, t->query, p->query);
        break;
    case RULE_SOURCE_PATH:
        name_by_path(name, t->path, p->path);
        break;
    case RULE_SOURCE_HOST:
        service_name_make(name, bytes_make(t->host.data, t->host.size - p->host.size - 1));
        break;
    }
}

/* @host in lower case. What is longer than a host may be is none. */
static struct bytes fold(struct bytes host, uint8_t folded[static RULE_HOST_MAX])
{
    if (host.size > RULE_HOST_MAX)
        return (struct bytes){0};
    for (size_t i = 0; i < host.size; i++) {
        uint8_t c = host.data[i];
        folded[i] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    }
    return bytes_make(folded, host.size);
}

/* Split @request as rules see it. @folded is the memory of the host. */
static void split(struct target *t, const struct rule_request *request,
                  uint8_t folded[static RULE_HOST_MAX])
{
    target_split(t, request->target);
    t->host = fold(t->host.size ? t->host : target_host(request->host), folded);
}

int rule_set_match(const struct rule_set *s, const struct rule_request *request,
                   struct service_name *name)
{
    struct target t;
    uint8_t folded[RULE_HOST_MAX];
    split(&t, request, folded);

    int rule = rule_index_find(s->index, &t);
    if (rule != RULE_NONE)
        name_by_pattern(name, &s->patterns[rule], &t);
    return rule;
}

/* Whether the conditions of @p hold, asked of an index that has no others. Returns -ENOMEM. */
static int holds(const struct rule_pattern *p, const struct target *t)
{
    AUTO(rule_index_free) struct rule_index *x = NULL;
    int r = rule_index_new(&x);
    if (r == 0)
        r = rule_index_add(x, p, 0);
    return r < 0 ? r : rule_index_find(x, t) != RULE_NONE;
}

/* Fill @verdict for @p; @taker: it is the one that takes the request. */
static int judge(const struct rule_pattern *p, const struct target *t, bool taker,
                 enum rule_verdict *verdict)
{
    const struct {
        struct rule_pattern pattern;
        enum rule_verdict verdict;
    } conditions[] = {
        {{.query = p->query}, RULE_QUERY_FAILS},
        {{.host = p->host, .host_kind = p->host_kind}, RULE_HOST_FAILS},
        {{.path = p->path}, RULE_PATH_FAILS},
    };
    *verdict = taker ? RULE_TAKES : RULE_TOO_LATE;
    for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
        int r = holds(&conditions[i].pattern, t);
        if (r < 0)
            return r;
        if (!r) {
            *verdict = conditions[i].verdict;
            return 0;
        }
    }
    return 0;
}

int rule_set_explain(const struct rule_set *s, const struct rule_request *request,
                     enum rule_verdict *verdicts)
{
    struct target t;
    uint8_t folded[RULE_HOST_MAX];
    split(&t, request, folded);

    int taker = rule_index_find(s->index, &t);
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->count; i++)
        r = judge(&s->patterns[i], &t, (int)i == taker, &verdicts[i]);
    return r;
}

size_t rule_set_count(const struct rule_set *s)
{
    return s->count;
}

void rule_set_describe(const struct rule_set *s, size_t rule, struct text *t)
{
    rule_pattern_describe(&s->patterns[rule], t);
}
