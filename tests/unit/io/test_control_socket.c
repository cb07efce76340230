#include "io/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_control_socket.XXXXXX";
static char below[64];
static char path[64];

static struct control_socket *opened(void)
{
    AUTO(text_deinit) struct text error = {0};
    struct control_socket *s = NULL;
    if (control_socket_open(&s, path, NULL, &error) < 0)
        fail_msg("%s", error.data);
    return s;
}

static void assert_not_opened(const char *group, int why, const char *words)
{
    AUTO(text_deinit) struct text error = {0};
    struct control_socket *s = NULL;
    assert_int_equal(control_socket_open(&s, path, group, &error), why);
    assert_null(s);
    if (!strstr(error.data, words))
        fail_msg("%s", error.data);
}

static void it_goes_with_its_owner(void **state)
{
    (void)state;
    struct control_socket *s = opened();
    assert_string_equal(control_socket_path(s), path);
    assert_string_equal(control_socket_folder(s), below);
    int fd = control_socket_take_descriptor(s);
    control_socket_close(s);
    assert_return_code(fcntl(fd, F_GETFD), errno);
    close(fd);
    assert_int_equal(access(path, F_OK), -1);
}

static void only_owner_and_group_may_connect(void **state)
{
    (void)state;
    struct stat found;
    mode_t before = umask(0);
    struct control_socket *s = opened();
    assert_int_equal(umask(before), 0);
    assert_return_code(stat(path, &found), errno);
    assert_int_equal(found.st_mode & 07777, 0660);
    control_socket_close(s);

    assert_not_opened("no such group", -ENOENT, "there is no group no such group");
    assert_int_equal(access(path, F_OK), -1);
}

static void only_a_dead_socket_is_replaced(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
    close(fd);
    struct control_socket *s = opened();
    assert_not_opened(NULL, -EADDRINUSE, "another agent uses it");
    assert_not_opened(NULL, -EADDRINUSE, "another agent uses it"); /* though nobody accepts */
    assert_int_equal(access(path, F_OK), 0);
    control_socket_close(s);

    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_not_opened(NULL, -EEXIST, "no socket");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_with_its_owner),
        cmocka_unit_test(only_owner_and_group_may_connect),
        cmocka_unit_test(only_a_dead_socket_is_replaced),
    };
    if (!mkdtemp(folder))
        return 1;
    snprintf(below, sizeof(below), "%s/sub", folder);
    snprintf(path, sizeof(path), "%s/sub/c.sock", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(below);
    rmdir(folder);
    return failed;
}
