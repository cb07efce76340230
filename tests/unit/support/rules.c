#include "support/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/guard.h"

static struct guard target_guard, host_guard;

int rules_begin(void **state)
{
    (void)state;
    guard_init(&target_guard, RULES_TARGET_MAX);
    guard_init(&host_guard, RULES_HOST_MAX);
    return 0;
}

int rules_end(void **state)
{
    (void)state;
    guard_deinit(&host_guard);
    guard_deinit(&target_guard);
    return 0;
}

struct rule_set *rules_compiled(const struct rule_options *rules, size_t count)
{
    struct rule_set *set = NULL;
    struct rule_error error;
    if (rule_set_new(&set, rules, count, &error) < 0)
        fail_msg("rule %zu: %s", error.rule, error.message);
    return set;
}

int rules_match(const struct rule_set *set, struct bytes target, struct bytes host,
                struct service_name *name)
{
    struct rule_request request = {
        .target = guard_copy(&target_guard, target),
        .host = guard_copy(&host_guard, host),
    };
    return rule_set_match(set, &request, name);
}
