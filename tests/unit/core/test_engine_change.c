#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/dialogue.h"

AUTO_DEFINE(struct port_set, free)

#define TO_ACME_OR_YO "GET /tenants/acme/?s=yo HTTP/1.1\r\nHost: h\r\n\r\n"

static struct engine_options limits(void)
{
    return (struct engine_options){
        .rules = t.rules,
        .session_timeout_ns = 121 * SECOND_NS,
        .sessions_max = 1000,
        .services_max = 1000,
    };
}

/* From now on by the segment of the path. The former rules are gone. */
static void change_rules(void)
{
    static const struct rule_options rule = {.path = "/tenants/{service}"};
    struct rule_error error;
    struct rule_set *rules;
    assert_int_equal(rule_set_new(&rules, &rule, 1, &error), 0);
    struct engine_options changed = limits();
    changed.rules = rules;
    engine_change(t.engine, &changed);
    rule_set_free(t.rules);
    t.rules = rules;
}

static void ask(const char *text)
{
    request(text);
    reply(REPLY_OK);
}

/* On a connection of its own. */
static void ask_as(uint16_t number, const char *text)
{
    conversation_init(&c, &t.sink, number, 1000);
    conversation_open(&c);
    ask(text);
}

static void wait(uint64_t ns)
{
    t.sink.now_ns += ns;
    engine_expire(t.engine, t.sink.now_ns);
    trial_report(&t);
}

static void next_request_takes_the_new_rules(void **state)
{
    (void)state;
    conversation_open(&c);
    ask(TO_ACME_OR_YO);
    ask(TO_ACME_OR_YO); /* the same head, which is remembered with its service */
    change_rules();
    ask(TO_ACME_OR_YO);
    ask(TO_ACME_OR_YO);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->requests, 2);
    assert_int_equal(trial_service(&t, "acme")->requests, 2);
}

static void exchange_under_way_keeps_its_service(void **state)
{
    (void)state;
    conversation_open(&c);
    request(TO_ACME_OR_YO);
    reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe");
    change_rules();
    reply("re");
    trial_finish(&t);
    assert_string_equal(trial_transactions(&t), "GET /tenants/acme/?s=yo 200 yo 45/42\n");
    assert_int_equal(trial_service(&t, "acme")->requests, 0);
}

static void head_cut_by_the_change_takes_the_new_rules(void **state)
{
    (void)state;
    conversation_open(&c);
    request("GET /tenants/acme/?s=");
    change_rules();
    request("yo HTTP/1.1\r\n\r\n");
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "acme")->requests, 1);
}

static void fewer_sessions_end_the_oldest_at_once(void **state)
{
    (void)state;
    for (uint16_t number = 1; number <= 5; number++)
        ask_as(number, TO_ACME_OR_YO);
    struct engine_options changed = limits();
    changed.sessions_max = 2;
    engine_change(t.engine, &changed);
    trial_report(&t);
    assert_int_equal(ledger_interface(t.ledger, 0)->gauges.sessions, 2);
    assert_int_equal(trial_interface(&t)->sessions_evicted, 3);
    trial_finish(&t);
}

static void shorter_timeout_holds_for_sessions_that_are_there(void **state)
{
    (void)state;
    conversation_open(&c);
    ask(TO_ACME_OR_YO);
    wait(100 * SECOND_NS);
    assert_int_equal(ledger_interface(t.ledger, 0)->gauges.sessions, 1);
    struct engine_options changed = limits();
    changed.session_timeout_ns = 10 * SECOND_NS;
    engine_change(t.engine, &changed);
    wait(0);
    assert_int_equal(ledger_interface(t.ledger, 0)->gauges.sessions, 0);
    trial_finish(&t);
}

static void fewer_services_keep_those_that_are_there(void **state)
{
    (void)state;
    ask_as(1, "GET /?s=a HTTP/1.1\r\n\r\n");
    ask_as(2, "GET /?s=b HTTP/1.1\r\n\r\n");
    struct engine_options changed = limits();
    changed.services_max = 1;
    engine_change(t.engine, &changed);
    ask_as(3, "GET /?s=b HTTP/1.1\r\n\r\n");
    ask_as(4, "GET /?s=c HTTP/1.1\r\n\r\n");
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "b")->requests, 2);
    assert_int_equal(trial_service(&t, "c")->requests, 0);
    assert_int_equal(trial_service(&t, SERVICE_OTHER)->requests, 1);
}

static void set_port(uint16_t port)
{
    AUTO(free) struct port_set *ports = calloc(1, sizeof(*ports));
    assert_non_null(ports);
    port_set_add(ports, port);
    assert_int_equal(engine_set_ports(t.engine, ports, t.sink.now_ns), 0);
}

static void connection_stays_when_a_port_is_added_and_ends_when_it_is_left_out(void **state)
{
    (void)state;
    conversation_open(&c);
    ask(TO_ACME_OR_YO);
    set_port(80);
    wait(10 * SECOND_NS);
    ask(TO_ACME_OR_YO);
    assert_int_equal(ledger_interface(t.ledger, 0)->gauges.sessions, 1);
    set_port(81);
    wait(10 * SECOND_NS);
    assert_int_equal(ledger_interface(t.ledger, 0)->gauges.sessions, 0);
    ask(TO_ACME_OR_YO);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->requests, 2);
}

static void what_was_on_its_way_counts_as_the_filter_counted_it(void **state)
{
    (void)state;
    conversation_open(&c);
    ask(TO_ACME_OR_YO);
    uint64_t sent_ns = t.sink.now_ns;
    t.sink.now_ns += SECOND_NS / 100;
    set_port(81);
    t.sink.now_ns = sent_ns;
    ask(TO_ACME_OR_YO);
    const struct filter_counts *seen = engine_seen(t.engine);
    assert_int_equal(seen->of[FILTER_IN].bytes, c.end[DIRECTION_IN].sent.bytes);
    assert_int_equal(seen->of[FILTER_OUT].bytes, c.end[DIRECTION_OUT].sent.bytes);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->requests, 2);
}

/* With all ports, the lower one is the server's; 8080 alone says otherwise. */
static void direction_is_that_of_the_ports_at_the_time(void **state)
{
    (void)state;
    c.end[DIRECTION_IN].port = 4000;
    c.end[DIRECTION_OUT].port = 8080;
    conversation_open(&c);
    request(TO_ACME_OR_YO);
    const struct filter_counts *seen = engine_seen(t.engine);
    uint64_t before = c.end[DIRECTION_IN].sent.bytes;
    assert_int_equal(seen->of[FILTER_OUT].bytes, before);
    set_port(8080);
    request(TO_ACME_OR_YO);
    assert_int_equal(seen->of[FILTER_IN].bytes, c.end[DIRECTION_IN].sent.bytes - before);
    trial_finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(next_request_takes_the_new_rules),
        TEST(exchange_under_way_keeps_its_service),
        TEST(head_cut_by_the_change_takes_the_new_rules),
        TEST(fewer_sessions_end_the_oldest_at_once),
        TEST(shorter_timeout_holds_for_sessions_that_are_there),
        TEST(fewer_services_keep_those_that_are_there),
        cmocka_unit_test_setup_teardown(
            connection_stays_when_a_port_is_added_and_ends_when_it_is_left_out, begin, end),
        TEST(what_was_on_its_way_counts_as_the_filter_counted_it),
        TEST(direction_is_that_of_the_ports_at_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
