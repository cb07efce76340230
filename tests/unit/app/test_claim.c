#include "app/claim.h"

#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "support/skip.h"

static char folder[] = "/tmp/test_claim.XXXXXX";
static char run_folder[64];
static char state_folder[64];
static char path[64];
static struct text log_lines;

static void take_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    (void)level;
    text_add_string(&log_lines, line);
    text_add_char(&log_lines, '\n');
}

static struct settings asked_for(bool state, bool socket)
{
    return (struct settings){
        .control = {.wanted = socket, .chosen = socket, .path = path},
        .state = {.chosen = state, .folder = state ? state_folder : NULL},
    };
}

static void both_are_made_and_go(void **state)
{
    (void)state;
    const struct settings s = asked_for(true, true);
    struct claim c = {0};
    assert_int_equal(claim_make(&c, &s), 0);
    assert_string_equal(c.folders[0], state_folder);
    assert_string_equal(c.folders[1], run_folder);
    assert_null(c.folders[2]);
    assert_int_equal(access(path, F_OK), 0);
    claim_deinit(&c);
    assert_int_equal(access(path, F_OK), -1);
    assert_null(log_lines.data);
}

static void nothing_is_made_that_is_not_wanted(void **state)
{
    (void)state;
    const struct settings s = asked_for(false, false);
    struct claim c = {0};
    assert_int_equal(claim_make(&c, &s), 0);
    assert_null(c.socket);
    assert_null(c.state);
    assert_null(c.folders[0]);
}

static void each_is_for_one_agent(void **state)
{
    (void)state;
    for (unsigned socket = 0; socket < 2; socket++) {
        const struct settings s = asked_for(!socket, socket);
        struct claim first = {0}, second = {0};
        text_clear(&log_lines);
        assert_int_equal(claim_make(&first, &s), 0);
        assert_int_equal(claim_make(&second, &s), socket ? -EADDRINUSE : -EWOULDBLOCK);
        assert_non_null(strstr(log_lines.data, "another agent uses it"));
        claim_deinit(&second);
        claim_deinit(&first);
    }
}

static void a_socket_that_nobody_chose_may_be_missing(void **state)
{
    (void)state;
    struct settings s = asked_for(true, true);
    s.control.path = "/nowhere/at/all";
    s.control.chosen = false;
    struct claim c = {0};
    text_clear(&log_lines);
    assert_int_equal(claim_make(&c, &s), 0);
    assert_null(c.socket);
    assert_non_null(strstr(c.no_socket.data, "No such file"));
    assert_int_equal(log_lines.size, 0);
    assert_null(c.folders[1]);
    claim_deinit(&c);
}

static void assert_owner(const char *what, const char *user)
{
    struct stat found;
    assert_int_equal(stat(what, &found), 0);
    const struct passwd *wanted = getpwnam(user);
    assert_non_null(wanted);
    assert_int_equal(found.st_uid, wanted->pw_uid);
}

static void what_is_made_is_given_to_the_user_even_if_it_fails(void **state)
{
    (void)state;
    if (geteuid() != 0)
        test_skip("only root can give things away");
    rmdir(run_folder);
    rmdir(state_folder);
    struct settings s = asked_for(true, true);
    s.user.name = "nobody";
    s.control.group = "no-such-group";
    struct claim c = {0};
    text_clear(&log_lines);
    assert_int_equal(claim_make(&c, &s), -ENOENT);
    assert_non_null(strstr(log_lines.data, "there is no group no-such-group"));
    assert_owner(run_folder, "nobody");
    assert_owner(state_folder, "nobody");
    claim_deinit(&c);

    s.control.group = NULL;
    c = (struct claim){0};
    assert_int_equal(claim_make(&c, &s), 0);
    assert_owner(path, "nobody");
    claim_deinit(&c);
}

static void a_user_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    if (geteuid() != 0)
        test_skip("only root becomes another user");
    struct settings s = asked_for(false, false);
    s.user.name = "no-such-user";
    struct claim c = {0};
    text_clear(&log_lines);
    assert_int_equal(claim_make(&c, &s), -ENOENT);
    assert_non_null(strstr(log_lines.data, "there is no user no-such-user"));
}

/* Also when a test is skipped. */
static void clean_up(void)
{
    log_set_writer(NULL, NULL);
    text_deinit(&log_lines);
    rmdir(run_folder);
    rmdir(state_folder);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_are_made_and_go),
        cmocka_unit_test(nothing_is_made_that_is_not_wanted),
        cmocka_unit_test(each_is_for_one_agent),
        cmocka_unit_test(a_socket_that_nobody_chose_may_be_missing),
        cmocka_unit_test(what_is_made_is_given_to_the_user_even_if_it_fails),
        cmocka_unit_test(a_user_that_is_not_there_is_an_error),
    };
    if (!mkdtemp(folder))
        return 1;
    snprintf(run_folder, sizeof(run_folder), "%s/run", folder);
    snprintf(state_folder, sizeof(state_folder), "%s/state", folder);
    snprintf(path, sizeof(path), "%s/run/c.sock", folder);
    log_set_writer(take_line, NULL);
    atexit(clean_up);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
