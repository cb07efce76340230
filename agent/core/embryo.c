#include "core/embryo.h"

#include "core/flow_hash.h"

enum { SPARES_MAX = 512 };

void embryo_table_init(struct embryo_table *t, uint32_t max, uint64_t hash_seed)
{
    *t = (struct embryo_table){.max = max, .hash_seed = hash_seed};
    pool_init(&t->pool, sizeof(struct embryo), SPARES_MAX);
}

void embryo_table_deinit(struct embryo_table *t)
{
    while (t->idle)
        embryo_table_remove(t, t->idle);
    pool_deinit(&t->pool);
}

struct embryo *embryo_table_find(const struct embryo_table *t, const struct flow *flow)
{
    struct embryo *e;
    HASH_FIND_BYHASHVALUE(hh, t->table, flow, sizeof(*flow), flow_hash(flow, t->hash_seed), e);
    return e;
}

struct embryo *embryo_table_add(struct embryo_table *t, const struct flow *flow, uint64_t now_ns,
                                uint64_t *forgotten_bytes)
{
    *forgotten_bytes = 0;
    if (HASH_COUNT(t->table) >= t->max)
        *forgotten_bytes = embryo_table_remove(t, t->idle);

    struct embryo *e = pool_take(&t->pool);
    if (!e)
        return NULL;
    *e = (struct embryo){.flow = *flow, .seen_ns = now_ns, .client = CLIENT_UNKNOWN};
    HASH_ADD_BYHASHVALUE(hh, t->table, flow, sizeof(*flow), flow_hash(flow, t->hash_seed), e);
    if (!e->hh.tbl) {
        pool_give(&t->pool, e);
        return NULL;
    }
    DL_APPEND(t->idle, e);
    return e;
}

void embryo_table_touch(struct embryo_table *t, struct embryo *e, uint64_t now_ns)
{
    e->seen_ns = now_ns;
    DL_DELETE(t->idle, e);
    DL_APPEND(t->idle, e);
}

uint64_t embryo_take_pending(struct embryo *e)
{
    uint64_t pending = e->control_bytes[0] + e->control_bytes[1];
    e->control_bytes[0] = e->control_bytes[1] = 0;
    return pending;
}

uint64_t embryo_table_remove(struct embryo_table *t, struct embryo *e)
{
    uint64_t pending = embryo_take_pending(e);
    HASH_DEL(t->table, e);
    DL_DELETE(t->idle, e);
    pool_give(&t->pool, e);
    return pending;
}

uint64_t embryo_table_expire(struct embryo_table *t, uint64_t since_ns)
{
    uint64_t pending = 0;
    while (t->idle && t->idle->seen_ns < since_ns)
        pending += embryo_table_remove(t, t->idle);
    return pending;
}
