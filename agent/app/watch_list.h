/*
 * Which interfaces to watch, which ports of each, and with how many workers.
 *
 * Owns     itself; borrows the settings' ports
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
    const struct port_set *ports;
    unsigned workers; /* that share its packets */
};

struct watch_list {
    bool found; /* nobody named them: they are those that were up, with a worker each */
    size_t count;
    struct watch_list_interface interfaces[];
};

/**
 * The @count interfaces called @names; without any, those of @s; without any
 * there either, all that are up. Named ones need not exist.
 */
int watch_list_new(struct watch_list **out, const char *const *names, size_t count,
                   const struct settings *s);
struct watch_list *watch_list_free(struct watch_list *l);
AUTO_DEFINE(struct watch_list, watch_list_free)

/* The ports that @s has for @interface; an empty set, which watches all, if it has none. */
const struct port_set *watch_list_ports(const struct settings *s, const char *interface);
