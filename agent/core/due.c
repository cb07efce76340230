/*
 * Settled amounts are subtracted where they were added, so what is owed is
 * always what was reported less what was accepted.
 */
#include "core/due.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/due_series.h"

/* They have their place from the start, so that the cap can't take it. */
static const struct service_name reserved_names[] = {
    {SERVICE_UNSPECIFIED},
    {SERVICE_UNKNOWN},
    {SERVICE_OTHER},
};

static bool is_reserved(const struct due_service *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(reserved_names); i++)
        if (strcmp(s->key.name.text, reserved_names[i].text) == 0)
            return true;
    return false;
}

/* How many services are owed under one name. */
static size_t tables(const struct due *d)
{
    return d->options.per_interface ? HASH_COUNT(d->interfaces) : 1;
}

/* Of those that are not reserved. */
static bool is_full(const struct due *d)
{
    size_t reserved = tables(d) * ARRAY_SIZE(reserved_names);
    return HASH_COUNT(d->services) >= reserved + 2 * d->options.services_max;
}

static bool sends_ttfb(const struct due *d)
{
    return metric_set_has(&d->options.metrics, METRIC_ttfb);
}

static struct due_service *new_service(const struct due *d, const struct due_service_key *key)
{
    struct due_service *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->key = *key;
    if (sends_ttfb(d) && due_service_add_ttfb(s) < 0) {
        free(s);
        return NULL;
    }
    return s;
}

static void free_service(struct due_service *s)
{
    free(s->ttfb);
    free(s);
}

/* Returns NULL past the cap and without memory. */
static struct due_service *find_or_add(struct due *d, struct due_interface *interface,
                                       const struct service_name *name)
{
    struct due_service_key key = {d->options.per_interface ? interface : NULL, *name};
    unsigned size = (unsigned)(offsetof(struct due_service_key, name.text) + strlen(name->text));
    unsigned hash = (unsigned)XXH3_64bits_withSeed(&key, size, d->options.hash_seed);
    struct due_service *s = NULL;
    HASH_FIND_BYHASHVALUE(hh, d->services, &key, size, hash, s);
    if (s || is_full(d))
        return s;

    s = new_service(d, &key);
    if (!s)
        return NULL;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, d->services, &s->key, size, hash, s);
    if (!s->hh.tbl) {
        free_service(s);
        return NULL;
    }
    if (key.interface)
        key.interface->services += !is_reserved(s);
    return s;
}

static void drop_service(struct due *d, struct due_service *s)
{
    if (s->key.interface)
        s->key.interface->services -= !is_reserved(s);
    HASH_DEL(d->services, s);
    free_service(s);
}

/* Their place is theirs from the start, so that the cap can't take it. */
static int add_reserved(struct due *d, struct due_interface *interface)
{
    for (size_t n = 0; n < ARRAY_SIZE(reserved_names); n++)
        if (!find_or_add(d, interface, &reserved_names[n]))
            return -ENOMEM;
    return 0;
}

/* Those that the agent names itself are there. */
static void drop_interface(struct due *d, struct due_interface *i)
{
    for (size_t n = 0; d->options.per_interface && n < ARRAY_SIZE(reserved_names); n++) {
        struct due_service *s = find_or_add(d, i, &reserved_names[n]);
        if (s)
            drop_service(d, s);
    }
    HASH_DEL(d->interfaces, i);
    free(i);
}

/* Returns NULL past the cap and without memory. */
static struct due_interface *add_interface(struct due *d, const char *name)
{
    size_t size = strlen(name);
    if (HASH_COUNT(d->interfaces) > DUE_INTERFACES_MAX)
        return NULL;
    struct due_interface *i = calloc(1, sizeof(*i) + size + 1);
    if (!i)
        return NULL;
    memcpy(i->name, name, size + 1);
    HASH_ADD_KEYPTR(hh, d->interfaces, i->name, size, i);
    if (!i->hh.tbl) {
        free(i);
        return NULL;
    }
    if (d->options.per_interface && add_reserved(d, i) < 0) {
        drop_interface(d, i);
        return NULL;
    }
    return i;
}

static struct due_interface *find_or_add_interface(struct due *d, const char *name)
{
    struct due_interface *i = NULL;
    HASH_FIND_STR(d->interfaces, name, i);
    if (!i)
        i = add_interface(d, name);
    return i ? i : d->other;
}

int due_new(struct due **out, const struct due_options *options)
{
    AUTO(due_free) struct due *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;

    d->options = *options;
    int error = due_series_lists_init(d->sent, &options->metrics);
    if (error < 0)
        return error;
    d->other = add_interface(d, INTERFACE_OTHER);
    if (!d->other || (!options->per_interface && add_reserved(d, NULL) < 0))
        return -ENOMEM;
    *out = TAKE(d);
    return 0;
}

int due_change(struct due *d, const struct due_options *options)
{
    int error = due_set_metrics(d, &options->metrics);
    if (error < 0)
        return error;
    d->options.services_max = options->services_max;
    d->options.idle_ns = options->idle_ns;
    return 0;
}

void due_set_services_max(struct due *d, size_t services_max)
{
    d->options.services_max = services_max;
}

struct due *due_free(struct due *d)
{
    if (!d)
        return NULL;

    struct due_service *s, *next;
    HASH_ITER (hh, d->services, s, next)
        drop_service(d, s);
    struct due_interface *i, *next_interface;
    HASH_ITER (hh, d->interfaces, i, next_interface) {
        HASH_DEL(d->interfaces, i);
        free(i);
    }
    due_series_lists_deinit(d->sent);
    free(d);
    return NULL;
}

/* What can't be told any more, after 2^32 replies that nobody took, is not told. */
static void add_ttfb(struct ttfb_histogram *into, const struct ttfb_histogram *from)
{
    for (unsigned i = 0; i < TTFB_BUCKETS; i++)
        if (__builtin_add_overflow(into->buckets[i], from->buckets[i], &into->buckets[i]))
            into->buckets[i] = UINT32_MAX;
}

/* Of a service that was past the cap when connections were opened, more may be closed. */
static void add_open(struct due_gauge *open, int64_t delta)
{
    bool below_zero = delta < 0 && open->value < -(uint64_t)delta;
    open->value = below_zero ? 0 : open->value + (uint64_t)delta;
}

/* What the destination is not told of goes with what it is told. */
static void forget_unsent(const struct due *d, struct due_service *s)
{
    struct due_record r = due_record_of_service(d, s);
    if (!due_record_owes(&r))
        s->values.counts = (struct service_counts){0};
}

static void add_service(struct due *d, struct due_interface *i, const struct report_service *from,
                        uint64_t time_ns)
{
    struct due_service *s = find_or_add(d, i, &from->name);
    if (s) {
        add_open(&s->values.open, from->open_delta);
    } else {
        s = find_or_add(d, i, &(struct service_name){SERVICE_OTHER});
        i->values.services_folded += from->delta.requests;
        d->folded += from->delta.requests;
    }
    forget_unsent(d, s);
    service_counts_add(&s->values.counts, &from->delta);
    if (sends_ttfb(d))
        add_ttfb(s->ttfb, &from->ttfb);
    s->moved_ns = time_ns;
    i->values.service_bytes += service_counts_ip_bytes(&from->delta);
}

void due_add(struct due *d, const struct report *r)
{
    struct due_interface *i = find_or_add_interface(d, r->interface);
    i->gone = r->last;
#define ADD_MEMBER(name) i->values.name += r->delta.name;
    BALANCE_COUNTS(ADD_MEMBER)
    ENGINE_COUNTS(ADD_MEMBER)
#undef ADD_MEMBER
#define ADD_GAUGE(name) i->values.name.value += r->gauges_delta.name;
    INTERFACE_GAUGES(ADD_GAUGE)
#undef ADD_GAUGE
    for (size_t s = 0; s < r->service_count; s++)
        add_service(d, i, &r->services[s], r->time_ns);
}

void due_set_agent(struct due *d, const struct agent_telemetry *t)
{
#define ADD_MEMBER(name, ...) d->agent.name += t->name - d->agent_seen.name;
    AGENT_COUNTERS(ADD_MEMBER)
#undef ADD_MEMBER
#define SET_MEMBER(name, ...) d->agent.name.value = t->name;
    AGENT_GAUGES(SET_MEMBER)
#undef SET_MEMBER
    d->agent_seen = *t;
}

struct due_options due_levels(size_t services_max, uint64_t hash_seed)
{
    struct due_options o = {
        .per_interface = true,
        .services_max = services_max,
        .hash_seed = hash_seed,
    };
    for (enum metric_id id = 0; id < METRIC_COUNT; id++)
        if (metrics[id].form == METRIC_GAUGE && metrics[id].scope != METRIC_AGENT)
            metric_set_add(&o.metrics, id);
    return o;
}

void due_know_gauges(struct due *d, const struct due *levels)
{
    for (const struct due_interface *i = levels->interfaces; i; i = i->hh.next) {
        struct due_interface *to = find_or_add_interface(d, i->name);
#define ADD_GAUGE(name) to->values.name.value += i->values.name.value;
        INTERFACE_GAUGES(ADD_GAUGE)
#undef ADD_GAUGE
    }
    for (const struct due_service *s = levels->services; s; s = s->hh.next) {
        if (s->values.open.value == 0)
            continue;
        struct due_interface *i = find_or_add_interface(d, s->key.interface->name);
        struct due_service *to = find_or_add(d, i, &s->key.name);
        if (to)
            to->values.open.value += s->values.open.value;
    }
}

void due_know_agent(struct due *d, const struct agent_telemetry *t)
{
    d->agent_seen = *t;
}

/* More than the engines tell apart: some are of engines that have ended. */
static bool is_crowded(const struct due *d)
{
    size_t reserved = tables(d) * ARRAY_SIZE(reserved_names);
    return HASH_COUNT(d->services) > reserved + d->options.services_max;
}

/* One with connections keeps its place: reports tell only what changes of their number. */
static bool is_expired(const struct due *d, struct due_service *s, uint64_t now_ns)
{
    const struct due_interface *i = s->key.interface;
    bool idle = s->moved_ns + d->options.idle_ns <= now_ns || (i && i->gone) ||
                (s->values.open.value == 0 && is_crowded(d));
    struct due_record r = due_record_of_service(d, s);
    return idle && due_record_is_settled(&r) && !is_reserved(s);
}

/* Whether nothing is left of @i but what the agent names itself, and that is settled. */
static bool has_gone(struct due *d, struct due_interface *i)
{
    struct due_record r = due_record_of_interface(d, i);
    if (!i->gone || i == d->other || i->services > 0 || !due_record_is_settled(&r))
        return false;
    for (size_t n = 0; d->options.per_interface && n < ARRAY_SIZE(reserved_names); n++) {
        r = due_record_of_service(d, find_or_add(d, i, &reserved_names[n]));
        if (!due_record_is_settled(&r))
            return false;
    }
    return true;
}

void due_expire(struct due *d, uint64_t now_ns)
{
    struct due_service *s, *next;
    HASH_ITER (hh, d->services, s, next) {
        if (is_expired(d, s, now_ns))
            drop_service(d, s);
    }
    struct due_interface *i, *next_interface;
    HASH_ITER (hh, d->interfaces, i, next_interface) {
        if (has_gone(d, i))
            drop_interface(d, i);
    }
}

uint64_t due_bytes(const struct due *d)
{
    uint64_t sum = 0;
    for (struct due_service *s = d->services; s; s = s->hh.next) {
        struct due_record r = due_record_of_service(d, s);
        const struct direction_counts *ways = s->values.counts.direction;
        if (due_record_owes(&r))
            sum += ways[DIRECTION_IN].bytes + ways[DIRECTION_OUT].bytes;
    }
    return sum;
}

uint64_t due_take_folded(struct due *d)
{
    uint64_t folded = d->folded;
    d->folded = 0;
    return folded;
}

size_t due_service_count(const struct due *d)
{
    return HASH_COUNT(d->services);
}
