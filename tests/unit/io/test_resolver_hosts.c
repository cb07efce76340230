/*
 * Names that come and move, in a mount namespace with an /etc/hosts of its own.
 * Waits as long as the resolver does: about 20 seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/datagram_socket.h"
#include "io/resolver.h"
#include "support/skip.h"

static char hosts[] = "/tmp/httpacct-hosts-XXXXXX";
static char sources[] = "/tmp/httpacct-nsswitch-XXXXXX";

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void cover(const char *path, char *template)
{
    int fd = mkstemp(template);
    if (fd < 0 || mount(template, path, NULL, MS_BIND, NULL) < 0)
        test_skip("%s can't be covered: %s", path, strerror(errno));
    close(fd);
}

/* Nothing but our /etc/hosts is asked. */
static void enter_namespace(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        test_skip("no mount namespace: %s", strerror(errno));
    cover("/etc/nsswitch.conf", sources);
    cover("/etc/hosts", hosts);
    write_file(sources, "hosts: files\n");
}

static void on_news(void *context)
{
    unsigned *news = context;
    ++*news;
}

static void wait_for_news(uv_loop_t *loop, unsigned *news)
{
    for (unsigned before = *news; *news == before;)
        uv_run(loop, UV_RUN_ONCE);
}

static void assert_only_address(const struct resolver *r, const char *expected)
{
    const struct resolver_addresses *a = resolver_addresses(r);
    assert_int_equal(a->count, 1);
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &a->at[0].ipv4.sin_addr, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void name_is_looked_up_until_it_is_there_and_when_it_does_not_answer(void **state)
{
    (void)state;
    write_file(hosts, "127.0.0.1 other.test\n");
    uv_loop_t loop;
    uv_loop_init(&loop);
    unsigned news = 0;
    struct endpoint e;
    assert_null(endpoint_parse(&e, "receiver.test:8125", NULL));
    struct resolver *r;
    assert_int_equal(resolver_new(&r, &loop, &e, on_news, &news), 0);

    wait_for_news(&loop, &news);
    assert_true(resolver_error(r) < 0);
    write_file(hosts, "127.0.0.7 receiver.test\n");
    wait_for_news(&loop, &news);
    assert_int_equal(resolver_error(r), 0);
    assert_only_address(r, "127.0.0.7");

    write_file(hosts, "127.0.0.8 receiver.test\n");
    resolver_retry(r);
    wait_for_news(&loop, &news);
    assert_only_address(r, "127.0.0.8");

    resolver_close(r);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* It is refused at the first one, which it can't know before it has sent. */
static void receiver_at_the_second_address_is_found(void **state)
{
    (void)state;
    write_file(hosts, "::1 receiver.test\n127.0.0.1 receiver.test\n");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_return_code(bind(receiver, (struct sockaddr *)&address, size), errno);
    getsockname(receiver, (struct sockaddr *)&address, &size);

    uv_loop_t loop;
    uv_loop_init(&loop);
    unsigned news = 0;
    struct endpoint e;
    char text[64];
    snprintf(text, sizeof(text), "receiver.test:%u", ntohs(address.sin_port));
    assert_null(endpoint_parse(&e, text, NULL));
    struct resolver *r;
    assert_int_equal(resolver_new(&r, &loop, &e, on_news, &news), 0);
    wait_for_news(&loop, &news);
    assert_int_equal(resolver_addresses(r)->count, 2);

    struct datagram_socket s;
    datagram_socket_init(&s, r);
    assert_int_equal(datagram_socket_connect(&s), 0);
    assert_int_equal(s.address.any.sa_family, AF_INET6);
    assert_int_equal(datagram_socket_send(&s, "a", 1), 0);
    assert_int_equal(datagram_socket_check(&s), -ECONNREFUSED);
    assert_int_equal(datagram_socket_connect(&s), 0);
    assert_int_equal(datagram_socket_send(&s, "b", 1), 0);
    assert_int_equal(datagram_socket_check(&s), 0);
    char got[2];
    assert_int_equal(recv(receiver, got, sizeof(got), 0), 1);
    assert_int_equal(got[0], 'b');

    datagram_socket_deinit(&s);
    close(receiver);
    resolver_close(r);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    enter_namespace();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_is_looked_up_until_it_is_there_and_when_it_does_not_answer),
        cmocka_unit_test(receiver_at_the_second_address_is_found),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(hosts);
    unlink(sources);
    return failed;
}
