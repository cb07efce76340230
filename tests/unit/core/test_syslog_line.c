#include "core/syslog_line.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <cmocka.h>

#include "support/syslog_parser.h"

static const struct syslog_origin origin = {
    .facility = LOG_DAEMON,
    .hostname = "h.example",
    .app_name = "httpacct",
    .sd_id = "httpacct@32473",
    .process_id = 99,
};

static const struct syslog_fact facts[] = {
    {"in_bytes", 136}, {"out_bytes", 410}, {"requests", 1}, {"replies_4xx", 1}};

static const struct syslog_message yo = {
    .severity = LOG_INFO,
    .timestamp = "2026-11-23T08:25:04.029595Z",
    .sequence = 7,
    .subject = "service",
    .name = "yo",
    .facts = facts,
    .fact_count = ARRAY_SIZE(facts),
};

static struct syslog_message log_line(struct bytes line)
{
    return (struct syslog_message){
        .severity = LOG_WARNING, .timestamp = yo.timestamp, .sequence = 1, .line = line};
}

/* Render @m and read it again; its text lives in @t. */
static void render(struct text *t, struct syslog_parsed *p, const struct syslog_origin *o,
                   const struct syslog_message *m)
{
    text_clear(t);
    syslog_line(t, o, m);
    assert_false(text_failed(t));
    assert_true(t->size <= SYSLOG_LINE_MAX);
    const char *problem = syslog_parse(p, bytes_make(t->data, t->size));
    if (problem)
        fail_msg("%s in: %s", problem, t->data);
}

static void message_of_a_service(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    syslog_line(&t, &origin, &yo);
    assert_string_equal(
        t.data, "<30>1 2026-11-23T08:25:04.029595Z h.example httpacct 99 FLUSH "
                "[httpacct@32473 service=\"yo\" in_bytes=\"136\" out_bytes=\"410\" requests=\"1\" "
                "replies_4xx=\"1\"][meta sequenceId=\"7\"] "
                "service=yo in_bytes=136 out_bytes=410 requests=1 replies_4xx=1");
}

static void message_of_the_log(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    struct syslog_message m = log_line(BYTES("eth0 is down: waiting"));
    syslog_line(&t, &origin, &m);
    assert_string_equal(t.data, "<28>1 2026-11-23T08:25:04.029595Z h.example httpacct 99 LOG "
                                "[meta sequenceId=\"1\"] eth0 is down: waiting");
}

static void message_is_added_behind_what_is_there(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text alone = {0}, both = {0};
    syslog_line(&alone, &origin, &yo);
    syslog_line(&both, &origin, &yo);
    syslog_line(&both, &origin, &yo);
    assert_int_equal(both.size, 2 * alone.size);
    assert_memory_equal(both.data + alone.size, alone.data, alone.size);
}

static void fact_of(const struct due_line *l, const char *name, uint64_t value)
{
    struct syslog_fact f;
    syslog_fact_make(&f, l);
    assert_string_equal(f.name, name);
    assert_int_equal(f.value, value);
}

static void facts_are_named_after_their_metrics(void **state)
{
    (void)state;
    fact_of(&(struct due_line){.metric = METRIC_bytes, .variant = "in", .value = 136}, "in_bytes",
            136);
    fact_of(&(struct due_line){.metric = METRIC_retransmitted, .variant = "out", .value = 1},
            "out_retransmitted", 1);
    fact_of(&(struct due_line){.metric = METRIC_replies, .variant = "4xx", .value = 2},
            "replies_4xx", 2);
    fact_of(&(struct due_line){.metric = METRIC_requests, .value = 3}, "requests", 3);
    fact_of(&(struct due_line){.metric = METRIC_open, .value = 4}, "open", 4);
    fact_of(&(struct due_line){.metric = METRIC_tcp_bytes, .value = 5}, "tcp_bytes", 5);
    fact_of(&(struct due_line){.metric = METRIC_ttfb, .variant = "p50", .value = 1234567},
            "ttfb_p50_us", 1234);
}

static void every_metric_makes_a_name_that_fits(void **state)
{
    (void)state;
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        struct syslog_fact f;
        syslog_fact_make(&f, &(struct due_line){.metric = id, .variant = "out"});
        assert_in_range(strlen(f.name), 1, SYSLOG_SD_NAME_MAX - 1);
        assert_int_equal(strspn(f.name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(f.name));
    }
}

static void hostile_name_stays_one_value(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a\"b",   "a]b", "a\\b", "a\\\"]b", "\"][x@1 y=\"z", "a=b", "a b",
        "][meta", "\\",  "\"",   "]",       "caf\xc3\xa9",   "",    "-",
    };
    AUTO(text_deinit) struct text t = {0};
    struct syslog_parsed p;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct syslog_message m = yo;
        m.name = names[i];
        render(&t, &p, &origin, &m);
        assert_string_equal(syslog_parsed_value(&p, "httpacct@32473", "service"), names[i]);
        assert_string_equal(syslog_parsed_value(&p, "httpacct@32473", "in_bytes"), "136");
        assert_string_equal(syslog_parsed_value(&p, "meta", "sequenceId"), "7");
    }
}

static void largest_values_stay_whole(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    struct syslog_parsed p;
    struct syslog_fact largest = {"in_bytes", UINT64_MAX};
    struct syslog_message m = yo;
    m.facts = &largest;
    m.fact_count = 1;
    m.sequence = SYSLOG_SEQUENCE_MAX;
    render(&t, &p, &origin, &m);
    assert_string_equal(syslog_parsed_value(&p, "httpacct@32473", "in_bytes"),
                        "18446744073709551615");
    assert_string_equal(syslog_parsed_value(&p, "meta", "sequenceId"), "2147483647");
}

static void fill(char *to, size_t size, char c)
{
    memset(to, c, size - 1);
    to[size - 1] = '\0';
}

/* All that can be long is as long as it gets. */
static void longest_message_keeps_its_data_and_whole_words(void **state)
{
    (void)state;
    struct syslog_origin o = origin;
    fill(o.hostname, sizeof(o.hostname), 'h');
    fill(o.app_name, sizeof(o.app_name), 'a');
    o.process_id = UINT32_MAX;
    struct syslog_fact all[22];
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        snprintf(all[i].name, sizeof(all[i].name), "out_retransmit_%02zu", i);
        all[i].value = UINT64_MAX;
    }
    char name[SERVICE_NAME_MAX + 1];
    fill(name, sizeof(name), 'n');
    struct syslog_message m = yo;
    m.name = name;
    m.facts = all;
    m.fact_count = ARRAY_SIZE(all);

    AUTO(text_deinit) struct text t = {0};
    struct syslog_parsed p;
    render(&t, &p, &o, &m);
    assert_int_equal(p.param_count, ARRAY_SIZE(all) + 2);
    assert_true(t.size > SYSLOG_LINE_MAX - 64);
    const char *last_word = strrchr(t.data, ' ') + 1;
    assert_memory_equal(last_word, "out_retransmit_", strlen("out_retransmit_"));
    assert_string_equal(strchr(last_word, '='), "=18446744073709551615");
}

static void long_line_is_cut_between_characters(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text line = {0}, t = {0};
    struct syslog_parsed p;
    for (unsigned shift = 0; shift < 4; shift++) {
        text_clear(&line);
        for (unsigned i = 0; i < shift; i++)
            text_add_char(&line, 'x');
        for (unsigned i = 0; i < 2000; i++)
            text_add_string(&line, "\xf0\x9f\x98\x80");
        struct syslog_message m = log_line(bytes_make(line.data, line.size));
        render(&t, &p, &origin, &m);
        assert_in_range(t.size, SYSLOG_LINE_MAX - 3, SYSLOG_LINE_MAX);
        assert_true(p.has_mark);
    }
}

static void line_has_a_mark_only_if_it_is_more_than_ascii(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    struct syslog_parsed p;
    struct syslog_message m = log_line(BYTES("caf\xc3\xa9 is open"));
    render(&t, &p, &origin, &m);
    assert_true(p.has_mark);
    assert_true(bytes_equal(p.text, BYTES("caf\xc3\xa9 is open")));

    m.line = BYTES("the cafe is open");
    render(&t, &p, &origin, &m);
    assert_false(p.has_mark);
}

static void random_bytes_in_a_line_break_nothing(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    AUTO(text_deinit) struct text t = {0};
    struct syslog_parsed p;
    for (unsigned round = 0; round < 5000; round++) {
        uint8_t bytes[1024];
        size_t size = (size_t)rand() % sizeof(bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)rand();
        struct syslog_message m = log_line(bytes_make(bytes, size));
        render(&t, &p, &origin, &m);
        assert_int_equal(p.param_count, 1);
    }
}

static void empty_line_is_a_message(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    struct syslog_parsed p;
    struct syslog_message m = log_line((struct bytes){0});
    render(&t, &p, &origin, &m);
    assert_int_equal(p.text.size, 0);
}

static void header_fields_are_made_to_fit(void **state)
{
    (void)state;
    char field[8 + 1];
    syslog_header_field(field, sizeof(field), "web-1");
    assert_string_equal(field, "web-1");
    syslog_header_field(field, sizeof(field), "12345678");
    assert_string_equal(field, "12345678");
    syslog_header_field(field, sizeof(field), "123456789");
    assert_string_equal(field, "12345678");
    syslog_header_field(field, sizeof(field), "a b\n\x7f\xc3\xa9");
    assert_string_equal(field, "a_b____");
    syslog_header_field(field, sizeof(field), "");
    assert_string_equal(field, "-");
}

static void only_ids_of_enterprises_are_valid(void **state)
{
    (void)state;
    static const char *const valid[] = {"httpacct@32473", "a@1", "x.y-z@32473.1.2",
                                        "12345678901234567890123456@32473"};
    static const char *const wrong[] = {
        "",        "httpacct", "@32473", "httpacct@",
        "a b@1",   "a]b@1",    "a=b@1",  "a\"b@1",
        "a\xc3@1", "a@x",      "a@1x",   "a@.1",
        "a@1@2",   "meta",     "a\n@1",  "123456789012345678901234567@32473",
    };
    for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
        assert_true(syslog_sd_id_is_valid(valid[i]));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(syslog_sd_id_is_valid(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_of_a_service),
        cmocka_unit_test(message_of_the_log),
        cmocka_unit_test(message_is_added_behind_what_is_there),
        cmocka_unit_test(facts_are_named_after_their_metrics),
        cmocka_unit_test(every_metric_makes_a_name_that_fits),
        cmocka_unit_test(hostile_name_stays_one_value),
        cmocka_unit_test(largest_values_stay_whole),
        cmocka_unit_test(longest_message_keeps_its_data_and_whole_words),
        cmocka_unit_test(long_line_is_cut_between_characters),
        cmocka_unit_test(line_has_a_mark_only_if_it_is_more_than_ascii),
        cmocka_unit_test(random_bytes_in_a_line_break_nothing),
        cmocka_unit_test(empty_line_is_a_message),
        cmocka_unit_test(header_fields_are_made_to_fit),
        cmocka_unit_test(only_ids_of_enterprises_are_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
