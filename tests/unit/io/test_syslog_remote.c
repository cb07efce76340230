/*
 * The syslog sink with receivers by UDP and TCP that come, go, stop and lag.
 */
#include "io/syslog_sink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/syslog_lab.h"

/* What was freed is memory in use to the kernel, as long as the sanitizer keeps it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=1";
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    return cmocka_run_group_tests(tests, NULL, free_journal);
}
