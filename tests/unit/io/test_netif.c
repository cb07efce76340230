#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <ifaddrs.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "io/netif.h"

static const struct netif *find_in(const struct netif_list *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->interfaces[i].name, name) == 0)
            return &l->interfaces[i];
    return NULL;
}

static void loopback_is_found(void **state)
{
    (void)state;
    struct netif lo;
    assert_int_equal(netif_find(&lo, "lo"), 0);
    assert_string_equal(lo.name, "lo");
    assert_int_equal(lo.type, ARPHRD_LOOPBACK);
    assert_int_equal(lo.index, if_nametoindex("lo"));
}

static void unknown_interface_is_not_found(void **state)
{
    (void)state;
    struct netif untouched = {.index = -1};
    assert_int_equal(netif_find(&untouched, "no-such-if"), -ENODEV);
    assert_int_equal(netif_find(&untouched, "name-that-no-interface-can-have"), -ENODEV);
    assert_int_equal(netif_find(&untouched, ""), -ENODEV);
    assert_int_equal(untouched.index, -1);
}

static void list_has_what_the_system_says(void **state)
{
    (void)state;
    struct netif_list *l;
    struct ifaddrs *addresses;
    assert_int_equal(netif_list_new(&l), 0);
    assert_int_equal(getifaddrs(&addresses), 0);
    assert_true(l->count > 0);
    for (const struct ifaddrs *a = addresses; a; a = a->ifa_next) {
        /* One a link. Names of other addresses may be labels, such as "eth0:1". */
        if (a->ifa_addr && a->ifa_addr->sa_family == AF_PACKET) {
            const struct netif *n = find_in(l, a->ifa_name);
            assert_non_null(n);
            assert_int_equal(n->up, (a->ifa_flags & IFF_UP) != 0);
        }
    }
    freeifaddrs(addresses);
    netif_list_free(l);
}

static void list_and_find_agree(void **state)
{
    (void)state;
    struct netif_list *l;
    assert_int_equal(netif_list_new(&l), 0);
    for (size_t i = 0; i < l->count; i++) {
        struct netif n;
        assert_int_equal(netif_find(&n, l->interfaces[i].name), 0);
        assert_int_equal(n.index, l->interfaces[i].index);
        assert_int_equal(n.type, l->interfaces[i].type);
        assert_int_equal(n.up, l->interfaces[i].up);
    }
    netif_list_free(l);
}

/* With interfaces of its own, which nobody changes meanwhile, where that is allowed. */
static void try_namespace(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        assert_int_equal(system("ip link add up0 type veth peer name down0 && ip link set up0 up"),
                         0);
}

int main(void)
{
    try_namespace();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_found),
        cmocka_unit_test(unknown_interface_is_not_found),
        cmocka_unit_test(list_has_what_the_system_says),
        cmocka_unit_test(list_and_find_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
