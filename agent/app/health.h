/*
 * What is wrong with the agent, in words: what was lost or did not fit of late,
 * and destinations that don't take what they are sent.
 *
 * "Of late" is since a sample that is HEALTH_SAMPLE_NS to twice that old, or
 * younger if the agent is.
 *
 * Units    nanoseconds of a clock that does not go back
 * Owns     its samples
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/outputs.h"
#include "app/problems.h"
#include "base/macros.h"
#include "core/ledger.h"

#define HEALTH_SAMPLE_NS 30000000000ull

struct health;

/* With a first sample. */
int health_new(struct health **out, const struct ledger *l, const struct outputs *o,
               uint64_t now_ns);
struct health *health_free(struct health *h);
AUTO_DEFINE(struct health, health_free)

/* Whether it is time for health_sample(). */
bool health_is_due(const struct health *h, uint64_t now_ns);

/* Remember how all stands. Without memory what comes next is told since the start. */
void health_sample(struct health *h, const struct ledger *l, const struct outputs *o,
                   uint64_t now_ns);

/* Add what is wrong to @p. */
void health_judge(const struct health *h, const struct ledger *l, const struct outputs *o,
                  uint64_t now_ns, struct problems *p);
