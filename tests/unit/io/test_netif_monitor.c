#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "io/netif.h"
#include "io/netif_monitor.h"
#include "support/shell.h"
#include "support/skip.h"

enum { PATIENCE_MS = 60000, LINKS = 400 };

struct fixture {
    uv_loop_t loop;
    struct netif_monitor *monitor;
    uv_timer_t patience;
    unsigned news;
    const char *awaited;
    bool there; /* as it is awaited */
};

static bool is_there(const char *name)
{
    struct netif found;
    return netif_find(&found, name) == 0;
}

static void on_news(void *context)
{
    struct fixture *f = context;
    f->news++;
    if (f->awaited && is_there(f->awaited) == f->there)
        uv_stop(&f->loop);
}

static void on_patience(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("no news");
}

static void on_time(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_timer_init(&f->loop, &f->patience), 0);
    assert_int_equal(netif_monitor_new(&f->monitor, &f->loop, on_news, f), 0);
}

static void fixture_deinit(struct fixture *f)
{
    netif_monitor_close(f->monitor);
    uv_close((uv_handle_t *)&f->patience, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

/* Until news came after which @name is there, or is not. */
static void await(struct fixture *f, const char *name, bool there)
{
    f->awaited = name;
    f->there = there;
    uv_timer_start(&f->patience, on_patience, PATIENCE_MS, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    f->awaited = NULL;
}

static void run_for(struct fixture *f, uint64_t time_ms)
{
    uv_timer_start(&f->patience, on_time, time_ms, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void an_interface_that_comes_or_goes_is_news(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    shell("ip link add come0 type veth peer name come1");
    await(&f, "come1", true);
    shell("ip link del come0");
    await(&f, "come0", false);
    fixture_deinit(&f);
}

static void a_new_name_is_news(void **state)
{
    (void)state;
    struct fixture f;
    shell("ip link add old0 type veth peer name old1");
    fixture_init(&f);
    shell("ip link set old0 name new0");
    await(&f, "new0", true);
    shell("ip link del new0");
    await(&f, "new0", false);
    fixture_deinit(&f);
}

static void many_changes_are_little_news(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    shell("for i in $(seq 40); do ip link add many0 type veth peer name many1;"
          "ip link del many0; done");
    run_for(&f, 5 * NETIF_MONITOR_PAUSE_MS);
    assert_in_range(f.news, 1, 6); /* at most one a pause */
    fixture_deinit(&f);
}

/* The kernel drops what the socket has no room for, and says so once. */
static void messages_that_were_lost_are_news(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    shell("for i in $(seq %d); do echo link add l$i type veth peer name m$i; done | ip -batch -",
          LINKS);
    await(&f, "l400", true);
    shell("ip link add late0 type veth peer name late1"); /* it is heard on */
    await(&f, "late1", true);
    fixture_deinit(&f);
}

static void nothing_is_no_news(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    run_for(&f, 3 * NETIF_MONITOR_PAUSE_MS);
    assert_int_equal(f.news, 0);
    fixture_deinit(&f);
}

int main(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        test_skip("network namespaces need root");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_no_news),
        cmocka_unit_test(an_interface_that_comes_or_goes_is_news),
        cmocka_unit_test(a_new_name_is_news),
        cmocka_unit_test(many_changes_are_little_news),
        cmocka_unit_test(messages_that_were_lost_are_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
