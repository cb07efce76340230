#include "core/percent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/guard.h"

static struct guard guard;

static void assert_decodes(struct bytes encoded, enum percent_kind kind, struct bytes plain)
{
    uint8_t decoded[64];
    struct bytes guarded = guard_copy(&guard, encoded);
    size_t size = percent_decode(decoded, guarded, kind);
    assert_true(bytes_equal(bytes_make(decoded, size), plain));
    assert_true(percent_equal(guarded, plain, kind));
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    assert_decodes(BYTES("a%41%2fb%2F"), PERCENT_URI, BYTES("aA/b/"));
    assert_decodes(BYTES("%00%ff"), PERCENT_FORM, BYTES("\0\xff"));
    assert_decodes(BYTES("%2541"), PERCENT_FORM, BYTES("%41"));
    assert_decodes(BYTES(""), PERCENT_FORM, BYTES(""));
}

static void malformed_escapes_stay(void **state)
{
    (void)state;
    assert_decodes(BYTES("%"), PERCENT_URI, BYTES("%"));
    assert_decodes(BYTES("%4"), PERCENT_URI, BYTES("%4"));
    assert_decodes(BYTES("%4g%g4%%41"), PERCENT_URI, BYTES("%4g%g4%A"));
}

static void plus_is_a_space_in_forms_only(void **state)
{
    (void)state;
    assert_decodes(BYTES("a+b%2B"), PERCENT_FORM, BYTES("a b+"));
    assert_decodes(BYTES("a+b%2B"), PERCENT_URI, BYTES("a+b+"));
}

static void equal_tells_prefixes_apart(void **state)
{
    (void)state;
    assert_false(percent_equal(BYTES("%41b"), BYTES("A"), PERCENT_FORM));
    assert_false(percent_equal(BYTES("%41"), BYTES("Ab"), PERCENT_FORM));
    assert_false(percent_equal(BYTES("%41"), BYTES("a"), PERCENT_FORM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(malformed_escapes_stay),
        cmocka_unit_test(plus_is_a_space_in_forms_only),
        cmocka_unit_test(equal_tells_prefixes_apart),
    };
    guard_init(&guard, 64);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_deinit(&guard);
    return failed;
}
