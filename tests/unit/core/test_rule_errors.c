#include "core/rule.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/rules.h"

static void assert_error(const struct rule_options *rules, size_t count, const char *message)
{
    struct rule_set *set = NULL;
    struct rule_error error = {.rule = 99};
    assert_int_equal(rule_set_new(&set, rules, count, &error), -EINVAL);
    assert_null(set);
    assert_string_equal(error.message, message);
    assert_int_equal(error.rule, count - 1);
}

static void assert_malformed(struct rule_options rule, const char *message)
{
    assert_error(&rule, 1, message);
}

static void malformed_rules_are_errors(void **state)
{
    (void)state;
    assert_malformed((struct rule_options){.query = ""}, "query is empty: \"\"");
    assert_malformed((struct rule_options){.query = "a\n"},
                     "query has a control character: \"a\\x0a\"");
    assert_malformed((struct rule_options){.path = "", .service = "x"},
                     "path does not begin with \"/\": \"\"");
    assert_malformed((struct rule_options){.path = "api", .service = "x"},
                     "path does not begin with \"/\": \"api\"");
    assert_malformed((struct rule_options){.path = "/\x7f", .service = "x"},
                     "path has a control character: \"/\\x7f\"");
    assert_malformed((struct rule_options){.path = "/a?b", .service = "x"},
                     "path has a blank, \"?\" or \"#\", which is never part of one: \"/a?b\"");
    assert_malformed((struct rule_options){.path = "/a{service}/"},
                     "braces in a path: only a whole segment \"{service}\": \"/a{service}/\"");
    assert_malformed((struct rule_options){.path = "/{tenant}", .service = "x"},
                     "braces in a path: only a whole segment \"{service}\": \"/{tenant}\"");
    assert_malformed((struct rule_options){.service = "_other"},
                     "service is not 1 to 64 of \"A-Za-z0-9._-\", or looks like one of the agent's "
                     "own: \"_other\"");
    assert_malformed((struct rule_options){.service = ""},
                     "service is not 1 to 64 of \"A-Za-z0-9._-\", or looks like one of the agent's "
                     "own: \"\"");
}

static void malformed_hosts_are_errors(void **state)
{
    (void)state;
    const char *hosts[] = {"",     "*",   "*.",    "a.*",       ".b",         "a..b",
                           "a:80", "a b", "*b",    "*.*.b",     "[::1]:80",   "a.{service}",
                           "[]",   "a/b", "a.b..", "{service}", "{service}b", "*.[::1]"};
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        char message[256];
        snprintf(message, sizeof(message),
                 "host is not a name like \"a.b\", \"*.b\", \"{service}.b\" or \"[::1]\", without "
                 "port: \"%s\"",
                 hosts[i]);
        assert_malformed((struct rule_options){.host = hosts[i], .service = "x"}, message);
    }
}

static void conditions_that_are_too_long_are_errors(void **state)
{
    (void)state;
    char text[300];
    char message[512];
    memset(text, 'a', sizeof(text));
    text[256] = '\0';
    snprintf(message, sizeof(message), "query is longer than 255 bytes: \"%.80s...\"", text);
    assert_malformed((struct rule_options){.query = text}, message);
    snprintf(message, sizeof(message), "host is longer than 255 bytes: \"%.80s...\"", text);
    assert_malformed((struct rule_options){.host = text, .service = "x"}, message);
    for (size_t i = 0; i < 2 * 65; i++)
        text[i] = "/a"[i % 2];
    text[2 * 65] = '\0';
    snprintf(message, sizeof(message), "path has more than 64 segments: \"%.80s...\"", text);
    assert_malformed((struct rule_options){.path = text, .service = "x"}, message);
}

static void the_service_is_named_exactly_once(void **state)
{
    (void)state;
    assert_malformed((struct rule_options){.path = "/a"},
                     "rule without service, query or {service}: { path = \"/a\"; }");
    assert_malformed((struct rule_options){0}, "rule without service, query or {service}: { }");
    assert_malformed((struct rule_options){.path = "/{service}", .service = "x"},
                     "rule that names its service more than once: "
                     "{ path = \"/{service}\"; service = \"x\"; }");
    assert_malformed((struct rule_options){.path = "/{service}/{service}"},
                     "rule that names its service more than once: "
                     "{ path = \"/{service}/{service}\"; }");
    assert_malformed((struct rule_options){.query = "s", .host = "{service}.b"},
                     "rule that names its service more than once: "
                     "{ query = \"s\"; host = \"{service}.b\"; }");
}

static void rules_that_never_match_are_errors(void **state)
{
    (void)state;
    const struct rule_options pairs[][2] = {
        {{.query = "s"}, {.query = "s"}},
        {{.query = "s"}, {.query = "s", .path = "/a", .service = "x"}},
        {{.service = "x"}, {.host = "a"}},
        {{.path = "/", .service = "x"}, {.query = "s"}},
        {{.path = "/a/", .service = "x"}, {.path = "/a", .service = "y"}},
        {{.path = "/a", .service = "x"}, {.path = "/a/b", .service = "y"}},
        {{.path = "/{service}"}, {.path = "/a/b", .service = "y"}},
        {{.host = "*.b", .service = "x"}, {.host = "A.b", .service = "y"}},
        {{.host = "*.b", .service = "x"}, {.host = "*.a.b", .service = "y"}},
        {{.host = "*.b", .service = "x"}, {.host = "{service}.b"}},
        {{.host = "{service}.b"}, {.host = "a.b", .service = "y"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct rule_options rules[2] = {pairs[i][0], pairs[i][1]};
        if (rules[1].host && !rules[1].service && !strstr(rules[1].host, "{service}"))
            rules[1].service = "y";
        struct rule_set *set;
        struct rule_error error;
        assert_int_equal(rule_set_new(&set, rules, 2, &error), -EINVAL);
        assert_int_equal(error.rule, 1);
        assert_memory_equal(error.message, "rule that never matches, for rule 1 takes", 41);
    }
    assert_error((const struct rule_options[]){{.query = "s"}, {.query = "s", .path = "/a"}}, 2,
                 "rule that never matches, for rule 1 takes all it would: "
                 "{ query = \"s\"; path = \"/a\"; }");
}

static void rules_that_may_match_are_not_errors(void **state)
{
    (void)state;
    const struct rule_options rules[] = {
        {.query = "s"},
        {.query = "t", .path = "/a", .service = "x"},
        {.path = "/a/{service}/c"},
        {.path = "/a/b", .service = "x"},
        {.path = "/a/{service}"},
        {.path = "/a//x", .service = "x"},
        {.path = "/a", .service = "x"},
        {.path = "/ab", .service = "x"},
        {.host = "a.b", .service = "x"},
        {.host = "{service}.b"},
        {.host = "c.a.b", .service = "x"},
        {.host = "*.b", .service = "x"},
        {.host = "b", .service = "x"},
        {.host = "bab", .service = "x"},
        {.path = "/", .service = "x"},
        {.service = "x"},
    };
    rule_set_free(rules_compiled(rules, ARRAY_SIZE(rules)));
}

static void too_many_rules_are_an_error(void **state)
{
    (void)state;
    struct rule_options *rules = calloc(RULES_MAX + 1, sizeof(*rules));
    char(*paths)[16] = calloc(RULES_MAX + 1, sizeof(*paths));
    assert_non_null(rules);
    assert_non_null(paths);
    for (size_t i = 0; i <= RULES_MAX; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/%zu", i);
        rules[i] = (struct rule_options){.path = paths[i], .service = "x"};
    }
    assert_error(rules, RULES_MAX + 1, "more than 10000 rules");
    rule_set_free(rules_compiled(rules, RULES_MAX));
    free(rules);
    free(paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_rules_are_errors),
        cmocka_unit_test(malformed_hosts_are_errors),
        cmocka_unit_test(conditions_that_are_too_long_are_errors),
        cmocka_unit_test(the_service_is_named_exactly_once),
        cmocka_unit_test(rules_that_never_match_are_errors),
        cmocka_unit_test(rules_that_may_match_are_not_errors),
        cmocka_unit_test(too_many_rules_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
