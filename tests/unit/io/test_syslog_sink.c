#include "io/syslog_sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/syslog_writer.h"
#include "support/syslog_parser.h"

/* What was freed is memory in use to the kernel, as long as the sanitizer keeps it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1";
}

enum { SERVICES = 300, PATIENCE_S = 60 };

static const uint64_t flush_ns = 1795422304029595123;
static const char flush_time[] = "2026-11-23T08:25:04.029595Z";

/* What a receiver was told, added up. */
struct told {
    unsigned messages; /* of services */
    unsigned lines;    /* of the log */
    unsigned others;   /* of interfaces and the agent */
    uint64_t bytes[SERVICES];
    uint64_t requests;
    uint64_t sequence; /* the last one */
    bool in_order;     /* each sequence follows the one before */
    char last_line[256];
};

/* What was written to this host's own log. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    bool hangs;
    bool hanging; /* a thread is in it */
    unsigned refuse_percent;
    unsigned written;
    int severity;
    char tag[SYSLOG_APP_NAME_MAX + 1];
    struct text words;
} journal = {.mutex = PTHREAD_MUTEX_INITIALIZER, .released = PTHREAD_COND_INITIALIZER};

/* --- the sink under test, and its loop */

static uv_loop_t loop;
static struct told told;

static int open_loop(void **state)
{
    (void)state;
    memset(&told, 0, sizeof(told));
    told.in_order = true;
    pthread_mutex_lock(&journal.mutex); /* one that hung may still be about */
    journal.written = 0;
    pthread_mutex_unlock(&journal.mutex);
    return uv_loop_init(&loop);
}

static int close_loop(void **state)
{
    (void)state;
    time_t deadline = time(NULL) + 5; /* a test that failed has left its handles */
    while (uv_run(&loop, UV_RUN_NOWAIT) && time(NULL) < deadline)
        usleep(200);
    return uv_loop_close(&loop);
}

static struct syslog_sink_options options_to(const char *address)
{
    struct syslog_sink_options options = {
        .facility = LOG_DAEMON,
        .hostname = "h.example",
        .services_max = 1000,
        .reconnect_min_ms = 10,
        .reconnect_max_ms = 50,
    };
    metric_set_add(&options.metrics, METRIC_bytes);
    metric_set_add(&options.metrics, METRIC_requests);
    metric_set_add(&options.metrics, METRIC_open);
    assert_null(syslog_address_parse(&options.address, address));
    return options;
}

static struct syslog_sink *make_sink(const char *address)
{
    const struct syslog_sink_options options = options_to(address);
    struct syslog_sink *s = NULL;
    assert_int_equal(syslog_sink_new(&s, &loop, &options), 0);
    return s;
}

/* Say that service number @number moved @bytes in. */
static void add(struct syslog_sink *s, unsigned number, uint64_t bytes)
{
    struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    r->interface = "eth0";
    r->time_ns = flush_ns;
    r->service_count = 1;
    snprintf(r->services[0].name.text, sizeof(r->services[0].name.text), "s%u", number);
    r->services[0].delta.direction[DIRECTION_IN].bytes = bytes;
    r->services[0].delta.requests = 1;
    syslog_sink_add(s, r);
    free(r);
}

/* --- what arrives */

static void take_bytes(unsigned service, uint64_t in_bytes, uint64_t requests)
{
    assert_true(service < SERVICES);
    told.messages++;
    told.bytes[service] += in_bytes;
    told.requests += requests;
}

static uint64_t number_of(const struct syslog_parsed *p, const char *name)
{
    const char *value = syslog_parsed_value(p, SYSLOG_SD_ID, name);
    return value ? strtoull(value, NULL, 10) : 0;
}

/* A message of RFC 5424. */
static void take_message(struct bytes m)
{
    static struct syslog_parsed p;
    const char *problem = syslog_parse(&p, m);
    if (problem)
        fail_msg("%s in: %.*s", problem, (int)m.size, (const char *)m.data);
    uint64_t sequence = strtoull(syslog_parsed_value(&p, "meta", "sequenceId"), NULL, 10);
    told.in_order &= sequence == told.sequence + 1;
    told.sequence = sequence;

    if (strcmp(p.message_id, "LOG") == 0) {
        told.lines++;
        snprintf(told.last_line, sizeof(told.last_line), "%.*s", (int)p.text.size,
                 (const char *)p.text.data);
        return;
    }
    assert_string_equal(p.message_id, "FLUSH");
    assert_string_equal(p.timestamp, flush_time);
    const char *service = syslog_parsed_value(&p, SYSLOG_SD_ID, "service");
    if (service)
        take_bytes((unsigned)atoi(service + 1), number_of(&p, "in_bytes"),
                   number_of(&p, "requests"));
    else
        told.others++;
}

static uint64_t told_bytes(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SERVICES; i++)
        sum += told.bytes[i];
    return sum;
}

/* Run the loop, and @serve after each turn, until @done. */
static void run_until(bool (*done)(void *context), void (*serve)(void *context), void *context)
{
    time_t deadline = time(NULL) + PATIENCE_S;
    while (!done(context)) {
        assert_true(time(NULL) < deadline);
        uv_run(&loop, UV_RUN_NOWAIT);
        if (serve)
            serve(context);
        usleep(200);
    }
}

static void set_true(void *context)
{
    *(bool *)context = true;
}

static bool is_true(void *context)
{
    return *(bool *)context;
}

/* --- this host's own log: a writer of the test's, in place of the journal's */

static void journal_render(struct text *t, const struct syslog_origin *o,
                           const struct syslog_message *m)
{
    (void)o;
    syslog_words(t, m);
}

static bool journal_begin(const struct syslog_origin *o)
{
    pthread_mutex_lock(&journal.mutex);
    snprintf(journal.tag, sizeof(journal.tag), "%s", o->app_name);
    pthread_mutex_unlock(&journal.mutex);
    return true;
}

static bool journal_write(const struct syslog_origin *o, int severity, struct bytes message)
{
    (void)o;
    pthread_mutex_lock(&journal.mutex);
    journal.hanging = journal.hangs;
    while (journal.hangs)
        pthread_cond_wait(&journal.released, &journal.mutex);
    journal.hanging = false;
    bool accepted = (unsigned)rand() % 100 >= journal.refuse_percent;
    if (accepted) {
        journal.written++;
        journal.severity = severity;
        text_add(&journal.words, message);
        text_add_char(&journal.words, '\n');
    }
    pthread_mutex_unlock(&journal.mutex);
    return accepted;
}

static void journal_end(void)
{
}

/* Linked in place of the real one. */
const struct syslog_writer *syslog_writer_journal(void)
{
    static const struct syslog_writer writer = {
        .render = journal_render,
        .begin = journal_begin,
        .write = journal_write,
        .end = journal_end,
    };
    return &writer;
}

static void read_journal(void *context)
{
    (void)context;
    pthread_mutex_lock(&journal.mutex);
    const char *words = journal.words.size ? journal.words.data : "";
    for (const char *line = words; *line; line = strchr(line, '\n') + 1) {
        unsigned service;
        unsigned long long bytes = 0, requests = 0;
        if (sscanf(line, "service=s%u in_bytes=%llu requests=%llu", &service, &bytes, &requests) ==
            3) {
            take_bytes(service, bytes, requests);
        } else {
            told.lines++;
            snprintf(told.last_line, sizeof(told.last_line), "%.*s", (int)strcspn(line, "\n"),
                     line);
        }
    }
    text_clear(&journal.words);
    pthread_mutex_unlock(&journal.mutex);
}

static void set_hanging(bool hangs)
{
    pthread_mutex_lock(&journal.mutex);
    journal.hangs = hangs;
    pthread_cond_broadcast(&journal.released);
    pthread_mutex_unlock(&journal.mutex);
}

static void flush_and_wait(struct syslog_sink *s, void (*serve)(void *), void *context)
{
    bool finished = false;
    syslog_sink_flush(s, flush_ns);
    syslog_sink_finish(s, PATIENCE_S * 1000, set_true, &finished);
    while (!finished) {
        uv_run(&loop, UV_RUN_NOWAIT);
        if (serve)
            serve(context);
        usleep(100);
    }
    if (serve)
        serve(context);
}

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

/* --- UDP */

/* Open a UDP socket on @port of the loopback address, 0: any. Returns its descriptor. */
static int listen_udp(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    socklen_t size = sizeof(address);
    getsockname(fd, (struct sockaddr *)&address, &size);
    *port = ntohs(address.sin_port);
    return fd;
}

static void read_udp(void *context)
{
    char datagram[65536];
    ssize_t size;
    while ((size = recv(*(int *)context, datagram, sizeof(datagram), 0)) >= 0)
        take_message(bytes_make(datagram, (size_t)size));
}

static struct syslog_sink *make_remote_sink(const char *transport, uint16_t port)
{
    char address[64];
    snprintf(address, sizeof(address), "%s://127.0.0.1:%u", transport, port);
    return make_sink(address);
}

static uint64_t add_all(struct syslog_sink *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SERVICES; i++) {
        add(s, i, 1000 + i);
        sum += 1000 + i;
    }
    return sum;
}

static void udp_carries_one_message_a_datagram(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = listen_udp(&port);
    struct syslog_sink *s = make_remote_sink("udp", port);
    uint64_t sum = add_all(s);
    flush_and_wait(s, read_udp, &fd);
    assert_int_equal(told.messages, SERVICES);
    assert_int_equal(told_bytes(), sum);
    assert_int_equal(told.requests, SERVICES);
    assert_int_equal(syslog_sink_due_bytes(s), 0);
    assert_true(told.in_order);

    syslog_sink_log(s, LOG_LEVEL_ERROR, "caf\xc3\xa9");
    flush_and_wait(s, read_udp, &fd);
    assert_string_equal(told.last_line, "caf\xc3\xa9");
    assert_true(told.in_order);
    syslog_sink_close(s);
    close(fd);
}

/* On loopback the kernel says at once that nobody listens. */
static void what_nobody_listened_to_stays_due(void **state)
{
    (void)state;
    uint16_t port = 0;
    close(listen_udp(&port));
    struct syslog_sink *s = make_remote_sink("udp", port);
    uint64_t sum = 0;
    for (unsigned flush = 0; flush < 3; flush++) {
        sum += add_all(s);
        flush_and_wait(s, NULL, NULL);
        assert_int_equal(syslog_sink_due_bytes(s), sum);
        assert_int_equal(syslog_sink_left_bytes(s), sum);
    }
    assert_int_equal(syslog_sink_counts(s)->messages, 0);

    int fd = listen_udp(&port);
    flush_and_wait(s, read_udp, &fd);
    assert_int_equal(told_bytes(), sum);
    assert_int_equal(told.messages, SERVICES);
    add(s, 1, 136);
    assert_int_equal(syslog_sink_left_bytes(s), 0); /* it came since */
    assert_true(told.in_order);
    syslog_sink_close(s);
    close(fd);
}

static void name_without_an_address_keeps_all_due(void **state)
{
    (void)state;
    struct syslog_sink *s = make_sink("udp://no-such-host.invalid:514");
    add(s, 1, 136);
    flush_and_wait(s, NULL, NULL);
    assert_int_equal(syslog_sink_due_bytes(s), 136);
    syslog_sink_close(s);
}

/* --- TCP */

struct server {
    uint16_t port;
    int listener; /* -1: closed */
    int connection;
    unsigned connections;
    uint64_t frame_bytes; /* of whole frames */
    bool deaf;
    char received[16 * SYSLOG_LINE_MAX];
    size_t size;
};

static void open_server(struct server *v)
{
    v->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int on = 1, buffer_bytes = 8192;
    setsockopt(v->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(v->listener, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(v->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(v->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(v->listener, 5), 0);
    socklen_t size = sizeof(address);
    getsockname(v->listener, (struct sockaddr *)&address, &size);
    v->port = ntohs(address.sin_port);
}

static void drop_connection(struct server *v)
{
    if (v->connection >= 0)
        close(v->connection);
    v->connection = -1;
    v->size = 0;
}

static void close_server(struct server *v)
{
    drop_connection(v);
    close(v->listener);
    v->listener = -1;
}

static struct server make_server(void)
{
    struct server v = {.connection = -1};
    open_server(&v);
    return v;
}

/* Take whole frames off what was received: LENGTH SP MESSAGE (RFC 6587). */
static void take_frames(struct server *v)
{
    size_t taken = 0;
    while (taken < v->size) {
        char *digits = v->received + taken, *end;
        v->received[v->size] = '\0';
        assert_in_range(*digits, '1', '9');
        size_t length = strtoull(digits, &end, 10);
        if (*end == '\0')
            break;
        assert_int_equal(*end, ' ');
        assert_in_range(length, 1, SYSLOG_LINE_MAX);
        size_t start = (size_t)(end + 1 - v->received);
        if (start + length > v->size)
            break;
        take_message(bytes_make(v->received + start, length));
        taken = start + length;
    }
    v->size -= taken;
    v->frame_bytes += taken;
    memmove(v->received, v->received + taken, v->size);
}

static void serve(void *context)
{
    struct server *v = context;
    if (v->connection < 0 && v->listener >= 0) {
        v->connection = accept4(v->listener, NULL, NULL, SOCK_NONBLOCK);
        v->connections += v->connection >= 0;
    }
    while (v->connection >= 0 && !v->deaf) {
        ssize_t size =
            recv(v->connection, v->received + v->size, sizeof(v->received) - 1 - v->size, 0);
        if (size == 0)
            drop_connection(v);
        if (size <= 0)
            break;
        v->size += (size_t)size;
        take_frames(v);
    }
}

static bool is_connected(void *context)
{
    return ((struct server *)context)->connection >= 0;
}

static void tcp_counts_octets(void **state)
{
    (void)state;
    struct server v = make_server();
    struct syslog_sink *s = make_remote_sink("tcp", v.port);
    uint64_t sum = add_all(s);
    syslog_sink_log(s, LOG_LEVEL_ERROR, "two\nlines");
    flush_and_wait(s, serve, &v);
    assert_int_equal(told.messages, SERVICES);
    assert_int_equal(told_bytes(), sum);
    assert_string_equal(told.last_line, "two\\x0alines");
    assert_true(told.in_order);
    syslog_sink_close(s);
    close_server(&v);
}

struct wait {
    struct server *server;
    struct syslog_sink *sink;
    uint64_t bytes;
};

static bool server_told_all(void *context)
{
    struct wait *w = context;
    serve(w->server);
    return told_bytes() == w->bytes && syslog_sink_due_bytes(w->sink) == 0;
}

static size_t resident_kb(void)
{
    char line[256];
    size_t kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "VmRSS: %zu", &kb) == 1)
            break;
    fclose(f);
    return kb;
}

static bool turns_are_over(void *context)
{
    return --*(unsigned *)context == 0;
}

/* What it does not read waits by service, so a thousand intervals are no more than one. */
static void tcp_receiver_that_stops_reading_costs_no_memory(void **state)
{
    (void)state;
    struct server v = make_server();
    struct syslog_sink *s = make_remote_sink("tcp", v.port);
    run_until(is_connected, serve, &v);
    v.deaf = true;
    uint64_t sum = 0;
    size_t before_kb = 0;
    for (unsigned interval = 0; interval < 1000; interval++) {
        sum += add_all(s);
        syslog_sink_log(s, LOG_LEVEL_INFO, "another interval");
        syslog_sink_flush(s, flush_ns);
        run_until(turns_are_over, NULL, &(unsigned){5});
        if (interval == 100)
            before_kb = resident_kb();
    }
    assert_true(syslog_sink_due_bytes(s) > sum / 2);
    assert_in_range(resident_kb(), 0, before_kb + 2048);

    v.deaf = false;
    run_until(server_told_all, NULL, &(struct wait){&v, s, sum});
    assert_int_equal(v.connections, 1);
    assert_true(told.in_order);
    syslog_sink_close(s);
    close_server(&v);
}

static void serve_slowly(void *context)
{
    struct server *v = context;
    char some[1000];
    ssize_t size = v->connection < 0 ? 0 : recv(v->connection, some, sizeof(some), 0);
    if (size > 0) {
        memcpy(v->received + v->size, some, (size_t)size);
        v->size += (size_t)size;
        take_frames(v);
    }
    if (v->connection < 0)
        serve(v);
}

static bool slow_server_told_all(void *context)
{
    struct wait *w = context;
    serve_slowly(w->server);
    return told_bytes() == w->bytes && syslog_sink_due_bytes(w->sink) == 0;
}

/* The kernel takes parts of messages. */
static void tcp_receiver_that_reads_slowly_gets_whole_messages(void **state)
{
    (void)state;
    char line[900];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    struct server v = make_server();
    struct syslog_sink *s = make_remote_sink("tcp", v.port);
    struct wait w = {.server = &v, .sink = s};
    for (unsigned round = 0; round < 10; round++) {
        w.bytes += add_all(s);
        for (unsigned i = 0; i < 100; i++)
            syslog_sink_log(s, LOG_LEVEL_INFO, line);
        syslog_sink_flush(s, flush_ns);
        run_until(slow_server_told_all, NULL, &w);
    }
    assert_int_equal(told.lines, 1000);
    assert_string_equal(told.last_line, line + sizeof(line) - sizeof(told.last_line));
    assert_true(told.in_order);
    syslog_sink_close(s);
    close_server(&v);
}

/* A receiver that has read all when it ends, as one does that is asked to. */
static void tcp_receiver_that_comes_and_goes_gets_all_of_it(void **state)
{
    (void)state;
    struct server v = make_server();
    struct syslog_sink *s = make_remote_sink("tcp", v.port);
    struct wait w = {.server = &v, .sink = s};
    for (unsigned round = 0; round < 10; round++) {
        w.bytes += add_all(s);
        syslog_sink_flush(s, flush_ns);
        run_until(server_told_all, NULL, &w);
        close_server(&v);
        run_until(turns_are_over, NULL, &(unsigned){200});
        w.bytes += add_all(s);
        syslog_sink_flush(s, flush_ns);
        run_until(turns_are_over, NULL, &(unsigned){200});
        open_server(&v);
        run_until(server_told_all, NULL, &w);
    }
    assert_in_range(v.connections, 11, 21);
    assert_true(told.in_order);
    syslog_sink_close(s);
    close_server(&v);
}

/* What was in the buffers is lost, at most; nothing comes twice. */
static void tcp_receiver_that_breaks_off_loses_what_it_had_not_read(void **state)
{
    (void)state;
    enum { ROUNDS = 10, LOST_BYTES_MAX = 32768 };
    struct server v = make_server();
    struct syslog_sink *s = make_remote_sink("tcp", v.port);
    uint64_t sum = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        run_until(is_connected, serve, &v);
        v.deaf = true;
        sum += add_all(s);
        syslog_sink_flush(s, flush_ns);
        run_until(turns_are_over, NULL, &(unsigned){50});
        drop_connection(&v);
        v.deaf = false;
        assert_true(told_bytes() + syslog_sink_due_bytes(s) <= sum);
    }
    flush_and_wait(s, serve, &v);
    const struct syslog_sink_counts *counts = syslog_sink_counts(s);
    assert_int_equal(syslog_sink_due_bytes(s), 0);
    assert_true(told_bytes() < sum);
    assert_in_range(counts->bytes - v.frame_bytes, 1, ROUNDS * LOST_BYTES_MAX);
    syslog_sink_close(s);
    close_server(&v);
}

static void tcp_without_a_receiver_ends_in_time(void **state)
{
    (void)state;
    struct server v = make_server();
    close_server(&v);
    struct syslog_sink *s = make_remote_sink("tcp", v.port);
    add(s, 1, 136);
    bool finished = false;
    syslog_sink_flush(s, flush_ns);
    syslog_sink_finish(s, 100, set_true, &finished);
    run_until(is_true, NULL, &finished);
    assert_int_equal(syslog_sink_due_bytes(s), 136);
    syslog_sink_close(s);
}

static void sink_can_be_closed_at_any_time(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    struct server v = make_server();
    uint16_t udp_port = 0;
    int udp = listen_udp(&udp_port);
    for (unsigned round = 0; round < 300; round++) {
        struct syslog_sink *s = round % 3 == 0   ? make_remote_sink("tcp", v.port)
                                : round % 3 == 1 ? make_remote_sink("udp", udp_port)
                                                 : make_sink("local");
        add_all(s);
        syslog_sink_flush(s, flush_ns);
        for (int i = rand() % 6; i > 0; i--) {
            uv_run(&loop, UV_RUN_NOWAIT);
            if (rand() % 2)
                serve(&v);
        }
        syslog_sink_close(s);
        uv_run(&loop, UV_RUN_DEFAULT);
        drop_connection(&v);
        told.sequence = 0;
    }
    close(udp);
    close_server(&v);
}

static void tcp_connection_stays_when_what_is_sent_changes(void **state)
{
    (void)state;
    struct server v = make_server();
    char address[64];
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", v.port);
    struct syslog_sink_options options = options_to(address);
    struct syslog_sink *s = make_remote_sink("tcp", v.port);
    uint64_t bytes = add_all(s);
    flush_and_wait(s, serve, &v);
    options.hostname = "other.example";
    metric_set_add(&options.metrics, METRIC_ttfb);
    assert_int_equal(syslog_sink_change(s, &options), 0);
    bytes += add_all(s);
    flush_and_wait(s, serve, &v);
    assert_int_equal(told_bytes(), bytes);
    assert_int_equal(v.connections, 1);
    assert_true(told.in_order);
    syslog_sink_close(s);
    close_server(&v);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

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
        LOOP_TEST(udp_carries_one_message_a_datagram),
        LOOP_TEST(what_nobody_listened_to_stays_due),
        LOOP_TEST(name_without_an_address_keeps_all_due),
        LOOP_TEST(tcp_counts_octets),
        LOOP_TEST(tcp_receiver_that_stops_reading_costs_no_memory),
        LOOP_TEST(tcp_receiver_that_reads_slowly_gets_whole_messages),
        LOOP_TEST(tcp_receiver_that_comes_and_goes_gets_all_of_it),
        LOOP_TEST(tcp_receiver_that_breaks_off_loses_what_it_had_not_read),
        LOOP_TEST(tcp_without_a_receiver_ends_in_time),
        LOOP_TEST(sink_can_be_closed_at_any_time),
        LOOP_TEST(tcp_connection_stays_when_what_is_sent_changes),
    };
    signal(SIGPIPE, SIG_IGN);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    text_deinit(&journal.words);
    return failed;
}
