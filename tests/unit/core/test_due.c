#include "core/due.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { INTERFACES = 2 };

static const char *const interfaces[] = {"0", "1"};

static struct due_options all_metrics(void)
{
    struct due_options o = {
        .per_interface = true,
        .services_max = 10,
        .hash_seed = 42,
        .idle_ns = 100,
    };
    metric_set_add_name(&o.metrics, BYTES("all"));
    return o;
}

static struct due *make_due(const struct due_options *options)
{
    struct due *d = NULL;
    assert_int_equal(due_new(&d, options), 0);
    return d;
}

/* A report of one service. */
struct one {
    struct report report;
    struct report_service service;
};

static struct one one(unsigned interface, const char *name)
{
    struct one o = {.report = {.interface = interfaces[interface], .service_count = 1}};
    strcpy(o.service.name.text, name);
    return o;
}

static void owe(struct due *d, const struct one *o)
{
    due_add(d, &o->report);
}

static void owe_bytes(struct due *d, unsigned interface, const char *name, uint64_t bytes)
{
    struct one o = one(interface, name);
    o.service.delta.direction[DIRECTION_IN].bytes = bytes;
    owe(d, &o);
}

static void describe(const struct due_line *l, char out[static 160])
{
    char interface[16] = "";
    if (l->interface)
        snprintf(interface, sizeof(interface), "@%s", l->interface);
    char samples[24] = "";
    if (l->samples)
        snprintf(samples, sizeof(samples), " x%llu", (unsigned long long)l->samples);
    snprintf(out, 160, "%s%s %s%s%s=%llu%s", l->service ? l->service : "-", interface,
             metrics[l->metric].name, l->variant ? "." : "", l->variant ? l->variant : "",
             (unsigned long long)l->value, samples);
}

/* What a walk shows of services, or of the others: "yo@0 bytes.in=136, ..." */
struct shown {
    char text[8192];
    size_t lines;
};

static void add_shown(struct shown *s, const struct due_line *l)
{
    char line[160];
    describe(l, line);
    strcat(s->text, s->lines++ ? ", " : "");
    strcat(s->text, line);
}

static const char *show(struct due *d, bool services, bool accept)
{
    static struct shown s;
    s = (struct shown){0};
    struct due_walk w;
    struct due_line l;
    struct due_claim claims[DUE_LINE_CLAIMS_MAX];
    for (due_walk_begin(&w, d); due_walk_line(&w, &l); due_walk_next(&w)) {
        if ((l.service != NULL) == services)
            add_shown(&s, &l);
        if (accept)
            due_settle(claims, due_claim(&l, claims));
    }
    assert_false(due_walk_line(&w, &l));
    return s.text;
}

static const char *services(struct due *d)
{
    return show(d, true, false);
}

static const char *accept_services(struct due *d)
{
    return show(d, true, true);
}

static const char *others(struct due *d)
{
    return show(d, false, false);
}

static void nothing_is_owed_at_first(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    assert_string_equal(services(d), "");
    assert_string_equal(others(d), "");
    assert_int_equal(due_bytes(d), 0);
}

static void every_member_of_the_counts_is_shown(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    uint64_t *members = (uint64_t *)&r.service.delta;
    for (size_t i = 0; i < sizeof(r.service.delta) / sizeof(*members); i++)
        members[i] = i + 1;
    r.service.open_delta = 100;
    uint64_t *counts = (uint64_t *)&r.report.delta;
    for (size_t i = 0; i < sizeof(r.report.delta) / sizeof(*counts); i++)
        counts[i] = i + 1;
    uint64_t *gauges = (uint64_t *)&r.report.gauges_delta;
    for (size_t i = 0; i < sizeof(r.report.gauges_delta) / sizeof(*gauges); i++)
        gauges[i] = 100 + i;
    struct agent_telemetry agent;
    uint64_t *telemetry = (uint64_t *)&agent;
    for (size_t i = 0; i < sizeof(agent) / sizeof(*telemetry); i++)
        telemetry[i] = i + 1;
    owe(d, &r);
    due_set_agent(d, &agent);

    assert_string_equal(
        services(d),
        "yo@0 bytes.in=1, yo@0 bytes.out=6, yo@0 payload.in=2, yo@0 payload.out=7, "
        "yo@0 retransmitted.in=3, yo@0 retransmitted.out=8, yo@0 control.in=4, "
        "yo@0 control.out=9, yo@0 packets.in=5, yo@0 packets.out=10, yo@0 requests=11, "
        "yo@0 replies.1xx=12, yo@0 replies.2xx=13, yo@0 replies.3xx=14, yo@0 replies.4xx=15, "
        "yo@0 replies.5xx=16, yo@0 unanswered=17, yo@0 open=100");
    assert_string_equal(
        others(d),
        "- agent.datagrams_sent=1, - agent.bytes_sent=2, - agent.messages_sent=3, "
        "- agent.sends_refused=4, - agent.flushes_late=5, - agent.lines_dropped=6, "
        "- agent.unsent_bytes=7, - agent.cpu_ms=8, - agent.due_bytes=9, - agent.flush_ms=10, "
        "- agent.memory_bytes=11, "
        "-@0 agent.tcp_bytes=1, -@0 agent.service_bytes=20, -@0 agent.not_http_bytes=2, "
        "-@0 agent.untracked_bytes=3, -@0 agent.duplicate_bytes=4, -@0 agent.pending_bytes=100, "
        "-@0 agent.ring_drops=5, -@0 agent.sessions=101, -@0 agent.sessions_evicted=6, "
        "-@0 agent.services=102, -@0 agent.services_folded=7, -@0 agent.names_changed=8, "
        "-@0 agent.gaps=9, -@0 agent.heads_cut=10, -@0 agent.resumed=11");
}

static void what_is_not_accepted_stays_and_grows(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    owe_bytes(d, 0, "yo", 136);
    assert_string_equal(services(d), "yo@0 bytes.in=136");
    owe_bytes(d, 0, "yo", 64);
    assert_int_equal(due_bytes(d), 200);
    assert_string_equal(accept_services(d), "yo@0 bytes.in=200");
    assert_string_equal(services(d), "");
    assert_int_equal(due_bytes(d), 0);
}

static void what_comes_between_a_line_and_its_acceptance_stays(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.delta.requests = 5;
    r.service.open_delta = 1;
    r.service.ttfb.buckets[7] = 3;
    owe(d, &r);

    struct due_walk w;
    struct due_line l;
    struct due_claim claims[3 * DUE_LINE_CLAIMS_MAX];
    size_t claimed = 0;
    for (due_walk_begin(&w, d); due_walk_line(&w, &l); due_walk_next(&w))
        claimed += due_claim(&l, claims + claimed);
    owe(d, &r);
    due_settle(claims, claimed);
    char expected[128];
    snprintf(expected, sizeof(expected), "yo@0 requests=5, yo@0 open=2, yo@0 ttfb=%llu x3",
             (unsigned long long)ttfb_bucket_ns(7));
    assert_string_equal(services(d), expected);
}

static void services_are_owed_by_interface_or_together(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    AUTO(due_free) struct due *apart = make_due(&o);
    o.per_interface = false;
    AUTO(due_free) struct due *together = make_due(&o);
    for (unsigned i = 0; i < INTERFACES; i++) {
        owe_bytes(apart, i, "yo", 100 + i);
        owe_bytes(together, i, "yo", 100 + i);
    }
    assert_string_equal(services(apart), "yo@0 bytes.in=100, yo@1 bytes.in=101");
    assert_string_equal(services(together), "yo bytes.in=201");
}

static void only_chosen_metrics_are_shown(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.metrics = (struct metric_set){0};
    metric_set_add(&o.metrics, METRIC_requests);
    metric_set_add(&o.metrics, METRIC_sessions);
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(1, "yo");
    r.service.delta.direction[DIRECTION_OUT].bytes = 9;
    r.service.delta.requests = 2;
    r.service.ttfb.buckets[1] = 1;
    r.report.delta.tcp_bytes = 9;
    r.report.gauges_delta.sessions = 4;
    owe(d, &r);
    assert_string_equal(services(d), "yo@1 requests=2");
    assert_string_equal(others(d), "-@1 agent.sessions=4");
    assert_int_equal(due_bytes(d), 9);
}

static void amount_beyond_2_to_the_53_is_split(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    owe_bytes(d, 0, "yo", 2 * DUE_AMOUNT_MAX + 5);
    owe_bytes(d, 0, "exact", DUE_AMOUNT_MAX);
    assert_string_equal(accept_services(d),
                        "yo@0 bytes.in=9007199254740992, yo@0 bytes.in=9007199254740992, "
                        "yo@0 bytes.in=5, exact@0 bytes.in=9007199254740992");
    assert_string_equal(services(d), "");
}

static void part_that_was_not_accepted_stays(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.metrics = (struct metric_set){0};
    metric_set_add(&o.metrics, METRIC_bytes);
    AUTO(due_free) struct due *d = make_due(&o);
    owe_bytes(d, 0, "yo", DUE_AMOUNT_MAX + 5);
    struct due_walk w;
    struct due_line l;
    struct due_claim claims[DUE_LINE_CLAIMS_MAX];
    due_walk_begin(&w, d);
    assert_true(due_walk_line(&w, &l));
    due_walk_next(&w);
    assert_true(due_walk_line(&w, &l));
    due_settle(claims, due_claim(&l, claims));
    assert_string_equal(services(d), "yo@0 bytes.in=9007199254740992");
}

static void gauge_is_told_while_it_is_not_zero_and_once_after(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.open_delta = 3;
    owe(d, &r);
    assert_string_equal(accept_services(d), "yo@0 open=3");
    assert_string_equal(accept_services(d), "yo@0 open=3");
    r.service.open_delta = -3;
    owe(d, &r);
    assert_string_equal(services(d), "yo@0 open=0");
    assert_string_equal(accept_services(d), "yo@0 open=0");
    assert_string_equal(services(d), "");
}

static void gauge_over_all_interfaces_is_their_sum(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.per_interface = false;
    AUTO(due_free) struct due *d = make_due(&o);
    for (unsigned i = 0; i < INTERFACES; i++) {
        struct one r = one(i, "yo");
        r.service.open_delta = 10 + i;
        owe(d, &r);
    }
    assert_string_equal(services(d), "yo open=21");
    struct one r = one(0, "yo");
    r.service.open_delta = -10;
    owe(d, &r);
    assert_string_equal(services(d), "yo open=11");
}

static void gauges_of_several_that_report_of_an_interface_add_up(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    struct one first = one(0, "yo");
    first.report.gauges_delta = (struct interface_gauges){10, 20, 30};
    first.service.open_delta = 4;
    struct one second = one(0, "yo");
    second.report.gauges_delta = (struct interface_gauges){1, 2, 3};
    second.service.open_delta = 5;
    owe(d, &first);
    owe(d, &second);
    assert_string_equal(services(d), "yo@0 open=9");
    assert_string_equal(others(d),
                        "-@0 agent.pending_bytes=11, -@0 agent.sessions=22, -@0 agent.services=33");

    second.report.gauges_delta = (struct interface_gauges){-1ull, -2ull, -3ull};
    second.service.open_delta = -5;
    owe(d, &second);
    assert_string_equal(services(d), "yo@0 open=4");
    assert_string_equal(others(d),
                        "-@0 agent.pending_bytes=10, -@0 agent.sessions=20, -@0 agent.services=30");
}

static void connections_opened_past_the_cap_are_not_closed_below_zero(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.services_max = 0;
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "second");
    r.service.open_delta = 5;
    owe(d, &r);
    assert_string_equal(accept_services(d), "");
    due_set_services_max(d, 1);

    r.service.open_delta = 1;
    owe(d, &r);
    assert_string_equal(services(d), "second@0 open=1");
    r.service.open_delta = -6;
    owe(d, &r);
    assert_string_equal(services(d), "");
    r.service.open_delta = 2;
    owe(d, &r);
    assert_string_equal(services(d), "second@0 open=2");
}

static void timing_is_shown_by_bucket(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.ttfb.buckets[0] = 2;
    r.service.ttfb.buckets[TTFB_BUCKETS - 1] = UINT32_MAX;
    owe(d, &r);
    assert_string_equal(accept_services(d),
                        "yo@0 ttfb=32768 x2, yo@0 ttfb=34359738368 x4294967295");
    assert_string_equal(services(d), "");
}

static void timing_is_shown_by_percentile(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.percentiles = true;
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.ttfb.buckets[10] = 50;
    r.service.ttfb.buckets[20] = 45;
    r.service.ttfb.buckets[30] = 4;
    r.service.ttfb.buckets[40] = 1;
    owe(d, &r);
    char expected[160];
    snprintf(expected, sizeof(expected),
             "yo@0 ttfb.p50=%llu x100, yo@0 ttfb.p95=%llu x100, yo@0 ttfb.p99=%llu x100",
             (unsigned long long)ttfb_bucket_ns(10), (unsigned long long)ttfb_bucket_ns(20),
             (unsigned long long)ttfb_bucket_ns(30));
    assert_string_equal(services(d), expected);
    assert_string_equal(accept_services(d), expected);
    assert_string_equal(services(d), "");
}

static void percentiles_of_one_sample_are_that_sample(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.percentiles = true;
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.ttfb.buckets[TTFB_BUCKETS - 1] = 1;
    owe(d, &r);
    assert_string_equal(services(d), "yo@0 ttfb.p50=34359738368 x1, yo@0 ttfb.p95=34359738368 x1, "
                                     "yo@0 ttfb.p99=34359738368 x1");
}

static void samples_do_not_wrap(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.ttfb.buckets[0] = UINT32_MAX - 1;
    owe(d, &r);
    owe(d, &r);
    assert_string_equal(services(d), "yo@0 ttfb=32768 x4294967295");
}

static void service_past_the_cap_goes_to_other(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.per_interface = false;
    o.services_max = 1;
    AUTO(due_free) struct due *d = make_due(&o);
    owe_bytes(d, 0, "first", 1);
    owe_bytes(d, 1, "forgotten", 8);
    assert_int_equal(due_take_folded(d), 0);
    struct one r = one(1, "second");
    r.service.delta.direction[DIRECTION_IN].bytes = 2;
    r.service.delta.requests = 7;
    r.service.open_delta = 5;
    owe(d, &r);
    owe_bytes(d, 0, "_unknown", 4);
    assert_string_equal(services(d), "_unknown bytes.in=4, _other bytes.in=2, _other requests=7, "
                                     "first bytes.in=1, forgotten bytes.in=8");
    assert_string_equal(others(d), "-@0 agent.service_bytes=5, -@1 agent.service_bytes=10, "
                                   "-@1 agent.services_folded=7");
    assert_int_equal(due_service_count(d), 5);
    assert_int_equal(due_take_folded(d), 7);
    assert_int_equal(due_take_folded(d), 0);
}

/* What an engine of at most @services_max services would report if those of the
 * last report are forgotten after each. */
static void owe_all_anew(struct due *d, unsigned interface, unsigned round, unsigned services_max)
{
    for (unsigned i = 0; i < services_max; i++) {
        struct one r = one(interface, "");
        r.report.time_ns = round * 200ull;
        snprintf(r.service.name.text, sizeof(r.service.name.text), "r%ui%us%u", round, interface,
                 i);
        r.service.delta.requests = 1;
        owe(d, &r);
    }
}

static void services_that_engines_name_are_never_folded_while_all_is_taken(void **state)
{
    (void)state;
    enum { EACH = 5 };
    for (int per_interface = 0; per_interface < 2; per_interface++) {
        struct due_options o = all_metrics();
        o.per_interface = per_interface;
        o.services_max = INTERFACES * EACH;
        AUTO(due_free) struct due *d = make_due(&o);
        for (unsigned round = 1; round < 20; round++) {
            due_expire(d, round * 200ull - 150); /* not yet those of the round before */
            for (unsigned i = 0; i < INTERFACES; i++)
                owe_all_anew(d, i, round, EACH);
            assert_null(strstr(accept_services(d), SERVICE_OTHER));
        }
        assert_int_equal(due_take_folded(d), 0);
    }
}

static void bytes_are_owed_whatever_is_sent(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.metrics = (struct metric_set){0};
    metric_set_add(&o.metrics, METRIC_requests);
    metric_set_add(&o.metrics, METRIC_open);
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.delta.requests = 1;
    r.service.delta.direction[DIRECTION_IN].bytes = 100;
    r.service.delta.direction[DIRECTION_OUT].bytes = 36;
    r.service.open_delta = 1;
    owe(d, &r);
    owe(d, &r);
    assert_int_equal(due_bytes(d), 272);
    accept_services(d);
    assert_int_equal(due_bytes(d), 0);
    owe(d, &r);
    assert_int_equal(due_bytes(d), 136);
}

static void idle_service_that_is_owed_nothing_is_dropped(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "_unknown");
    owe(d, &r);
    size_t at_first = due_service_count(d);
    r = one(0, "yo");
    r.report.time_ns = 1000;
    r.service.delta.requests = 1;
    r.service.open_delta = 1;
    owe(d, &r);
    due_expire(d, 5000);
    assert_int_equal(due_service_count(d), at_first + 1); /* owed */
    accept_services(d);
    due_expire(d, 5000);
    assert_int_equal(due_service_count(d), at_first + 1); /* open */
    r.service.open_delta = -1;
    r.service.delta.requests = 0;
    owe(d, &r);
    due_expire(d, 5000);
    assert_int_equal(due_service_count(d), at_first + 1); /* its gauge is not told yet */
    accept_services(d);
    due_expire(d, 1099);
    assert_int_equal(due_service_count(d), at_first + 1); /* not idle for long enough */
    due_expire(d, 1100);
    assert_int_equal(due_service_count(d), at_first);
}

/* Those of an engine that has ended, where interfaces are not told apart. */
static void more_than_engines_tell_apart_are_dropped_before_they_are_idle(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.per_interface = false;
    o.services_max = 2;
    AUTO(due_free) struct due *d = make_due(&o);
    size_t at_first = due_service_count(d);
    for (char round = 0; round < 10; round++) {
        for (char n = 0; n < 2; n++) {
            char name[] = {(char)('a' + 2 * round + n), '\0'};
            struct one r = one(0, name);
            r.report.time_ns = 1000;
            r.service.delta.requests = 1;
            owe(d, &r);
        }
        assert_null(strstr(accept_services(d), SERVICE_OTHER));
        due_expire(d, 1001);
        assert_int_equal(due_service_count(d), at_first + 2);
    }
    assert_int_equal(due_take_folded(d), 0);
}

/* Whatever its idle time is, and not before all was told. */
static void an_interface_that_has_gone_is_dropped_with_its_services(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    size_t at_first = due_service_count(d);
    struct one r = one(0, "yo");
    r.report.time_ns = 1000;
    r.report.delta.tcp_bytes = 60;
    r.report.gauges_delta.sessions = 1;
    r.service.delta.requests = 1;
    owe(d, &r);
    accept_services(d);
    due_expire(d, 1001);
    assert_int_equal(due_service_count(d), at_first + 4); /* the interface is there */
    r.report.last = true;
    r.report.gauges_delta.sessions = -1ull;
    owe(d, &r);
    due_expire(d, 1001);
    assert_int_equal(due_service_count(d), at_first + 4); /* owed */
    assert_string_equal(others(d), "-@0 agent.tcp_bytes=60, -@0 agent.sessions=0");
    accept_services(d); /* and all others */
    due_expire(d, 1001);
    assert_int_equal(due_service_count(d), at_first);
}

static uint64_t sum_of_tcp_bytes(struct due *d)
{
    uint64_t sum = 0;
    struct due_walk w;
    struct due_line l;
    for (due_walk_begin(&w, d); due_walk_line(&w, &l); due_walk_next(&w))
        sum += l.metric == METRIC_tcp_bytes ? l.value : 0;
    return sum;
}

static void interfaces_past_the_cap_are_owed_together(void **state)
{
    (void)state;
    enum { COME_AND_GO = 3 * DUE_INTERFACES_MAX };
    struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    for (unsigned n = 0; n < COME_AND_GO; n++) {
        char name[16];
        snprintf(name, sizeof(name), "veth%u", n);
        due_add(d, &(struct report){.interface = name, .delta.tcp_bytes = 7, .last = true});
    }
    assert_int_equal(sum_of_tcp_bytes(d), 7 * COME_AND_GO);
    assert_int_equal(due_service_count(d), 3 * (DUE_INTERFACES_MAX + 1));
    struct due_walk w;
    struct due_line l;
    struct due_claim claims[DUE_LINE_CLAIMS_MAX];
    for (due_walk_begin(&w, d); due_walk_line(&w, &l); due_walk_next(&w))
        due_settle(claims, due_claim(&l, claims));
    due_expire(d, 0);
    assert_int_equal(due_service_count(d), 3);
}

static void dropped_services_make_room(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    o.services_max = 1;
    o.per_interface = false;
    AUTO(due_free) struct due *d = make_due(&o);
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "service%u", i);
        owe_bytes(d, 0, name, 1);
        char expected[64];
        snprintf(expected, sizeof(expected), "%s bytes.in=1", name);
        assert_string_equal(accept_services(d), expected);
        due_expire(d, 1000);
    }
}

static void counters_of_the_agent_are_owed_as_differences(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    due_set_agent(d, &(struct agent_telemetry){.cpu_ms = 10, .memory_bytes = 4096});
    assert_string_equal(show(d, false, true), "- agent.cpu_ms=10, - agent.memory_bytes=4096");
    due_set_agent(d, &(struct agent_telemetry){.cpu_ms = 12, .memory_bytes = 4096});
    due_set_agent(d, &(struct agent_telemetry){.cpu_ms = 15, .memory_bytes = 8192});
    assert_string_equal(others(d), "- agent.cpu_ms=5, - agent.memory_bytes=8192");
}

static void what_was_before_a_destination_is_not_owed(void **state)
{
    (void)state;
    const struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    due_know_agent(d, &(struct agent_telemetry){.cpu_ms = 10});
    due_set_agent(d, &(struct agent_telemetry){.cpu_ms = 12});
    assert_string_equal(others(d), "- agent.cpu_ms=2");
}

static void gauges_begin_as_they_stand(void **state)
{
    (void)state;
    const struct due_options o = due_levels(10, 42);
    AUTO(due_free) struct due *levels = make_due(&o);
    for (unsigned interface = 0; interface < 2; interface++) {
        struct one r = one(interface, "yo");
        r.service.delta.requests = 1;
        r.service.open_delta = 2 + interface;
        r.report.gauges_delta.sessions = 5;
        owe(levels, &r);
    }
    owe_bytes(levels, 0, "closed", 100);
    due_expire(levels, 1000);
    assert_int_equal(due_service_count(levels), 3 * 3 + 2); /* with those of _other */

    struct due_options together = all_metrics();
    together.per_interface = false;
    AUTO(due_free) struct due *d = make_due(&together);
    due_know_gauges(d, levels);
    assert_string_equal(services(d), "yo open=5");
    assert_string_equal(others(d), "-@0 agent.sessions=5, -@1 agent.sessions=5");
    struct one r = one(0, "yo");
    r.service.open_delta = -2;
    owe(d, &r);
    assert_string_equal(services(d), "yo open=3");
}

static struct due_options only(const char *metric)
{
    struct due_options o = all_metrics();
    o.metrics.bits = 0;
    assert_true(metric_set_add_name(&o.metrics, bytes_from_string(metric)));
    return o;
}

static void metric_that_is_chosen_later_is_owed_from_then_on(void **state)
{
    (void)state;
    struct due_options o = only("bytes");
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.delta.direction[DIRECTION_IN].bytes = 100;
    r.service.delta.requests = 1;
    r.service.ttfb.buckets[1] = 1;
    r.report.delta.tcp_bytes = 100;
    owe(d, &r);
    for (int round = 0; round < 2; round++) {
        o = all_metrics();
        assert_int_equal(due_change(d, &o), 0);
        assert_string_equal(services(d), "yo@0 bytes.in=100");
        assert_string_equal(others(d), "");
        owe(d, &r);
        assert_non_null(strstr(services(d), "requests=1"));
        assert_non_null(strstr(services(d), "ttfb"));
        assert_string_equal(others(d), "-@0 agent.tcp_bytes=100, -@0 agent.service_bytes=100");
        o = only("bytes");
        assert_int_equal(due_change(d, &o), 0);
        assert_string_equal(accept_services(d), "yo@0 bytes.in=200");
        owe_bytes(d, 0, "yo", 100);
        owe(d, &r);
        accept_services(d);
        owe_bytes(d, 0, "yo", 100);
    }
}

static void claim_of_before_a_change_settles_no_more_than_is_owed(void **state)
{
    (void)state;
    struct due_options o = all_metrics();
    AUTO(due_free) struct due *d = make_due(&o);
    struct one r = one(0, "yo");
    r.service.delta.requests = 5;
    owe(d, &r);
    struct due_walk w;
    struct due_line l;
    struct due_claim claims[DUE_LINE_CLAIMS_MAX];
    due_walk_begin(&w, d);
    while (due_walk_line(&w, &l) && l.metric != METRIC_requests)
        due_walk_next(&w);
    size_t count = due_claim(&l, claims);
    o = only("bytes");
    assert_int_equal(due_change(d, &o), 0);
    o = all_metrics();
    assert_int_equal(due_change(d, &o), 0);
    due_settle(claims, count);
    assert_string_equal(services(d), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_owed_at_first),
        cmocka_unit_test(every_member_of_the_counts_is_shown),
        cmocka_unit_test(what_is_not_accepted_stays_and_grows),
        cmocka_unit_test(what_comes_between_a_line_and_its_acceptance_stays),
        cmocka_unit_test(services_are_owed_by_interface_or_together),
        cmocka_unit_test(only_chosen_metrics_are_shown),
        cmocka_unit_test(amount_beyond_2_to_the_53_is_split),
        cmocka_unit_test(part_that_was_not_accepted_stays),
        cmocka_unit_test(gauge_is_told_while_it_is_not_zero_and_once_after),
        cmocka_unit_test(gauge_over_all_interfaces_is_their_sum),
        cmocka_unit_test(gauges_of_several_that_report_of_an_interface_add_up),
        cmocka_unit_test(connections_opened_past_the_cap_are_not_closed_below_zero),
        cmocka_unit_test(timing_is_shown_by_bucket),
        cmocka_unit_test(timing_is_shown_by_percentile),
        cmocka_unit_test(percentiles_of_one_sample_are_that_sample),
        cmocka_unit_test(samples_do_not_wrap),
        cmocka_unit_test(service_past_the_cap_goes_to_other),
        cmocka_unit_test(services_that_engines_name_are_never_folded_while_all_is_taken),
        cmocka_unit_test(bytes_are_owed_whatever_is_sent),
        cmocka_unit_test(idle_service_that_is_owed_nothing_is_dropped),
        cmocka_unit_test(more_than_engines_tell_apart_are_dropped_before_they_are_idle),
        cmocka_unit_test(an_interface_that_has_gone_is_dropped_with_its_services),
        cmocka_unit_test(interfaces_past_the_cap_are_owed_together),
        cmocka_unit_test(dropped_services_make_room),
        cmocka_unit_test(counters_of_the_agent_are_owed_as_differences),
        cmocka_unit_test(what_was_before_a_destination_is_not_owed),
        cmocka_unit_test(gauges_begin_as_they_stand),
        cmocka_unit_test(metric_that_is_chosen_later_is_owed_from_then_on),
        cmocka_unit_test(claim_of_before_a_change_settles_no_more_than_is_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
