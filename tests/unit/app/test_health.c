#include "app/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct lab {
    uv_loop_t loop;
    struct settings_outputs settings;
    struct outputs *outputs;
    struct ledger *ledger;
    struct health *health;
};

static void take_due(void *context)
{
    (void)context;
}

static struct lab lab;

static int begin(void **state)
{
    (void)state;
    lab = (struct lab){0};
    settings_outputs_init(&lab.settings);
    uv_loop_init(&lab.loop);
    outputs_new(&lab.outputs, &lab.loop,
                &(struct outputs_options){.settings = &lab.settings, .due = take_due});
    ledger_new(&lab.ledger, &(struct ledger_options){.services_max = 4});
    return 0;
}

static int end(void **state)
{
    (void)state;
    health_free(lab.health);
    ledger_free(lab.ledger);
    outputs_close(lab.outputs);
    uv_run(&lab.loop, UV_RUN_DEFAULT);
    settings_outputs_deinit(&lab.settings);
    return uv_loop_close(&lab.loop);
}

static void move(struct interface_counts delta)
{
    ledger_restore_interface(lab.ledger, "eth0", &delta, 0);
}

static void sample_at(uint64_t seconds)
{
    health_sample(lab.health, lab.ledger, lab.outputs, seconds * 1000000000);
}

static void assert_judged(uint64_t seconds, const char *problems)
{
    AUTO(problems_deinit) struct problems p = {0};
    health_judge(lab.health, lab.ledger, lab.outputs, seconds * 1000000000, &p);
    assert_string_equal(p.text.data ? p.text.data : "", problems);
    assert_int_equal(p.count > 0, *problems != '\0');
}

static void start_at(uint64_t seconds)
{
    assert_int_equal(health_new(&lab.health, lab.ledger, lab.outputs, seconds * 1000000000), 0);
}

static void nothing_lost_is_healthy(void **state)
{
    (void)state;
    start_at(100);
    move((struct interface_counts){.tcp_bytes = 5, .not_http_bytes = 5, .gaps = 1});
    assert_judged(100, "");
    assert_judged(400, "");
}

static void what_is_lost_is_said_with_what_helps(void **state)
{
    (void)state;
    start_at(100);
    move((struct interface_counts){.ring_drops = 12});
    assert_judged(110, "\"eth0: in the last 10 s 12 packets were missed: raise ring.size\",");
    move((struct interface_counts){.sessions_evicted = 1, .services_folded = 2});
    assert_judged(
        111, "\"eth0: in the last 11 s 12 packets were missed: raise ring.size\","
             "\"eth0: in the last 11 s 1 connections were given up early: raise sessions.max\","
             "\"eth0: in the last 11 s 2 requests went to _other: raise services.max\",");
}

static void what_was_lost_long_ago_is_forgotten(void **state)
{
    (void)state;
    move((struct interface_counts){.ring_drops = 1000}); /* of an agent before */
    start_at(100);
    assert_judged(101, "");
    move((struct interface_counts){.ring_drops = 1});
    sample_at(130);
    assert_judged(131, "\"eth0: in the last 31 s 1 packets were missed: raise ring.size\",");
    sample_at(160);
    assert_judged(161, "");
}

static void books_that_do_not_balance_are_said(void **state)
{
    (void)state;
    start_at(100);
    move((struct interface_counts){.tcp_bytes = 7});
    assert_judged(100, "\"eth0: the books don't balance: 7 bytes are missing\",");
}

static void samples_are_due_now_and_then(void **state)
{
    (void)state;
    start_at(100);
    assert_false(health_is_due(lab.health, 129 * 1000000000ull));
    assert_true(health_is_due(lab.health, 130 * 1000000000ull));
    sample_at(130);
    assert_false(health_is_due(lab.health, 131 * 1000000000ull));
}

static void an_interface_that_came_later_counts_from_nothing(void **state)
{
    (void)state;
    start_at(100);
    struct interface_counts c = {.ring_drops = 3};
    ledger_restore_interface(lab.ledger, "new0", &c, 0);
    assert_judged(101, "\"new0: in the last 1 s 3 packets were missed: raise ring.size\",");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_lost_is_healthy, begin, end),
        cmocka_unit_test_setup_teardown(what_is_lost_is_said_with_what_helps, begin, end),
        cmocka_unit_test_setup_teardown(what_was_lost_long_ago_is_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(books_that_do_not_balance_are_said, begin, end),
        cmocka_unit_test_setup_teardown(samples_are_due_now_and_then, begin, end),
        cmocka_unit_test_setup_teardown(an_interface_that_came_later_counts_from_nothing, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
