#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "app/watch_failures.h"

static void a_failure_is_new_once(void **state)
{
    (void)state;
    struct watch_failures f = {0};
    assert_true(watch_failures_add(&f, "eth0", 2, -EIO));
    assert_false(watch_failures_add(&f, "eth0", 2, -EIO));
    assert_true(watch_failures_add(&f, "eth0", 2, -ENOMEM));
    assert_int_equal(f.count, 1);
    assert_string_equal(watch_failures_find(&f, 2)->name, "eth0");
    assert_int_equal(watch_failures_find(&f, 2)->error, -ENOMEM);
    watch_failures_deinit(&f);
}

static void what_failed_waits_for_its_next_turn(void **state)
{
    (void)state;
    struct watch_failures f = {0};
    watch_failures_add(&f, "eth0", 2, -EIO);
    assert_true(watch_failures_wait(&f, 2));
    assert_false(watch_failures_wait(&f, 3));
    watch_failures_retry(&f);
    assert_false(watch_failures_wait(&f, 2));
    assert_false(watch_failures_add(&f, "eth0", 2, -EIO));
    assert_true(watch_failures_wait(&f, 2));
    watch_failures_deinit(&f);
}

static void what_is_watched_or_gone_is_forgotten(void **state)
{
    (void)state;
    struct watch_failures f = {0};
    for (int i = 1; i <= 4; i++)
        watch_failures_add(&f, "veth", i, -EIO);
    watch_failures_remove(&f, 2);
    watch_failures_remove(&f, 7);
    assert_null(watch_failures_find(&f, 2));
    assert_int_equal(f.count, 3);

    struct netif_list *there = calloc(1, sizeof(*there) + sizeof(there->interfaces[0]));
    assert_non_null(there);
    there->count = 1;
    there->interfaces[0].index = 3;
    watch_failures_keep(&f, there);
    netif_list_free(there);
    assert_int_equal(f.count, 1);
    assert_non_null(watch_failures_find(&f, 3));
    watch_failures_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_new_once),
        cmocka_unit_test(what_failed_waits_for_its_next_turn),
        cmocka_unit_test(what_is_watched_or_gone_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
