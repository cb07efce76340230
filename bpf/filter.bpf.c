/*
 * The socket filter of one capture: parse, account, decide.
 *
 * Every TCP packet on watched ports is counted here, whether or not the ring
 * has room for it. What the agent must see is delivered, the rest is kept
 * (keep.bpf.h). Fragments of TCP are delivered: their ports are known once their
 * datagram is whole again.
 *
 * Floor: Linux 5.4. That is without gso_size (5.7) and without the ring buffer
 * that records need (5.8), hence three programs, the lesser of which deliver
 * all; and with a verifier that wants loops unrolled or plainly bounded.
 */
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "filter.h"
#include "packet.bpf.h"

#include "claim.bpf.h"
#include "keep.bpf.h"

const volatile bool ignore_outgoing;

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

static __always_inline bool is_watched(__u16 port)
{
    __u32 key = port / 64;
    const __u64 *word = bpf_map_lookup_elem(&ports, &key);
    return word && *word >> port % 64 & 1;
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

/* Returns whether another capture counts @p, which adds to @count: then that is accounted for. */
static __always_inline bool is_duplicate(const struct packet *p, const struct filter_count *count)
{
    if (!claimant || claim_packet(p))
        return false;
    account(FILTER_DUPLICATE, count);
    return true;
}

static __always_inline int filter(struct __sk_buff *skb, bool has_gso_size, bool keeps)
{
    struct packet p = {0};
    if (ignore_outgoing && skb->pkt_type == PACKET_OUTGOING)
        return DROP;
    enum kind kind = parse(skb, &p, link_header_bytes, has_gso_size);
    if (kind == OTHER)
        return DROP;

    struct filter_count count = {.bytes = p.end - p.ip, .packets = 1};
    if (kind != TCP) {
        order_flow(&p);
        if (is_duplicate(&p, &count))
            return DROP;
        account(kind == FRAGMENT ? FILTER_FRAGMENT : FILTER_MALFORMED, &count);
        return kind == FRAGMENT ? DELIVER_WHOLE : DROP;
    }
    bool source = is_watched(p.source), destination = is_watched(p.destination);
    if (!source && !destination)
        return DROP;
    order_flow(&p);
    count = count_tcp(skb, &p, has_gso_size);
    if (is_duplicate(&p, &count))
        return DROP;
    enum filter_class class = filter_class(p.source, source, p.destination, destination);

    int verdict = keeps ? keep_or_deliver(skb, &p, &count) : DELIVER_WHOLE;
    account(verdict == DROP ? class + FILTER_KEPT_IN : class, &count);
    return verdict;
}

/* Linux 5.8. */
SEC("socket")
int filter_keeps(struct __sk_buff *skb)
{
    return filter(skb, true, true);
}

/* Linux 5.7: says how much payload a segment has. */
SEC("socket")
int filter_gso_size(struct __sk_buff *skb)
{
    return filter(skb, true, false);
}

/* Linux 5.4: says how many segments it is. */
SEC("socket")
int filter_gso_segs(struct __sk_buff *skb)
{
    return filter(skb, false, false);
}

/*
 * Which capture of a group gets the packet: a number that is the same for both
 * directions of a connection. The kernel takes it modulo the members there are.
 *
 * The kernel's own hash (PACKET_FANOUT_HASH) is not enough: when outgoing packets
 * have VLAN tags in their data, it is the same for all of them. Of a fragment the
 * ports are not known, so it may go elsewhere than its connection.
 */
SEC("socket")
int filter_share(struct __sk_buff *skb)
{
    struct packet p = {0};
    /* What comes in has its link header cut off here. */
    __u32 link_bytes = skb->pkt_type == PACKET_OUTGOING ? link_header_bytes : 0;
    if (parse(skb, &p, link_bytes, false) == OTHER)
        return 0;
    order_flow(&p);
    const __u64 *words = (const __u64 *)&p.flow;
    __u64 hash = 0;
#pragma unroll
    for (unsigned i = 0; i < sizeof(p.flow) / sizeof(*words); i++) {
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    }
    return (int)hash;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
