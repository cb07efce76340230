#include "app/settings.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <cmocka.h>

/* Tests run in a directory of their own. */
static char directory[] = "/tmp/test_settings.XXXXXX";

#define MAIN "httpacct.conf"

static void write_file(const char *name, struct bytes content)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content.data, 1, content.size, file), content.size);
    assert_int_equal(fclose(file), 0);
}

static struct settings *loaded_file(const char *path)
{
    AUTO(text_deinit) struct text error = {0};
    struct settings *s = NULL;
    if (settings_load(&s, path, &error) < 0)
        fail_msg("%s", error.data);
    return s;
}

static struct settings *loaded(const char *content)
{
    write_file(MAIN, bytes_from_string(content));
    return loaded_file(MAIN);
}

static void assert_file_fails(const char *path, int error, const char *message)
{
    AUTO(text_deinit) struct text text = {0};
    struct settings *s = NULL;
    assert_int_equal(settings_load(&s, path, &text), error);
    assert_null(s);
    assert_string_equal(text.data, message);
}

/* @content is wrong, @message says it after the file's name. */
static void assert_error(const char *content, const char *message)
{
    char whole[1024];
    snprintf(whole, sizeof(whole), MAIN ":%s", message);
    write_file(MAIN, bytes_from_string(content));
    assert_file_fails(MAIN, -EINVAL, whole);
}

static bool takes(const struct settings *s, const char *target, const char *service)
{
    struct service_name name;
    struct rule_request request = {.target = bytes_from_string(target)};
    return rule_set_match(s->rule_set, &request, &name) != RULE_NONE &&
           strcmp(name.text, service) == 0;
}

static void assert_defaults(const struct settings *s)
{
    assert_int_equal(s->interface_count, 0);
    assert_int_equal(s->rule_count, 0);
    assert_true(takes(s, "/x?s=yo", "yo"));
    assert_false(takes(s, "/x?t=yo", "yo"));
    assert_int_equal(s->sessions.timeout_ns, UINT64_C(121000000000));
    assert_int_equal(s->sessions.max, 65536);
    assert_int_equal(s->services_max, 1000);
    assert_int_equal(s->ring_bytes, 0);
    assert_int_equal(s->workers, 1);
    assert_int_equal(s->services_idle_ns, UINT64_C(3600000000000));
    assert_false(settings_outputs_wanted(&s->outputs));
    assert_int_equal(s->outputs.flush_ns, UINT64_C(10000000000));
}

static void there_are_defaults(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *s = NULL;
    assert_int_equal(settings_default(&s), 0);
    assert_defaults(s);
}

static void an_empty_file_has_the_defaults(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *empty = loaded("");
    AUTO(settings_free)
    struct settings *lists = loaded("interfaces = ( ); sessions = { };");
    assert_defaults(empty);
    assert_defaults(lists);
}

static void an_empty_list_of_rules_has_none(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *s = loaded("rules = ( );");
    assert_false(takes(s, "/x?s=yo", "yo"));
}

static void the_installed_file_has_the_defaults(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *s = loaded_file(HTTPACCT_SOURCE_DIR "/conf/httpacct.conf");
    assert_defaults(s);
}

/* The examples in its comments hold as well. */
static void the_installed_files_examples_load(void **state)
{
    (void)state;
    FILE *file = fopen(HTTPACCT_SOURCE_DIR "/conf/httpacct.conf", "r");
    assert_non_null(file);
    AUTO(text_deinit) struct text examples = {0};
    char line[256];
    bool inside = false; /* from "#name = (" to "#);", or one line */
    while (fgets(line, sizeof(line), file)) {
        bool begins = !inside && line[0] == '#' && isalpha((unsigned char)line[1]);
        inside = inside || begins;
        if (inside)
            text_add_string(&examples, line + 1);
        bool ends = begins && strstr(line, ";\n");
        inside = inside && !ends && strcmp(line, "#);\n") != 0;
    }
    fclose(file);
    AUTO(settings_free) struct settings *s = loaded(examples.data);
    assert_int_equal(s->interface_count, 3);
    assert_int_equal(s->rule_count, 7);
    assert_int_equal(s->outputs.statsd_count, 2);
    assert_true(s->outputs.syslog.wanted);
    assert_string_equal(s->control.group, "adm");
    assert_string_equal(s->state.folder, "/var/lib/httpacct");
    assert_string_equal(s->user.name, "httpacct");
}

static void all_keys_are_read(void **state)
{
    (void)state;
    AUTO(settings_free)
    struct settings *s =
        loaded("interfaces = ( { name = \"eth0\"; ports = [ 80, 65535 ]; },\n"
               "               { name = \"exactly15bytes.\"; ports = ( 1 ); workers = 16; },\n"
               "               { name = \"lo\" } );\n"
               "rules = ( { query = \"s\"; },\n"
               "          { host = \"*.b\"; path = \"/img\"; service = \"images\"; } );\n"
               "sessions = { timeout = 86400; max = 0x10; };\n"
               "services = { max = 7L; idle = 60; };\n"
               "ring = { size = 1024; };\n"
               "workers = 64;\n");
    assert_int_equal(s->interface_count, 3);
    assert_string_equal(s->interfaces[0].name, "eth0");
    assert_int_equal(s->interfaces[0].ports.count, 2);
    assert_true(port_set_has(&s->interfaces[0].ports, 80));
    assert_true(port_set_has(&s->interfaces[0].ports, 65535));
    assert_string_equal(s->interfaces[1].name, "exactly15bytes.");
    assert_true(port_set_has(&s->interfaces[1].ports, 1));
    assert_int_equal(s->interfaces[1].workers, 16);
    assert_int_equal(s->interfaces[2].ports.count, 0);
    assert_int_equal(s->interfaces[2].workers, 1);

    assert_int_equal(s->rule_count, 2);
    assert_string_equal(s->rules[0].query, "s");
    assert_null(s->rules[0].path);
    assert_string_equal(s->rules[1].host, "*.b");
    assert_string_equal(s->rules[1].path, "/img");
    assert_string_equal(s->rules[1].service, "images");
    struct service_name name;
    struct rule_request request = {.target = BYTES("http://a.b/img/1"), .host = BYTES("")};
    assert_int_equal(rule_set_match(s->rule_set, &request, &name), 1);
    assert_string_equal(name.text, "images");

    assert_int_equal(s->sessions.timeout_ns, UINT64_C(86400000000000));
    assert_int_equal(s->sessions.max, 16);
    assert_int_equal(s->services_max, 7);
    assert_int_equal(s->services_idle_ns, UINT64_C(60000000000));
    assert_int_equal(s->ring_bytes, 1 << 30);
    assert_int_equal(s->workers, 64);
}

static void unknown_keys_are_errors_at_any_depth(void **state)
{
    (void)state;
    assert_error("workers = 1;\nworker = 2;\n", "2: unknown key: \"worker\"");
    assert_error("sessions = {\n  timeot = 5;\n};", "2: unknown key: \"timeot\"");
    assert_error("interfaces = ( { name = \"lo\"; },\n { port = 1; } );",
                 "2: unknown key: \"port\"");
    assert_error("rules = (\n{ query = \"s\";\nquerry = \"t\"; } );", "3: unknown key: \"querry\"");
}

static void syntax_errors_have_their_line(void **state)
{
    (void)state;
    assert_error("workers = 1;\nring 2;\n", "2: syntax error: \"ring 2;\"");
    assert_error("workers = \"open\n", "2: syntax error");
    assert_error("rules = ( { query = \"s\"; }, );",
                 "1: syntax error: \"rules = ( { query = \"s\"; }, );\"");
    assert_error("workers = 1;\nworkers = 1;\n", "2: duplicate setting name: \"workers = 1;\"");
    assert_error("sessions = { max = 1;\nmax = 1; };\n",
                 "2: duplicate setting name: \"max = 1; };\"");
}

static void wrong_types_are_errors(void **state)
{
    (void)state;
    assert_error("\nworkers = \"2\";", "2: workers must be a whole number from 1 to 64, not \"2\"");
    assert_error("interfaces = ( { name = \"lo\";\nworkers = \"2\"; } );",
                 "2: interfaces.workers must be a whole number from 1 to 16, not \"2\"");
    assert_error("workers = 2.5;", "1: workers must be a whole number from 1 to 64, not 2.5");
    assert_error("workers = true;", "1: workers must be a whole number from 1 to 64, not true");
    assert_error("workers = [ 1 ];",
                 "1: workers must be a whole number from 1 to 64, not an array [ ]");
    assert_error("sessions = 121;", "1: sessions must be a group { }, not 121");
    assert_error("rules = { query = \"s\"; };",
                 "1: rules must be a list ( ) of groups { }, not a group { }");
    assert_error("rules = (\n\"s\" );", "2: each of rules must be a group { }, not \"s\"");
    assert_error("rules = ( { query = 5; } );", "1: rules.query must be a string, not 5");
    assert_error("interfaces = [ \"lo\" ];",
                 "1: interfaces must be a list ( ) of groups { }, not an array [ ]");
    assert_error("interfaces = ( \"a\\x1b\" );",
                 "1: each of interfaces must be a group { }, not \"a\\x1b\"");
    assert_error("interfaces = ( { name = \"lo\"; ports = 80; } );",
                 "1: interfaces.ports must be an array [ ] of ports, not 80");
}

static void numbers_out_of_range_are_errors(void **state)
{
    (void)state;
    assert_error("workers = 0;", "1: workers must be a whole number from 1 to 64, not 0");
    assert_error("workers = -1;", "1: workers must be a whole number from 1 to 64, not -1");
    assert_error("workers = 65;", "1: workers must be a whole number from 1 to 64, not 65");
    assert_error("interfaces = ( { name = \"lo\"; },\n{ name = \"eth0\";\nworkers = 0; } );",
                 "3: interfaces.workers must be a whole number from 1 to 16, not 0");
    assert_error("interfaces = (\n{ name = \"lo\"; workers = 17; } );",
                 "2: interfaces.workers must be a whole number from 1 to 16, not 17");
    assert_error("sessions = { timeout = 86401; };",
                 "1: sessions.timeout must be a whole number from 1 to 86400, not 86401");
    assert_error("sessions = { max = 16777217; };",
                 "1: sessions.max must be a whole number from 1 to 16777216, not 16777217");
    assert_error("services = { max = 1000001; };",
                 "1: services.max must be a whole number from 1 to 1000000, not 1000001");
    assert_error("ring = { size = 1025; };",
                 "1: ring.size must be a whole number from 1 to 1024, not 1025");
    assert_error("ring = { size = 10000000000L; };",
                 "1: ring.size must be a whole number from 1 to 1024, not 10000000000");
    assert_error("interfaces = ( { name = \"lo\"; ports = [ 80,\n65536 ]; } );",
                 "2: each of interfaces.ports must be a whole number from 1 to 65535, not 65536");
}

static void numbers_that_would_wrap_are_errors(void **state)
{
    (void)state;
    assert_error("workers = 4294967297;", "1: number is too large: 4294967297");
    assert_error("workers\n=\n10000000000;", "3: number is too large: 10000000000");
    assert_error("workers = 0x100000001;", "1: number is too large: 0x100000001");
    assert_error("workers = 0x10000000000000001L;", "1: number is too large: 0x10000000000000001");
    assert_error("workers = 18446744073709551617L;",
                 "1: number is too large: 18446744073709551617");
    assert_error("interfaces = ( { name = \"lo\"; ports = [ 80,\n\n 4294967376 ]; } );",
                 "3: number is too large: 4294967376");
}

/* Where there is no number, and where lines are. */
static void large_numbers_elsewhere_are_none(void **state)
{
    (void)state;
    AUTO(settings_free)
    struct settings *s =
        loaded("# 99999999999\n// 99999999999 \"\n/* 99999999999\n\" */\n"
               "rules = ( { query = \"x99999999999 99999999999 # \\\" 99999999999\"; } );\n");
    assert_string_equal(s->rules[0].query, "x99999999999 99999999999 # \" 99999999999");
    assert_error("/* \n */ a99999999999 = 99999999999.5;", "2: unknown key: \"a99999999999\"");
    assert_error("/*\n*/ // \n# \"\n workers = \"\n\\\"\"; workers = 99999999999;",
                 "5: number is too large: 99999999999");
}

static void nuls_are_errors(void **state)
{
    (void)state;
    assert_error("\nrules = ( { query = \"s\\x00t\"; } );", "2: NUL in a string: \\x00");
    write_file(MAIN, BYTES("workers = 1;\n\0workers = 2;"));
    assert_file_fails(MAIN, -EINVAL, MAIN ":2: NUL in the file: \\x00");
}

static void interfaces_may_be_patterns(void **state)
{
    (void)state;
    AUTO(settings_free)
    struct settings *s = loaded("interfaces = ( { name = \"br-[0-9a-f][0-9a-f][0-9a-f]*\"; } );");
    assert_string_equal(s->interfaces[0].name, "br-[0-9a-f][0-9a-f][0-9a-f]*");
    char content[128], message[256];
    snprintf(content, sizeof(content), "interfaces = ( { name = \"%064d*\"; } );", 0);
    snprintf(message, sizeof(message),
             "1: interfaces.name must be a string of 1 to 15 characters without blank, \"/\" and "
             "\":\", or a "
             "pattern of at most 63, not \"%064d*\"",
             0);
    assert_error(content, message);
}

static void interfaces_are_checked(void **state)
{
    (void)state;
    static const char *const names[] = {"", "sixteencharacter", "a/b", "a b", "a:1"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char content[256], message[256];
        snprintf(content, sizeof(content), "interfaces = ( { name = \"%s\"; } );", names[i]);
        snprintf(message, sizeof(message),
                 "1: interfaces.name must be a string of 1 to 15 characters without blank, \"/\" "
                 "and \":\", or a pattern of at most 63, not \"%s\"",
                 names[i]);
        assert_error(content, message);
    }
    assert_error("interfaces = (\n{ ports = [ 80 ]; } );", "2: each of interfaces needs a name");
    assert_error("interfaces = ( { name = \"lo\"; },\n{ name = \"lo\"; } );",
                 "2: interface is listed twice: \"lo\"");
    assert_error("interfaces = ( { name = \"lo\"; ports = [ 80,\n80 ]; } );",
                 "2: port is listed twice: 80");
}

static void rule_errors_have_the_rules_line(void **state)
{
    (void)state;
    assert_error("rules = (\n{ query = \"s\"; },\n{ path = \"api\"; service = \"x\"; } );",
                 "3: path does not begin with \"/\": \"api\"");
    assert_error("rules = (\n{ query = \"s\"; },\n{ query = \"s\"; path = \"/\"; } );",
                 "3: rule that never matches, for rule 1 takes all it would: "
                 "{ query = \"s\"; path = \"/\"; }");
    assert_error("rules = (\n{ } );", "2: rule without service, query or {service}: { }");
    assert_error("rules = ( { service = \"_other\"; } );",
                 "1: service is not 1 to 64 of \"A-Za-z0-9._-\", or looks like one of the agent's "
                 "own: \"_other\"");
}

static bool sends(struct metric_set set, const char *names)
{
    struct metric_set wanted = {0};
    struct bytes rest = bytes_from_string(names);
    while (rest.size) {
        const uint8_t *blank = memchr(rest.data, ' ', rest.size);
        struct bytes name = bytes_take(&rest, blank ? (size_t)(blank - rest.data) : rest.size);
        assert_true(metric_set_add_name(&wanted, name));
        bytes_take(&rest, 1);
    }
    return set.bits == wanted.bits;
}

static void the_control_socket_has_a_place_and_a_group(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *none = loaded("");
    assert_true(none->control.wanted);
    assert_false(none->control.chosen);
    assert_string_equal(none->control.path, "/run/httpacct/control.sock");
    assert_null(none->control.group);
    AUTO(settings_free)
    struct settings *both = loaded("control = { socket = \"/x/y\"; group = \"adm\"; };");
    assert_true(both->control.chosen);
    assert_string_equal(both->control.path, "/x/y");
    assert_string_equal(both->control.group, "adm");
    AUTO(settings_free) struct settings *off = loaded("control = false;");
    assert_false(off->control.wanted);
}

static void wrong_control_is_an_error(void **state)
{
    (void)state;
    assert_error("control = true;", "1: control must be a group { } or false, not true");
    assert_error("control = \"/x\";", "1: control must be a group { } or false, not \"/x\"");
    assert_error("control = { socket = \"x\"; };",
                 "1: control.socket must be a path from the root, not \"x\"");
    assert_error("control = { socket = 7; };",
                 "1: control.socket must be a path from the root, not 7");
    assert_error("control = { group = 7; };", "1: control.group must be a string, not 7");
    assert_error("control = { port = 7; };", "1: unknown key: \"port\"");
    char path[200], content[300], message[300];
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    snprintf(content, sizeof(content), "control = { socket = \"%s\"; };", path);
    snprintf(message, sizeof(message), "1: path is longer than the 107 bytes of a socket's: \"%s\"",
             path);
    assert_error(content, message);
}

static void state_is_a_folder_or_none(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *none = loaded("");
    assert_false(none->state.chosen);
    AUTO(settings_free) struct settings *off = loaded("state = false;");
    assert_true(off->state.chosen);
    assert_null(off->state.folder);
    AUTO(settings_free) struct settings *on = loaded("state = \"/var/lib/x\";");
    assert_string_equal(on->state.folder, "/var/lib/x");
    assert_error("state = true;", "1: state must be a path from the root, not true");
    assert_error("state = \"x\";", "1: state must be a path from the root, not \"x\"");
}

static void a_statsd_destination_has_defaults(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *s = loaded("statsd = ( { } );");
    assert_true(settings_outputs_wanted(&s->outputs));
    assert_int_equal(s->outputs.statsd_count, 1);
    const struct settings_statsd *d = &s->outputs.statsd[0];
    assert_string_equal(d->address, "127.0.0.1:8125");
    assert_int_equal(d->endpoint.transport, ENDPOINT_UDP);
    assert_string_equal(d->endpoint.host, "127.0.0.1");
    assert_string_equal(d->endpoint.port, "8125");
    assert_int_equal(d->dialect, STATSD_GRAPHITE);
    assert_string_equal(d->prefix, "httpacct");
    assert_true(d->with_host);
    assert_null(d->host);
    assert_int_equal(d->tag_count, 0);
    assert_true(sends(d->metrics, "default"));
    assert_int_equal(d->datagram_bytes, 1432);
}

static void statsd_keys_are_read(void **state)
{
    (void)state;
    AUTO(settings_free)
    struct settings *s =
        loaded("statsd = ( { address = \"dd.internal\"; dialect = \"datadog\"; prefix = \"a.b\";\n"
               "             tags = [ \"env:prod\", \"web\" ]; metrics = [ \"bytes\", \"ttfb\" ];\n"
               "             datagram = 8192; },\n"
               "           { address = \"unix:///run/dsd.socket\"; host = false; },\n"
               "           { address = \"udp://[::1]:9125\"; host = \"web1\"; metrics = [ \"all\" "
               "]; } );\n"
               "flush = { interval = 3600; };\n");
    assert_int_equal(s->outputs.flush_ns, UINT64_C(3600000000000));
    assert_int_equal(s->outputs.statsd_count, 3);
    const struct settings_statsd *d = s->outputs.statsd;
    assert_string_equal(d[0].endpoint.host, "dd.internal");
    assert_string_equal(d[0].endpoint.port, "8125");
    assert_int_equal(d[0].dialect, STATSD_DATADOG);
    assert_string_equal(d[0].prefix, "a.b");
    assert_int_equal(d[0].tag_count, 2);
    assert_string_equal(d[0].tags[0], "env:prod");
    assert_string_equal(d[0].tags[1], "web");
    assert_true(sends(d[0].metrics, "bytes ttfb"));
    assert_int_equal(d[0].datagram_bytes, 8192);

    assert_int_equal(d[1].endpoint.transport, ENDPOINT_UNIX);
    assert_false(d[1].with_host);
    assert_string_equal(d[2].endpoint.host, "::1");
    assert_string_equal(d[2].host, "web1");
    assert_true(sends(d[2].metrics, "all"));
}

static void statsd_errors_quote_the_text(void **state)
{
    (void)state;
    assert_error("statsd = { };", "1: statsd must be a list ( ) of groups { }, not a group { }");
    assert_error("statsd = (\n{ addres = \"x\"; } );", "2: unknown key: \"addres\"");
    assert_error("statsd = ( { address = \"x:0\"; } );",
                 "1: statsd.address has a port that is not from 1 to 65535: \"x:0\"");
    assert_error("statsd = ( { address = \"tcp://x:1\"; } );",
                 "1: statsd.address is neither udp:// nor unix://: \"tcp://x:1\"");
    assert_error("statsd = ( { address = 8125; } );",
                 "1: statsd.address must be a string, not 8125");
    assert_error(
        "statsd = ( { dialect = \"influx\"; } );",
        "1: statsd.dialect must be \"graphite\", \"graphite-tags\" or \"datadog\", not \"influx\"");
    assert_error("statsd = ( { prefix = \"1st\"; } );",
                 "1: statsd.prefix must begin with a letter: \"1st\"");
    assert_error("statsd = ( { host = true; } );",
                 "1: statsd.host must be a name or false, not true");
    assert_error("statsd = ( { host = \"\"; } );",
                 "1: statsd.host must be a name or false, not \"\"");
    assert_error("statsd = ( {\ndialect = \"datadog\"; host = \"web1\"; } );",
                 "1: the dialect \"datadog\" has no host");
    assert_error("statsd = ( { tags = [ \"a\" ]; } );", "1: the dialect \"graphite\" has no tags");
    assert_error("statsd = ( { dialect = \"datadog\"; tags = [ \"a\",\n\"b c\" ]; } );",
                 "2: each of statsd.tags may have letters, digits and \"_-:./\": \"b c\"");
    assert_error("statsd = ( { tags = \"a\"; } );",
                 "1: statsd.tags must be an array [ ] of tags, not \"a\"");
    assert_error("statsd = ( { metrics = [ \"bytes\",\n\"byte\" ]; } );",
                 "2: unknown metric: \"byte\"");
    assert_error("statsd = ( { metrics = [ ]; } );", "1: metrics names none");
    assert_error("statsd = ( { metrics = [ 1 ]; } );",
                 "1: each of statsd.metrics must be a string, not 1");
    assert_error("statsd = ( { datagram = 511; } );",
                 "1: statsd.datagram must be a whole number from 512 to 8192, not 511");
    assert_error("flush = { interval = 0; };",
                 "1: flush.interval must be a whole number from 1 to 3600, not 0");
}

static void destination_that_would_count_twice_is_an_error(void **state)
{
    (void)state;
    assert_error("statsd = ( { },\n{ address = \"udp://127.0.0.1:08125\"; } );",
                 "2: destination is listed twice: \"udp://127.0.0.1:08125\"");
    assert_error(
        "statsd = ( { address = \"A.example\"; host = \"web1\"; metrics = [ \"bytes\" ]; },\n"
        "{ address = \"a.example:8125\"; host = \"web1\"; metrics = [ \"open\" ]; } );",
        "2: destination is listed twice: \"a.example:8125\"");
    assert_error("statsd = ( { dialect = \"datadog\"; tags = [ \"a\" ]; },\n"
                 "{ dialect = \"datadog\"; tags = [ \"b\" ]; } );",
                 "2: destination is listed twice: \"127.0.0.1:8125\"");
    char host[HOST_NAME_MAX + 1] = "";
    char content[HOST_NAME_MAX + 64];
    gethostname(host, sizeof(host) - 1);
    snprintf(content, sizeof(content), "statsd = ( { },\n{ host = \"%s\"; } );", host);
    assert_error(content, "2: destination is listed twice: \"127.0.0.1:8125\"");
    AUTO(settings_free)
    struct settings *s = loaded("statsd = ( { }, { address = \"127.0.0.1:8126\"; },\n"
                                "{ dialect = \"datadog\"; }, { prefix = \"b\"; },\n"
                                "{ host = false; }, { host = \"web1\"; },\n"
                                "{ address = \"unix:///a\"; }, { address = \"unix:///A\"; } );");
    assert_int_equal(s->outputs.statsd_count, 8);
}

static void tags_that_would_be_taken_for_others_are_errors(void **state)
{
    (void)state;
#define TAGS "statsd = ( { dialect = \"datadog\"; tags = [ "
    static const char *const own[] = {"service:a", "direction:in", "interface:a", "class:2xx",
                                      "Service:a"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        char content[200], message[200];
        snprintf(content, sizeof(content), TAGS "\"%s\" ]; } );", own[i]);
        snprintf(message, sizeof(message),
                 "1: each of statsd.tags has a key that httpacct's own tags have: \"%s\"", own[i]);
        assert_error(content, message);
    }
    assert_error(TAGS "\"env:prod\",\n\"Env:prod\" ]; } );",
                 "2: each of statsd.tags is there twice: \"Env:prod\"");
    assert_error(TAGS "\"host:a\", \"host:b\" ]; } );",
                 "1: each of statsd.tags is there twice: \"host:b\"");
    AUTO(settings_free)
    struct settings *s = loaded(TAGS "\"host:a\", \"team:a\", \"team:b\", \"service\" ]; } );");
    assert_int_equal(s->outputs.statsd[0].tag_count, 4);
#undef TAGS
}

static void services_are_kept_for_an_interval_of_each_output(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *none = loaded("services = { idle = 2; };");
    assert_int_equal(none->services_idle_ns, UINT64_C(2000000000));
    AUTO(settings_free)
    struct settings *s = loaded("services = { idle = 2; }; statsd = ( { } );\n"
                                "flush = { interval = 3; };");
    assert_int_equal(s->services_idle_ns, UINT64_C(3000000000));
    AUTO(settings_free)
    struct settings *both = loaded("syslog = { interval = 30; }; statsd = ( { } );\n"
                                   "services = { idle = 2; };");
    assert_int_equal(both->services_idle_ns, UINT64_C(30000000000));
}

static void tags_for_graphite_have_one_value_each(void **state)
{
    (void)state;
#define GRAPHITE_TAGS "statsd = ( { dialect = \"graphite-tags\"; tags = [ "
    static const char *const wrong[][2] = {
        {"web", "a tag has no value"},
        {"path:/x", "a tag may have letters, digits and \"_-.\" for Graphite"},
        {"a/b:x", "a tag may have letters, digits and \"_-.\" for Graphite"},
        {"a:b:c", "a tag may have letters, digits and \"_-.\" for Graphite"},
        {"host:web1", "a tag has a key that httpacct's own tags have"},
        {"Quantile:1", "a tag has a key that httpacct's own tags have"},
        {"name:x", "a tag has a key that httpacct's own tags have"},
        {"env:test", "a tag has the key of another"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char content[200], message[200];
        snprintf(content, sizeof(content), GRAPHITE_TAGS "\"env:prod\", \"%s\" ]; } );",
                 wrong[i][0]);
        snprintf(message, sizeof(message), "1: %s: \"%s\"", wrong[i][1], wrong[i][0]);
        assert_error(content, message);
    }
    AUTO(settings_free)
    struct settings *s =
        loaded(GRAPHITE_TAGS "\"env:prod\", \"environment:prod\" ]; host = \"web1\"; } );");
    assert_int_equal(s->outputs.statsd[0].dialect, STATSD_GRAPHITE_TAGS);
    assert_int_equal(s->outputs.statsd[0].tag_count, 2);
    assert_string_equal(s->outputs.statsd[0].host, "web1");
}

static bool suits_datadog(const char *dialect, unsigned interval)
{
    char content[100];
    snprintf(content, sizeof(content),
             "statsd = ( { dialect = \"%s\"; } ); flush = { interval = %u; };", dialect, interval);
    AUTO(settings_free) struct settings *s = loaded(content);
    return settings_outputs_suit_datadog(&s->outputs);
}

static void interval_may_not_suit_datadog(void **state)
{
    (void)state;
    static const unsigned good[] = {1, 2, 5, 10, 20, 60}, bad[] = {3, 4, 15, 25};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(suits_datadog("datadog", good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(suits_datadog("datadog", bad[i]));
        assert_true(suits_datadog("graphite", bad[i]));
    }
}

static void tags_that_no_datagram_has_room_for_are_an_error(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text content = {0};
    text_add_string(&content, "statsd = (\n{ dialect = \"datadog\"; tags = [ \"a\"");
    for (int i = 0; i < 7; i++)
        text_printf(&content, ", \"t%d:%0190d\"", i, 0);
    text_add_string(&content, " ]; } );");
    write_file(MAIN, bytes_make(content.data, content.size));
    assert_file_fails(MAIN, -EINVAL,
                      MAIN ":2: a line with all these tags does not fit into a datagram");
}

static void syslog_keys_are_read(void **state)
{
    (void)state;
    AUTO(settings_free) struct settings *defaults = loaded("syslog = { };");
    assert_true(settings_outputs_wanted(&defaults->outputs));
    assert_true(defaults->outputs.syslog.address.local);
    assert_int_equal(defaults->outputs.syslog.facility, LOG_DAEMON);
    assert_int_equal(defaults->outputs.syslog.interval_ns, UINT64_C(60000000000));

    AUTO(settings_free)
    struct settings *s = loaded(
        "syslog = { address = \"tcp://logs.internal\"; facility = \"local7\"; interval = 5;\n"
        "           host = \"web1\"; tag = \"traffic\"; sd_id = \"t@1\"; metrics = [ \"bytes\" ]; "
        "};\n");
    const struct settings_syslog *l = &s->outputs.syslog;
    assert_false(l->address.local);
    assert_int_equal(l->address.endpoint.transport, ENDPOINT_TCP);
    assert_string_equal(l->address.endpoint.port, "601");
    assert_int_equal(l->facility, LOG_LOCAL7);
    assert_int_equal(l->interval_ns, UINT64_C(5000000000));
    assert_string_equal(l->host, "web1");
    assert_string_equal(l->tag, "traffic");
    assert_string_equal(l->sd_id, "t@1");
    assert_true(sends(l->metrics, "bytes"));
}

/* syslog.@key must not be @value. */
static void assert_wrong_syslog(const char *key, const char *value, const char *wanted)
{
    char content[100];
    snprintf(content, sizeof(content), "syslog = { %s = \"%s\"; };", key, value);
    AUTO(text_deinit) struct text message = {0};
    text_printf(&message, "1: syslog.%s must be %s, not \"", key, wanted);
    text_add_printable(&message, bytes_from_string(value));
    text_add_char(&message, '"');
    assert_error(content, message.data);
}

static void syslog_errors_quote_the_text(void **state)
{
    (void)state;
    assert_error("syslog = ( );", "1: syslog must be a group { }, not a list ( )");
    assert_error(
        "syslog = { address = \"unix:///dev/log\"; };",
        "1: syslog.address is neither \"local\" nor udp:// nor tcp://: \"unix:///dev/log\"");
    assert_error(
        "syslog = { facility = \"local8\"; };",
        "1: syslog.facility must be one of syslog's: \"daemon\", \"local0\" to \"local7\" ..., not "
        "\"local8\"");
    assert_error(
        "syslog = { sd_id = \"x\"; };",
        "1: syslog.sd_id must be NAME@NUMBER with the number of a private enterprise, not \"x\"");
    assert_error("syslog = {\ninterval = 0; };",
                 "2: syslog.interval must be a whole number from 1 to 3600, not 0");
    static const char *const tags[] = {"a b]", "", "a[1", "a:", "caf\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
        assert_wrong_syslog("tag", tags[i],
                            "1 to 48 printable ASCII characters, none of them a blank, "
                            "\"[\", \"]\" or \":\"");
    static const char *const hosts[] = {"", "web 1", "web1\t"};
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
        assert_wrong_syslog("host", hosts[i],
                            "1 to 255 printable ASCII characters, none of them a blank");
}

static void lines_past_16_bits_are_right(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text content = {0};
    for (int i = 0; i < 70000; i++)
        text_add_char(&content, '\n');
    text_add_string(&content, "worker = 1;");
    assert_error(content.data, "70001: unknown key: \"worker\"");
}

static void includes_are_relative_to_the_main_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir("sub", 0700), 0);
    write_file("sub/main.conf", BYTES("@include \"more.conf\"\nservices = { max = 5; };\n"));
    write_file("sub/more.conf", BYTES("workers = 3;\n"));
    AUTO(settings_free) struct settings *s = loaded_file("sub/main.conf");
    assert_int_equal(s->workers, 3);
    assert_int_equal(s->services_max, 5);

    write_file("sub/more.conf", BYTES("workers = 3;\nworkers = 4294967297;\n"));
    assert_file_fails("sub/main.conf", -EINVAL, "more.conf:2: number is too large: 4294967297");
    write_file("sub/more.conf", BYTES("workers = 1;\nworkers = 1;"));
    assert_file_fails("sub/main.conf", -EINVAL, "more.conf:2: duplicate setting name");
    write_file("sub/more.conf", BYTES("@include \"more.conf\"\n"));
    assert_file_fails("sub/main.conf", -EINVAL, "more.conf:1: include file nesting too deep");
}

static void includes_that_cannot_be_read_are_errors(void **state)
{
    (void)state;
    write_file(MAIN, BYTES("\n@include \"missing.conf\"\n"));
    assert_file_fails(MAIN, -ENOENT,
                      MAIN ":2: cannot read \"missing.conf\": No such file or directory");
    write_file(MAIN, BYTES("@include \".\"\n"));
    assert_file_fails(MAIN, -EINVAL, MAIN ":1: cannot read \".\": not a regular file");
    assert_error("@include \"/etc/hostname\"\n",
                 "1: @include needs a path relative to the main file, without backslash: "
                 "/etc/hostname");
}

static void files_that_cannot_be_read_are_errors(void **state)
{
    (void)state;
    assert_file_fails("missing.conf", -ENOENT,
                      "cannot read \"missing.conf\": No such file or directory");
    assert_file_fails("/", -EINVAL, "cannot read \"/\": not a regular file");
    assert_file_fails("/dev/null", -EINVAL, "cannot read \"/dev/null\": not a regular file");
}

static int enter_directory(void **state)
{
    (void)state;
    return !mkdtemp(directory) || chdir(directory) < 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink("sub/main.conf");
    unlink("sub/more.conf");
    rmdir("sub");
    unlink(MAIN);
    return chdir("/") < 0 || rmdir(directory) < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_defaults),
        cmocka_unit_test(an_empty_file_has_the_defaults),
        cmocka_unit_test(an_empty_list_of_rules_has_none),
        cmocka_unit_test(the_installed_file_has_the_defaults),
        cmocka_unit_test(the_installed_files_examples_load),
        cmocka_unit_test(all_keys_are_read),
        cmocka_unit_test(unknown_keys_are_errors_at_any_depth),
        cmocka_unit_test(syntax_errors_have_their_line),
        cmocka_unit_test(wrong_types_are_errors),
        cmocka_unit_test(numbers_out_of_range_are_errors),
        cmocka_unit_test(numbers_that_would_wrap_are_errors),
        cmocka_unit_test(large_numbers_elsewhere_are_none),
        cmocka_unit_test(nuls_are_errors),
        cmocka_unit_test(interfaces_may_be_patterns),
        cmocka_unit_test(interfaces_are_checked),
        cmocka_unit_test(rule_errors_have_the_rules_line),
        cmocka_unit_test(the_control_socket_has_a_place_and_a_group),
        cmocka_unit_test(wrong_control_is_an_error),
        cmocka_unit_test(state_is_a_folder_or_none),
        cmocka_unit_test(a_statsd_destination_has_defaults),
        cmocka_unit_test(statsd_keys_are_read),
        cmocka_unit_test(statsd_errors_quote_the_text),
        cmocka_unit_test(destination_that_would_count_twice_is_an_error),
        cmocka_unit_test(tags_that_would_be_taken_for_others_are_errors),
        cmocka_unit_test(tags_for_graphite_have_one_value_each),
        cmocka_unit_test(services_are_kept_for_an_interval_of_each_output),
        cmocka_unit_test(interval_may_not_suit_datadog),
        cmocka_unit_test(tags_that_no_datagram_has_room_for_are_an_error),
        cmocka_unit_test(syslog_keys_are_read),
        cmocka_unit_test(syslog_errors_quote_the_text),
        cmocka_unit_test(lines_past_16_bits_are_right),
        cmocka_unit_test(includes_are_relative_to_the_main_file),
        cmocka_unit_test(includes_that_cannot_be_read_are_errors),
        cmocka_unit_test(files_that_cannot_be_read_are_errors),
    };
    return cmocka_run_group_tests(tests, enter_directory, remove_directory);
}
