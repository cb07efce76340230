/*
 * Which interfaces to watch, which ports of each, and with how many workers.
 *
 * Interfaces are called by name or by pattern (fnmatch(3)), whether or not there
 * are any such. A name goes before patterns, a pattern before those behind it.
 *
 * Owns     itself
 * Threads  immutable
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "app/settings.h"
#include "base/macros.h"
#include "core/port_set.h"

struct watch_list_interface {
    char *name;
    struct port_set ports;
    unsigned workers; /* that share its packets */
};

struct watch_list {
    size_t name_count; /* of those that were asked for; 0: those of the config, or all */
    char **names;
    size_t count; /* of those that the config has */
    struct watch_list_interface interfaces[];
};

/*
 * The @count interfaces called @names, with what @s has for them; without any,
 * those of @s; without any there either, all.
 */
int watch_list_new(struct watch_list **out, const char *const *names, size_t count,
                   const struct settings *s);
struct watch_list *watch_list_free(struct watch_list *l);
AUTO_DEFINE(struct watch_list, watch_list_free)

/* How to watch the interface called @name, or NULL: it is not to be watched. */
const struct watch_list_interface *watch_list_find(const struct watch_list *l, const char *name);

/* The @number-th interface that is called by its name, or NULL: there are no more. */
const char *watch_list_name(const struct watch_list *l, size_t number);

/* The most workers that an interface of @l may have. */
unsigned watch_list_workers(const struct watch_list *l);
