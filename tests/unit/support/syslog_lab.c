#include "support/syslog_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/syslog_writer.h"
#include "support/syslog_parser.h"

const uint64_t flush_ns = 1795422304029595123;
static const char flush_time[] = "2026-11-23T08:25:04.029595Z";

uv_loop_t loop;
struct told told;
struct journal journal = {.mutex = PTHREAD_MUTEX_INITIALIZER, .released = PTHREAD_COND_INITIALIZER};

int open_loop(void **state)
{
    (void)state;
    memset(&told, 0, sizeof(told));
    told.in_order = true;
    pthread_mutex_lock(&journal.mutex); /* one that hung may still be about */
    journal.written = 0;
    pthread_mutex_unlock(&journal.mutex);
    return uv_loop_init(&loop);
}

int close_loop(void **state)
{
    (void)state;
    time_t deadline = time(NULL) + 5; /* a test that failed has left its handles */
    while (uv_run(&loop, UV_RUN_NOWAIT) && time(NULL) < deadline)
        usleep(200);
    return uv_loop_close(&loop);
}

int free_journal(void **state)
{
    (void)state;
    text_deinit(&journal.words);
    return 0;
}

struct syslog_sink_options options_to(const char *address)
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

struct syslog_sink *make_sink(const char *address)
{
    const struct syslog_sink_options options = options_to(address);
    struct syslog_sink *s = NULL;
    assert_int_equal(syslog_sink_new(&s, &loop, &options), 0);
    return s;
}

void add(struct syslog_sink *s, unsigned number, uint64_t bytes)
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

void take_message(struct bytes m)
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

uint64_t told_bytes(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SERVICES; i++)
        sum += told.bytes[i];
    return sum;
}

void run_until(bool (*done)(void *context), void (*serve)(void *context), void *context)
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

void set_true(void *context)
{
    *(bool *)context = true;
}

bool is_true(void *context)
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

void read_journal(void *context)
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

void set_hanging(bool hangs)
{
    pthread_mutex_lock(&journal.mutex);
    journal.hangs = hangs;
    pthread_cond_broadcast(&journal.released);
    pthread_mutex_unlock(&journal.mutex);
}

void flush_and_wait(struct syslog_sink *s, void (*serve)(void *), void *context)
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

struct syslog_sink *make_remote_sink(const char *transport, uint16_t port)
{
    char address[64];
    snprintf(address, sizeof(address), "%s://127.0.0.1:%u", transport, port);
    return make_sink(address);
}

uint64_t add_all(struct syslog_sink *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SERVICES; i++) {
        add(s, i, 1000 + i);
        sum += 1000 + i;
    }
    return sum;
}
