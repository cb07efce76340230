#include "app/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct interface_sample {
    char *name;
    struct interface_counts counts;
};

struct sample {
    uint64_t time_ns;
    size_t interface_count;
    struct interface_sample *interfaces;
    size_t destination_count;
    struct outputs_destination *destinations;
};

struct health {
    struct sample before; /* that is compared with */
    struct sample last;
};

static void sample_deinit(struct sample *s)
{
    for (size_t i = 0; i < s->interface_count; i++)
        free(s->interfaces[i].name);
    free(s->interfaces);
    free(s->destinations);
    *s = (struct sample){0};
}

struct health *health_free(struct health *h)
{
    if (!h)
        return NULL;
    sample_deinit(&h->before);
    sample_deinit(&h->last);
    free(h);
    return NULL;
}

bool health_is_due(const struct health *h, uint64_t now_ns)
{
    return now_ns - h->last.time_ns >= HEALTH_SAMPLE_NS;
}

static void sample_interfaces(struct sample *s, const struct ledger *l)
{
    size_t count = ledger_interface_count(l);
    s->interfaces = calloc(MAX(count, (size_t)1), sizeof(*s->interfaces));
    for (size_t i = 0; s->interfaces && i < count; i++) {
        const struct ledger_interface *from = ledger_interface(l, i);
        char *name = strdup(from->name);
        if (!name)
            return;
        s->interfaces[s->interface_count++] =
            (struct interface_sample){name, from->period[LEDGER_TOTAL].counts};
    }
}

static void sample_destinations(struct sample *s, const struct outputs *o)
{
    size_t count = outputs_destination_count(o);
    s->destinations = calloc(MAX(count, (size_t)1), sizeof(*s->destinations));
    for (size_t i = 0; s->destinations && i < count; i++)
        outputs_destination(o, s->destination_count++, &s->destinations[i]);
}

void health_sample(struct health *h, const struct ledger *l, const struct outputs *o,
                   uint64_t now_ns)
{
    sample_deinit(&h->before);
    h->before = h->last;
    h->last = (struct sample){.time_ns = now_ns};
    sample_interfaces(&h->last, l);
    sample_destinations(&h->last, o);
}

int health_new(struct health **out, const struct ledger *l, const struct outputs *o,
               uint64_t now_ns)
{
    struct health *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    health_sample(h, l, o, now_ns);
    health_sample(h, l, o, now_ns);
    *out = h;
    return 0;
}

/* What @name had counted in @s, nothing if it was not there yet. */
static struct interface_counts counts_before(const struct sample *s, const char *name)
{
    for (size_t i = 0; i < s->interface_count; i++)
        if (strcmp(s->interfaces[i].name, name) == 0)
            return s->interfaces[i].counts;
    return (struct interface_counts){0};
}

static void judge_interface(const struct ledger_interface *i, const struct interface_counts *before,
                            uint64_t seconds, struct problems *p)
{
    const struct {
        uint64_t count;
        const char *words;
    } losses[] = {
        {before->ring_drops, "packets were missed: raise ring.size"},
        {before->sessions_evicted, "connections were given up early: raise sessions.max"},
        {before->services_folded, "requests went to " SERVICE_OTHER ": raise services.max"},
        {before->untracked_bytes, "bytes are of connections that could not be tracked"},
    };
    for (size_t n = 0; n < ARRAY_SIZE(losses); n++)
        if (losses[n].count)
            problems_add(p, "%s: in the last %llu s %llu %s", i->name, (unsigned long long)seconds,
                         (unsigned long long)losses[n].count, losses[n].words);
    int64_t imbalance = ledger_interface_imbalance(i);
    if (imbalance)
        problems_add(p, "%s: the books don't balance: %lld bytes are missing", i->name,
                     (long long)imbalance);
}

/* How often the same destination had been late, 0 if it was not there yet. */
static uint64_t late_before(const struct sample *s, const struct outputs_destination *d)
{
    for (size_t i = 0; i < s->destination_count; i++)
        if (strcmp(s->destinations[i].kind, d->kind) == 0 &&
            strcmp(s->destinations[i].name, d->name) == 0)
            return s->destinations[i].late;
    return 0;
}

static void judge_destination(const struct outputs_destination *d, uint64_t before,
                              struct problems *p)
{
    unsigned long long due = d->due_bytes;
    if (d->failing)
        problems_add(p, "%s %s: %s: %llu bytes wait to be told", d->kind, d->name,
                     d->reason ? d->reason : "takes nothing", due);
    else if (d->late > before)
        problems_add(p, "%s %s: takes less than there is: %llu bytes wait to be told", d->kind,
                     d->name, due);
}

void health_judge(const struct health *h, const struct ledger *l, const struct outputs *o,
                  uint64_t now_ns, struct problems *p)
{
    uint64_t seconds = (now_ns - h->before.time_ns + 999999999) / 1000000000;
    for (size_t i = 0; i < ledger_interface_count(l); i++) {
        const struct ledger_interface *now = ledger_interface(l, i);
        struct interface_counts before = counts_before(&h->before, now->name);
        struct interface_counts of_late =
            interface_counts_difference(&now->period[LEDGER_TOTAL].counts, &before);
        judge_interface(now, &of_late, seconds, p);
    }
    for (size_t i = 0; i < outputs_destination_count(o); i++) {
        struct outputs_destination d;
        outputs_destination(o, i, &d);
        judge_destination(&d, late_before(&h->before, &d), p);
    }
}
