#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "app/watch_list.h"
#include "io/netif.h"

static struct settings_interface configured[2];
static const struct settings with_interfaces = {.interface_count = 2, .interfaces = configured};
static const struct settings without_interfaces = {0};

static int setup(void **state)
{
    (void)state;
    strcpy(configured[0].name, "eth0");
    port_set_add(&configured[0].ports, 8080);
    configured[0].workers = 3;
    strcpy(configured[1].name, "eth1");
    configured[1].workers = 1;
    return 0;
}

static void named_ones_take_the_place_of_the_configured(void **state)
{
    (void)state;
    static const char *const names[] = {"lo", "eth0"};
    AUTO(watch_list_free) struct watch_list *l = NULL;
    assert_int_equal(watch_list_new(&l, names, 2, &with_interfaces), 0);
    assert_false(l->found);
    assert_int_equal(l->count, 2);
    assert_string_equal(l->interfaces[0].name, "lo");
    assert_string_equal(l->interfaces[1].name, "eth0");
}

static void named_ones_keep_what_is_configured_for_them(void **state)
{
    (void)state;
    static const char *const names[] = {"lo", "eth0"};
    AUTO(watch_list_free) struct watch_list *l = NULL;
    assert_int_equal(watch_list_new(&l, names, 2, &with_interfaces), 0);
    assert_int_equal(l->interfaces[0].ports->count, 0);
    assert_int_equal(l->interfaces[1].ports->count, 1);
    assert_true(port_set_has(l->interfaces[1].ports, 8080));
    assert_int_equal(l->interfaces[0].workers, 1);
    assert_int_equal(l->interfaces[1].workers, 3);
}

/* Cut to the kernel's limit, the name could be that of another interface. */
static void a_name_that_is_too_long_stays_whole(void **state)
{
    (void)state;
    static const char *const names[] = {"a-name-longer-than-any-interface"};
    AUTO(watch_list_free) struct watch_list *l = NULL;
    assert_int_equal(watch_list_new(&l, names, 1, &with_interfaces), 0);
    assert_string_equal(l->interfaces[0].name, names[0]);
}

static void without_names_the_configured_are_watched(void **state)
{
    (void)state;
    AUTO(watch_list_free) struct watch_list *l = NULL;
    assert_int_equal(watch_list_new(&l, NULL, 0, &with_interfaces), 0);
    assert_false(l->found);
    assert_int_equal(l->count, 2);
    assert_string_equal(l->interfaces[0].name, "eth0");
    assert_int_equal(l->interfaces[0].ports->count, 1);
    assert_string_equal(l->interfaces[1].name, "eth1");
    assert_int_equal(l->interfaces[1].ports->count, 0);
    assert_int_equal(l->interfaces[0].workers, 3);
    assert_int_equal(l->interfaces[1].workers, 1);
}

static void without_any_those_that_are_up_are_watched(void **state)
{
    (void)state;
    AUTO(watch_list_free) struct watch_list *l = NULL;
    AUTO(netif_list_free) struct netif_list *netifs = NULL;
    assert_int_equal(watch_list_new(&l, NULL, 0, &without_interfaces), 0);
    assert_int_equal(netif_list_new(&netifs), 0);
    assert_true(l->found);

    size_t up = 0;
    for (size_t i = 0; i < netifs->count; i++) {
        if (!netifs->interfaces[i].up)
            continue;
        assert_true(up < l->count);
        assert_string_equal(l->interfaces[up].name, netifs->interfaces[i].name);
        assert_int_equal(l->interfaces[up].ports->count, 0);
        assert_int_equal(l->interfaces[up].workers, 1);
        up++;
    }
    assert_int_equal(l->count, up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_ones_take_the_place_of_the_configured),
        cmocka_unit_test(named_ones_keep_what_is_configured_for_them),
        cmocka_unit_test(a_name_that_is_too_long_stays_whole),
        cmocka_unit_test(without_names_the_configured_are_watched),
        cmocka_unit_test(without_any_those_that_are_up_are_watched),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
