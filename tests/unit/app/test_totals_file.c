#include "app/totals_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/guard.h"

enum { SERVICES = 300 };

static const struct console_moment moment = {
    .time_ns = 1700000010000000000,
    .elapsed_ns = 10000000000,
    .since_ns = 1795461394732861000,
};

static struct ledger *make_ledger(uint32_t services_max)
{
    struct ledger *l = NULL;
    assert_int_equal(
        ledger_new(&l, &(struct ledger_options){.services_max = services_max, .hash_seed = 1}), 0);
    return l;
}

/* A number of its own in each field. */
static struct service_counts counts_from(uint64_t number)
{
    struct service_counts c;
    uint64_t fields[sizeof(c) / sizeof(uint64_t)];
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        fields[i] = number + i;
    memcpy(&c, fields, sizeof(c));
    return c;
}

/* Services, and two interfaces whose books balance. */
static struct ledger *full_ledger(unsigned services)
{
    struct ledger *l = make_ledger(SERVICES);
    uint64_t service_bytes = 0;
    for (unsigned i = 0; i < services; i++) {
        struct service_name name;
        snprintf(name.text, sizeof(name.text), "service-%u", i);
        struct service_counts c = counts_from(1000 + 100 * i);
        service_bytes += service_counts_ip_bytes(&c);
        ledger_restore_service(l, &name, &c);
    }
    struct interface_counts a = {.tcp_bytes = 30 + service_bytes - 7,
                                 .not_http_bytes = 10,
                                 .untracked_bytes = 20,
                                 .ring_drops = 1,
                                 .resumed = 2};
    struct interface_counts b = {.tcp_bytes = 7};
    ledger_restore_interface(l, "eth0", &a, service_bytes - 7);
    ledger_restore_interface(l, "gone0", &b, 7);
    return l;
}

static struct text written(struct ledger *l)
{
    struct text t = {0};
    totals_file_write(&t, l, &moment);
    assert_false(text_failed(&t));
    return t;
}

static int read_into(struct ledger *l, const struct text *t, struct text *error)
{
    uint64_t since_ns;
    return totals_file_read(l, bytes_make(t->data, t->size), &since_ns, error);
}

static void what_was_written_comes_back(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *before = full_ledger(SERVICES);
    AUTO(ledger_free) struct ledger *after = make_ledger(SERVICES);
    AUTO(text_deinit) struct text first = written(before);
    AUTO(text_deinit) struct text error = {0};
    uint64_t since_ns = 0;
    int r = totals_file_read(after, bytes_make(first.data, first.size), &since_ns, &error);
    if (r < 0)
        fail_msg("%s", error.data);
    assert_int_equal(since_ns, moment.since_ns);
    AUTO(text_deinit) struct text second = written(after);
    assert_string_equal(first.data, second.data);
    assert_int_equal(ledger_services(after, LEDGER_INTERVAL).count, 0);
    for (size_t i = 0; i < ledger_interface_count(after); i++)
        assert_int_equal(ledger_interface_imbalance(ledger_interface(after, i)), 0);
}

static void it_is_added_to_what_is_there(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = full_ledger(1);
    AUTO(text_deinit) struct text t = written(l);
    AUTO(text_deinit) struct text error = {0};
    assert_int_equal(read_into(l, &t, &error), 0);
    struct ledger_services s = ledger_services(l, LEDGER_TOTAL);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.services[0]->counts[LEDGER_TOTAL].direction[DIRECTION_IN].bytes, 2000);
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_TOTAL].counts.ring_drops, 2);
}

static void past_the_cap_services_become_other(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *before = full_ledger(10);
    AUTO(ledger_free) struct ledger *after = make_ledger(4);
    AUTO(text_deinit) struct text t = written(before);
    AUTO(text_deinit) struct text error = {0};
    assert_int_equal(read_into(after, &t, &error), 0);
    struct ledger_services s = ledger_services(after, LEDGER_TOTAL);
    assert_int_equal(s.count, 5);
    AUTO(ledger_free) struct ledger *again = make_ledger(4);
    AUTO(text_deinit) struct text second = written(after);
    assert_int_equal(read_into(again, &second, &error), 0); /* and the books balance */
}

/* The file with the first @from replaced by @to. */
static struct text changed(const char *from, const char *to)
{
    AUTO(ledger_free) struct ledger *l = full_ledger(2);
    AUTO(text_deinit) struct text t = written(l);
    const char *at = strstr(t.data, from);
    if (!at)
        fail_msg("no %s in %s", from, t.data);
    struct text out = {0};
    text_add(&out, bytes_make(t.data, (size_t)(at - t.data)));
    text_add_string(&out, to);
    text_add_string(&out, at + strlen(from));
    return out;
}

static void assert_damaged(const char *from, const char *to, const char *words)
{
    AUTO(text_deinit) struct text t = changed(from, to);
    AUTO(text_deinit) struct text error = {0};
    AUTO(ledger_free) struct ledger *l = make_ledger(SERVICES);
    assert_int_equal(read_into(l, &t, &error), -EINVAL);
    if (!strstr(error.data, words))
        fail_msg("%s", error.data);
    assert_int_equal(ledger_services(l, LEDGER_TOTAL).count, 0); /* nothing was taken */
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_TOTAL].counts.tcp_bytes, 0);
}

static void what_is_wrong_is_said_and_nothing_taken(void **state)
{
    (void)state;
    assert_damaged("{\"httpacct\"", "\"httpacct\"", "line 1");
    assert_damaged("\"totals\"", "\"others\"", "not a file of httpacct's totals");
    assert_damaged("\"version\":1", "\"version\":2", "another version");
    assert_damaged("\"since\":1", "\"since\":-1", "since");
    assert_damaged("\"services\":[", "\"services\":7,\"x\":[", "services");
    assert_damaged("\"interfaces\":[", "\"y\":[", "interfaces");
    assert_damaged("\"name\":\"service-1\"", "\"name\":\"a b\"", "name");
    assert_damaged("\"name\":\"service-1\"", "\"name\":\"\"", "name");
    assert_damaged("\"name\":\"gone0\"", "\"name\":\"a-name-that-is-too-long\"", "name");
    assert_damaged("\"bytes\":", "\"bytes\":-", "number bytes");
    assert_damaged("\"bytes\":", "\"bytes\":1.5,\"z\":", "number bytes");
    assert_damaged("\"bytes\":", "\"octets\":", "number bytes");
    assert_damaged("\"tcp_bytes\":", "\"tcp_bytes\":9", "don't balance of eth0");
    assert_damaged("\"bytes\":", "\"bytes\":9", "services and interfaces");
    assert_damaged("\"requests\":", "\"requests\":1,\"requests\":", "duplicate");
}

static void what_was_pending_is_left_out_on_both_sides(void **state)
{
    (void)state;
    AUTO(text_deinit)
    struct text t = changed(
        "\"tcp_bytes\":7,\"not_http_bytes\":0,\"untracked_bytes\":0,\"duplicate_bytes\":0,"
        "\"service_bytes\":7,\"pending_bytes\":0",
        "\"tcp_bytes\":107,\"not_http_bytes\":0,\"untracked_bytes\":0,\"duplicate_bytes\":0,"
        "\"service_bytes\":7,\"pending_bytes\":100");
    AUTO(text_deinit) struct text error = {0};
    AUTO(ledger_free) struct ledger *l = make_ledger(SERVICES);
    assert_int_equal(read_into(l, &t, &error), 0);
    const struct ledger_interface *gone = ledger_interface(l, 1);
    assert_string_equal(gone->name, "gone0");
    assert_int_equal(gone->period[LEDGER_TOTAL].counts.tcp_bytes, 7);
    assert_int_equal(ledger_interface_imbalance(gone), 0);
}

/* Every cut is refused; whatever byte changes, it is taken or refused. */
static void damage_anywhere_does_no_harm(void **state)
{
    (void)state;
    AUTO(guard_deinit) struct guard guard;
    guard_init(&guard, 1 << 16);
    AUTO(ledger_free) struct ledger *l = full_ledger(2);
    AUTO(text_deinit) struct text t = written(l);
    uint64_t since_ns;
    for (size_t cut = 0; cut + 2 < t.size; cut++) {
        AUTO(text_deinit) struct text error = {0};
        AUTO(ledger_free) struct ledger *other = make_ledger(4);
        assert_int_equal(
            totals_file_read(other, guard_copy(&guard, bytes_make(t.data, cut)), &since_ns, &error),
            -EINVAL);
    }
    for (size_t at = 0; at < t.size; at++) {
        AUTO(text_deinit) struct text error = {0};
        AUTO(ledger_free) struct ledger *other = make_ledger(4);
        t.data[at] ^= 0x15;
        totals_file_read(other, guard_copy(&guard, bytes_make(t.data, t.size)), &since_ns, &error);
        t.data[at] ^= 0x15;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_comes_back),
        cmocka_unit_test(it_is_added_to_what_is_there),
        cmocka_unit_test(past_the_cap_services_become_other),
        cmocka_unit_test(what_is_wrong_is_said_and_nothing_taken),
        cmocka_unit_test(what_was_pending_is_left_out_on_both_sides),
        cmocka_unit_test(damage_anywhere_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
