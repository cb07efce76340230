/*
 * What the engine was handed, in the classes in which the kernel counts what
 * passed: what the kernel has more was lost on the way.
 *
 * Units    as in bpf/filter.h
 * Owns     nothing
 * Threads  as their owner
 */
#pragma once

#include <arpa/inet.h>

#include "bpf/filter.h"
#include "core/packet.h"
#include "core/port_set.h"

/* The class of a TCP packet of @flow that @side sent. */
static inline enum filter_class seen_class(const struct flow *flow, unsigned side,
                                           const struct port_set *ports)
{
    uint16_t source = ntohs(flow->port[side]);
    uint16_t destination = ntohs(flow->port[!side]);
    bool all = ports->count == 0;
    return filter_class(source, all || port_set_has(ports, source), destination,
                        all || port_set_has(ports, destination));
}

/* Count @p, a TCP packet on watched ports as packet_decode() filled it. */
static inline void seen_packet(struct filter_counts *seen, const struct packet *p,
                               const struct port_set *ports)
{
    struct filter_count *c = &seen->of[seen_class(&p->flow, p->side, ports)];
    if (p->payload_bytes) {
        c->bytes += packet_ip_bytes(p);
        c->packets += p->packets;
    } else {
        c->control += packet_ip_bytes(p);
    }
}

/* Count @f as packet_decode() filled it, whatever becomes of its datagram. */
static inline void seen_fragment(struct filter_counts *seen, const struct fragment *f)
{
    struct filter_count *c = &seen->of[FILTER_FRAGMENT];
    c->bytes += (uint64_t)f->header_bytes + f->data_bytes;
    c->packets++;
}
