/*
 * What the filter kept: differences between what is told again and again, and
 * what waits for its connection.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "core/kept.h"

enum { FLOWS = 50, STEPS = 100000 };

static struct flow flow_of(unsigned number)
{
    return (struct flow){.port = {htons((uint16_t)number), htons(80)}};
}

static struct filter_kept kept_of(uint64_t bytes, uint64_t control, uint64_t packets,
                                  uint32_t payload)
{
    return (struct filter_kept){
        .bytes = bytes,
        .control = control,
        .packets = packets,
        .end_seq = 1000 + payload,
        .payload = payload,
    };
}

static struct filter_record record_of(unsigned number, unsigned side, struct filter_kept kept)
{
    return (struct filter_record){.flow = flow_of(number), .kept = kept, .side = (uint16_t)side};
}

static void assert_kept(const struct filter_kept *is, struct filter_kept expected)
{
    assert_int_equal(is->bytes, expected.bytes);
    assert_int_equal(is->control, expected.control);
    assert_int_equal(is->packets, expected.packets);
    assert_int_equal(is->payload, expected.payload);
    assert_int_equal(is->end_seq, expected.end_seq);
}

/* Take what was kept of @side of flow 1, of which @expected is new. */
static struct kept_flow *take(struct kept_table *t, unsigned side, struct filter_kept kept,
                              struct filter_kept expected)
{
    struct filter_record r = record_of(1, side, kept);
    struct filter_kept difference;
    struct kept_flow *f = kept_table_take(t, &r, &difference);
    assert_non_null(f);
    assert_kept(&difference, expected);
    return f;
}

static void take_last(struct kept_table *t, unsigned side, struct filter_kept kept)
{
    struct filter_record r = record_of(1, side, kept);
    struct filter_kept difference;
    r.last = 1;
    assert_non_null(kept_table_take(t, &r, &difference));
}

static int set_up(void **state)
{
    static struct kept_table t;
    kept_table_init(&t, 0x5eed);
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    kept_table_deinit(*state);
    return 0;
}

static void first_record_is_all_new(void **state)
{
    take(*state, 0, kept_of(1040, 40, 1, 1000), kept_of(1040, 40, 1, 1000));
}

static void next_record_tells_what_is_more(void **state)
{
    take(*state, 0, kept_of(1040, 40, 1, 1000), kept_of(1040, 40, 1, 1000));
    struct filter_kept more = kept_of(520, 0, 2, 440);
    more.end_seq = 1000 + 1440;
    take(*state, 0, kept_of(1560, 40, 3, 1440), more);
}

static void sides_and_flows_are_told_apart(void **state)
{
    struct filter_kept kept = kept_of(1040, 40, 1, 1000), difference;
    take(*state, 0, kept, kept);
    take(*state, 1, kept, kept);
    struct filter_record other = record_of(2, 0, kept);
    kept_table_take(*state, &other, &difference);
    assert_kept(&difference, kept);
}

static void record_that_is_told_again_has_nothing_new(void **state)
{
    struct filter_kept kept = kept_of(1040, 40, 1, 1000), none = {.end_seq = kept.end_seq};
    take(*state, 0, kept, kept);
    take(*state, 0, kept, none);
}

/* It was on its way while later counts were read. */
static void record_behind_what_was_taken_has_nothing_new(void **state)
{
    struct filter_kept now = kept_of(5200, 80, 5, 5000), then = kept_of(1040, 40, 1, 1000);
    struct filter_kept none = {.end_seq = then.end_seq};
    take(*state, 0, now, now);
    take(*state, 0, then, none);
    struct filter_kept more = kept_of(1040, 0, 1, 1000);
    more.end_seq = 1000 + 6000;
    take(*state, 0, kept_of(6240, 80, 6, 6000), more);
}

/* Counts that were read while a record was on its way: there may be a packet between. */
static void counts_ahead_of_a_record_tell_nothing_yet(void **state)
{
    struct filter_kept then = kept_of(1040, 40, 1, 1000), now = kept_of(5200, 80, 5, 5000);
    struct filter_record r = record_of(1, 0, now);
    struct filter_kept difference;
    r.number = 1;
    r.read = true;
    kept_table_take(*state, &r, &difference);
    assert_kept(&difference, (struct filter_kept){.end_seq = now.end_seq});
    struct filter_record before = record_of(1, 0, then);
    before.number = 1;
    kept_table_take(*state, &before, &difference);
    assert_kept(&difference, then);
    kept_table_take(*state, &r, &difference);
    struct filter_kept more = kept_of(4160, 40, 4, 4000);
    more.end_seq = now.end_seq;
    assert_kept(&difference, more);
}

/* The members of a count that was read while it changed are of two moments. */
static void half_a_change_is_completed_later(void **state)
{
    struct filter_kept half = kept_of(1040, 0, 1, 0), whole = kept_of(1040, 0, 1, 1000);
    take(*state, 0, half, half);
    take(*state, 0, whole, kept_of(0, 0, 0, 1000));
}

static void payload_wraps(void **state)
{
    struct filter_kept before = kept_of(1ull << 32, 0, 1, UINT32_MAX - 10);
    take(*state, 0, before, before);
    struct filter_kept after = before, more = kept_of(100, 0, 1, 100);
    after.bytes += 100;
    after.packets += 1;
    after.payload += 100;
    after.end_seq += 100;
    more.end_seq = after.end_seq;
    take(*state, 0, after, more);
}

static void flow_begins_at_zero_behind_its_last_record(void **state)
{
    struct filter_kept large = kept_of(5200, 80, 5, 5000), small = kept_of(1040, 40, 1, 1000);
    take(*state, 0, large, large);
    take(*state, 1, small, small);
    take_last(*state, 1, small);
    assert_true(take(*state, 0, small, small)->last == false);
    take(*state, 1, large, large);
}

static void flow_that_was_forgotten_begins_at_zero(void **state)
{
    struct filter_kept kept = kept_of(1040, 40, 1, 1000);
    struct flow flow = flow_of(1), unknown = flow_of(2);
    take(*state, 0, kept, kept);
    kept_table_forget(*state, &unknown);
    kept_table_forget(*state, &flow);
    take(*state, 0, kept, kept);
}

static void what_waits_comes_in_its_order(void **state)
{
    struct flow flow = flow_of(1);
    struct filter_kept first = kept_of(1040, 0, 1, 1000), second = kept_of(0, 40, 0, 0), got;
    unsigned side;
    struct kept_flow *f = take(*state, 0, first, first);
    assert_null(kept_table_find_waiting(*state, &flow));
    assert_int_equal(kept_flow_wait(*state, f, 0, &first), 0);
    assert_int_equal(kept_flow_wait(*state, f, 1, &second), 0);
    assert_ptr_equal(kept_table_find_waiting(*state, &flow), f);

    assert_true(kept_flow_next(*state, f, &side, &got));
    assert_int_equal(side, 0);
    assert_kept(&got, first);
    assert_true(kept_flow_next(*state, f, &side, &got));
    assert_int_equal(side, 1);
    assert_kept(&got, second);
    assert_false(kept_flow_next(*state, f, &side, &got));
    assert_null(kept_table_find_waiting(*state, &flow));
}

static struct kept_flow *let_wait(struct kept_table *t, unsigned number)
{
    struct filter_kept kept = kept_of(1040, 0, 1, 1000), difference;
    struct filter_record r = record_of(number, 0, kept);
    struct kept_flow *f = kept_table_take(t, &r, &difference);
    assert_int_equal(kept_flow_wait(t, f, 0, &kept), 0);
    return f;
}

static void what_waits_is_old_once_time_has_passed(void **state)
{
    unsigned side;
    struct filter_kept kept;
    struct kept_flow *first = let_wait(*state, 1);
    assert_null(kept_table_find_old(*state));
    kept_table_age(*state);
    struct kept_flow *second = let_wait(*state, 2);
    assert_ptr_equal(kept_table_find_old(*state), first);
    while (kept_flow_next(*state, first, &side, &kept))
        ;
    assert_null(kept_table_find_old(*state));
    kept_table_age(*state);
    assert_ptr_equal(kept_table_find_old(*state), second);
}

static void what_waits_anew_is_not_old(void **state)
{
    unsigned side;
    struct filter_kept kept;
    struct kept_flow *f = let_wait(*state, 1);
    kept_table_age(*state);
    assert_true(kept_flow_next(*state, f, &side, &kept));
    let_wait(*state, 1);
    assert_null(kept_table_find_old(*state));
}

static void flow_that_is_removed_waits_no_more(void **state)
{
    struct flow flow = flow_of(1);
    struct kept_flow *f = let_wait(*state, 1);
    let_wait(*state, 1);
    kept_table_age(*state);
    kept_table_remove(*state, f);
    assert_null(kept_table_find_waiting(*state, &flow));
    assert_null(kept_table_find_old(*state));
}

/* What is left waiting goes with the table: the leak checker would tell. */
static void table_that_ends_takes_all_with_it(void **state)
{
    for (unsigned number = 0; number < 10; number++)
        let_wait(*state, number);
}

/* --- against a shadow --------------------------------------------------------- */

struct shadow {
    struct filter_kept kept[2]; /* what the filter has */
    uint64_t bytes;             /* in all, and what was told as new */
    uint64_t told;
};

static void grow(struct shadow *s, unsigned side)
{
    uint32_t payload = (uint32_t)rand() % 3000;
    struct filter_kept *k = &s->kept[side];
    k->bytes += payload + 40;
    k->packets++;
    k->payload += payload;
    k->end_seq += payload;
    s->bytes += payload + 40;
}

static void tell(struct kept_table *t, struct shadow *s, struct filter_record r)
{
    struct filter_kept difference;
    struct kept_flow *f = kept_table_take(t, &r, &difference);
    s->told += difference.bytes;
    if (f->last)
        kept_table_remove(t, f);
}

static void differences_add_up_to_what_was_kept(void **state)
{
    struct shadow shadows[FLOWS] = {0};
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < STEPS; i++) {
        unsigned number = (unsigned)rand() % FLOWS, side = rand() & 1;
        struct shadow *s = &shadows[number];
        struct filter_record r = record_of(number, side, s->kept[side]);
        grow(s, side);
        if (rand() % 4)
            continue;
        struct filter_record now = record_of(number, side, s->kept[side]);
        tell(*state, s, now);
        if (rand() & 1)
            tell(*state, s, r); /* late */
        if (rand() % 8)
            continue;
        now.side = !side;
        now.kept = s->kept[!side];
        now.last = 1;
        tell(*state, s, now);
        memset(s->kept, 0, sizeof(s->kept));
        assert_int_equal(s->told, s->bytes);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_record_is_all_new),
        TEST(next_record_tells_what_is_more),
        TEST(sides_and_flows_are_told_apart),
        TEST(record_that_is_told_again_has_nothing_new),
        TEST(record_behind_what_was_taken_has_nothing_new),
        TEST(counts_ahead_of_a_record_tell_nothing_yet),
        TEST(half_a_change_is_completed_later),
        TEST(payload_wraps),
        TEST(flow_begins_at_zero_behind_its_last_record),
        TEST(flow_that_was_forgotten_begins_at_zero),
        TEST(what_waits_comes_in_its_order),
        TEST(what_waits_is_old_once_time_has_passed),
        TEST(what_waits_anew_is_not_old),
        TEST(flow_that_is_removed_waits_no_more),
        TEST(table_that_ends_takes_all_with_it),
        TEST(differences_add_up_to_what_was_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
