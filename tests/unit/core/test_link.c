#include "core/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/macros.h"
#include "support/guard.h"

/* What link_decode() shall make of a header before the four bytes "IP..". */
struct link_case {
    int link_type;
    uint32_t kept_bytes; /* of the header: tags that are left to packet_decode() */
    struct bytes header;
    uint16_t ethertype;
    uint16_t vlan[2];
};

#define MAC_ADDRESSES  "\1\2\3\4\5\6\1\2\3\4\5\6"
#define OLD_QINQ       "\x91\x00\0\0\x91\x00\0\1\x91\x00\0\2\x91\x00\0\3\x08\x00"
#define SLL(protocol)  "\0\0\0\1\0\6\1\2\3\4\5\6\0\0" protocol
#define SLL2(protocol) protocol "\0\0\0\0\0\2\0\1\0\6\1\2\3\4\5\6\0\0"

static const struct link_case cases[] = {
    {1, 0, BYTES(MAC_ADDRESSES "\x08\x00"), 0x0800, {0, 0}},
    {1, 0, BYTES(MAC_ADDRESSES "\x08\x06"), 0x0806, {0, 0}},
    {1, 0, BYTES(MAC_ADDRESSES "\x81\x00\x20\x05\x86\xdd"), 0x86dd, {5, 0}},
    {1, 0, BYTES(MAC_ADDRESSES "\x81\x00\x20\x00\x08\x00"), 0x0800, {0, 0}},
    {1, 0, BYTES(MAC_ADDRESSES "\x88\xa8\x00\x05\x81\x00\x0f\xff\x08\x00"), 0x0800, {5, 4095}},
    {1, 0, BYTES(MAC_ADDRESSES OLD_QINQ), 0x0800, {1, 2}},
    {113, 0, BYTES(SLL("\x08\x00")), 0x0800, {0, 0}},
    {113, 4, BYTES(SLL("\x81\x00") "\x00\x05\x08\x00"), 0x8100, {0, 0}},
    {276, 0, BYTES(SLL2("\x86\xdd")), 0x86dd, {0, 0}},
    {276, 4, BYTES(SLL2("\x81\x00") "\x00\x05\x08\x00"), 0x8100, {0, 0}},
    {12, 0, BYTES(""), 0, {0, 0}},
    {14, 0, BYTES(""), 0, {0, 0}},
    {101, 0, BYTES(""), 0, {0, 0}},
    {228, 0, BYTES(""), 0x0800, {0, 0}},
    {229, 0, BYTES(""), 0x86dd, {0, 0}},
    {0, 0, BYTES("\0\0\0\2"), 0x0800, {0, 0}},
    {0, 0, BYTES("\2\0\0\0"), 0x0800, {0, 0}},
    {0, 0, BYTES("\x1e\0\0\0"), 0x86dd, {0, 0}},
    {0, 0, BYTES("\0\0\0\x18"), 0x86dd, {0, 0}},
    {108, 0, BYTES("\0\0\0\2"), 0x0800, {0, 0}},
    {108, 0, BYTES("\0\0\0\x1c"), 0x86dd, {0, 0}},
};

static struct bytes join(struct bytes header, struct bytes rest)
{
    static uint8_t buffer[200];
    memcpy(buffer, header.data, header.size);
    memcpy(buffer + header.size, rest.data, rest.size);
    return bytes_make(buffer, header.size + rest.size);
}

static void every_link_header_is_taken_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct link_case *c = &cases[i];
        struct bytes whole = join(c->header, BYTES("IP.."));
        struct frame f;
        assert_true(link_supported(c->link_type));
        assert_true(link_decode(c->link_type, whole, 1000, &f));
        uint32_t taken = (uint32_t)c->header.size - c->kept_bytes;
        assert_int_equal(f.ethertype, c->ethertype);
        assert_int_equal(f.vlan[0], c->vlan[0]);
        assert_int_equal(f.vlan[1], c->vlan[1]);
        assert_int_equal(f.wire_bytes, 1000 - taken);
        assert_int_equal(f.gso_size, 0);
        assert_int_equal(f.data.size, whole.size - taken);
        assert_ptr_equal(f.data.data, whole.data + taken);
    }
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    struct guard g;
    guard_init(&g, 200);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bytes whole = join(cases[i].header, BYTES("IP.."));
        for (size_t size = 0; size <= whole.size; size++)
            for (uint32_t wire_bytes = 0; wire_bytes <= whole.size; wire_bytes++) {
                struct bytes cut = guard_copy(&g, bytes_make(whole.data, size));
                struct frame f;
                if (!link_decode(cases[i].link_type, cut, wire_bytes, &f))
                    continue;
                assert_in_range(f.wire_bytes, 0, wire_bytes);
                assert_int_equal(cut.size - f.data.size, wire_bytes - f.wire_bytes);
                assert_ptr_equal(f.data.data + f.data.size, cut.data + cut.size);
            }
    }
    guard_deinit(&g);
}

static void random_bytes_are_harmless(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    struct guard g;
    guard_init(&g, 64);
    for (int i = 0; i < 200000; i++) {
        uint8_t noise[40];
        for (size_t j = 0; j < sizeof(noise); j++)
            noise[j] = rand() % 3 ? (uint8_t)rand() : "\x81\x00\x88\xa8\x02"[rand() % 5];
        struct bytes b = guard_copy(&g, bytes_make(noise, (size_t)rand() % sizeof(noise)));
        struct frame f;
        int link_type = cases[(size_t)rand() % ARRAY_SIZE(cases)].link_type;
        if (link_decode(link_type, b, (uint32_t)b.size, &f))
            assert_int_equal(f.data.size, f.wire_bytes);
    }
    guard_deinit(&g);
}

static void what_is_no_network_packet_is_refused(void **state)
{
    (void)state;
    struct frame f;
    /* LLC with SNAP: the type is a length. */
    assert_false(link_decode(1, BYTES(MAC_ADDRESSES "\x00\x26\xaa\xaa\x03\0\0\0\x08\0"), 60, &f));
    assert_false(link_decode(113, BYTES(SLL("\0\4") "IP.."), 60, &f));
    assert_false(link_decode(0, BYTES("\0\0\0\7IP.."), 60, &f));
    assert_false(link_decode(108, BYTES("\1\0\0\2IP.."), 60, &f));
    assert_false(link_decode(101, BYTES(""), 0, &f));
}

static void unknown_link_types_are_refused(void **state)
{
    (void)state;
    struct frame f;
    static const int unknown[] = {-1, 2, 9, 105, 127, 147, 277, 1 << 20};
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        assert_false(link_supported(unknown[i]));
        assert_false(link_decode(unknown[i], BYTES("0123456789012345678901234"), 25, &f));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_link_header_is_taken_off),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(random_bytes_are_harmless),
        cmocka_unit_test(what_is_no_network_packet_is_refused),
        cmocka_unit_test(unknown_link_types_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
