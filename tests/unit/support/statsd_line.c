#include "support/statsd_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

enum { NAME_MAX_DATADOG = 200, TAG_MAX_DATADOG = 200, NAME_MAX_COLLECTD = 127 };

static bool is_of(const char *text, const char *characters)
{
    return *text != '\0' && text[strspn(text, characters)] == '\0';
}

static bool begins_with_letter(const char *text)
{
    return *text != '\0' && strchr(LETTERS, *text);
}

/* Cut @rest at the first @separator and return what was before it, or all. */
static char *take(char **rest, char separator)
{
    char *part = *rest;
    char *end = part ? strchr(part, separator) : NULL;
    if (end)
        *end = '\0';
    *rest = end ? end + 1 : NULL;
    return part;
}

static const char *read_number(struct statsd_line *l, const char *text)
{
    if (!is_of(text, DIGITS ".") || *text == '.' || strspn(text, DIGITS) + 1 == strlen(text))
        return "the value is no plain number";
    l->is_whole = is_of(text, DIGITS);
    l->value = strtoull(text, NULL, 10);
    l->number = strtod(text, NULL);
    return l->number > 9007199254740992.0 ? "the value is more than 2^53" : NULL;
}

/* The line up to its type; @rest is what follows. */
static const char *read_front(struct statsd_line *l, char *text, char **rest)
{
    *rest = text;
    const char *front = take(rest, '|');
    if (!*rest)
        return "there is no '|'";
    char *value = (char *)front;
    const char *name = take(&value, ':');
    const char *type = take(rest, '|');
    if (!value || *name == '\0')
        return "there is no name";
    if (strlen(type) != 1 || !strchr("cgd", *type))
        return "the type is not known";
    strcpy(l->name, name);
    l->type = *type;
    l->rate = 1;
    return read_number(l, value);
}

static const char *copy(char out[static STATSD_LINE_TEXT_MAX], struct bytes raw)
{
    if (raw.size >= STATSD_LINE_TEXT_MAX || memchr(raw.data, '\0', raw.size))
        return "the line is too long, or has a NUL";
    memcpy(out, raw.data, raw.size);
    out[raw.size] = '\0';
    return NULL;
}

static const char *check_tag(const char *tag)
{
    if (!begins_with_letter(tag))
        return "a tag does not begin with a letter";
    if (!is_of(tag, "abcdefghijklmnopqrstuvwxyz" DIGITS "_-:./"))
        return "a tag has a byte that would be changed";
    if (strlen(tag) > TAG_MAX_DATADOG || tag[strlen(tag) - 1] == ':')
        return "a tag is too long, or has no value";
    return NULL;
}

static const char *read_tags(struct statsd_line *l, char *tags)
{
    strcpy(l->tags, tags);
    while (tags) {
        const char *wrong = check_tag(take(&tags, ','));
        if (wrong)
            return wrong;
    }
    return NULL;
}

static const char *read_rate(struct statsd_line *l, const char *rate)
{
    if (!is_of(rate, DIGITS "."))
        return "the rate is no plain number";
    l->rate = strtod(rate, NULL);
    return l->rate > 0 && l->rate < 1 ? NULL : "the rate is not between 0 and 1";
}

const char *statsd_line_read_datadog(struct statsd_line *l, struct bytes raw)
{
    *l = (struct statsd_line){0};
    char text[STATSD_LINE_TEXT_MAX];
    char *rest;
    const char *wrong = copy(text, raw);
    if (!wrong)
        wrong = read_front(l, text, &rest);
    if (wrong)
        return wrong;
    if (!begins_with_letter(l->name) || !is_of(l->name, LETTERS DIGITS "_.") ||
        strlen(l->name) > NAME_MAX_DATADOG)
        return "the name would be changed";

    if (rest && *rest == '@')
        wrong = read_rate(l, take(&rest, '|') + 1);
    if (!wrong && rest && *rest == '#')
        wrong = read_tags(l, take(&rest, '|') + 1);
    if (!wrong && rest)
        wrong = "there is more than rate and tags, or they are out of order";
    return wrong;
}

/* A line of no more than a name, a value, and the type of a counter or a gauge. */
static const char *read_plain(struct statsd_line *l, struct bytes raw)
{
    *l = (struct statsd_line){0};
    char text[STATSD_LINE_TEXT_MAX];
    char *rest;
    const char *wrong = copy(text, raw);
    if (!wrong)
        wrong = read_front(l, text, &rest);
    if (!wrong && (rest || l->type == 'd'))
        wrong = "there is more than a counter or a gauge";
    return wrong;
}

static const char *check_node_names(const struct statsd_line *l)
{
    if (!is_of(l->name, "abcdefghijklmnopqrstuvwxyz" DIGITS "_-."))
        return "the name would be changed";
    if (strstr(l->name, "..") || l->name[0] == '.' || l->name[strlen(l->name) - 1] == '.')
        return "the name has an empty node";
    return NULL;
}

const char *statsd_line_read_graphite(struct statsd_line *l, struct bytes raw)
{
    const char *wrong = read_plain(l, raw);
    if (!wrong)
        wrong = check_node_names(l);
    if (!wrong && strlen(l->name) > NAME_MAX_COLLECTD)
        wrong = "the name would be cut";
    return wrong;
}

static const char *check_series_tag(char *tag)
{
    const char *key = take(&tag, '=');
    if (!is_of(key, LETTERS DIGITS "_-.") || strcmp(key, "name") == 0)
        return "the key of a tag would be changed, or is carbon's own";
    return tag && is_of(tag, LETTERS DIGITS "_-.") ? NULL : "a tag has no value, or it is changed";
}

const char *statsd_line_read_graphite_tags(struct statsd_line *l, struct bytes raw)
{
    const char *wrong = read_plain(l, raw);
    char *tags = l->name;
    take(&tags, ';');
    if (!wrong)
        wrong = check_node_names(l);
    if (!wrong && tags)
        strcpy(l->tags, tags);
    while (!wrong && tags)
        wrong = check_series_tag(take(&tags, ';'));
    return wrong;
}
