/*
 * Frames of any content, and what becomes of their fragments. The first two bytes
 * say what the link told of the frame.
 */
#include "core/packet.h"

#include <stdlib.h>

#include "core/fragment.h"
#include "core/link.h"
#include "fuzz/fuzz.h"

#define IPV4(length, offset, protocol)                                                             \
    "\x45\0\0" length "\0\1" offset "\x40" protocol "\0\0\x0a\0\0\1\x0a\0\0\2"
#define TCP "\xa0\0\0\x50\0\0\0\1\0\0\0\2\x50\x10\0\0\0\0\0\0"

const struct bytes fuzz_seeds[] = {
    BYTES("\0\0" IPV4("\x2b", "\0\0", "\6") TCP "abc"),
    BYTES("\1\0\0\7\x08\0" IPV4("\x2b", "\0\0", "\6") TCP "abc"),
    BYTES("\0\1" IPV4("\x1c", "\x20\0", "\6") "\xa0\0\0\x50\0\0\0\1"),
    BYTES("\0\1" IPV4("\x20", "\0\1", "\6") "\0\0\0\2\x50\x10\0\0\0\0\0\0"),
    BYTES(
        "\2\0\x60\0\0\0\0\x1c\x2c\x40\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\2\6\0\0\1\0\0\0\7" TCP),
    BYTES("\2\0\x60\0\0\0\0\x1c\0\x40\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0"
          "\0\0\2\6\0\0\0\0\0\0\0" TCP),
};
const size_t fuzz_seed_count = ARRAY_SIZE(fuzz_seeds);

static const uint16_t ethertypes[] = {0, 0x8100, 0x86dd, 0x0800, 0x88a8, 0xffff};
static const int link_types[] = {0, 1, 101, 113, 276, 108};

static void check(const struct packet *p)
{
    FUZZ_ASSERT(p->payload.size <= p->payload_bytes);
    FUZZ_ASSERT(p->packets >= 1);
    FUZZ_ASSERT(p->header_bytes >= 40 * p->packets);
    FUZZ_ASSERT(p->side < 2);
}

static void decode(const struct frame *f, struct fragment_table *table)
{
    struct packet p;
    struct fragment fragment;
    switch (packet_decode(f, &p, &fragment)) {
    case PACKET_TCP:
        check(&p);
        break;
    case PACKET_FRAGMENT:
        if (fragment_table_add(table, &fragment, &p) == FRAGMENT_COMPLETE)
            FUZZ_ASSERT(p.payload.size <= p.payload_bytes);
        break;
    case PACKET_MALFORMED:
        FUZZ_ASSERT(p.packets == 1);
        break;
    case PACKET_OTHER:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fragment_options options = {
        .datagrams_max = 16, .bytes_max = 1 << 16, .timeout_ns = 1000};
    static struct fragment_table *table;
    if (!table && fragment_table_new(&table, &options) < 0)
        abort();
    if (size < 2)
        return 0;

    struct bytes rest = bytes_make(data + 2, size - 2);
    struct frame f = {
        .data = rest,
        .wire_bytes = (uint32_t)rest.size + data[1] / 8,
        .gso_size = data[1] & 1 ? 2 : 0,
        .ethertype = ethertypes[data[0] % ARRAY_SIZE(ethertypes)],
    };
    decode(&f, table);
    struct frame linked = {0};
    if (link_decode(link_types[data[0] % ARRAY_SIZE(link_types)], rest, f.wire_bytes, &linked))
        decode(&linked, table);
    if (data[1] & 2) {
        fragment_table_clear(table);
        fragment_table_take_untracked(table);
    }
    return 0;
}
