#include "io/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char parent[] = "/tmp/test_state.XXXXXX";
static char folder[64];

static struct state_file *opened(void)
{
    struct state_file *f = NULL;
    assert_int_equal(state_file_open(&f, folder), 0);
    return f;
}

static void assert_content(struct state_file *f, const char *expected)
{
    AUTO(text_deinit) struct text t = {0};
    assert_int_equal(state_file_read(f, &t), 0);
    assert_int_equal(t.size, strlen(expected));
    assert_memory_equal(t.data ? t.data : "", expected, strlen(expected));
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct text t = {0};
    struct state_file *f = opened();
    assert_int_equal(state_file_read(f, &t), -ENOENT);
    assert_int_equal(state_file_write(f, BYTES("one")), 0);
    assert_content(f, "one");
    assert_int_equal(state_file_write(f, BYTES("")), 0);
    assert_content(f, "");
    assert_int_equal(state_file_write(f, BYTES("three")), 0);
    state_file_close(f);
    f = opened();
    assert_content(f, "three");
    state_file_close(f);
}

static void a_write_that_fails_leaves_what_was(void **state)
{
    (void)state;
    struct state_file *f = opened();
    assert_int_equal(state_file_write(f, BYTES("good")), 0);
    assert_int_equal(mkdir(in_folder(STATE_FILE_NAME ".new"), 0700), 0);
    assert_int_equal(state_file_write(f, BYTES("bad")), -EEXIST);
    assert_content(f, "good");
    assert_int_equal(rmdir(in_folder(STATE_FILE_NAME ".new")), 0);
    state_file_close(f);
}

static void what_a_dead_writer_left_is_no_harm(void **state)
{
    (void)state;
    struct state_file *f = opened();
    int fd = open(in_folder(STATE_FILE_NAME ".new"), O_CREAT | O_WRONLY | O_CLOEXEC, 0400);
    assert_return_code(fd, errno);
    close(fd);
    assert_int_equal(state_file_write(f, BYTES("new")), 0);
    assert_content(f, "new");
    assert_int_equal(access(in_folder(STATE_FILE_NAME ".new"), F_OK), -1);
    state_file_close(f);
}

static void one_process_has_it(void **state)
{
    (void)state;
    struct state_file *f = opened(), *other = NULL;
    assert_int_equal(state_file_open(&other, folder), -EWOULDBLOCK);
    assert_null(other);
    state_file_close(f);
    state_file_close(opened());
}

static void what_is_set_aside_has_another_name(void **state)
{
    (void)state;
    struct text t = {0};
    struct state_file *f = opened();
    assert_int_equal(state_file_write(f, BYTES("rubbish")), 0);
    assert_int_equal(state_file_set_aside(f), 0);
    assert_int_equal(state_file_read(f, &t), -ENOENT);
    assert_int_equal(access(in_folder(STATE_FILE_DAMAGED), F_OK), 0);
    assert_int_equal(state_file_write(f, BYTES("more")), 0);
    assert_int_equal(state_file_set_aside(f), 0); /* in the place of the former */
    unlink(in_folder(STATE_FILE_DAMAGED));
    state_file_close(f);
}

static void other_things_are_errors(void **state)
{
    (void)state;
    struct text t = {0};
    struct state_file *f = opened();
    assert_int_equal(mkfifo(in_folder(STATE_FILE_NAME), 0600), 0);
    assert_int_equal(state_file_read(f, &t), 0); /* nobody writes to it: nothing, at once */
    assert_int_equal(t.size, 0);
    unlink(in_folder(STATE_FILE_NAME));
    assert_int_equal(symlink("/etc/passwd", in_folder(STATE_FILE_NAME)), 0);
    assert_int_equal(state_file_read(f, &t), -ELOOP);
    unlink(in_folder(STATE_FILE_NAME));

    int fd = open(in_folder(STATE_FILE_NAME), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_return_code(ftruncate(fd, STATE_FILE_MAX + 1), errno); /* takes no room */
    close(fd);
    assert_int_equal(state_file_read(f, &t), -EFBIG);
    text_deinit(&t);
    unlink(in_folder(STATE_FILE_NAME));
    state_file_close(f);

    f = NULL;
    assert_int_equal(state_file_open(&f, "/nowhere/at/all"), -ENOENT);
    assert_int_equal(state_file_open(&f, "/etc/passwd"), -ENOTDIR);
    assert_null(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_write_that_fails_leaves_what_was),
        cmocka_unit_test(what_a_dead_writer_left_is_no_harm),
        cmocka_unit_test(one_process_has_it),
        cmocka_unit_test(what_is_set_aside_has_another_name),
        cmocka_unit_test(other_things_are_errors),
    };
    if (!mkdtemp(parent))
        return 1;
    snprintf(folder, sizeof(folder), "%s/state", parent);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(in_folder(STATE_FILE_NAME));
    rmdir(folder);
    rmdir(parent);
    return failed;
}
