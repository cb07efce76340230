#include "core/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "support/frames.h"

enum { IPV4_HEADER = 20, SEGMENT_MAX = 4096, TIMEOUT_NS = 1000 };

static const struct fragment_options roomy = {
    .datagrams_max = 64,
    .bytes_max = 1 << 20,
    .timeout_ns = TIMEOUT_NS,
    .hash_seed = 1,
};

static struct frame_spec spec = {
    .source = "10.0.0.2",
    .destination = "10.0.0.1",
    .source_port = 41000,
    .destination_port = 80,
    .seq = 1000,
    .flags = TCP_ACK,
};

/* A datagram of 20 + 100 bytes: its TCP segment, and its payload. */
static uint8_t segment[SEGMENT_MAX];
static uint8_t payload[SEGMENT_MAX];
static size_t segment_bytes;

static struct fragment_table *table_new(const struct fragment_options *options)
{
    struct fragment_table *t;
    assert_int_equal(fragment_table_new(&t, options), 0);
    return t;
}

static int make_segment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 7 + i / 256);
    spec.payload = bytes_make(payload, 100);
    segment_bytes = frame_build_segment(&spec, segment, sizeof(segment));
    return 0;
}

/* The piece of the segment from @start to @end, as it comes out of a frame. */
static struct fragment piece(uint32_t id, uint32_t start, uint32_t end)
{
    uint8_t buffer[SEGMENT_MAX];
    struct fragment_spec place = {
        .id = id,
        .offset = (uint16_t)start,
        .more = end < segment_bytes,
    };
    struct bytes data = bytes_make(segment + start, end - start);
    size_t size = frame_build_fragment(&spec, &place, data, buffer, sizeof(buffer));
    struct frame f = frame_of(bytes_make(buffer, size), 0);
    struct packet p;
    struct fragment fragment;
    assert_int_equal(packet_decode(&f, &p, &fragment), PACKET_FRAGMENT);
    assert_true(bytes_equal(fragment.data, data));
    fragment.data = data;
    return fragment;
}

static enum fragment_step add(struct fragment_table *t, struct fragment f, struct packet *whole)
{
    return fragment_table_add(t, &f, whole);
}

static void assert_waiting(struct fragment_table *t, struct fragment f)
{
    struct packet whole;
    assert_int_equal(add(t, f, &whole), FRAGMENT_WAITING);
}

static void assert_complete(struct fragment_table *t, struct fragment f, uint32_t pieces)
{
    struct packet whole;
    assert_int_equal(add(t, f, &whole), FRAGMENT_COMPLETE);
    assert_int_equal(whole.packets, pieces);
    assert_int_equal(whole.header_bytes, pieces * IPV4_HEADER + 20);
    assert_int_equal(whole.payload_bytes, spec.payload.size);
    assert_true(bytes_equal(whole.payload, spec.payload));
    assert_int_equal(whole.seq, 1000);
    assert_int_equal(packet_destination_port(&whole), htobe16(80));
    assert_int_equal(whole.time_ns, f.time_ns);
}

static void pieces_in_any_order_make_the_whole(void **state)
{
    (void)state;
    struct fragment_table *t = table_new(&roomy);
    static const uint32_t cuts[] = {0, 8, 48, 120};
    static const unsigned orders[][3] = {
        {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
        for (size_t j = 0; j < 2; j++)
            assert_waiting(t, piece(1, cuts[orders[i][j]], cuts[orders[i][j] + 1]));
        assert_int_not_equal(fragment_table_pending_bytes(t), 0);
        assert_complete(t, piece(1, cuts[orders[i][2]], cuts[orders[i][2] + 1]), 3);
        assert_int_equal(fragment_table_pending_bytes(t), 0);
        assert_int_equal(fragment_table_take_untracked(t), 0);
    }
    fragment_table_free(t);
}

static void tcp_header_may_be_split(void **state)
{
    (void)state;
    struct fragment_table *t = table_new(&roomy);
    for (uint32_t start = 0; start < 112; start += 8)
        assert_waiting(t, piece(1, start, start + 8));
    assert_complete(t, piece(1, 112, 120), 15);
    fragment_table_free(t);
}

static void ipv6_pieces_make_the_whole(void **state)
{
    (void)state;
    struct frame_spec ipv4 = spec;
    spec.source = "fd00::2";
    spec.destination = "fd00::1";
    struct fragment_table *t = table_new(&roomy);
    assert_waiting(t, piece(0x12345678, 0, 64));
    struct packet whole;
    assert_int_equal(add(t, piece(0x12345678, 64, 120), &whole), FRAGMENT_COMPLETE);
    assert_int_equal(whole.header_bytes, 2 * 48 + 20);
    assert_true(bytes_equal(whole.payload, spec.payload));
    spec = ipv4;
    fragment_table_free(t);
}

static void datagrams_are_told_apart(void **state)
{
    (void)state;
    struct fragment_table *t = table_new(&roomy);
    struct fragment other_vlan = piece(1, 64, 120);
    other_vlan.vlan[0] = 5;
    assert_waiting(t, other_vlan);
    assert_waiting(t, piece(2, 64, 120));
    assert_waiting(t, piece(1, 0, 64));
    assert_complete(t, piece(1, 64, 120), 2);
    assert_complete(t, piece(2, 0, 64), 2);
    assert_int_equal(fragment_table_pending_bytes(t), IPV4_HEADER + 56);
    fragment_table_free(t);
}

static void duplicate_is_untracked(void **state)
{
    (void)state;
    struct fragment_table *t = table_new(&roomy);
    assert_waiting(t, piece(1, 0, 64));
    assert_waiting(t, piece(1, 0, 64));
    assert_int_equal(fragment_table_take_untracked(t), IPV4_HEADER + 64);
    assert_complete(t, piece(1, 64, 120), 2);
    assert_int_equal(fragment_table_take_untracked(t), 0);
    fragment_table_free(t);
}

/* After @second, which contradicts @first, nothing of the datagram counts. */
static void assert_conflict(struct fragment first, struct fragment second)
{
    struct fragment_table *t = table_new(&roomy);
    uint32_t bytes = first.header_bytes + first.data_bytes;
    assert_waiting(t, first);
    assert_waiting(t, second);
    bytes += second.header_bytes + second.data_bytes;
    assert_int_equal(fragment_table_pending_bytes(t), 0);
    assert_int_equal(fragment_table_take_untracked(t), bytes);

    assert_waiting(t, piece(1, 0, 64));
    assert_waiting(t, piece(1, 64, 120));
    assert_int_equal(fragment_table_pending_bytes(t), 0);
    assert_int_equal(fragment_table_take_untracked(t), 2 * IPV4_HEADER + 120);

    fragment_table_expire(t, TIMEOUT_NS + 1);
    assert_waiting(t, piece(1, 0, 64));
    assert_complete(t, piece(1, 64, 120), 2);
    fragment_table_free(t);
}

static void overlap_gives_the_datagram_up(void **state)
{
    (void)state;
    struct fragment inner = piece(1, 8, 48);
    struct fragment middle = piece(1, 0, 56);
    inner.data = middle.data = bytes_make(segment, 40);
    assert_conflict(inner, middle);
    assert_conflict(middle, inner);
    struct fragment shorter = middle;
    shorter.data_bytes = 48;
    assert_conflict(middle, shorter);
}

static void ends_that_differ_give_the_datagram_up(void **state)
{
    (void)state;
    struct fragment last = piece(1, 64, 120);
    struct fragment behind = last;
    behind.offset = 120;
    assert_conflict(last, behind);
    behind.more = true;
    behind.data_bytes = 48;
    assert_conflict(last, behind);
    assert_conflict(behind, last);
}

static void fragment_that_can_be_no_part_is_untracked(void **state)
{
    (void)state;
    struct fragment odd = piece(1, 0, 64);
    odd.data_bytes = 63;
    struct fragment empty = piece(1, 64, 120);
    empty.data_bytes = 0;
    struct fragment too_far = piece(1, 64, 120);
    too_far.offset = 65488;
    struct fragment huge = piece(1, 64, 120);
    huge.data_bytes = UINT32_MAX - IPV4_HEADER;
    struct fragment *all[] = {&odd, &empty, &too_far, &huge};
    struct fragment_table *t = table_new(&roomy);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        assert_waiting(t, *all[i]);
        assert_int_equal(fragment_table_pending_bytes(t), 0);
        assert_int_equal(fragment_table_take_untracked(t), IPV4_HEADER + all[i]->data_bytes);
    }
    fragment_table_free(t);
}

static void datagram_of_the_greatest_size(void **state)
{
    (void)state;
    struct fragment_table *t = table_new(&roomy);
    struct fragment first = piece(1, 0, 64);
    struct fragment last = piece(1, 64, 120);
    last.data_bytes = 65535 - 64;
    assert_waiting(t, first);
    struct packet whole;
    assert_int_equal(add(t, last, &whole), FRAGMENT_COMPLETE);
    assert_int_equal(whole.payload_bytes, 65535 - 20);
    assert_int_equal(whole.payload.size, 100);
    fragment_table_free(t);
}

static void too_many_pieces_give_the_datagram_up(void **state)
{
    (void)state;
    struct fragment_table *t = table_new(&roomy);
    struct fragment f = piece(1, 0, 8);
    for (f.offset = 0; f.offset < 256 * 8; f.offset += 8)
        assert_waiting(t, f);
    assert_int_equal(fragment_table_take_untracked(t), 0);
    assert_waiting(t, f);
    assert_int_equal(fragment_table_take_untracked(t), 257 * (IPV4_HEADER + 8));
    fragment_table_free(t);
}

static void payload_ends_at_the_first_byte_not_captured(void **state)
{
    (void)state;
    for (size_t captured = 0; captured <= 64; captured++) {
        struct fragment_table *t = table_new(&roomy);
        struct fragment first = piece(1, 0, 64);
        first.data.size = captured;
        struct packet whole;
        assert_waiting(t, first);
        enum fragment_step step = add(t, piece(1, 64, 120), &whole);
        if (captured < 20) {
            assert_int_equal(step, FRAGMENT_WAITING);
            assert_int_equal(fragment_table_take_untracked(t), 2 * IPV4_HEADER + 120);
        } else {
            assert_int_equal(step, FRAGMENT_COMPLETE);
            assert_int_equal(whole.payload_bytes, 100);
            size_t expected = captured == 64 ? 100 : captured - 20;
            assert_int_equal(whole.payload.size, expected);
            assert_memory_equal(whole.payload.data, payload, expected);
        }
        assert_int_equal(fragment_table_pending_bytes(t), 0);
        fragment_table_free(t);
    }
}

static void malformed_whole_is_untracked(void **state)
{
    (void)state;
    struct fragment_table *t = table_new(&roomy);
    segment[12] = 0xf0; /* the header would be 60 bytes */
    struct fragment first = piece(1, 0, 16);
    assert_waiting(t, first);
    struct fragment last = piece(1, 16, 120);
    last.data_bytes = 40;
    assert_waiting(t, last);
    assert_int_equal(fragment_table_take_untracked(t), 2 * IPV4_HEADER + 56);
    fragment_table_free(t);
    make_segment(NULL);
}

static void oldest_is_forgotten_for_the_newest(void **state)
{
    (void)state;
    struct fragment_options few = roomy;
    few.datagrams_max = 2;
    struct fragment_table *t = table_new(&few);
    assert_waiting(t, piece(1, 0, 64));
    assert_waiting(t, piece(2, 0, 64));
    assert_waiting(t, piece(3, 0, 56));
    assert_int_equal(fragment_table_take_untracked(t), IPV4_HEADER + 64);
    assert_complete(t, piece(2, 64, 120), 2);
    assert_complete(t, piece(3, 56, 120), 2);
    fragment_table_free(t);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct fragment_options tight = roomy;
    tight.bytes_max = 250;
    struct fragment_table *t = table_new(&tight);
    assert_waiting(t, piece(1, 0, 64));
    assert_waiting(t, piece(2, 0, 64));
    assert_complete(t, piece(1, 64, 120), 2); /* needs the room of 2, itself the oldest */
    assert_int_equal(fragment_table_take_untracked(t), IPV4_HEADER + 64);

    tight.bytes_max = 50;
    struct fragment_table *tiny = table_new(&tight);
    assert_waiting(tiny, piece(1, 0, 64));
    assert_int_equal(fragment_table_pending_bytes(tiny), 0);
    assert_int_equal(fragment_table_take_untracked(tiny), IPV4_HEADER + 64);
    fragment_table_free(tiny);
    fragment_table_free(t);
}

static void time_runs_from_the_first_fragment(void **state)
{
    (void)state;
    struct fragment_table *t = table_new(&roomy);
    struct fragment f = piece(1, 0, 64);
    f.time_ns = 5000;
    assert_waiting(t, f);
    f = piece(2, 0, 64);
    f.time_ns = 5500;
    assert_waiting(t, f);
    fragment_table_expire(t, 0);
    fragment_table_expire(t, 5000 + TIMEOUT_NS);
    assert_int_equal(fragment_table_take_untracked(t), 0);
    fragment_table_expire(t, 5001 + TIMEOUT_NS);
    assert_int_equal(fragment_table_take_untracked(t), IPV4_HEADER + 64);
    assert_complete(t, piece(2, 64, 120), 2);

    assert_waiting(t, piece(3, 0, 64));
    fragment_table_clear(t);
    assert_int_equal(fragment_table_pending_bytes(t), 0);
    assert_int_equal(fragment_table_take_untracked(t), IPV4_HEADER + 64);
    fragment_table_free(t);
}

/*
 * The naive shadow of one datagram: a byte map. Datagrams of 15 units of 8
 * bytes, each fragment some units of it.
 */
enum { SHADOWS = 8, UNITS = 15 };

struct shadow {
    bool used;
    bool given_up;
    bool have[UNITS];
    unsigned start[UNITS]; /* where the piece that covers the unit begins and ends */
    unsigned end[UNITS];
    unsigned pieces;
    uint64_t bytes;
};

static uint64_t shadow_give_up(struct shadow *s)
{
    uint64_t bytes = s->bytes;
    *s = (struct shadow){.used = true, .given_up = true};
    return bytes;
}

/* Returns whether the datagram is whole now; adds what is untracked to @untracked. */
static bool shadow_add(struct shadow *s, unsigned start, unsigned end, uint64_t *untracked)
{
    uint64_t bytes = IPV4_HEADER + (end - start) * 8;
    bool overlap = false, duplicate = false;
    for (unsigned i = start; i < end; i++)
        overlap |= s->have[i];
    duplicate = overlap && s->have[start] && s->start[start] == start && s->end[start] == end;
    s->used = true;
    if (overlap || s->given_up) {
        *untracked += bytes;
        if (!duplicate)
            *untracked += shadow_give_up(s);
        return false;
    }
    bool whole = true;
    for (unsigned i = 0; i < UNITS; i++) {
        if (i >= start && i < end) {
            s->have[i] = true;
            s->start[i] = start;
            s->end[i] = end;
        }
        whole &= s->have[i];
    }
    s->bytes += bytes;
    s->pieces++;
    return whole;
}

static void random_pieces_balance_as_in_a_naive_shadow(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    struct fragment_table *t = table_new(&roomy);
    struct shadow shadows[SHADOWS] = {0};
    uint64_t untracked = 0, taken = 0, completed = 0, bytes_in = 0;
    unsigned completions = 0;
    for (int i = 0; i < 200000; i++) {
        unsigned id = (unsigned)rand() % SHADOWS;
        struct shadow *s = &shadows[id];
        unsigned start = (unsigned)rand() % 5 * 3;
        unsigned end = start + 3;
        if (rand() % 20 == 0)
            end = start + 1 + (unsigned)rand() % (UNITS - start - 1);
        struct fragment f = piece(id, start * 8, end * 8);
        bytes_in += f.header_bytes + f.data_bytes;
        bool whole = shadow_add(s, start, end, &untracked);
        struct packet p;
        assert_int_equal(add(t, f, &p), whole ? FRAGMENT_COMPLETE : FRAGMENT_WAITING);
        if (whole) {
            assert_int_equal(packet_ip_bytes(&p), s->bytes);
            assert_int_equal(p.packets, s->pieces);
            assert_true(bytes_equal(p.payload, spec.payload));
            completed += packet_ip_bytes(&p);
            completions++;
            *s = (struct shadow){0};
        }
        if (rand() % 500 == 0) {
            fragment_table_clear(t);
            for (unsigned j = 0; j < SHADOWS; j++) {
                untracked += shadows[j].bytes;
                shadows[j] = (struct shadow){0};
            }
        }
        taken += fragment_table_take_untracked(t);
        assert_int_equal(taken, untracked);
        assert_int_equal(bytes_in, completed + taken + fragment_table_pending_bytes(t));
    }
    assert_in_range(completions, 1000, 200000);
    fragment_table_free(t);
}

/* Under pressure, with pieces that lie about everything, no byte is lost. */
static void random_lies_balance(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    struct fragment_options tight = {
        .datagrams_max = 4,
        .bytes_max = 1000,
        .timeout_ns = TIMEOUT_NS,
    };
    struct fragment_table *t = table_new(&tight);
    uint64_t completed = 0, taken = 0, bytes_in = 0;
    unsigned completions = 0;
    for (int i = 0; i < 300000; i++) {
        struct fragment f = {
            .id = (uint32_t)rand() % 8,
            .offset = (uint32_t)rand() % 6 * 24,
            .more = rand() % 3,
            .data_bytes = rand() % 10 ? 24 : (uint32_t)rand() % 70000,
            .header_bytes = 20 + (uint32_t)rand() % 40,
            .time_ns = (uint64_t)i * 10,
        };
        size_t captured = rand() % 4 ? f.data_bytes : (size_t)rand() % (f.data_bytes + 1);
        f.data = bytes_make(segment + f.offset, MIN(captured, sizeof(segment) - f.offset));
        bytes_in += (uint64_t)f.header_bytes + f.data_bytes;
        struct packet p;
        if (fragment_table_add(t, &f, &p) == FRAGMENT_COMPLETE) {
            completed += packet_ip_bytes(&p);
            completions++;
            assert_in_range(p.payload.size, 0, p.payload_bytes);
        }
        if (rand() % 10 == 0)
            fragment_table_expire(t, f.time_ns);
        taken += fragment_table_take_untracked(t);
        assert_int_equal(bytes_in, completed + taken + fragment_table_pending_bytes(t));
    }
    assert_in_range(completions, 100, 300000);
    fragment_table_clear(t);
    assert_int_equal(bytes_in, completed + taken + fragment_table_take_untracked(t));
    fragment_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_in_any_order_make_the_whole),
        cmocka_unit_test(tcp_header_may_be_split),
        cmocka_unit_test(ipv6_pieces_make_the_whole),
        cmocka_unit_test(datagrams_are_told_apart),
        cmocka_unit_test(duplicate_is_untracked),
        cmocka_unit_test(overlap_gives_the_datagram_up),
        cmocka_unit_test(ends_that_differ_give_the_datagram_up),
        cmocka_unit_test(fragment_that_can_be_no_part_is_untracked),
        cmocka_unit_test(datagram_of_the_greatest_size),
        cmocka_unit_test(too_many_pieces_give_the_datagram_up),
        cmocka_unit_test(payload_ends_at_the_first_byte_not_captured),
        cmocka_unit_test(malformed_whole_is_untracked),
        cmocka_unit_test(oldest_is_forgotten_for_the_newest),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(time_runs_from_the_first_fragment),
        cmocka_unit_test(random_pieces_balance_as_in_a_naive_shadow),
        cmocka_unit_test(random_lies_balance),
    };
    return cmocka_run_group_tests(tests, make_segment, NULL);
}
