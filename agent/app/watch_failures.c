#include "app/watch_failures.h"

#include <stdlib.h>
#include <string.h>

void watch_failures_deinit(struct watch_failures *f)
{
    free(f->at);
}

static struct watch_failure *find(const struct watch_failures *f, int index)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->at[i].index == index)
            return &f->at[i];
    return NULL;
}

bool watch_failures_add(struct watch_failures *f, const char *name, int index, int error)
{
    struct watch_failure *known = find(f, index);
    bool is_new = !known || known->error != error;
    if (!known) {
        struct watch_failure *at = reallocarray(f->at, f->count + 1, sizeof(*at));
        if (!at)
            return true;
        f->at = at;
        known = &f->at[f->count++];
    }
    *known = (struct watch_failure){.index = index, .error = error, .waits = true};
    strncpy(known->name, name, sizeof(known->name) - 1);
    return is_new;
}

void watch_failures_remove(struct watch_failures *f, int index)
{
    struct watch_failure *known = find(f, index);
    if (known)
        *known = f->at[--f->count];
}

static bool is_there(const struct netif_list *there, int index)
{
    for (size_t i = 0; i < there->count; i++)
        if (there->interfaces[i].index == index)
            return true;
    return false;
}

void watch_failures_keep(struct watch_failures *f, const struct netif_list *there)
{
    for (size_t i = f->count; i > 0; i--)
        if (!is_there(there, f->at[i - 1].index))
            f->at[i - 1] = f->at[--f->count];
}

const struct watch_failure *watch_failures_find(const struct watch_failures *f, int index)
{
    return find(f, index);
}

bool watch_failures_wait(const struct watch_failures *f, int index)
{
    const struct watch_failure *known = find(f, index);
    return known && known->waits;
}

void watch_failures_clear(struct watch_failures *f)
{
    f->count = 0;
}

void watch_failures_retry(struct watch_failures *f)
{
    for (size_t i = 0; i < f->count; i++)
        f->at[i].waits = false;
}
