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
    uint64_t moved_ns; /* the last report it was in */
    struct entry *next, *prev;
    UT_hash_handle hh;
};

struct interface_entry {
    struct ledger_interface interface;
    uint64_t reported_ns; /* the last time */
};

struct ledger {
    uint64_t hash_seed;
    uint64_t idle_ns;
    size_t services_max;
    struct entry *entries;                /* the hash table */
    struct entry *other;                  /* one of them */
    struct entry *by_age;                 /* but the reserved ones; the longest idle first */
    const struct ledger_service **sorted; /* room for all of them */
    size_t sorted_max;
    size_t interface_count;
    struct interface_entry *interfaces;
    struct ledger_interface other_interfaces; /* shown behind them, if it was in use */
};

static unsigned hash_name(const struct ledger *l, const struct service_name *name, size_t length)
{
    return (unsigned)XXH3_64bits_withSeed(name->text, length, l->hash_seed);
}

static struct entry *find_entry(const struct ledger *l, const struct service_name *name)
{
    size_t length = strlen(name->text);
    struct entry *e = NULL;
    HASH_FIND_BYHASHVALUE(hh, l->entries, name->text, length, hash_name(l, name, length), e);
    return e;
}

/* Returns whether one more entry can be sorted. */
static bool make_room_to_sort(struct ledger *l)
{
    if (HASH_COUNT(l->entries) < l->sorted_max)
        return true;
    size_t sorted_max = MAX(2 * l->sorted_max, (size_t)64);
    const struct ledger_service **sorted =
        reallocarray(l->sorted, sorted_max, sizeof(struct ledger_service *));
    if (!sorted)
        return false;
    l->sorted = sorted;
    l->sorted_max = sorted_max;
    return true;
}

/* Returns NULL without memory. */
static struct entry *add_entry(struct ledger *l, const struct service_name *name)
{
    struct entry *e = make_room_to_sort(l) ? calloc(1, sizeof(*e)) : NULL;
    if (!e)
        return NULL;

    e->service.name = *name;
    size_t length = strlen(name->text);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, l->entries, e->service.name.text, length,
                                hash_name(l, name, length), e);
    if (!e->hh.tbl) {
        free(e);
        return NULL;
    }
    return e;
}

static int add_reserved(struct ledger *l)
{
    for (size_t i = 0; i < ARRAY_SIZE(reserved_names); i++) {
        struct entry *e = add_entry(l, &reserved_names[i]);
        if (!e)
            return -ENOMEM;
        if (strcmp(e->service.name.text, SERVICE_OTHER) == 0)
            l->other = e;
    }
    return 0;
}

/* Give the place of the one that was reported of longest ago to nobody. */
static struct interface_entry *make_interface_room(struct ledger *l)
{
    struct interface_entry *oldest = l->interfaces;
    for (size_t i = 1; i < l->interface_count; i++)
        if (l->interfaces[i].reported_ns < oldest->reported_ns)
            oldest = &l->interfaces[i];

    struct ledger_interface *other = &l->other_interfaces;
    interface_gauges_add(&other->gauges, &oldest->interface.gauges);
    for (unsigned p = 0; p < LEDGER_PERIODS; p++) {
        other->period[p].reported |= oldest->interface.period[p].reported;
        interface_counts_add(&other->period[p].counts, &oldest->interface.period[p].counts);
        other->period[p].service_bytes += oldest->interface.period[p].service_bytes;
    }
    free((char *)oldest->interface.name);
    *oldest = (struct interface_entry){0};
    return oldest;
}

/* Returns NULL without memory. */
static struct interface_entry *add_interface(struct ledger *l, const char *name)
{
    char *copy = strdup(name);
    if (!copy)
        return NULL;
    struct interface_entry *entry = NULL;
    if (l->interface_count == LEDGER_INTERFACES_MAX) {
        entry = make_interface_room(l);
    } else {
        size_t count = l->interface_count + 1;
        struct interface_entry *entries = reallocarray(l->interfaces, count, sizeof(*entries));
        if (!entries) {
            free(copy);
            return NULL;
        }
        l->interfaces = entries;
        entry = &entries[l->interface_count++];
        *entry = (struct interface_entry){0};
    }
    entry->interface.name = copy;
    return entry;
}

static struct ledger_interface *find_or_add_interface(struct ledger *l, const char *name,
                                                      uint64_t now_ns)
{
    struct interface_entry *entry = NULL;
    for (size_t i = 0; !entry && i < l->interface_count; i++)
        if (strcmp(l->interfaces[i].interface.name, name) == 0)
            entry = &l->interfaces[i];
    if (!entry)
        entry = add_interface(l, name);
    if (!entry)
        return &l->other_interfaces;
    entry->reported_ns = now_ns;
    return &entry->interface;
}

int ledger_new(struct ledger **out, const struct ledger_options *options)
{
    AUTO(ledger_free) struct ledger *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;

    l->hash_seed = options->hash_seed;
    l->idle_ns = options->idle_ns;
    l->services_max = options->services_max;
    l->other_interfaces.name = INTERFACE_OTHER;
    int r = add_reserved(l);
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
        free((char *)l->interfaces[i].interface.name);
    free(l->interfaces);
    free(l->sorted);
    free(l);
    return NULL;
}

void ledger_set_services_max(struct ledger *l, size_t services_max)
{
    l->services_max = services_max;
}

/* Those are not in the list: they make no room. */
static bool is_reserved(const struct entry *e)
{
    return !e->prev;
}

static void forget(struct ledger *l, struct entry *e)
{
    for (unsigned p = 0; p < LEDGER_PERIODS; p++)
        service_counts_add(&l->other->service.counts[p], &e->service.counts[p]);
    l->other->service.open += e->service.open;
    DL_DELETE(l->by_age, e);
    HASH_DEL(l->entries, e);
    free(e);
}

/* Returns whether one more service can be told apart. */
static bool make_room(struct ledger *l, uint64_t now_ns)
{
    if (HASH_COUNT(l->entries) - ARRAY_SIZE(reserved_names) < l->services_max)
        return true;
    struct entry *oldest = l->by_age;
    if (!oldest || l->idle_ns == 0 || oldest->moved_ns + l->idle_ns > now_ns)
        return false;
    forget(l, oldest);
    return true;
}

/* The entry of what moved at @now_ns, or NULL: there is no room for it. */
static struct entry *find_or_add_entry(struct ledger *l, const struct service_name *name,
                                       uint64_t now_ns)
{
    struct entry *e = find_entry(l, name);
    if (e && is_reserved(e))
        return e;
    if (e)
        DL_DELETE(l->by_age, e);
    else if (make_room(l, now_ns))
        e = add_entry(l, name);
    if (!e)
        return NULL;
    DL_APPEND(l->by_age, e);
    e->moved_ns = now_ns;
    return e;
}

/* Returns how many of its requests had to count as _other's. */
static uint64_t add_service(struct ledger *l, struct ledger_interface *i,
                            const struct report_service *s, uint64_t time_ns)
{
    struct entry *e = find_or_add_entry(l, &s->name, time_ns);
    uint64_t folded = e ? 0 : s->delta.requests;
    if (!e)
        e = l->other;
    e->service.open += s->open_delta;
    for (unsigned p = 0; p < LEDGER_PERIODS; p++) {
        i->period[p].counts.services_folded += folded;
        service_counts_add(&e->service.counts[p], &s->delta);
        i->period[p].service_bytes += service_counts_ip_bytes(&s->delta);
    }
    return folded;
}

uint64_t ledger_add(struct ledger *l, const struct report *r)
{
    struct ledger_interface *i = find_or_add_interface(l, r->interface, r->time_ns);
    interface_gauges_add(&i->gauges, &r->gauges_delta);
    for (unsigned p = 0; p < LEDGER_PERIODS; p++) {
        i->period[p].reported = true;
        interface_counts_add(&i->period[p].counts, &r->delta);
    }
    uint64_t folded = 0;
    for (size_t s = 0; s < r->service_count; s++)
        folded += add_service(l, i, &r->services[s], r->time_ns);
    return folded;
}

void ledger_restore_service(struct ledger *l, const struct service_name *name,
                            const struct service_counts *total)
{
    struct entry *e = find_or_add_entry(l, name, 0); /* the first to make room */
    service_counts_add(&(e ? e : l->other)->service.counts[LEDGER_TOTAL], total);
}

void ledger_restore_interface(struct ledger *l, const char *name,
                              const struct interface_counts *total, uint64_t service_bytes)
{
    bool other = strcmp(name, INTERFACE_OTHER) == 0;
    struct ledger_interface *i = other ? &l->other_interfaces : find_or_add_interface(l, name, 0);
    i->period[LEDGER_TOTAL].reported = true;
    i->period[LEDGER_TOTAL].service_bytes += service_bytes;
    interface_counts_add(&i->period[LEDGER_TOTAL].counts, total);
}

static void end_interval(struct ledger_interface *i)
{
    memset(&i->period[LEDGER_INTERVAL], 0, sizeof(i->period[0]));
}

void ledger_end_interval(struct ledger *l)
{
    for (struct entry *e = l->entries; e; e = e->hh.next)
        e->service.counts[LEDGER_INTERVAL] = (struct service_counts){0};
    for (size_t i = 0; i < l->interface_count; i++)
        end_interval(&l->interfaces[i].interface);
    end_interval(&l->other_interfaces);
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
    return l->interface_count + l->other_interfaces.period[LEDGER_TOTAL].reported;
}

const struct ledger_interface *ledger_interface(const struct ledger *l, size_t number)
{
    assert(number < ledger_interface_count(l));
    return number < l->interface_count ? &l->interfaces[number].interface : &l->other_interfaces;
}

int64_t ledger_interface_imbalance(const struct ledger_interface *i)
{
    const struct interface_counts *c = &i->period[LEDGER_TOTAL].counts;
    uint64_t known = i->period[LEDGER_TOTAL].service_bytes + c->not_http_bytes +
                     c->untracked_bytes + c->duplicate_bytes + i->gauges.pending_bytes;
    return (int64_t)(c->tcp_bytes - known);
}
