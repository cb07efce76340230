#include "core/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "support/rules.h"

/* The name that one rule gives a request, NULL for none. Valid until the next call. */
static const char *named(struct rule_options rule, const char *target, const char *host)
{
    static struct service_name name;
    AUTO(rule_set_free) struct rule_set *set = rules_compiled(&rule, 1);
    int found = rules_match(set, bytes_from_string(target), bytes_from_string(host), &name);
    return found == RULE_NONE ? NULL : name.text;
}

/* @raw is the name as it would be if any text were a name. */
static void assert_named(struct rule_options rule, const char *target, const char *host,
                         const char *raw)
{
    const char *name = named(rule, target, host);
    if (!name)
        fail_msg("%s at \"%s\" has no service, not %s", target, host, raw);
    struct service_name expected;
    service_name_make(&expected, bytes_from_string(raw));
    assert_string_equal(name, expected.text);
}

static void assert_none(struct rule_options rule, const char *target, const char *host)
{
    const char *name = named(rule, target, host);
    if (name)
        fail_msg("%s at \"%s\" is %s", target, host, name);
}

static void query_names_the_service(void **state)
{
    (void)state;
    struct rule_options rule = {.query = "s"};
    assert_named(rule, "/x?s=yo", "", "yo");
    assert_named(rule, "http://h?a&s=yo&b", "", "yo");
    assert_named(rule, "/x?%73=%79o", "", "yo");
    assert_named(rule, "/x?s=a=b", "", "a=b");
    assert_none(rule, "/x?S=yo", "");
    assert_none(rule, "/x?ss=yo&s", "");
    assert_none(rule, "/x#?s=yo", "");
    assert_none(rule, "/s=yo", "");
    assert_none(rule, "*", "");
}

static void the_last_value_wins_even_if_empty(void **state)
{
    (void)state;
    struct rule_options rule = {.query = "s"};
    assert_named(rule, "/?s=a&s=b", "", "b");
    assert_named(rule, "/?s=a&%73=b&t=c", "", "b");
    assert_none(rule, "/?s=a&s=", "");
    assert_none(rule, "/?s=a&s", "");
}

static void query_is_decoded_as_a_form(void **state)
{
    (void)state;
    assert_named((struct rule_options){.query = "a b"}, "/?a+b=x%2Dy", "", "x-y");
    assert_named((struct rule_options){.query = "a&=%"}, "/?a%26%3d%=x", "", "x");
    assert_named((struct rule_options){.query = "s"}, "/?s=%2", "", "%2");
}

static void query_with_a_service_is_a_condition(void **state)
{
    (void)state;
    struct rule_options rule = {.query = "debug", .service = "debugging"};
    assert_named(rule, "/?debug=1", "", "debugging");
    assert_none(rule, "/?debug=", "");
    assert_none(rule, "/?debug", "");
}

static void path_is_a_prefix_on_a_segment_boundary(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/api/billing", .service = "billing"};
    assert_named(rule, "/api/billing", "", "billing");
    assert_named(rule, "/api/billing/", "", "billing");
    assert_named(rule, "/api/billing/x", "", "billing");
    assert_named(rule, "/api/billing?q", "", "billing");
    assert_named(rule, "http://h/api/billing#f", "", "billing");
    assert_none(rule, "/api/billing2", "");
    assert_none(rule, "/api", "");
    assert_none(rule, "/x/api/billing", "");
    assert_none(rule, "h:443", "");
}

static void paths_are_compared_as_written(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/api/billing", .service = "billing"};
    assert_none(rule, "/api%2Fbilling", "");
    assert_none(rule, "/api/%62illing", "");
    assert_none(rule, "/API/billing", "");
    assert_none(rule, "//api/billing", "");
    assert_none(rule, "/api/./billing", "");
    assert_named((struct rule_options){.path = "/%62", .service = "b"}, "/%62/", "", "b");
    assert_named((struct rule_options){.path = "/a//b", .service = "b"}, "/a//b", "", "b");
}

static void a_slash_at_the_end_makes_no_difference(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/tenants/{service}/"};
    assert_named(rule, "/tenants/a", "", "a");
    assert_named(rule, "/tenants/a/", "", "a");
    assert_named(rule, "/tenants/a/x", "", "a");
    assert_none(rule, "/tenants", "");
    assert_none(rule, "/tenants/", "");
    assert_none(rule, "/tenants//x", "");
}

static void the_root_takes_every_path(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/", .service = "all"};
    assert_named(rule, "/", "", "all");
    assert_named(rule, "//", "", "all");
    assert_named(rule, "http://h", "", "all");
    assert_none(rule, "*", "");
    assert_none(rule, "h:443", "");
}

static void a_path_may_have_64_segments(void **state)
{
    (void)state;
    char text[2 * 64 + 1] = "";
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = "/a"[i % 2];
    assert_named((struct rule_options){.path = text, .service = "x"}, text, "", "x");
}

static void a_segment_names_the_service_decoded(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/t/{service}/x"};
    assert_named(rule, "/t/%61+b/x", "", "a+b");
    assert_named(rule, "/t/%61-b/x?q", "", "a-b");
    assert_none(rule, "/t/a/y", "");
    assert_none(rule, "/t/a", "");
}

static void hosts_are_exact_below_or_a_label(void **state)
{
    (void)state;
    struct rule_options exact = {.host = "a.b", .service = "x"};
    assert_named(exact, "/", "a.b", "x");
    assert_none(exact, "/", "c.a.b");
    assert_none(exact, "/", "");

    struct rule_options below = {.host = "*.b", .service = "x"};
    assert_named(below, "/", "a.b", "x");
    assert_named(below, "/", "c.a.b", "x");
    assert_none(below, "/", "b");
    assert_none(below, "/", ".b");
    assert_none(below, "/", "ab");

    struct rule_options label = {.host = "{service}.b"};
    assert_named(label, "/", "a.b", "a");
    assert_none(label, "/", "c.a.b");
    assert_none(label, "/", ".b");
    assert_none(label, "/", "b");
}

static void hosts_are_without_case_port_and_last_dot(void **state)
{
    (void)state;
    assert_named((struct rule_options){.host = "A.b.", .service = "x"}, "/", "a.B:80", "x");
    assert_named((struct rule_options){.host = "a.b", .service = "x"}, "/", " a.b. ", "x");
    assert_named((struct rule_options){.host = "{service}.B"}, "/", "ALICE.b.:80", "alice");
    assert_named((struct rule_options){.host = "[::A]", .service = "x"}, "/", "[::a]:80", "x");
}

static void the_targets_host_comes_first(void **state)
{
    (void)state;
    struct rule_options rule = {.host = "{service}.b"};
    assert_named(rule, "http://u@target.b:80/x", "header.b", "target");
    assert_named(rule, "target.b:443", "header.b", "target");
    assert_none(rule, "http://other/x", "header.b");
    assert_named(rule, "http:///x", "header.b", "header");
    assert_named(rule, "*", "header.b", "header");
}

static void a_host_longer_than_hosts_are_is_none(void **state)
{
    (void)state;
    char host[258];
    memset(host, 'a', sizeof(host));
    strcpy(host + sizeof(host) - 3, ".b"); /* 257 bytes */
    struct rule_options rule = {.host = "*.b", .service = "x"};
    assert_named(rule, "/", host + 2, "x");
    assert_none(rule, "/", host + 1);
}

static void all_conditions_must_hold(void **state)
{
    (void)state;
    struct rule_options rule = {.query = "q", .path = "/img", .host = "*.b", .service = "x"};
    assert_named(rule, "/img/1?q=1", "a.b", "x");
    assert_none(rule, "/img/1?q=", "a.b");
    assert_none(rule, "/i?q=1", "a.b");
    assert_none(rule, "/img?q=1", "b");
}

static void a_rule_without_conditions_takes_all(void **state)
{
    (void)state;
    struct rule_options rule = {.service = "rest"};
    assert_named(rule, "*", "", "rest");
    assert_named(rule, "", "", "rest");
}

static void the_first_rule_that_matches_wins(void **state)
{
    (void)state;
    const struct rule_options rules[] = {
        {.path = "/a/b", .host = "h", .service = "0"},
        {.query = "s"},
        {.path = "/a/{service}"},
        {.path = "/a", .service = "3"},
        {.service = "4"},
    };
    AUTO(rule_set_free) struct rule_set *set = rules_compiled(rules, 5);
    struct service_name name;
    assert_int_equal(rules_match(set, BYTES("/a/b?s=x"), BYTES("h"), &name), 0);
    assert_int_equal(rules_match(set, BYTES("/a/b?s=x"), BYTES(""), &name), 1);
    assert_int_equal(rules_match(set, BYTES("/a/b"), BYTES(""), &name), 2);
    assert_int_equal(rules_match(set, BYTES("/a/"), BYTES(""), &name), 3);
    assert_int_equal(rules_match(set, BYTES("/"), BYTES(""), &name), 4);
}

static void no_rules_match_nothing(void **state)
{
    (void)state;
    AUTO(rule_set_free) struct rule_set *set = rules_compiled(NULL, 0);
    struct service_name name;
    assert_int_equal(rules_match(set, BYTES("/?s=a"), BYTES("h"), &name), RULE_NONE);
}

static void long_values_keep_their_names_apart(void **state)
{
    (void)state;
    char target[2][10000];
    struct service_name name[2];
    struct rule_options rule = {.query = "s"};
    AUTO(rule_set_free) struct rule_set *set = rules_compiled(&rule, 1);
    for (int i = 0; i < 2; i++) {
        memset(target[i], 'x', sizeof(target[i]));
        memcpy(target[i], "/?s=", 4);
        target[i][sizeof(target[i]) - 1] = (char)('a' + i);
        assert_int_equal(
            rules_match(set, bytes_make(target[i], sizeof(target[i])), BYTES(""), &name[i]), 0);
    }
    assert_string_not_equal(name[0].text, name[1].text);
}

static void assert_described(struct rule_options rule, const char *expected)
{
    AUTO(rule_set_free) struct rule_set *set = rules_compiled(&rule, 1);
    AUTO(text_deinit) struct text t = {0};
    rule_set_describe(set, 0, &t);
    assert_string_equal(t.data, expected);
}

static void rules_are_described_as_the_config_writes_them(void **state)
{
    (void)state;
    assert_described((struct rule_options){.query = "s"}, "{ query = \"s\"; }");
    assert_described((struct rule_options){.service = "rest"}, "{ service = \"rest\"; }");
    assert_described((struct rule_options){.path = "/", .service = "a"},
                     "{ path = \"/\"; service = \"a\"; }");
    assert_described((struct rule_options){.path = "/t/{service}/", .host = "*.A.b."},
                     "{ host = \"*.a.b\"; path = \"/t/{service}\"; }");
    assert_described((struct rule_options){.host = "{service}.a", .query = NULL},
                     "{ host = \"{service}.a\"; }");
}

/* A sanitizer's memrchr() looks at all it might have to, which is quadratic. */
#ifndef __SANITIZE_ADDRESS__
static double seconds_to_match(const struct rule_set *set, struct bytes target)
{
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        struct timespec start, end;
        struct service_name name;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
        rules_match(set, target, BYTES("a.b"), &name);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        double seconds =
            (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
        best = MIN(best, seconds);
    }
    return best;
}

static void hostile_requests_cost_linear_time(void **state)
{
    (void)state;
    const struct rule_options rules[] = {
        {.query = "s", .path = "/x"}, {.path = "/{service}/a/b"},        {.path = "/a/{service}/b"},
        {.host = "{service}.b"},      {.host = "*.c.b", .service = "x"},
    };
    const char *units[] = {
        "/", "/a", "&", "s&", "s=&", "=", "%", "%73=", "+", ".", "a.", ":", "@", "#", "?"};
    const char *fronts[] = {"/", "/x?", "http://", "", "/?s="};
    AUTO(rule_set_free) struct rule_set *set = rules_compiled(rules, ARRAY_SIZE(rules));
    uint8_t *text = malloc(RULES_TARGET_MAX);
    assert_non_null(text);

    for (size_t i = 0; i < ARRAY_SIZE(units) * ARRAY_SIZE(fronts); i++) {
        const char *unit = units[i % ARRAY_SIZE(units)], *front = fronts[i / ARRAY_SIZE(units)];
        for (size_t at = 0; at < RULES_TARGET_MAX; at++)
            text[at] = (uint8_t)(at < strlen(front) ? front[at]
                                                    : unit[(at - strlen(front)) % strlen(unit)]);
        double small = seconds_to_match(set, bytes_make(text, RULES_TARGET_MAX / 16));
        double large = seconds_to_match(set, bytes_make(text, RULES_TARGET_MAX));
        if (large > 64 * small && large > 0.01) /* linear: 16, quadratic: 256 */
            fail_msg("\"%s\" and many \"%s\": %g s, of 16 times as many %g s", front, unit, small,
                     large);
    }
    free(text);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query_names_the_service),
        cmocka_unit_test(the_last_value_wins_even_if_empty),
        cmocka_unit_test(query_is_decoded_as_a_form),
        cmocka_unit_test(query_with_a_service_is_a_condition),
        cmocka_unit_test(path_is_a_prefix_on_a_segment_boundary),
        cmocka_unit_test(paths_are_compared_as_written),
        cmocka_unit_test(a_slash_at_the_end_makes_no_difference),
        cmocka_unit_test(the_root_takes_every_path),
        cmocka_unit_test(a_path_may_have_64_segments),
        cmocka_unit_test(a_segment_names_the_service_decoded),
        cmocka_unit_test(hosts_are_exact_below_or_a_label),
        cmocka_unit_test(hosts_are_without_case_port_and_last_dot),
        cmocka_unit_test(the_targets_host_comes_first),
        cmocka_unit_test(a_host_longer_than_hosts_are_is_none),
        cmocka_unit_test(all_conditions_must_hold),
        cmocka_unit_test(a_rule_without_conditions_takes_all),
        cmocka_unit_test(the_first_rule_that_matches_wins),
        cmocka_unit_test(no_rules_match_nothing),
        cmocka_unit_test(long_values_keep_their_names_apart),
        cmocka_unit_test(rules_are_described_as_the_config_writes_them),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(hostile_requests_cost_linear_time),
#endif
    };
    return cmocka_run_group_tests(tests, rules_begin, rules_end);
}
