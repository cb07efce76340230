#include "app/watch_list.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static int add_name(struct watch_list *l, const char *name)
{
    l->names[l->name_count] = strdup(name);
    return l->names[l->name_count++] ? 0 : -ENOMEM;
}

static int add_interface(struct watch_list *l, const struct settings_interface *s)
{
    struct watch_list_interface *i = &l->interfaces[l->count++];
    i->name = strdup(s->name);
    i->ports = s->ports;
    i->workers = s->workers;
    return i->name ? 0 : -ENOMEM;
}

int watch_list_new(struct watch_list **out, const char *const *names, size_t count,
                   const struct settings *s)
{
    size_t interfaces_bytes = s->interface_count * sizeof(struct watch_list_interface);
    AUTO(watch_list_free) struct watch_list *l = calloc(1, sizeof(*l) + interfaces_bytes);
    if (!l)
        return -ENOMEM;
    l->names = calloc(count + 1, sizeof(l->names[0]));
    int error = l->names ? 0 : -ENOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = add_name(l, names[i]);
    for (size_t i = 0; error == 0 && i < s->interface_count; i++)
        error = add_interface(l, &s->interfaces[i]);
    if (error == 0)
        *out = TAKE(l);
    return error;
}

struct watch_list *watch_list_free(struct watch_list *l)
{
    if (!l)
        return NULL;
    for (size_t i = 0; i < l->name_count; i++)
        free(l->names[i]);
    for (size_t i = 0; i < l->count; i++)
        free(l->interfaces[i].name);
    free(l->names);
    free(l);
    return NULL;
}

static bool matches(const char *pattern, const char *name)
{
    return settings_is_pattern(pattern) && fnmatch(pattern, name, 0) == 0;
}

static bool is_asked_for(const struct watch_list *l, const char *name)
{
    for (size_t i = 0; i < l->name_count; i++)
        if (strcmp(l->names[i], name) == 0 || matches(l->names[i], name))
            return true;
    return false;
}

/* What the config has for @name, or NULL. */
static const struct watch_list_interface *find_configured(const struct watch_list *l,
                                                          const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->interfaces[i].name, name) == 0)
            return &l->interfaces[i];
    for (size_t i = 0; i < l->count; i++)
        if (matches(l->interfaces[i].name, name))
            return &l->interfaces[i];
    return NULL;
}

const struct watch_list_interface *watch_list_find(const struct watch_list *l, const char *name)
{
    static const struct watch_list_interface all_ports = {.workers = 1};
    if (l->name_count && !is_asked_for(l, name))
        return NULL;
    const struct watch_list_interface *configured = find_configured(l, name);
    bool any = l->name_count || l->count == 0;
    return configured || !any ? configured : &all_ports;
}

const char *watch_list_name(const struct watch_list *l, size_t number)
{
    size_t count = l->name_count ? l->name_count : l->count;
    for (size_t i = 0; i < count; i++) {
        const char *name = l->name_count ? l->names[i] : l->interfaces[i].name;
        if (!settings_is_pattern(name) && number-- == 0)
            return name;
    }
    return NULL;
}

unsigned watch_list_workers(const struct watch_list *l)
{
    unsigned workers = 1;
    for (size_t i = 0; i < l->count; i++)
        workers = MAX(workers, l->interfaces[i].workers);
    return workers;
}
