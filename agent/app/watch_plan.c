#include "app/watch_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct netif *find_netif(const struct netif_list *there, int index)
{
    for (size_t i = 0; i < there->count; i++)
        if (there->interfaces[i].index == index)
            return &there->interfaces[i];
    return NULL;
}

/* The watch of @n that is not leaving, or NULL. */
static const struct watch_plan_item *find_item(const struct watch_plan_item *items, size_t count,
                                               const struct netif *n)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].index == n->index && !items[i].leaving)
            return &items[i];
    return NULL;
}

static bool is_watched_so(const struct watch_plan_item *item, const struct netif *n,
                          const struct watch_list_interface *wanted)
{
    return strcmp(item->name, n->name) == 0 && item->workers == wanted->workers;
}

/* @n is wanted, and up. */
static void add_begin(struct watch_plan *p, const struct netif *n,
                      const struct watch_list_interface *wanted,
                      const struct watch_plan_item *items, size_t count, size_t items_max)
{
    const struct watch_plan_item *former = find_item(items, count, n);
    if (former && is_watched_so(former, n, wanted))
        return;
    struct watch_plan_begin begin = {.netif = n, .replaces = former};
    if (former)
        begin.former = (size_t)(former - items);
    if (count + p->begin_count < (former ? 2 * items_max : items_max))
        p->begin[p->begin_count++] = begin;
    else
        p->refused_count += !former;
}

int watch_plan_make(struct watch_plan *p, const struct watch_list *list,
                    const struct netif_list *there, const struct watch_plan_item *items,
                    size_t count, size_t items_max)
{
    struct watch_plan made = {
        .end = calloc(count + 1, sizeof(made.end[0])),
        .begin = calloc(there->count + 1, sizeof(made.begin[0])),
    };
    if (!made.end || !made.begin) {
        watch_plan_deinit(&made);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct netif *n = find_netif(there, items[i].index);
        if (items[i].leaving || (n && watch_list_find(list, n->name)))
            continue;
        bool gone = !n || strcmp(n->name, items[i].name) != 0;
        made.end[made.end_count++] = (struct watch_plan_end){i, gone};
    }
    for (size_t i = 0; i < there->count; i++) {
        const struct netif *n = &there->interfaces[i];
        const struct watch_list_interface *wanted = watch_list_find(list, n->name);
        if (n->up && wanted)
            add_begin(&made, n, wanted, items, count, items_max);
    }
    *p = made;
    return 0;
}

void watch_plan_deinit(struct watch_plan *p)
{
    free(p->end);
    free(p->begin);
}
