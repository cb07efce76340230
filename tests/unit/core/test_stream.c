#include "core/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/macros.h"

static struct stream stream;
static struct stream_budget budget;

static int begin(void **state)
{
    (void)state;
    stream_init(&stream);
    budget = (struct stream_budget){.bytes_max = 1 << 20};
    return 0;
}

static int end(void **state)
{
    (void)state;
    stream_deinit(&stream, &budget);
    return (int)budget.bytes;
}

static struct segment segment_of(uint32_t seq, const char *text)
{
    struct bytes data = bytes_from_string(text);
    return (struct segment){.seq = seq, .size = (uint32_t)data.size, .data = data};
}

static enum stream_place place(uint32_t seq, const char *text)
{
    struct segment segment = segment_of(seq, text);
    return stream_place(&stream, &segment);
}

static int keep(uint32_t seq, const char *text)
{
    struct segment segment = segment_of(seq, text);
    return stream_keep(&stream, &segment, true, &budget);
}

static void assert_taken(enum stream_place expected, uint32_t seq, const char *text,
                         uint32_t repeated)
{
    struct segment segment;
    void *storage;
    assert_int_equal(stream_take(&stream, &segment, &storage, &budget), expected);
    assert_int_equal(segment.seq, seq);
    assert_int_equal(segment.repeated, repeated);
    assert_int_equal(segment.size, strlen(text));
    assert_true(bytes_equal(segment.data, bytes_from_string(text)));
    free(storage);
}

static void assert_nothing_to_take(void)
{
    struct segment segment;
    void *storage;
    assert_int_equal(stream_take(&stream, &segment, &storage, &budget), STREAM_EARLY);
}

static void segments_have_their_place(void **state)
{
    (void)state;
    static const uint32_t starts[] = {0, 1000, 0u - 1, 0u - 3, 1u << 31, (1u << 31) - 2};
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        uint32_t seq = starts[i];
        stream_init(&stream);
        stream_start(&stream, seq);
        assert_int_equal(place(seq, "abc"), STREAM_NEXT);
        assert_int_equal(stream.next_seq, seq + 3);
        assert_int_equal(place(seq, "abc"), STREAM_OLD);
        assert_int_equal(place(seq + 1, "bc"), STREAM_OLD);
        assert_int_equal(place(seq + 4, "e"), STREAM_EARLY);
        assert_int_equal(place(seq + 3, "d"), STREAM_NEXT);
        assert_int_equal(place(seq + 4 + (1u << 28) - 1, "x"), STREAM_EARLY);
        assert_int_equal(place(seq + 4 + (1u << 28), "x"), STREAM_OUTSIDE);
        assert_int_equal(place(seq + 4 + (1u << 31), "x"), STREAM_OUTSIDE);
        assert_int_equal(place(seq + 4 - (1u << 28), "x"), STREAM_OUTSIDE);
        assert_int_equal(stream.next_seq, seq + 4);
    }
}

static void segment_is_cut_to_what_is_new(void **state)
{
    (void)state;
    stream_start(&stream, 0u - 2);
    struct segment segment = segment_of(0u - 5, "abcdefgh");
    segment.data.size = 6; /* the snap length took the rest */
    assert_int_equal(stream_place(&stream, &segment), STREAM_NEXT);
    assert_int_equal(segment.seq, 0u - 2);
    assert_int_equal(segment.size, 5);
    assert_int_equal(segment.repeated, 3);
    assert_true(bytes_equal(segment.data, BYTES("def")));
    assert_int_equal(stream.next_seq, 3);

    segment = segment_of(1, "cdef");
    segment.data.size = 1; /* nothing of what is new was captured */
    assert_int_equal(stream_place(&stream, &segment), STREAM_NEXT);
    assert_int_equal(segment.data.size, 0);
    assert_int_equal(segment.size, 2);
}

static void early_segments_come_out_in_order(void **state)
{
    (void)state;
    stream_start(&stream, 100);
    assert_int_equal(keep(108, "ij"), 0);
    assert_int_equal(keep(102, "cd"), 0);
    assert_int_equal(keep(103, "defg"), 0);
    assert_int_equal(keep(102, "c"), 0);
    assert_int_equal(stream_hole(&stream), 2);
    assert_nothing_to_take();
    assert_int_equal(place(100, "ab"), STREAM_NEXT);
    assert_taken(STREAM_NEXT, 102, "cd", 0);
    assert_taken(STREAM_OLD, 102, "c", 0);
    assert_taken(STREAM_NEXT, 104, "efg", 1);
    assert_nothing_to_take();
    assert_int_equal(stream_hole(&stream), 1);
    stream_skip_hole(&stream);
    assert_taken(STREAM_NEXT, 108, "ij", 0);
    assert_int_equal(stream_hole(&stream), 0);
    assert_int_equal(budget.bytes, 0);
}

static void hole_is_final_once_the_other_end_has_it(void **state)
{
    (void)state;
    stream_start(&stream, 0u - 4);
    assert_int_equal(keep(4, "xy"), 0);
    assert_int_equal(stream_hole(&stream), 8);
    assert_false(stream_hole_is_final(&stream));
    stream_acknowledge(&stream, 3);
    assert_false(stream_hole_is_final(&stream));
    stream_acknowledge(&stream, 4);
    assert_true(stream_hole_is_final(&stream));
    stream_acknowledge(&stream, 1); /* an old one takes nothing back */
    assert_true(stream_hole_is_final(&stream));
}

static void stream_is_complete_at_its_fin(void **state)
{
    (void)state;
    stream_start(&stream, 100);
    assert_false(stream_is_complete(&stream));
    stream_end(&stream, 103);
    assert_int_equal(stream_hole(&stream), 3);
    assert_int_equal(place(100, "ab"), STREAM_NEXT);
    assert_false(stream_is_complete(&stream));
    assert_int_equal(place(102, "c"), STREAM_NEXT);
    assert_true(stream_is_complete(&stream));
    assert_int_equal(stream_hole(&stream), 0);
}

static void fin_that_cannot_be_is_ignored(void **state)
{
    (void)state;
    stream_start(&stream, 100);
    stream_end(&stream, 99);
    stream_end(&stream, 100 + (1u << 28));
    assert_false(stream.fin_seen);
    stream_end(&stream, 100);
    assert_true(stream_is_complete(&stream));
}

static void fin_alone_starts_a_stream(void **state)
{
    (void)state;
    stream_end(&stream, 100);
    assert_true(stream_is_complete(&stream));
}

static void segments_kept_are_bounded_in_number(void **state)
{
    (void)state;
    stream_start(&stream, 0);
    uint32_t kept = 0;
    while (kept < 10000 && keep(10 + 2 * kept, "x") == 0)
        kept++;
    assert_int_equal(kept, 2048);
    assert_int_equal(keep(4, "x"), -ENOBUFS);
}

static void segments_kept_are_bounded_in_bytes(void **state)
{
    (void)state;
    stream_start(&stream, 0);
    budget.bytes_max = 2000;
    uint32_t kept = 0;
    while (kept < 10000 && keep(10 + 2 * kept, "x") == 0)
        kept++;
    assert_in_range(kept, 5, 30);
    assert_true(budget.bytes <= budget.bytes_max);

    /* What is not looked at is not copied. */
    static uint8_t big[5000];
    struct segment segment = {.seq = 5, .size = sizeof(big), .data = {big, sizeof(big)}};
    budget.bytes_max += 500;
    assert_int_equal(stream_keep(&stream, &segment, true, &budget), -ENOBUFS);
    assert_int_equal(stream_keep(&stream, &segment, false, &budget), 0);
}

/* --- against a shadow --------------------------------------------------------------- */

enum { SHADOW_BYTES = 2000 };

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

/* The shadow: which bytes have been there. All that is new must come out once, in order. */
static void check_delivered(const struct segment *segment, uint32_t start, const uint8_t *bytes,
                            uint32_t *delivered)
{
    assert_int_equal(segment->seq - start, *delivered);
    assert_memory_equal(segment->data.data, bytes + *delivered, segment->data.size);
    assert_int_equal(segment->data.size, segment->size);
    *delivered += segment->size;
}

static void shuffle_through(uint32_t start)
{
    uint8_t bytes[SHADOW_BYTES];
    bool sent[SHADOW_BYTES] = {0};
    uint32_t delivered = 0;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31 + i / 256);
    stream_start(&stream, start);
    while (delivered < SHADOW_BYTES) {
        uint32_t from = MIN(delivered + random_below(200), (uint32_t)SHADOW_BYTES - 1);
        from -= MIN(from, random_below(100));
        uint32_t size = 1 + random_below(MIN(60u, SHADOW_BYTES - from));
        memset(sent + from, true, size);
        struct segment segment = {.seq = start + from, .size = size, .data = {bytes + from, size}};
        enum stream_place where = stream_place(&stream, &segment);
        if (where == STREAM_NEXT)
            check_delivered(&segment, start, bytes, &delivered);
        else if (where == STREAM_EARLY)
            assert_int_equal(stream_keep(&stream, &segment, true, &budget), 0);
        void *storage;
        while ((where = stream_take(&stream, &segment, &storage, &budget)) != STREAM_EARLY) {
            if (where == STREAM_NEXT)
                check_delivered(&segment, start, bytes, &delivered);
            free(storage);
        }
        uint32_t whole = 0;
        while (whole < SHADOW_BYTES && sent[whole])
            whole++;
        assert_int_equal(delivered, whole);
    }
}

static void random_segments_come_out_once_and_in_order(void **state)
{
    random_state = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)random_state);
    for (unsigned i = 0; i < 100; i++) {
        begin(state);
        shuffle_through(i % 2 ? 0u - random_below(SHADOW_BYTES) : (uint32_t)random_state);
        assert_int_equal(end(state), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(segments_have_their_place),          TEST(segment_is_cut_to_what_is_new),
        TEST(early_segments_come_out_in_order),   TEST(hole_is_final_once_the_other_end_has_it),
        TEST(stream_is_complete_at_its_fin),      TEST(fin_that_cannot_be_is_ignored),
        TEST(fin_alone_starts_a_stream),          TEST(segments_kept_are_bounded_in_number),
        TEST(segments_kept_are_bounded_in_bytes), TEST(random_segments_come_out_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
