#include "core/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *const interfaces[] = {"eth0", "docker0"};

static struct ledger *make_ledger(size_t services_max)
{
    const struct ledger_options options = {
        .services_max = services_max,
        .hash_seed = 42,
    };
    struct ledger *l = NULL;
    assert_int_equal(ledger_new(&l, &options), 0);
    return l;
}

/* A report of one service with its bytes in, on eth0. Returns what ledger_add() does. */
static uint64_t add_at(struct ledger *l, const char *name, uint64_t bytes, uint64_t time_ns)
{
    struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    r->interface = interfaces[0];
    r->time_ns = time_ns;
    r->service_count = 1;
    snprintf(r->services[0].name.text, sizeof(r->services[0].name.text), "%s", name);
    r->services[0].delta.direction[DIRECTION_IN].bytes = bytes;
    r->services[0].delta.requests = 1;
    uint64_t folded = ledger_add(l, r);
    free(r);
    return folded;
}

static void add(struct ledger *l, const char *name, uint64_t bytes)
{
    add_at(l, name, bytes, 0);
}

static const struct ledger_service *find(struct ledger *l, enum ledger_period period,
                                         const char *name)
{
    struct ledger_services s = ledger_services(l, period);
    for (size_t i = 0; i < s.count; i++)
        if (strcmp(s.services[i]->name.text, name) == 0)
            return s.services[i];
    return NULL;
}

static uint64_t bytes_in(struct ledger *l, enum ledger_period period, const char *name)
{
    const struct ledger_service *s = find(l, period, name);
    return s ? s->counts[period].direction[DIRECTION_IN].bytes : 0;
}

static void new_ledger_shows_no_service(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    assert_int_equal(ledger_services(l, LEDGER_INTERVAL).count, 0);
    assert_int_equal(ledger_services(l, LEDGER_TOTAL).count, 0);
    assert_int_equal(ledger_interface_count(l), 0);
}

static void service_is_one_over_all_interfaces(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    r->service_count = 1;
    strcpy(r->services[0].name.text, "yo");
    struct service_counts *delta = &r->services[0].delta;
    delta->direction[DIRECTION_IN].bytes = 136;
    delta->direction[DIRECTION_OUT].control = 52;
    delta->replies[3] = 1;
    for (unsigned i = 0; i < 2; i++) {
        r->interface = interfaces[i];
        r->delta.tcp_bytes = 1000 + i;
        r->gauges_delta.pending_bytes = 812 + i;
        ledger_add(l, r);
    }
    free(r);

    const struct ledger_service *s = find(l, LEDGER_TOTAL, "yo");
    assert_non_null(s);
    assert_int_equal(s->counts[LEDGER_TOTAL].direction[DIRECTION_IN].bytes, 272);
    assert_int_equal(s->counts[LEDGER_TOTAL].direction[DIRECTION_OUT].control, 104);
    assert_int_equal(s->counts[LEDGER_INTERVAL].replies[3], 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct ledger_interface *f = ledger_interface(l, i);
        assert_string_equal(f->name, interfaces[i]);
        assert_int_equal(f->period[LEDGER_TOTAL].service_bytes, 188);
        assert_int_equal(f->period[LEDGER_INTERVAL].service_bytes, 188);
        assert_int_equal(f->period[LEDGER_TOTAL].counts.tcp_bytes, 1000 + i);
        assert_int_equal(ledger_interface_imbalance(f), 0);
    }
}

static void name_ends_at_its_nul(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    struct report *r = calloc(1, sizeof(*r) + 2 * sizeof(r->services[0]));
    r->interface = interfaces[0];
    r->service_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        memset(r->services[i].name.text, 'a' + (int)i, sizeof(r->services[i].name.text));
        strcpy(r->services[i].name.text, "same");
        r->services[i].delta.direction[DIRECTION_IN].bytes = 5;
    }
    ledger_add(l, r);
    free(r);
    assert_int_equal(ledger_services(l, LEDGER_TOTAL).count, 1);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, "same"), 10);
}

static void next_interval_begins_with_nothing(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    struct report r = {
        .interface = interfaces[0],
        .delta = {.tcp_bytes = 100},
        .gauges_delta = {.pending_bytes = 100},
    };
    ledger_add(l, &r);
    add(l, "a", 1);
    ledger_end_interval(l);
    assert_int_equal(ledger_services(l, LEDGER_INTERVAL).count, 0);
    assert_int_equal(ledger_services(l, LEDGER_TOTAL).count, 1);
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_INTERVAL].counts.tcp_bytes, 0);
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_INTERVAL].service_bytes, 0);
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_TOTAL].counts.tcp_bytes, 100);
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_TOTAL].service_bytes, 1);

    add(l, "b", 2);
    struct ledger_services s = ledger_services(l, LEDGER_INTERVAL);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.services[0]->name.text, "b");
    assert_int_equal(ledger_services(l, LEDGER_TOTAL).count, 2);
}

static void services_are_sorted_by_bytes_then_name(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    add(l, "m", 5);
    add(l, "b", 7);
    add(l, "z", 1);
    ledger_end_interval(l);
    add(l, "a", 7);
    add(l, "z", 2);
    add(l, "m", UINT32_MAX);

    const char *const expected[LEDGER_PERIODS][5] = {
        [LEDGER_INTERVAL] = {"m", "a", "z"},
        [LEDGER_TOTAL] = {"m", "a", "b", "z"},
    };
    for (unsigned p = 0; p < LEDGER_PERIODS; p++) {
        struct ledger_services s = ledger_services(l, p);
        for (size_t i = 0; i < s.count; i++)
            assert_string_equal(s.services[i]->name.text, expected[p][i]);
        assert_null(expected[p][s.count]);
    }
}

static void past_the_cap_services_become_other(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(2);
    assert_int_equal(add_at(l, "a", 1, 0), 0);
    assert_int_equal(add_at(l, "b", 2, 0), 0);
    assert_int_equal(add_at(l, "c", 4, 0), 1);
    assert_int_equal(add_at(l, "d", 8, 0), 1);
    assert_int_equal(add_at(l, "a", 16, 0), 0);
    assert_null(find(l, LEDGER_TOTAL, "c"));
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, "a"), 17);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, SERVICE_OTHER), 12);
    const struct ledger_interface *f = ledger_interface(l, 0);
    assert_int_equal(f->period[LEDGER_TOTAL].service_bytes, 31);
    assert_int_equal(f->period[LEDGER_TOTAL].counts.services_folded, 2);
    assert_int_equal(f->period[LEDGER_INTERVAL].counts.services_folded, 2);
}

static struct ledger *make_forgetful_ledger(size_t services_max)
{
    struct ledger *l = NULL;
    assert_int_equal(
        ledger_new(&l, &(struct ledger_options){.services_max = services_max, .idle_ns = 100}), 0);
    return l;
}

/* All that moved, in order of bytes: "a=1 b=2 ..." */
static const char *totals(struct ledger *l)
{
    static char text[256];
    char *end = text;
    struct ledger_services all = ledger_services(l, LEDGER_TOTAL);
    *end = '\0';
    for (size_t i = all.count; i-- > 0;)
        end += sprintf(end, "%s%s=%llu", end == text ? "" : " ", all.services[i]->name.text,
                       (unsigned long long)bytes_in(l, LEDGER_TOTAL, all.services[i]->name.text));
    return text;
}

static void services_of_one_report_make_room_one_by_one_the_oldest_first(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_forgetful_ledger(5);
    add_at(l, "old1", 1, 1001);
    add_at(l, "old2", 2, 1002);
    add_at(l, "old3", 4, 1003);
    add_at(l, "old4", 8, 1004);
    add_at(l, "old1", 100, 1005);
    struct report *r = calloc(1, sizeof(*r) + 4 * sizeof(r->services[0]));
    r->interface = interfaces[0];
    r->time_ns = 6000;
    r->service_count = 4;
    for (unsigned i = 0; i < 4; i++) {
        sprintf(r->services[i].name.text, "new%u", i + 1);
        r->services[i].delta.direction[DIRECTION_IN].bytes = 1000 + i;
    }
    assert_int_equal(ledger_add(l, r), 0);
    free(r);
    assert_string_equal(totals(l), "_other=14 old1=101 new1=1000 new2=1001 new3=1002 new4=1003");
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_TOTAL].counts.services_folded, 0);
}

static void cap_may_change(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(1);
    add(l, "a", 1);
    add(l, "b", 2);
    ledger_set_services_max(l, 2);
    add(l, "c", 4);
    ledger_set_services_max(l, 1);
    add(l, "d", 8);
    add(l, "c", 16);
    assert_string_equal(totals(l), "a=1 _other=10 c=20");
}

static void at_the_cap_idle_services_make_room(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_forgetful_ledger(2);
    add_at(l, "a", 1, 1000);
    add_at(l, "b", 2, 1050);
    add_at(l, "c", 4, 1099);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, SERVICE_OTHER), 4);
    add_at(l, "d", 8, 1100);
    assert_null(find(l, LEDGER_TOTAL, "a"));
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, "b"), 2);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, "d"), 8);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, SERVICE_OTHER), 5);
    assert_int_equal(bytes_in(l, LEDGER_INTERVAL, SERVICE_OTHER), 5);
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_TOTAL].service_bytes, 15);
}

static void names_of_the_agent_keep_their_place_past_the_cap(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(0);
    add(l, "a", 1);
    add(l, SERVICE_UNKNOWN, 2);
    add(l, SERVICE_UNSPECIFIED, 4);
    add(l, SERVICE_OTHER, 8);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, SERVICE_UNKNOWN), 2);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, SERVICE_UNSPECIFIED), 4);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, SERVICE_OTHER), 9);
}

static void gauges_are_the_sum_of_their_changes(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(1);
    struct report r = {
        .interface = interfaces[0],
        .gauges_delta = {.pending_bytes = 5, .sessions = 3},
    };
    ledger_add(l, &r);
    r.gauges_delta = (struct interface_gauges){.pending_bytes = -1ull, .sessions = -1ull};
    ledger_add(l, &r);
    ledger_end_interval(l);
    assert_int_equal(ledger_interface(l, 0)->gauges.pending_bytes, 4);
    assert_int_equal(ledger_interface(l, 0)->gauges.sessions, 2);
}

static void interface_that_several_report_of_is_one(void **state)
{
    (void)state;
    static const char *const names[] = {"eth0", "lo", "eth0"};
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    for (unsigned n = 0; n < 3; n++) {
        struct report r = {.interface = names[n], .delta = {.tcp_bytes = 1ull << n, .gaps = 1}};
        ledger_add(l, &r);
    }
    assert_int_equal(ledger_interface_count(l), 2);
    assert_string_equal(ledger_interface(l, 0)->name, "eth0");
    assert_string_equal(ledger_interface(l, 1)->name, "lo");
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_TOTAL].counts.tcp_bytes, 5);
    assert_int_equal(ledger_interface(l, 0)->period[LEDGER_INTERVAL].counts.gaps, 2);
    assert_int_equal(ledger_interface(l, 1)->period[LEDGER_TOTAL].counts.tcp_bytes, 2);
}

static void gauges_of_several_add_up(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    struct report first = {.interface = "eth0",
                           .gauges_delta = {.pending_bytes = 100, .sessions = 10, .services = 1}};
    struct report last = {.interface = "eth0",
                          .gauges_delta = {.pending_bytes = 200, .sessions = 20, .services = 2}};
    ledger_add(l, &first);
    ledger_add(l, &last);
    const struct interface_gauges *gauges = &ledger_interface(l, 0)->gauges;
    assert_int_equal(gauges->pending_bytes, 300);
    assert_int_equal(gauges->sessions, 30);
    assert_int_equal(gauges->services, 3);

    first.gauges_delta = (struct interface_gauges){-93ull, -10ull, -1ull};
    ledger_add(l, &first);
    assert_int_equal(gauges->pending_bytes, 207);
    assert_int_equal(gauges->sessions, 20);
    assert_int_equal(gauges->services, 2);
    assert_int_equal(ledger_interface_imbalance(ledger_interface(l, 0)), -207);
}

static void totals_of_an_earlier_run_are_taken_in(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(1);
    const struct service_name name = {"yo"}, more = {"more"};
    const struct service_counts c = {.direction = {{.bytes = 100}}};
    ledger_restore_service(l, &name, &c);
    ledger_restore_service(l, &name, &c);
    ledger_restore_service(l, &more, &c); /* past the cap */
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, "yo"), 200);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, SERVICE_OTHER), 100);
    assert_int_equal(ledger_services(l, LEDGER_INTERVAL).count, 0);
    add(l, "yo", 5);
    assert_int_equal(bytes_in(l, LEDGER_TOTAL, "yo"), 205);
    assert_int_equal(bytes_in(l, LEDGER_INTERVAL, "yo"), 5);
}

static void interfaces_of_earlier_runs_are_bounded(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(1);
    const struct interface_counts c = {.tcp_bytes = 10, .not_http_bytes = 4};
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "veth%u", i);
        ledger_restore_interface(l, name, &c, 6);
    }
    ledger_restore_interface(l, "eth0", &c, 6);
    assert_int_equal(ledger_interface_count(l), LEDGER_INTERFACES_MAX + 1);
    uint64_t tcp_bytes = 0, service_bytes = 0;
    for (size_t i = 0; i < ledger_interface_count(l); i++) {
        const struct ledger_interface *at = ledger_interface(l, i);
        tcp_bytes += at->period[LEDGER_TOTAL].counts.tcp_bytes;
        service_bytes += at->period[LEDGER_TOTAL].service_bytes;
        assert_int_equal(ledger_interface_imbalance(at), 0);
        assert_int_equal(at->period[LEDGER_INTERVAL].counts.tcp_bytes, 0);
    }
    assert_int_equal(tcp_bytes, 10010);
    assert_int_equal(service_bytes, 6006);
    assert_string_equal(ledger_interface(l, LEDGER_INTERFACES_MAX)->name, INTERFACE_OTHER);
}

static void imbalance_has_the_sign_of_what_is_missing(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(1);
    struct report r = {.interface = interfaces[0],
                       .delta = {.tcp_bytes = 100, .not_http_bytes = 30, .untracked_bytes = 20},
                       .gauges_delta = {.pending_bytes = 10}};
    ledger_add(l, &r);
    assert_int_equal(ledger_interface_imbalance(ledger_interface(l, 0)), 40);
    add(l, "a", 41);
    assert_int_equal(ledger_interface_imbalance(ledger_interface(l, 0)), -1);
    r = (struct report){.interface = interfaces[0], .gauges_delta = {.pending_bytes = -10ull}};
    ledger_add(l, &r);
    assert_int_equal(ledger_interface_imbalance(ledger_interface(l, 0)), 9);
}

static void interfaces_are_those_that_were_reported_of(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    add(l, "a", 1);
    ledger_end_interval(l);
    ledger_add(l, &(struct report){.interface = interfaces[1]});
    assert_int_equal(ledger_interface_count(l), 2);
    assert_false(ledger_interface(l, 0)->period[LEDGER_INTERVAL].reported);
    assert_true(ledger_interface(l, 1)->period[LEDGER_INTERVAL].reported);
    assert_true(ledger_interface(l, 0)->period[LEDGER_TOTAL].reported);
}

/* Names that come and go for ever, beside one that stays. */
static void interfaces_past_the_cap_keep_their_counts_together(void **state)
{
    (void)state;
    enum { COME_AND_GO = 3 * LEDGER_INTERFACES_MAX };
    AUTO(ledger_free) struct ledger *l = make_ledger(10);
    for (unsigned n = 0; n < COME_AND_GO; n++) {
        char name[16];
        snprintf(name, sizeof(name), "veth%u", n);
        struct report r = {
            .interface = name,
            .time_ns = n,
            .delta = {.tcp_bytes = 7, .not_http_bytes = 7},
            .last = true,
        };
        ledger_add(l, &r);
        add_at(l, "a", 1, n);
    }
    size_t count = ledger_interface_count(l);
    assert_int_equal(count, LEDGER_INTERFACES_MAX + 1);
    assert_string_equal(ledger_interface(l, 1)->name, "eth0");
    const struct ledger_interface *other = ledger_interface(l, count - 1);
    assert_string_equal(other->name, INTERFACE_OTHER);
    uint64_t tcp_bytes = 0, service_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        tcp_bytes += ledger_interface(l, i)->period[LEDGER_TOTAL].counts.tcp_bytes;
        service_bytes += ledger_interface(l, i)->period[LEDGER_INTERVAL].service_bytes;
    }
    assert_int_equal(tcp_bytes, 7 * COME_AND_GO);
    assert_int_equal(service_bytes, COME_AND_GO);
    assert_int_equal(other->period[LEDGER_TOTAL].counts.tcp_bytes,
                     7 * (COME_AND_GO - LEDGER_INTERFACES_MAX + 1));
    assert_int_equal(ledger_interface_imbalance(other), 0);
}

/* Random reports against plain arrays. */
enum { NAMES = 40, CAP = 30, ROUNDS = 2000, OTHER = NAMES };

struct shadow {
    bool known[NAMES];
    unsigned known_count;
    uint64_t bytes[LEDGER_PERIODS][NAMES + 1];
};

static void shadow_add(struct shadow *w, unsigned name, uint64_t bytes)
{
    if (!w->known[name] && w->known_count < CAP) {
        w->known[name] = true;
        w->known_count++;
    }
    for (unsigned p = 0; p < LEDGER_PERIODS; p++)
        w->bytes[p][w->known[name] ? name : OTHER] += bytes;
}

static void check_shadow(const struct shadow *w, struct ledger *l, enum ledger_period period)
{
    size_t count = 0;
    for (unsigned n = 0; n <= NAMES; n++) {
        char name[16] = SERVICE_OTHER;
        if (n != OTHER)
            snprintf(name, sizeof(name), "s%u", n);
        assert_int_equal(bytes_in(l, period, name), w->bytes[period][n]);
        count += w->bytes[period][n] != 0;
    }
    struct ledger_services s = ledger_services(l, period);
    assert_int_equal(s.count, count);
    for (size_t i = 1; i < s.count; i++)
        assert_true(s.services[i - 1]->counts[period].direction[DIRECTION_IN].bytes >=
                    s.services[i]->counts[period].direction[DIRECTION_IN].bytes);
}

static void random_reports_give_what_a_naive_ledger_has(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    AUTO(ledger_free) struct ledger *l = make_ledger(CAP);
    struct shadow w = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned n = (unsigned)rand() % NAMES;
        uint64_t bytes = 1 + (uint64_t)rand() % 1000;
        char name[16];
        snprintf(name, sizeof(name), "s%u", n);
        add(l, name, bytes);
        shadow_add(&w, n, bytes);
        if (rand() % 50 == 0) {
            check_shadow(&w, l, LEDGER_INTERVAL);
            ledger_end_interval(l);
            memset(w.bytes[LEDGER_INTERVAL], 0, sizeof(w.bytes[LEDGER_INTERVAL]));
        }
    }
    check_shadow(&w, l, LEDGER_INTERVAL);
    check_shadow(&w, l, LEDGER_TOTAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_ledger_shows_no_service),
        cmocka_unit_test(service_is_one_over_all_interfaces),
        cmocka_unit_test(name_ends_at_its_nul),
        cmocka_unit_test(next_interval_begins_with_nothing),
        cmocka_unit_test(services_are_sorted_by_bytes_then_name),
        cmocka_unit_test(past_the_cap_services_become_other),
        cmocka_unit_test(at_the_cap_idle_services_make_room),
        cmocka_unit_test(services_of_one_report_make_room_one_by_one_the_oldest_first),
        cmocka_unit_test(cap_may_change),
        cmocka_unit_test(names_of_the_agent_keep_their_place_past_the_cap),
        cmocka_unit_test(gauges_are_the_sum_of_their_changes),
        cmocka_unit_test(interface_that_several_report_of_is_one),
        cmocka_unit_test(totals_of_an_earlier_run_are_taken_in),
        cmocka_unit_test(interfaces_of_earlier_runs_are_bounded),
        cmocka_unit_test(interfaces_are_those_that_were_reported_of),
        cmocka_unit_test(interfaces_past_the_cap_keep_their_counts_together),
        cmocka_unit_test(gauges_of_several_add_up),
        cmocka_unit_test(imbalance_has_the_sign_of_what_is_missing),
        cmocka_unit_test(random_reports_give_what_a_naive_ledger_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
