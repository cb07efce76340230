#include "app/control_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/guard.h"

static struct guard guard;

static struct control_request parsed(const char *line)
{
    AUTO(text_deinit) struct text error = {0};
    struct control_request r;
    if (!control_request_parse(&r, guard_copy(&guard, bytes_from_string(line)), &error))
        fail_msg("%s: %s", line, error.data);
    return r;
}

static void assert_wrong(const char *line, const char *words)
{
    AUTO(text_deinit) struct text error = {0};
    struct control_request r;
    if (control_request_parse(&r, guard_copy(&guard, bytes_from_string(line)), &error))
        fail_msg("%s is taken", line);
    if (!strstr(error.data, words))
        fail_msg("%s: %s", line, error.data);
}

static void assert_verb(const char *line, enum control_verb verb)
{
    AUTO(control_request_deinit) struct control_request r = parsed(line);
    assert_int_equal(r.verb, verb);
}

static void each_request_is_known(void **state)
{
    (void)state;
    assert_verb("{\"get\":\"status\"}", CONTROL_GET_STATUS);
    assert_verb(" { \"get\" : \"totals\" } ", CONTROL_GET_TOTALS);
    assert_verb("{\"watch\":\"totals\"}", CONTROL_WATCH_TOTALS);
    assert_verb("{\"do\":\"reload\"}", CONTROL_DO_RELOAD);
    assert_verb("{\"url\":\"/\",\"get\":\"rules\"}", CONTROL_GET_RULES);
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    AUTO(control_request_deinit) struct control_request r = parsed("{\"watch\":\"totals\"}");
    assert_int_equal(r.interval_ms, 1000);
    assert_int_equal(r.services_max, CONTROL_SERVICES_MAX);
}

static void numbers_are_taken_within_their_bounds(void **state)
{
    (void)state;
    AUTO(control_request_deinit)
    struct control_request r = parsed("{\"watch\":\"totals\",\"interval\":0.1,\"services\":0}");
    assert_int_equal(r.interval_ms, 100);
    assert_int_equal(r.services_max, 0);
    assert_wrong("{\"watch\":\"totals\",\"interval\":0.09}", "interval must be");
    assert_wrong("{\"watch\":\"totals\",\"interval\":3600.1}", "interval must be");
    assert_wrong("{\"watch\":\"totals\",\"interval\":-1}", "interval must be");
    assert_wrong("{\"watch\":\"totals\",\"interval\":1e300}", "interval must be");
    assert_wrong("{\"watch\":\"totals\",\"interval\":\"1\"}", "Expected real or integer");
    assert_wrong("{\"get\":\"totals\",\"services\":-1}", "services must be");
    assert_wrong("{\"get\":\"totals\",\"services\":10001}", "services must be");
    assert_wrong("{\"get\":\"totals\",\"services\":1.5}", "Expected integer");
    assert_wrong("{\"get\":\"totals\",\"services\":99999999999999999999}", "too big integer");
}

static void rules_are_asked_for_a_url_and_a_host(void **state)
{
    (void)state;
    AUTO(control_request_deinit)
    struct control_request r = parsed("{\"get\":\"rules\",\"url\":\"/\\u00e4\",\"host\":\"a.b\"}");
    assert_true(bytes_equal(r.url, BYTES("/\xc3\xa4")));
    assert_true(bytes_equal(r.host, BYTES("a.b")));
    AUTO(control_request_deinit)
    struct control_request alone = parsed("{\"get\":\"rules\",\"url\":\"\"}");
    assert_int_equal(alone.url.size + alone.host.size, 0);
    assert_wrong("{\"get\":\"rules\"}", "url");
    assert_wrong("{\"get\":\"rules\",\"url\":7}", "Expected string");
    assert_wrong("{\"get\":\"rules\",\"url\":\"a\\u0000b\"}", "\\u0000");
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {"",
                                        "x",
                                        "{",
                                        "{}",
                                        "[]",
                                        "7",
                                        "null",
                                        "\"get\"",
                                        "{}{}",
                                        "{\"get\":7}",
                                        "{\"get\":\"x\"}",
                                        "{\"put\":\"status\"}",
                                        "{\"do\":\"totals\"}",
                                        "{'get':'status'}",
                                        "{\"get\":\"\xff\"}",
                                        "{\"get\":\"status\"} x"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_wrong(lines[i], "");
    assert_wrong("{\"get\":\"status\",\"get\":\"totals\"}", "duplicate");
    assert_wrong("{\"get\":\"status\",\"interval\":1}", "interval");
    assert_wrong("{\"get\":\"status\",\"more\":1}", "more");
    assert_wrong("{\"get\":\"status\",\"do\":\"reload\"}", "do");
    assert_wrong("{\"do\":\"reload\",\"services\":1}", "services");
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    char line[8000];
    for (size_t i = 0; i < sizeof(line) - 1; i++)
        line[i] = '[';
    line[sizeof(line) - 1] = '\0';
    assert_wrong(line, "depth");
}

/* Every cut of a good line, and every changed byte, is taken or refused. */
static void damaged_lines_do_no_harm(void **state)
{
    (void)state;
    static const char good[] = "{\"watch\":\"totals\",\"interval\":1.5,\"services\":20}";
    for (size_t cut = 0; cut < sizeof(good) - 1; cut++) {
        AUTO(text_deinit) struct text error = {0};
        struct control_request r;
        assert_false(control_request_parse(&r, guard_copy(&guard, bytes_make(good, cut)), &error));
    }
    for (size_t at = 0; at < sizeof(good) - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            AUTO(text_deinit) struct text error = {0};
            char line[sizeof(good)];
            memcpy(line, good, sizeof(good));
            line[at] = (char)byte;
            struct control_request r;
            if (control_request_parse(&r, guard_copy(&guard, bytes_make(line, sizeof(good) - 1)),
                                      &error))
                control_request_deinit(&r);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_is_known),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(numbers_are_taken_within_their_bounds),
        cmocka_unit_test(rules_are_asked_for_a_url_and_a_host),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(damaged_lines_do_no_harm),
    };
    guard_init(&guard, 1 << 16);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_deinit(&guard);
    return failed;
}
