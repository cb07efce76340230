#include "app/watch_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_there(const struct netif_list *there, const struct watch_plan_item *item)
{
    for (size_t i = 0; i < there->count; i++) {
        const struct netif *n = &there->interfaces[i];
        if (n->index == item->index)
            return strcmp(n->name, item->name) == 0;
    }
    return false;
}

static bool is_wanted(const struct watch_list *list, const struct watch_plan_item *item)
{
    const struct watch_list_interface *wanted = watch_list_find(list, item->name);
    return wanted && wanted->workers == item->workers;
}

static bool is_counted(const struct watch_plan_item *items, size_t count, const struct netif *n)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].index == n->index && !items[i].deaf)
            return true;
    return false;
}

static bool begins(const struct watch_list *list, const struct watch_plan_item *items, size_t count,
                   const struct netif *n)
{
    return n->up && watch_list_find(list, n->name) && !is_counted(items, count, n);
}

int watch_plan_make(struct watch_plan *p, const struct watch_list *list,
                    const struct netif_list *there, const struct watch_plan_item *items,
                    size_t count, size_t items_max)
{
    struct watch_plan made = {
        .end = calloc(count + 1, sizeof(made.end[0])),
        .begin = calloc(there->count + 1, sizeof(struct netif *)),
    };
    if (!made.end || !made.begin) {
        watch_plan_deinit(&made);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        bool gone = !is_there(there, &items[i]);
        if (!items[i].leaving && (gone || !is_wanted(list, &items[i])))
            made.end[made.end_count++] = (struct watch_plan_end){i, gone};
    }
    for (size_t i = 0; i < there->count; i++) {
        const struct netif *n = &there->interfaces[i];
        if (!begins(list, items, count, n))
            continue;
        if (count + made.begin_count < items_max)
            made.begin[made.begin_count++] = n;
        else
            made.refused_count++;
    }
    *p = made;
    return 0;
}

void watch_plan_deinit(struct watch_plan *p)
{
    free(p->end);
    free(p->begin);
}
