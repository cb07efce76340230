/*
 * Random reports, random refusals: what was accepted and what is still due are
 * together what was reported, line by line, as a naive shadow counts it.
 */
#include "core/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/table.h"
#include "support/statsd_line.h"

enum { INTERFACES = 3, SERVICES = 40 };

static const char *const interfaces[INTERFACES] = {"eth0", "eth1", "lo"};

/* Amounts by the name and tags of their line. */
struct sum {
    char key[300];
    uint64_t reported;
    uint64_t accepted;
    UT_hash_handle hh;
};

static struct sum *sum_of(struct sum **sums, const char *key)
{
    struct sum *s;
    HASH_FIND_STR(*sums, key, s);
    if (!s) {
        s = calloc(1, sizeof(*s));
        snprintf(s->key, sizeof(s->key), "%s", key);
        HASH_ADD_STR(*sums, key, s);
    }
    return s;
}

static void free_sums(struct sum *sums)
{
    struct sum *s, *next;
    HASH_ITER (hh, sums, s, next) {
        HASH_DEL(sums, s);
        free(s);
    }
}

struct trial {
    enum statsd_dialect dialect;
    struct due *due;
    struct statsd_encoder *encoder;
    struct datagram datagram;
    struct text scratch;
    struct sum *sums;
    uint64_t reported_bytes;
    uint64_t accepted_bytes;
};

static void trial_begin(struct trial *t, enum statsd_dialect dialect, size_t datagram_bytes)
{
    *t = (struct trial){.dialect = dialect};
    struct due_options due = {
        .per_interface = dialect == STATSD_DATADOG,
        .percentiles = dialect == STATSD_GRAPHITE,
        .services_max = (size_t)INTERFACES * SERVICES,
        .hash_seed = 42,
        .idle_ns = 1,
    };
    metric_set_add_name(&due.metrics, BYTES("all"));
    assert_int_equal(due_new(&t->due, &due), 0);
    const struct statsd_encoder_options encoder = {
        .dialect = dialect,
        .prefix = "httpacct",
    };
    assert_int_equal(statsd_encoder_new(&t->encoder, &encoder), 0);
    datagram_init(&t->datagram, datagram_bytes);
}

static void trial_end(struct trial *t)
{
    due_free(t->due);
    statsd_encoder_free(t->encoder);
    text_deinit(&t->scratch);
    free_sums(t->sums);
}

static void expect(struct trial *t, const char *service, const char *node, const char *tags,
                   const char *interface, uint64_t amount)
{
    char key[300];
    const char *metric = strrchr(node, '.') ? strrchr(node, '.') + 1 : node;
    if (strncmp(node, "replies", 7) == 0)
        metric = "replies";
    if (t->dialect == STATSD_GRAPHITE)
        snprintf(key, sizeof(key), "httpacct.%s.%s#", service, node);
    else
        snprintf(key, sizeof(key), "httpacct.%s#service:%s%s,interface:%s", metric, service, tags,
                 interface);
    sum_of(&t->sums, key)->reported += amount;
}

static uint64_t random_amount(void)
{
    if (rand() % 3 == 0)
        return 0;
    if (rand() % 50 == 0)
        return DUE_AMOUNT_MAX + (uint64_t)rand() % 3;
    return (uint64_t)rand() % 100000;
}

/* One service of a report, and what it should become. */
static void fill_service(struct trial *t, struct report_service *s, const char *interface)
{
    snprintf(s->name.text, sizeof(s->name.text), "service-%d", rand() % SERVICES);
    const char *name = s->name.text;
    struct direction_counts *in = &s->delta.direction[DIRECTION_IN];
    struct direction_counts *out = &s->delta.direction[DIRECTION_OUT];
    in->bytes = random_amount();
    out->bytes = random_amount();
    out->control = random_amount();
    s->delta.requests = random_amount();
    s->delta.replies[4] = random_amount();
    s->open_delta = rand() % 5;
    for (int i = rand() % 4; i > 0; i--)
        s->ttfb.buckets[rand() % TTFB_BUCKETS] += (uint32_t)rand() % 1000;

    expect(t, name, "in.bytes", ",direction:in", interface, in->bytes);
    expect(t, name, "out.bytes", ",direction:out", interface, out->bytes);
    expect(t, name, "out.control", ",direction:out", interface, out->control);
    expect(t, name, "requests", "", interface, s->delta.requests);
    expect(t, name, "replies.5xx", ",class:5xx", interface, s->delta.replies[4]);
    t->reported_bytes += in->bytes + out->bytes;
    for (unsigned i = 0; t->dialect == STATSD_DATADOG && i < TTFB_BUCKETS; i++)
        expect(t, name, "ttfb", "", interface, s->ttfb.buckets[i]);
}

static void report_something(struct trial *t)
{
    enum { REPORT_SERVICES = 20 };
    AUTO(report_free)
    struct report *r = calloc(1, sizeof(*r) + REPORT_SERVICES * sizeof(r->services[0]));
    r->interface = interfaces[rand() % INTERFACES];
    r->time_ns = 1;
    for (; r->service_count < REPORT_SERVICES; r->service_count++)
        fill_service(t, &r->services[r->service_count], r->interface);
    due_add(t->due, r);
}

static void accept_line(struct trial *t, struct bytes raw)
{
    struct statsd_line l;
    const char *wrong = t->dialect == STATSD_GRAPHITE ? statsd_line_read_graphite(&l, raw)
                                                      : statsd_line_read_datadog(&l, raw);
    if (wrong)
        fail_msg("%.*s: %s", (int)raw.size, (const char *)raw.data, wrong);
    if (l.type == 'g')
        return;
    char key[2 * STATSD_LINE_TEXT_MAX];
    snprintf(key, sizeof(key), "%s#%s", l.name, l.tags);
    uint64_t amount = l.type == 'd' ? (uint64_t)(1 / l.rate + 0.5) : l.value;
    assert_true(amount > 0);
    sum_of(&t->sums, key)->accepted += amount;
    if (strstr(key, "bytes") && !strstr(key, ".agent."))
        t->accepted_bytes += amount;
}

static void accept_datagram(struct trial *t)
{
    struct bytes rest = bytes_make(t->datagram.data, t->datagram.size);
    while (rest.size) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        accept_line(t, bytes_take(&rest, end ? (size_t)(end - rest.data) : rest.size));
        if (end) {
            bytes_take(&rest, 1);
            assert_true(rest.size > 0);
        }
    }
    datagram_accept(&t->datagram);
}

/*
 * A flush that stops at a refused datagram, one in @one_in of them, and during
 * which more is reported. With 0 it sends all there is.
 */
static void flush(struct trial *t, int one_in)
{
    struct due_walk w;
    due_walk_begin(&w, t->due);
    for (;;) {
        assert_int_equal(datagram_fill(&t->datagram, &w, t->encoder, &t->scratch), 0);
        assert_true(t->datagram.size <= t->datagram.size_max);
        if (t->datagram.size == 0)
            return;
        if (one_in && rand() % 20 == 0)
            report_something(t); /* while it waits for room */
        if (one_in && rand() % one_in == 0) {
            datagram_clear(&t->datagram);
            return;
        }
        accept_datagram(t);
    }
}

static void assert_books_balance(struct trial *t)
{
    assert_int_equal(t->accepted_bytes + due_bytes(t->due), t->reported_bytes);
    for (struct sum *s = t->sums; s; s = s->hh.next)
        if (!strstr(s->key, ".agent."))
            assert_true(s->accepted <= s->reported);
}

static void run_trial(enum statsd_dialect dialect, size_t datagram_bytes)
{
    unsigned seed = (unsigned)dialect * 1000 + (unsigned)datagram_bytes;
    srand(seed);
    print_message("seed %u\n", seed);
    struct trial t;
    trial_begin(&t, dialect, datagram_bytes);
    for (unsigned i = 0; i < 300; i++) {
        report_something(&t);
        if (rand() % 3 == 0)
            flush(&t, 1 + rand() % 10);
        due_expire(t.due, (uint64_t)rand() % 10);
        assert_books_balance(&t);
    }
    flush(&t, 0);
    assert_int_equal(due_bytes(t.due), 0);
    for (struct sum *s = t.sums; s; s = s->hh.next)
        if (!strstr(s->key, ".agent.") && s->accepted != s->reported)
            fail_msg("%s: %llu of %llu", s->key, (unsigned long long)s->accepted,
                     (unsigned long long)s->reported);
    trial_end(&t);
}

static void accepted_and_due_is_what_was_reported(void **state)
{
    (void)state;
    static const size_t sizes[] = {DATAGRAM_BYTES_MIN, 1432, DATAGRAM_BYTES_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        run_trial(STATSD_GRAPHITE, sizes[i]);
        run_trial(STATSD_DATADOG, sizes[i]);
    }
}

static void datagrams_are_filled(void **state)
{
    (void)state;
    struct trial t;
    srand(1);
    trial_begin(&t, STATSD_DATADOG, 1432);
    for (unsigned i = 0; i < 10; i++)
        report_something(&t);
    struct due_walk w;
    struct due_line next;
    due_walk_begin(&w, t.due);
    for (;;) {
        assert_int_equal(datagram_fill(&t.datagram, &w, t.encoder, &t.scratch), 0);
        if (!due_walk_line(&w, &next))
            break;
        assert_true(t.datagram.size + 1 + t.scratch.size > 1432); /* the line that did not fit */
        datagram_accept(&t.datagram);
    }
    trial_end(&t);
}

static void datagram_that_is_full_of_claims_is_ended(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t, STATSD_GRAPHITE, DATAGRAM_BYTES_MAX);
    AUTO(report_free)
    struct report *r = calloc(1, sizeof(*r) + SERVICES * sizeof(r->services[0]));
    r->interface = interfaces[0];
    for (; r->service_count < SERVICES; r->service_count++) {
        struct report_service *s = &r->services[r->service_count];
        snprintf(s->name.text, sizeof(s->name.text), "s%zu", r->service_count);
        for (unsigned i = 0; i < TTFB_BUCKETS; i++)
            s->ttfb.buckets[i] = 1;
    }
    due_add(t.due, r);
    flush(&t, 0);
    flush(&t, 0);
    struct due_walk w;
    struct due_line l;
    due_walk_begin(&w, t.due);
    assert_false(due_walk_line(&w, &l));
    trial_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_and_due_is_what_was_reported),
        cmocka_unit_test(datagrams_are_filled),
        cmocka_unit_test(datagram_that_is_full_of_claims_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
