#include "io/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

static void assert_endpoint(const char *text, enum endpoint_transport transport, const char *host,
                            const char *port)
{
    struct endpoint e;
    const char *wrong = endpoint_parse(&e, text, "8125");
    if (wrong)
        fail_msg("%s %s", text, wrong);
    assert_int_equal(e.transport, transport);
    assert_string_equal(e.host, host);
    assert_string_equal(e.port, port);
}

static void assert_wrong(const char *text, const char *said)
{
    struct endpoint e = {.host = "untouched"};
    const char *wrong = endpoint_parse(&e, text, NULL);
    assert_non_null(wrong);
    if (!strstr(wrong, said))
        fail_msg("%s %s", text, wrong);
    assert_string_equal(e.host, "untouched");
}

static void address_and_port(void **state)
{
    (void)state;
    assert_endpoint("127.0.0.1:9125", ENDPOINT_UDP, "127.0.0.1", "9125");
    assert_endpoint("[::1]:9125", ENDPOINT_UDP, "::1", "9125");
    assert_endpoint("[fe80::1%eth0]:1", ENDPOINT_UDP, "fe80::1%eth0", "1");
    assert_endpoint("metrics.example.com:65535", ENDPOINT_UDP, "metrics.example.com", "65535");
}

static void transport_is_named_before_it(void **state)
{
    (void)state;
    assert_endpoint("udp://dd.internal:8126", ENDPOINT_UDP, "dd.internal", "8126");
    assert_endpoint("tcp://[::1]:514", ENDPOINT_TCP, "::1", "514");
    assert_endpoint("unix:///var/run/datadog/dsd.socket", ENDPOINT_UNIX,
                    "/var/run/datadog/dsd.socket", "");
}

static void port_has_a_default(void **state)
{
    (void)state;
    assert_endpoint("127.0.0.1", ENDPOINT_UDP, "127.0.0.1", "8125");
    assert_endpoint("[::1]", ENDPOINT_UDP, "::1", "8125");
    assert_endpoint("udp://host", ENDPOINT_UDP, "host", "8125");
    assert_wrong("127.0.0.1", "no port");
    assert_wrong("[::1]", "no port");
}

static void what_is_no_endpoint_is_said(void **state)
{
    (void)state;
    assert_wrong("", "no host");
    assert_wrong(":8125", "no host");
    assert_wrong("[]:8125", "no host");
    assert_wrong("a b:8125", "no host");
    assert_wrong("user@host:8125", "no host");
    assert_wrong("host/path:8125", "no host");
    assert_wrong("h\xc3\xb6st:8125", "no host");
    assert_wrong("::1:8125", "without brackets");
    assert_wrong("[::1:8125", "brackets");
    assert_wrong("[::1]8125", "brackets");
    assert_wrong("host:", "no number");
    assert_wrong("host:80x", "no number");
    assert_wrong("host:-1", "no number");
    assert_wrong("host:123456", "no number");
    assert_wrong("host:0", "1 to 65535");
    assert_wrong("host:65536", "1 to 65535");
    assert_wrong("http://host:80", "udp://");
    assert_wrong("unix://relative", "root");
}

static void what_is_too_long_is_said(void **state)
{
    (void)state;
    char text[400];
    snprintf(text, sizeof(text), "unix:///%0*d", 106, 0);
    struct endpoint e;
    assert_null(endpoint_parse(&e, text, NULL));
    snprintf(text, sizeof(text), "unix:///%0*d", 107, 0);
    assert_wrong(text, "too long");
    snprintf(text, sizeof(text), "%0*d:1", 253, 0);
    assert_null(endpoint_parse(&e, text, NULL));
    snprintf(text, sizeof(text), "%0*d:1", 254, 0);
    assert_wrong(text, "too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_and_port),         cmocka_unit_test(transport_is_named_before_it),
        cmocka_unit_test(port_has_a_default),       cmocka_unit_test(what_is_no_endpoint_is_said),
        cmocka_unit_test(what_is_too_long_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
