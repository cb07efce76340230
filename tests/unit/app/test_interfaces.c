/*
 * What is watched follows what is there. With real interfaces, in a network
 * namespace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/interfaces.h"
#include "support/shell.h"
#include "support/skip.h"

enum { PATIENCE_MS = 60000, PAUSE_MS = 20, MANY = 9, ROUNDS_MAX = 60 };

static struct fixture {
    uv_loop_t loop;
    uv_timer_t ticks;
    unsigned ticks_left;
    struct rule_set *rules;
    struct interfaces *interfaces;
    unsigned reports; /* since the last question */
    unsigned last_reports;
    unsigned reports_awaited;
    unsigned answers;
    unsigned ends;
} f;

static void on_report(void *context, const struct report *r)
{
    (void)context;
    assert_non_null(r->interface);
    f.reports++;
    f.last_reports += r->last;
}

static void on_answered(void *context)
{
    (void)context;
    f.answers++;
}

static void on_ended(void *context)
{
    (void)context;
    f.ends++;
}

static void on_lines(void *context, const struct text *lines)
{
    (void)context;
    (void)lines;
}

static struct interfaces_wish wish_for(const char *name, unsigned workers)
{
    static struct settings_interface configured;
    strcpy(configured.name, name);
    configured.workers = workers;
    const struct settings s = {.interface_count = 1, .interfaces = &configured};
    struct interfaces_wish wish = {
        .engine = {.rules = f.rules,
                   .session_timeout_ns = 1000000000,
                   .sessions_max = 100,
                   .services_max = 10},
        .offload = true,
        .workers = 1,
    };
    assert_int_equal(watch_list_new(&wish.list, NULL, 0, &s), 0);
    return wish;
}

static int begin(void **state)
{
    (void)state;
    f = (struct fixture){0};
    const struct rule_options rule = {.query = "s"};
    struct rule_error error;
    assert_int_equal(rule_set_new(&f.rules, &rule, 1, &error), 0);
    assert_int_equal(uv_loop_init(&f.loop), 0);
    assert_int_equal(uv_timer_init(&f.loop, &f.ticks), 0);
    return interfaces_new(&f.interfaces, &f.loop,
                          &(struct interfaces_options){
                              .form = CONSOLE_NONE,
                              .lines = on_lines,
                              .report = on_report,
                              .answered = on_answered,
                              .ended = on_ended,
                          });
}

static int end(void **state)
{
    (void)state;
    f.interfaces = interfaces_close(f.interfaces);
    uv_close((uv_handle_t *)&f.ticks, NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    rule_set_free(f.rules);
    shell("for i in 0 1 2 3 4 5 6 7 8 9; do ip link del u$i 2>/dev/null; done; true");
    return uv_loop_close(&f.loop);
}

/* Ask until so many reports come in one round. */
static void on_tick(uv_timer_t *timer)
{
    if (f.reports == f.reports_awaited || f.ticks_left-- == 0) {
        uv_timer_stop(timer);
        uv_stop(timer->loop);
        return;
    }
    f.reports = 0;
    if (!interfaces_are_asked(f.interfaces))
        interfaces_ask(f.interfaces);
}

static void await_reports(unsigned count)
{
    f.reports = count + 1;
    f.reports_awaited = count;
    f.ticks_left = PATIENCE_MS / PAUSE_MS;
    uv_timer_start(&f.ticks, on_tick, 0, PAUSE_MS);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.reports, count);
}

static void on_patience(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("waited too long");
}

static void await(const unsigned *counter, unsigned count)
{
    uv_timer_start(&f.ticks, on_patience, PATIENCE_MS, 0);
    while (*counter < count)
        uv_run(&f.loop, UV_RUN_ONCE);
    uv_timer_stop(&f.ticks);
    assert_int_equal(*counter, count);
}

static void start(const char *name, unsigned workers)
{
    const struct interfaces_wish wish = wish_for(name, workers);
    assert_int_equal(interfaces_start(f.interfaces, &wish), 0);
    interfaces_announce(f.interfaces);
}

static void with_nothing_to_watch_a_question_is_answered_at_once(void **state)
{
    (void)state;
    start("u0", 1);
    interfaces_ask(f.interfaces);
    assert_int_equal(f.answers, 1);
    assert_false(interfaces_are_asked(f.interfaces));
    interfaces_stop(f.interfaces);
    assert_int_equal(f.ends, 1);
}

static void each_share_answers_and_ends_once(void **state)
{
    (void)state;
    shell("ip link add u0 type veth peer name v0 && ip link set u0 up");
    start("u0", 3);
    assert_int_equal(interfaces_shares_max(f.interfaces), 3);
    interfaces_ask(f.interfaces);
    await(&f.answers, 1);
    assert_int_equal(f.reports, 3);
    interfaces_stop(f.interfaces);
    await(&f.ends, 1);
    assert_int_equal(f.reports, 6);
    assert_int_equal(f.last_reports, 3);
}

static void what_comes_is_watched_until_it_goes(void **state)
{
    (void)state;
    start("u?", 2);
    shell("ip link add u0 type veth peer name v0 && ip link set u0 up");
    await_reports(2);
    shell("ip link add u1 type veth peer name v1 && ip link set u1 up");
    await_reports(4);
    shell("ip link del u0");
    await(&f.last_reports, 2);
    await_reports(2);
    interfaces_stop(f.interfaces);
    await(&f.ends, 1);
    assert_int_equal(f.last_reports, 4);
}

/* More than begin in one turn. */
static void many_that_come_at_once_are_all_watched(void **state)
{
    (void)state;
    start("u*", 1);
    shell("for i in 1 2 3 4 5 6 7 8 9; do echo link add u$i up type veth peer name v$i; done"
          " | ip -batch -");
    await_reports(MANY);
}

/* The answer of a watch that is leaving is its last report. */
static void a_question_is_answered_though_what_was_asked_goes(void **state)
{
    (void)state;
    shell("ip link add u0 type veth peer name v0 && ip link set u0 up");
    start("u0", 2);
    for (unsigned n = 1; n <= 5; n++) {
        shell("ip link del u0");
        for (unsigned k = 0; k < 40; k++) {
            if (!interfaces_are_asked(f.interfaces))
                interfaces_ask(f.interfaces);
            uv_run(&f.loop, UV_RUN_ONCE);
        }
        await(&f.last_reports, 2 * n);
        shell("ip link add u0 type veth peer name v0 && ip link set u0 up");
        await_reports(2);
    }
}

static void another_wish_changes_what_is_watched(void **state)
{
    (void)state;
    shell("ip link add u0 up type veth peer name u1 && ip link set u1 up");
    start("u0", 1);
    await_reports(1);
    struct interfaces_wish wish = wish_for("u*", 1);
    interfaces_want(f.interfaces, &wish);
    await_reports(2);
    assert_int_equal(f.last_reports, 0); /* u0 went on */
    wish = wish_for("u*", 2);
    interfaces_want(f.interfaces, &wish);
    assert_int_equal(interfaces_count(f.interfaces), 2); /* not those that leave */
    await(&f.last_reports, 2);                           /* and now began anew */
    await_reports(4);
    wish = wish_for("none", 1);
    interfaces_want(f.interfaces, &wish);
    assert_int_equal(interfaces_count(f.interfaces), 0);
    await(&f.last_reports, 6);
    await_reports(0);
}

/* Let the process have no more descriptors than it has, and @more. */
static struct rlimit limit_descriptors(unsigned more)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(STDIN_FILENO);
    assert_int_equal(close(next), 0);
    struct rlimit few = {(rlim_t)next + more, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    return before;
}

static void what_can_not_begin_anew_goes_on_until_it_can(void **state)
{
    (void)state;
    shell("ip link add u0 type veth peer name v0 && ip link set u0 up");
    start("u0", 2);
    struct rlimit before = limit_descriptors(3);
    struct interfaces_wish wish = wish_for("u0", 1);
    interfaces_want(f.interfaces, &wish);
    await_reports(2);
    assert_int_equal(f.last_reports, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    wish = wish_for("u0", 1);
    interfaces_want(f.interfaces, &wish);
    await(&f.last_reports, 2);
    await_reports(1);
}

static void await_count(size_t min, size_t max)
{
    uv_timer_start(&f.ticks, on_patience, PATIENCE_MS, 0);
    while (interfaces_count(f.interfaces) < min || interfaces_count(f.interfaces) > max)
        uv_run(&f.loop, UV_RUN_ONCE);
    uv_timer_stop(&f.ticks);
}

/* As many as don't begin in one turn: what is left of them is not to be mixed up with it. */
static void what_failed_is_tried_again_though_others_come_all_the_time(void **state)
{
    (void)state;
    shell("ip link add u0 type veth peer name v0 && ip link set u0 up");
    struct rlimit before = limit_descriptors(3);
    start("u*", 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (unsigned round = 0; interfaces_count(f.interfaces) == 0; round++) {
        assert_true(round < ROUNDS_MAX);
        shell("for i in 1 2 3 4 5; do echo link add u$i up type veth peer name v$i; done"
              " | ip -batch -");
        await_count(5, 6);
        shell("for i in 1 2 3 4 5; do echo link del u$i; done | ip -batch -");
        await_count(0, 1);
    }
}

static void a_name_that_the_command_line_has_must_be_there(void **state)
{
    (void)state;
    static const char *const names[] = {"u0"};
    const struct settings none = {0};
    struct interfaces_wish wish = wish_for("unused", 1);
    watch_list_free(wish.list);
    assert_int_equal(watch_list_new(&wish.list, names, 1, &none), 0);
    assert_int_equal(interfaces_start(f.interfaces, &wish), -ENODEV);
}

/* Nothing leaks, says the sanitizer, and no thread is left. */
static void all_may_be_closed_where_it_is(void **state)
{
    (void)state;
    shell("ip link add u0 type veth peer name v0 && ip link set u0 up");
    start("u0", 2);
    interfaces_ask(f.interfaces);
    shell("ip link del u0");
}

int main(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        test_skip("network namespaces need root");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(with_nothing_to_watch_a_question_is_answered_at_once, begin,
                                        end),
        cmocka_unit_test_setup_teardown(each_share_answers_and_ends_once, begin, end),
        cmocka_unit_test_setup_teardown(what_comes_is_watched_until_it_goes, begin, end),
        cmocka_unit_test_setup_teardown(many_that_come_at_once_are_all_watched, begin, end),
        cmocka_unit_test_setup_teardown(a_question_is_answered_though_what_was_asked_goes, begin,
                                        end),
        cmocka_unit_test_setup_teardown(another_wish_changes_what_is_watched, begin, end),
        cmocka_unit_test_setup_teardown(what_can_not_begin_anew_goes_on_until_it_can, begin, end),
        cmocka_unit_test_setup_teardown(what_failed_is_tried_again_though_others_come_all_the_time,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_name_that_the_command_line_has_must_be_there, begin, end),
        cmocka_unit_test_setup_teardown(all_may_be_closed_where_it_is, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
