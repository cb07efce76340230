/*
 * The ports that are watched, and for a while after a change those that were:
 * by these a packet that is on its way was let pass and counted.
 *
 * Units    ports in host order, nanoseconds since the epoch
 * Owns     the former ports; embed it by value
 * Threads  one at a time
 */
#pragma once

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/filter.h"
#include "core/packet.h"
#include "core/port_set.h"

struct port_watch {
    struct port_set ports;
    struct port_set *before; /* NULL: nothing of theirs is on its way any more */
    uint64_t changed_ns;
};

void port_watch_init(struct port_watch *w, const struct port_set *ports);
void port_watch_deinit(struct port_watch *w);

/* Watch @ports from @now_ns on. Returns -ENOMEM. */
int port_watch_change(struct port_watch *w, const struct port_set *ports, uint64_t now_ns);

/* Returns whether all that was on its way at the last change has come by @now_ns, once. */
bool port_watch_settle(struct port_watch *w, uint64_t now_ns);

static inline bool port_watch_has_flow(const struct port_watch *w, const struct flow *flow)
{
    return port_set_watches(&w->ports, ntohs(flow->port[0]), ntohs(flow->port[1]));
}

/* Those by which the filter let @p pass; NULL: it is not watched. */
static inline const struct port_set *port_watch_of(const struct port_watch *w,
                                                   const struct packet *p)
{
    uint16_t source = ntohs(packet_source_port(p));
    uint16_t destination = ntohs(packet_destination_port(p));
    bool is_older = w->before && p->time_ns < w->changed_ns;
    const struct port_set *likely = is_older ? w->before : &w->ports;
    const struct port_set *other = is_older ? &w->ports : w->before;
    if (port_set_watches(likely, source, destination))
        return likely;
    return other && port_set_watches(other, source, destination) ? other : NULL;
}
