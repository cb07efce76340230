#include "app/explain.h"

#include <errno.h>
#include <stdlib.h>

#include "core/name_mark.h"
#include "core/target.h"

struct explanation {
    const struct rule_set *rules;
    size_t count;
    enum rule_verdict *verdicts;
    int taker;
    struct service_name service;
    bool changed;
};

static void explanation_deinit(struct explanation *e)
{
    free(e->verdicts);
}
#define explanation_deinit_auto explanation_deinit

static int explanation_init(struct explanation *e, const struct rule_set *s,
                            const struct rule_request *r)
{
    *e = (struct explanation){.rules = s, .count = rule_set_count(s)};
    e->verdicts = calloc(MAX(e->count, (size_t)1), sizeof(*e->verdicts));
    if (!e->verdicts || rule_set_explain(s, r, e->verdicts) < 0) {
        explanation_deinit(e);
        return -ENOMEM;
    }
    e->service = (struct service_name){SERVICE_UNSPECIFIED};
    e->taker = rule_set_match(s, r, &e->service);
    e->changed = name_mark_ends(bytes_from_string(e->service.text));
    return 0;
}

static void add_verdict(struct text *t, enum rule_verdict verdict, int taker)
{
    static const char *const words[] = {
        [RULE_TAKES] = "takes it",
        [RULE_QUERY_FAILS] = "no: the query has no such parameter, or it is empty",
        [RULE_HOST_FAILS] = "no: it is another host",
        [RULE_PATH_FAILS] = "no: it is another path",
    };
    if (verdict == RULE_TOO_LATE)
        text_printf(t, "would take it, but rule %d is before", taker + 1);
    else
        text_add_string(t, words[verdict]);
}

static void add_part(struct text *t, const char *name, struct bytes part)
{
    text_printf(t, "%-8s ", name);
    if (part.size)
        text_add_printable(t, part);
    else
        text_add_char(t, '-');
    text_add_char(t, '\n');
}

int explain_for_people(struct text *t, const struct rule_set *s, const struct rule_request *r)
{
    AUTO(explanation_deinit) struct explanation e;
    int error = explanation_init(&e, s, r);
    if (error < 0)
        return error;
    struct target parts;
    target_split(&parts, r->target);
    add_part(t, "host", parts.host.size ? parts.host : target_host(r->host));
    add_part(t, "path", parts.path);
    add_part(t, "query", parts.query);
    for (size_t i = 0; i < e.count; i++) {
        text_printf(t, "rule %zu   ", i + 1);
        rule_set_describe(s, i, t);
        text_add_string(t, "  ");
        add_verdict(t, e.verdicts[i], e.taker);
        text_add_char(t, '\n');
    }
    text_printf(t, "service  %s", e.service.text);
    if (e.taker == RULE_NONE)
        text_add_string(t, "  (no rule takes it)");
    else if (e.changed)
        text_add_string(t, "  (the name was not fit: what it was is in the hash)");
    text_add_char(t, '\n');
    return 0;
}

static void add_rule(struct text *t, const struct explanation *e, size_t i)
{
    static const char *const words[] = {
        [RULE_TAKES] = "takes",     [RULE_TOO_LATE] = "too late", [RULE_QUERY_FAILS] = "query",
        [RULE_HOST_FAILS] = "host", [RULE_PATH_FAILS] = "path",
    };
    AUTO(text_deinit) struct text rule = {0};
    rule_set_describe(e->rules, i, &rule);
    t->failed |= text_failed(&rule);
    text_printf(t, "%s{\"rule\":%zu,\"text\":", i ? "," : "", i + 1);
    text_add_json(t, bytes_make(rule.data, rule.size));
    text_printf(t, ",\"verdict\":\"%s\"}", words[e->verdicts[i]]);
}

int explain_as_json(struct text *t, const struct rule_set *s, const struct rule_request *r)
{
    AUTO(explanation_deinit) struct explanation e;
    int error = explanation_init(&e, s, r);
    if (error < 0)
        return error;
    text_printf(t, "{\"service\":\"%s\",\"changed\":%s,\"rule\":", e.service.text,
                e.changed ? "true" : "false");
    if (e.taker == RULE_NONE)
        text_add_string(t, "null");
    else
        text_printf(t, "%d", e.taker + 1);
    text_add_string(t, ",\"rules\":[");
    for (size_t i = 0; i < e.count; i++)
        add_rule(t, &e, i);
    text_add_string(t, "]}\n");
    return 0;
}
