#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/watch_plan.h"

enum { NETIFS_MAX = 16 };

static struct settings_interface configured[2] = {
    {.name = "veth*", .workers = 1},
    {.name = "eth0", .workers = 2},
};
static const struct settings settings = {.interface_count = 2, .interfaces = configured};

static struct watch_list *list;
static struct netif_list *there;
static struct watch_plan_item items[NETIFS_MAX];
static size_t count;
static char plan_text[400];

static int setup(void **state)
{
    (void)state;
    count = 0;
    there = calloc(1, sizeof(*there) + NETIFS_MAX * sizeof(there->interfaces[0]));
    return there ? watch_list_new(&list, NULL, 0, &settings) : -1;
}

static int teardown(void **state)
{
    (void)state;
    netif_list_free(there);
    list = watch_list_free(list);
    return 0;
}

static void add_netif(const char *name, int index, bool up)
{
    struct netif *n = &there->interfaces[there->count++];
    *n = (struct netif){.index = index, .up = up};
    strcpy(n->name, name);
}

static struct watch_plan_item *add_item(const char *name, int index, unsigned workers)
{
    items[count] = (struct watch_plan_item){.name = name, .index = index, .workers = workers};
    return &items[count++];
}

/* What is to be done: "-gone0 ~unwanted0 +new0 former>new !refused". */
static const char *plan(size_t items_max)
{
    AUTO(watch_plan_deinit) struct watch_plan p = {0};
    assert_int_equal(watch_plan_make(&p, list, there, items, count, items_max), 0);
    size_t at = 0;
    plan_text[0] = '\0';
    for (size_t i = 0; i < p.end_count; i++)
        at += (size_t)sprintf(plan_text + at, "%c%s ", p.end[i].gone ? '-' : '~',
                              items[p.end[i].item].name);
    for (size_t i = 0; i < p.begin_count; i++) {
        const struct watch_plan_begin *b = &p.begin[i];
        const char *former = b->replaces ? items[b->former].name : "";
        at += (size_t)sprintf(plan_text + at, "%s%c%s ", former, b->replaces ? '>' : '+',
                              b->netif->name);
    }
    if (p.refused_count)
        sprintf(plan_text + at, "!%zu ", p.refused_count);
    return plan_text;
}

static void what_is_wanted_and_up_begins(void **state)
{
    (void)state;
    add_netif("lo", 1, true);
    add_netif("eth0", 2, true);
    add_netif("veth1", 3, true);
    add_netif("veth2", 4, false);
    assert_string_equal(plan(10), "+eth0 +veth1 ");
}

static void what_is_watched_goes_on(void **state)
{
    (void)state;
    add_netif("eth0", 2, true);
    add_netif("veth1", 3, false); /* down is no reason to end */
    add_item("veth1", 3, 1);
    add_item("eth0", 2, 2);
    assert_string_equal(plan(10), "");
}

static void what_has_gone_ends(void **state)
{
    (void)state;
    add_netif("veth2", 4, true);
    add_item("veth1", 3, 1);
    add_item("veth2", 4, 1);
    assert_string_equal(plan(10), "-veth1 ");
}

static void what_was_made_again_is_another_one(void **state)
{
    (void)state;
    add_netif("veth1", 9, true);
    add_item("veth1", 3, 1);
    assert_string_equal(plan(10), "-veth1 +veth1 ");
    items[0].leaving = true;
    assert_string_equal(plan(10), "+veth1 ");
}

static void a_new_name_takes_the_place_of_the_old_one(void **state)
{
    (void)state;
    add_netif("veth2", 3, true);
    add_item("veth1", 3, 1)->leaving = true;
    assert_string_equal(plan(10), "+veth2 ");
    add_item("veth1", 3, 1);
    assert_string_equal(plan(10), "veth1>veth2 ");
}

static void what_is_down_under_a_new_name_is_watched_by_the_old_one(void **state)
{
    (void)state;
    add_netif("veth2", 3, false);
    add_item("veth1", 3, 1);
    assert_string_equal(plan(10), "");
    there->interfaces[0].up = true;
    assert_string_equal(plan(10), "veth1>veth2 ");
}

static void a_new_name_that_is_not_wanted_ends(void **state)
{
    (void)state;
    add_netif("other", 3, false);
    add_item("veth1", 3, 1);
    assert_string_equal(plan(10), "-veth1 ");
}

static void names_may_be_exchanged(void **state)
{
    (void)state;
    add_netif("veth2", 1, true);
    add_netif("veth1", 2, true);
    add_item("veth1", 1, 1);
    add_item("veth2", 2, 1);
    assert_string_equal(plan(10), "veth1>veth2 veth2>veth1 ");
}

static void a_name_that_is_not_wanted_ends(void **state)
{
    (void)state;
    add_netif("other", 3, true);
    add_item("other", 3, 1);
    assert_string_equal(plan(10), "~other ");
}

static void another_number_of_workers_begins_anew(void **state)
{
    (void)state;
    add_netif("eth0", 2, true);
    add_item("eth0", 2, 1);
    assert_string_equal(plan(10), "eth0>eth0 ");
    items[0].leaving = true;
    assert_string_equal(plan(10), "+eth0 ");
}

static void past_the_cap_none_begins(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        char name[16];
        sprintf(name, "veth%d", i);
        add_netif(name, i + 1, true);
    }
    add_item("veth0", 1, 1);
    add_item("veth9", 99, 1)->leaving = true;
    assert_string_equal(plan(4), "+veth1 +veth2 !3 ");
}

static void at_the_cap_one_can_replace_another(void **state)
{
    (void)state;
    add_netif("veth1", 1, true);
    add_netif("veth2", 2, true);
    add_netif("eth0", 3, true);
    add_item("eth0", 3, 1);
    add_item("veth1", 1, 1);
    assert_string_equal(plan(2), "eth0>eth0 !1 ");
    for (int i = 0; i < 2; i++)
        add_item("gone", 9, 1)->leaving = true;
    assert_string_equal(plan(2), "!1 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_wanted_and_up_begins, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_watched_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_has_gone_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_made_again_is_another_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_name_takes_the_place_of_the_old_one, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_down_under_a_new_name_is_watched_by_the_old_one,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_name_that_is_not_wanted_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(names_may_be_exchanged, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_not_wanted_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(another_number_of_workers_begins_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(past_the_cap_none_begins, setup, teardown),
        cmocka_unit_test_setup_teardown(at_the_cap_one_can_replace_another, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
