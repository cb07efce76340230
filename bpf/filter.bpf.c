/*
 * The socket filter of one capture: parse, account, decide.
 *
 * Every TCP packet on watched ports is counted here, whether or not the ring
 * has room for it, and delivered whole, as are fragments of TCP: their ports
 * are known once their datagram is whole again.
 *
 * Headers are read with bpf_skb_load_bytes() at offsets from the start of the
 * socket's data. Unlike bpf_skb_load_bytes_relative(), and unlike pointers
 * into the packet, that reaches bytes outside of the skb's linear part.
 *
 * Floor: Linux 5.4. That is without gso_size (5.7), hence two programs, and
 * with a verifier that wants loops unrolled or plainly bounded.
 */
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
enum { DROP = 0, DELIVER_WHOLE = 0x7fffffff };

/* Set before the program is loaded. */
const volatile __u32 link_header_bytes;
const volatile bool count_segments; /* of super-packets */
const volatile bool watch_all;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, FILTER_PORT_WORDS);
    __type(key, __u32);
    __type(value, __u64);
} ports SEC(".maps");

/* By enum filter_class. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, FILTER_CLASSES);
    __type(key, __u32);
    __type(value, struct filter_count);
} counts SEC(".maps");

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

/* Skip the link header and its tags. Returns what follows, 0 if it can't be told. */
static __always_inline __be16 parse_link(struct __sk_buff *skb, struct packet *p)
{
    p->offset = link_header_bytes;
    if (!link_header_bytes)
        return (__be16)skb->protocol;

    __be16 ethertype;
    if (bpf_skb_load_bytes(skb, p->offset - sizeof(ethertype), &ethertype, sizeof(ethertype)))
        return 0;
#pragma unroll
    for (int i = 0; i < TAGS_MAX; i++) {
        struct vlan_tag tag;
        if (!is_vlan(ethertype))
            break;
        if (bpf_skb_load_bytes(skb, p->offset, &tag, sizeof(tag)))
            return 0;
        p->offset += sizeof(tag);
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

static __always_inline bool parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, p->ip, &ip, sizeof(ip)) || ip.version != 4)
        return false;
    p->offset = p->ip + ip.ihl * 4;
    set_end(skb, p, bpf_ntohs(ip.tot_len));
    p->protocol = ip.protocol;
    p->fragment = ip.frag_off & bpf_htons(IPV4_FRAGMENT);
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
    p->offset = p->ip + sizeof(ip);
    set_end(skb, p, payload_bytes ? sizeof(ip) + payload_bytes : 0);
    p->protocol = ip.nexthdr;
    if (is_super_packet(skb, has_gso_size))
        drop_jumbo_option(skb, p);
    parse_extensions(skb, p);
    return true;
}

/* Afterwards p->offset is where the payload begins. */
static __always_inline enum kind parse_tcp(struct __sk_buff *skb, struct packet *p)
{
    struct tcphdr tcp;
    if (p->offset + sizeof(tcp) > p->end || bpf_skb_load_bytes(skb, p->offset, &tcp, sizeof(tcp)))
        return MALFORMED;
    p->offset += tcp.doff * 4;
    if (tcp.doff < 5 || p->offset > p->end)
        return MALFORMED;
    p->source = bpf_ntohs(tcp.source);
    p->destination = bpf_ntohs(tcp.dest);
    return TCP;
}

static __always_inline enum kind parse(struct __sk_buff *skb, struct packet *p, bool has_gso_size)
{
    __be16 ethertype = parse_link(skb, p);
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

static __always_inline bool is_watched(__u16 port)
{
    __u32 key = port / 64;
    const __u64 *word = bpf_map_lookup_elem(&ports, &key);
    return watch_all || (word && *word >> port % 64 & 1);
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

/* What @p adds to the count of its class. */
static __always_inline struct filter_count count_tcp(struct __sk_buff *skb, const struct packet *p,
                                                     bool has_gso_size)
{
    __u32 payload_bytes = p->end - p->offset;
    __u32 header_bytes = p->offset - p->ip;
    if (!payload_bytes)
        return (struct filter_count){.control = header_bytes};
    __u32 packets = segments(skb, payload_bytes, has_gso_size);
    return (struct filter_count){
        .bytes = (__u64)header_bytes * packets + payload_bytes,
        .packets = packets,
    };
}

static __always_inline void account(__u32 class, const struct filter_count *more)
{
    struct filter_count *sum = bpf_map_lookup_elem(&counts, &class);
    if (!sum)
        return;
    sum->bytes += more->bytes;
    sum->control += more->control;
    sum->packets += more->packets;
}

static __always_inline int filter(struct __sk_buff *skb, bool has_gso_size)
{
    struct packet p = {0};
    enum kind kind = parse(skb, &p, has_gso_size);
    if (kind == OTHER)
        return DROP;

    struct filter_count count = {.bytes = p.end - p.ip, .packets = 1};
    enum filter_class class = kind == FRAGMENT ? FILTER_FRAGMENT : FILTER_MALFORMED;
    if (kind == TCP) {
        bool source = is_watched(p.source), destination = is_watched(p.destination);
        if (!source && !destination)
            return DROP;
        count = count_tcp(skb, &p, has_gso_size);
        class = filter_class(p.source, source, p.destination, destination);
    }
    account(class, &count);
    return kind == MALFORMED ? DROP : DELIVER_WHOLE;
}

/* Linux 5.7: says how much payload a segment has. */
SEC("socket")
int filter_gso_size(struct __sk_buff *skb)
{
    return filter(skb, true);
}

/* Linux 5.4: says how many segments it is. */
SEC("socket")
int filter_gso_segs(struct __sk_buff *skb)
{
    return filter(skb, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
