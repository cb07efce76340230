/*
 * The frame's length is what the link says, the IP header's is what the sender
 * says. The sender is believed as long as the frame has room for it: what is
 * left is link padding. Otherwise the frame's length is taken, which is right
 * for super-packets (length 0) and never counts more than there was.
 */
#include "core/packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include "base/macros.h"
#include "core/vlan.h"

enum {
    EXTENSIONS_MAX = 8, /* of one packet */
    EXTENSION_BYTES_MIN = 8,
    LENGTH_FIELD_MAX = 65535,
    PADDING_MAX = 64,     /* behind an IP packet in its frame */
    ETHERTYPE_ANY_IP = 0, /* its version tells */
};

/* An IP packet whose headers were read. */
struct ip_packet {
    uint8_t address[2][16]; /* source, destination */
    uint8_t protocol;
    struct bytes rest;   /* captured, behind the headers */
    uint32_t bytes;      /* of it all */
    uint32_t said_bytes; /* what its header says to that */
    uint32_t header_bytes;
    bool is_fragment;
    bool more;
    uint32_t id;
    uint32_t offset;
};

static const uint8_t ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool packet_address_is_ipv4(const uint8_t address[static 16])
{
    return memcmp(address, ipv4_prefix, sizeof(ipv4_prefix)) == 0;
}

static void map_ipv4(uint8_t address[static 16], __be32 ipv4)
{
    memcpy(address, ipv4_prefix, sizeof(ipv4_prefix));
    memcpy(address + sizeof(ipv4_prefix), &ipv4, sizeof(ipv4));
}

/* Settle the length of @ip and what was captured behind its first @header_bytes. */
static void measure(struct ip_packet *ip, const struct frame *f, uint32_t said_bytes,
                    uint32_t header_bytes)
{
    bool fits = said_bytes >= header_bytes && said_bytes <= f->wire_bytes;
    ip->said_bytes = said_bytes;
    ip->bytes = fits ? said_bytes : f->wire_bytes;
    ip->header_bytes = header_bytes;
    ip->rest = bytes_make(f->data.data, MIN(f->data.size, (size_t)ip->bytes));
    bytes_take(&ip->rest, header_bytes);
}

static bool read_ipv4(const struct frame *f, struct ip_packet *ip)
{
    struct iphdr h;
    if (f->data.size < sizeof(h))
        return false;
    memcpy(&h, f->data.data, sizeof(h));

    uint16_t fragment = ntohs(h.frag_off);
    measure(ip, f, ntohs(h.tot_len), h.ihl * 4u);
    ip->protocol = h.protocol;
    ip->more = fragment & IP_MF;
    ip->offset = (fragment & IP_OFFMASK) * 8u;
    ip->is_fragment = ip->more || ip->offset;
    ip->id = ntohs(h.id);
    map_ipv4(ip->address[0], h.saddr);
    map_ipv4(ip->address[1], h.daddr);
    return true;
}

/* The length of the extension header at the front of @rest, 0 if there is none. */
static uint32_t extension_bytes(uint8_t type, struct bytes rest)
{
    if (rest.size < EXTENSION_BYTES_MIN)
        return 0;
    switch (type) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
        return (rest.data[1] + 1u) * 8;
    case IPPROTO_AH:
        return (rest.data[1] + 2u) * 4;
    case IPPROTO_FRAGMENT:
        return sizeof(struct ip6_frag);
    default:
        return 0;
    }
}

/* Without an offset and more to come it is no fragment but "atomic" (RFC 6946). */
static void read_fragment_header(struct ip_packet *ip)
{
    struct ip6_frag h;
    memcpy(&h, ip->rest.data, sizeof(h));
    ip->more = h.ip6f_offlg & IP6F_MORE_FRAG;
    ip->offset = ntohs(h.ip6f_offlg & IP6F_OFF_MASK);
    ip->is_fragment = ip->more || ip->offset;
    ip->id = ntohl(h.ip6f_ident);
}

static void read_extensions(struct ip_packet *ip)
{
    for (int i = 0; i < EXTENSIONS_MAX && !ip->is_fragment; i++) {
        uint32_t length = extension_bytes(ip->protocol, ip->rest);
        if (length == 0)
            return;
        if (ip->protocol == IPPROTO_FRAGMENT)
            read_fragment_header(ip);
        ip->protocol = ip->rest.data[0];
        ip->header_bytes += length;
        bytes_take(&ip->rest, length);
    }
}

/* Linux gives a super-packet over 64 KiB a jumbo option, and its segments none. */
static void drop_jumbo_option(struct ip_packet *ip)
{
    struct bytes rest = ip->rest;
    if (ip->protocol != IPPROTO_HOPOPTS || rest.size < EXTENSION_BYTES_MIN || rest.data[1] != 0 ||
        rest.data[2] != IP6OPT_JUMBO)
        return;
    ip->protocol = rest.data[0];
    ip->bytes -= EXTENSION_BYTES_MIN;
    bytes_take(&ip->rest, EXTENSION_BYTES_MIN);
}

static bool read_ipv6(const struct frame *f, struct ip_packet *ip)
{
    struct ip6_hdr h;
    if (f->data.size < sizeof(h))
        return false;
    memcpy(&h, f->data.data, sizeof(h));

    uint32_t payload_bytes = ntohs(h.ip6_plen);
    measure(ip, f, payload_bytes ? sizeof(h) + payload_bytes : 0, sizeof(h));
    ip->protocol = h.ip6_nxt;
    memcpy(ip->address[0], &h.ip6_src, sizeof(h.ip6_src));
    memcpy(ip->address[1], &h.ip6_dst, sizeof(h.ip6_dst));
    if (f->gso_size)
        drop_jumbo_option(ip);
    read_extensions(ip);
    return true;
}

/* The version of the IP header at the front of @f, 0 if the ethertype speaks against one. */
static unsigned ip_version(const struct frame *f)
{
    unsigned version = f->data.size ? f->data.data[0] >> 4 : 0;
    bool ipv4 = version == 4 && (f->ethertype == ETHERTYPE_ANY_IP || f->ethertype == ETHERTYPE_IP);
    bool ipv6 =
        version == 6 && (f->ethertype == ETHERTYPE_ANY_IP || f->ethertype == ETHERTYPE_IPV6);
    return ipv4 || ipv6 ? version : 0;
}

static bool read_ip(const struct frame *f, struct ip_packet *ip)
{
    switch (ip_version(f)) {
    case 4:
        return read_ipv4(f, ip);
    case 6:
        return read_ipv6(f, ip);
    default:
        return false;
    }
}

static bool headers_fit(const struct ip_packet *ip)
{
    return ip->header_bytes >= sizeof(struct iphdr) && ip->header_bytes <= ip->bytes;
}

/* Whether @f begins with an IP header whose length is that of the frame, but for padding. */
static bool begins_with_ip(const struct frame *f)
{
    struct ip_packet ip = {0};
    if (!read_ip(f, &ip) || !headers_fit(&ip))
        return false;
    bool same = ip.said_bytes == ip.bytes && f->wire_bytes - ip.bytes <= PADDING_MAX;
    bool too_long_to_say = ip.said_bytes == 0 && f->wire_bytes > LENGTH_FIELD_MAX;
    return same || too_long_to_say;
}

/*
 * Take off the tags that are in the data. A packet socket gives an incoming frame
 * from its inner tag on, and an outgoing one from what is behind all tags, either
 * with the ethertype of a tag or, by newer kernels, with that behind all tags. So
 * a tag is one when IP follows it.
 *
 * The inner VLAN is not made part of the flow: outgoing frames would lack it.
 */
static struct frame without_tags(const struct frame *f)
{
    struct frame found = *f;
    if (f->ethertype == ETHERTYPE_ANY_IP)
        return found;
    struct frame behind = *f;
    if (vlan_is_tag(f->ethertype))
        found.ethertype = ETHERTYPE_ANY_IP;
    else if (f->ethertype == ETHERTYPE_IP || f->ethertype == ETHERTYPE_IPV6)
        behind.ethertype = ETHERTYPE_VLAN;
    for (int i = 0; i < VLAN_TAGS_MAX && vlan_take_tag(&behind); i++) {
        struct frame candidate = behind;
        if (vlan_is_tag(candidate.ethertype))
            candidate.ethertype = ETHERTYPE_ANY_IP;
        if (begins_with_ip(&candidate))
            found = candidate;
    }
    found.vlan[1] = f->vlan[1];
    return found;
}

/* Returns the side that sent. */
static unsigned fill_flow(struct flow *flow, const uint8_t address[2][16], const __be16 port[2],
                          const uint16_t vlan[2])
{
    int order = memcmp(address[0], address[1], sizeof(flow->address[0]));
    if (order == 0)
        order = memcmp(&port[0], &port[1], sizeof(port[0]));
    unsigned side = order > 0;
    for (unsigned i = 0; i < 2; i++) {
        memcpy(flow->address[side ^ i], address[i], sizeof(flow->address[0]));
        flow->port[side ^ i] = port[i];
        flow->vlan[i] = vlan[i];
    }
    return side;
}

static enum packet_kind malformed(struct packet *p, uint32_t ip_bytes, uint64_t time_ns)
{
    *p = (struct packet){.header_bytes = ip_bytes, .packets = 1, .time_ns = time_ns};
    return PACKET_MALFORMED;
}

enum packet_kind packet_decode_segment(struct bytes segment, uint32_t segment_bytes,
                                       const uint8_t address[2][16], const uint16_t vlan[2],
                                       uint32_t ip_header_bytes, uint32_t packets, uint64_t time_ns,
                                       struct packet *p)
{
    struct tcphdr h;
    if (segment.size < sizeof(h))
        return malformed(p, ip_header_bytes + segment_bytes, time_ns);
    memcpy(&h, segment.data, sizeof(h));
    uint32_t header_bytes = h.th_off * 4u;
    if (header_bytes < sizeof(h) || header_bytes > segment_bytes)
        return malformed(p, ip_header_bytes + segment_bytes, time_ns);

    bytes_take(&segment, header_bytes);
    p->side = fill_flow(&p->flow, address, (const __be16[2]){h.th_sport, h.th_dport}, vlan);
    p->flags = h.th_flags;
    p->seq = ntohl(h.th_seq);
    p->ack = ntohl(h.th_ack);
    p->payload = segment;
    p->payload_bytes = segment_bytes - header_bytes;
    p->header_bytes = ip_header_bytes + header_bytes;
    p->packets = packets;
    p->time_ns = time_ns;
    return PACKET_TCP;
}

static enum packet_kind fill_fragment(struct fragment *fragment, const struct ip_packet *ip,
                                      const struct frame *f)
{
    *fragment = (struct fragment){
        .vlan = {f->vlan[0], f->vlan[1]},
        .id = ip->id,
        .offset = ip->offset,
        .more = ip->more,
        .data = ip->rest,
        .data_bytes = ip->bytes - ip->header_bytes,
        .header_bytes = ip->header_bytes,
        .time_ns = f->time_ns,
    };
    memcpy(fragment->address, ip->address, sizeof(ip->address));
    return PACKET_FRAGMENT;
}

/* Every segment on the wire has the headers again. */
static void expand_super_packet(struct packet *p, uint32_t gso_size)
{
    if (gso_size == 0 || p->payload_bytes <= gso_size)
        return;
    p->packets = (p->payload_bytes - 1) / gso_size + 1;
    p->header_bytes *= p->packets;
}

enum packet_kind packet_decode(const struct frame *f, struct packet *p, struct fragment *fragment)
{
    struct ip_packet ip = {0};
    struct frame bare = without_tags(f);
    if (!read_ip(&bare, &ip) || ip.protocol != IPPROTO_TCP)
        return PACKET_OTHER;
    if (!headers_fit(&ip))
        return malformed(p, ip.bytes, f->time_ns);
    if (ip.is_fragment)
        return fill_fragment(fragment, &ip, &bare);

    enum packet_kind kind = packet_decode_segment(ip.rest, ip.bytes - ip.header_bytes, ip.address,
                                                  bare.vlan, ip.header_bytes, 1, f->time_ns, p);
    if (kind == PACKET_TCP)
        expand_super_packet(p, f->gso_size);
    return kind;
}
