#include "app/outputs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/telemetry.h"

enum { PATIENCE_MS = 2000 };

static uv_loop_t loop;
static struct outputs *outputs;
static struct settings_outputs settings;
static int receiver; /* of StatsD */
static char received[65536];
static unsigned due;
static bool flush_when_due;
static uint64_t hash_seed;
static unsigned finished;

static void take_due(void *context)
{
    (void)context;
    due++;
    if (flush_when_due)
        outputs_flush(outputs, 1);
}

static void take_finished(void *context)
{
    (void)context;
    finished++;
}

static int begin(void **state)
{
    (void)state;
    settings_outputs_init(&settings);
    due = 0;
    flush_when_due = false;
    finished = 0;
    return uv_loop_init(&loop);
}

static int end(void **state)
{
    (void)state;
    outputs = outputs_close(outputs);
    uv_run(&loop, UV_RUN_DEFAULT);
    settings_outputs_deinit(&settings);
    return uv_loop_close(&loop);
}

static void open_outputs(void)
{
    assert_int_equal(outputs_new(&outputs, &loop,
                                 &(struct outputs_options){
                                     .settings = &settings,
                                     .services_max = 10,
                                     .hash_seed = hash_seed,
                                     .idle_ns = 1000000000,
                                     .due = take_due,
                                 }),
                     0);
}

static int listen_udp(unsigned *port)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void set(const char *config)
{
    config_t c;
    config_init(&c);
    assert_int_equal(config_read_string(&c, config), CONFIG_TRUE);
    AUTO(text_deinit) struct text error = {0};
    assert_int_equal(
        settings_outputs_read_statsd(NULL, config_lookup(&c, "statsd"), &settings, &error), 0);
    assert_int_equal(
        settings_outputs_read_flush(NULL, config_lookup(&c, "flush"), &settings, &error), 0);
    config_setting_t *syslog = config_lookup(&c, "syslog");
    if (syslog)
        assert_int_equal(settings_outputs_read_syslog(NULL, syslog, &settings, &error), 0);
    config_destroy(&c);
}

/* Have one destination, which is @receiver. */
static void send_to_receiver(void)
{
    unsigned port;
    receiver = listen_udp(&port);
    char config[200];
    snprintf(
        config, sizeof(config),
        "statsd = ( { address = \"127.0.0.1:%u\"; host = false; } ); flush = { interval = 1; };",
        port);
    set(config);
}

/* Have a syslog and three destinations, of which two are down. */
static void send_to_many(int *syslog)
{
    unsigned port, down[2], syslog_port;
    receiver = listen_udp(&port);
    *syslog = listen_udp(&syslog_port);
    for (size_t i = 0; i < ARRAY_SIZE(down); i++)
        close(listen_udp(&down[i]));
    char config[400];
    snprintf(config, sizeof(config),
             "statsd = ( { address = \"127.0.0.1:%u\"; host = false; },"
             " { address = \"127.0.0.1:%u\"; }, { address = \"127.0.0.1:%u\"; } );"
             "flush = { interval = 1; };"
             "syslog = { address = \"udp://127.0.0.1:%u\"; interval = 1; };",
             port, down[0], down[1], syslog_port);
    set(config);
}

static void add(const struct service_counts *delta)
{
    AUTO(report_free) struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    assert_non_null(r);
    r->interface = "eth0";
    r->service_count = 1;
    strcpy(r->services[0].name.text, "yo");
    r->services[0].delta = *delta;
    outputs_add(outputs, r);
}

static void add_requests(uint64_t requests)
{
    add(&(struct service_counts){.requests = requests});
}

static void add_bytes(uint64_t bytes)
{
    add(&(struct service_counts){.direction[DIRECTION_IN].bytes = bytes});
}

/* Add what has come to @received. */
static void receive(void)
{
    size_t size = strlen(received);
    ssize_t got;
    while ((got = recv(receiver, received + size, sizeof(received) - size - 1, MSG_DONTWAIT)) > 0)
        size += (size_t)got;
    received[size] = '\0';
}

static void run_until_received(const char *text)
{
    received[0] = '\0';
    do {
        uv_run(&loop, UV_RUN_ONCE);
        receive();
    } while (!strstr(received, text));
}

static void without_outputs_the_end_comes_at_once(void **state)
{
    (void)state;
    open_outputs();
    add_requests(3);
    outputs_flush(outputs, 1);
    outputs_finish(outputs, 1, PATIENCE_MS, take_finished);
    assert_int_equal(finished, 1);
    assert_int_equal(due, 0);
}

static void interval_that_is_over_asks_for_reports_and_is_flushed(void **state)
{
    (void)state;
    send_to_receiver();
    open_outputs();
    add_requests(3);
    outputs_flush(outputs, 1); /* not yet */
    while (!due)
        uv_run(&loop, UV_RUN_ONCE);
    add_requests(4);
    outputs_flush(outputs, 1);
    run_until_received("httpacct.yo.requests:7|c");
    assert_non_null(strstr(received, "httpacct.agent.memory_bytes:"));
    close(receiver);
}

/* When the first flush is due, at a start with @seed. */
static uint64_t first_due_ms(uint64_t seed)
{
    hash_seed = seed;
    due = 0;
    open_outputs();
    uint64_t start_ms = uv_now(&loop);
    while (!due)
        uv_run(&loop, UV_RUN_ONCE);
    uint64_t end_ms = uv_now(&loop);
    outputs = outputs_close(outputs);
    return end_ms - start_ms;
}

static void first_interval_is_a_part_of_one_by_chance(void **state)
{
    (void)state;
    send_to_receiver();
    assert_true(first_due_ms(899ull << 32) >= 900);
    settings.flush_ns = 3600 * 1000000000ull;
    first_due_ms(0); /* no hour passes */
    close(receiver);
}

static void agent_tells_what_one_destination_is_owed_at_most(void **state)
{
    (void)state;
    int syslog;
    send_to_many(&syslog);
    open_outputs();
    flush_when_due = true;
    add_bytes(136);
    run_until_received("httpacct.agent.due_bytes:136|g");
    assert_non_null(strstr(received, "httpacct.yo.in.bytes:136|c"));
    assert_null(strstr(received, "httpacct.agent.due_bytes:272|g"));
    if (!strstr(received, "httpacct.agent.messages_sent:"))
        run_until_received("httpacct.agent.messages_sent:");
    close(receiver);
    close(syslog);
}

static void end_sends_what_is_due(void **state)
{
    (void)state;
    send_to_receiver();
    open_outputs();
    add_requests(5);
    outputs_finish(outputs, 1, PATIENCE_MS, take_finished);
    run_until_received("httpacct.yo.requests:5|c");
    while (!finished)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(finished, 1);
    assert_int_equal(due, 0);
    close(receiver);
}

static void process_uses_memory_and_time(void **state)
{
    (void)state;
    struct agent_telemetry t = {0};
    do
        telemetry_process(&t);
    while (t.cpu_ms == 0);
    assert_true(t.memory_bytes > 100000);
    assert_int_equal(t.bytes_sent, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_outputs_the_end_comes_at_once),
        TEST(interval_that_is_over_asks_for_reports_and_is_flushed),
        TEST(first_interval_is_a_part_of_one_by_chance),
        TEST(agent_tells_what_one_destination_is_owed_at_most),
        TEST(end_sends_what_is_due),
        cmocka_unit_test(process_uses_memory_and_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
