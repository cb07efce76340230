#include "app/settings_outputs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#include "base/macros.h"
#include "core/datagram.h"
#include "core/syslog_line.h"
#include "io/statsd.h"

#define DEFAULT_STATSD_ADDRESS "127.0.0.1:" STATSD_DEFAULT_PORT
#define DEFAULT_PREFIX         "httpacct"

enum { INTERVAL_MAX_S = 3600 };

static const uint64_t DEFAULT_FLUSH_NS = UINT64_C(10000000000);
static const uint64_t DATADOG_INTERVAL_NS = UINT64_C(10000000000); /* over which it adds up */
static const uint64_t DEFAULT_SYSLOG_INTERVAL_NS = UINT64_C(60000000000);

/* Each string of the array @s, with @take(@context, string's setting). */
static int read_strings(const config_setting_t *s, const char *wanted,
                        int (*take)(void *context, const config_setting_t *s, struct text *error),
                        void *context, struct text *error)
{
    if (!key_is(s, CONFIG_TYPE_ARRAY) && !key_is(s, CONFIG_TYPE_LIST))
        return key_fail_value(s, wanted, error);
    int r = 0;
    for (int i = 0; r == 0 && i < config_setting_length(s); i++) {
        const config_setting_t *element = key_element(s, i);
        r = key_is(element, CONFIG_TYPE_STRING) ? take(context, element, error)
                                                : key_fail_value(element, "a string", error);
    }
    return r;
}

static int take_metric(void *context, const config_setting_t *s, struct text *error)
{
    const char *name = config_setting_get_string(s);
    if (metric_set_add_name(context, bytes_from_string(name)))
        return 0;
    return key_fail_text(s, "unknown metric", name, error);
}

static int read_metrics(const struct key *k, const config_setting_t *s, void *field,
                        struct text *error)
{
    (void)k;
    int r = read_strings(s, "an array [ ] of names of metrics", take_metric, field, error);
    struct metric_set *set = field;
    return r == 0 && set->bits == 0 ? key_fail(s, "metrics names none", error) : r;
}

static int read_statsd_address(const struct key *k, const config_setting_t *s, void *field,
                               struct text *error)
{
    struct settings_statsd *d = field;
    int r = key_read_string(k, s, &d->address, error);
    if (r < 0)
        return r;
    const char *problem = endpoint_parse(&d->endpoint, d->address, STATSD_DEFAULT_PORT);
    if (!problem && d->endpoint.transport == ENDPOINT_TCP)
        problem = "is neither udp:// nor unix://";
    return problem ? key_fail_problem(s, problem, error) : 0;
}

static int read_dialect(const struct key *k, const config_setting_t *s, void *field,
                        struct text *error)
{
    (void)k;
    if (key_is(s, CONFIG_TYPE_STRING) && statsd_dialect_find(field, config_setting_get_string(s)))
        return 0;
    return key_fail_value(s, "\"graphite\", \"graphite-tags\" or \"datadog\"", error);
}

static int read_prefix(const struct key *k, const config_setting_t *s, void *field,
                       struct text *error)
{
    const char **prefix = field;
    int r = key_read_string(k, s, prefix, error);
    if (r < 0)
        return r;
    const char *problem = statsd_prefix_check(*prefix);
    return problem ? key_fail_problem(s, problem, error) : 0;
}

static int read_statsd_host(const struct key *k, const config_setting_t *s, void *field,
                            struct text *error)
{
    struct settings_statsd *d = field;
    if (key_is(s, CONFIG_TYPE_BOOL) && !config_setting_get_bool(s)) {
        d->with_host = false;
        return 0;
    }
    if (!key_is(s, CONFIG_TYPE_STRING) || *config_setting_get_string(s) == '\0')
        return key_fail_value(s, "a name or false", error);
    return key_read_string(k, s, &d->host, error);
}

/* Datadog makes all lower case. A host there is but one. */
static bool is_repeated(const struct settings_statsd *d, const char *tag)
{
    static const char host[] = "host:";
    bool is_host = strncasecmp(tag, host, sizeof(host) - 1) == 0;
    for (size_t i = 0; i < d->tag_count; i++)
        if (strcasecmp(d->tags[i], tag) == 0 ||
            (is_host && strncasecmp(d->tags[i], host, sizeof(host) - 1) == 0))
            return true;
    return false;
}

static int take_tag(void *context, const config_setting_t *s, struct text *error)
{
    struct settings_statsd *d = context;
    const char *tag = config_setting_get_string(s);
    const char *problem = statsd_tag_check(tag);
    if (!problem && is_repeated(d, tag))
        problem = "is there twice";
    if (problem)
        return key_fail_problem(s, problem, error);
    char *copy = strdup(tag);
    if (!copy)
        return -ENOMEM;
    d->tags[d->tag_count++] = copy;
    return 0;
}

static int read_tags(const struct key *k, const config_setting_t *s, void *field,
                     struct text *error)
{
    (void)k;
    struct settings_statsd *d = field;
    size_t count = config_setting_is_aggregate(s) ? (size_t)config_setting_length(s) : 0;
    d->tag_count = 0;
    d->tags = calloc(MAX(count, (size_t)1), sizeof(*d->tags));
    if (!d->tags)
        return -ENOMEM;
    return read_strings(s, "an array [ ] of tags", take_tag, d, error);
}

static const struct key statsd_keys[] = {
    {"address", read_statsd_address, .keys = NULL},
    {"dialect", read_dialect, offsetof(struct settings_statsd, dialect), .keys = NULL},
    {"prefix", read_prefix, offsetof(struct settings_statsd, prefix), .keys = NULL},
    {"host", read_statsd_host, .keys = NULL},
    {"tags", read_tags, .keys = NULL},
    {"metrics", read_metrics, offsetof(struct settings_statsd, metrics), .keys = NULL},
    {"datagram", key_read_uint32, offsetof(struct settings_statsd, datagram_bytes),
     .min = DATAGRAM_BYTES_MIN, .max = DATAGRAM_BYTES_MAX},
    {.name = NULL},
};

/* Fill what was left out. */
static int complete_statsd(struct settings_statsd *d)
{
    if (!d->address) {
        d->address = strdup(DEFAULT_STATSD_ADDRESS);
        endpoint_parse(&d->endpoint, DEFAULT_STATSD_ADDRESS, NULL);
    }
    if (!d->prefix)
        d->prefix = strdup(DEFAULT_PREFIX);
    if (d->metrics.bits == 0)
        d->metrics = metric_set_default();
    return d->address && d->prefix ? 0 : -ENOMEM;
}

/* Whether any line fits into a datagram. */
static int check_lines(const struct settings_statsd *d, const config_setting_t *s,
                       struct text *error)
{
    AUTO(statsd_encoder_free) struct statsd_encoder *e = NULL;
    int r = statsd_encoder_new(&e, &(struct statsd_encoder_options){
                                       .dialect = d->dialect,
                                       .prefix = d->prefix,
                                       .host = d->host,
                                       .tags = d->tags,
                                       .tag_count = d->tag_count,
                                   });
    if (r < 0)
        return r;
    if (statsd_encoder_line_max(e) > d->datagram_bytes)
        return key_fail(s, "a line with all these tags does not fit into a datagram", error);
    return 0;
}

/* Carbon keeps but one tag of each key. */
static bool has_earlier_key(const struct settings_statsd *d, size_t number)
{
    size_t size = strcspn(d->tags[number], ":") + 1;
    for (size_t i = 0; i < number; i++)
        if (strncmp(d->tags[i], d->tags[number], size) == 0)
            return true;
    return false;
}

static const char *graphite_tag_problem(const struct settings_statsd *d, size_t number)
{
    const char *problem = statsd_tag_check_graphite(d->tags[number]);
    return !problem && has_earlier_key(d, number) ? "has the key of another" : problem;
}

static int check_graphite_tags(const struct settings_statsd *d, const config_setting_t *s,
                               struct text *error)
{
    for (size_t i = 0; i < d->tag_count; i++) {
        const char *problem = graphite_tag_problem(d, i);
        if (!problem)
            continue;
        AUTO(text_deinit) struct text what = {0};
        text_printf(&what, "a tag %s", problem);
        return text_failed(&what) ? -ENOMEM : key_fail_text(s, what.data, d->tags[i], error);
    }
    return 0;
}

static int check_statsd(const struct settings_statsd *d, const config_setting_t *s,
                        struct text *error)
{
    if (d->dialect == STATSD_GRAPHITE && d->tag_count)
        return key_fail(s, "the dialect \"graphite\" has no tags", error);
    if (d->dialect == STATSD_DATADOG && d->host)
        return key_fail(s, "the dialect \"datadog\" has no host", error);
    int r = d->dialect == STATSD_GRAPHITE_TAGS ? check_graphite_tags(d, s, error) : 0;
    return r < 0 ? r : check_lines(d, s, error);
}

static int read_destination(struct settings_statsd *d, const config_setting_t *s,
                            struct text *error)
{
    d->dialect = STATSD_GRAPHITE;
    d->with_host = true;
    d->datagram_bytes = STATSD_DATAGRAM_BYTES;
    int r = key_read_all(statsd_keys, s, d, error);
    if (r == 0)
        r = complete_statsd(d);
    return r < 0 ? r : check_statsd(d, s, error);
}

/* What its lines say they come from: "" for nothing. */
static const char *host_of(const struct settings_statsd *d, const char *this_host)
{
    if (d->host)
        return d->host;
    return d->with_host ? this_host : "";
}

bool settings_statsd_are_twins(const struct settings_statsd *a, const struct settings_statsd *b)
{
    char this_host[HOST_NAME_MAX + 1] = "";
    gethostname(this_host, sizeof(this_host) - 1);
    return endpoint_equal(&a->endpoint, &b->endpoint) && a->dialect == b->dialect &&
           strcmp(a->prefix, b->prefix) == 0 &&
           strcmp(host_of(a, this_host), host_of(b, this_host)) == 0;
}

static int check_twins(const struct settings_outputs *o, const config_setting_t *s,
                       struct text *error)
{
    const struct settings_statsd *last = &o->statsd[o->statsd_count - 1];
    for (const struct settings_statsd *d = o->statsd; d < last; d++)
        if (settings_statsd_are_twins(d, last))
            return key_fail_text(s, "destination is listed twice", last->address, error);
    return 0;
}

int settings_outputs_read_statsd(const struct key *k, const config_setting_t *s, void *field,
                                 struct text *error)
{
    (void)k;
    struct settings_outputs *o = field;
    if (!key_is(s, CONFIG_TYPE_LIST))
        return key_fail_value(s, "a list ( ) of groups { }", error);
    size_t count = (size_t)config_setting_length(s);
    o->statsd = calloc(MAX(count, (size_t)1), sizeof(*o->statsd));
    if (!o->statsd)
        return -ENOMEM;
    int r = 0;
    while (r == 0 && o->statsd_count < count) {
        const config_setting_t *element = key_element(s, (int)o->statsd_count);
        r = read_destination(&o->statsd[o->statsd_count++], element, error);
        if (r == 0)
            r = check_twins(o, element, error);
    }
    return r;
}

static const struct key flush_keys[] = {
    {"interval", key_read_seconds, offsetof(struct settings_outputs, flush_ns), .min = 1,
     .max = INTERVAL_MAX_S},
    {.name = NULL},
};

int settings_outputs_read_flush(const struct key *k, const config_setting_t *s, void *field,
                                struct text *error)
{
    (void)k;
    return key_read_all(flush_keys, s, field, error);
}

static int read_syslog_address(const struct key *k, const config_setting_t *s, void *field,
                               struct text *error)
{
    (void)k;
    if (!key_is(s, CONFIG_TYPE_STRING))
        return key_fail_value(s, "a string", error);
    const char *problem = syslog_address_parse(field, config_setting_get_string(s));
    return problem ? key_fail_problem(s, problem, error) : 0;
}

static int read_facility(const struct key *k, const config_setting_t *s, void *field,
                         struct text *error)
{
    (void)k;
    if (key_is(s, CONFIG_TYPE_STRING) && syslog_facility_find(field, config_setting_get_string(s)))
        return 0;
    return key_fail_value(s, "one of syslog's: \"daemon\", \"local0\" to \"local7\" ...", error);
}

static int read_syslog_host(const struct key *k, const config_setting_t *s, void *field,
                            struct text *error)
{
    if (key_is(s, CONFIG_TYPE_STRING) &&
        syslog_header_field_is_valid(config_setting_get_string(s), SYSLOG_HOSTNAME_MAX))
        return key_read_string(k, s, field, error);
    return key_fail_value(s, "1 to 255 printable ASCII characters, none of them a blank", error);
}

static int read_tag(const struct key *k, const config_setting_t *s, void *field, struct text *error)
{
    if (key_is(s, CONFIG_TYPE_STRING) && syslog_tag_is_valid(config_setting_get_string(s)))
        return key_read_string(k, s, field, error);
    return key_fail_value(
        s, "1 to 48 printable ASCII characters, none of them a blank, \"[\", \"]\" or \":\"",
        error);
}

static int read_sd_id(const struct key *k, const config_setting_t *s, void *field,
                      struct text *error)
{
    if (key_is(s, CONFIG_TYPE_STRING) && syslog_sd_id_is_valid(config_setting_get_string(s)))
        return key_read_string(k, s, field, error);
    return key_fail_value(s, "NAME@NUMBER with the number of a private enterprise", error);
}

static const struct key syslog_keys[] = {
    {"address", read_syslog_address, offsetof(struct settings_syslog, address), .keys = NULL},
    {"facility", read_facility, offsetof(struct settings_syslog, facility), .keys = NULL},
    {"interval", key_read_seconds, offsetof(struct settings_syslog, interval_ns), .min = 1,
     .max = INTERVAL_MAX_S},
    {"host", read_syslog_host, offsetof(struct settings_syslog, host), .keys = NULL},
    {"tag", read_tag, offsetof(struct settings_syslog, tag), .keys = NULL},
    {"sd_id", read_sd_id, offsetof(struct settings_syslog, sd_id), .keys = NULL},
    {"metrics", read_metrics, offsetof(struct settings_syslog, metrics), .keys = NULL},
    {.name = NULL},
};

int settings_outputs_read_syslog(const struct key *k, const config_setting_t *s, void *field,
                                 struct text *error)
{
    (void)k;
    struct settings_outputs *o = field;
    o->syslog.wanted = true;
    return key_read_all(syslog_keys, s, &o->syslog, error);
}

void settings_outputs_init(struct settings_outputs *o)
{
    *o = (struct settings_outputs){
        .flush_ns = DEFAULT_FLUSH_NS,
        .syslog =
            {
                .address = {.local = true},
                .facility = LOG_DAEMON,
                .interval_ns = DEFAULT_SYSLOG_INTERVAL_NS,
            },
    };
}

static void deinit_statsd(struct settings_statsd *d)
{
    for (size_t i = 0; i < d->tag_count; i++)
        free((char *)d->tags[i]);
    free(d->tags);
    free((char *)d->address);
    free((char *)d->prefix);
    free((char *)d->host);
}

void settings_outputs_deinit(struct settings_outputs *o)
{
    for (size_t i = 0; i < o->statsd_count; i++)
        deinit_statsd(&o->statsd[i]);
    free(o->statsd);
    free((char *)o->syslog.host);
    free((char *)o->syslog.tag);
    free((char *)o->syslog.sd_id);
}

bool settings_outputs_wanted(const struct settings_outputs *o)
{
    return o->statsd_count || o->syslog.wanted;
}

uint64_t settings_outputs_longest_interval_ns(const struct settings_outputs *o)
{
    uint64_t statsd_ns = o->statsd_count ? o->flush_ns : 0;
    uint64_t syslog_ns = o->syslog.wanted ? o->syslog.interval_ns : 0;
    return MAX(statsd_ns, syslog_ns);
}

bool settings_outputs_suit_datadog(const struct settings_outputs *o)
{
    bool datadog = false;
    for (size_t i = 0; i < o->statsd_count; i++)
        datadog |= o->statsd[i].dialect == STATSD_DATADOG;
    return !datadog || o->flush_ns % DATADOG_INTERVAL_NS == 0 ||
           DATADOG_INTERVAL_NS % o->flush_ns == 0;
}

bool settings_outputs_want_tcp(const struct settings_outputs *o)
{
    const struct settings_syslog *s = &o->syslog;
    return s->wanted && !s->address.local && s->address.endpoint.transport == ENDPOINT_TCP;
}
