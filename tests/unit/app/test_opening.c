#include "app/opening.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/interfaces.h"

static struct settings_interface configured[] = {
    {.name = "eth*", .workers = 3},
    {.name = "lo", .workers = 1},
};
static const struct settings settings = {
    .interface_count = ARRAY_SIZE(configured),
    .interfaces = configured,
};

static uint64_t patience_ns(const struct netif *interfaces, size_t count)
{
    AUTO(watch_list_free) struct watch_list *list = NULL;
    assert_int_equal(watch_list_new(&list, NULL, 0, &settings), 0);
    AUTO(netif_list_free)
    struct netif_list *there = malloc(sizeof(*there) + count * sizeof(*interfaces));
    assert_non_null(there);
    there->count = count;
    memcpy(there->interfaces, interfaces, count * sizeof(*interfaces));
    return opening_patience_ns(list, there);
}

static void each_worker_of_what_is_wanted_and_up_takes_its_time(void **state)
{
    (void)state;
    const struct netif there[] = {
        {.name = "lo", .up = true},
        {.name = "eth0", .up = true},
        {.name = "eth1", .up = false},
        {.name = "wlan0", .up = true},
    };
    assert_int_equal(patience_ns(there, 4), 4 * OPENING_CAPTURE_NS);
    assert_int_equal(patience_ns(there, 1), OPENING_CAPTURE_NS);
    assert_int_equal(patience_ns(there + 2, 2), 0);
}

static void past_the_most_that_are_watched_none_are_opened(void **state)
{
    (void)state;
    static struct netif there[INTERFACES_MAX + 5];
    for (unsigned i = 0; i < ARRAY_SIZE(there); i++) {
        snprintf(there[i].name, sizeof(there[i].name), "eth%u", i);
        there[i].up = true;
    }
    assert_int_equal(patience_ns(there, ARRAY_SIZE(there)),
                     INTERFACES_MAX * 3 * OPENING_CAPTURE_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_worker_of_what_is_wanted_and_up_takes_its_time),
        cmocka_unit_test(past_the_most_that_are_watched_none_are_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
