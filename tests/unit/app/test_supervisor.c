#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/service_manager.h"
#include "app/supervisor.h"
#include "support/skip.h"

enum { WATCHDOG_US = 90 * 1000, SIGNS = 3, STATUS_AFTER_MS = 1100 };

static const uint64_t BEAT_NS = 1000000000; /* of the agent's loops */

/* A service manager, and an agent that it looks after. */
struct fixture {
    int manager;
    uv_loop_t loop;
    struct supervisor *supervisor;
    bool alive;
    unsigned asked;
    uint64_t asked_ns; /* last */
};

static bool is_alive(void *context)
{
    struct fixture *f = context;
    uint64_t now_ns = uv_hrtime();
    bool had_time = !f->asked || now_ns - f->asked_ns > BEAT_NS;
    f->asked_ns = now_ns;
    f->asked++;
    return f->alive && had_time;
}

static void ignore(void *context)
{
    (void)context;
}

/* An address without a file. */
static void listen_as_manager(struct fixture *f)
{
    char name[64], number[32];
    snprintf(name, sizeof(name), "@httpacct-test-%d", (int)getpid());
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    f->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(f->manager, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    snprintf(number, sizeof(number), "%d", WATCHDOG_US);
    setenv("WATCHDOG_USEC", number, 1);
}

static void fixture_init(struct fixture *f, bool managed)
{
    *f = (struct fixture){.manager = -1, .alive = true};
    if (managed)
        listen_as_manager(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    const struct supervisor_options options = {is_alive, ignore, f};
    assert_int_equal(supervisor_new(&f->supervisor, &f->loop, &options), 0);
}

static void fixture_deinit(struct fixture *f)
{
    f->supervisor = supervisor_close(f->supervisor);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    if (f->manager >= 0)
        close(f->manager);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
}

/* What the manager was told next, "" for nothing. */
static const char *told(const struct fixture *f)
{
    static char line[256];
    ssize_t size = recv(f->manager, line, sizeof(line) - 1, 0);
    line[size > 0 ? size : 0] = '\0';
    return line;
}

/* Returns how many signs were given meanwhile. */
static unsigned run_until_asked(struct fixture *f, unsigned times)
{
    unsigned signs = 0;
    while (f->asked < times) {
        uv_run(&f->loop, UV_RUN_ONCE);
        for (const char *line = told(f); *line; line = told(f), signs++)
            assert_string_equal(line, "WATCHDOG=1");
    }
    return signs;
}

static void who_moves_feeds_a_watchdog_that_bites_before_the_next_move(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, true);
    for (unsigned looks = 1; looks <= 2; looks++)
        assert_true(run_until_asked(&f, looks) > SIGNS);
    fixture_deinit(&f);
}

static void who_does_not_move_lets_it_starve(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, true);
    f.alive = false;
    run_until_asked(&f, 1);
    assert_int_equal(run_until_asked(&f, 2), 0);
    f.alive = true;
    assert_int_equal(run_until_asked(&f, 3), 1);
    fixture_deinit(&f);
}

static struct ledger *make_ledger(void)
{
    struct ledger *l;
    assert_int_equal(ledger_new(&l, &(struct ledger_options){.services_max = 4}), 0);
    return l;
}

static void add_report(struct fixture *f, struct ledger *l, const char *interface,
                       uint64_t requests)
{
    struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    r->interface = interface;
    r->gauges_delta.sessions = 7;
    r->delta.ring_drops = 2;
    r->service_count = 1;
    service_name_make(&r->services[0].name, bytes_from_string("a"));
    r->services[0].delta.requests = requests;
    ledger_add(l, r);
    supervisor_add(f->supervisor, r);
    report_free(r);
}

static void the_status_adds_up_all_interfaces(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, true);
    AUTO(ledger_free) struct ledger *l = make_ledger();
    add_report(&f, l, "eth0", 100000);
    add_report(&f, l, "eth1", 0);

    /* Not so soon after the start. */
    supervisor_show(f.supervisor, l, 2);
    assert_string_equal(told(&f), "");
    uv_sleep(STATUS_AFTER_MS);
    supervisor_show(f.supervisor, l, 2);
    double most = 100000 * 1e9 / (STATUS_AFTER_MS * 1e6);
    double rate;
    int end = 0;
    const char *line = told(&f);
    sscanf(line, "STATUS=interfaces: 2, requests/s: %lf, connections: 14, packets missed: 4%n",
           &rate, &end);
    assert_int_equal(end, strlen(line));
    assert_true(rate > 0 && rate <= most);
    fixture_deinit(&f);
}

static void a_start_by_hand_tells_nobody(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, false);
    assert_false(service_manager_listens());
    assert_int_equal(service_manager_watchdog_ns(), 0);
    assert_false(uv_loop_alive(&f.loop)); /* no timer runs */
    fixture_deinit(&f);
}

static void each_state_has_its_word(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, true);
    service_manager_starting(1500000000);
    assert_string_equal(told(&f), "EXTEND_TIMEOUT_USEC=1500000");
    service_manager_ready();
    assert_string_equal(told(&f), "READY=1");
    service_manager_reloading();
    assert_string_equal(told(&f), "RELOADING=1");
    service_manager_stopping();
    assert_string_equal(told(&f), "STOPPING=1");
    fixture_deinit(&f);
}

int main(void)
{
    setenv("NOTIFY_SOCKET", "@", 1);
    if (!service_manager_listens())
        test_skip("a build without libsystemd");
    unsetenv("NOTIFY_SOCKET");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_moves_feeds_a_watchdog_that_bites_before_the_next_move),
        cmocka_unit_test(who_does_not_move_lets_it_starve),
        cmocka_unit_test(the_status_adds_up_all_interfaces),
        cmocka_unit_test(a_start_by_hand_tells_nobody),
        cmocka_unit_test(each_state_has_its_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
