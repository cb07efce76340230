#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/interrupt.h"

/* Signals are taken by a child, so that each case begins afresh. */
static int status_of(void (*child)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect(bool condition)
{
    if (!condition)
        _exit(1);
}

static void take_one_signal(void)
{
    interrupt_catch(NULL);
    expect(!interrupt_seen());
    raise(SIGINT);
    expect(interrupt_seen());
}

static void take_two_signals(void)
{
    take_one_signal();
    raise(SIGTERM);
}

static void take_a_signal_after_release(void)
{
    interrupt_catch(NULL);
    interrupt_release();
    raise(SIGINT);
}

static void close_handle(uv_async_t *handle)
{
    interrupt_release();
    uv_close((uv_handle_t *)handle, NULL);
}

static void wake_a_loop(void)
{
    uv_loop_t loop;
    uv_async_t wake;
    expect(uv_loop_init(&loop) == 0);
    expect(uv_async_init(&loop, &wake, close_handle) == 0);
    interrupt_catch(&wake);
    raise(SIGTERM);
    uv_run(&loop, UV_RUN_DEFAULT);
    expect(uv_loop_close(&loop) == 0);
}

static void the_first_signal_is_seen(void **state)
{
    (void)state;
    assert_int_equal(status_of(take_one_signal), 0);
}

static void the_second_signal_ends_the_process(void **state)
{
    (void)state;
    int status = status_of(take_two_signals);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void after_release_the_first_signal_ends_it(void **state)
{
    (void)state;
    int status = status_of(take_a_signal_after_release);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

static void a_signal_wakes_the_loop(void **state)
{
    (void)state;
    assert_int_equal(status_of(wake_a_loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_signal_is_seen),
        cmocka_unit_test(the_second_signal_ends_the_process),
        cmocka_unit_test(after_release_the_first_signal_ends_it),
        cmocka_unit_test(a_signal_wakes_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
