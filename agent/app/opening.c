#include "app/opening.h"

#include "app/interfaces.h"

uint64_t opening_patience_ns(const struct watch_list *list, const struct netif_list *there)
{
    uint64_t captures = 0;
    unsigned interfaces = 0;
    for (size_t i = 0; i < there->count && interfaces < INTERFACES_MAX; i++) {
        const struct netif *n = &there->interfaces[i];
        const struct watch_list_interface *wanted = n->up ? watch_list_find(list, n->name) : NULL;
        if (!wanted)
            continue;
        captures += wanted->workers;
        interfaces++;
    }
    return captures * OPENING_CAPTURE_NS;
}
