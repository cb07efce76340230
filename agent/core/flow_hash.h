/*
 * The keyed hash of a flow: flows come from the network, so the key is a random
 * seed (XXH3).
 */
#pragma once

#define XXH_INLINE_ALL /* of a known size it is a few multiplications */
#include <xxhash.h>

#include "core/packet.h"

static inline unsigned flow_hash(const struct flow *flow, uint64_t seed)
{
    return (unsigned)XXH3_64bits_withSeed(flow, sizeof(*flow), seed);
}
