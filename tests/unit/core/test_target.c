#include "core/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "support/guard.h"

static struct guard guard;

static void assert_bytes(struct bytes b, const char *expected)
{
    if (!bytes_equal(b, bytes_from_string(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)b.size, (const char *)b.data, expected);
}

static void assert_parts(const char *raw, const char *host, const char *path, const char *query)
{
    struct target t;
    target_split(&t, guard_copy(&guard, bytes_from_string(raw)));
    assert_bytes(t.host, host);
    assert_bytes(t.path, path);
    assert_bytes(t.query, query);
}

static void origin_form(void **state)
{
    (void)state;
    assert_parts("/", "", "/", "");
    assert_parts("/x?s=yo", "", "/x", "s=yo");
    assert_parts("/x?", "", "/x", "");
    assert_parts("/x?a?b", "", "/x", "a?b");
    assert_parts("//h/x", "", "//h/x", "");
    assert_parts("/http://h/?a", "", "/http://h/", "a");
}

static void absolute_form(void **state)
{
    (void)state;
    assert_parts("http://h/x?q", "h", "/x", "q");
    assert_parts("HTTPS://h:443/x", "h", "/x", "");
    assert_parts("coap+tcp://h.:/", "h", "/", "");
    assert_parts("http://user:pass@h:80/x", "h", "/x", "");
    assert_parts("http://a@b@h/@c", "h", "/@c", "");
    assert_parts("http://[::1]:8080/x", "[::1]", "/x", "");
    assert_parts("http://[::1]/x", "[::1]", "/x", "");
    assert_parts("http:///x", "", "/x", "");
}

static void absolute_form_without_path_has_the_root(void **state)
{
    (void)state;
    assert_parts("http://h", "h", "/", "");
    assert_parts("http://h?q=/", "h", "/", "q=/");
    assert_parts("http://", "", "/", "");
}

static void authority_form_is_a_host(void **state)
{
    (void)state;
    assert_parts("h.example:443", "h.example", "", "");
    assert_parts("[::1]:443", "[::1]", "", "");
    assert_parts("h.:443", "h", "", "");
}

static void what_is_no_target_has_no_parts(void **state)
{
    (void)state;
    const char *none[] = {"",       "*",      "h",          "x?s=yo", "?s=yo",
                          "h:80/x", "u@h:80", "1http://h/", "://h/"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_parts(none[i], "", "", "");
}

static void the_fragment_is_no_part(void **state)
{
    (void)state;
    assert_parts("/x#?s=yo", "", "/x", "");
    assert_parts("/x?a#b?c", "", "/x", "a");
    assert_parts("http://h#/x", "h", "/", "");
    assert_parts("#", "", "", "");
}

static void host_is_without_port_dot_and_blanks(void **state)
{
    (void)state;
    assert_bytes(target_host(BYTES(" \ta.b:80 ")), "a.b");
    assert_bytes(target_host(BYTES("a.b.")), "a.b");
    assert_bytes(target_host(BYTES("a.b..")), "a.b.");
    assert_bytes(target_host(BYTES("a.b:8x")), "a.b:8x");
    assert_bytes(target_host(BYTES("[::1]")), "[::1]");
    assert_bytes(target_host(BYTES(":80")), "");
    assert_bytes(target_host(BYTES(" ")), "");
}

static void segments_come_in_order(void **state)
{
    (void)state;
    struct bytes path = BYTES("/a//b/"), segment;
    const char *expected[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(target_take_segment(&path, &segment));
        assert_bytes(segment, expected[i]);
    }
    assert_false(target_take_segment(&path, &segment));
}

static void parameters_come_from_the_end(void **state)
{
    (void)state;
    struct bytes query = BYTES("a=1&b&&=c&d=e=f");
    const char *expected[][2] = {{"d", "e=f"}, {"", "c"}, {"", ""}, {"b", ""}, {"a", "1"}};
    struct target_parameter p;
    for (size_t i = 0; i < 5; i++) {
        assert_true(target_take_last_parameter(&query, &p));
        assert_bytes(p.name, expected[i][0]);
        assert_bytes(p.value, expected[i][1]);
    }
    assert_false(target_take_last_parameter(&query, &p));
}

/* Reads nothing past the end, comes to an end. */
static void any_bytes_are_taken(void **state)
{
    (void)state;
    static const char alphabet[] = "/?#&=:@.%[]*ah0 \t";
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        uint8_t raw[32];
        size_t size = (size_t)rand() % sizeof(raw);
        for (size_t i = 0; i < size; i++)
            raw[i] = (uint8_t)alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];

        struct target t;
        struct target_parameter p;
        struct bytes segment;
        target_split(&t, guard_copy(&guard, bytes_make(raw, size)));
        target_host(guard_copy(&guard, bytes_make(raw, size)));
        while (target_take_last_parameter(&t.query, &p))
            ;
        while (target_take_segment(&t.path, &segment))
            ;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origin_form),
        cmocka_unit_test(absolute_form),
        cmocka_unit_test(absolute_form_without_path_has_the_root),
        cmocka_unit_test(authority_form_is_a_host),
        cmocka_unit_test(what_is_no_target_has_no_parts),
        cmocka_unit_test(the_fragment_is_no_part),
        cmocka_unit_test(host_is_without_port_dot_and_blanks),
        cmocka_unit_test(segments_come_in_order),
        cmocka_unit_test(parameters_come_from_the_end),
        cmocka_unit_test(any_bytes_are_taken),
    };
    guard_init(&guard, 64);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_deinit(&guard);
    return failed;
}
