/*
 * With an argument, prints samples of the datadog dialect instead, for a
 * comparison with other encoders: "metric value type rate tags line", parted by
 * tabs.
 */
#include "core/statsd_encoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/statsd_line.h"

static const char *const interfaces[] = {"eth0", "br-0.100", "Wlan:0"};
static const char *const tags[] = {"env:prod", "team:web/a.b"};
static const char *const series_tags[] = {"env:prod", "team:a.b_c-d"};

static struct statsd_encoder_options graphite(void)
{
    return (struct statsd_encoder_options){
        .dialect = STATSD_GRAPHITE,
        .prefix = "httpacct",
        .host = "web1",
    };
}

static struct statsd_encoder_options graphite_tags(void)
{
    return (struct statsd_encoder_options){
        .dialect = STATSD_GRAPHITE_TAGS,
        .prefix = "httpacct",
        .host = "web1",
    };
}

static struct statsd_encoder_options datadog(void)
{
    return (struct statsd_encoder_options){
        .dialect = STATSD_DATADOG,
        .prefix = "httpacct",
        .host = "web1",
    };
}

static const char *encode(const struct statsd_encoder_options *options, const struct due_line *l)
{
    static char line[1500];
    AUTO(statsd_encoder_free) struct statsd_encoder *e = NULL;
    assert_int_equal(statsd_encoder_new(&e, options), 0);
    struct text t = {0};
    statsd_encoder_add(e, l, &t);
    assert_false(text_failed(&t));
    assert_true(t.size <= statsd_encoder_line_max(e));
    snprintf(line, sizeof(line), "%s", t.data);
    text_deinit(&t);
    return line;
}

static struct due_line service_line(enum metric_id metric, const char *variant, uint64_t value)
{
    return (struct due_line){.metric = metric, .variant = variant, .service = "yo", .value = value};
}

static struct due_line on_interface(struct due_line l, unsigned interface)
{
    l.interface = interfaces[interface];
    return l;
}

static void graphite_has_a_node_for_host_service_and_direction(void **state)
{
    (void)state;
    const struct statsd_encoder_options o = graphite();
    struct due_line l = service_line(METRIC_bytes, "in", 136);
    assert_string_equal(encode(&o, &l), "httpacct.web1.yo.in.bytes:136|c");
    l = service_line(METRIC_retransmitted, "out", DUE_AMOUNT_MAX);
    assert_string_equal(encode(&o, &l), "httpacct.web1.yo.out.retransmitted:9007199254740992|c");
    l = service_line(METRIC_requests, NULL, 1);
    assert_string_equal(encode(&o, &l), "httpacct.web1.yo.requests:1|c");
    l = service_line(METRIC_replies, "2xx", 7);
    assert_string_equal(encode(&o, &l), "httpacct.web1.yo.replies.2xx:7|c");
    l = service_line(METRIC_open, NULL, 0);
    assert_string_equal(encode(&o, &l), "httpacct.web1.yo.open:0|g");
}

static void graphite_sends_percentiles_as_gauges(void **state)
{
    (void)state;
    const struct statsd_encoder_options o = graphite();
    struct due_line l = service_line(METRIC_ttfb, "p95", 12300000);
    l.samples = 100;
    assert_string_equal(encode(&o, &l), "httpacct.web1.yo.ttfb.p95:12.3|g");
}

static void graphite_has_a_node_for_the_agent(void **state)
{
    (void)state;
    const struct statsd_encoder_options o = graphite();
    struct due_line l = {.metric = METRIC_cpu_ms, .value = 17};
    assert_string_equal(encode(&o, &l), "httpacct.web1.agent.cpu_ms:17|c");
    l = on_interface((struct due_line){.metric = METRIC_tcp_bytes, .value = 9}, 1);
    assert_string_equal(encode(&o, &l), "httpacct.web1.agent.br-0__100.tcp_bytes:9|c");
    l = on_interface((struct due_line){.metric = METRIC_sessions, .value = 9}, 0);
    assert_string_equal(encode(&o, &l), "httpacct.web1.agent.eth0.sessions:9|g");
}

static void node_of_the_host_can_be_left_out(void **state)
{
    (void)state;
    struct statsd_encoder_options o = graphite();
    struct due_line l = service_line(METRIC_bytes, "in", 136);
    o.host = NULL;
    assert_string_equal(encode(&o, &l), "httpacct.yo.in.bytes:136|c");
    o.host = "web1.example.com";
    assert_string_equal(encode(&o, &l), "httpacct.web1__example__com.yo.in.bytes:136|c");
}

static void graphite_tags_are_in_the_name_in_a_fixed_order(void **state)
{
    (void)state;
    struct statsd_encoder_options o = graphite_tags();
    struct due_line l = on_interface(service_line(METRIC_bytes, "in", 136), 0);
    assert_string_equal(encode(&o, &l),
                        "httpacct.bytes;service=yo;direction=in;interface=eth0;host=web1:136|c");
    l = on_interface(service_line(METRIC_replies, "4xx", 2), 1);
    assert_string_equal(encode(&o, &l),
                        "httpacct.replies;service=yo;class=4xx;interface=br-0.100;host=web1:2|c");
    l = on_interface(service_line(METRIC_ttfb, "p95", 12300000), 0);
    l.samples = 100;
    assert_string_equal(encode(&o, &l),
                        "httpacct.ttfb;service=yo;quantile=p95;interface=eth0;host=web1:12.3|g");
    l = (struct due_line){.metric = METRIC_memory_bytes, .value = 4096};
    o.tags = series_tags;
    o.tag_count = ARRAY_SIZE(series_tags);
    assert_string_equal(encode(&o, &l),
                        "httpacct.agent.memory_bytes;host=web1;env=prod;team=a.b_c-d:4096|g");
}

static void graphite_tags_need_no_host(void **state)
{
    (void)state;
    struct statsd_encoder_options o = graphite_tags();
    struct due_line l = {.metric = METRIC_memory_bytes, .value = 4096};
    o.host = "web1.Example.com";
    assert_memory_equal(encode(&o, &l), "httpacct.agent.memory_bytes;host=web1.example.com__", 51);
    o.host = NULL;
    assert_string_equal(encode(&o, &l), "httpacct.agent.memory_bytes:4096|g");
    l = on_interface((struct due_line){.metric = METRIC_gaps, .value = 1}, 0);
    assert_string_equal(encode(&o, &l), "httpacct.agent.gaps;interface=eth0:1|c");
}

static void datadog_has_tags_in_a_fixed_order(void **state)
{
    (void)state;
    struct statsd_encoder_options o = datadog();
    struct due_line l = on_interface(service_line(METRIC_bytes, "in", 136), 0);
    assert_string_equal(encode(&o, &l),
                        "httpacct.bytes:136|c|#service:yo,direction:in,interface:eth0");
    l = on_interface(service_line(METRIC_replies, "4xx", 2), 1);
    assert_string_equal(encode(&o, &l),
                        "httpacct.replies:2|c|#service:yo,class:4xx,interface:br-0.100");
    o.tags = tags;
    o.tag_count = ARRAY_SIZE(tags);
    assert_string_equal(encode(&o, &l), "httpacct.replies:2|c|#service:yo,class:4xx,"
                                        "interface:br-0.100,env:prod,team:web/a.b");
    l = (struct due_line){.metric = METRIC_memory_bytes, .value = 4096};
    assert_string_equal(encode(&o, &l),
                        "httpacct.agent.memory_bytes:4096|g|#env:prod,team:web/a.b");
}

static void datadog_line_without_tags_has_no_tag_section(void **state)
{
    (void)state;
    const struct statsd_encoder_options o = datadog();
    struct due_line l = {.metric = METRIC_memory_bytes, .value = 4096};
    assert_string_equal(encode(&o, &l), "httpacct.agent.memory_bytes:4096|g");
}

static void datadog_sends_timings_as_sampled_distributions(void **state)
{
    (void)state;
    const struct statsd_encoder_options o = datadog();
    struct due_line l = on_interface(service_line(METRIC_ttfb, NULL, 12300000), 0);
    l.samples = 25;
    assert_string_equal(encode(&o, &l), "httpacct.ttfb:12.3|d|@0.04|#service:yo,interface:eth0");
    l.samples = 1;
    assert_string_equal(encode(&o, &l), "httpacct.ttfb:12.3|d|#service:yo,interface:eth0");
}

static void milliseconds_have_three_decimals_at_most(void **state)
{
    (void)state;
    const struct statsd_encoder_options o = graphite();
    static const struct {
        uint64_t ns;
        const char *ms;
    } cases[] = {{0, "0"},       {499, "0"},       {500, "0.001"},      {32768, "0.033"},
                 {1000000, "1"}, {1100000, "1.1"}, {999999500, "1000"}, {34359738368, "34359.738"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct due_line l = service_line(METRIC_ttfb, "p50", cases[i].ns);
        char expected[64];
        snprintf(expected, sizeof(expected), "httpacct.web1.yo.ttfb.p50:%s|g", cases[i].ms);
        assert_string_equal(encode(&o, &l), expected);
    }
}

static void rate_gives_the_number_of_samples_back(void **state)
{
    (void)state;
    const struct statsd_encoder_options o = datadog();
    uint64_t samples[] = {2, 3, 7, 9, 10, 11, 99, 100, 101, 12345, 999999999, 4294967295};
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        struct due_line l = service_line(METRIC_ttfb, NULL, 1000000);
        l.samples = samples[i];
        struct statsd_line read;
        assert_null(statsd_line_read_datadog(&read, bytes_from_string(encode(&o, &l))));
        assert_int_equal((uint64_t)(1 / read.rate + 0.5), samples[i]);
    }
}

/* Every metric with the longest and the strangest names there are. */
static void assert_all_strict(const struct statsd_encoder_options *o,
                              const char *(*read)(struct statsd_line *, struct bytes))
{
    static const char *const services[] = {
        "yo",
        "_unspecified",
        "agent",
        "A.B.c_d--E",
        "..",
        "0",
        "x123456789.123456789.123456789.123456789.123456789.123456789.123",
        "x123456789_123456789_123456789_123456789_123456789_123456789_123",
    };
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        for (size_t s = 0; s < ARRAY_SIZE(services); s++) {
            bool timing = metrics[id].form == METRIC_TIMING;
            struct due_line l = {
                .metric = id,
                .value = timing ? 34359738368 : DUE_AMOUNT_MAX,
                .samples = timing ? 3 : 0,
                .service = metrics[id].scope == METRIC_SERVICE ? services[s] : NULL,
            };
            if (metrics[id].form == METRIC_EACH_WAY)
                l.variant = "out";
            else if (metrics[id].form == METRIC_BY_CLASS)
                l.variant = "5xx";
            else if (timing && o->dialect != STATSD_DATADOG)
                l.variant = "p99";
            if (metrics[id].scope != METRIC_AGENT)
                l = on_interface(l, (unsigned)(s % ARRAY_SIZE(interfaces)));
            const char *line = encode(o, &l);
            struct statsd_line parsed;
            const char *wrong = read(&parsed, bytes_from_string(line));
            if (wrong)
                fail_msg("%s: %s", line, wrong);
        }
    }
}

static void every_line_passes_a_strict_parser(void **state)
{
    (void)state;
    struct statsd_encoder_options o = graphite();
    assert_all_strict(&o, statsd_line_read_graphite);
    o.prefix = "a123456789.b23456789.c23456789.d23456789";
    o.host = "a-host-with-a-name-as-long-as-such-a-name-may-be.example.com";
    assert_null(statsd_prefix_check(o.prefix));
    assert_all_strict(&o, statsd_line_read_graphite);

    const char *prefix = o.prefix, *host = o.host;
    o = graphite_tags();
    assert_all_strict(&o, statsd_line_read_graphite_tags);
    o.prefix = prefix;
    o.host = host;
    o.tags = series_tags;
    o.tag_count = ARRAY_SIZE(series_tags);
    assert_all_strict(&o, statsd_line_read_graphite_tags);

    o = datadog();
    o.tags = tags;
    o.tag_count = ARRAY_SIZE(tags);
    assert_all_strict(&o, statsd_line_read_datadog);
}

static void heartbeat_is_a_line_of_its_dialect(void **state)
{
    (void)state;
    struct statsd_encoder_options o = graphite();
    const struct due_line up = {.metric = METRIC_up, .value = 1};
    assert_string_equal(encode(&o, &up), "httpacct.web1.agent.up:1|g");
    AUTO(statsd_encoder_free) struct statsd_encoder *e = NULL;
    assert_int_equal(statsd_encoder_new(&e, &o), 0);
    AUTO(text_deinit) struct text t = {0};
    statsd_encoder_add_heartbeat(e, &t);
    assert_string_equal(t.data, encode(&o, &up));
}

static void dialects_have_names(void **state)
{
    (void)state;
    enum statsd_dialect d;
    assert_true(statsd_dialect_find(&d, "graphite"));
    assert_int_equal(d, STATSD_GRAPHITE);
    assert_true(statsd_dialect_find(&d, "graphite-tags"));
    assert_int_equal(d, STATSD_GRAPHITE_TAGS);
    assert_true(statsd_dialect_find(&d, "datadog"));
    assert_int_equal(d, STATSD_DATADOG);
    assert_false(statsd_dialect_find(&d, "influx"));
}

static void prefix_that_a_receiver_would_change_is_wrong(void **state)
{
    (void)state;
    static const char *const good[] = {"httpacct", "prod.httpacct", "a", "A_1.b"};
    static const char *const bad[] = {"",
                                      "1a",
                                      ".a",
                                      "a.",
                                      "a..b",
                                      "a b",
                                      "a:",
                                      "a|",
                                      "a\n",
                                      "a12345678901234567890123456789"
                                      "01234567890"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_null(statsd_prefix_check(good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_non_null(statsd_prefix_check(bad[i]));
}

static void tag_that_datadog_would_change_is_wrong(void **state)
{
    (void)state;
    static const char *const good[] = {"env:prod", "a",         "a:b:c",   "path:/x/y.z-1_2",
                                       "env:Prod", "host:web1", "service", "classes:a"};
    static const char *const bad[] = {
        "",    ":a", "1a",        "env:",         "a b",     "a,b",           "a|b",
        "a\n", "a#", "service:a", "Direction:in", "class:a", "interface:eth0"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_null(statsd_tag_check(good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_non_null(statsd_tag_check(bad[i]));
    char longest[STATSD_TAG_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[STATSD_TAG_MAX + 1] = '\0';
    assert_non_null(statsd_tag_check(longest));
    longest[STATSD_TAG_MAX] = '\0';
    assert_null(statsd_tag_check(longest));
}

static void print_sample(const struct statsd_encoder_options *o, const struct due_line *l)
{
    const char *line = encode(o, l);
    struct statsd_line read;
    assert_null(statsd_line_read_datadog(&read, bytes_from_string(line)));
    printf("%s\t%.17g\t%c\t%.17g\t%s\t%s\n", read.name, read.number, read.type, read.rate,
           read.tags, line);
}

static int print_samples(void)
{
    struct statsd_encoder_options o = datadog();
    o.tags = tags;
    o.tag_count = ARRAY_SIZE(tags);
    const struct due_line lines[] = {
        on_interface(service_line(METRIC_bytes, "in", 136), 0),
        on_interface(service_line(METRIC_bytes, "out", DUE_AMOUNT_MAX - 1), 1),
        on_interface(service_line(METRIC_replies, "5xx", 1), 2),
        on_interface(service_line(METRIC_requests, NULL, 12345678901), 0),
        on_interface(service_line(METRIC_open, NULL, 0), 0),
        {.metric = METRIC_memory_bytes, .value = 4096},
        on_interface((struct due_line){.metric = METRIC_tcp_bytes, .value = 9}, 0),
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        print_sample(&o, &lines[i]);
    uint64_t samples = 1;
    for (unsigned bucket = 0; bucket < TTFB_BUCKETS; bucket++) {
        struct due_line l =
            on_interface(service_line(METRIC_ttfb, NULL, ttfb_bucket_ns(bucket)), 0);
        l.samples = samples;
        samples = samples < 19683 ? 3 * samples : 1;
        print_sample(&o, &l);
    }
    o.tag_count = 0;
    print_sample(&o, &lines[5]);
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return print_samples();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphite_has_a_node_for_host_service_and_direction),
        cmocka_unit_test(graphite_sends_percentiles_as_gauges),
        cmocka_unit_test(graphite_has_a_node_for_the_agent),
        cmocka_unit_test(node_of_the_host_can_be_left_out),
        cmocka_unit_test(graphite_tags_are_in_the_name_in_a_fixed_order),
        cmocka_unit_test(graphite_tags_need_no_host),
        cmocka_unit_test(datadog_has_tags_in_a_fixed_order),
        cmocka_unit_test(datadog_line_without_tags_has_no_tag_section),
        cmocka_unit_test(datadog_sends_timings_as_sampled_distributions),
        cmocka_unit_test(milliseconds_have_three_decimals_at_most),
        cmocka_unit_test(rate_gives_the_number_of_samples_back),
        cmocka_unit_test(every_line_passes_a_strict_parser),
        cmocka_unit_test(heartbeat_is_a_line_of_its_dialect),
        cmocka_unit_test(dialects_have_names),
        cmocka_unit_test(prefix_that_a_receiver_would_change_is_wrong),
        cmocka_unit_test(tag_that_datadog_would_change_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
