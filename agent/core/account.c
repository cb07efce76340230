/*
 * Totals only grow; a report is the difference to the totals of the last one. So
 * charging is a few additions, and a report costs as many steps as services
 * changed.
 */
#include "core/account.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/name_mark.h"

static unsigned hash_name(const struct account *a, const struct service_name *name, size_t size)
{
    return (unsigned)XXH3_64bits_withSeed(name->text, size, a->hash_seed);
}

static struct service *add_service(struct account *a, const struct service_name *name)
{
    struct service *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->name = *name;
    size_t size = strlen(name->text);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, a->services, s->name.text, size, hash_name(a, name, size), s);
    if (!s->hh.tbl) {
        free(s);
        return NULL;
    }
    return s;
}

int account_init(struct account *a, uint32_t services_max, uint64_t hash_seed)
{
    *a = (struct account){.services_max = services_max, .hash_seed = hash_seed};
    a->unspecified = add_service(a, &(struct service_name){SERVICE_UNSPECIFIED});
    a->unknown = add_service(a, &(struct service_name){SERVICE_UNKNOWN});
    a->other = add_service(a, &(struct service_name){SERVICE_OTHER});
    if (!a->unspecified || !a->unknown || !a->other) {
        account_deinit(a);
        return -ENOMEM;
    }
    return 0;
}

void account_deinit(struct account *a)
{
    struct service *s, *next;
    HASH_ITER (hh, a->services, s, next) {
        HASH_DEL(a->services, s);
        free(s);
    }
    *a = (struct account){0};
}

enum { RESERVED_SERVICES = 3 };

struct service *account_service(struct account *a, const struct service_name *name)
{
    size_t size = strlen(name->text);
    struct service *s;
    HASH_FIND_BYHASHVALUE(hh, a->services, name->text, size, hash_name(a, name, size), s);
    if (s)
        return s;

    if (HASH_COUNT(a->services) - RESERVED_SERVICES < a->services_max)
        s = add_service(a, name);
    if (s) {
        a->total.names_changed += name_mark_ends(bytes_make(name->text, size));
        return s;
    }
    a->total.services_folded++;
    return a->other;
}

/* Since the last call. */
static struct report_service take_changes(struct service *s)
{
    struct report_service changes = {
        .name = s->name,
        .delta = service_counts_difference(&s->total, &s->reported),
        .open_delta = (int64_t)s->open - s->open_reported,
        .ttfb = s->ttfb,
    };
    s->reported = s->total;
    s->open_reported = s->open;
    s->ttfb = (struct ttfb_histogram){0};
    return changes;
}

struct report *account_report(struct account *a, const char *interface, uint64_t now_ns,
                              uint64_t sessions)
{
    size_t count = 0;
    for (struct service *s = a->changed; s; s = s->next_changed)
        count++;
    struct report *r = calloc(1, sizeof(*r) + count * sizeof(r->services[0]));
    if (!r)
        return NULL;

    r->interface = interface;
    r->last = a->ended;
    r->time_ns = now_ns;
    r->delta = interface_counts_difference(&a->total, &a->reported);
    const struct interface_gauges gauges = {
        .pending_bytes = a->pending_bytes,
        .sessions = sessions,
        .services = a->ended ? 0 : HASH_COUNT(a->services) - RESERVED_SERVICES,
    };
    r->gauges_delta = interface_gauges_difference(&gauges, &a->gauges_reported);
    a->reported = a->total;
    a->gauges_reported = gauges;

    while (a->changed) {
        struct service *s = a->changed;
        a->changed = s->next_changed;
        s->changed = false;
        s->reported_ns = now_ns;
        r->services[r->service_count++] = take_changes(s);
    }
    return r;
}

static bool is_reserved(const struct account *a, const struct service *s)
{
    return s == a->unspecified || s == a->unknown || s == a->other;
}

void account_forget(struct account *a, uint64_t idle_since_ns)
{
    struct service *s, *next;
    HASH_ITER (hh, a->services, s, next) {
        bool idle = !s->kept && !s->changed && s->reported_ns < idle_since_ns;
        s->kept = false;
        if (!idle || is_reserved(a, s))
            continue;
        HASH_DEL(a->services, s);
        free(s);
    }
}

struct report *report_free(struct report *r)
{
    free(r);
    return NULL;
}
