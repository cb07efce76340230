/*
 * Patterns as a tree of conditions, query first, then host, then the segments
 * of the path. A request follows every branch whose conditions it meets, by
 * looking up what it has, so other rules cost nothing.
 *
 * Owns     copies of the patterns' texts
 * Threads  immutable once filled: any number of readers
 */
#pragma once

#include "base/macros.h"
#include "core/rule_pattern.h"
#include "core/target.h"

struct rule_index;

int rule_index_new(struct rule_index **out);
struct rule_index *rule_index_free(struct rule_index *x);
AUTO_DEFINE(struct rule_index, rule_index_free)

/* Add rule number @rule, below RULES_MAX. No two may have the same conditions. */
int rule_index_add(struct rule_index *x, const struct rule_pattern *p, int rule);

/**
 * Find the lowest rule that takes @t. Its host is in lower case, and at most
 * RULE_HOST_MAX bytes.
 *
 * Returns its number or RULE_NONE.
 */
int rule_index_find(const struct rule_index *x, const struct target *t);
