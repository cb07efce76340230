#include "app/state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "io/state_file.h"

static char folder[] = "/tmp/test_state.XXXXXX";
static struct text log_lines;

/* What one process does with the folder. */
struct run {
    uv_loop_t loop;
    struct ledger *ledger;
    struct state *state;
    unsigned due;
};

static void take_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    (void)level;
    text_add_string(&log_lines, line);
    text_add_char(&log_lines, '\n');
}

static void take_due(void *context)
{
    struct run *r = context;
    r->due++;
}

static void start(struct run *r)
{
    *r = (struct run){0};
    uv_loop_init(&r->loop);
    ledger_new(&r->ledger, &(struct ledger_options){.services_max = 10});
    struct state_file *file;
    assert_int_equal(state_file_open(&file, folder), 0);
    AUTO(text_deinit) struct text error = {0};
    if (state_new(&r->state, &r->loop,
                  &(struct state_options){
                      .file = file, .ledger = r->ledger, .due = take_due, .context = r},
                  &error) < 0)
        fail_msg("%s", error.data);
}

static void run_end(struct run *r)
{
    state_stop(r->state);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    state_free(r->state);
    ledger_free(r->ledger);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static void move(struct run *r, uint64_t bytes)
{
    struct service_name name = {"yo"};
    struct service_counts c = {.direction = {{.bytes = bytes}}};
    struct interface_counts i = {.tcp_bytes = bytes};
    ledger_restore_service(r->ledger, &name, &c);
    ledger_restore_interface(r->ledger, "eth0", &i, bytes);
}

static uint64_t bytes_of(const struct run *r)
{
    return ledger_interface(r->ledger, 0)->period[LEDGER_TOTAL].counts.tcp_bytes;
}

static const struct console_moment moment = {.time_ns = 1700000009000000000,
                                             .elapsed_ns = 9000000000};

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *content)
{
    FILE *file = fopen(in_folder(STATE_FILE_NAME), "w");
    fputs(content, file);
    fclose(file);
}

static int begin(void **state)
{
    (void)state;
    text_clear(&log_lines);
    unlink(in_folder(STATE_FILE_NAME));
    unlink(in_folder(STATE_FILE_DAMAGED));
    return 0;
}

static void totals_outlive_the_process(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct run r;
        start(&r);
        assert_int_equal(bytes_of(&r), 100 * i);
        assert_int_equal(state_since_ns(r.state), i ? 1700000000000000000 : 0);
        move(&r, 100);
        struct console_moment now = moment;
        now.since_ns = state_since_ns(r.state);
        state_finish(r.state, &now);
        run_end(&r);
    }
    assert_null(log_lines.data);
}

static void they_are_written_now_and_then(void **state)
{
    (void)state;
    struct run r;
    start(&r);
    move(&r, 100);
    state_reports_in(r.state, &moment); /* of somebody else, before it is time */
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(access(in_folder(STATE_FILE_NAME), F_OK), -1);
    while (!r.due)
        uv_run(&r.loop, UV_RUN_ONCE);
    state_reports_in(r.state, &moment);
    move(&r, 1); /* is not in it */
    run_end(&r); /* waits for the thread, and dies without a last word */

    struct run next;
    start(&next);
    assert_int_equal(bytes_of(&next), 100);
    run_end(&next);
}

static void assert_set_aside(const char *content, const char *why)
{
    text_clear(&log_lines);
    write_file(content);
    struct run r;
    start(&r);
    assert_int_equal(bytes_of(&r), 0);
    assert_int_equal(state_since_ns(r.state), 0);
    assert_int_equal(access(in_folder(STATE_FILE_DAMAGED), F_OK), 0);
    assert_int_equal(access(in_folder(STATE_FILE_NAME), F_OK), -1);
    if (!strstr(log_lines.data, why))
        fail_msg("%s", log_lines.data);
    run_end(&r);
}

static void what_is_damaged_is_set_aside_and_said(void **state)
{
    (void)state;
    assert_set_aside("", "'[' or '{' expected");
    assert_set_aside("{\"httpacct\":\"totals\",\"version\":1,\"since\":1700000000,", "line 1");
    assert_set_aside("{\"httpacct\":\"totals\",\"version\":3}", "another version");
}

static void what_can_not_be_written_is_said_once(void **state)
{
    (void)state;
    struct run r;
    start(&r);
    assert_int_equal(mkdir(in_folder(STATE_FILE_NAME ".new"), 0700), 0);
    state_finish(r.state, &moment);
    state_finish(r.state, &moment);
    const char *line = strstr(log_lines.data, "totals are not kept");
    assert_non_null(line);
    assert_null(strstr(line + 1, "totals are not kept"));
    assert_int_equal(rmdir(in_folder(STATE_FILE_NAME ".new")), 0);
    state_finish(r.state, &moment);
    assert_non_null(strstr(log_lines.data, "totals are kept again"));
    run_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(totals_outlive_the_process, begin),
        cmocka_unit_test_setup(they_are_written_now_and_then, begin),
        cmocka_unit_test_setup(what_is_damaged_is_set_aside_and_said, begin),
        cmocka_unit_test_setup(what_can_not_be_written_is_said_once, begin),
    };
    if (!mkdtemp(folder))
        return 1;
    log_set_writer(take_line, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_set_writer(NULL, NULL);
    begin(NULL);
    text_deinit(&log_lines);
    rmdir(folder);
    return failed;
}
