#include "core/kept.h"

#include <errno.h>
#include <string.h>

#include "core/flow_hash.h"

/* What precedes the packets of a block is told in one go. */
enum { SPARES_MAX = 512 };

void kept_table_init(struct kept_table *t, uint64_t hash_seed)
{
    *t = (struct kept_table){.hash_seed = hash_seed};
    pool_init(&t->flow_pool, sizeof(struct kept_flow), SPARES_MAX);
    pool_init(&t->wait_pool, sizeof(struct kept_wait), SPARES_MAX);
}

void kept_table_deinit(struct kept_table *t)
{
    struct kept_flow *f, *next;
    HASH_ITER (hh, t->flows, f, next)
        kept_table_remove(t, f);
    pool_deinit(&t->flow_pool);
    pool_deinit(&t->wait_pool);
}

static struct kept_flow *find(struct kept_table *t, const struct flow *flow)
{
    struct kept_flow *f;
    HASH_FIND_BYHASHVALUE(hh, t->flows, flow, sizeof(*flow), flow_hash(flow, t->hash_seed), f);
    return f;
}

static struct kept_flow *add(struct kept_table *t, const struct flow *flow)
{
    struct kept_flow *f = pool_take(&t->flow_pool);
    if (!f)
        return NULL;
    *f = (struct kept_flow){.flow = *flow};
    HASH_ADD_BYHASHVALUE(hh, t->flows, flow, sizeof(*flow), flow_hash(flow, t->hash_seed), f);
    if (!f->hh.tbl) {
        pool_give(&t->flow_pool, f);
        return NULL;
    }
    return f;
}

/* Take what @told is ahead of @taken. Returns how far. */
static uint64_t advance(__u64 *taken, uint64_t told)
{
    uint64_t difference = told > *taken ? told - *taken : 0;
    *taken += difference;
    return difference;
}

/* The same for the range. That its payload wraps is why bytes tell what is ahead. */
static void advance_range(struct filter_kept *taken, const struct filter_kept *told,
                          struct filter_kept *difference)
{
    *difference = (struct filter_kept){.end_seq = told->end_seq};
    if (told->bytes < taken->bytes)
        return;
    difference->payload = told->payload - taken->payload;
    taken->range = told->range;
}

/*
 * Whether a record that was made before it is still to come: then a packet may
 * lie between the ones that it tells of.
 */
static bool is_ahead(const struct filter_record *record, uint32_t number)
{
    return record->read && (int32_t)(record->number - number) > 0;
}

struct kept_flow *kept_table_take(struct kept_table *t, const struct filter_record *record,
                                  struct filter_kept *difference)
{
    struct kept_flow *f = find(t, &record->flow);
    if (!f)
        f = add(t, &record->flow);
    *difference = record->kept;
    if (!f)
        return NULL;

    unsigned side = record->side & 1;
    struct filter_kept *taken = &f->taken[side];
    if (is_ahead(record, f->number[side])) {
        *difference = (struct filter_kept){.end_seq = record->kept.end_seq};
        return f;
    }
    if (!record->read)
        f->number[side] = record->number;
    advance_range(taken, &record->kept, difference);
    difference->bytes = advance(&taken->bytes, record->kept.bytes);
    difference->control = advance(&taken->control, record->kept.control);
    difference->packets = advance(&taken->packets, record->kept.packets);
    f->last = record->last != 0;
    if (f->last) {
        memset(f->taken, 0, sizeof(f->taken));
        memset(f->number, 0, sizeof(f->number));
    }
    return f;
}

int kept_flow_wait(struct kept_table *t, struct kept_flow *f, unsigned side,
                   const struct filter_kept *difference)
{
    struct kept_wait *w = pool_take(&t->wait_pool);
    if (!w)
        return -ENOMEM;
    *w = (struct kept_wait){.side = side, .kept = *difference};
    if (!f->waits) {
        f->old = false;
        DL_APPEND(t->waiting, f);
    }
    LL_APPEND(f->waits, w);
    return 0;
}

bool kept_flow_next(struct kept_table *t, struct kept_flow *f, unsigned *side,
                    struct filter_kept *difference)
{
    struct kept_wait *w = f->waits;
    if (!w)
        return false;
    *side = w->side;
    *difference = w->kept;
    f->waits = w->next;
    pool_give(&t->wait_pool, w);
    if (!f->waits)
        DL_DELETE(t->waiting, f);
    return true;
}

struct kept_flow *kept_table_find_waiting(struct kept_table *t, const struct flow *flow)
{
    if (!t->waiting)
        return NULL;
    struct kept_flow *f = find(t, flow);
    return f && f->waits ? f : NULL;
}

struct kept_flow *kept_table_find_old(struct kept_table *t)
{
    return t->waiting && t->waiting->old ? t->waiting : NULL;
}

void kept_table_age(struct kept_table *t)
{
    struct kept_flow *f;
    DL_FOREACH (t->waiting, f)
        f->old = true;
}

void kept_table_remove(struct kept_table *t, struct kept_flow *f)
{
    unsigned side;
    struct filter_kept difference;
    while (kept_flow_next(t, f, &side, &difference))
        ;
    HASH_DEL(t->flows, f);
    pool_give(&t->flow_pool, f);
}

void kept_table_forget(struct kept_table *t, const struct flow *flow)
{
    struct kept_flow *f = find(t, flow);
    if (f)
        kept_table_remove(t, f);
}
