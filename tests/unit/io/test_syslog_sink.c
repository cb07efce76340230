#include "io/syslog_sink.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/syslog_lab.h"

static bool has_written(void *context)
{
    pthread_mutex_lock(&journal.mutex);
    bool has = journal.written >= *(unsigned *)context;
    pthread_mutex_unlock(&journal.mutex);
    return has;
}

static void service_that_moved_is_told_once(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("local");
    add(s, 1, 136);
    add(s, 2, 100);
    add(s, 1, 64);
    flush_and_wait(s, read_journal, NULL);
    assert_int_equal(told.messages, 2);
    assert_int_equal(told.bytes[1], 200);
    assert_int_equal(told.bytes[2], 100);
    assert_int_equal(told.requests, 3);
    assert_int_equal(journal.severity, LOG_INFO);

    add(s, 2, 1);
    flush_and_wait(s, read_journal, NULL);
    assert_int_equal(told.messages, 3);
    assert_int_equal(told.bytes[2], 101);
    flush_and_wait(s, read_journal, NULL);
    assert_int_equal(told.messages, 3);
    assert_int_equal(syslog_sink_counts(s)->messages, 3);
    assert_int_equal(syslog_sink_due_bytes(s), 0);
    syslog_sink_close(s);
}

static void service_with_open_connections_only_did_not_move(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("local");
    struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    r->interface = "eth0";
    r->service_count = 1;
    strcpy(r->services[0].name.text, "s1");
    r->services[0].open_delta = 3;
    syslog_sink_add(s, r);
    free(r);
    flush_and_wait(s, read_journal, NULL);
    assert_int_equal(journal.written, 0);
    syslog_sink_close(s);
}

static void interfaces_and_the_agent_tell_of_themselves(void **state)
{
    (void)state;
    struct syslog_sink_options options = {.address.local = true};
    metric_set_add(&options.metrics, METRIC_tcp_bytes);
    metric_set_add(&options.metrics, METRIC_sessions);
    metric_set_add(&options.metrics, METRIC_cpu_ms);
    struct syslog_sink *s = NULL;
    assert_int_equal(syslog_sink_new(&s, &loop, &options), 0);
    struct report r = {
        .interface = "we\"ird 0",
        .delta.tcp_bytes = 1500,
        .gauges_delta.sessions = 2,
    };
    syslog_sink_add(s, &r);
    syslog_sink_set_agent(s, &(struct agent_telemetry){.cpu_ms = 7});
    syslog_sink_flush(s, flush_ns);
    run_until(has_written, NULL, &(unsigned){2});
    assert_string_equal(journal.words.data, "agent=httpacct cpu_ms=7\n"
                                            "interface=we\"ird_0 tcp_bytes=1500 sessions=2\n");
    text_clear(&journal.words);
    syslog_sink_close(s);
}

/* The last line of the log. */
static char logged[200];

static void keep_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    (void)level;
    snprintf(logged, sizeof(logged), "%s", line);
}

static void services_that_there_is_no_room_for_are_said_once_a_flush(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("local");
    syslog_sink_set_services_max(s, 1); /* and one that was forgotten */
    for (unsigned i = 0; i < 10; i++)
        add(s, i % 5, 136);
    log_set_writer(keep_line, NULL);
    flush_and_wait(s, read_journal, NULL);
    assert_non_null(strstr(logged, "too many services are due: 6 requests went to _other"));
    logged[0] = '\0';
    flush_and_wait(s, read_journal, NULL);
    assert_string_equal(logged, "");
    log_set_writer(NULL, NULL);
    assert_int_equal(syslog_sink_due_bytes(s), 0);
    syslog_sink_close(s);
}

static void delta_past_what_doubles_hold_is_one_message(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("local");
    add(s, 1, 5 * DUE_AMOUNT_MAX + 3);
    flush_and_wait(s, read_journal, NULL);
    assert_int_equal(told.messages, 1);
    assert_int_equal(told.bytes[1], 5 * DUE_AMOUNT_MAX + 3);
    syslog_sink_close(s);
}

/* Whatever is refused when: what was told and what is due are what was reported. */
static void random_refusals_lose_nothing_and_double_nothing(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    static uint64_t reported[SERVICES];
    memset(reported, 0, sizeof(reported));
    uint64_t sum = 0;
    struct syslog_sink *s = make_sink("local");
    for (unsigned round = 0; round < 200; round++) {
        for (int i = rand() % 400; i > 0; i--) {
            unsigned service = (unsigned)rand() % SERVICES;
            uint64_t bytes = (uint64_t)rand() + 1;
            add(s, service, bytes);
            reported[service] += bytes;
            sum += bytes;
        }
        journal.refuse_percent = rand() % 3 ? (unsigned)rand() % 10 : 0;
        flush_and_wait(s, read_journal, NULL);
        assert_int_equal(told_bytes() + syslog_sink_due_bytes(s), sum);
    }
    journal.refuse_percent = 0;
    flush_and_wait(s, read_journal, NULL);
    assert_memory_equal(told.bytes, reported, sizeof(reported));
    assert_int_equal(syslog_sink_due_bytes(s), 0);
    assert_true(syslog_sink_counts(s)->refused > 0);
    syslog_sink_close(s);
}

struct beats {
    uv_timer_t timer;
    unsigned count;
};

static void on_beat(uv_timer_t *handle)
{
    CONTAINER_OF(handle, struct beats, timer)->count++;
}

static bool beat_often(void *context)
{
    return ((struct beats *)context)->count > 50;
}

static bool all_told(void *context)
{
    read_journal(NULL);
    return told_bytes() == *(uint64_t *)context;
}

static void log_that_hangs_does_not_hold_up_the_loop(void **state)
{
    (void)state;
    struct beats beats = {.count = 0};
    uv_timer_init(&loop, &beats.timer);
    uv_timer_start(&beats.timer, on_beat, 1, 1);
    set_hanging(true);
    struct syslog_sink *s = make_sink("local");
    uint64_t sum = 0;
    for (unsigned i = 0; i < 20 * SERVICES; i++) {
        add(s, i % SERVICES, i);
        sum += i;
        if (i % SERVICES == 0)
            syslog_sink_flush(s, flush_ns);
    }
    run_until(beat_often, NULL, &beats);
    assert_int_equal(told_bytes(), 0);
    assert_int_equal(syslog_sink_due_bytes(s), sum);

    set_hanging(false);
    run_until(all_told, NULL, &sum);
    uv_close((uv_handle_t *)&beats.timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    syslog_sink_close(s);
}

static bool is_hanging(void *context)
{
    (void)context;
    pthread_mutex_lock(&journal.mutex);
    bool hanging = journal.hanging;
    pthread_mutex_unlock(&journal.mutex);
    return hanging;
}

static void log_that_hangs_does_not_hold_up_the_end(void **state)
{
    (void)state;
    set_hanging(true);
    struct syslog_sink *s = make_sink("local");
    add(s, 1, 136);
    bool finished = false;
    syslog_sink_flush(s, flush_ns);
    syslog_sink_finish(s, 50, set_true, &finished);
    run_until(is_true, NULL, &finished);
    run_until(is_hanging, NULL, NULL);
    assert_int_equal(syslog_sink_due_bytes(s), 136);
    syslog_sink_close(s);
    uv_run(&loop, UV_RUN_DEFAULT); /* ends, with the thread still hanging */
    assert_int_equal(journal.written, 0);
    set_hanging(false);
    run_until(has_written, NULL, &(unsigned){1});
    text_clear(&journal.words);
}

static bool has_lines(void *context)
{
    read_journal(NULL);
    return told.lines >= *(unsigned *)context;
}

static void line_of_the_log_is_sent_without_a_flush(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("local");
    syslog_sink_log(s, LOG_LEVEL_ERROR, "first");
    syslog_sink_log(s, LOG_LEVEL_WARNING, "second\nline");
    run_until(has_lines, NULL, &(unsigned){2});
    assert_string_equal(told.last_line, "second\\x0aline");
    assert_int_equal(journal.severity, LOG_WARNING);
    syslog_sink_close(s);
}

enum { THREADS = 4, THREAD_LINES = 2000 };

static void *log_much(void *sink)
{
    for (unsigned i = 0; i < THREAD_LINES; i++) {
        syslog_sink_log(sink, LOG_LEVEL_INFO, "a line");
        if (i % 50 == 0)
            usleep(100);
    }
    return NULL;
}

struct loggers {
    struct syslog_sink *sink;
    unsigned ended;
};

static bool lines_accounted_for(void *context)
{
    read_journal(NULL);
    const struct syslog_sink_counts *c = syslog_sink_counts(context);
    return told.lines + c->lines_dropped >= THREADS * THREAD_LINES;
}

static void lines_of_several_threads_arrive_or_are_counted(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("local");
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_much, s);
    run_until(lines_accounted_for, NULL, s);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(told.lines + syslog_sink_counts(s)->lines_dropped, THREADS * THREAD_LINES);
    syslog_sink_close(s);
}

static void lines_past_the_queue_are_dropped_and_counted(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("local");
    for (unsigned i = 0; i < SYSLOG_LINES_MAX + 1000; i++)
        syslog_sink_log(s, LOG_LEVEL_INFO, "a line");
    assert_int_equal(syslog_sink_counts(s)->lines_dropped, 1000); /* while it hangs, too */
    flush_and_wait(s, read_journal, NULL);
    assert_int_equal(told.lines, SYSLOG_LINES_MAX);
    assert_int_equal(syslog_sink_counts(s)->lines_dropped, 1000);
    syslog_sink_close(s);
}

static void refused_lines_wait_in_order(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("local");
    journal.refuse_percent = 100;
    syslog_sink_log(s, LOG_LEVEL_INFO, "one");
    flush_and_wait(s, read_journal, NULL);
    assert_int_equal(told.lines, 0);
    journal.refuse_percent = 0;
    syslog_sink_log(s, LOG_LEVEL_INFO, "two");
    run_until(has_lines, NULL, &(unsigned){2});
    assert_string_equal(told.last_line, "two");
    syslog_sink_close(s);
}

static void random_changes_lose_nothing_and_double_nothing(void **state)
{
    (void)state;
    struct syslog_sink_options options = options_to("local");
    struct syslog_sink *s = make_sink("local");
    uint64_t bytes = 0;
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 200; i++) {
            add(s, i, i + 1);
            bytes += i + 1;
        }
        syslog_sink_flush(s, flush_ns);
        for (int turns = rand() % 20; turns; turns--) {
            uv_run(&loop, UV_RUN_NOWAIT);
            usleep(100);
        }
        options.tag = round & 1 ? "other" : NULL;
        metric_set_add(&options.metrics, round & 2 ? METRIC_ttfb : METRIC_payload);
        assert_int_equal(syslog_sink_change(s, &options), 0);
    }
    flush_and_wait(s, read_journal, NULL);
    assert_int_equal(syslog_sink_due_bytes(s), 0);
    assert_int_equal(told_bytes(), bytes);
    add(s, 1, 1);
    flush_and_wait(s, read_journal, NULL);
    assert_string_equal(journal.tag, "other");
    syslog_sink_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(service_that_moved_is_told_once),
        LOOP_TEST(service_with_open_connections_only_did_not_move),
        LOOP_TEST(interfaces_and_the_agent_tell_of_themselves),
        LOOP_TEST(services_that_there_is_no_room_for_are_said_once_a_flush),
        LOOP_TEST(delta_past_what_doubles_hold_is_one_message),
        LOOP_TEST(random_refusals_lose_nothing_and_double_nothing),
        LOOP_TEST(random_changes_lose_nothing_and_double_nothing),
        LOOP_TEST(log_that_hangs_does_not_hold_up_the_loop),
        LOOP_TEST(log_that_hangs_does_not_hold_up_the_end),
        LOOP_TEST(line_of_the_log_is_sent_without_a_flush),
        LOOP_TEST(lines_of_several_threads_arrive_or_are_counted),
        LOOP_TEST(lines_past_the_queue_are_dropped_and_counted),
        LOOP_TEST(refused_lines_wait_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, free_journal);
}
