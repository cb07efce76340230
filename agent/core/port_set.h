/*
 * A set of TCP ports: those that are watched. An empty set watches all.
 *
 * Units    ports in host order
 * Owns     nothing, embed it by value
 * Threads  immutable once filled
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct port_set {
    uint8_t bits[65536 / 8];
    unsigned count;
};

static inline void port_set_add(struct port_set *s, uint16_t port)
{
    uint8_t bit = (uint8_t)(1u << (port & 7));
    s->count += !(s->bits[port >> 3] & bit);
    s->bits[port >> 3] |= bit;
}

static inline bool port_set_has(const struct port_set *s, uint16_t port)
{
    return s->bits[port >> 3] >> (port & 7) & 1;
}

/* Whether a packet between these ports is watched. */
static inline bool port_set_watches(const struct port_set *s, uint16_t source, uint16_t destination)
{
    return s->count == 0 || port_set_has(s, source) || port_set_has(s, destination);
}
