/*
 * IP datagrams that are still incomplete (RFC 791, section 3.2; RFC 8200,
 * section 4.5; RFC 5722: a datagram with overlapping fragments is given up).
 *
 * Bounded in datagrams and bytes: the oldest is forgotten for the newest. The
 * IP bytes of what is forgotten, timed out or given up are not lost, nor those
 * of a fragment that comes twice: they wait for fragment_table_take_untracked().
 *
 * Units    bytes, nanoseconds
 * Owns     copies of the fragments
 * Threads  one at a time
 */
#pragma once

#include "base/macros.h"
#include "core/packet.h"

struct fragment_options {
    uint32_t datagrams_max;
    uint64_t bytes_max; /* of memory for what was captured */
    uint64_t timeout_ns;
    uint64_t hash_seed;
};

struct fragment_table;

int fragment_table_new(struct fragment_table **out, const struct fragment_options *options);
struct fragment_table *fragment_table_free(struct fragment_table *t);
AUTO_DEFINE(struct fragment_table, fragment_table_free)

enum fragment_step {
    FRAGMENT_WAITING,  /* kept, or given up: see fragment_table_take_untracked() */
    FRAGMENT_COMPLETE, /* @whole is filled, its payload valid until the next call */
};

/* Take @f. It may complete its datagram, which must be TCP (packet.h). */
enum fragment_step fragment_table_add(struct fragment_table *t, const struct fragment *f,
                                      struct packet *whole);

/* Give up datagrams whose first fragment came before @now_ns less the timeout. */
void fragment_table_expire(struct fragment_table *t, uint64_t now_ns);

/* Give up all. */
void fragment_table_clear(struct fragment_table *t);

/* IP bytes of fragments that wait now. */
uint64_t fragment_table_pending_bytes(const struct fragment_table *t);

/* IP bytes of fragments that were given up since the last call. */
uint64_t fragment_table_take_untracked(struct fragment_table *t);
