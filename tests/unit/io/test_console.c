#include "io/console.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

static const struct console_moment now = {
    .time_ns = 1532038700123456789,
    .interval_ns = 2000000000,
    .elapsed_ns = 12500000000,
};

static struct ledger *make_ledger(void)
{
    struct ledger *l = NULL;
    assert_int_equal(ledger_new(&l, &(struct ledger_options){.services_max = 1000}), 0);
    return l;
}

static void add_interface(struct ledger *l, const char *name)
{
    ledger_add(l, &(struct report){.interface = name});
}

static struct ledger *make_docker0(void)
{
    struct ledger *l = make_ledger();
    add_interface(l, "docker0");
    return l;
}

static void add_service(struct ledger *l, const char *name, const struct service_counts *delta)
{
    struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    r->interface = "docker0";
    r->service_count = 1;
    r->delta.tcp_bytes = service_counts_ip_bytes(delta);
    snprintf(r->services[0].name.text, sizeof(r->services[0].name.text), "%s", name);
    r->services[0].delta = *delta;
    ledger_add(l, r);
    free(r);
}

/* @more of its connections are open. */
static void add_open(struct ledger *l, const char *name, int64_t more)
{
    struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    r->interface = "docker0";
    r->service_count = 1;
    snprintf(r->services[0].name.text, sizeof(r->services[0].name.text), "%s", name);
    r->services[0].open_delta = more;
    ledger_add(l, r);
    free(r);
}

/* What one GET and its 404 moved. */
static const struct service_counts yo = {
    .direction = {{.bytes = 136, .payload = 84, .control = 260, .packets = 1},
                  {.bytes = 410, .payload = 358, .control = 216, .packets = 1}},
    .requests = 1,
    .replies = {[3] = 1},
};

static void check_text(const struct text *t, const char *expected)
{
    assert_false(text_failed(t));
    assert_string_equal(t->data ? t->data : "", expected);
}

static size_t count_in(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        count++;
    return count;
}

/* JSON of intervals and totals. */

#define YO_COUNTS_JSON                                                                             \
    "{\"name\":\"yo\",\"in\":{\"bytes\":136,\"payload\":84,\"retransmitted\":0,\"control\":260,"   \
    "\"packets\":1},\"out\":{\"bytes\":410,\"payload\":358,\"retransmitted\":0,\"control\":216,"   \
    "\"packets\":1},\"requests\":1,\"replies\":{\"1xx\":0,\"2xx\":0,\"3xx\":0,\"4xx\":1,"          \
    "\"5xx\":0},\"unanswered\":0"
#define YO_JSON     YO_COUNTS_JSON "}"
#define YO_NOW_JSON YO_COUNTS_JSON ",\"open\":2}"
#define ENGINE_JSON                                                                                \
    "\"ring_drops\":0,\"sessions_evicted\":0,\"services_folded\":0,\"names_changed\":0,\"gaps\":"  \
    "0,\"heads_cut\":0,"                                                                           \
    "\"resumed\":0"

static void final_line_has_the_totals(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_docker0();
    add_service(l, "yo", &yo);
    ledger_end_interval(l);
    AUTO(text_deinit) struct text t = {0};
    console_json_final(&t, l, &now);
    check_text(&t, "{\"final\":true,\"seconds\":12.500000,\"services\":[" YO_JSON "],"
                   "\"interfaces\":[{\"name\":\"docker0\",\"tcp_bytes\":1022,\"not_http_bytes\":0,"
                   "\"untracked_bytes\":0,\"duplicate_bytes\":0,\"service_bytes\":1022," ENGINE_JSON
                   "}]}\n");
}

static void final_line_says_since_when_it_counts(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_docker0();
    struct console_moment later = now;
    later.since_ns = 1600000000250000000;
    AUTO(text_deinit) struct text t = {0};
    console_json_final(&t, l, &later);
    assert_non_null(strstr(t.data, "{\"final\":true,\"since\":1600000000.250000,\"seconds\":"));
}

static void totals_have_as_many_services_and_the_sum_of_the_rest(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_docker0();
    add_service(l, "yo", &yo);
    add_service(l, "also", &yo);
    add_open(l, "yo", 3);
    add_open(l, "yo", -1);
    add_open(l, "also", -1);
    ledger_end_interval(l);
    AUTO(text_deinit) struct text all = {0};
    console_json_totals(&all, l, 2);
    assert_null(strstr(all.data, "left_out"));
    assert_non_null(strstr(all.data, YO_NOW_JSON "],\"interfaces\":[{\"name\":\"docker0\","));
    AUTO(text_deinit) struct text one = {0};
    console_json_totals(&one, l, 1);
    assert_null(strstr(one.data, "\"yo\""));
    assert_non_null(
        strstr(one.data, "}],\"services_left_out\":{\"count\":1,\"in\":{\"bytes\":136,"));
    assert_non_null(strstr(one.data, "\"service_bytes\":2044,\"pending_bytes\":0,"));
    AUTO(text_deinit) struct text none = {0};
    console_json_totals(&none, l, 0);
    assert_non_null(strstr(none.data, "\"services\":[],\"services_left_out\":{\"count\":2,"
                                      "\"in\":{\"bytes\":272,"));
}

static void moment_of_totals_says_when_they_began(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    struct console_moment m = {.time_ns = 5000000000, .elapsed_ns = 2000000000};
    console_json_moment(&t, &m);
    m.since_ns = 1000000000;
    console_json_moment(&t, &m);
    check_text(&t, "\"time\":5.000000,\"since\":3.000000,\"seconds\":2.000000,"
                   "\"time\":5.000000,\"since\":1.000000,\"seconds\":2.000000,");
}

static void interval_line_has_what_moved_in_it(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_docker0();
    add_service(l, "before", &yo);
    ledger_end_interval(l);
    add_service(l, "yo", &yo);
    struct report r = {
        .interface = "docker0",
        .delta = {.tcp_bytes = 60},
        .gauges_delta = {.pending_bytes = 60},
    };
    ledger_add(l, &r);
    AUTO(text_deinit) struct text t = {0};
    console_json_interval(&t, l, &now);
    check_text(&t, "{\"time\":1532038700.123456,\"seconds\":2.000000,\"services\":[" YO_JSON "],"
                   "\"interfaces\":[{\"name\":\"docker0\",\"tcp_bytes\":1082,\"not_http_bytes\":0,"
                   "\"untracked_bytes\":0,\"duplicate_bytes\":0,\"service_bytes\":1022,"
                   "\"pending_bytes\":60," ENGINE_JSON "}]}\n");
}

static void interval_without_change_is_a_line_too(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger();
    AUTO(text_deinit) struct text t = {0};
    console_json_interval(&t, l, &now);
    check_text(&t, "{\"time\":1532038700.123456,\"seconds\":2.000000,\"services\":[],"
                   "\"interfaces\":[]}\n");
}

static void services_are_separated_and_sorted(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_docker0();
    add_service(l, "b", &yo);
    add_service(l, "a", &yo);
    AUTO(text_deinit) struct text t = {0};
    console_json_final(&t, l, &now);
    const char *a = strstr(t.data, "{\"name\":\"a\"");
    const char *b = strstr(t.data, "},{\"name\":\"b\"");
    assert_non_null(a);
    assert_non_null(b);
    assert_true(a < b);
}

/* Transactions. */

static struct address ipv4(const char *text, uint16_t port)
{
    struct address a = {.address = {[10] = 0xff, [11] = 0xff}, .port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, text, a.address + 12), 1);
    return a;
}

static struct address ipv6(const char *text, uint16_t port)
{
    struct address a = {.port = htons(port)};
    assert_int_equal(inet_pton(AF_INET6, text, a.address), 1);
    return a;
}

static const struct service_name yo_name = {"yo"};

static struct transaction_seen make_transaction(void)
{
    return (struct transaction_seen){
        .time_ns = 1532038700123456789,
        .client = ipv4("172.17.0.1", 41000),
        .server = ipv4("172.17.0.2", 80),
        .service = &yo_name,
        .method = BYTES("GET"),
        .host = BYTES("localhost:8080"),
        .target = BYTES("/x?s=yo"),
        .status = 404,
        .has_ttfb = true,
        .ttfb_ns = 1200000,
        .direction = {{136, 84}, {410, 358}},
    };
}

static void transaction_is_a_line(void **state)
{
    (void)state;
    struct transaction_seen x = make_transaction();
    AUTO(text_deinit) struct text t = {0};
    console_transaction(&t, &x, "docker0");
    check_text(&t,
               "{\"time\":1532038700.123456,\"interface\":\"docker0\","
               "\"client\":\"172.17.0.1:41000\",\"server\":\"172.17.0.2:80\","
               "\"service\":\"yo\",\"method\":\"GET\",\"host\":\"localhost:8080\","
               "\"target\":\"/x?s=yo\",\"status\":404,\"interim\":[],\"ttfb\":0.001200,"
               "\"in\":{\"bytes\":136,\"payload\":84},\"out\":{\"bytes\":410,\"payload\":358}}\n");
}

static void transaction_without_reply_has_no_status(void **state)
{
    (void)state;
    struct transaction_seen x = make_transaction();
    x.status = 0;
    x.has_ttfb = false;
    x.host = (struct bytes){0};
    x.target = BYTES("");
    AUTO(text_deinit) struct text t = {0};
    console_transaction(&t, &x, "docker0");
    assert_non_null(strstr(t.data, "\"method\":\"GET\",\"host\":null,\"target\":\"\","
                                   "\"status\":null,\"interim\":[],\"ttfb\":null,"));
}

static void transaction_without_request_has_no_method(void **state)
{
    (void)state;
    struct transaction_seen x = make_transaction();
    x.method = x.host = x.target = (struct bytes){0};
    AUTO(text_deinit) struct text t = {0};
    console_transaction(&t, &x, "docker0");
    assert_non_null(strstr(t.data, "\"method\":null,\"host\":null,\"target\":null,\"status\":404"));
}

static void transaction_between_ipv6_addresses_has_brackets(void **state)
{
    (void)state;
    struct transaction_seen x = make_transaction();
    x.client = ipv6("2001:db8::2", 65535);
    x.server = ipv6("2001:db8::1", 80);
    AUTO(text_deinit) struct text t = {0};
    console_transaction(&t, &x, "docker0");
    assert_non_null(strstr(t.data, "\"client\":\"[2001:db8::2]:65535\","
                                   "\"server\":\"[2001:db8::1]:80\","));
}

static void transaction_lists_the_interim_replies_that_were_kept(void **state)
{
    (void)state;
    struct transaction_seen x = make_transaction();
    x.interim_count = 2;
    x.interim[0] = 100;
    x.interim[1] = 103;
    AUTO(text_deinit) struct text t = {0};
    console_transaction(&t, &x, "docker0");
    assert_non_null(strstr(t.data, "\"interim\":[100,103],"));

    x.interim_count = 1000;
    text_clear(&t);
    console_transaction(&t, &x, "docker0");
    assert_non_null(strstr(t.data, "\"interim\":[100,103,0,0,0,0,0,0],"));
}

static void transaction_escapes_what_comes_from_the_network(void **state)
{
    (void)state;
    struct transaction_seen x = make_transaction();
    x.target = BYTES("/\",\"status\":200}\n\x1b[2J\xff");
    x.host = BYTES("a\0b");
    AUTO(text_deinit) struct text t = {0};
    console_transaction(&t, &x, "docker0");
    assert_int_equal(count_in(t.data, "\n"), 1);
    assert_non_null(strstr(t.data, "\"host\":\"a\\u0000b\",\"target\":\"/\\\",\\\"status\\\":200}"
                                   "\\u000a\\u001b[2J\\u00ff\",\"status\":404"));
}

/* Events. */

static void events_are_those_of_the_script(void **state)
{
    (void)state;
    const struct message_seen request = {DIRECTION_IN, BYTES("GET /x?s=yo HTTP/1.1"), &yo_name, 136,
                                         136};
    const struct message_seen reply = {DIRECTION_OUT, BYTES("HTTP/1.1 404 Not Found"), &yo_name,
                                       410, 820};
    AUTO(text_deinit) struct text t = {0};
    console_event(&t, &request);
    console_event(&t, &reply);
    check_text(&t, "request: GET /x?s=yo HTTP/1.1\n"
                   "+136 bytes inbound to service 'yo' = 136\n"
                   "reply: HTTP/1.1 404 Not Found\n"
                   "+410 bytes outbound from service 'yo' = 820\n");
}

static void event_without_its_head_says_so(void **state)
{
    (void)state;
    const struct service_name unknown = {SERVICE_UNKNOWN};
    const struct message_seen reply = {DIRECTION_OUT, {0}, &unknown, 1, 2};
    AUTO(text_deinit) struct text t = {0};
    console_event(&t, &reply);
    check_text(&t, "reply: (head not seen)\n+1 bytes outbound from service '_unknown' = 2\n");
}

static void event_escapes_what_comes_from_the_network(void **state)
{
    (void)state;
    const struct message_seen request = {DIRECTION_IN, BYTES("GET /\x1b]0;\n\\\xe9 HTTP/1.1"),
                                         &yo_name, 1, 1};
    AUTO(text_deinit) struct text t = {0};
    console_event(&t, &request);
    check_text(&t, "request: GET /\\x1b]0;\\x0a\\x5c\\xe9 HTTP/1.1\n"
                   "+1 bytes inbound to service 'yo' = 1\n");
}

/* The table. */

static const struct console_screen no_terminal = {.terminal = false};

static void plain_table_has_all_columns(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_docker0();
    add_service(l, "yo", &yo);
    ledger_end_interval(l);
    struct service_counts bulk = {
        .direction = {{.bytes = 2500}, {.bytes = 123456789, .control = 1000}},
        .requests = 123456,
        .replies = {1, 22, 333, 4444, 55555},
        .unanswered = 6,
    };
    add_service(l, "bulk", &bulk);
    AUTO(text_deinit) struct text t = {0};
    console_table(&t, l, &now, &no_terminal);
    check_text(
        &t, "httpacct  0:00:12  2 services\n"
            "service             in     out    in/s   out/s requests   1xx   2xx   3xx   4xx   5xx"
            " unanswered control\n"
            "bulk            2.5 kB  123 MB  1.2 kB 61.7 MB     123k     1    22   333  4444 55555"
            "          6  1.0 kB\n"
            "yo               136 B   410 B     0 B     0 B        1     0     0     0     1     0"
            "          0   476 B\n"
            "total           2.6 kB  123 MB  1.2 kB 61.7 MB     123k     1    22   333  4445 55555"
            "          6  1.5 kB\n"
            "\n"
            "interface         tcp = services + not http + untracked + twice + pending drops\n"
            "docker0          123 MB     123 MB        0 B         0 B     0 B     0 B     0\n");
}

static void table_without_services_is_friendly(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_docker0();
    AUTO(text_deinit) struct text t = {0};
    console_table(&t, l, &now, &no_terminal);
    assert_non_null(strstr(t.data, "\nno HTTP traffic yet\n"));
    assert_null(strstr(t.data, "total"));
}

static void table_marks_books_that_do_not_balance(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_docker0();
    struct report r = {.interface = "docker0", .delta = {.tcp_bytes = 100, .ring_drops = 7}};
    ledger_add(l, &r);
    AUTO(text_deinit) struct text t = {0};
    console_table(&t, l, &now, &no_terminal);
    assert_non_null(strstr(t.data, "     7 ! off by 100 B\n"));
}

static void table_escapes_names_of_interfaces(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_ledger();
    add_interface(l, "a\x1b[2Jb");
    AUTO(text_deinit) struct text t = {0};
    console_table(&t, l, &now, &no_terminal);
    assert_non_null(strstr(t.data, "\na\\x1b[2Jb "));
}

static void numbers_have_three_figures_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *cell;
    } cases[] = {
        {1, "    1 B"},         {999, "  999 B"},        {1000, " 1.0 kB"},
        {1049, " 1.0 kB"},      {99949, "99.9 kB"},      {99950, " 100 kB"},
        {999499, " 999 kB"},    {999500, " 1.0 MB"},     {999499999, " 999 MB"},
        {999500000, " 1.0 GB"}, {UINT64_MAX, "18.4 EB"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(ledger_free) struct ledger *l = make_docker0();
        struct service_counts c = {.direction = {{.bytes = cases[i].bytes}}};
        add_service(l, "s", &c);
        AUTO(text_deinit) struct text t = {0};
        console_table(&t, l, &now, &no_terminal);
        char expected[64];
        snprintf(expected, sizeof(expected), "\ns              %s     0 B", cases[i].cell);
        assert_non_null(strstr(t.data, expected));
    }
}

static struct ledger *make_crowd(unsigned services, unsigned interfaces)
{
    struct ledger *l = make_ledger();
    for (unsigned i = 0; i < interfaces; i++) {
        char name[16];
        snprintf(name, sizeof(name), "veth%u", i);
        add_interface(l, name);
    }
    for (unsigned i = 0; i < services; i++) {
        char name[SERVICE_NAME_MAX + 1];
        snprintf(name, sizeof(name), "a-service-with-a-rather-long-name-%u", i);
        struct service_counts c = {.direction = {{.bytes = 10000 - i}}};
        add_service(l, name, &c);
    }
    return l;
}

/* Check that what is drawn fits, and return how many lines it has. */
static unsigned check_screen(const struct text *t, const struct console_screen *screen)
{
    static const char home[] = "\033[H", erase_line[] = "\033[K\n", erase_rest[] = "\033[J";
    assert_memory_equal(t->data, home, strlen(home));
    const char *p = t->data + strlen(home);
    unsigned lines = 0;
    for (const char *end; (end = strstr(p, erase_line)); p = end + strlen(erase_line)) {
        assert_null(memchr(p, '\033', (size_t)(end - p)));
        assert_null(memchr(p, '\n', (size_t)(end - p)));
        assert_true(end - p < MAX((ptrdiff_t)screen->columns, 1));
        lines++;
    }
    assert_string_equal(p, erase_rest);
    assert_true(lines < MAX(screen->rows, 1u));
    return lines;
}

static void table_fits_every_screen(void **state)
{
    (void)state;
    static const unsigned crowds[][2] = {{0, 1}, {3, 1}, {3, 50}, {200, 1}, {200, 50}};
    for (size_t i = 0; i < ARRAY_SIZE(crowds); i++) {
        AUTO(ledger_free) struct ledger *l = make_crowd(crowds[i][0], crowds[i][1]);
        for (unsigned rows = 0; rows < 40; rows++) {
            for (unsigned columns = 0; columns < 150; columns += 1 + columns / 20) {
                const struct console_screen screen = {true, rows, columns};
                AUTO(text_deinit) struct text t = {0};
                console_table(&t, l, &now, &screen);
                assert_false(text_failed(&t));
                check_screen(&t, &screen);
            }
        }
    }
}

static void full_screen_says_how_much_it_hides(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_crowd(200, 50);
    const struct console_screen screen = {true, 24, 80};
    AUTO(text_deinit) struct text t = {0};
    console_table(&t, l, &now, &screen);
    assert_int_equal(check_screen(&t, &screen), 23);
    assert_int_equal(count_in(t.data, "a-service-w..."), 11);
    assert_non_null(strstr(t.data, "... and 189 more"));
    assert_int_equal(count_in(t.data, "veth"), 5);
    assert_non_null(strstr(t.data, "... and 46 more"));
    assert_non_null(strstr(t.data, "total"));
}

static void narrow_screen_keeps_the_columns_that_matter(void **state)
{
    (void)state;
    AUTO(ledger_free) struct ledger *l = make_crowd(3, 1);
    AUTO(text_deinit) struct text t = {0};
    console_table(&t, l, &now, &(struct console_screen){true, 24, 80});
    assert_non_null(
        strstr(t.data, "in     out    in/s   out/s requests   2xx   3xx   4xx   5xx\033"));
    text_clear(&t);
    console_table(&t, l, &now, &(struct console_screen){true, 24, 40});
    assert_non_null(strstr(t.data, "service              in     out    in/s\033"));
    text_clear(&t);
    console_table(&t, l, &now, &(struct console_screen){true, 24, 140});
    assert_non_null(strstr(t.data, "a-service-with-a-rather-long-name-0 "));
    assert_non_null(strstr(t.data, " unanswered control\033"));
}

/* The buffer between workers and the main thread. */

static bool add_lines(struct console_buffer *b, const char *lines)
{
    AUTO(text_deinit) struct text t = {0};
    text_add_string(&t, lines);
    return console_buffer_add(b, &t);
}

static void buffer_tells_when_it_was_empty(void **state)
{
    (void)state;
    AUTO(console_buffer_free) struct console_buffer *b = NULL;
    assert_int_equal(console_buffer_new(&b, 100), 0);
    AUTO(text_deinit) struct text t = {0};
    assert_false(add_lines(b, ""));
    assert_true(add_lines(b, "1\n"));
    assert_false(add_lines(b, "2\n"));
    assert_int_equal(console_buffer_take(b, &t), 0);
    check_text(&t, "1\n2\n");
    assert_int_equal(console_buffer_take(b, &t), 0);
    check_text(&t, "");
    assert_true(add_lines(b, "3\n"));
}

static void buffer_that_is_full_drops_and_counts_lines(void **state)
{
    (void)state;
    AUTO(console_buffer_free) struct console_buffer *b = NULL;
    assert_int_equal(console_buffer_new(&b, 10), 0);
    AUTO(text_deinit) struct text t = {0};
    add_lines(b, "12345678\n");
    add_lines(b, "a\nb\n");
    add_lines(b, "\n");
    add_lines(b, "\n");
    assert_int_equal(console_buffer_take(b, &t), 3);
    check_text(&t, "12345678\n\n");
    assert_int_equal(console_buffer_take(b, &t), 0);
}

static void buffer_counts_text_that_ran_out_of_memory(void **state)
{
    (void)state;
    AUTO(console_buffer_free) struct console_buffer *b = NULL;
    assert_int_equal(console_buffer_new(&b, 100), 0);
    AUTO(text_deinit) struct text t = {0};
    struct text failed = {.failed = true};
    assert_false(console_buffer_add(b, &failed));
    assert_int_equal(console_buffer_take(b, &t), 1);
    check_text(&t, "");
}

enum { WRITERS = 4, LINES = 20000 };

static void *write_lines(void *buffer)
{
    for (unsigned i = 0; i < LINES; i++)
        add_lines(buffer, "0123456\n");
    return NULL;
}

static void no_line_of_several_threads_is_lost_or_torn(void **state)
{
    (void)state;
    AUTO(console_buffer_free) struct console_buffer *b = NULL;
    assert_int_equal(console_buffer_new(&b, 8000), 0);
    pthread_t threads[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, b), 0);

    uint64_t lines = 0;
    AUTO(text_deinit) struct text t = {0};
    for (unsigned joined = 0; joined <= WRITERS; joined++) {
        for (unsigned i = 0; i < 100; i++) {
            lines += console_buffer_take(b, &t);
            assert_int_equal(t.size % 8, 0);
            for (size_t k = 0; k < t.size; k += 8, lines++)
                assert_memory_equal(t.data + k, "0123456\n", 8);
        }
        if (joined < WRITERS)
            pthread_join(threads[joined], NULL);
    }
    assert_int_equal(lines, WRITERS * LINES);
}

/* Writing. */

static void reader_that_went_away_is_an_error(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    AUTO(ledger_free) struct ledger *l = make_docker0();
    struct console c;
    console_init(&c, CONSOLE_JSON, ends[1]);
    assert_int_equal(console_interval(&c, l, &now), -EPIPE);
    assert_int_equal(console_finish(&c, l, &now), -EPIPE);
    console_deinit(&c);
    close(ends[1]);
}

static void full_disk_is_an_error(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    AUTO(console_buffer_free) struct console_buffer *b = NULL;
    assert_int_equal(console_buffer_new(&b, 100), 0);
    struct console c;
    console_init(&c, CONSOLE_EVENTS, fd);
    assert_int_equal(console_drain(&c, b), 0);
    add_lines(b, "line\n");
    assert_int_equal(console_drain(&c, b), -ENOSPC);
    close(fd);
}

struct reader {
    int fd;
    size_t bytes;
};

static void *read_all(void *argument)
{
    struct reader *r = argument;
    char buffer[4096];
    for (ssize_t n; (n = read(r->fd, buffer, sizeof(buffer))) > 0; usleep(100))
        r->bytes += (size_t)n;
    return NULL;
}

static void slow_reader_of_a_nonblocking_pipe_gets_all(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    struct reader reader = {.fd = ends[0]};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);

    AUTO(console_buffer_free) struct console_buffer *b = NULL;
    assert_int_equal(console_buffer_new(&b, 1 << 20), 0);
    AUTO(text_deinit) struct text t = {0};
    text_printf(&t, "%*s", 1000000, "\n");
    console_buffer_add(b, &t);
    struct console c;
    console_init(&c, CONSOLE_EVENTS, ends[1]);
    assert_int_equal(console_drain(&c, b), 0);
    close(ends[1]);
    pthread_join(thread, NULL);
    assert_int_equal(reader.bytes, 1000000);
    close(ends[0]);
}

/* Show an interval and the end in @form on a pipe, and return what came. */
static void show(enum console_form form, bool interval, struct text *shown)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    AUTO(ledger_free) struct ledger *l = make_docker0();
    struct console c;
    console_init(&c, form, ends[1]);
    if (interval)
        assert_int_equal(console_interval(&c, l, &now), 0);
    assert_int_equal(console_finish(&c, l, &now), 0);
    console_deinit(&c);
    close(ends[1]);

    char buffer[65536];
    ssize_t size = read(ends[0], buffer, sizeof(buffer));
    assert_true(size >= 0);
    text_add(shown, bytes_make(buffer, (size_t)size));
    close(ends[0]);
}

static void each_form_shows_its_intervals_and_its_end(void **state)
{
    (void)state;
    static const struct {
        enum console_form form;
        bool interval;
        const char *mark;
        size_t marks;
        size_t finals;
    } cases[] = {
        {CONSOLE_JSON, false, "\"services\"", 1, 1},
        {CONSOLE_JSON, true, "\"services\"", 3, 1}, /* the last part of an interval too */
        {CONSOLE_TABLE, false, "httpacct", 1, 0},
        {CONSOLE_TABLE, true, "\n\nhttpacct", 1, 0},
        {CONSOLE_EVENTS, true, "\n", 0, 0},
        {CONSOLE_TRANSACTIONS, true, "\n", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(text_deinit) struct text t = {0};
        text_add_string(&t, "");
        show(cases[i].form, cases[i].interval, &t);
        const char *shown = t.data ? t.data : "";
        assert_int_equal(count_in(shown, cases[i].mark), cases[i].marks);
        assert_int_equal(count_in(shown, "\"final\":true"), cases[i].finals);
        assert_null(strchr(shown, '\033'));
    }
}

static void terminal_gets_its_cursor_back(void **state)
{
    (void)state;
    int master, slave;
    struct winsize size = {.ws_row = 30, .ws_col = 100};
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    AUTO(ledger_free) struct ledger *l = make_docker0();
    struct console c;
    console_init(&c, CONSOLE_TABLE, slave);
    assert_true(c.terminal);
    assert_int_equal(console_interval(&c, l, &now), 0);
    assert_int_equal(console_finish(&c, l, &now), 0);
    console_deinit(&c);
    console_deinit(&c);

    /* A terminal hands over what it has in pieces. */
    char shown[16384] = "";
    for (size_t filled = 0; count_in(shown, "\033[?25h") == 0;) {
        ssize_t got = read(master, shown + filled, sizeof(shown) - 1 - filled);
        assert_true(got > 0);
        filled += (size_t)got;
        shown[filled] = '\0';
    }
    assert_int_equal(count_in(shown, "\033[?25l\033[2J\033[H"), 1);
    assert_int_equal(count_in(shown, "\033[H"), 2);
    assert_int_equal(count_in(shown, "\033[?25h"), 1);
    assert_string_equal(shown + strlen(shown) - 9, "\033[J\033[?25h");
    close(master);
    close(slave);
}

static void forms_are_found_by_name(void **state)
{
    (void)state;
    enum console_form form = CONSOLE_TABLE;
    assert_true(console_form_find(&form, "transactions"));
    assert_int_equal(form, CONSOLE_TRANSACTIONS);
    assert_true(console_form_find(&form, "table"));
    assert_int_equal(form, CONSOLE_TABLE);
    assert_false(console_form_find(&form, "tables"));
    assert_false(console_form_find(&form, ""));
    assert_int_equal(form, CONSOLE_TABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(final_line_has_the_totals),
        cmocka_unit_test(final_line_says_since_when_it_counts),
        cmocka_unit_test(totals_have_as_many_services_and_the_sum_of_the_rest),
        cmocka_unit_test(moment_of_totals_says_when_they_began),
        cmocka_unit_test(interval_line_has_what_moved_in_it),
        cmocka_unit_test(interval_without_change_is_a_line_too),
        cmocka_unit_test(services_are_separated_and_sorted),
        cmocka_unit_test(transaction_is_a_line),
        cmocka_unit_test(transaction_without_reply_has_no_status),
        cmocka_unit_test(transaction_without_request_has_no_method),
        cmocka_unit_test(transaction_between_ipv6_addresses_has_brackets),
        cmocka_unit_test(transaction_lists_the_interim_replies_that_were_kept),
        cmocka_unit_test(transaction_escapes_what_comes_from_the_network),
        cmocka_unit_test(events_are_those_of_the_script),
        cmocka_unit_test(event_without_its_head_says_so),
        cmocka_unit_test(event_escapes_what_comes_from_the_network),
        cmocka_unit_test(plain_table_has_all_columns),
        cmocka_unit_test(table_without_services_is_friendly),
        cmocka_unit_test(table_marks_books_that_do_not_balance),
        cmocka_unit_test(table_escapes_names_of_interfaces),
        cmocka_unit_test(numbers_have_three_figures_and_a_unit),
        cmocka_unit_test(table_fits_every_screen),
        cmocka_unit_test(full_screen_says_how_much_it_hides),
        cmocka_unit_test(narrow_screen_keeps_the_columns_that_matter),
        cmocka_unit_test(buffer_tells_when_it_was_empty),
        cmocka_unit_test(buffer_that_is_full_drops_and_counts_lines),
        cmocka_unit_test(buffer_counts_text_that_ran_out_of_memory),
        cmocka_unit_test(no_line_of_several_threads_is_lost_or_torn),
        cmocka_unit_test(reader_that_went_away_is_an_error),
        cmocka_unit_test(full_disk_is_an_error),
        cmocka_unit_test(slow_reader_of_a_nonblocking_pipe_gets_all),
        cmocka_unit_test(each_form_shows_its_intervals_and_its_end),
        cmocka_unit_test(terminal_gets_its_cursor_back),
        cmocka_unit_test(forms_are_found_by_name),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
