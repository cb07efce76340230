#include "core/rule_pattern.h"

#include <errno.h>
#include <stdlib.h>

#include "core/rule_error.h"
#include "core/target.h"

#define PLACEHOLDER "{service}"

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static bool ends_with(struct bytes text, struct bytes end)
{
    return text.size >= end.size &&
           bytes_equal(bytes_make(text.data + text.size - end.size, end.size), end);
}

/* Take @start off the front of @text if it is there. */
static bool take_start(struct bytes *text, struct bytes start)
{
    struct bytes rest = *text;
    if (!bytes_equal(bytes_take(&rest, start.size), start))
        return false;
    *text = rest;
    return true;
}

bool rule_pattern_is_placeholder(struct bytes segment)
{
    return bytes_equal(segment, BYTES(PLACEHOLDER));
}

static int check_query(const char *query, struct rule_error *error)
{
    if (!*query)
        return rule_error_text(error, "query is empty", query);
    if (has_control(query))
        return rule_error_text(error, "query has a control character", query);
    if (strlen(query) > RULE_QUERY_MAX)
        return rule_error_text(error, "query is longer than 255 bytes", query);
    return 0;
}

static bool is_placed_well(struct bytes segment)
{
    return rule_pattern_is_placeholder(segment) ||
           (!memchr(segment.data, '{', segment.size) && !memchr(segment.data, '}', segment.size));
}

static int check_segments(const char *path, struct rule_error *error)
{
    struct bytes rest = bytes_from_string(path);
    struct bytes segment;
    unsigned segments = 0;
    while (target_take_segment(&rest, &segment)) {
        if (!is_placed_well(segment))
            return rule_error_text(
                error, "braces in a path: only a whole segment \"" PLACEHOLDER "\"", path);
        if (++segments > RULE_SEGMENTS_MAX)
            return rule_error_text(error, "path has more than 64 segments", path);
    }
    return 0;
}

static int check_path(const char *path, struct rule_error *error)
{
    if (*path != '/')
        return rule_error_text(error, "path does not begin with \"/\"", path);
    if (has_control(path))
        return rule_error_text(error, "path has a control character", path);
    if (strpbrk(path, " ?#"))
        return rule_error_text(
            error, "path has a blank, \"?\" or \"#\", which is never part of one", path);
    return check_segments(path, error);
}

static bool is_label_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels with one dot between them. @host is in lower case. */
static bool is_host_name(struct bytes host)
{
    size_t label_size = 0;
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] != '.' && !is_label_byte(host.data[i]))
            return false;
        if (host.data[i] == '.' && label_size == 0)
            return false;
        label_size = host.data[i] == '.' ? 0 : label_size + 1;
    }
    return label_size > 0;
}

/* An address in brackets, as far as its characters tell. */
static bool is_ipv6(struct bytes host)
{
    return host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']' &&
           strspn((const char *)host.data + 1, "0123456789abcdef:.") == host.size - 2;
}

/* Fill @p's host from its copy, which is in lower case. */
static int parse_host(struct rule_pattern *p, const char *written, struct rule_error *error)
{
    struct bytes host = p->host;
    p->host_kind = RULE_HOST_EXACT;
    if (take_start(&host, BYTES("*.")))
        p->host_kind = RULE_HOST_BELOW;
    else if (take_start(&host, BYTES(PLACEHOLDER ".")))
        p->host_kind = RULE_HOST_LABEL;
    if (host.size > 1 && host.data[host.size - 1] == '.')
        host.size--;

    bool ipv6 = p->host_kind == RULE_HOST_EXACT && is_ipv6(host);
    if (!ipv6 && !is_host_name(host))
        return rule_error_text(error,
                               "host is not a name like \"a.b\", \"*.b\", \"" PLACEHOLDER
                               ".b\" or \"[::1]\", without port",
                               written);
    size_t front_min = p->host_kind == RULE_HOST_EXACT ? 0 : strlen("x.");
    if (host.size + front_min > RULE_HOST_MAX)
        return rule_error_text(error, "host is longer than 255 bytes", written);
    p->host = host;
    return 0;
}

static unsigned count_placeholders(struct bytes path)
{
    struct bytes segment;
    unsigned count = 0;
    while (target_take_segment(&path, &segment))
        count += rule_pattern_is_placeholder(segment);
    return count;
}

/* Find out what names the service. */
static int parse_source(struct rule_pattern *p, const struct rule_options *options,
                        struct rule_error *error)
{
    unsigned in_path = count_placeholders(p->path);
    unsigned in_host = p->host_kind == RULE_HOST_LABEL;
    unsigned in_query = p->query.data && !options->service;
    unsigned sources = in_path + in_host + in_query + !!options->service;
    if (sources == 0)
        return rule_error_whole(error, "rule without service, query or " PLACEHOLDER, options);
    if (sources > 1)
        return rule_error_whole(error, "rule that names its service more than once", options);

    p->source = in_path    ? RULE_SOURCE_PATH
                : in_host  ? RULE_SOURCE_HOST
                : in_query ? RULE_SOURCE_QUERY
                           : RULE_SOURCE_FIXED;
    return 0;
}

static int parse_service(struct rule_pattern *p, const char *service, struct rule_error *error)
{
    struct bytes name = bytes_from_string(service);
    if (!service_name_fits(name))
        return rule_error_text(
            error,
            "service is not 1 to 64 of \"A-Za-z0-9._-\", or looks like one of the agent's "
            "own",
            service);
    service_name_make(&p->service, name);
    return 0;
}

/* Keep a copy of @text and show it in @view. */
static int keep(char **copy, struct bytes *view, const char *text)
{
    *copy = strdup(text);
    if (!*copy)
        return -ENOMEM;
    *view = bytes_from_string(*copy);
    return 0;
}

static int init_query(struct rule_pattern *p, const char *query, struct rule_error *error)
{
    int r = check_query(query, error);
    return r < 0 ? r : keep(&p->copies[0], &p->query, query);
}

static int init_path(struct rule_pattern *p, const char *path, struct rule_error *error)
{
    int r = check_path(path, error);
    if (r == 0)
        r = keep(&p->copies[1], &p->path, path);
    if (r == 0 && p->path.data[p->path.size - 1] == '/')
        p->path.size--;
    return r;
}

static int init_host(struct rule_pattern *p, const char *host, struct rule_error *error)
{
    int r = keep(&p->copies[2], &p->host, host);
    if (r < 0)
        return r;
    for (char *c = p->copies[2]; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c |= 0x20;
    return parse_host(p, host, error);
}

static int init_all(struct rule_pattern *p, const struct rule_options *options,
                    struct rule_error *error)
{
    int r = 0;
    if (options->query)
        r = init_query(p, options->query, error);
    if (r == 0 && options->path)
        r = init_path(p, options->path, error);
    if (r == 0 && options->host)
        r = init_host(p, options->host, error);
    if (r == 0)
        r = parse_source(p, options, error);
    if (r == 0 && options->service)
        r = parse_service(p, options->service, error);
    return r;
}

int rule_pattern_init(struct rule_pattern *p, const struct rule_options *options,
                      struct rule_error *error)
{
    *p = (struct rule_pattern){0};
    int r = init_all(p, options, error);
    if (r < 0)
        rule_pattern_deinit(p);
    return r;
}

void rule_pattern_deinit(struct rule_pattern *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(p->copies); i++)
        free(p->copies[i]);
    *p = (struct rule_pattern){0};
}

static bool query_covers(const struct rule_pattern *wide, const struct rule_pattern *narrow)
{
    return !wide->query.data || (narrow->query.data && bytes_equal(wide->query, narrow->query));
}

static bool segment_covers(struct bytes wide, struct bytes narrow)
{
    return bytes_equal(wide, narrow) || (rule_pattern_is_placeholder(wide) && narrow.size > 0);
}

static bool path_covers(const struct rule_pattern *wide, const struct rule_pattern *narrow)
{
    if (!wide->path.data)
        return true;
    if (!narrow->path.data) /* what has a query has a path, and "/" takes all paths */
        return narrow->query.data && wide->path.size == 0;

    struct bytes wide_rest = wide->path, narrow_rest = narrow->path;
    struct bytes wide_segment, narrow_segment;
    while (target_take_segment(&wide_rest, &wide_segment))
        if (!target_take_segment(&narrow_rest, &narrow_segment) ||
            !segment_covers(wide_segment, narrow_segment))
            return false;
    return true;
}

/* Whether all hosts that @narrow takes end in a dot and @suffix; @front is what is before it. */
static bool is_below(struct bytes narrow, struct bytes suffix, struct bytes *front)
{
    if (narrow.size < suffix.size + 2 || !ends_with(narrow, suffix))
        return false;
    *front = bytes_make(narrow.data, narrow.size - suffix.size - 1);
    return narrow.data[front->size] == '.';
}

static bool host_covers(const struct rule_pattern *wide, const struct rule_pattern *narrow)
{
    bool same = bytes_equal(wide->host, narrow->host);
    struct bytes front;
    switch (wide->host_kind) {
    case RULE_HOST_ANY:
        return true;
    case RULE_HOST_BELOW:
        if (same)
            return narrow->host_kind == RULE_HOST_BELOW || narrow->host_kind == RULE_HOST_LABEL;
        return narrow->host_kind != RULE_HOST_ANY && is_below(narrow->host, wide->host, &front);
    case RULE_HOST_LABEL:
        if (narrow->host_kind == RULE_HOST_EXACT && is_below(narrow->host, wide->host, &front))
            return !memchr(front.data, '.', front.size);
        return same && narrow->host_kind == RULE_HOST_LABEL;
    default:
        return same && narrow->host_kind == wide->host_kind;
    }
}

bool rule_pattern_covers(const struct rule_pattern *wide, const struct rule_pattern *narrow)
{
    return query_covers(wide, narrow) && path_covers(wide, narrow) && host_covers(wide, narrow);
}

static void add_setting(struct text *t, const char *key, const char *front, struct bytes value)
{
    text_printf(t, " %s = \"%s", key, front);
    text_add_printable(t, value);
    text_add_string(t, "\";");
}

void rule_pattern_describe(const struct rule_pattern *p, struct text *t)
{
    static const char *const host_front[RULE_HOST_KINDS] = {
        [RULE_HOST_EXACT] = "",
        [RULE_HOST_BELOW] = "*.",
        [RULE_HOST_LABEL] = PLACEHOLDER ".",
    };
    text_add_char(t, '{');
    if (p->query.data)
        add_setting(t, "query", "", p->query);
    if (p->host_kind != RULE_HOST_ANY)
        add_setting(t, "host", host_front[p->host_kind], p->host);
    if (p->path.data)
        add_setting(t, "path", "", p->path.size ? p->path : BYTES("/"));
    if (p->source == RULE_SOURCE_FIXED)
        add_setting(t, "service", "", bytes_from_string(p->service.text));
    text_add_string(t, " }");
}
