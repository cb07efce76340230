#include "core/service_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *made(struct bytes raw)
{
    static struct service_name name;
    assert_true(service_name_make(&name, raw) == !service_name_fits(raw));
    assert_true(service_name_fits(raw) == bytes_equal(raw, bytes_from_string(name.text)));
    return name.text;
}

static void what_fits_stays(void **state)
{
    (void)state;
    assert_string_equal(made(BYTES("yo")), "yo");
    assert_string_equal(made(BYTES("-")), "-");
    assert_string_equal(made(BYTES("..")), "..");
    assert_string_equal(made(BYTES("a__B-3.c_")), "a__B-3.c_");
    assert_string_equal(made(BYTES("a__0123456789ag")), "a__0123456789ag");

    char longest[SERVICE_NAME_MAX + 1];
    memset(longest, 'x', SERVICE_NAME_MAX);
    longest[SERVICE_NAME_MAX] = '\0';
    assert_string_equal(made(bytes_from_string(longest)), longest);
}

/* The digits of XXH3 are pinned: all hosts and versions must agree. */
static void what_does_not_fit_ends_in_a_fixed_hash(void **state)
{
    (void)state;
    assert_string_equal(made(BYTES("a b")), "a_b__f8a624582c4c");
    assert_string_equal(made(BYTES("a\0b")), "a_b__6cd078125351");
    assert_string_equal(made(BYTES("_unknown")), "_unknown__c8b7d86b8305");
    assert_string_equal(made(BYTES("gr\xc3\xbc\xc3\x9f")), "gr______6c0b3661dfdd");
}

static void long_names_are_cut_to_the_limit(void **state)
{
    (void)state;
    char raw[SERVICE_NAME_MAX + 1];
    memset(raw, 'x', sizeof(raw));
    const char *name = made(bytes_make(raw, sizeof(raw)));
    assert_int_equal(strlen(name), SERVICE_NAME_MAX);
    assert_memory_equal(name, raw, 50);
    assert_memory_equal(name + 50, "__", 2);
}

static void reserved_names_cannot_be_forged(void **state)
{
    (void)state;
    const char *reserved[] = {SERVICE_UNSPECIFIED, SERVICE_UNKNOWN, SERVICE_OTHER};
    for (size_t i = 0; i < 3; i++)
        assert_string_not_equal(made(bytes_from_string(reserved[i])), reserved[i]);
}

static void changed_names_cannot_be_forged(void **state)
{
    (void)state;
    struct service_name once, twice;
    service_name_make(&once, BYTES("a b"));
    assert_true(service_name_make(&twice, bytes_from_string(once.text)));
    assert_string_not_equal(once.text, twice.text);
    assert_false(service_name_fits(BYTES("__0123456789ab")));
    assert_false(service_name_fits(BYTES("x__0123456789ab")));
}

/* Names that try to meet: alike in all but one byte, reserved, changed, and changed again. */
static struct bytes hostile_name(unsigned number, char *buffer, size_t size)
{
    struct service_name name;
    int length = 0;
    switch (number % 8) {
    case 0:
        length = snprintf(buffer, size, "%u", number);
        break;
    case 1:
        length = snprintf(buffer, size, "_unknown%u", number);
        break;
    case 2:
        length = snprintf(buffer, size, "a__%012x", number);
        break;
    case 3:
        length = snprintf(buffer, size, "%0100u", number);
        break;
    case 4: /* digits that all become '_' */
        length = snprintf(buffer, size, "%u", number);
        for (int i = 0; i < length; i++)
            buffer[i] = (char)(buffer[i] + 0x90);
        break;
    case 5:
        length = snprintf(buffer, size, "%u/\n", number);
        break;
    case 6: /* what another one became */
    case 7: /* and that one */
        service_name_make(&name, hostile_name(number - (number % 8 == 6 ? 5 : 1), buffer, size));
        length = snprintf(buffer, size, "%s", name.text);
    }
    return bytes_make(buffer, (size_t)length);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void two_names_never_become_one(void **state)
{
    (void)state;
    enum { NAMES = 200000 };
    struct service_name *names = calloc(NAMES, sizeof(*names));
    assert_non_null(names);

    for (unsigned i = 0; i < NAMES; i++) {
        char raw[256];
        service_name_make(&names[i], hostile_name(i, raw, sizeof(raw)));
        assert_in_range(strlen(names[i].text), 1, SERVICE_NAME_MAX);
        assert_int_equal(strspn(names[i].text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                               "abcdefghijklmnopqrstuvwxyz0123456789._-"),
                         strlen(names[i].text));
    }
    qsort(names, NAMES, sizeof(*names), compare_names);
    for (unsigned i = 1; i < NAMES; i++)
        assert_string_not_equal(names[i - 1].text, names[i].text);
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_stays),
        cmocka_unit_test(what_does_not_fit_ends_in_a_fixed_hash),
        cmocka_unit_test(long_names_are_cut_to_the_limit),
        cmocka_unit_test(reserved_names_cannot_be_forged),
        cmocka_unit_test(changed_names_cannot_be_forged),
        cmocka_unit_test(two_names_never_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
