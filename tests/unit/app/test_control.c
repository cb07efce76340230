#include "app/control.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/json.h"
#include "io/control_client.h"

enum { PATIENCE_MS = 20000 };

static char path[] = "/tmp/test_control.XXXXXX";

/* An agent whose workers report when they are told to, or at once. */
struct lab {
    uv_loop_t loop;
    struct settings_outputs settings;
    struct outputs *outputs;
    struct ledger *ledger;
    struct rule_set *rules;
    struct control *control;
    struct control_client *client;
    bool stuck;
    bool gone;
    unsigned wanted;
    unsigned questions; /* to the workers, reloads among them */
    uint64_t seconds;
    int reload_error;
    const char *reload_said;
    const void *reload_asker;
};

static struct lab lab;

static void take_due(void *context)
{
    (void)context;
}

static void want_reports(void *context)
{
    (void)context;
    lab.wanted++;
    lab.questions++;
}

static struct console_moment moment(void *context)
{
    (void)context;
    return (struct console_moment){
        .time_ns = 1000000000000 + lab.seconds * 1000000000,
        .elapsed_ns = lab.seconds * 1000000000,
    };
}

static const struct rule_set *rules(void *context)
{
    (void)context;
    return lab.rules;
}

static void judge(void *context, struct problems *p)
{
    (void)context;
    if (lab.gone)
        problems_add(p, "%s is \"gone\"", "eth0");
}

static void watching(void *context, struct text *names)
{
    (void)context;
    if (!lab.gone)
        text_add_string(names, "\"eth0\",");
}

static void reload(void *context, reload_done_fn *done, void *asker)
{
    (void)context;
    lab.reload_asker = asker;
    lab.questions++;
    AUTO(text_deinit) struct text said = {0};
    text_add_string(&said, lab.reload_said);
    if (!lab.stuck)
        done(asker, lab.reload_error, &said);
}

static void forget_reload(void *context, const void *asker)
{
    (void)context;
    assert_ptr_equal(asker, lab.reload_asker);
    lab.reload_asker = NULL;
}

static int begin(void **state)
{
    (void)state;
    static const struct rule_options rule = {.query = "s"};
    struct rule_error wrong;
    const struct control_agent agent = {NULL,  want_reports, moment, rules,
                                        judge, watching,     reload, forget_reload};
    AUTO(text_deinit) struct text error = {0};
    struct control_socket *socket;
    lab = (struct lab){0};
    settings_outputs_init(&lab.settings);
    uv_loop_init(&lab.loop);
    return outputs_new(&lab.outputs, &lab.loop,
                       &(struct outputs_options){.settings = &lab.settings, .due = take_due}) < 0 ||
           ledger_new(&lab.ledger, &(struct ledger_options){.services_max = 100}) < 0 ||
           rule_set_new(&lab.rules, &rule, 1, &wrong) < 0 ||
           control_socket_open(&socket, path, NULL, &error) < 0 ||
           control_new(&lab.control, &lab.loop, socket, &agent, lab.ledger, lab.outputs) < 0 ||
           control_client_open(&lab.client, path) < 0;
}

static int end(void **state)
{
    (void)state;
    control_client_close(lab.client);
    control_close(lab.control);
    outputs_close(lab.outputs);
    uv_run(&lab.loop, UV_RUN_DEFAULT);
    rule_set_free(lab.rules);
    ledger_free(lab.ledger);
    settings_outputs_deinit(&lab.settings);
    return uv_loop_close(&lab.loop);
}

static void turn(void)
{
    uv_run(&lab.loop, UV_RUN_NOWAIT);
    if (lab.wanted && !lab.stuck) {
        lab.wanted = 0;
        control_reports_in(lab.control);
    }
}

/* The next line that @c gets; NULL when it is closed. */
static json_t *next_line(struct control_client *c)
{
    struct bytes line;
    uint64_t end_ms = uv_hrtime() / 1000000 + PATIENCE_MS;
    while (uv_hrtime() / 1000000 < end_ms) {
        turn();
        int r = control_client_take(c, 1, &line);
        if (r == CONTROL_CLIENT_LINE)
            return json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, NULL);
        if (r < 0)
            return NULL;
    }
    fail_msg("no line came");
    return NULL;
}

static json_t *reply(const char *request)
{
    assert_int_equal(control_client_ask(lab.client, request), 0);
    json_t *line = next_line(lab.client);
    assert_non_null(line);
    return line;
}

static const char *string_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void add_service(const char *name, uint64_t bytes)
{
    struct service_name n;
    struct service_counts c = {.direction = {{.bytes = bytes}}};
    struct interface_counts i = {.tcp_bytes = bytes};
    strcpy(n.text, name);
    ledger_restore_service(lab.ledger, &n, &c);
    ledger_restore_interface(lab.ledger, "eth0", &i, bytes);
}

static void a_status_waits_for_reports(void **state)
{
    (void)state;
    add_service("yo", 136);
    lab.stuck = true;
    assert_int_equal(control_client_ask(lab.client, "{\"get\":\"status\"}"), 0);
    while (!lab.wanted)
        turn();
    add_service("yo", 1000); /* what the workers report */
    lab.stuck = false;
    AUTO(json_decref) json_t *status = next_line(lab.client);
    assert_string_equal(string_of(status, "health"), "ok");
    assert_string_equal(string_of(status, "version"), HTTPACCT_VERSION);
    assert_int_equal(json_integer_value(json_object_get(status, "pid")), getpid());
    assert_int_equal(json_array_size(json_object_get(status, "problems")), 0);
    assert_int_equal(json_array_size(json_object_get(status, "destinations")), 0);
    const json_t *service = json_array_get(json_object_get(status, "services"), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(service, "in"), "bytes")),
                     1136);
}

static void workers_that_hang_are_named(void **state)
{
    (void)state;
    add_service("yo", 136);
    lab.stuck = true;
    AUTO(json_decref) json_t *status = reply("{\"get\":\"status\"}");
    assert_string_equal(string_of(status, "health"), "degraded");
    const char *problem = json_string_value(json_array_get(json_object_get(status, "problems"), 0));
    assert_string_equal(problem, "the workers have not answered for 2 s");
    assert_int_equal(json_array_size(json_object_get(status, "services")), 1);
}

static void problems_make_it_degraded(void **state)
{
    (void)state;
    lab.gone = true;
    struct interface_counts c = {.ring_drops = 1};
    ledger_restore_interface(lab.ledger, "eth0", &c, 0);
    AUTO(json_decref) json_t *status = reply("{\"get\":\"status\"}");
    assert_string_equal(string_of(status, "health"), "degraded");
    const json_t *problems = json_object_get(status, "problems");
    assert_int_equal(json_array_size(problems), 2);
    assert_string_equal(json_string_value(json_array_get(problems, 0)), "eth0 is \"gone\"");
}

static void totals_are_of_as_many_services_as_wanted(void **state)
{
    (void)state;
    add_service("a", 3);
    add_service("b", 2);
    add_service("c", 1);
    AUTO(json_decref) json_t *all = reply("{\"get\":\"totals\"}");
    assert_int_equal(json_array_size(json_object_get(all, "services")), 3);
    assert_null(json_object_get(all, "services_left_out"));
    AUTO(json_decref) json_t *one = reply("{\"get\":\"totals\",\"services\":1}");
    assert_int_equal(json_array_size(json_object_get(one, "services")), 1);
    const json_t *rest = json_object_get(one, "services_left_out");
    assert_int_equal(json_integer_value(json_object_get(rest, "count")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(rest, "in"), "bytes")), 3);
    assert_null(json_object_get(one, "health"));
}

static void a_watch_goes_on_until_something_else_is_asked(void **state)
{
    (void)state;
    AUTO(json_decref) json_t *first = reply("{\"watch\":\"totals\",\"interval\":0.1}");
    lab.seconds = 7;
    AUTO(json_decref) json_t *second = next_line(lab.client);
    assert_true(json_real_value(json_object_get(first, "seconds")) == 0);
    assert_true(json_real_value(json_object_get(second, "seconds")) == 7);
    AUTO(json_decref) json_t *third = next_line(lab.client);
    assert_non_null(json_object_get(third, "services"));

    assert_int_equal(control_client_ask(lab.client, "{\"get\":\"nothing\"}"), 0);
    AUTO(json_decref) json_t *last = next_line(lab.client);
    while (!json_object_get(last, "error")) { /* lines that were on their way */
        json_decref(last);
        last = next_line(lab.client);
    }
    struct bytes line;
    for (int i = 0; i < 200; i++)
        turn();
    assert_int_equal(control_client_take(lab.client, 300, &line), CONTROL_CLIENT_NONE);
    turn();
    assert_int_equal(control_client_take(lab.client, 0, &line), CONTROL_CLIENT_NONE);
}

static void a_watch_goes_on_when_workers_hang(void **state)
{
    (void)state;
    AUTO(json_decref) json_t *first = reply("{\"watch\":\"totals\",\"interval\":0.1}");
    lab.stuck = true;
    AUTO(json_decref) json_t *second = next_line(lab.client);
    assert_non_null(json_object_get(second, "services"));
}

static void lines_that_a_watch_does_not_take_are_left_out(void **state)
{
    (void)state;
    char name[SERVICE_NAME_MAX];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    for (unsigned i = 0; i < 100; i++) {
        memcpy(name, (char[]){(char)('a' + i / 10), (char)('0' + i % 10)}, 2);
        add_service(name, i + 1);
    }
    assert_int_equal(control_client_ask(lab.client, "{\"watch\":\"totals\",\"interval\":0.1}"), 0);
    uint64_t end_ms = uv_hrtime() / 1000000 + 3000;
    while (uv_hrtime() / 1000000 < end_ms)
        turn(); /* some 30 lines of 30 kB, more than the socket takes */
    unsigned lines = 0;
    struct bytes line;
    while (control_client_take(lab.client, 50, &line) == CONTROL_CLIENT_LINE && lines < 100) {
        AUTO(json_decref)
        json_t *whole =
            json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, NULL);
        assert_int_equal(json_array_size(json_object_get(whole, "services")), 100);
        lines++;
    }
    assert_in_range(lines, 2, 25);
    AUTO(json_decref) json_t *later = next_line(lab.client); /* and it goes on */
    assert_non_null(later);
}

static void a_reload_says_what_it_did_or_why_not(void **state)
{
    (void)state;
    lab.reload_said = "";
    AUTO(json_decref) json_t *quiet = reply("{\"do\":\"reload\"}");
    assert_string_equal(string_of(quiet, "done"), "reload");
    assert_int_equal(json_array_size(json_object_get(quiet, "said")), 0);
    lab.reload_said = "offload needs a restart\nring needs a \"restart\"";
    AUTO(json_decref) json_t *loud = reply("{\"do\":\"reload\"}");
    const json_t *said = json_object_get(loud, "said");
    assert_int_equal(json_array_size(said), 2);
    assert_string_equal(json_string_value(json_array_get(said, 1)), "ring needs a \"restart\"");
    lab.reload_error = -EINVAL;
    lab.reload_said = "x.conf:3: nonsense";
    AUTO(json_decref) json_t *failed = reply("{\"do\":\"reload\"}");
    assert_string_equal(string_of(failed, "error"), "x.conf:3: nonsense");
}

/* Clients ask @request as often as they can, in one connection and in new ones. */
static void ask_without_end(const char *request)
{
    enum { ASKED_FOR_MS = 500 };
    uint64_t begin_ns = uv_hrtime(), passed_ms;
    unsigned answers = 0;
    do {
        AUTO(json_decref) json_t *line = reply(request);
        answers += !json_object_get(line, "error");
        struct control_client *hasty;
        assert_int_equal(control_client_open(&hasty, path), 0);
        assert_int_equal(control_client_ask(hasty, request), 0);
        turn();
        control_client_close(hasty);
        passed_ms = (uv_hrtime() - begin_ns) / 1000000;
    } while (passed_ms < ASKED_FOR_MS);
    assert_in_range(answers, 2, passed_ms / CONTROL_GAP_MS + 2);
    assert_in_range(lab.questions, 2, passed_ms / CONTROL_GAP_MS + 2);
}

static void who_asks_without_end_loads_no_worker(void **state)
{
    (void)state;
    ask_without_end("{\"get\":\"totals\"}");
}

static void who_reloads_without_end_loads_no_worker(void **state)
{
    (void)state;
    lab.reload_said = "";
    ask_without_end("{\"do\":\"reload\"}");
}

static void questions_of_many_are_asked_as_one(void **state)
{
    (void)state;
    enum { CLIENTS = 20 };
    AUTO(json_decref) json_t *first = reply("{\"get\":\"totals\"}");
    assert_int_equal(lab.questions, 1);
    struct control_client *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(control_client_open(&clients[i], path), 0);
        assert_int_equal(control_client_ask(clients[i], "{\"get\":\"totals\"}"), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        AUTO(json_decref) json_t *line = next_line(clients[i]);
        assert_non_null(json_object_get(line, "services"));
        control_client_close(clients[i]);
    }
    assert_in_range(lab.questions, 2, CLIENTS / 2);
}

static void reloads_begin_one_at_a_time_and_each_has_its_turn(void **state)
{
    (void)state;
    enum { CLIENTS = 4 };
    lab.reload_said = "";
    struct control_client *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(control_client_open(&clients[i], path), 0);
        assert_int_equal(control_client_ask(clients[i], "{\"do\":\"reload\"}"), 0);
    }
    uint64_t begin_ns = uv_hrtime();
    for (unsigned i = 0; i < CLIENTS; i++) {
        AUTO(json_decref) json_t *line = next_line(clients[i]);
        assert_string_equal(string_of(line, "done"), "reload");
        /* It would be first again, if those that have asked before had no right to be. */
        assert_int_equal(control_client_ask(clients[i], "{\"do\":\"reload\"}"), 0);
    }
    assert_in_range(lab.questions, CLIENTS, CLIENTS + 1);
    assert_true(uv_hrtime() - begin_ns >= (CLIENTS - 2) * CONTROL_GAP_MS * 1000000ull);
    for (unsigned i = 0; i < CLIENTS; i++)
        control_client_close(clients[i]);
}

static void who_waits_for_a_reload_is_forgotten_at_the_end(void **state)
{
    (void)state;
    lab.stuck = true;
    lab.reload_said = "";
    assert_int_equal(control_client_ask(lab.client, "{\"do\":\"reload\"}"), 0);
    while (!lab.reload_asker)
        turn();
    lab.control = control_close(lab.control);
    assert_null(lab.reload_asker);
}

static void rules_are_explained(void **state)
{
    (void)state;
    AUTO(json_decref) json_t *taken = reply("{\"get\":\"rules\",\"url\":\"/?s=yo\"}");
    assert_string_equal(string_of(taken, "service"), "yo");
    AUTO(json_decref) json_t *none = reply("{\"get\":\"rules\",\"url\":\"\",\"host\":\"x\"}");
    assert_string_equal(string_of(none, "service"), "_unspecified");
}

static void what_is_no_request_is_answered_with_an_error(void **state)
{
    (void)state;
    AUTO(json_decref) json_t *wrong = reply("rubbish \"\\");
    assert_true(strlen(string_of(wrong, "error")) > 0);
    AUTO(json_decref) json_t *good = reply("{\"get\":\"totals\"}");
    assert_non_null(json_object_get(good, "services"));
}

static void who_leaves_before_the_answer_does_no_harm(void **state)
{
    (void)state;
    lab.stuck = true;
    for (int i = 0; i < 40; i++) {
        struct control_client *c;
        assert_int_equal(control_client_open(&c, path), 0);
        assert_int_equal(control_client_ask(c, i % 2 ? "{\"get\":\"status\"}"
                                                     : "{\"watch\":\"totals\",\"interval\":0.1}"),
                         0);
        turn();
        control_client_close(c);
        turn();
        turn();
    }
    lab.stuck = false;
    AUTO(json_decref) json_t *totals = reply("{\"get\":\"totals\"}");
    assert_non_null(json_object_get(totals, "services"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_status_waits_for_reports),
        CASE(workers_that_hang_are_named),
        CASE(problems_make_it_degraded),
        CASE(totals_are_of_as_many_services_as_wanted),
        CASE(a_watch_goes_on_until_something_else_is_asked),
        CASE(a_watch_goes_on_when_workers_hang),
        CASE(lines_that_a_watch_does_not_take_are_left_out),
        CASE(a_reload_says_what_it_did_or_why_not),
        CASE(who_asks_without_end_loads_no_worker),
        CASE(who_reloads_without_end_loads_no_worker),
        CASE(questions_of_many_are_asked_as_one),
        CASE(reloads_begin_one_at_a_time_and_each_has_its_turn),
        CASE(who_waits_for_a_reload_is_forgotten_at_the_end),
        CASE(rules_are_explained),
        CASE(what_is_no_request_is_answered_with_an_error),
        CASE(who_leaves_before_the_answer_does_no_harm),
    };
#undef CASE
    signal(SIGPIPE, SIG_IGN);
    if (mkstemp(path) < 0)
        return 1;
    unlink(path);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
