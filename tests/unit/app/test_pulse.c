#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/pulse.h"

static void there_is_none_before_the_first_beat(void **state)
{
    (void)state;
    struct pulse p = {0};
    assert_false(pulse_look(&p));
}

static void a_beat_is_seen_once(void **state)
{
    (void)state;
    struct pulse p = {0};
    pulse_beat(&p);
    pulse_beat(&p);
    assert_true(pulse_look(&p));
    assert_false(pulse_look(&p));
    pulse_beat(&p);
    assert_true(pulse_look(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_none_before_the_first_beat),
        cmocka_unit_test(a_beat_is_seen_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
