#include "app/watch_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/netif.h"

/* What @s has for the interface called @name. */
static const struct settings_interface *find(const struct settings *s, const char *name)
{
    static const struct settings_interface all_ports = {.workers = 1};
    for (size_t i = 0; i < s->interface_count; i++) {
        if (strcmp(s->interfaces[i].name, name) == 0)
            return &s->interfaces[i];
    }
    return &all_ports;
}

const struct port_set *watch_list_ports(const struct settings *s, const char *interface)
{
    return &find(s, interface)->ports;
}

static struct watch_list *make(size_t count)
{
    struct watch_list *l = NULL;
    return calloc(1, sizeof(*l) + count * sizeof(l->interfaces[0]));
}

static int add(struct watch_list *l, const char *name, const struct settings *s)
{
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    const struct settings_interface *wanted = find(s, name);
    l->interfaces[l->count++] = (struct watch_list_interface){
        .name = copy,
        .ports = &wanted->ports,
        .workers = wanted->workers,
    };
    return 0;
}

static int make_named(struct watch_list **out, const char *const *names, size_t count,
                      const struct settings *s)
{
    AUTO(watch_list_free) struct watch_list *l = make(count);
    if (!l)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int error = add(l, names[i], s);
        if (error < 0)
            return error;
    }
    *out = TAKE(l);
    return 0;
}

static int make_configured(struct watch_list **out, const struct settings *s)
{
    AUTO(watch_list_free) struct watch_list *l = make(s->interface_count);
    if (!l)
        return -ENOMEM;
    for (size_t i = 0; i < s->interface_count; i++) {
        int error = add(l, s->interfaces[i].name, s);
        if (error < 0)
            return error;
    }
    *out = TAKE(l);
    return 0;
}

static int make_found(struct watch_list **out, const struct settings *s)
{
    AUTO(netif_list_free) struct netif_list *netifs = NULL;
    int error = netif_list_new(&netifs);
    if (error < 0)
        return error;
    AUTO(watch_list_free) struct watch_list *l = make(netifs->count);
    if (!l)
        return -ENOMEM;
    l->found = true;
    for (size_t i = 0; i < netifs->count; i++) {
        error = netifs->interfaces[i].up ? add(l, netifs->interfaces[i].name, s) : 0;
        if (error < 0)
            return error;
    }
    *out = TAKE(l);
    return 0;
}

int watch_list_new(struct watch_list **out, const char *const *names, size_t count,
                   const struct settings *s)
{
    if (count)
        return make_named(out, names, count, s);
    return s->interface_count ? make_configured(out, s) : make_found(out, s);
}

struct watch_list *watch_list_free(struct watch_list *l)
{
    if (!l)
        return NULL;
    for (size_t i = 0; i < l->count; i++)
        free(l->interfaces[i].name);
    free(l);
    return NULL;
}
