#include "core/statsd_encoder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/statsd_name.h"

enum {
    NAME_MAX_BYTES = 127, /* of graphite lines */
    SERVICE_TAIL_BYTES = sizeof(".out.retransmitted") - 1,
    HOST_MAX = 32,
    INTERFACE_MAX = 24,

    LINE_REST_MAX = 256, /* what a line has besides its head and configured tags, and more */
};

struct statsd_encoder {
    enum statsd_dialect dialect;
    size_t service_max;
    struct text head; /* of every line: "httpacct.web1." */
    struct text tags; /* the same on all lines: "env:prod,team:web", "host=web1;env=prod" */
};

/* How tags are written. */
struct tag_style {
    const char *begin, *separator;
    char equals;
};

static const struct tag_style datadog_style = {"|#", ",", ':'};
static const struct tag_style graphite_style = {";", ";", '='};

bool statsd_dialect_find(enum statsd_dialect *dialect, const char *name)
{
    static const char *const names[] = {
#define DIALECT_NAME(NAME, text) [STATSD_##NAME] = (text),
        STATSD_DIALECTS(DIALECT_NAME)
#undef DIALECT_NAME
    };
    for (enum statsd_dialect d = 0; d < ARRAY_SIZE(names); d++) {
        if (strcmp(names[d], name) == 0) {
            *dialect = d;
            return true;
        }
    }
    return false;
}

#define TAG_SERVICE   "service"
#define TAG_CLASS     "class"
#define TAG_DIRECTION "direction"
#define TAG_QUANTILE  "quantile"
#define TAG_INTERFACE "interface"
#define TAG_HOST      "host"
#define TAG_NAME      "name" /* carbon's own, for the metric */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

static bool begins_with_letter(const char *text)
{
    return text[0] != '\0' && strchr(LETTERS, text[0]);
}

static bool is_of(const char *text, const char *characters)
{
    return text[strspn(text, characters)] == '\0';
}

const char *statsd_prefix_check(const char *prefix)
{
    size_t size = strlen(prefix);
    if (!begins_with_letter(prefix))
        return "must begin with a letter";
    if (!is_of(prefix, LETTERS DIGITS "_."))
        return "may have letters, digits, '_' and '.'";
    if (strstr(prefix, "..") || prefix[size - 1] == '.')
        return "has an empty node";
    if (size > STATSD_PREFIX_MAX)
        return "is longer than 40 bytes";
    return NULL;
}

static bool has_key(const char *tag, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(keys[i]);
        if (strncasecmp(tag, keys[i], size) == 0 && tag[size] == ':')
            return true;
    }
    return false;
}

/* The keys of the agent's own tags, which Datadog would add these to. */
static bool has_own_key(const char *tag)
{
    static const char *const keys[] = {TAG_SERVICE, TAG_CLASS, TAG_DIRECTION, TAG_INTERFACE};
    return has_key(tag, keys, ARRAY_SIZE(keys));
}

const char *statsd_tag_check(const char *tag)
{
    size_t size = strlen(tag);
    if (!begins_with_letter(tag))
        return "must begin with a letter";
    if (!is_of(tag, LETTERS DIGITS "_-:./"))
        return "may have letters, digits and \"_-:./\"";
    if (tag[size - 1] == ':')
        return "has no value";
    if (has_own_key(tag))
        return "has a key that httpacct's own tags have";
    if (size > STATSD_TAG_MAX)
        return "is longer than 200 bytes";
    return NULL;
}

const char *statsd_tag_check_graphite(const char *tag)
{
    static const char *const keys[] = {TAG_QUANTILE, TAG_HOST, TAG_NAME};
    const char *value = strchr(tag, ':');
    if (!value)
        return "has no value";
    if (!is_of(value + 1, LETTERS DIGITS "_-.") || memchr(tag, '/', (size_t)(value - tag)))
        return "may have letters, digits and \"_-.\" for Graphite";
    return has_key(tag, keys, ARRAY_SIZE(keys)) ? "has a key that httpacct's own tags have" : NULL;
}

static struct statsd_name name_of(const char *raw, enum statsd_name_kind kind, size_t size_max)
{
    struct statsd_name name;
    statsd_name_make(&name, kind, bytes_from_string(raw), size_max);
    return name;
}

static void add_head(struct statsd_encoder *e, const struct statsd_encoder_options *options)
{
    text_add_string(&e->head, options->prefix);
    text_add_char(&e->head, '.');
    if (e->dialect != STATSD_GRAPHITE || !options->host)
        return;
    text_add_string(&e->head, name_of(options->host, STATSD_NODE, HOST_MAX).text);
    text_add_char(&e->head, '.');
}

static void add_configured(struct text *t, const struct tag_style *style, const char *tag)
{
    size_t key = strcspn(tag, ":");
    if (t->size)
        text_add_string(t, style->separator);
    text_add(t, bytes_make(tag, key));
    if (tag[key] == '\0')
        return;
    text_add_char(t, style->equals);
    text_add_string(t, tag + key + 1);
}

static void add_common_tags(struct statsd_encoder *e, const struct statsd_encoder_options *options)
{
    if (e->dialect == STATSD_GRAPHITE)
        return;
    bool graphite = e->dialect == STATSD_GRAPHITE_TAGS;
    if (graphite && options->host)
        text_printf(&e->tags, TAG_HOST "=%s", name_of(options->host, STATSD_TAG, HOST_MAX).text);
    for (size_t i = 0; i < options->tag_count; i++)
        add_configured(&e->tags, graphite ? &graphite_style : &datadog_style, options->tags[i]);
}

int statsd_encoder_new(struct statsd_encoder **out, const struct statsd_encoder_options *options)
{
    AUTO(statsd_encoder_free) struct statsd_encoder *e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->dialect = options->dialect;
    add_head(e, options);
    add_common_tags(e, options);
    if (text_failed(&e->head) || text_failed(&e->tags))
        return -ENOMEM;

    e->service_max = STATSD_NAME_MAX;
    if (e->dialect == STATSD_GRAPHITE)
        e->service_max = MIN(e->service_max, NAME_MAX_BYTES - SERVICE_TAIL_BYTES - e->head.size);
    *out = TAKE(e);
    return 0;
}

struct statsd_encoder *statsd_encoder_free(struct statsd_encoder *e)
{
    if (!e)
        return NULL;
    text_deinit(&e->head);
    text_deinit(&e->tags);
    free(e);
    return NULL;
}

size_t statsd_encoder_line_max(const struct statsd_encoder *e)
{
    return e->head.size + e->tags.size + LINE_REST_MAX;
}

/* @fraction, of @digits digits, without the zeros at its end. */
static void add_fraction(struct text *t, uint64_t fraction, int digits)
{
    for (; digits > 0 && fraction % 10 == 0; digits--)
        fraction /= 10;
    if (digits > 0)
        text_printf(t, ".%0*llu", digits, (unsigned long long)fraction);
}

static void add_milliseconds(struct text *t, uint64_t ns)
{
    uint64_t us = (ns + 500) / 1000;
    text_add_number(t, us / 1000);
    add_fraction(t, us % 1000, 3);
}

/*
 * 1/@samples, never with an exponent. A line stands for less than 2^32 samples,
 * and 10 digits behind the zeros give their number back.
 */
static void add_rate(struct text *t, uint64_t samples)
{
    int digits = 10;
    uint64_t one = 10000000000;
    for (uint64_t n = samples; n >= 10; n /= 10) {
        digits++;
        one *= 10;
    }
    text_add_string(t, "|@0");
    add_fraction(t, (one + samples / 2) / samples, digits);
}

static void add_node(struct text *t, const char *node)
{
    text_add_char(t, '.');
    text_add_string(t, node);
}

static void add_graphite_name(const struct statsd_encoder *e, const struct due_line *l,
                              struct text *t)
{
    const struct metric *m = &metrics[l->metric];
    if (l->service) {
        text_add_string(t, name_of(l->service, STATSD_NODE, e->service_max).text);
        if (m->form == METRIC_EACH_WAY)
            add_node(t, l->variant);
        add_node(t, m->name);
        if (m->form == METRIC_BY_CLASS || m->form == METRIC_TIMING)
            add_node(t, l->variant);
    } else if (l->interface) {
        text_add_string(t, METRIC_AGENT_PREFIX);
        text_add_string(t, name_of(l->interface, STATSD_NODE, INTERFACE_MAX).text);
        add_node(t, m->name + sizeof(METRIC_AGENT_PREFIX) - 1);
    } else {
        text_add_string(t, m->name);
    }
}

static bool is_counter(enum metric_form form)
{
    return form == METRIC_COUNTER || form == METRIC_EACH_WAY || form == METRIC_BY_CLASS;
}

static void add_graphite_value(const struct due_line *l, struct text *t)
{
    enum metric_form form = metrics[l->metric].form;
    text_add_char(t, ':');
    if (form == METRIC_TIMING)
        add_milliseconds(t, l->value);
    else
        text_add_number(t, l->value);
    text_add_string(t, is_counter(form) ? "|c" : "|g");
}

static void add_datadog_value(const struct due_line *l, struct text *t)
{
    enum metric_form form = metrics[l->metric].form;
    text_add_char(t, ':');
    if (form != METRIC_TIMING) {
        text_add_number(t, l->value);
        text_add_string(t, is_counter(form) ? "|c" : "|g");
        return;
    }
    add_milliseconds(t, l->value);
    text_add_string(t, "|d");
    if (l->samples > 1)
        add_rate(t, l->samples);
}

static const char *variant_key(enum metric_form form)
{
    if (form == METRIC_BY_CLASS)
        return TAG_CLASS;
    return form == METRIC_TIMING ? TAG_QUANTILE : TAG_DIRECTION;
}

/* Tags on their way to a line. */
struct tag_list {
    struct text *line;
    const struct tag_style *style;
    bool begun;
};

static void separate(struct tag_list *list)
{
    text_add_string(list->line, list->begun ? list->style->separator : list->style->begin);
    list->begun = true;
}

static void add_tag(struct tag_list *list, const char *key, const char *value)
{
    separate(list);
    text_add_string(list->line, key);
    text_add_char(list->line, list->style->equals);
    text_add_string(list->line, value);
}

static void add_tags(const struct statsd_encoder *e, const struct due_line *l, struct text *t,
                     const struct tag_style *style)
{
    struct tag_list list = {.line = t, .style = style};
    if (l->service)
        add_tag(&list, TAG_SERVICE, name_of(l->service, STATSD_TAG, e->service_max).text);
    if (l->variant)
        add_tag(&list, variant_key(metrics[l->metric].form), l->variant);
    if (l->interface)
        add_tag(&list, TAG_INTERFACE, name_of(l->interface, STATSD_TAG, INTERFACE_MAX).text);
    if (e->tags.size) {
        separate(&list);
        text_add(t, bytes_make(e->tags.data, e->tags.size));
    }
}

void statsd_encoder_add(const struct statsd_encoder *e, const struct due_line *l, struct text *t)
{
    text_add(t, bytes_make(e->head.data, e->head.size));
    switch (e->dialect) {
    case STATSD_GRAPHITE:
        add_graphite_name(e, l, t);
        add_graphite_value(l, t);
        break;
    case STATSD_GRAPHITE_TAGS:
        text_add_string(t, metrics[l->metric].name);
        add_tags(e, l, t, &graphite_style);
        add_graphite_value(l, t);
        break;
    case STATSD_DATADOG:
        text_add_string(t, metrics[l->metric].name);
        add_datadog_value(l, t);
        add_tags(e, l, t, &datadog_style);
        break;
    }
}

void statsd_encoder_add_heartbeat(const struct statsd_encoder *e, struct text *t)
{
    static const struct due_line up = {.metric = METRIC_up, .value = 1};
    statsd_encoder_add(e, &up, t);
}
