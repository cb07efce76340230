#include "core/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/table.h"

/* They have their place from the start, so that the cap can't take it. */
static const struct service_name reserved_names[] = {
    {SERVICE_UNSPECIFIED},
    {SERVICE_UNKNOWN},
    {SERVICE_OTHER},
};

struct entry {
    struct ledger_service service;
    bool reserved;
    uint64_t moved_ns; /* the last report it was in */
    UT_hash_handle hh;
};

struct ledger {
    uint64_t hash_seed;
    uint64_t idle_ns;
    size_t entries_max;
    struct entry *entries;                /* the hash table */
    struct entry *other;                  /* one of them */
    const struct ledger_service **sorted; /* room for all of them */
    size_t interface_count;
    struct ledger_interface *interfaces;
    size_t reporter_count;
    struct ledger_interface **reporters; /* what they report of, by the number in their reports */
};

static unsigned hash_name(const struct ledger *l, const struct service_name *name, size_t length)
{
    return (unsigned)XXH3_64bits_withSeed(name->text, length, l->hash_seed);
}

/* Returns NULL past the cap and without memory. */
static struct entry *add_entry(struct ledger *l, const struct service_name *name, unsigned hash)
{
    if (HASH_COUNT(l->entries) >= l->entries_max)
        return NULL;
    struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;

    e->service.name = *name;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, l->entries, e->service.name.text, strlen(name->text), hash, e);
    if (!e->hh.tbl) {
        free(e);
        return NULL;
    }
    return e;
}

static struct entry *find_or_add_entry(struct ledger *l, const struct service_name *name)
{
    size_t length = strlen(name->text);
    unsigned hash = hash_name(l, name, length);
    struct entry *e = NULL;
    HASH_FIND_BYHASHVALUE(hh, l->entries, name->text, length, hash, e);
    return e ? e : add_entry(l, name, hash);
}

static int add_reserved(struct ledger *l)
{
    for (size_t i = 0; i < ARRAY_SIZE(reserved_names); i++) {
        struct entry *e = find_or_add_entry(l, &reserved_names[i]);
        if (!e)
            return -ENOMEM;
        e->reserved = true;
        if (strcmp(e->service.name.text, SERVICE_OTHER) == 0)
            l->other = e;
    }
    return 0;
}

/* Returns NULL without memory. */
static struct ledger_interface *find_or_add_interface(struct ledger *l, const char *name)
{
    for (size_t i = 0; i < l->interface_count; i++) {
        const char *known = l->interfaces[i].name;
        if (known && strcmp(known, name) == 0)
            return &l->interfaces[i];
    }
    struct ledger_interface *i = &l->interfaces[l->interface_count];
    i->name = strdup(name);
    l->interface_count += i->name != NULL;
    return i->name ? i : NULL;
}

static int add_reporters(struct ledger *l, const char *const *interfaces, size_t count)
{
    l->interfaces = calloc(MAX(count, (size_t)1), sizeof(*l->interfaces));
    l->reporters = calloc(MAX(count, (size_t)1), sizeof(struct ledger_interface *));
    if (!l->interfaces || !l->reporters)
        return -ENOMEM;
    for (; l->reporter_count < count; l->reporter_count++) {
        struct ledger_interface *i = find_or_add_interface(l, interfaces[l->reporter_count]);
        if (!i)
            return -ENOMEM;
        l->reporters[l->reporter_count] = i;
    }
    return 0;
}

int ledger_new(struct ledger **out, const struct ledger_options *options)
{
    AUTO(ledger_free) struct ledger *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;

    l->hash_seed = options->hash_seed;
    l->idle_ns = options->idle_ns;
    l->entries_max = (size_t)options->services_max + ARRAY_SIZE(reserved_names);
    l->sorted = calloc(l->entries_max, sizeof(struct ledger_service *));
    if (!l->sorted)
        return -ENOMEM;

    int r = add_reserved(l);
    if (r < 0)
        return r;
    r = add_reporters(l, options->interfaces, options->interface_count);
    if (r < 0)
        return r;
    *out = TAKE(l);
    return 0;
}

struct ledger *ledger_free(struct ledger *l)
{
    if (!l)
        return NULL;

    struct entry *e, *next;
    HASH_ITER (hh, l->entries, e, next) {
        HASH_DEL(l->entries, e);
        free(e);
    }
    for (size_t i = 0; i < l->interface_count; i++)
        free((char *)l->interfaces[i].name);
    free(l->interfaces);
    free(l->reporters);
    free(l->sorted);
    free(l);
    return NULL;
}

static void forget_idle(struct ledger *l, uint64_t now_ns)
{
    struct entry *e, *next;
    HASH_ITER (hh, l->entries, e, next) {
        if (e->moved_ns + l->idle_ns > now_ns || e->reserved)
            continue;
        for (unsigned p = 0; p < LEDGER_PERIODS; p++)
            service_counts_add(&l->other->service.counts[p], &e->service.counts[p]);
        HASH_DEL(l->entries, e);
        free(e);
    }
}

static void add_service(struct ledger *l, struct ledger_interface *i,
                        const struct report_service *s, uint64_t time_ns)
{
    struct entry *e = find_or_add_entry(l, &s->name);
    uint64_t folded = e ? 0 : s->delta.requests;
    if (!e)
        e = l->other;
    e->moved_ns = time_ns;
    for (unsigned p = 0; p < LEDGER_PERIODS; p++) {
        i->period[p].counts.services_folded += folded;
        service_counts_add(&e->service.counts[p], &s->delta);
        i->period[p].service_bytes += service_counts_ip_bytes(&s->delta);
    }
}

void ledger_add(struct ledger *l, const struct report *r)
{
    assert(r->interface < l->reporter_count);

    struct ledger_interface *i = l->reporters[r->interface];
    interface_gauges_add(&i->gauges, &r->gauges_delta);
    for (unsigned p = 0; p < LEDGER_PERIODS; p++)
        interface_counts_add(&i->period[p].counts, &r->delta);
    if (l->idle_ns && HASH_COUNT(l->entries) >= l->entries_max)
        forget_idle(l, r->time_ns);
    for (size_t s = 0; s < r->service_count; s++)
        add_service(l, i, &r->services[s], r->time_ns);
}

void ledger_end_interval(struct ledger *l)
{
    for (struct entry *e = l->entries; e; e = e->hh.next)
        e->service.counts[LEDGER_INTERVAL] = (struct service_counts){0};
    for (size_t i = 0; i < l->interface_count; i++)
        memset(&l->interfaces[i].period[LEDGER_INTERVAL], 0, sizeof(l->interfaces[i].period[0]));
}

static bool moved(const struct service_counts *c)
{
    static const struct service_counts nothing;
    return memcmp(c, &nothing, sizeof(nothing)) != 0;
}

static uint64_t bytes_of(const struct service_counts *c)
{
    return c->direction[DIRECTION_IN].bytes + c->direction[DIRECTION_OUT].bytes;
}

static int compare(const void *left, const void *right, void *context)
{
    const struct ledger_service *a = *(const struct ledger_service *const *)left;
    const struct ledger_service *b = *(const struct ledger_service *const *)right;
    const enum ledger_period *period = context;

    uint64_t a_bytes = bytes_of(&a->counts[*period]);
    uint64_t b_bytes = bytes_of(&b->counts[*period]);
    if (a_bytes != b_bytes)
        return a_bytes > b_bytes ? -1 : 1;
    return strcmp(a->name.text, b->name.text);
}

struct ledger_services ledger_services(struct ledger *l, enum ledger_period period)
{
    size_t count = 0;
    for (const struct entry *e = l->entries; e; e = e->hh.next)
        if (moved(&e->service.counts[period]))
            l->sorted[count++] = &e->service;
    qsort_r(l->sorted, count, sizeof(struct ledger_service *), compare, &period);
    return (struct ledger_services){l->sorted, count};
}

size_t ledger_interface_count(const struct ledger *l)
{
    return l->interface_count;
}

const struct ledger_interface *ledger_interface(const struct ledger *l, size_t number)
{
    assert(number < l->interface_count);
    return &l->interfaces[number];
}

int64_t ledger_interface_imbalance(const struct ledger_interface *i)
{
    const struct interface_counts *c = &i->period[LEDGER_TOTAL].counts;
    uint64_t known = i->period[LEDGER_TOTAL].service_bytes + c->not_http_bytes +
                     c->untracked_bytes + i->gauges.pending_bytes;
    return (int64_t)(c->tcp_bytes - known);
}
