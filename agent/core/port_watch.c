#include "core/port_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/macros.h"

/* Much longer than a packet waits in the ring. */
static const uint64_t SETTLED_NS = 3 * 1000000000ull;

void port_watch_init(struct port_watch *w, const struct port_set *ports)
{
    *w = (struct port_watch){.ports = *ports};
}

void port_watch_deinit(struct port_watch *w)
{
    free(TAKE(w->before));
}

int port_watch_change(struct port_watch *w, const struct port_set *ports, uint64_t now_ns)
{
    if (!w->before)
        w->before = malloc(sizeof(*w->before));
    if (!w->before)
        return -ENOMEM;
    *w->before = w->ports;
    w->ports = *ports;
    w->changed_ns = now_ns;
    return 0;
}

bool port_watch_settle(struct port_watch *w, uint64_t now_ns)
{
    if (!w->before || now_ns < w->changed_ns + SETTLED_NS)
        return false;
    free(TAKE(w->before));
    return true;
}
