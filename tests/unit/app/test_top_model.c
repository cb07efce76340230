#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "app/json.h"
#include "app/top_list.h"
#include "app/top_model.h"

static struct top_model model;

static int begin(void **state)
{
    (void)state;
    top_model_init(&model, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    top_model_deinit(&model);
    return 0;
}

static bool take(const char *text)
{
    json_error_t wrong;
    AUTO(json_decref) json_t *status = json_loads(text, JSON_DECODE_ANY, &wrong);
    return top_model_take(&model, status);
}

#define SERVICE(name, in, out, requests)                                                           \
    "{\"name\":\"" name "\",\"in\":{\"bytes\":" #in "},\"out\":{\"bytes\":" #out                   \
    "},\"requests\":" #requests ",\"replies\":{\"4xx\":1,\"5xx\":2},\"open\":3}"
#define STATUS(pid, seconds, services)                                                             \
    "{\"pid\":" #pid ",\"seconds\":" #seconds ",\"version\":\"1\",\"health\":\"ok\","              \
    "\"services\":[" services "],\"interfaces\":[]}"

static const struct top_item *service(const char *name)
{
    const struct top_item *i = top_table_find(&model.services, name);
    assert_non_null(i);
    return i;
}

static void rates_are_what_moved_by_the_agents_clock(void **state)
{
    (void)state;
    assert_true(take(STATUS(1, 10.0, SERVICE("a", 100, 1000, 5))));
    assert_true(service("a")->rate[TOP_IN] == 0);
    assert_int_equal(service("a")->count[TOP_OPEN], 3);
    assert_true(take(STATUS(1, 12.0, SERVICE("a", 300, 1000, 6))));
    assert_true(service("a")->rate[TOP_IN] == 100);
    assert_true(service("a")->rate[TOP_OUT] == 0);
    assert_true(service("a")->rate[TOP_REQUESTS] == 0.5);
    assert_true(top_model_all(&model)->rate[TOP_IN] == 100);
}

static void what_is_new_moved_all_it_has(void **state)
{
    (void)state;
    take(STATUS(1, 10.0, ""));
    take(STATUS(1, 11.0, SERVICE("a", 300, 0, 0)));
    assert_true(service("a")->rate[TOP_IN] == 300);
}

static void what_became_less_stands_still(void **state)
{
    (void)state;
    take(STATUS(1, 10.0, SERVICE("a", 300, 0, 0)));
    take(STATUS(1, 11.0, SERVICE("a", 100, 0, 0)));
    assert_true(service("a")->rate[TOP_IN] == 0);
    take(STATUS(1, 12.0, SERVICE("a", 150, 0, 0)));
    assert_true(service("a")->rate[TOP_IN] == 50);
}

static void another_process_begins_anew(void **state)
{
    (void)state;
    take(STATUS(1, 10.0, SERVICE("a", 100, 0, 0)));
    take(STATUS(2, 20.0, SERVICE("a", 900, 0, 0)));
    assert_true(service("a")->rate[TOP_IN] == 0);
    take(STATUS(2, 3.0, SERVICE("a", 950, 0, 0)));
    assert_true(service("a")->rate[TOP_IN] == 0);
}

static void what_is_gone_is_forgotten(void **state)
{
    (void)state;
    take(STATUS(1, 10.0, SERVICE("a", 1, 0, 0) "," SERVICE("b", 1, 0, 0)));
    assert_int_equal(model.services.count, 2);
    take(STATUS(1, 11.0, SERVICE("b", 1, 0, 0)));
    assert_int_equal(model.services.count, 1);
    assert_null(top_table_find(&model.services, "a"));
}

static void a_late_reply_stands_for_several_intervals(void **state)
{
    (void)state;
    take(STATUS(1, 10.0, SERVICE("a", 0, 0, 0)));
    take(STATUS(1, 14.0, SERVICE("a", 400, 0, 0)));
    const struct top_item *a = service("a");
    assert_int_equal(model.services.samples, 5);
    assert_true(top_item_average(&model.services, a, TOP_IN, 5, 4) == 100);
    assert_true(top_item_average(&model.services, a, TOP_IN, 5, 5) == 80);
    assert_true(top_item_average(&model.services, a, TOP_IN, 2, 1) == 100);
    take(STATUS(1, 1000000.0, SERVICE("a", 400, 0, 0)));
    assert_int_equal(model.services.samples, 5 + TOP_HISTORY);
    assert_true(top_item_average(&model.services, service("a"), TOP_IN, 5, 5) == 0);
}

static void names_are_printable_bounded_and_once(void **state)
{
    (void)state;
    char text[1024];
    char name[200];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    snprintf(text, sizeof(text),
             "{\"seconds\":1,\"interfaces\":[],\"services\":[{\"name\":\"%s\"},{\"name\":"
             "\"a\\u001b[2J \\u00e4\"},{\"name\":\"%s\"},{\"name\":\"\"},{}]}",
             name, name);
    assert_true(take(text));
    assert_int_equal(model.services.count, 4);
    name[TOP_NAME_MAX] = '\0';
    service(name);
    service("a?[2J???");
    service("");
    service("?");
}

static void what_is_no_status_changes_nothing(void **state)
{
    (void)state;
    take(STATUS(1, 10.0, SERVICE("a", 1, 0, 0)));
    static const char *const texts[] = {
        "",
        "[]",
        "7",
        "{}",
        "{\"seconds\":1,\"services\":[]}",
        "{\"seconds\":-1,\"services\":[],\"interfaces\":[]}",
        "{\"seconds\":1e300,\"services\":[],\"interfaces\":[]}",
        "{\"seconds\":1,\"services\":{},\"interfaces\":[]}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_false(take(texts[i]));
    assert_int_equal(model.services.count, 1);
    assert_true(take("{\"seconds\":1,\"services\":[7,null,[],{\"name\":5,\"in\":[]}],"
                     "\"interfaces\":[[],{\"tcp_bytes\":-5}],\"problems\":[7],\"health\":7}"));
    assert_false(model.healthy);
    assert_int_equal(model.problem_count, 0);
}

static void services_are_bounded(void **state)
{
    (void)state;
    struct top_table t;
    const uint64_t count[TOP_COUNTS] = {0};
    top_table_init(&t, 2);
    for (unsigned i = 0; i < 5; i++)
        top_table_take(&t, (const char[]){(char)('a' + i), '\0'}, count, 1);
    assert_int_equal(t.count, 2);
    top_table_end_sample(&t, 1);
    top_table_deinit(&t);
}

static void interfaces_have_books(void **state)
{
    (void)state;
    assert_true(take("{\"seconds\":1,\"services\":[],\"watching\":[\"eth0\"],\"interfaces\":["
                     "{\"name\":\"eth0\",\"tcp_bytes\":10,\"service_bytes\":4,"
                     "\"not_http_bytes\":3,\"untracked_bytes\":2,\"pending_bytes\":1},"
                     "{\"name\":\"eth1\",\"tcp_bytes\":10}]}"));
    const struct top_item *eth0 = top_table_find(&model.interfaces, "eth0");
    const struct top_item *eth1 = top_table_find(&model.interfaces, "eth1");
    assert_int_equal(top_interface_imbalance(eth0), 0);
    assert_int_equal(top_interface_imbalance(eth1), 10);
    assert_int_equal(eth0->count[TOP_WATCHED], 1);
    assert_int_equal(eth1->count[TOP_WATCHED], 0);
}

static void assert_listed(const char *keys, const char *names)
{
    struct top_ui ui = {0};
    for (; *keys; keys++)
        top_ui_key(&ui, *keys);
    AUTO(top_list_deinit) struct top_list list;
    top_list_init(&list, &model.services, &ui);
    assert_int_equal(list.count, strlen(names));
    for (size_t i = 0; i < list.count; i++)
        assert_int_equal(list.items[i]->name[0], names[i]);
}

static void lists_are_sorted_and_filtered(void **state)
{
    (void)state;
    take(STATUS(1, 10.0,
                SERVICE("bx", 0, 0, 0) "," SERVICE("ay", 500, 0, 0) "," SERVICE("cX", 0, 900, 9)));
    assert_listed("t", "cab"); /* no rates yet: by what there was */
    take(STATUS(1, 11.0,
                SERVICE("bx", 10, 1, 5) "," SERVICE("ay", 505, 7, 1) "," SERVICE("cX", 1, 900, 9)));
    assert_listed("", "abc");
    assert_listed("i", "bac");
    assert_listed("o", "abc");
    assert_listed("r", "bac");
    assert_listed("n", "abc");
    assert_listed("e", "abc"); /* all the same: by name */
    assert_listed("i/x", "bc");
    assert_listed("/z", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rates_are_what_moved_by_the_agents_clock, begin, end),
        cmocka_unit_test_setup_teardown(what_is_new_moved_all_it_has, begin, end),
        cmocka_unit_test_setup_teardown(what_became_less_stands_still, begin, end),
        cmocka_unit_test_setup_teardown(another_process_begins_anew, begin, end),
        cmocka_unit_test_setup_teardown(what_is_gone_is_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(a_late_reply_stands_for_several_intervals, begin, end),
        cmocka_unit_test_setup_teardown(names_are_printable_bounded_and_once, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_status_changes_nothing, begin, end),
        cmocka_unit_test(services_are_bounded),
        cmocka_unit_test_setup_teardown(interfaces_have_books, begin, end),
        cmocka_unit_test_setup_teardown(lists_are_sorted_and_filtered, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
