/*
 * The least that a tap can do: pass over every packet (reference_ignore), count
 * each connection (reference_count), and deliver the start of messages too
 * (reference_heads). They know no more than the benchmark sends: IPv4 without
 * options, on one port. The socket is of type SOCK_DGRAM, so that the data begins
 * with the IP header.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "reference.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, REFERENCE_FLOWS_MAX);
    __type(key, struct reference_flow);
    __type(value, struct reference_count);
} flows SEC(".maps");

struct headers {
    struct iphdr ip;
    struct tcphdr tcp;
};

static __always_inline bool parse(struct __sk_buff *skb, struct headers *h)
{
    return !bpf_skb_load_bytes(skb, 0, h, sizeof(*h)) && h->ip.version == 4 && h->ip.ihl == 5 &&
           h->ip.protocol == IPPROTO_TCP &&
           (h->tcp.source == bpf_htons(REFERENCE_PORT) || h->tcp.dest == bpf_htons(REFERENCE_PORT));
}

static __always_inline void count(struct __sk_buff *skb, const struct headers *h)
{
    struct reference_flow flow = {
        .source = h->ip.saddr,
        .destination = h->ip.daddr,
        .source_port = h->tcp.source,
        .destination_port = h->tcp.dest,
    };
    struct reference_count *sum = bpf_map_lookup_elem(&flows, &flow);
    if (sum) {
        sum->packets++;
        sum->bytes += skb->len;
        return;
    }
    struct reference_count first = {.packets = 1, .bytes = skb->len};
    bpf_map_update_elem(&flows, &flow, &first, BPF_ANY);
}

static __always_inline bool begins_message(struct __sk_buff *skb, const struct headers *h)
{
    __be32 begin;
    if (bpf_skb_load_bytes(skb, sizeof(h->ip) + h->tcp.doff * 4, &begin, sizeof(begin)))
        return false;
    return begin == bpf_htonl(0x47455420) /* "GET " */ ||
           begin == bpf_htonl(0x504f5354) /* "POST" */ ||
           begin == bpf_htonl(0x48545450) /* "HTTP" */;
}

SEC("socket")
int reference_ignore(struct __sk_buff *skb)
{
    (void)skb;
    return 0;
}

SEC("socket")
int reference_count(struct __sk_buff *skb)
{
    struct headers h;
    if (parse(skb, &h))
        count(skb, &h);
    return 0;
}

SEC("socket")
int reference_heads(struct __sk_buff *skb)
{
    struct headers h;
    if (!parse(skb, &h))
        return 0;
    count(skb, &h);
    return begins_message(skb, &h) ? REFERENCE_HEAD_BYTES : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
