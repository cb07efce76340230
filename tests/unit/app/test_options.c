#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "app/options.h"

enum { ARGUMENTS_MAX = OPTIONS_INTERFACES_MAX * 2 + 8 };

static struct options options;
static struct options_error problem;

/* Parse what is left in @words, blank-separated; "''" is an empty argument. */
static enum options_outcome parse(const char *words)
{
    static char copy[ARGUMENTS_MAX * 8];
    static char program[] = "httpacct";
    char *argv[ARGUMENTS_MAX + 1] = {program};
    int argc = 1;
    strcpy(copy, words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    return options_parse(&options, argc, argv, &problem);
}

static void assert_wrong(const char *words, const char *message)
{
    assert_int_equal(parse(words), OPTIONS_WRONG);
    assert_string_equal(problem.message, message);
}

static void nothing_is_a_run_with_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(""), OPTIONS_RUN);
    assert_null(options.config);
    assert_null(options.read);
    assert_int_equal(options.interface_count, 0);
    assert_false(options.test);
    assert_false(options.verbose);
    assert_false(options.has_form);
    assert_int_equal(options.interval_ns, 0);
}

static void short_options_are_taken(void **state)
{
    (void)state;
    assert_int_equal(parse("-c a.conf -i eth0 -ilo -tv"), OPTIONS_RUN);
    assert_string_equal(options.config, "a.conf");
    assert_int_equal(options.interface_count, 2);
    assert_string_equal(options.interfaces[0], "eth0");
    assert_string_equal(options.interfaces[1], "lo");
    assert_true(options.test);
    assert_true(options.verbose);
    assert_int_equal(parse("-r -"), OPTIONS_RUN);
    assert_string_equal(options.read, "-");
}

static void long_twins_are_taken(void **state)
{
    (void)state;
    assert_int_equal(parse("--config=a.conf --interface lo --read x.pcap --test --verbose"),
                     OPTIONS_RUN);
    assert_string_equal(options.config, "a.conf");
    assert_string_equal(options.interfaces[0], "lo");
    assert_string_equal(options.read, "x.pcap");
    assert_true(options.test);
    assert_true(options.verbose);
}

static void help_and_version_come_first(void **state)
{
    (void)state;
    assert_int_equal(parse("-h"), OPTIONS_HELP);
    assert_int_equal(parse("--help"), OPTIONS_HELP);
    assert_int_equal(parse("-V --nonsense"), OPTIONS_VERSION);
    assert_int_equal(parse("--version"), OPTIONS_VERSION);
}

static void help_names_every_option(void **state)
{
    (void)state;
    static const char *const names[] = {
        "-c, --config",  "-i, --interface", "-r, --read", "-t, --test",   "--print", "--interval",
        "-v, --verbose", "-V, --version",   "-h, --help", "transactions", "events",  "json",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_non_null(strstr(options_help(), names[i]));
}

static void each_form_has_its_name(void **state)
{
    (void)state;
    assert_int_equal(parse("--print table"), OPTIONS_RUN);
    assert_true(options.has_form);
    assert_int_equal(options.form, CONSOLE_TABLE);
    assert_int_equal(parse("--print=json"), OPTIONS_RUN);
    assert_int_equal(options.form, CONSOLE_JSON);
    assert_int_equal(parse("--print events"), OPTIONS_RUN);
    assert_int_equal(options.form, CONSOLE_EVENTS);
    assert_int_equal(parse("--print transactions"), OPTIONS_RUN);
    assert_int_equal(options.form, CONSOLE_TRANSACTIONS);
    assert_int_equal(parse("--print none"), OPTIONS_RUN);
    assert_int_equal(options.form, CONSOLE_NONE);
    assert_wrong("--print xml", "--print 'xml': use table, json, events, transactions or none");
    assert_wrong("--print ''", "--print '': use table, json, events, transactions or none");
}

static void interval_may_have_a_fraction(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        uint64_t interval_ns;
    } good[] = {
        {"--interval 1", 1000000000},         {"--interval 0.5", 500000000},
        {"--interval 86400", 86400000000000}, {"--interval .1", 100000000},
        {"--interval=2.25", 2250000000},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(parse(good[i].words), OPTIONS_RUN);
        assert_int_equal(options.interval_ns, good[i].interval_ns);
    }
}

static void interval_that_is_no_number_is_wrong(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0",   "0.09", "86400.1", "-1",    "1s", "inf", "nan",
        "0x5", "1e3",  ".",       "1.2.3", "+1", "1,5", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char words[64] = "--interval=";
        char message[128];
        assert_int_equal(parse(strcat(words, bad[i])), OPTIONS_WRONG);
        snprintf(message, sizeof(message),
                 "--interval '%s': use a number of seconds from 0.1 to 86400", bad[i]);
        assert_string_equal(problem.message, message);
    }
    assert_wrong("--interval ''", "--interval '': use a number of seconds from 0.1 to 86400");
}

static void unknown_option_is_named(void **state)
{
    (void)state;
    assert_wrong("-x", "unknown option '-x': see httpacct --help");
    assert_wrong("-tx", "unknown option '-x': see httpacct --help");
    assert_wrong("-i lo --nonsense", "unknown option '--nonsense': see httpacct --help");
    assert_wrong("--test=yes", "unknown option '--test=yes': see httpacct --help");
}

static void missing_value_is_named(void **state)
{
    (void)state;
    assert_wrong("-i", "missing value after '-i': see httpacct --help");
    assert_wrong("-tc", "missing value after '-c': see httpacct --help");
    assert_wrong("--interface", "missing value after '--interface': see httpacct --help");
    assert_wrong("--interval", "missing value after '--interval': see httpacct --help");
}

static void excess_argument_is_named(void **state)
{
    (void)state;
    assert_wrong("eth0", "unexpected 'eth0': see httpacct --help");
    assert_wrong("-i lo eth0 -t", "unexpected 'eth0': see httpacct --help");
    assert_wrong("-- -t", "unexpected '-t': see httpacct --help");
}

static void the_same_twice_is_wrong(void **state)
{
    (void)state;
    assert_wrong("-i lo -i eth0 -i lo", "-i lo is given twice");
    assert_wrong("-r a -r b", "-r is given twice: 'a' and 'b'; use one");
    assert_wrong("-c a --config b", "-c is given twice: 'a' and 'b'; use one");
}

static void a_file_was_recorded_on_one_interface(void **state)
{
    (void)state;
    assert_int_equal(parse("-r a -i lo"), OPTIONS_RUN);
    assert_wrong("-r a -i lo -i eth0", "-r takes at most one -i");
}

static void interfaces_are_bounded(void **state)
{
    (void)state;
    static char words[ARGUMENTS_MAX * 8];
    size_t size = 0;
    for (int i = 0; i < OPTIONS_INTERFACES_MAX; i++)
        size += (size_t)snprintf(words + size, sizeof(words) - size, "-i e%d ", i);
    assert_int_equal(parse(words), OPTIONS_RUN);
    assert_int_equal(options.interface_count, OPTIONS_INTERFACES_MAX);
    strcpy(words + size, "-i more");
    assert_wrong(words, "at most 256 times -i");
}

static void commands_stand_behind_options_or_before(void **state)
{
    (void)state;
    assert_int_equal(parse(""), OPTIONS_RUN);
    assert_int_equal(options.command, COMMAND_NONE);
    assert_int_equal(parse("-c a.conf status --json"), OPTIONS_RUN);
    assert_int_equal(options.command, COMMAND_STATUS);
    assert_true(options.json);
    assert_null(options.arguments[0]);
    assert_int_equal(parse("reload -v --socket /run/x.sock"), OPTIONS_RUN);
    assert_int_equal(options.command, COMMAND_RELOAD);
    assert_string_equal(options.socket, "/run/x.sock");
    assert_int_equal(options.pid, 0);
    assert_int_equal(parse("reload --pid 4194304"), OPTIONS_RUN);
    assert_int_equal(options.pid, 4194304);
    assert_int_equal(parse("rules /x?s=yo a.example"), OPTIONS_RUN);
    assert_int_equal(options.command, COMMAND_RULES);
    assert_string_equal(options.arguments[0], "/x?s=yo");
    assert_string_equal(options.arguments[1], "a.example");
    assert_int_equal(parse("top --interval 0.5"), OPTIONS_RUN);
    assert_int_equal(options.command, COMMAND_TOP);
    assert_int_equal(options.interval_ns, 500000000);
    assert_int_equal(parse("rules /x"), OPTIONS_RUN);
    assert_null(options.arguments[1]);
}

static void commands_take_what_they_need(void **state)
{
    (void)state;
    assert_wrong("rules", "rules: missing argument: see httpacct --help");
    assert_wrong("rules a b c", "rules: unexpected 'c': see httpacct --help");
    assert_wrong("status status", "status: unexpected 'status': see httpacct --help");
    assert_wrong("Status", "unexpected 'Status': see httpacct --help");
    assert_wrong("--socket", "missing value after '--socket': see httpacct --help");
}

static void options_that_mean_nothing_to_a_command_are_wrong(void **state)
{
    (void)state;
    static const char words[] = "-i, -r, -t and --print are not for commands";
    assert_wrong("status -i lo", words);
    assert_wrong("status -r x", words);
    assert_wrong("-t rules /", words);
    assert_wrong("--print json reload", words);
    assert_wrong("--interval 1 status", "--interval is for top only of the commands");
    assert_wrong("top --interval 20.1", "--interval of top is 20 seconds at most");
    assert_wrong("--json", "--json is for status and rules");
    assert_wrong("--json reload", "--json is for status and rules");
    assert_wrong("--socket /x", "--socket is for status, reload and top");
    assert_wrong("--socket /x rules /", "--socket is for status, reload and top");
    assert_wrong("--pid 7 status", "--pid is for reload");
    assert_wrong("--pid 7", "--pid is for reload");
}

static void a_process_has_a_number(void **state)
{
    (void)state;
    static const char *const wrong[] = {"0", "-1", "+7", "0x7", "4194305", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        AUTO(text_deinit) struct text line = {0}, words = {0};
        text_printf(&line, "reload --pid %s", wrong[i]);
        text_printf(&words, "--pid '%s': use the number of a process, 1 to 4194304", wrong[i]);
        assert_wrong(line.data, words.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_a_run_with_defaults),
        cmocka_unit_test(short_options_are_taken),
        cmocka_unit_test(long_twins_are_taken),
        cmocka_unit_test(help_and_version_come_first),
        cmocka_unit_test(help_names_every_option),
        cmocka_unit_test(each_form_has_its_name),
        cmocka_unit_test(interval_may_have_a_fraction),
        cmocka_unit_test(interval_that_is_no_number_is_wrong),
        cmocka_unit_test(unknown_option_is_named),
        cmocka_unit_test(missing_value_is_named),
        cmocka_unit_test(excess_argument_is_named),
        cmocka_unit_test(the_same_twice_is_wrong),
        cmocka_unit_test(a_file_was_recorded_on_one_interface),
        cmocka_unit_test(interfaces_are_bounded),
        cmocka_unit_test(commands_stand_behind_options_or_before),
        cmocka_unit_test(commands_take_what_they_need),
        cmocka_unit_test(options_that_mean_nothing_to_a_command_are_wrong),
        cmocka_unit_test(a_process_has_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
