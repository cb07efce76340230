#include "io/syslog_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <syslog.h>

#include <cmocka.h>

#include "base/macros.h"

static void addresses_are_read(void **state)
{
    (void)state;
    struct syslog_address a;
    assert_null(syslog_address_parse(&a, "local"));
    assert_true(a.local);
    assert_null(syslog_address_parse(&a, "udp://[::1]"));
    assert_false(a.local);
    assert_string_equal(a.endpoint.port, "514");
    assert_null(syslog_address_parse(&a, "tcp://logs.example.com"));
    assert_int_equal(a.endpoint.transport, ENDPOINT_TCP);
    assert_string_equal(a.endpoint.port, "601");
    assert_null(syslog_address_parse(&a, "tcp://logs.example.com:6514"));
    assert_string_equal(a.endpoint.port, "6514");
    assert_string_equal(a.endpoint.host, "logs.example.com");

    static const char *const wrong[] = {"", "unix:///dev/log", "tcp://", "udp://h:0", "tls://h"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_non_null(syslog_address_parse(&a, wrong[i]));
    assert_string_equal(a.endpoint.port, "6514");
}

static void facilities_are_found_by_name(void **state)
{
    (void)state;
    int facility = -1;
    assert_true(syslog_facility_find(&facility, "daemon"));
    assert_int_equal(facility, LOG_DAEMON);
    assert_true(syslog_facility_find(&facility, "local7"));
    assert_int_equal(facility, LOG_LOCAL7);
    static const char *const wrong[] = {"", "mark", "Daemon", "local8", "info"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(syslog_facility_find(&facility, wrong[i]));
    assert_int_equal(facility, LOG_LOCAL7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(facilities_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
