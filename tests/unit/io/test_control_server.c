#include "io/control_server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/control_client.h"

enum { PATIENCE_MS = 10000, BIG_BYTES = 8 << 20 };

static char folder[] = "/tmp/test_control.XXXXXX";
static char path[64];

static bool no_memory;

/* Linked in place of calloc(). Without memory there is none for a client; the rest goes on. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory && size > CONTROL_LINE_MAX ? NULL : __real_calloc(count, size);
}

/*
 * A server whose owner answers "echo" lines at once with what they say, "big"
 * with more than a socket takes, keeps silent on "wait", and tells lines without
 * end on "watch".
 */
struct lab {
    uv_loop_t loop;
    struct control_server *server;
    unsigned asked; /* requests so far */
    unsigned gone;
    unsigned last; /* client that asked */
};

static void answer(struct lab *l, unsigned client, const char *words, bool more)
{
    struct text line = {0};
    text_printf(&line, "%s\n", words);
    control_server_send(l->server, client, &line, more);
}

static void on_ask(void *context, unsigned client, struct bytes line)
{
    struct lab *l = context;
    char words[CONTROL_LINE_MAX];
    memcpy(words, line.data, line.size);
    words[line.size] = '\0';
    l->asked++;
    l->last = client;
    if (strcmp(words, "wait") == 0)
        return;
    struct text big = {0};
    while (strcmp(words, "big") == 0 && big.size < BIG_BYTES)
        text_add_string(&big, "................................................................");
    if (big.size) {
        text_add_char(&big, '\n');
        control_server_send(l->server, client, &big, false);
        return;
    }
    answer(l, client, words, strcmp(words, "watch") == 0);
}

static void on_gone(void *context, unsigned client)
{
    struct lab *l = context;
    (void)client;
    l->gone++;
}

static void lab_init_with(struct lab *l, struct control_server_options options)
{
    *l = (struct lab){0};
    assert_int_equal(uv_loop_init(&l->loop), 0);
    AUTO(text_deinit) struct text error = {0};
    if (control_socket_open(&options.socket, path, NULL, &error) < 0)
        fail_msg("%s", error.data);
    options.ask = on_ask;
    options.gone = on_gone;
    options.context = l;
    assert_int_equal(control_server_new(&l->server, &l->loop, &options), 0);
}

static void lab_init(struct lab *l)
{
    lab_init_with(l, (struct control_server_options){0});
}

static void lab_deinit(struct lab *l)
{
    control_server_close(l->server);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&l->loop), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static int connected(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_return_code(fd, errno);
    assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof(address)), errno);
    return fd;
}

static void say(int fd, const char *words)
{
    assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
}

/* Run the loop until @fd has a line or its end, for which it returns NULL. Valid until the next. */
static const char *heard(struct lab *l, int fd)
{
    static char line[4096];
    size_t size = 0;
    uint64_t end_ms = uv_hrtime() / 1000000 + PATIENCE_MS;
    while (uv_hrtime() / 1000000 < end_ms) {
        uv_run(&l->loop, UV_RUN_NOWAIT);
        while (size < sizeof(line) - 1) {
            ssize_t got = recv(fd, line + size, 1, 0);
            if (got == 0 || (got < 0 && errno == ECONNRESET))
                return NULL;
            if (got < 0)
                break;
            size++;
            if (line[size - 1] != '\n')
                continue;
            line[size - 1] = '\0';
            return line;
        }
        usleep(1000);
    }
    fail_msg("nothing was heard");
    return NULL;
}

static void turn(struct lab *l)
{
    for (int i = 0; i < 20; i++) {
        uv_run(&l->loop, UV_RUN_NOWAIT);
        usleep(500);
    }
}

static void a_line_is_answered(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    int fd = connected();
    say(fd, "hello\n");
    assert_string_equal(heard(&l, fd), "hello");
    say(fd, "again\n");
    assert_string_equal(heard(&l, fd), "again");
    close(fd);
    turn(&l);
    assert_int_equal(l.gone, 1);
    lab_deinit(&l);
}

static void lines_come_in_any_pieces(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    int fd = connected();
    for (const char *c = "one\ntwo\nthree"; *c; c++) {
        say(fd, (char[]){*c, '\0'});
        uv_run(&l.loop, UV_RUN_NOWAIT);
    }
    say(fd, "\n");
    assert_string_equal(heard(&l, fd), "one");
    assert_string_equal(heard(&l, fd), "two");
    assert_string_equal(heard(&l, fd), "three");
    say(fd, "a\nb\n\nc\n");
    assert_string_equal(heard(&l, fd), "a");
    assert_string_equal(heard(&l, fd), "b");
    assert_string_equal(heard(&l, fd), "");
    assert_string_equal(heard(&l, fd), "c");
    close(fd);
    lab_deinit(&l);
}

static void one_request_is_worked_on_at_a_time(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    int fd = connected();
    say(fd, "wait\nnext\n");
    turn(&l);
    assert_int_equal(l.asked, 1);
    answer(&l, l.last, "now", false);
    assert_string_equal(heard(&l, fd), "now");
    assert_string_equal(heard(&l, fd), "next");
    close(fd);
    lab_deinit(&l);
}

static void who_has_said_all_is_still_answered(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    int fd = connected();
    say(fd, "wait\nmore\nhalf a line");
    shutdown(fd, SHUT_WR);
    turn(&l);
    assert_int_equal(l.gone, 0);
    answer(&l, l.last, "now", false);
    assert_string_equal(heard(&l, fd), "now");
    assert_string_equal(heard(&l, fd), "more");
    assert_null(heard(&l, fd));
    assert_int_equal(l.asked, 2);
    assert_int_equal(l.gone, 1);
    close(fd);
    lab_deinit(&l);
}

static void a_line_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    int fd = connected();
    char *line = malloc(CONTROL_LINE_MAX + 1);
    memset(line, 'x', CONTROL_LINE_MAX);
    line[CONTROL_LINE_MAX] = '\0';
    say(fd, line);
    say(fd, "more\n");
    assert_non_null(strstr(heard(&l, fd), "\"error\""));
    assert_null(heard(&l, fd));
    assert_int_equal(l.asked, 0);
    assert_int_equal(l.gone, 1);
    close(fd);

    fd = connected(); /* a byte less is the longest */
    line[CONTROL_LINE_MAX - 1] = '\n';
    say(fd, line);
    for (uint64_t end = uv_hrtime() + PATIENCE_MS * 1000000ull; !l.asked && uv_hrtime() < end;)
        turn(&l);
    assert_int_equal(l.asked, 1);
    close(fd);
    free(line);
    lab_deinit(&l);
}

static void who_asks_nothing_is_closed(void **state)
{
    (void)state;
    struct lab l;
    lab_init_with(&l, (struct control_server_options){.silence_ms = 50});
    int silent = connected(), slow = connected();
    say(slow, "never ");
    assert_null(heard(&l, silent));
    assert_null(heard(&l, slow));
    assert_int_equal(l.gone, 2);

    int waiting = connected(), watching = connected(); /* it is not their turn */
    say(waiting, "wait\n");
    say(watching, "watch\n");
    assert_string_equal(heard(&l, watching), "watch");
    for (int i = 0; i < 20; i++)
        turn(&l);
    assert_int_equal(l.gone, 2);
    close(silent);
    close(slow);
    close(waiting);
    close(watching);
    lab_deinit(&l);
}

static void who_takes_nothing_is_closed(void **state)
{
    (void)state;
    struct lab l;
    lab_init_with(&l, (struct control_server_options){.patience_ms = 100});
    int greedy = connected(), other = connected();
    say(greedy, "big\n");
    turn(&l);
    assert_true(control_server_is_sending(l.server, l.last));
    say(other, "hello\n"); /* nobody waits for it */
    assert_string_equal(heard(&l, other), "hello");
    for (uint64_t end = uv_hrtime() + PATIENCE_MS * 1000000ull; !l.gone && uv_hrtime() < end;)
        turn(&l);
    assert_int_equal(l.gone, 1);
    close(greedy);
    close(other);
    lab_deinit(&l);
}

static void a_reply_larger_than_the_socket_arrives_whole(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    struct control_client *c;
    struct bytes line;
    assert_int_equal(control_client_open(&c, path), 0);
    assert_int_equal(control_client_ask(c, "big"), 0);
    int r = CONTROL_CLIENT_NONE;
    uint64_t end = uv_hrtime() + PATIENCE_MS * 1000000ull;
    while (r == CONTROL_CLIENT_NONE && uv_hrtime() < end) {
        uv_run(&l.loop, UV_RUN_NOWAIT);
        r = control_client_take(c, 0, &line);
    }
    assert_int_equal(r, CONTROL_CLIENT_LINE);
    assert_true(line.size >= BIG_BYTES);
    assert_int_equal(line.data[line.size - 1], '.');
    assert_int_equal(control_client_take(c, 1, &line), CONTROL_CLIENT_NONE);
    control_server_close(l.server);
    uv_run(&l.loop, UV_RUN_DEFAULT);
    assert_int_equal(control_client_take(c, 1, &line), -ECONNRESET);
    control_client_close(c);
    uv_loop_close(&l.loop);
}

static void clients_past_the_bound_are_turned_away(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    int fds[CONTROL_CLIENTS_MAX];
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        fds[i] = connected();
        say(fds[i], "hello\n");
        assert_string_equal(heard(&l, fds[i]), "hello");
    }
    int late = connected();
    assert_string_equal(heard(&l, late), "{\"error\":\"too many clients\"}");
    assert_null(heard(&l, late));
    close(late);
    assert_int_equal(l.gone, 0);
    close(fds[7]);
    turn(&l);
    int next = connected();
    say(next, "hello\n");
    assert_string_equal(heard(&l, next), "hello");
    assert_int_equal(l.last, 7);
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (i != 7)
            close(fds[i]);
    close(next);
    lab_deinit(&l);
}

static void without_memory_a_client_waits(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    no_memory = true;
    int first = connected(), second = connected();
    say(first, "hello\n");
    say(second, "hello\n");
    turn(&l);
    assert_int_equal(l.asked, 0);
    no_memory = false;
    assert_string_equal(heard(&l, first), "hello");
    assert_string_equal(heard(&l, second), "hello");
    close(first);
    close(second);

    no_memory = true; /* and it may wait when all ends */
    first = connected();
    turn(&l);
    lab_deinit(&l);
    no_memory = false;
    close(first);
}

static void a_watch_ends_with_its_client(void **state)
{
    (void)state;
    struct lab l;
    lab_init(&l);
    int fd = connected();
    say(fd, "watch\n");
    assert_string_equal(heard(&l, fd), "watch");
    answer(&l, l.last, "unasked", true);
    assert_string_equal(heard(&l, fd), "unasked");
    say(fd, "hello\n");
    assert_string_equal(heard(&l, fd), "hello");
    say(fd, "watch\n");
    assert_string_equal(heard(&l, fd), "watch");
    shutdown(fd, SHUT_WR);
    assert_null(heard(&l, fd));
    assert_int_equal(l.gone, 1);
    close(fd);
    lab_deinit(&l);
}

static void the_client_says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        int error;
        const char *words;
    } cases[] = {
        {-ENOENT, "no such socket"},
        {-ECONNREFUSED, "no agent runs"},
        {-EACCES, "permission denied"},
        {-ETIMEDOUT, "does not answer"},
        {-ECONNRESET, "closed the connection"},
        {-EMSGSIZE, "too long"},
    };
    struct control_client *c = NULL;
    assert_int_equal(control_client_open(&c, path), -ENOENT);
    char long_path[CONTROL_PATH_MAX + 2];
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(control_client_open(&c, long_path), -ENAMETOOLONG);
    assert_null(c);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(text_deinit) struct text t = {0};
        control_client_describe(&t, "/p", cases[i].error);
        if (!strstr(t.data, cases[i].words))
            fail_msg("%s", t.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_answered),
        cmocka_unit_test(lines_come_in_any_pieces),
        cmocka_unit_test(one_request_is_worked_on_at_a_time),
        cmocka_unit_test(who_has_said_all_is_still_answered),
        cmocka_unit_test(a_line_that_is_too_long_is_refused),
        cmocka_unit_test(who_asks_nothing_is_closed),
        cmocka_unit_test(who_takes_nothing_is_closed),
        cmocka_unit_test(a_reply_larger_than_the_socket_arrives_whole),
        cmocka_unit_test(clients_past_the_bound_are_turned_away),
        cmocka_unit_test(without_memory_a_client_waits),
        cmocka_unit_test(a_watch_ends_with_its_client),
        cmocka_unit_test(the_client_says_what_is_wrong),
    };
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof(path), "%s/sub/c.sock", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    snprintf(path, sizeof(path), "%s/sub", folder);
    rmdir(path);
    rmdir(folder);
    return failed;
}
