/*
 * The keyed hash of a flow: flows come from the network, so the key is a random
 * seed (XXH3).
 */
#pragma once

#include <xxhash.h>

#include "core/packet.h"

static inline unsigned flow_hash(const struct flow *flow, uint64_t seed)
{
    return (unsigned)XXH3_64bits_withSeed(flow, sizeof(*flow), seed);
}
