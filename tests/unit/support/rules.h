/*
 * Rule sets for tests, and requests that end where memory ends.
 *
 * Units    bytes
 * Owns     the memory of the requests
 * Threads  one at a time
 */
#pragma once

#include "core/rule.h"

enum { RULES_TARGET_MAX = 1 << 20, RULES_HOST_MAX = 1024 };

/* Before and after all tests that match. */
int rules_begin(void **state);
int rules_end(void **state);

/* The test fails if @rules are wrong. */
struct rule_set *rules_compiled(const struct rule_options *rules, size_t count);

/* As rule_set_match(). */
int rules_match(const struct rule_set *set, struct bytes target, struct bytes host,
                struct service_name *name);
