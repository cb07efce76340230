#include "core/link.h"

#include <arpa/inet.h>
#include <net/ethernet.h>

#include "core/vlan.h"

/* LINKTYPE_ values, and what libpcap makes of them. */
enum {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_RAW_BSD = 12,
    LINK_RAW_OPENBSD = 14,
    LINK_RAW = 101,
    LINK_LOOP = 108,
    LINK_SLL = 113,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_SLL2 = 276,
};

enum {
    LOOPBACK_HEADER_BYTES = 4,
    SLL_HEADER_BYTES = 16,
    SLL_PROTOCOL_OFFSET = 14,
    SLL2_HEADER_BYTES = 20,
    SLL2_PROTOCOL_OFFSET = 0,
};

enum { ETHERTYPE_LOWEST = 0x600 }; /* lower ones are lengths: LLC follows */

typedef bool decoder(struct frame *f);

/* Take @count bytes of link header off @f, NULL if they are not all there. */
static const uint8_t *take_header(struct frame *f, uint32_t count)
{
    if (f->data.size < count || f->wire_bytes < count)
        return NULL;
    f->wire_bytes -= count;
    return bytes_take(&f->data, count).data;
}

static uint16_t read_u16(const uint8_t *data)
{
    uint16_t value;
    memcpy(&value, data, sizeof(value));
    return ntohs(value);
}

static bool decode_ethernet(struct frame *f)
{
    const uint8_t *header = take_header(f, ETHER_HDR_LEN);
    if (!header)
        return false;
    f->ethertype = read_u16(header + offsetof(struct ether_header, ether_type));
    int tags = 0;
    while (tags < VLAN_TAGS_MAX && vlan_take_tag(f))
        tags++;
    return f->ethertype >= ETHERTYPE_LOWEST;
}

/*
 * VLAN tags stay where they are: what the `any` device captured is as unclear
 * about them as a packet socket, and packet_decode() can tell.
 */
static bool decode_cooked(struct frame *f, uint32_t header_bytes, uint32_t protocol_offset)
{
    const uint8_t *header = take_header(f, header_bytes);
    if (!header)
        return false;
    f->ethertype = read_u16(header + protocol_offset);
    return f->ethertype >= ETHERTYPE_LOWEST;
}

static bool decode_sll(struct frame *f)
{
    return decode_cooked(f, SLL_HEADER_BYTES, SLL_PROTOCOL_OFFSET);
}

static bool decode_sll2(struct frame *f)
{
    return decode_cooked(f, SLL2_HEADER_BYTES, SLL2_PROTOCOL_OFFSET);
}

static bool decode_raw(struct frame *f)
{
    return f->data.size > 0;
}

static bool decode_ipv4(struct frame *f)
{
    f->ethertype = ETHERTYPE_IP;
    return decode_raw(f);
}

static bool decode_ipv6(struct frame *f)
{
    f->ethertype = ETHERTYPE_IPV6;
    return decode_raw(f);
}

/* The header is the address family as the host that captured has it, in its byte order. */
static bool decode_loopback(struct frame *f)
{
    const uint8_t *header = take_header(f, LOOPBACK_HEADER_BYTES);
    if (!header)
        return false;

    uint32_t family;
    memcpy(&family, header, sizeof(family));
    if (family > UINT16_MAX)
        family = __builtin_bswap32(family);
    switch (family) {
    case 2:
        f->ethertype = ETHERTYPE_IP;
        return true;
    case 10: /* Linux */
    case 23: /* Windows */
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* macOS */
        f->ethertype = ETHERTYPE_IPV6;
        return true;
    default:
        return false;
    }
}

static decoder *decoder_of(int link_type)
{
    switch (link_type) {
    case LINK_ETHERNET:
        return decode_ethernet;
    case LINK_SLL:
        return decode_sll;
    case LINK_SLL2:
        return decode_sll2;
    case LINK_RAW:
    case LINK_RAW_BSD:
    case LINK_RAW_OPENBSD:
        return decode_raw;
    case LINK_IPV4:
        return decode_ipv4;
    case LINK_IPV6:
        return decode_ipv6;
    case LINK_NULL:
    case LINK_LOOP:
        return decode_loopback;
    default:
        return NULL;
    }
}

bool link_supported(int link_type)
{
    return decoder_of(link_type) != NULL;
}

bool link_decode(int link_type, struct bytes captured, uint32_t wire_bytes, struct frame *f)
{
    decoder *decode = decoder_of(link_type);
    f->data = captured;
    f->wire_bytes = wire_bytes;
    f->gso_size = 0;
    f->ethertype = 0;
    f->vlan[0] = f->vlan[1] = 0;
    return decode && decode(f);
}
