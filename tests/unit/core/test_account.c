#include "core/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SERVICES_MAX = 3 };

static struct account account;

static int begin(void **state)
{
    (void)state;
    return account_init(&account, SERVICES_MAX, 42);
}

static int end(void **state)
{
    (void)state;
    account_deinit(&account);
    return 0;
}

static struct service *service(const char *text)
{
    struct service_name name = {0};
    snprintf(name.text, sizeof(name.text), "%s", text);
    return account_service(&account, &name);
}

static struct report *report(void)
{
    struct report *r = account_report(&account, "eth0", 99, 0);
    assert_non_null(r);
    return r;
}

static const struct report_service *find(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->service_count; i++)
        if (strcmp(r->services[i].name.text, name) == 0)
            return &r->services[i];
    return NULL;
}

static void same_name_is_the_same_service(void **state)
{
    (void)state;
    assert_ptr_equal(service("a"), service("a"));
    assert_ptr_not_equal(service("a"), service("b"));
    assert_ptr_not_equal(service("a"), service("A"));
}

static void three_services_are_always_there(void **state)
{
    (void)state;
    assert_string_equal(account.unspecified->name.text, "_unspecified");
    assert_string_equal(account.unknown->name.text, "_unknown");
    assert_string_equal(account.other->name.text, "_other");
    AUTO(report_free) struct report *r = report();
    assert_int_equal(r->gauges_delta.services, 0);
    assert_int_equal(r->service_count, 0);
}

static void services_past_the_cap_are_other(void **state)
{
    (void)state;
    service("a");
    service("b");
    service("c");
    assert_ptr_equal(service("d"), account.other);
    assert_ptr_equal(service("e"), account.other);
    assert_ptr_not_equal(service("c"), account.other);
    assert_int_equal(account.total.services_folded, 2);
    AUTO(report_free) struct report *r = report();
    assert_int_equal(r->gauges_delta.services, SERVICES_MAX);
}

static void names_that_were_changed_count_once(void **state)
{
    (void)state;
    struct service_name changed;
    service_name_make(&changed, BYTES("a b"));
    account_service(&account, &changed);
    account_service(&account, &changed);
    service("a__b");
    AUTO(report_free) struct report *r = report();
    assert_int_equal(r->delta.names_changed, 1);
}

static void bytes_are_pending_until_they_are_charged(void **state)
{
    (void)state;
    account_seen(&account, 1000);
    account_charge(
        &account, service("a"), DIRECTION_OUT,
        &(struct direction_counts){
            .bytes = 300, .payload = 250, .retransmitted = 9, .control = 40, .packets = 2});
    account_not_http(&account, 100);
    account_untracked(&account, 60);
    AUTO(report_free) struct report *r = report();
    assert_string_equal(r->interface, "eth0");
    assert_false(r->last);
    assert_int_equal(r->time_ns, 99);
    assert_int_equal(r->delta.tcp_bytes, 1000);
    assert_int_equal(r->delta.not_http_bytes, 100);
    assert_int_equal(r->delta.untracked_bytes, 60);
    assert_int_equal(r->gauges_delta.pending_bytes, 500);
    const struct direction_counts *out = &find(r, "a")->delta.direction[DIRECTION_OUT];
    assert_int_equal(out->bytes, 300);
    assert_int_equal(out->payload, 250);
    assert_int_equal(out->retransmitted, 9);
    assert_int_equal(out->control, 40);
    assert_int_equal(out->packets, 2);
}

static void report_has_what_moved_since_the_last(void **state)
{
    (void)state;
    const struct direction_counts counts = {.bytes = 10};
    account_charge(&account, service("a"), DIRECTION_IN, &counts);
    account_charge(&account, service("b"), DIRECTION_IN, &counts);
    AUTO(report_free) struct report *first = report();
    assert_int_equal(first->service_count, 2);

    account_charge(&account, service("b"), DIRECTION_IN, &counts);
    account_charge(&account, service("b"), DIRECTION_IN, &counts);
    AUTO(report_free) struct report *second = report();
    assert_int_equal(second->service_count, 1);
    assert_int_equal(find(second, "b")->delta.direction[DIRECTION_IN].bytes, 20);

    AUTO(report_free) struct report *third = report();
    assert_int_equal(third->service_count, 0);
    assert_int_equal(third->delta.tcp_bytes, 0);
}

static int64_t open_delta_of(struct service *s, uint32_t open)
{
    s->open = open;
    account_touch(&account, s);
    account_touch(&account, s);
    AUTO(report_free) struct report *r = report();
    assert_int_equal(r->service_count, 1);
    return r->services[0].open_delta;
}

static void touched_service_is_reported_with_the_change_of_its_connections(void **state)
{
    (void)state;
    struct service *a = service("a");
    assert_int_equal(open_delta_of(a, 5), 5);
    assert_int_equal(open_delta_of(a, 2), -3);
    assert_int_equal(open_delta_of(a, 2), 0);
    assert_int_equal(open_delta_of(a, 0), -2);
}

static void check_gauges(uint64_t sessions, struct interface_gauges sum)
{
    static struct interface_gauges reported;
    AUTO(report_free) struct report *r = account_report(&account, "eth0", 99, sessions);
    interface_gauges_add(&reported, &r->gauges_delta);
    assert_memory_equal(&reported, &sum, sizeof(sum));
}

static void gauges_of_reports_add_up_to_what_is_now_and_end_at_0(void **state)
{
    (void)state;
    service("a");
    account_seen(&account, 100);
    check_gauges(3, (struct interface_gauges){100, 3, 1});
    service("b");
    account_not_http(&account, 70);
    check_gauges(1, (struct interface_gauges){30, 1, 2});
    check_gauges(1, (struct interface_gauges){30, 1, 2});
    account_not_http(&account, 30);
    account_end(&account);
    check_gauges(0, (struct interface_gauges){0, 0, 0});
}

static void idle_services_that_nothing_refers_to_are_forgotten(void **state)
{
    (void)state;
    const struct direction_counts counts = {.bytes = 10};
    account_charge(&account, service("idle"), DIRECTION_IN, &counts);
    account_charge(&account, service("kept"), DIRECTION_IN, &counts);
    report_free(account_report(&account, "eth0", 99, 0));
    account_charge(&account, service("due"), DIRECTION_IN, &counts);

    account_forget(&account, 99);
    AUTO(report_free) struct report *before = account_report(&account, "eth0", 120, 0);
    assert_int_equal(before->gauges_delta.services, 1);

    account_charge(&account, service("due"), DIRECTION_IN, &counts);
    account_keep(service("kept"));
    account_keep(NULL);
    account_forget(&account, 200);
    AUTO(report_free) struct report *after = account_report(&account, "eth0", 120, 0);
    assert_int_equal(after->gauges_delta.services, -1);
    assert_int_equal(after->service_count, 1);
    assert_int_equal(find(after, "due")->delta.direction[DIRECTION_IN].bytes, 10);

    account_forget(&account, 200);
    AUTO(report_free) struct report *end = report();
    assert_int_equal(end->gauges_delta.services, -2);
    assert_string_equal(account.other->name.text, "_other");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(same_name_is_the_same_service),
        TEST(three_services_are_always_there),
        TEST(services_past_the_cap_are_other),
        TEST(names_that_were_changed_count_once),
        TEST(bytes_are_pending_until_they_are_charged),
        TEST(report_has_what_moved_since_the_last),
        TEST(touched_service_is_reported_with_the_change_of_its_connections),
        TEST(gauges_of_reports_add_up_to_what_is_now_and_end_at_0),
        TEST(idle_services_that_nothing_refers_to_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
