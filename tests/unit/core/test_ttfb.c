/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "core/ttfb.h"

static void each_bucket_begins_where_the_one_before_ends(void **state)
{
    (void)state;
    for (unsigned bucket = 1; bucket < TTFB_BUCKETS; bucket++) {
        uint64_t start_ns = ttfb_bucket_start_ns(bucket);
        assert_int_equal(ttfb_bucket(start_ns), bucket);
        assert_int_equal(ttfb_bucket(start_ns - 1), bucket - 1);
    }
}

static void a_time_is_told_to_one_eighth(void **state)
{
    (void)state;
    uint64_t last_ns = ttfb_bucket_start_ns(TTFB_BUCKETS - 1);
    for (uint64_t ns = 1 << TTFB_FIRST_OCTAVE; ns < last_ns; ns += ns / 97 + 1) {
        uint64_t told_ns = ttfb_bucket_ns(ttfb_bucket(ns));
        uint64_t error_ns = told_ns > ns ? told_ns - ns : ns - told_ns;
        assert_true(error_ns * 8 <= ns);
    }
}

static void what_is_out_of_range_has_a_bucket(void **state)
{
    (void)state;
    assert_int_equal(ttfb_bucket(0), 0);
    assert_int_equal(ttfb_bucket(UINT64_MAX), TTFB_BUCKETS - 1);
    assert_int_equal(ttfb_bucket_ns(0), ttfb_bucket_start_ns(1) / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bucket_begins_where_the_one_before_ends),
        cmocka_unit_test(a_time_is_told_to_one_eighth),
        cmocka_unit_test(what_is_out_of_range_has_a_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
