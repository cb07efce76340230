/*
 * One connection, several interfaces: who counts it.
 *
 * A side of a flow belongs to the capture that sees the flow first. The other
 * captures drop its packets, and count them as duplicates. It is given to another
 * when its owner is no claimant any more, or has missed what passed another for
 * CLAIM_PATIENCE_NS, or, when it has never seen a packet of this side, missed the
 * second one there: each way may be routed by an interface of its own. A SYN
 * begins a side anew.
 *
 * VLAN tags are left out: they are on one interface and not on another. The ports
 * of fragments are not known, so all that pass between two hosts are one flow.
 *
 * Packets of one flow that meet on two CPUs may be counted twice while it changes
 * its owner, or be lost to both as duplicates; they are counted as one or the other.
 */
#pragma once

#include "packet.bpf.h"

/* Set before the program is loaded. */
const volatile __u32 claimant; /* who this capture is, 0: it counts whatever it sees */

/* Each has one map, which is the agent's: all its captures have the same.
 * Clang leaves out what the types of an inner map are, so they have sizes. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(
        values, struct {
            __uint(type, BPF_MAP_TYPE_LRU_HASH);
            __uint(max_entries, FILTER_CLAIMS_MAX);
            __uint(key_size, sizeof(struct flow));
            __uint(value_size, sizeof(struct filter_claim));
        });
} claims SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(
        values, struct {
            __uint(type, BPF_MAP_TYPE_HASH);
            __uint(max_entries, FILTER_CLAIMANTS_MAX);
            __type(key, __u32);
            __type(value, __u32);
        });
} claimants SEC(".maps");

static const __u64 CLAIM_PATIENCE_NS = 1000000000;

static __always_inline bool is_claimant(__u32 who)
{
    __u32 zero = 0;
    void *all = bpf_map_lookup_elem(&claimants, &zero);
    return all && bpf_map_lookup_elem(all, &who);
}

/* Returns the claim of @p's flow, made if there was none. NULL: there is no room for it. */
static __always_inline struct filter_claim *find_claim(const struct packet *p)
{
    __u32 zero = 0;
    void *all = bpf_map_lookup_elem(&claims, &zero);
    if (!all)
        return NULL;
    struct flow flow = p->flow;
    flow.vlan[0] = 0;
    flow.vlan[1] = 0;
    struct filter_claim *found = bpf_map_lookup_elem(all, &flow);
    if (found)
        return found;
    const struct filter_claim first = {.side = {{.owner = claimant}, {.owner = claimant}}};
    bpf_map_update_elem(all, &flow, &first, BPF_NOEXIST);
    return bpf_map_lookup_elem(all, &flow);
}

/* A packet passed that is another's. Returns whether that one has lost the side, or notes it. */
static __always_inline bool is_forfeited(struct filter_claim_side *s)
{
    __u64 now_ns = bpf_ktime_get_ns();
    if (!s->missed_by) {
        s->missed_ns = now_ns;
        s->missed_by = claimant;
        return false;
    }
    return now_ns - s->missed_ns > CLAIM_PATIENCE_NS || (!s->seen && s->missed_by == claimant);
}

/* Take side @s, which is another's, if that may be. Returns whether it was. */
static __always_inline bool take_over(struct filter_claim_side *s, struct filter_claim_side *other)
{
    __u32 owner = s->owner;
    bool gone = !is_claimant(owner);
    if (!gone && !is_forfeited(s))
        return false;
    if (gone && other->owner == owner)
        other->owner = claimant;
    s->owner = claimant;
    return true;
}

/* Returns whether @p is to be counted here. Without a claim it is: twice is better than never. */
static __always_inline bool claim_packet(const struct packet *p)
{
    struct filter_claim *claim = find_claim(p);
    if (!claim)
        return true;
    __u32 side = p->side & 1;
    struct filter_claim_side *s = &claim->side[side];
    if (p->syn)
        s->seen = 0;
    if (s->owner != claimant && !take_over(s, &claim->side[!side]))
        return false;
    s->seen = 1;
    s->missed_by = 0;
    return true;
}
