#include "core/pool.h"

#include <assert.h>
#include <stdlib.h>

struct pool_spare {
    struct pool_spare *next;
};

void pool_init(struct pool *p, size_t object_bytes, uint32_t spares_max)
{
    assert(object_bytes >= sizeof(struct pool_spare));
    *p = (struct pool){.object_bytes = object_bytes, .spares_max = spares_max};
}

void pool_deinit(struct pool *p)
{
    p->spares_max = 0;
    while (p->spares)
        free(pool_take(p));
}

void *pool_take(struct pool *p)
{
    struct pool_spare *spare = p->spares;
    if (!spare)
        return malloc(p->object_bytes);
    p->spares = spare->next;
    p->count--;
    return spare;
}

void pool_give(struct pool *p, void *object)
{
    if (!object)
        return;
    if (p->count >= p->spares_max) {
        free(object);
        return;
    }
    struct pool_spare *spare = object;
    spare->next = p->spares;
    p->spares = spare;
    p->count++;
}
