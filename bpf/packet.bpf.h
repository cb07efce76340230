/*
 * What a packet is: from the socket's data to the flow, the sequence numbers and
 * where the payload lies.
 *
 * Headers are read with bpf_skb_load_bytes() at offsets from the start of the
 * socket's data. Unlike bpf_skb_load_bytes_relative(), and unlike pointers
 * into the packet, that reaches bytes outside of the skb's linear part.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "filter.h"

enum { TAGS_MAX = 4, EXTENSIONS_MAX = 8, IPV4_FRAGMENT = 0x3fff, IPV6_FRAGMENT = 0xfff9 };
enum { VLAN_ID = 0xfff };

/* Set before the program is loaded. */
const volatile __u32 link_header_bytes;
const volatile bool count_segments; /* of super-packets */

enum kind { OTHER, TCP, FRAGMENT, MALFORMED };

/* A packet, as far as it was parsed. Offsets are from the start of the data. */
struct packet {
    __u32 ip;     /* where its IP header begins */
    __u32 offset; /* where the next header begins */
    __u32 end;    /* where it ends: link padding may follow */
    __u8 protocol;
    bool fragment;
    __u16 source;
    __u16 destination;
    __u32 seq;
    __u32 ack;
    bool syn, fin, rst;
    __u8 side; /* of the flow, that sent it */
    struct flow flow;
};

/* In network byte order. */
struct vlan_tag {
    __be16 id;
    __be16 ethertype;
};

/* The first 8 bytes of any: none is shorter. */
struct ipv6_extension {
    __u8 next_header;
    __u8 length;
    union {
        __u8 option;     /* the first, of hop-by-hop options */
        __be16 fragment; /* offset and flags */
    };
    __be32 rest;
};

static __always_inline bool is_vlan(__be16 ethertype)
{
    return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD) ||
           ethertype == bpf_htons(ETH_P_QINQ1);
}

/* The first two that are set, the outer one first. */
static __always_inline void add_vlan(struct flow *flow, __u16 tag)
{
    __u16 id = tag & VLAN_ID;
    if (!flow->vlan[0])
        flow->vlan[0] = id;
    else if (!flow->vlan[1])
        flow->vlan[1] = id;
}

/*
 * Most packets are IPv4 without options or tags: what is needed of those is read in
 * one go. The rest goes the long way, which begins anew.
 */
struct plain_headers {
    __u16 unread; /* aligns the rest */
    __be16 ethertype;
    struct iphdr ip;
    struct tcphdr tcp;
};

/* Skip the link header, if the data has one, and its tags. Returns what follows, 0 if unknown. */
static __always_inline __be16 parse_link(struct __sk_buff *skb, struct packet *p, __u32 link_bytes)
{
    p->offset = link_bytes;
    if (skb->vlan_present)
        add_vlan(&p->flow, skb->vlan_tci);

    __be16 ethertype = (__be16)skb->protocol;
    if (link_bytes &&
        bpf_skb_load_bytes(skb, p->offset - sizeof(ethertype), &ethertype, sizeof(ethertype)))
        return 0;
#pragma unroll
    for (int i = 0; i < TAGS_MAX; i++) {
        struct vlan_tag tag;
        if (!is_vlan(ethertype))
            break;
        if (bpf_skb_load_bytes(skb, p->offset, &tag, sizeof(tag)))
            return 0;
        p->offset += sizeof(tag);
        add_vlan(&p->flow, bpf_ntohs(tag.id));
        ethertype = tag.ethertype;
    }
    return ethertype;
}

/* A length that can't be true, and the 0 of a super-packet, leave what is there. */
static __always_inline void set_end(struct __sk_buff *skb, struct packet *p, __u32 said_bytes)
{
    bool fits = p->ip + said_bytes >= p->offset && p->ip + said_bytes <= skb->len;
    p->end = fits ? p->ip + said_bytes : skb->len;
}

static __always_inline void set_ipv4(__u8 *address, __be32 ipv4)
{
    __u32 *words = (__u32 *)address;
    words[2] = bpf_htonl(0xffff);
    words[3] = ipv4;
}

static __always_inline void read_ipv4(struct __sk_buff *skb, struct packet *p,
                                      const struct iphdr *ip)
{
    p->offset = p->ip + ip->ihl * 4;
    set_ipv4(p->flow.address[0], ip->saddr);
    set_ipv4(p->flow.address[1], ip->daddr);
    set_end(skb, p, bpf_ntohs(ip->tot_len));
    p->protocol = ip->protocol;
    p->fragment = ip->frag_off & bpf_htons(IPV4_FRAGMENT);
}

static __always_inline bool parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, p->ip, &ip, sizeof(ip)) || ip.version != 4)
        return false;
    read_ipv4(skb, p, &ip);
    return true;
}

static __always_inline __u32 extension_bytes(__u8 type, const struct ipv6_extension *extension)
{
    switch (type) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
        return (extension->length + 1) * 8;
    case IPPROTO_AH:
        return (extension->length + 2) * 4;
    case IPPROTO_FRAGMENT:
        return sizeof(*extension);
    default:
        return 0;
    }
}

/* Step over extension headers until one names TCP, or what is none of them. */
static __always_inline void parse_extensions(struct __sk_buff *skb, struct packet *p)
{
#pragma unroll
    for (int i = 0; i < EXTENSIONS_MAX; i++) {
        struct ipv6_extension extension;
        if (p->protocol == IPPROTO_TCP || p->offset + sizeof(extension) > p->end ||
            bpf_skb_load_bytes(skb, p->offset, &extension, sizeof(extension)))
            return;
        __u32 bytes = extension_bytes(p->protocol, &extension);
        if (!bytes)
            return;
        if (p->protocol == IPPROTO_FRAGMENT)
            p->fragment = extension.fragment & bpf_htons(IPV6_FRAGMENT);
        p->protocol = extension.next_header;
        p->offset += bytes;
        if (p->fragment)
            return;
    }
}

static __always_inline bool is_super_packet(struct __sk_buff *skb, bool has_gso_size)
{
    return count_segments && (has_gso_size ? skb->gso_size : skb->gso_segs) != 0;
}

/*
 * Linux gives a super-packet over 64 KiB a jumbo option, and its segments none:
 * count as if it were not there.
 */
static __always_inline void drop_jumbo_option(struct __sk_buff *skb, struct packet *p)
{
    struct ipv6_extension extension;
    if (p->protocol != IPPROTO_HOPOPTS || p->offset + sizeof(extension) > p->end ||
        bpf_skb_load_bytes(skb, p->offset, &extension, sizeof(extension)) ||
        extension.length != 0 || extension.option != IPV6_TLV_JUMBO)
        return;
    p->protocol = extension.next_header;
    p->ip += sizeof(extension);
    p->offset += sizeof(extension);
}

static __always_inline bool parse_ipv6(struct __sk_buff *skb, struct packet *p, bool has_gso_size)
{
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, p->ip, &ip, sizeof(ip)) || ip.version != 6)
        return false;
    __u32 payload_bytes = bpf_ntohs(ip.payload_len);
    __builtin_memcpy(p->flow.address[0], &ip.saddr, sizeof(ip.saddr));
    __builtin_memcpy(p->flow.address[1], &ip.daddr, sizeof(ip.daddr));
    p->offset = p->ip + sizeof(ip);
    set_end(skb, p, payload_bytes ? sizeof(ip) + payload_bytes : 0);
    p->protocol = ip.nexthdr;
    if (is_super_packet(skb, has_gso_size))
        drop_jumbo_option(skb, p);
    parse_extensions(skb, p);
    return true;
}

/* Afterwards p->offset is where the payload begins. */
static __always_inline enum kind read_tcp(struct packet *p, const struct tcphdr *tcp)
{
    p->offset += tcp->doff * 4;
    if (tcp->doff < 5 || p->offset > p->end)
        return MALFORMED;
    p->source = bpf_ntohs(tcp->source);
    p->destination = bpf_ntohs(tcp->dest);
    p->seq = bpf_ntohl(tcp->seq);
    p->ack = bpf_ntohl(tcp->ack_seq);
    p->syn = tcp->syn;
    p->fin = tcp->fin;
    p->rst = tcp->rst;
    p->flow.port[0] = tcp->source;
    p->flow.port[1] = tcp->dest;
    return TCP;
}

static __always_inline enum kind parse_tcp(struct __sk_buff *skb, struct packet *p)
{
    struct tcphdr tcp;
    if (p->offset + sizeof(tcp) > p->end || bpf_skb_load_bytes(skb, p->offset, &tcp, sizeof(tcp)))
        return MALFORMED;
    return read_tcp(p, &tcp);
}

/* Returns OTHER, and an untouched @p, if @skb is not of the usual kind. */
static __always_inline enum kind parse_plain(struct __sk_buff *skb, struct packet *p,
                                             __u32 link_bytes)
{
    struct plain_headers h;
    if (!link_bytes || skb->vlan_present ||
        bpf_skb_load_bytes(skb, link_bytes - sizeof(h.ethertype), &h.ethertype,
                           sizeof(h) - sizeof(h.unread)) ||
        h.ethertype != bpf_htons(ETH_P_IP) || h.ip.version != 4 || h.ip.ihl != 5 ||
        h.ip.protocol != IPPROTO_TCP || h.ip.frag_off & bpf_htons(IPV4_FRAGMENT))
        return OTHER;
    p->ip = link_bytes;
    read_ipv4(skb, p, &h.ip);
    return p->offset + sizeof(h.tcp) > p->end ? MALFORMED : read_tcp(p, &h.tcp);
}

static __always_inline void swap64(__u64 *a, __u64 *b)
{
    __u64 other = *a;
    *a = *b;
    *b = other;
}

/* Order the ends as core/packet.c does, and tell which one sent the packet. */
static __always_inline void order_flow(struct packet *p)
{
    __u64 *a = (__u64 *)p->flow.address[0], *b = (__u64 *)p->flow.address[1];
    __u64 a0 = bpf_be64_to_cpu(a[0]), b0 = bpf_be64_to_cpu(b[0]);
    __u64 a1 = bpf_be64_to_cpu(a[1]), b1 = bpf_be64_to_cpu(b[1]);
    bool same = a0 == b0 && a1 == b1;
    p->side = same ? p->source > p->destination : a0 > b0 || (a0 == b0 && a1 > b1);
    if (!p->side)
        return;
    swap64(&a[0], &b[0]);
    swap64(&a[1], &b[1]);
    p->flow.port[0] = bpf_htons(p->destination);
    p->flow.port[1] = bpf_htons(p->source);
}

static __always_inline enum kind parse(struct __sk_buff *skb, struct packet *p, __u32 link_bytes,
                                       bool has_gso_size)
{
    enum kind plain = parse_plain(skb, p, link_bytes);
    if (plain != OTHER)
        return plain;
    __be16 ethertype = parse_link(skb, p, link_bytes);
    p->ip = p->offset;
    bool known = false;
    if (ethertype == bpf_htons(ETH_P_IP))
        known = parse_ipv4(skb, p);
    else if (ethertype == bpf_htons(ETH_P_IPV6))
        known = parse_ipv6(skb, p, has_gso_size);

    if (!known || p->protocol != IPPROTO_TCP)
        return OTHER;
    if (p->offset < p->ip + sizeof(struct iphdr) || p->offset > p->end)
        return MALFORMED;
    return p->fragment ? FRAGMENT : parse_tcp(skb, p);
}

/* How many packets on the wire the skb stands for. */
static __always_inline __u32 segments(struct __sk_buff *skb, __u32 payload_bytes, bool has_gso_size)
{
    if (!is_super_packet(skb, has_gso_size))
        return 1;
    if (!has_gso_size)
        return skb->gso_segs;
    return (payload_bytes + skb->gso_size - 1) / skb->gso_size;
}

static __always_inline __u32 payload_bytes(const struct packet *p)
{
    return p->end - p->offset;
}
