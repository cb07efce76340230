#include "core/embryo.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { MAX_EMBRYOS = 8 };

static struct embryo_table table;

static int begin(void **state)
{
    (void)state;
    embryo_table_init(&table, MAX_EMBRYOS, 42);
    return 0;
}

static int end(void **state)
{
    (void)state;
    embryo_table_deinit(&table);
    return 0;
}

static struct flow flow_of(uint16_t number)
{
    return (struct flow){.port = {htons(number), htons(80)}};
}

static struct embryo *find(uint16_t number)
{
    struct flow flow = flow_of(number);
    return embryo_table_find(&table, &flow);
}

/* Add one that owes @number bytes. Returns what had to be forgotten. */
static uint64_t add(uint16_t number, uint64_t now_ns)
{
    struct flow flow = flow_of(number);
    uint64_t forgotten = UINT64_MAX;
    struct embryo *e = embryo_table_add(&table, &flow, now_ns, &forgotten);
    assert_non_null(e);
    assert_ptr_equal(find(number), e);
    e->control_bytes[number % 2] = number;
    return forgotten;
}

static void embryo_begins_with_nothing_known(void **state)
{
    (void)state;
    assert_null(find(1));
    assert_int_equal(add(1, 5), 0);
    assert_int_equal(find(1)->client, CLIENT_UNKNOWN);
    assert_int_equal(find(1)->kind, EMBRYO_NEW);
    assert_false(find(1)->syn_seen[0] || find(1)->syn_seen[1]);
    assert_null(find(2));
}

static void full_table_forgets_the_longest_idle(void **state)
{
    (void)state;
    for (uint16_t i = 1; i <= MAX_EMBRYOS; i++)
        assert_int_equal(add(i, i), 0);
    embryo_table_touch(&table, find(1), 100);
    assert_int_equal(add(20, 101), 2);
    assert_null(find(2));
    assert_int_equal(add(21, 102), 3);
    assert_non_null(find(1));
}

static void removed_embryo_gives_what_was_pending(void **state)
{
    (void)state;
    add(7, 1);
    find(7)->control_bytes[0] = 100;
    assert_int_equal(embryo_table_remove(&table, find(7)), 107);
    assert_null(find(7));
}

static void pending_is_taken_once(void **state)
{
    (void)state;
    add(7, 1);
    assert_int_equal(embryo_take_pending(find(7)), 7);
    assert_int_equal(embryo_take_pending(find(7)), 0);
    assert_int_equal(embryo_table_remove(&table, find(7)), 0);
}

static void idle_embryos_expire(void **state)
{
    (void)state;
    for (uint16_t i = 1; i <= 5; i++)
        add(i, i * 10);
    embryo_table_touch(&table, find(2), 60);
    assert_int_equal(embryo_table_expire(&table, 40), 1 + 3);
    assert_null(find(1));
    assert_non_null(find(2));
    assert_non_null(find(4));
    assert_int_equal(embryo_table_expire(&table, UINT64_MAX), 2 + 4 + 5);
    assert_int_equal(embryo_table_expire(&table, UINT64_MAX), 0);
}

/* What went in is owed until it comes out, whatever is done. */
static void random_operations_keep_the_sum(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    uint64_t in = 0, out = 0;
    for (uint64_t now = 1; now < 50000; now++) {
        uint16_t number = (uint16_t)(1 + (unsigned)rand_r(&seed) % 20);
        struct embryo *e = find(number);
        unsigned what = (unsigned)rand_r(&seed) % 8;
        if (!e) {
            in += number;
            out += add(number, now);
        } else if (what == 0) {
            out += embryo_table_remove(&table, e);
        } else if (what == 1) {
            out += embryo_table_expire(&table, now - 10);
        } else {
            embryo_table_touch(&table, e, now);
            e->control_bytes[what % 2] += 40;
            in += 40;
        }
        assert_true(HASH_COUNT(table.table) <= MAX_EMBRYOS);
    }
    out += embryo_table_expire(&table, UINT64_MAX);
    assert_int_equal(in, out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(embryo_begins_with_nothing_known),
        TEST(full_table_forgets_the_longest_idle),
        TEST(removed_embryo_gives_what_was_pending),
        TEST(pending_is_taken_once),
        TEST(idle_embryos_expire),
        TEST(random_operations_keep_the_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
