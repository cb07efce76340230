#include "app/reload.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uv_loop_t loop;
static struct reload *reload;
static char path[64];
static struct options command_line;
static bool answers_at_once;
static int apply_error;
static unsigned asked;
static unsigned applied;
static uint64_t idle_ns; /* of what was applied last */
static struct {
    unsigned count;
    int error;
    char said[256];
} told;

static void write_config(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int take_apply(void *context, struct intent *next)
{
    (void)context;
    if (apply_error == 0) {
        applied++;
        idle_ns = next->agent.wish.engine.services_idle_ns;
    }
    return apply_error;
}

static void take_ask(void *context)
{
    (void)context;
    asked++;
    if (answers_at_once)
        reload_answered(reload);
}

static void take_done(void *context, int error, const struct text *said)
{
    (void)context;
    told.count++;
    told.error = error;
    snprintf(told.said, sizeof(told.said), "%s", said->size ? said->data : "");
}

static void open_reload(void)
{
    AUTO(text_deinit) struct text said = {0};
    struct intent *intent;
    assert_int_equal(intent_new(&intent, &command_line, NULL, &said), 0);
    const struct reload_options options = {
        .intent = intent,
        .apply = take_apply,
        .ask = take_ask,
    };
    assert_int_equal(reload_new(&reload, &loop, &options), 0);
}

static int begin(void **state)
{
    (void)state;
    answers_at_once = false;
    apply_error = 0;
    asked = applied = 0;
    memset(&told, 0, sizeof(told));
    snprintf(path, sizeof(path), "/tmp/httpacct-reload-%d.conf", getpid());
    write_config("services = { idle = 1; };");
    command_line = (struct options){.config = path, .has_form = true, .form = CONSOLE_NONE};

    assert_int_equal(uv_loop_init(&loop), 0);
    open_reload();
    return 0;
}

static int end(void **state)
{
    (void)state;
    reload = reload_close(reload);
    uv_run(&loop, UV_RUN_DEFAULT);
    unlink(path);
    return uv_loop_close(&loop);
}

static void answer(void)
{
    reload_answered(reload);
}

static void new_settings_are_applied_when_all_have_reported(void **state)
{
    (void)state;
    write_config("services = { idle = 2; };");
    reload_begin(reload, take_done, NULL);
    assert_int_equal(applied, 0);
    answer();
    assert_int_equal(applied, 1);
    assert_int_equal(idle_ns, 2000000000);
    assert_int_equal(told.count, 0);
    answer();
    assert_int_equal(told.count, 1);
    assert_int_equal(told.error, 0);
    assert_string_equal(told.said, "");
    answer(); /* to somebody else */
    assert_int_equal(asked, 2);
}

static void bad_file_is_told_and_changes_nothing(void **state)
{
    (void)state;
    write_config("\nservices = { idle = 0; };");
    reload_begin(reload, take_done, NULL);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.error, -EINVAL);
    assert_non_null(strstr(told.said, ".conf:2: services.idle must be"));
    assert_int_equal(asked, 0);

    unlink(path);
    reload_begin(reload, take_done, NULL);
    assert_int_equal(told.error, -ENOENT);
    assert_non_null(strstr(told.said, "No such file"));
    assert_int_equal(asked, 0);
}

static void failure_to_apply_is_told(void **state)
{
    (void)state;
    apply_error = -ENOMEM;
    reload_begin(reload, take_done, NULL);
    answer();
    assert_int_equal(told.error, -ENOMEM);
    assert_string_equal(told.said, strerror(ENOMEM));
    apply_error = 0;
    reload_begin(reload, take_done, NULL);
    answer();
    answer();
    assert_int_equal(told.count, 2);
    assert_int_equal(told.error, 0);
}

static void requests_meanwhile_share_one_more(void **state)
{
    (void)state;
    reload_begin(reload, take_done, NULL);
    for (unsigned i = 0; i < 100; i++)
        reload_begin(reload, take_done, NULL);
    write_config("services = { idle = 3; };");
    answer();
    answer();
    assert_int_equal(told.count, 1);
    answer();
    answer();
    assert_int_equal(told.count, 101);
    assert_int_equal(applied, 2);
    assert_int_equal(idle_ns, 3000000000);
}

static void without_interfaces_it_is_done_at_once(void **state)
{
    (void)state;
    answers_at_once = true;
    for (unsigned i = 1; i <= 3; i++) {
        reload_begin(reload, take_done, NULL);
        assert_int_equal(told.count, i);
        assert_int_equal(applied, i);
    }
}

static void who_has_gone_is_not_told(void **state)
{
    (void)state;
    int client;
    reload_begin(reload, take_done, &client);
    reload_begin(reload, take_done, &client);
    reload_forget(reload, &client);
    for (unsigned i = 0; i < 4; i++)
        answer();
    assert_int_equal(applied, 2);
    assert_int_equal(told.count, 0);
}

static void end_is_told_to_who_waits(void **state)
{
    (void)state;
    reload_begin(reload, take_done, NULL);
    reload_begin(reload, take_done, NULL);
    answer();
    reload = reload_close(reload);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.error, -ECANCELED);
}

static void hangup_reloads(void **state)
{
    (void)state;
    answers_at_once = true;
    raise(SIGHUP);
    uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(applied, 1);
}

static void hangup_before_it_is_awaited_reloads(void **state)
{
    (void)state;
    reload = reload_close(reload);
    signal(SIGHUP, SIG_DFL); /* as in a process that has just begun */
    reload_hold_signal();
    raise(SIGHUP);
    open_reload();
    answers_at_once = true;
    uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(applied, 1);
}

static void hangup_at_the_end_does_nothing(void **state)
{
    (void)state;
    reload = reload_close(reload);
    raise(SIGHUP);
    uv_run(&loop, UV_RUN_DEFAULT);
    raise(SIGHUP);
    assert_int_equal(asked, 0);
}

static void what_needs_a_restart_is_said_each_time(void **state)
{
    (void)state;
    answers_at_once = true;
    write_config("offload = false; ring = { size = 3; }; count_once = true;");
    for (unsigned i = 0; i < 2; i++) {
        reload_begin(reload, take_done, NULL);
        assert_int_equal(told.error, 0);
        assert_string_equal(told.said, "ring: needs a restart, and stays as it was\n"
                                       "offload: needs a restart, and stays as it was\n"
                                       "count_once: needs a restart, and stays as it was\n");
    }
    write_config("workers = 3;");
    reload_begin(reload, take_done, NULL);
    assert_string_equal(told.said, "");
    write_config("workers = 2;");
    reload_begin(reload, take_done, NULL);
    assert_string_equal(told.said, "workers: needs a restart, and stays as it was\n");
}

#define RELOAD_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELOAD_TEST(new_settings_are_applied_when_all_have_reported),
        RELOAD_TEST(bad_file_is_told_and_changes_nothing),
        RELOAD_TEST(failure_to_apply_is_told),
        RELOAD_TEST(requests_meanwhile_share_one_more),
        RELOAD_TEST(without_interfaces_it_is_done_at_once),
        RELOAD_TEST(who_has_gone_is_not_told),
        RELOAD_TEST(end_is_told_to_who_waits),
        RELOAD_TEST(hangup_reloads),
        RELOAD_TEST(hangup_before_it_is_awaited_reloads),
        RELOAD_TEST(hangup_at_the_end_does_nothing),
        RELOAD_TEST(what_needs_a_restart_is_said_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
