#include "io/resolver.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A name that no resolver asks anyone for: its first label is too long. */
#define IMPOSSIBLE "a123456789012345678901234567890123456789012345678901234567890123456789.example"

/* A name whose lookup hangs until go_on is posted. */
#define HANGING "hangs.test"

static sem_t hangs, go_on;

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* In place of the C library's. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
{
    if (strcmp(name, HANGING) == 0 && !(hints->ai_flags & AI_NUMERICHOST)) {
        sem_post(&hangs);
        sem_wait(&go_on);
        name = "127.0.0.1";
    }
    getaddrinfo_fn *real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, list);
}

struct trial {
    uv_loop_t loop;
    struct resolver *resolver;
    unsigned news;
};

static void on_news(void *context)
{
    struct trial *l = context;
    l->news++;
}

static void begin(struct trial *l, const char *text)
{
    *l = (struct trial){0};
    struct endpoint e;
    assert_null(endpoint_parse(&e, text, NULL));
    uv_loop_init(&l->loop);
    assert_int_equal(resolver_new(&l->resolver, &l->loop, &e, on_news, l), 0);
}

static void end(struct trial *l)
{
    l->resolver = resolver_close(l->resolver);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&l->loop), 0);
}

static const struct resolver_address *only_address(const struct trial *l)
{
    const struct resolver_addresses *a = resolver_addresses(l->resolver);
    assert_int_equal(a->count, 1);
    return &a->at[0];
}

static void address_is_known_at_once(void **state)
{
    (void)state;
    struct trial l;
    begin(&l, "127.0.0.1:8125");
    const struct resolver_address *a = only_address(&l);
    assert_int_equal(a->ipv4.sin_family, AF_INET);
    assert_int_equal(ntohs(a->ipv4.sin_port), 8125);
    assert_int_equal(ntohl(a->ipv4.sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(a->size, sizeof(a->ipv4));
    uv_run(&l.loop, UV_RUN_DEFAULT);
    assert_int_equal(l.news, 0);
    end(&l);
}

static void ipv6_address_is_known_at_once(void **state)
{
    (void)state;
    struct trial l;
    begin(&l, "tcp://[::1]:514");
    const struct resolver_address *a = only_address(&l);
    assert_int_equal(a->ipv6.sin6_family, AF_INET6);
    assert_int_equal(ntohs(a->ipv6.sin6_port), 514);
    assert_memory_equal(&a->ipv6.sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback));
    end(&l);
}

static void path_is_known_at_once(void **state)
{
    (void)state;
    struct trial l;
    begin(&l, "unix:///run/x.socket");
    const struct resolver_address *a = only_address(&l);
    assert_int_equal(a->path.sun_family, AF_UNIX);
    assert_string_equal(a->path.sun_path, "/run/x.socket");
    end(&l);
}

static void name_is_looked_up(void **state)
{
    (void)state;
    struct trial l;
    begin(&l, "localhost:8125");
    assert_int_equal(resolver_addresses(l.resolver)->count, 0);
    while (l.news == 0)
        uv_run(&l.loop, UV_RUN_ONCE);
    assert_int_equal(resolver_error(l.resolver), 0);
    const struct resolver_addresses *a = resolver_addresses(l.resolver);
    assert_true(a->count > 0);
    for (size_t i = 0; i < a->count; i++) {
        bool ipv4 = a->at[i].any.sa_family == AF_INET;
        in_port_t port = ipv4 ? a->at[i].ipv4.sin_port : a->at[i].ipv6.sin6_port;
        assert_int_equal(ntohs(port), 8125);
    }
    end(&l);
}

static void name_that_is_not_known_is_an_error(void **state)
{
    (void)state;
    struct trial l;
    begin(&l, IMPOSSIBLE ":8125");
    while (l.news == 0)
        uv_run(&l.loop, UV_RUN_ONCE);
    assert_true(resolver_error(l.resolver) < 0);
    assert_int_equal(resolver_addresses(l.resolver)->count, 0);
    end(&l);
}

static void lookup_can_be_left_alone(void **state)
{
    (void)state;
    struct trial l;
    begin(&l, "localhost:8125");
    uv_run(&l.loop, UV_RUN_NOWAIT); /* it runs now, or has just ended */
    unsigned news = l.news;
    end(&l);
    assert_int_equal(l.news, news);
    begin(&l, "localhost:8125");
    end(&l);
    assert_int_equal(l.news, 0);
}

static void lookup_that_hangs_does_not_hold_up_the_end(void **state)
{
    (void)state;
    struct trial l;
    begin(&l, HANGING ":8125");
    while (sem_trywait(&hangs) < 0)
        uv_run(&l.loop, UV_RUN_NOWAIT);
    end(&l);
    assert_int_equal(l.news, 0);
    sem_post(&go_on); /* it ends now, and cleans up behind itself */

    begin(&l, HANGING ":8125");
    sem_post(&go_on);
    while (l.news == 0)
        uv_run(&l.loop, UV_RUN_ONCE);
    only_address(&l);
    end(&l);
}

int main(void)
{
    sem_init(&hangs, 0, 0);
    sem_init(&go_on, 0, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_is_known_at_once),
        cmocka_unit_test(ipv6_address_is_known_at_once),
        cmocka_unit_test(path_is_known_at_once),
        cmocka_unit_test(name_is_looked_up),
        cmocka_unit_test(name_that_is_not_known_is_an_error),
        cmocka_unit_test(lookup_can_be_left_alone),
        cmocka_unit_test(lookup_that_hangs_does_not_hold_up_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
