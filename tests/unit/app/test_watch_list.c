#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "app/watch_list.h"

static struct settings_interface configured[4];
static const struct settings with_interfaces = {.interface_count = 4, .interfaces = configured};
static const struct settings without_interfaces = {0};

static void configure(unsigned number, const char *name, uint16_t port, uint32_t workers)
{
    strcpy(configured[number].name, name);
    port_set_add(&configured[number].ports, port);
    configured[number].workers = workers;
}

static int setup(void **state)
{
    (void)state;
    configure(0, "veth*", 81, 1);
    configure(1, "veth7", 82, 2);
    configure(2, "veth8*", 83, 3);
    configure(3, "eth0", 84, 4);
    return 0;
}

static struct watch_list *make(const char *const *names, size_t count, const struct settings *s)
{
    struct watch_list *l = NULL;
    assert_int_equal(watch_list_new(&l, names, count, s), 0);
    return l;
}

/* The number of workers says which. */
static unsigned find(const struct watch_list *l, const char *name)
{
    const struct watch_list_interface *i = watch_list_find(l, name);
    if (i && i->ports.count)
        assert_true(port_set_has(&i->ports, (uint16_t)(80 + i->workers)));
    return i ? i->workers : 0;
}

static void those_of_the_config_are_wanted(void **state)
{
    (void)state;
    AUTO(watch_list_free) struct watch_list *l = make(NULL, 0, &with_interfaces);
    assert_int_equal(find(l, "eth0"), 4);
    assert_null(watch_list_find(l, "eth1"));
    assert_null(watch_list_find(l, "eth00"));
    assert_int_equal(watch_list_workers(l), 4);
}

static void a_name_goes_before_patterns_and_these_in_their_order(void **state)
{
    (void)state;
    AUTO(watch_list_free) struct watch_list *l = make(NULL, 0, &with_interfaces);
    assert_int_equal(find(l, "veth7"), 2);
    assert_int_equal(find(l, "veth71"), 1);
    assert_int_equal(find(l, "veth81"), 1);
    assert_null(watch_list_find(l, "xveth7"));
}

static void asked_for_take_the_place_of_the_configured(void **state)
{
    (void)state;
    static const char *const names[] = {"lo", "veth?"};
    AUTO(watch_list_free) struct watch_list *l = make(names, 2, &with_interfaces);
    assert_null(watch_list_find(l, "eth0"));
    assert_null(watch_list_find(l, "veth71"));
    assert_int_equal(find(l, "lo"), 1);
    assert_int_equal(watch_list_find(l, "lo")->ports.count, 0);
    assert_int_equal(find(l, "veth7"), 2); /* with what is configured for it */
    assert_int_equal(watch_list_find(l, "veth7")->ports.count, 1);
}

static void without_any_all_are_wanted(void **state)
{
    (void)state;
    AUTO(watch_list_free) struct watch_list *l = make(NULL, 0, &without_interfaces);
    assert_int_equal(find(l, "anything"), 1);
    assert_int_equal(watch_list_find(l, "anything")->ports.count, 0);
    assert_null(watch_list_name(l, 0));
}

static void names_are_told_from_patterns(void **state)
{
    (void)state;
    AUTO(watch_list_free) struct watch_list *l = make(NULL, 0, &with_interfaces);
    assert_string_equal(watch_list_name(l, 0), "veth7");
    assert_string_equal(watch_list_name(l, 1), "eth0");
    assert_null(watch_list_name(l, 2));
    static const char *const names[] = {"br-*", "lo"};
    AUTO(watch_list_free) struct watch_list *asked = make(names, 2, &with_interfaces);
    assert_string_equal(watch_list_name(asked, 0), "lo");
    assert_null(watch_list_name(asked, 1));
}

/* Cut to the kernel's limit, the name could be that of another interface. */
static void a_name_that_is_too_long_stays_whole(void **state)
{
    (void)state;
    static const char *const names[] = {"a-name-longer-than-any-interface"};
    AUTO(watch_list_free) struct watch_list *l = make(names, 1, &with_interfaces);
    assert_null(watch_list_find(l, "a-name-longer-t"));
    assert_string_equal(watch_list_name(l, 0), names[0]);
}

static void hostile_patterns_match_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"[", "[!", "\\", "*[a-", "[]"};
    AUTO(watch_list_free) struct watch_list *l = make(names, 5, &without_interfaces);
    assert_null(watch_list_find(l, "eth0"));
    assert_non_null(watch_list_find(l, "["));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_of_the_config_are_wanted),
        cmocka_unit_test(a_name_goes_before_patterns_and_these_in_their_order),
        cmocka_unit_test(asked_for_take_the_place_of_the_configured),
        cmocka_unit_test(without_any_all_are_wanted),
        cmocka_unit_test(names_are_told_from_patterns),
        cmocka_unit_test(a_name_that_is_too_long_stays_whole),
        cmocka_unit_test(hostile_patterns_match_nothing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
