#include "core/counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

/* The structs hold nothing but counters, so a test can see them as arrays. */
enum {
    SERVICE_COUNTERS = sizeof(struct service_counts) / sizeof(uint64_t),
    INTERFACE_COUNTERS = sizeof(struct interface_counts) / sizeof(uint64_t),
};

/* Every counter gets a number of its own. */
static void fill(void *counts, unsigned count, uint64_t first)
{
    uint64_t numbers[64];
    for (unsigned i = 0; i < count; i++)
        numbers[i] = first + i * i;
    memcpy(counts, numbers, count * sizeof(numbers[0]));
}

static void check(const void *counts, unsigned count, uint64_t first, uint64_t factor)
{
    uint64_t numbers[64];
    memcpy(numbers, counts, count * sizeof(numbers[0]));
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(numbers[i], first + factor * i * i);
}

static void adding_a_service_adds_every_counter(void **state)
{
    (void)state;
    struct service_counts a, b;
    fill(&a, SERVICE_COUNTERS, 1000);
    fill(&b, SERVICE_COUNTERS, 7);
    service_counts_add(&a, &b);
    check(&a, SERVICE_COUNTERS, 1007, 2);
    check(&b, SERVICE_COUNTERS, 7, 1);
}

static void difference_of_services_takes_every_counter(void **state)
{
    (void)state;
    struct service_counts sum, b;
    fill(&sum, SERVICE_COUNTERS, 1000);
    fill(&b, SERVICE_COUNTERS, 7);
    service_counts_add(&sum, &b);
    struct service_counts a = service_counts_difference(&sum, &b);
    check(&a, SERVICE_COUNTERS, 1000, 1);
}

static void adding_an_interface_adds_every_counter(void **state)
{
    (void)state;
    struct interface_counts a, b;
    fill(&a, INTERFACE_COUNTERS, 1000);
    fill(&b, INTERFACE_COUNTERS, 7);
    interface_counts_add(&a, &b);
    check(&a, INTERFACE_COUNTERS, 1007, 2);
    check(&b, INTERFACE_COUNTERS, 7, 1);
}

static void difference_of_interfaces_takes_every_counter(void **state)
{
    (void)state;
    struct interface_counts sum, b;
    fill(&sum, INTERFACE_COUNTERS, 1000);
    fill(&b, INTERFACE_COUNTERS, 7);
    interface_counts_add(&sum, &b);
    struct interface_counts a = interface_counts_difference(&sum, &b);
    check(&a, INTERFACE_COUNTERS, 1000, 1);
}

static void ip_bytes_are_bytes_and_control_of_both_directions(void **state)
{
    (void)state;
    struct service_counts c;
    memset(&c, 0xff, sizeof(c));
    c.direction[DIRECTION_IN].bytes = 1;
    c.direction[DIRECTION_IN].control = 20;
    c.direction[DIRECTION_OUT].bytes = 300;
    c.direction[DIRECTION_OUT].control = 4000;
    assert_int_equal(service_counts_ip_bytes(&c), 4321);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding_a_service_adds_every_counter),
        cmocka_unit_test(difference_of_services_takes_every_counter),
        cmocka_unit_test(adding_an_interface_adds_every_counter),
        cmocka_unit_test(difference_of_interfaces_takes_every_counter),
        cmocka_unit_test(ip_bytes_are_bytes_and_control_of_both_directions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
