#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/replay.h"
#include "support/frames.h"

enum { PATH_BYTES = 32 };

/* A capture file, and what replay_run() prints for it. */
struct fixture {
    int fd;
    char path[PATH_BYTES];
    pcap_t *pcap;
    pcap_dumper_t *dumper;
    uint32_t seq;
    struct rule_set *rules;
    struct replay_options options;
    char output[16384];
};

/* Returns a file without a name, and a path by which it can be opened. */
static int memory_file(char path[static PATH_BYTES])
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    snprintf(path, PATH_BYTES, "/proc/self/fd/%d", fd);
    return fd;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->fd = memory_file(f->path);
    f->pcap = pcap_open_dead(DLT_RAW, 65535);
    f->dumper = pcap_dump_fopen(f->pcap, fdopen(dup(f->fd), "w"));
    assert_non_null(f->dumper);

    struct rule_error error;
    struct rule_options by_query = {.query = "s"};
    assert_int_equal(rule_set_new(&f->rules, &by_query, 1, &error), 0);
    f->options = (struct replay_options){
        .path = f->path,
        .interface = "file",
        .form = CONSOLE_JSON,
        .engine = {.rules = f->rules,
                   .session_timeout_ns = 121000000000,
                   .sessions_max = 100,
                   .services_max = 100},
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    pcap_close(f->pcap);
    rule_set_free(f->rules);
    close(f->fd);
    free(f);
    return 0;
}

/* A request of 62 IP bytes at @seconds. */
static void add_request(struct fixture *f, uint32_t seconds)
{
    struct bytes payload = BYTES("GET /?s=x HTTP/1.1\r\n\r\n");
    struct frame_spec spec = {
        .source = "10.0.0.1",
        .destination = "10.0.0.2",
        .source_port = 40000,
        .destination_port = 80,
        .seq = f->seq,
        .flags = TCP_ACK,
        .payload = payload,
    };
    uint8_t packet[FRAME_HEADERS_MAX];
    uint32_t size = (uint32_t)frame_build(&spec, packet, sizeof(packet));
    f->seq += (uint32_t)payload.size;
    struct pcap_pkthdr header = {.ts = {.tv_sec = seconds}, .caplen = size, .len = size};
    pcap_dump((u_char *)f->dumper, &header, packet);
}

/* Run with standard output going to @output, and return the exit status. */
static int run_to(struct fixture *f, const char *output)
{
    pcap_dump_close(f->dumper);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    int fd = open(output, O_RDWR | O_TRUNC);
    assert_true(kept >= 0 && fd >= 0);
    dup2(fd, STDOUT_FILENO);
    int status = replay_run(&f->options);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(fd);
    return status;
}

static int run(struct fixture *f)
{
    char path[PATH_BYTES];
    int fd = memory_file(path);
    int status = run_to(f, path);
    ssize_t size = read(fd, f->output, sizeof(f->output) - 1);
    assert_true(size >= 0);
    f->output[size] = '\0';
    close(fd);
    return status;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

static void totals_are_one_line(void **state)
{
    struct fixture *f = *state;
    add_request(f, 1000);
    add_request(f, 1002);
    assert_int_equal(run(f), 0);
    assert_int_equal(count(f->output, "\n"), 1);
    assert_ptr_equal(strstr(f->output, "{\"final\":true,\"seconds\":2.0"), f->output);
    assert_non_null(strstr(f->output, "\"name\":\"x\",\"in\":{\"bytes\":124,\"payload\":44"));
    assert_non_null(strstr(f->output, "\"requests\":2"));
    assert_non_null(strstr(f->output, "\"name\":\"file\",\"tcp_bytes\":124"));
}

static void a_file_without_packets_has_totals(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f), 0);
    assert_ptr_equal(strstr(f->output, "{\"final\":true,\"seconds\":0.0"), f->output);
}

static void intervals_follow_the_clock_of_the_file(void **state)
{
    struct fixture *f = *state;
    f->options.interval_ns = 2000000000;
    add_request(f, 1000);
    add_request(f, 1001);
    add_request(f, 1002);
    add_request(f, 1005);
    assert_int_equal(run(f), 0);
    /* 1000 to 1002, 1002 to 1004, what came since, and the totals. */
    assert_int_equal(count(f->output, "\n"), 4);
    assert_non_null(strstr(f->output, "{\"time\":1002.000000,\"seconds\":2.000000,"));
    assert_non_null(strstr(f->output, "{\"time\":1004.000000,\"seconds\":2.000000,"));
    assert_non_null(strstr(f->output, "{\"time\":1005.000000,\"seconds\":1.000000,"));
    assert_int_equal(count(f->output, "\"requests\":2"), 1);
    assert_int_equal(count(f->output, "\"requests\":1"), 2);
    assert_int_equal(count(f->output, "\"requests\":4"), 1);
}

static void a_leap_of_the_clock_passes_over_intervals(void **state)
{
    struct fixture *f = *state;
    f->options.interval_ns = 100000000;
    add_request(f, 0);
    add_request(f, INT32_MAX);
    assert_int_equal(run(f), 0);
    assert_int_equal(count(f->output, "\n"), 3);
    assert_non_null(strstr(f->output, "\"final\":true,\"seconds\":2147483647.0"));
}

static void a_clock_that_goes_back_is_not_followed(void **state)
{
    struct fixture *f = *state;
    f->options.interval_ns = 1000000000;
    add_request(f, 1000);
    add_request(f, 10);
    add_request(f, 1000);
    assert_int_equal(run(f), 0);
    assert_int_equal(count(f->output, "\n"), 1);
    assert_non_null(strstr(f->output, "\"requests\":3"));
}

static void only_watched_ports_count(void **state)
{
    struct fixture *f = *state;
    port_set_add(&f->options.engine.ports, 8080);
    add_request(f, 1000);
    assert_int_equal(run(f), 0);
    assert_non_null(strstr(f->output, "\"tcp_bytes\":0"));
}

static void events_are_printed_as_lines(void **state)
{
    struct fixture *f = *state;
    f->options.form = CONSOLE_EVENTS;
    add_request(f, 1000);
    assert_int_equal(run(f), 0);
    assert_string_equal(f->output, "request: GET /?s=x HTTP/1.1\n"
                                   "+62 bytes inbound to service 'x' = 62\n");
}

static void transactions_are_printed_as_lines(void **state)
{
    struct fixture *f = *state;
    f->options.form = CONSOLE_TRANSACTIONS;
    add_request(f, 1000);
    assert_int_equal(run(f), 0);
    assert_int_equal(count(f->output, "\n"), 1);
    assert_non_null(strstr(f->output, "\"interface\":\"file\""));
    assert_non_null(strstr(f->output, "\"status\":null"));
}

static void a_table_is_plain(void **state)
{
    struct fixture *f = *state;
    f->options.form = CONSOLE_TABLE;
    add_request(f, 1000);
    assert_int_equal(run(f), 0);
    assert_null(strchr(f->output, '\033'));
    assert_non_null(strstr(f->output, "service"));
}

static void a_cut_file_fails_and_shows_what_it_has(void **state)
{
    struct fixture *f = *state;
    add_request(f, 1000);
    add_request(f, 1001);
    fflush(pcap_dump_file(f->dumper));
    assert_int_equal(ftruncate(f->fd, pcap_dump_ftell(f->dumper) - 1), 0);
    assert_int_equal(run(f), 1);
    assert_non_null(strstr(f->output, "\"requests\":1"));
}

static void output_that_cannot_be_written_fails(void **state)
{
    struct fixture *f = *state;
    add_request(f, 1000);
    assert_int_equal(run_to(f, "/dev/full"), 1);
}

static void a_missing_file_fails(void **state)
{
    struct fixture *f = *state;
    f->options.path = "/nonexistent/file.pcap";
    assert_int_equal(run(f), 1);
    assert_string_equal(f->output, "");
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(totals_are_one_line),
        CASE(a_file_without_packets_has_totals),
        CASE(intervals_follow_the_clock_of_the_file),
        CASE(a_leap_of_the_clock_passes_over_intervals),
        CASE(a_clock_that_goes_back_is_not_followed),
        CASE(only_watched_ports_count),
        CASE(events_are_printed_as_lines),
        CASE(transactions_are_printed_as_lines),
        CASE(a_table_is_plain),
        CASE(a_cut_file_fails_and_shows_what_it_has),
        CASE(output_that_cannot_be_written_fails),
        CASE(a_missing_file_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
