#include "io/statsd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "io/resolver.h"
#include "support/statsd_line.h"

enum { PATIENCE_MS = 10000 };

/* A receiver that adds up what it reads, and a sender on a loop of its own. */
struct lab {
    uv_loop_t loop;
    struct statsd *statsd;
    struct resolver_address address; /* of the receiver */
    int fd;                          /* of the receiver; -1: it is down */
    uint64_t bytes;
    uint64_t lines;
    uint64_t datagrams;
    uint64_t heartbeats;
    size_t longest;
    uint64_t reported;
    bool finished;
};

static void receiver_start(struct lab *l)
{
    if (l->address.any.sa_family == AF_UNIX)
        unlink(l->address.path.sun_path);
    l->fd = socket(l->address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(l->fd >= 0);
    assert_return_code(bind(l->fd, &l->address.any, l->address.size), errno);
    getsockname(l->fd, &l->address.any, &l->address.size);
}

static void read_line(struct lab *l, struct bytes raw)
{
    struct statsd_line line;
    const char *wrong = statsd_line_read_datadog(&line, raw);
    if (wrong)
        fail_msg("%.*s: %s", (int)raw.size, (const char *)raw.data, wrong);
    l->lines++;
    if (strcmp(line.name, "httpacct.agent.up") == 0)
        l->heartbeats++;
    else if (strcmp(line.name, "httpacct.bytes") == 0)
        l->bytes += line.value;
}

static void receiver_read(struct lab *l)
{
    char data[65536];
    ssize_t size;
    while (l->fd >= 0 && (size = recv(l->fd, data, sizeof(data), 0)) >= 0) {
        l->datagrams++;
        l->longest = MAX(l->longest, (size_t)size);
        for (char *line = data, *end = data + size; line <= end;) {
            char *next = memchr(line, '\n', (size_t)(end - line));
            next = next ? next : end;
            read_line(l, bytes_make(line, (size_t)(next - line)));
            line = next + 1;
        }
    }
}

static void receiver_stop(struct lab *l)
{
    receiver_read(l);
    close(l->fd);
    l->fd = -1;
}

static struct statsd_options options_to(const char *endpoint)
{
    struct statsd_options o = {
        .name = endpoint,
        .dialect = STATSD_DATADOG,
        .prefix = "httpacct",
        .metrics = metric_set_default(),
        .datagram_bytes = STATSD_DATAGRAM_BYTES,
        .interval_ns = 1000000000,
        .services_max = 10000,
    };
    assert_null(endpoint_parse(&o.endpoint, endpoint, NULL));
    return o;
}

static void lab_connect(struct lab *l, const struct statsd_options *options)
{
    uv_loop_init(&l->loop);
    assert_int_equal(statsd_new(&l->statsd, &l->loop, options), 0);
}

/* A receiver at a free port of @address, and a sender to it by the name @host. */
static void lab_begin(struct lab *l, const char *address, const char *host)
{
    *l = (struct lab){0};
    struct resolver_address *a = &l->address;
    bool ipv4 = inet_pton(AF_INET, address, &a->ipv4.sin_addr) == 1;
    if (!ipv4)
        assert_int_equal(inet_pton(AF_INET6, address, &a->ipv6.sin6_addr), 1);
    a->any.sa_family = ipv4 ? AF_INET : AF_INET6;
    a->size = ipv4 ? sizeof(a->ipv4) : sizeof(a->ipv6);
    receiver_start(l);

    char endpoint[64];
    snprintf(endpoint, sizeof(endpoint), "%s:%u", host,
             ntohs(ipv4 ? a->ipv4.sin_port : a->ipv6.sin6_port));
    const struct statsd_options o = options_to(endpoint);
    lab_connect(l, &o);
}

static void lab_begin_unix(struct lab *l)
{
    *l = (struct lab){.address.size = sizeof(struct sockaddr_un)};
    struct sockaddr_un *path = &l->address.path;
    path->sun_family = AF_UNIX;
    snprintf(path->sun_path, sizeof(path->sun_path), "/tmp/httpacct-statsd-%d", getpid());
    receiver_start(l);
    char endpoint[128];
    snprintf(endpoint, sizeof(endpoint), "unix://%s", path->sun_path);
    const struct statsd_options o = options_to(endpoint);
    lab_connect(l, &o);
}

static void lab_end(struct lab *l)
{
    l->statsd = statsd_close(l->statsd);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&l->loop), 0);
    if (l->fd >= 0)
        close(l->fd);
    if (l->address.any.sa_family == AF_UNIX)
        unlink(l->address.path.sun_path);
}

/* @services services move something each. */
static void report(struct lab *l, unsigned services, uint64_t bytes)
{
    AUTO(report_free)
    struct report *r = calloc(1, sizeof(*r) + services * sizeof(r->services[0]));
    r->interface = "eth0";
    for (; r->service_count < services; r->service_count++) {
        struct report_service *s = &r->services[r->service_count];
        snprintf(s->name.text, sizeof(s->name.text), "service-%zu", r->service_count);
        s->delta.direction[DIRECTION_IN].bytes = bytes;
        s->delta.direction[DIRECTION_OUT].bytes = 1;
        s->delta.requests = 1;
        l->reported += bytes + 1;
    }
    statsd_add(l->statsd, r);
}

static void run_turn(struct lab *l)
{
    uv_run(&l->loop, UV_RUN_NOWAIT);
    receiver_read(l);
    usleep(1000);
}

static void run_for(struct lab *l, unsigned turns)
{
    while (turns--)
        run_turn(l);
}

/* Run until @done or the patience is over. Returns whether it is done. */
static bool run_until(struct lab *l, bool (*done)(const struct lab *))
{
    uint64_t end = uv_hrtime() + PATIENCE_MS * 1000000ull;
    while (!done(l) && uv_hrtime() < end)
        run_turn(l);
    return done(l);
}

static bool is_all_there(const struct lab *l)
{
    return l->bytes == l->reported && statsd_due_bytes(l->statsd) == 0;
}

static bool has_failed(const struct lab *l)
{
    return statsd_counts(l->statsd)->refused > 0 && !uv_loop_alive(&l->loop);
}

static bool is_idle(const struct lab *l)
{
    return !uv_loop_alive(&l->loop);
}

static bool has_finished(const struct lab *l)
{
    return l->finished;
}

static void on_finished(void *context)
{
    ((struct lab *)context)->finished = true;
}

static void flush_reaches(struct lab *l)
{
    report(l, 3, 136);
    statsd_flush(l->statsd, 1);
    assert_true(run_until(l, is_all_there));
    assert_true(run_until(l, is_idle));
    assert_int_equal(l->heartbeats, 1);
    assert_int_equal(statsd_counts(l->statsd)->datagrams + l->heartbeats, l->datagrams);
    lab_end(l);
}

static void flush_reaches_an_ipv4_receiver(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    flush_reaches(&l);
}

static void flush_reaches_an_ipv6_receiver(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "::1", "[::1]");
    flush_reaches(&l);
}

static void flush_reaches_a_unix_receiver(void **state)
{
    (void)state;
    struct lab l;
    lab_begin_unix(&l);
    flush_reaches(&l);
}

/* The name may be known only after some flushes, and its first address be another. */
static void flush_reaches_a_receiver_by_name(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "localhost");
    report(&l, 3, 136);
    for (unsigned i = 0; i < 100 && !is_all_there(&l); i++) {
        statsd_flush(l.statsd, 1);
        run_for(&l, 100);
    }
    assert_true(is_all_there(&l));
    lab_end(&l);
}

static void nothing_that_counts_goes_to_a_receiver_that_is_down(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    receiver_stop(&l);
    for (unsigned i = 0; i < 3; i++) {
        report(&l, 100, 1000);
        statsd_flush(l.statsd, 1);
        assert_true(run_until(&l, has_failed));
        assert_int_equal(statsd_counts(l.statsd)->datagrams, 0);
        assert_int_equal(statsd_counts(l.statsd)->flush_ms, 0);
        assert_int_equal(statsd_due_bytes(l.statsd), l.reported);
        assert_int_equal(statsd_left_bytes(l.statsd), l.reported);
    }
    receiver_start(&l);
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, is_all_there));
    lab_end(&l);
}

static void what_is_left_of_a_flush_is_not_what_came_since(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    report(&l, 3, 136);
    assert_int_equal(statsd_left_bytes(l.statsd), 0);
    statsd_flush(l.statsd, 1);
    assert_int_equal(statsd_left_bytes(l.statsd), l.reported); /* not sent yet */
    assert_true(run_until(&l, is_all_there));
    assert_true(run_until(&l, is_idle));
    report(&l, 3, 136);
    assert_int_equal(statsd_left_bytes(l.statsd), 0);

    receiver_stop(&l);
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, has_failed));
    uint64_t left = l.reported - l.bytes;
    report(&l, 3, 136);
    assert_int_equal(statsd_left_bytes(l.statsd), left);
    lab_end(&l);
}

static void receiver_may_go_and_come_between_flushes(struct lab *l)
{
    for (unsigned i = 0; i < 3; i++) {
        report(l, 50, 1000 + i);
        statsd_flush(l->statsd, 1);
        assert_true(run_until(l, is_all_there));
        assert_true(run_until(l, is_idle));
        receiver_stop(l);
        report(l, 50, 500 + i);
        statsd_flush(l->statsd, 1);
        assert_true(run_until(l, has_failed));
        assert_int_equal(statsd_due_bytes(l->statsd), 50 * (501 + i));
        receiver_start(l);
    }
    statsd_flush(l->statsd, 1);
    assert_true(run_until(l, is_all_there));
    lab_end(l);
}

static void udp_receiver_may_go_and_come_between_flushes(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    receiver_may_go_and_come_between_flushes(&l);
}

static void unix_receiver_may_go_and_come_between_flushes(void **state)
{
    (void)state;
    struct lab l;
    lab_begin_unix(&l);
    receiver_may_go_and_come_between_flushes(&l);
}

/* The socket that was connected to the old one must not be the end of it. */
static void unix_receiver_that_was_started_anew_is_found_at_once(void **state)
{
    (void)state;
    struct lab l;
    lab_begin_unix(&l);
    report(&l, 1, 10);
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, is_all_there));
    assert_true(run_until(&l, is_idle));
    receiver_stop(&l);
    receiver_start(&l);
    report(&l, 1, 10);
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, is_all_there));
    lab_end(&l);
}

static void receiver_that_hangs_gets_it_when_it_reads_again(void **state)
{
    (void)state;
    struct lab l;
    lab_begin_unix(&l);
    for (unsigned i = 0; i < 5; i++) {
        report(&l, 1000, 1000);
        statsd_flush(l.statsd, 1);
        for (unsigned turn = 0; turn < 50; turn++) {
            uv_run(&l.loop, UV_RUN_NOWAIT);
            usleep(5000);
        }
    }
    assert_int_equal(statsd_counts(l.statsd)->refused, 0);
    assert_int_equal(statsd_counts(l.statsd)->flushes_late, 4);
    assert_true(statsd_due_bytes(l.statsd) > 0);
    assert_true(run_until(&l, is_idle));
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, is_all_there));
    lab_end(&l);
}

static void large_flush_does_not_overrun_a_receiver_with_the_default_buffer(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    report(&l, 10000, 123456);
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, is_idle));
    assert_true(is_all_there(&l));
    assert_int_equal(statsd_counts(l.statsd)->datagrams + l.heartbeats, l.datagrams);
    assert_true(l.longest <= STATSD_DATAGRAM_BYTES);
    assert_true(l.longest > STATSD_DATAGRAM_BYTES - 100);
    lab_end(&l);
}

static void flush_during_a_flush_is_late_and_loses_nothing(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    report(&l, 5000, 10);
    statsd_flush(l.statsd, 1);
    uv_run(&l.loop, UV_RUN_NOWAIT);
    report(&l, 5000, 20);
    statsd_flush(l.statsd, 1);
    assert_int_equal(statsd_counts(l.statsd)->flushes_late, 1);
    assert_true(run_until(&l, is_idle));
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, is_all_there));
    lab_end(&l);
}

static void last_flush_sends_all(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    report(&l, 3, 136);
    statsd_finish(l.statsd, PATIENCE_MS, on_finished, &l);
    assert_false(l.finished);
    assert_true(run_until(&l, has_finished));
    receiver_read(&l);
    assert_true(is_all_there(&l));
    lab_end(&l);
}

static void last_flush_sends_what_came_behind_the_one_under_way(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    report(&l, 3000, 136);
    statsd_flush(l.statsd, 1);
    while (statsd_counts(l.statsd)->datagrams == 0)
        uv_run(&l.loop, UV_RUN_ONCE);
    report(&l, 3000, 9);
    statsd_finish(l.statsd, PATIENCE_MS, on_finished, &l);
    assert_true(run_until(&l, has_finished));
    receiver_read(&l);
    assert_true(is_all_there(&l));
    lab_end(&l);
}

static void last_flush_ends_without_a_receiver(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    receiver_stop(&l);
    report(&l, 3, 136);
    statsd_finish(l.statsd, PATIENCE_MS, on_finished, &l);
    assert_true(run_until(&l, has_finished));
    assert_int_equal(statsd_due_bytes(l.statsd), l.reported);
    lab_end(&l);
}

static void last_flush_has_limited_patience_with_a_receiver_that_hangs(void **state)
{
    (void)state;
    struct lab l;
    lab_begin_unix(&l);
    report(&l, 1000, 136);
    statsd_finish(l.statsd, 300, on_finished, &l);
    while (!l.finished)
        uv_run(&l.loop, UV_RUN_ONCE);
    uint64_t due = statsd_due_bytes(l.statsd);
    assert_true(due > 0);
    receiver_read(&l);
    assert_int_equal(l.bytes + due, l.reported);
    lab_end(&l);
}

static void closing_in_the_middle_of_a_flush_is_clean(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    report(&l, 1000, 136);
    statsd_flush(l.statsd, 1);
    while (statsd_counts(l.statsd)->datagrams == 0)
        uv_run(&l.loop, UV_RUN_ONCE);
    lab_end(&l);
    lab_begin(&l, "127.0.0.1", "localhost");
    statsd_flush(l.statsd, 1);
    lab_end(&l);
}

/* The last warning of the log. */
static char warning[200];

static void keep_warning(void *context, enum log_level level, const char *line)
{
    (void)context;
    if (level == LOG_LEVEL_WARNING)
        snprintf(warning, sizeof(warning), "%s", line);
}

static void services_that_there_is_no_room_for_are_said_once_a_flush(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    statsd_set_services_max(l.statsd, 1); /* and one that was forgotten */
    log_set_level(LOG_LEVEL_WARNING);
    log_set_writer(keep_warning, NULL);
    report(&l, 5, 136);
    report(&l, 5, 136);
    statsd_flush(l.statsd, 1);
    assert_non_null(strstr(warning, "too many services are due: 6 requests went to _other"));
    assert_true(run_until(&l, is_all_there));
    assert_true(run_until(&l, is_idle));
    warning[0] = '\0';
    statsd_flush(l.statsd, 1);
    assert_string_equal(warning, "");
    log_set_writer(NULL, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    lab_end(&l);
}

static void tags_that_leave_no_room_are_refused(void **state)
{
    (void)state;
    static const char tag[] = "t:123456789012345678901234567890123456789012345678901234567890";
    const char *tags[5] = {tag, tag, tag, tag, tag};
    struct statsd_options o = options_to("127.0.0.1:9");
    o.tags = tags;
    o.tag_count = ARRAY_SIZE(tags);
    o.datagram_bytes = DATAGRAM_BYTES_MIN;
    struct statsd *s = NULL;
    uv_loop_t loop;
    uv_loop_init(&loop);
    assert_int_equal(statsd_new(&s, &loop, &o), -EMSGSIZE);
    assert_null(s);
    o.datagram_bytes = STATSD_DATAGRAM_BYTES;
    assert_int_equal(statsd_new(&s, &loop, &o), 0);
    statsd_close(s);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static bool has_begun_to_send(const struct lab *l)
{
    return l->bytes > 0;
}

static void change_in_the_middle_of_a_flush_loses_nothing_and_doubles_nothing(void **state)
{
    (void)state;
    struct lab l;
    lab_begin(&l, "127.0.0.1", "127.0.0.1");
    char endpoint[64];
    snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", ntohs(l.address.ipv4.sin_port));
    struct statsd_options changed = options_to(endpoint);
    static const char *const tags[] = {"env:test"};
    changed.tags = tags;
    changed.tag_count = 1;
    report(&l, 5000, 1000);
    statsd_flush(l.statsd, 1);
    for (int i = 0; i < 4; i++) {
        assert_true(run_until(&l, has_begun_to_send));
        metric_set_add(&changed.metrics, i & 1 ? METRIC_ttfb : METRIC_payload);
        changed.datagram_bytes = i & 1 ? DATAGRAM_BYTES_MAX : DATAGRAM_BYTES_MIN;
        assert_int_equal(statsd_change(l.statsd, &changed), 0);
        run_for(&l, 5);
    }
    assert_true(run_until(&l, is_idle));
    assert_int_equal(l.bytes, l.reported);
    assert_int_equal(statsd_due_bytes(l.statsd), 0);
    lab_end(&l);
}

static void change_keeps_what_is_due_and_sends_it_anew(void **state)
{
    (void)state;
    struct lab l;
    lab_begin_unix(&l);
    receiver_stop(&l);
    report(&l, 100, 1000);
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, has_failed));
    struct statsd_options changed = options_to("unix:///not/looked/at");
    changed.datagram_bytes = DATAGRAM_BYTES_MAX;
    assert_int_equal(statsd_change(l.statsd, &changed), 0);
    assert_int_equal(statsd_due_bytes(l.statsd), l.reported);
    receiver_start(&l);
    statsd_flush(l.statsd, 1);
    assert_true(run_until(&l, is_all_there));
    assert_true(l.longest > STATSD_DATAGRAM_BYTES);
    lab_end(&l);
}

static void change_that_can_not_be_leaves_all_as_it_was(void **state)
{
    (void)state;
    struct lab l;
    lab_begin_unix(&l);
    report(&l, 3, 10);
    struct statsd_options changed = options_to("unix:///not/looked/at");
    static char tag[600];
    memset(tag, 't', sizeof(tag) - 1);
    static const char *const tags[] = {tag};
    changed.tags = tags;
    changed.tag_count = 1;
    changed.datagram_bytes = DATAGRAM_BYTES_MIN;
    assert_int_equal(statsd_check(&changed), -EMSGSIZE);
    assert_int_equal(statsd_change(l.statsd, &changed), -EMSGSIZE);
    flush_reaches(&l);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flush_reaches_an_ipv4_receiver),
        cmocka_unit_test(flush_reaches_an_ipv6_receiver),
        cmocka_unit_test(flush_reaches_a_unix_receiver),
        cmocka_unit_test(flush_reaches_a_receiver_by_name),
        cmocka_unit_test(nothing_that_counts_goes_to_a_receiver_that_is_down),
        cmocka_unit_test(what_is_left_of_a_flush_is_not_what_came_since),
        cmocka_unit_test(udp_receiver_may_go_and_come_between_flushes),
        cmocka_unit_test(unix_receiver_may_go_and_come_between_flushes),
        cmocka_unit_test(unix_receiver_that_was_started_anew_is_found_at_once),
        cmocka_unit_test(receiver_that_hangs_gets_it_when_it_reads_again),
        cmocka_unit_test(large_flush_does_not_overrun_a_receiver_with_the_default_buffer),
        cmocka_unit_test(flush_during_a_flush_is_late_and_loses_nothing),
        cmocka_unit_test(last_flush_sends_all),
        cmocka_unit_test(last_flush_sends_what_came_behind_the_one_under_way),
        cmocka_unit_test(last_flush_ends_without_a_receiver),
        cmocka_unit_test(last_flush_has_limited_patience_with_a_receiver_that_hangs),
        cmocka_unit_test(closing_in_the_middle_of_a_flush_is_clean),
        cmocka_unit_test(services_that_there_is_no_room_for_are_said_once_a_flush),
        cmocka_unit_test(tags_that_leave_no_room_are_refused),
        cmocka_unit_test(change_in_the_middle_of_a_flush_loses_nothing_and_doubles_nothing),
        cmocka_unit_test(change_keeps_what_is_due_and_sends_it_anew),
        cmocka_unit_test(change_that_can_not_be_leaves_all_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
