#include "core/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SPARES_MAX = 4 };

static struct pool pool;

static int begin(void **state)
{
    (void)state;
    pool_init(&pool, sizeof(uint64_t), SPARES_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pool_deinit(&pool);
    return 0;
}

static void what_was_given_back_last_comes_first(void **state)
{
    (void)state;
    void *one = pool_take(&pool), *two = pool_take(&pool);
    assert_non_null(one);
    assert_ptr_not_equal(one, two);
    pool_give(&pool, one);
    pool_give(&pool, two);
    assert_ptr_equal(pool_take(&pool), two);
    assert_ptr_equal(pool_take(&pool), one);
    pool_give(&pool, one);
    pool_give(&pool, two);
}

static void no_more_than_its_spares_are_kept(void **state)
{
    (void)state;
    void *objects[3 * SPARES_MAX];
    for (unsigned i = 0; i < 3 * SPARES_MAX; i++)
        objects[i] = pool_take(&pool);
    for (unsigned i = 0; i < 3 * SPARES_MAX; i++)
        pool_give(&pool, objects[i]);
    assert_int_equal(pool.count, SPARES_MAX);
    for (unsigned i = SPARES_MAX; i--;)
        assert_ptr_equal(pool_take(&pool), objects[i]);
    assert_int_equal(pool.count, 0);
    for (unsigned i = 0; i < SPARES_MAX; i++)
        pool_give(&pool, objects[i]);
}

static void null_is_fine_to_give(void **state)
{
    (void)state;
    pool_give(&pool, NULL);
    assert_int_equal(pool.count, 0);
}

static void nothing_is_kept_after_deinit(void **state)
{
    (void)state;
    pool_give(&pool, pool_take(&pool));
    pool_deinit(&pool);
    pool_give(&pool, malloc(sizeof(uint64_t)));
    assert_int_equal(pool.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_given_back_last_comes_first),
        TEST(no_more_than_its_spares_are_kept),
        TEST(null_is_fine_to_give),
        TEST(nothing_is_kept_after_deinit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
