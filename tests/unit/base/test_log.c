#include "base/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log_limit.h"
#include "base/text.h"

/* A writer that keeps what it gets: "1 line\n", with the level in front. */
struct kept {
    struct text text;
    size_t lines;
};

static void keep(void *context, enum log_level level, const char *line)
{
    struct kept *k = context;
    text_printf(&k->text, "%d %s\n", (int)level, line);
    k->lines++;
}

static void forget(struct kept *k)
{
    log_set_writer(NULL, NULL);
    text_deinit(&k->text);
}

static void line_reaches_the_writer_with_its_level(void **state)
{
    (void)state;
    struct kept k = {0};
    log_set_writer(keep, &k);
    log_error("%s: %d", "eth0", 7);
    log_warning("careful");
    log_info("hello");
    log_debug("not asked for");
    assert_string_equal(k.text.data, "0 eth0: 7\n1 careful\n2 hello\n");
    forget(&k);
}

static void level_drops_what_is_above_it(void **state)
{
    (void)state;
    struct kept k = {0};
    log_set_writer(keep, &k);
    log_set_level(LOG_LEVEL_ERROR);
    log_error("an error");
    log_warning("a warning");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("a detail");
    log_set_level(LOG_LEVEL_INFO);
    assert_string_equal(k.text.data, "0 an error\n3 a detail\n");
    forget(&k);
}

static void line_too_long_is_cut(void **state)
{
    (void)state;
    struct kept k = {0};
    log_set_writer(keep, &k);
    log_info("%5000d", 1);
    assert_in_range(k.text.size, 1000, 1030);
    forget(&k);
}

static void without_a_writer_lines_go_to_stderr(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    log_error("to the %s", "terminal");
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[1]);

    char line[100] = "";
    assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
    assert_string_equal(line, "httpacct: error: to the terminal\n");
    close(ends[0]);
}

/* How many of a call site's lines @k has got: written, and as said to be suppressed. */
static unsigned long count_lines(const struct kept *k, const char *start)
{
    unsigned long count = 0;
    for (const char *line = k->text.data; line && *line; line = strchr(line, '\n') + 1) {
        unsigned long suppressed = 0;
        if (strncmp(line + 2, start, strlen(start)) == 0)
            count++;
        else if (sscanf(line + 2, "%lu message", &suppressed) == 1)
            count += suppressed;
    }
    return count;
}

static void flood_is_held_back_and_summed_up(void **state)
{
    (void)state;
    enum { FLOOD = 100000 };
    struct kept k = {0};
    log_set_writer(keep, &k);
    for (unsigned i = 0; i < FLOOD; i++)
        log_warning("flood %u", i);
    assert_in_range(k.lines, LOG_LIMIT_LINES, FLOOD / 2);
    log_finish();
    assert_int_equal(count_lines(&k, "flood"), FLOOD);
    assert_non_null(strstr(k.text.data, "messages suppressed, the last: flood 99999\n"));

    size_t lines = k.lines;
    log_finish();
    assert_int_equal(k.lines, lines);
    forget(&k);
}

static void flood_of_one_call_site_leaves_the_others_alone(void **state)
{
    (void)state;
    struct kept k = {0};
    log_set_writer(keep, &k);
    for (unsigned i = 0; i < 1000; i++)
        log_info("another flood %u", i);
    log_info("all the same, this");
    assert_non_null(strstr(k.text.data, "2 all the same, this\n"));
    log_finish();
    forget(&k);
}

static void debug_lines_are_not_held_back(void **state)
{
    (void)state;
    struct kept k = {0};
    log_set_writer(keep, &k);
    log_set_level(LOG_LEVEL_DEBUG);
    for (unsigned i = 0; i < 10 * LOG_LIMIT_LINES; i++)
        log_debug("detail %u", i);
    log_set_level(LOG_LEVEL_INFO);
    assert_int_equal(k.lines, 10 * LOG_LIMIT_LINES);
    forget(&k);
}

enum { THREADS = 4, THREAD_LINES = 5000 };

static void *log_from_thread(void *name)
{
    for (unsigned i = 0; i < THREAD_LINES; i++)
        log_error("thread %s %u", (const char *)name, i);
    return NULL;
}

static void lines_of_several_threads_stay_whole(void **state)
{
    (void)state;
    static const char *const names[THREADS] = {"a", "b", "c", "d"};
    struct kept k = {0};
    log_set_writer(keep, &k);
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_from_thread, (void *)names[i]);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_finish();
    assert_int_equal(count_lines(&k, "thread"), THREADS * THREAD_LINES);
    forget(&k);
}

static bool pass(struct log_limit *l, const char *format, uint64_t now_ns)
{
    return log_limit_pass(l, &(struct log_line){LOG_LEVEL_INFO, format, "text"}, now_ns);
}

static unsigned pass_many(struct log_limit *l, const char *format, unsigned count, uint64_t now_ns)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < count; i++)
        passed += pass(l, format, now_ns);
    return passed;
}

static void call_site_may_write_again_when_its_time_is_over(void **state)
{
    (void)state;
    static const char site[] = "site";
    struct log_limit l = {0};
    unsigned long suppressed = 0;
    assert_int_equal(pass_many(&l, site, LOG_LIMIT_LINES + 5, 1000), LOG_LIMIT_LINES);
    assert_false(pass(&l, site, 1000 + LOG_LIMIT_NS - 1));
    assert_null(log_limit_next(&l, 1000 + LOG_LIMIT_NS - 1, &suppressed));

    const struct log_site *s = log_limit_next(&l, 1000 + LOG_LIMIT_NS, &suppressed);
    assert_non_null(s);
    assert_int_equal(suppressed, 6);
    assert_null(log_limit_next(&l, 1000 + LOG_LIMIT_NS, &suppressed));
    assert_int_equal(pass_many(&l, site, LOG_LIMIT_LINES + 5, 1000 + LOG_LIMIT_NS),
                     LOG_LIMIT_LINES);
}

static void slow_call_site_is_never_held_back(void **state)
{
    (void)state;
    static const char site[] = "site";
    struct log_limit l = {0};
    for (uint64_t i = 0; i < 10000; i++)
        assert_true(pass(&l, site, i * (LOG_LIMIT_NS / LOG_LIMIT_LINES)));
}

static void more_call_sites_than_places_are_bounded_and_counted(void **state)
{
    (void)state;
    enum { SITES = 3 * LOG_LIMIT_SITES, LINES = 2 * LOG_LIMIT_LINES };
    static char formats[SITES];
    struct log_limit l = {0};
    unsigned long passed = 0;
    for (unsigned i = 0; i < SITES; i++)
        passed += pass_many(&l, &formats[i], LINES, 1000);
    assert_int_equal(passed, LOG_LIMIT_SITES * LOG_LIMIT_LINES);

    unsigned long suppressed = 0, sum = 0;
    while (log_limit_next(&l, UINT64_MAX, &suppressed))
        sum += suppressed;
    assert_int_equal(passed + sum, SITES * LINES);
    assert_true(pass(&l, &formats[SITES - 1], 1000 + LOG_LIMIT_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_reaches_the_writer_with_its_level),
        cmocka_unit_test(level_drops_what_is_above_it),
        cmocka_unit_test(line_too_long_is_cut),
        cmocka_unit_test(without_a_writer_lines_go_to_stderr),
        cmocka_unit_test(flood_is_held_back_and_summed_up),
        cmocka_unit_test(flood_of_one_call_site_leaves_the_others_alone),
        cmocka_unit_test(debug_lines_are_not_held_back),
        cmocka_unit_test(lines_of_several_threads_stay_whole),
        cmocka_unit_test(call_site_may_write_again_when_its_time_is_over),
        cmocka_unit_test(slow_call_site_is_never_held_back),
        cmocka_unit_test(more_call_sites_than_places_are_bounded_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
