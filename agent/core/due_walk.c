#include "core/due.h"

#include "base/macros.h"
#include "core/due_series.h"

static const struct {
    const char *name;
    unsigned percent;
} percentiles[] = {{"p50", 50}, {"p95", 95}, {"p99", 99}};

void due_walk_begin(struct due_walk *w, struct due *d)
{
    *w = (struct due_walk){.due = d, .scope = METRIC_AGENT};
}

static void next_record(struct due_walk *w)
{
    w->series = 0;
    if (w->scope == METRIC_AGENT) {
        w->scope = METRIC_INTERFACE;
        w->interface = w->due->interfaces;
    } else if (w->scope == METRIC_SERVICE) {
        w->service = w->service->hh.next;
        w->ended = !w->service;
    } else {
        w->interface = w->interface->hh.next;
        w->scope = w->interface ? METRIC_INTERFACE : METRIC_SERVICE;
        w->service = w->due->services;
    }
}

static struct due_record record_at(const struct due_walk *w)
{
    struct due *d = w->due;
    switch (w->scope) {
    case METRIC_AGENT:
        return (struct due_record){&d->agent, NULL, &d->sent[METRIC_AGENT]};
    case METRIC_INTERFACE:
        return due_record_of_interface(d, w->interface);
    default:
        return due_record_of_service(d, w->service);
    }
}

static bool show_counter(struct due_walk *w, uint64_t *owed, struct due_line *l)
{
    if (!w->split)
        w->left = *owed;
    if (w->left == 0)
        return false;
    l->value = MIN(w->left, DUE_AMOUNT_MAX);
    l->claim.kind = DUE_COUNTER;
    l->claim.owed = owed;
    l->claim.amount = l->value;
    return true;
}

/* A receiver forgets, or was started anew: what is not zero is told each time. */
static bool show_gauge(struct due_gauge *g, struct due_line *l)
{
    if (g->value == 0 && g->told == 0)
        return false;
    l->value = MIN(g->value, DUE_AMOUNT_MAX);
    l->claim = (struct due_claim){.kind = DUE_GAUGE, .told = &g->told, .amount = l->value};
    return true;
}

/* The first bucket from where @w stands that is not empty. */
static bool show_bucket(struct due_walk *w, struct ttfb_histogram *h, struct due_line *l)
{
    while (w->part < TTFB_BUCKETS && h->buckets[w->part] == 0)
        w->part++;
    if (w->part == TTFB_BUCKETS)
        return false;
    uint32_t *bucket = &h->buckets[w->part];
    l->value = ttfb_bucket_ns(w->part);
    l->samples = *bucket;
    l->claim = (struct due_claim){.kind = DUE_BUCKET, .bucket = bucket, .amount = *bucket};
    return true;
}

static uint64_t total(const struct ttfb_histogram *h)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < TTFB_BUCKETS; i++)
        sum += h->buckets[i];
    return sum;
}

/* The time within which @percent of the @count samples of @h were. */
static uint64_t percentile_ns(const struct ttfb_histogram *h, uint64_t count, unsigned percent)
{
    uint64_t rank = (count * percent + 99) / 100;
    unsigned bucket = 0;
    for (uint64_t seen = h->buckets[0]; seen < rank; seen += h->buckets[bucket])
        bucket++;
    return ttfb_bucket_ns(bucket);
}

/* The last one settles the samples. */
static bool show_percentile(struct due_walk *w, struct ttfb_histogram *h, struct due_line *l)
{
    uint64_t count = total(h);
    if (count == 0 || w->part == ARRAY_SIZE(percentiles))
        return false;
    l->variant = percentiles[w->part].name;
    l->value = percentile_ns(h, count, percentiles[w->part].percent);
    l->samples = count;
    if (w->part + 1 == ARRAY_SIZE(percentiles))
        l->histogram = h;
    return true;
}

static bool show(struct due_walk *w, const struct due_record *r, const struct due_series *s,
                 struct due_line *l)
{
    switch (metrics[s->metric].form) {
    case METRIC_GAUGE:
        return show_gauge(due_gauge(r, s), l);
    case METRIC_TIMING:
        return w->due->options.percentiles ? show_percentile(w, r->ttfb, l)
                                           : show_bucket(w, r->ttfb, l);
    default:
        return show_counter(w, due_counter(r, s), l);
    }
}

static struct due_line begin_line(const struct due_walk *w, const struct due_series *s)
{
    struct due_line l = {.metric = s->metric, .variant = s->variant};
    if (w->scope == METRIC_INTERFACE) {
        l.interface = w->interface->name;
    } else if (w->scope == METRIC_SERVICE) {
        const struct due_service_key *key = &w->service->key;
        l.service = key->name.text;
        l.interface = key->interface ? key->interface->name : NULL;
    }
    return l;
}

static void next_series(struct due_walk *w)
{
    w->series++;
    w->part = 0;
    w->split = false;
}

bool due_walk_line(struct due_walk *w, struct due_line *l)
{
    for (; !w->ended; next_record(w)) {
        struct due_record r = record_at(w);
        for (; w->series < r.sent->count; next_series(w)) {
            const struct due_series *s = r.sent->series[w->series];
            *l = begin_line(w, s);
            if (show(w, &r, s, l))
                return true;
        }
    }
    return false;
}

void due_walk_next(struct due_walk *w)
{
    const struct due_series *s = w->due->sent[w->scope].series[w->series];
    switch (metrics[s->metric].form) {
    case METRIC_TIMING:
        w->part++;
        return;
    case METRIC_GAUGE:
        next_series(w);
        return;
    default:
        w->left -= MIN(w->left, DUE_AMOUNT_MAX);
        w->split = w->left > 0;
        if (!w->split)
            next_series(w);
    }
}

size_t due_claim(const struct due_line *l, struct due_claim *out)
{
    size_t count = 0;
    if (l->claim.owed)
        out[count++] = l->claim;
    for (unsigned i = 0; l->histogram && i < TTFB_BUCKETS; i++) {
        uint32_t *bucket = &l->histogram->buckets[i];
        if (*bucket)
            out[count++] =
                (struct due_claim){.kind = DUE_BUCKET, .bucket = bucket, .amount = *bucket};
    }
    return count;
}

/* When due_change() has begun a series anew, less may be owed than was claimed. */
void due_settle(const struct due_claim *claims, size_t count)
{
    for (const struct due_claim *c = claims; c < claims + count; c++) {
        if (c->kind == DUE_COUNTER)
            *c->owed -= MIN(*c->owed, c->amount);
        else if (c->kind == DUE_GAUGE)
            *c->told = c->amount;
        else
            *c->bucket -= MIN(*c->bucket, (uint32_t)c->amount);
    }
}
