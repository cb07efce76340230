#include "app/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct rule_options rules[] = {
    {.query = "s"},
    {.path = "/api", .host = "a.example", .service = "api"},
    {.path = "/api/{service}"},
};

static struct text explained(const char *target, const char *host, bool json)
{
    struct rule_error error;
    AUTO(rule_set_free) struct rule_set *set = NULL;
    assert_int_equal(rule_set_new(&set, rules, ARRAY_SIZE(rules), &error), 0);
    const struct rule_request r = {bytes_from_string(target), bytes_from_string(host)};
    struct text t = {0};
    assert_int_equal(json ? explain_as_json(&t, set, &r) : explain_for_people(&t, set, &r), 0);
    assert_false(text_failed(&t));
    return t;
}

static void assert_said(const char *target, const char *host, const char *words)
{
    AUTO(text_deinit) struct text t = explained(target, host, false);
    if (!strstr(t.data, words))
        fail_msg("no \"%s\" in:\n%s", words, t.data);
}

static void each_rule_is_on_a_line(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = explained("/api/x", "A.example:80", false);
    assert_string_equal(
        t.data, "host     A.example\n"
                "path     /api/x\n"
                "query    -\n"
                "rule 1   { query = \"s\"; }  no: the query has no such parameter, or it is "
                "empty\n"
                "rule 2   { host = \"a.example\"; path = \"/api\"; service = \"api\"; }  "
                "takes it\n"
                "rule 3   { path = \"/api/{service}\"; }  would take it, but rule 2 is "
                "before\n"
                "service  api\n");
}

static void the_first_condition_that_fails_is_named(void **state)
{
    (void)state;
    assert_said("/api/x", "b.example", "no: it is another host\n");
    assert_said("/x", "a.example", "service = \"api\"; }  no: it is another path\n");
    assert_said("http://a.example/x", "b.example", "host     a.example\n");
    assert_said("/x", "", "host     -\n");
}

static void the_service_is_said_as_it_will_be_called(void **state)
{
    (void)state;
    assert_said("/x", "", "service  _unspecified  (no rule takes it)\n");
    assert_said("/?s=yo", "", "service  yo\n");
    assert_said("/?s=a+b", "", "  (the name was not fit: what it was is in the hash)\n");
    assert_said("/?s=_other", "", "service  _other__");
}

static void no_text_of_a_request_acts_on_the_terminal(void **state)
{
    (void)state;
    assert_said("/\033[2J", "\033]0;x\007", "path     /\\x1b[2J\n");
    assert_said("/", "\033]0;x\007", "host     \\x1b]0;x\\x07\n");
}

static void programs_get_the_same_as_json(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = explained("/api/x?s=a+b", "b.example", true);
    assert_string_equal(
        t.data, "{\"service\":\"a_b__f8a624582c4c\",\"changed\":true,\"rule\":1,\"rules\":["
                "{\"rule\":1,\"text\":\"{ query = \\\"s\\\"; }\",\"verdict\":\"takes\"},"
                "{\"rule\":2,\"text\":\"{ host = \\\"a.example\\\"; path = \\\"/api\\\"; service = "
                "\\\"api\\\"; }\",\"verdict\":\"host\"},"
                "{\"rule\":3,\"text\":\"{ path = \\\"/api/{service}\\\"; }\",\"verdict\":\"too "
                "late\"}]}\n");
    AUTO(text_deinit) struct text none = explained("/", "", true);
    assert_non_null(
        strstr(none.data, "{\"service\":\"_unspecified\",\"changed\":false,\"rule\":null,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_is_on_a_line),
        cmocka_unit_test(the_first_condition_that_fails_is_named),
        cmocka_unit_test(the_service_is_said_as_it_will_be_called),
        cmocka_unit_test(no_text_of_a_request_acts_on_the_terminal),
        cmocka_unit_test(programs_get_the_same_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
