/*
 * Flows, and which of their packets the agent need not see. Those are kept: they
 * are counted with their flow, and the agent gets the counts in a record.
 *
 * Kept are packets without payload, but for those that begin or end a connection;
 * what the agent ordered to be kept; and bodies, when it is certain that no other
 * message begins in them. That is so when just one request is under way: the client
 * had received all that the server had sent, and then sent one packet with one whole
 * head, behind which comes nothing but the body of the length that the head declares.
 * What continues that body is kept. So is what the server sends behind its next
 * packet, if that begins with a reply whose head ends in it, until the client sends
 * something else. A connection on which anything else is seen is delivered whole
 * from then on, but for what the agent orders. So is one that begins with payload, or
 * begins again before its end was seen. One that is first seen with payload, for it was
 * there before the filter, is taken to have nothing else under way.
 *
 * Only what continues a side's stream is kept. What comes early or again is
 * delivered without its payload, so that the agent can tell the one from the
 * other. A packet that is delivered is preceded by a record of what its side had
 * kept before. So what was kept between two records is one range of the stream,
 * and its place tells the agent what it belongs to, whatever comes first.
 *
 * One side of a flow is the work of one CPU at a time; if it is not, a count may
 * be charged to the wrong message, but none is lost: what was kept is counted a
 * second time by class.
 */
#pragma once

#include "head.bpf.h"
#include "packet.bpf.h"

enum { DROP = 0, DELIVER_WHOLE = 0x7fffffff };

enum {
    INLINE_BODY_MAX = 768,      /* a short reply is delivered whole without a look */
    RECORD_BYTES_MAX = 1 << 30, /* well below where 32 bits wrap */
    SYN_BEHIND_MAX = 1 << 30,   /* of a SYN that comes again, behind what was sent since */
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, FILTER_FLOWS_MAX);
    __type(key, struct flow);
    __type(value, struct filter_flow);
} flows SEC(".maps");

/* Forgets the oldest freely: then their packets are delivered. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, FILTER_FLOWS_MAX / 4);
    __type(key, struct flow);
    __type(value, struct filter_order);
} orders SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, FILTER_RECORDS_BYTES);
} records SEC(".maps");

static __always_inline bool is_before(__u32 a, __u32 b)
{
    return (__s32)(a - b) < 0;
}

/* --- records ------------------------------------------------------------------- */

/* Puts nothing if @f is over: that shows only when the place in the ring is taken. */
static __always_inline void record(struct filter_flow *f, const struct flow *flow, __u16 side,
                                   bool last)
{
    struct filter_record *r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
    if (!r)
        return; /* no room: the next one tells more */
    if (f->over) {
        bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
        return;
    }
    *r = (struct filter_record){
        .flow = *flow,
        .kept = f->kept[side & 1],
        .number = f->record_count[side & 1] + 1,
        .side = side,
        .last = last,
    };
    __u32 payload = r->kept.payload, number = r->number;
    bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    f->unrecorded[side & 1] = 0;
    f->recorded[side & 1] = payload;
    f->record_count[side & 1] = number;
}

static __always_inline bool has_kept(const struct filter_kept *k)
{
    return k->bytes || k->control;
}

/*
 * The connection is over: forget it, tell what was kept of it and not told yet,
 * and that no more follows if anything was kept at all.
 *
 * The packets of both sides may meet on two CPUs: it ends on the one that deletes it,
 * and is told as it was before, for its place may be another flow's then. What the other
 * has to tell comes before that in the ring, or not at all.
 */
static __always_inline void end_flow(struct filter_flow *f, const struct flow *flow)
{
    struct filter_flow was = *f;
    was.over = 0;
    f->over = 1;
    if (bpf_map_delete_elem(&flows, flow))
        return;
    if (!has_kept(&was.kept[0]) && !has_kept(&was.kept[1]))
        return;
    bool second = was.unrecorded[1] || !was.unrecorded[0];
    if (second && was.unrecorded[0])
        record(&was, flow, 0, false);
    if (second)
        record(&was, flow, 1, true);
    else
        record(&was, flow, 0, true);
}

static __always_inline void keep(struct filter_flow *f, const struct packet *p,
                                 const struct filter_count *count)
{
    __u32 side = p->side & 1;
    struct filter_kept *k = &f->kept[side];
    /* What a process sends and what the kernel sends for it may meet on two CPUs. */
    if (count->control) {
        __sync_fetch_and_add(&k->control, count->control);
    } else {
        __sync_fetch_and_add(&k->bytes, count->bytes);
        __sync_fetch_and_add(&k->packets, count->packets);
    }
    /*
     * The two may keep payload, too, one behind the other: neither next_seq, nor what comes
     * last, tells where it ends.
     */
    __u32 size = payload_bytes(p);
    struct filter_kept range = {.range = k->range};
    bool begins = range.payload == f->recorded[side];
    if (size && (begins || is_before(range.end_seq, p->seq + size)))
        range.end_seq = p->seq + size;
    else if (!size && begins)
        range.end_seq = f->seq_known[side] ? f->next_seq[side] : p->seq;
    range.payload += size;
    if (range.range != k->range)
        *(volatile __u64 *)&k->range = range.range;
    f->unrecorded[side] = 1;
    f->seen_ns = bpf_ktime_get_ns();
    if (range.payload - f->recorded[side] > RECORD_BYTES_MAX)
        record(f, &p->flow, side, false);
}

/* --- turns --------------------------------------------------------------------- */

static __always_inline bool is_ordered(const struct filter_flow *f, const struct packet *p)
{
    const struct filter_order *o = bpf_map_lookup_elem(&orders, &p->flow);
    if (!o)
        return false;
    __u32 side = p->side & 1;
    __u32 seq = o->side[side].seq;
    switch (o->side[side].kind) {
    case FILTER_ORDER_LENGTH:
        return !is_before(seq, p->seq + payload_bytes(p));
    case FILTER_ORDER_TURN:
        return f->next_seq[!side] == seq;
    case FILTER_ORDER_TUNNEL:
        return true;
    default:
        return false;
    }
}

/* A packet of the side that asks, which had nothing under way. */
static __always_inline void ask(struct __sk_buff *skb, struct filter_flow *f,
                                const struct packet *p, bool quiet)
{
    __u32 bytes = quiet ? request_bytes(skb, p) : 0;
    if (!bytes)
        f->unsafe = 1;
    f->asker = p->side;
    f->request_end = p->seq + bytes;
    f->turn = FILTER_TURN_ASKED;
}

/* Whether the body of the request that is under way is, too. */
static __always_inline bool is_uploading(const struct filter_flow *f)
{
    return !f->unsafe && f->turn != FILTER_TURN_UNKNOWN &&
           is_before(f->next_seq[f->asker & 1], f->request_end);
}

/* Whether @p is part of a body, as far as the filter follows. */
static __always_inline bool is_body(const struct filter_flow *f, const struct packet *p)
{
    if (p->side != f->asker)
        return !f->unsafe && f->turn == FILTER_TURN_BODY;
    return is_uploading(f) && !is_before(f->request_end, p->seq + payload_bytes(p));
}

/* The first packet of an answer. Returns how much of it to deliver, 0: all. */
static __always_inline __u32 answer(struct __sk_buff *skb, struct filter_flow *f,
                                    const struct packet *p)
{
    struct reply_start start;
    __u32 size = payload_bytes(p);
    bool reply = is_reply(skb, p, &start), ends = reply && ends_with_empty_line(skb, p);
    bool interim = reply && start.text[9] == '1';
    if (interim && ends && is_uploading(f))
        return 0; /* 100 Continue */
    if (!reply || interim) {
        f->unsafe = 1;
        return 0;
    }
    if (ends) {
        f->turn = FILTER_TURN_BODY;
        return 0;
    }
    f->turn = FILTER_TURN_ANSWERED;
    if (size <= INLINE_BODY_MAX)
        return 0;
    size = size < SCAN_MAX ? size : SCAN_MAX;
    int head = find_empty_line(skb, p->offset, size, size, false);
    if (head <= 0)
        return 0;
    f->turn = FILTER_TURN_BODY;
    return head;
}

/* A packet with payload that continues its side's stream. Returns whether to keep it. */
static __always_inline bool take_turn(struct __sk_buff *skb, struct filter_flow *f,
                                      const struct packet *p, __u32 *deliver_bytes)
{
    bool asks = p->side == f->asker;
    if (asks && is_uploading(f)) {
        if (is_body(f, p))
            return true;
        f->unsafe = 1;
        return false;
    }
    if (f->unsafe)
        return is_ordered(f, p);
    bool quiet = p->ack == f->next_seq[!(p->side & 1)] || !f->seq_known[!(p->side & 1)];
    if (f->turn == FILTER_TURN_UNKNOWN || (asks && f->turn != FILTER_TURN_ASKED)) {
        ask(skb, f, p, quiet);
        return false;
    }
    struct reply_start start;
    switch (f->turn) {
    case FILTER_TURN_ASKED:
        if (asks)
            f->unsafe = 1;
        else
            *deliver_bytes = answer(skb, f, p);
        return false;
    case FILTER_TURN_BODY:
        return !is_reply(skb, p, &start);
    default:
        return is_ordered(f, p);
    }
}

/* A flow of which @p is the first packet, next in its side's stream is @next_seq. */
static __always_inline void add_flow(const struct packet *p, __u32 next_seq, bool unsafe)
{
    __u32 side = p->side & 1;
    const struct filter_flow first = {
        .seen_ns = bpf_ktime_get_ns(),
        .next_seq = {side ? p->ack : next_seq, side ? next_seq : p->ack},
        .seq_known = {!side, side},
        .unsafe = unsafe,
    };
    bpf_map_update_elem(&flows, &p->flow, &first, BPF_NOEXIST);
}

/*
 * A SYN. With payload (TCP Fast Open, RFC 7413) a request is under way that was not
 * looked at. If there is a flow, it has come again, or the end of the connection before
 * was not seen, or the other end will ignore it: who knows what is under way. The flow
 * goes on, so that nobody need tell its records from those of another.
 */
static __always_inline void begin_flow(struct filter_flow *f, const struct packet *p)
{
    __u32 side = p->side & 1;
    __u32 next_seq = p->seq + 1 + payload_bytes(p);
    bpf_map_delete_elem(&orders, &p->flow);
    if (!f) {
        if (payload_bytes(p) && !p->rst)
            add_flow(p, next_seq, true);
        return;
    }
    f->unsafe = 1;
    if (f->next_seq[side] - next_seq > SYN_BEHIND_MAX) { /* of another connection */
        f->next_seq[side] = next_seq;
        f->seq_known[side] = 0;
    }
    f->ended = 0;
    if (f->unrecorded[0])
        record(f, &p->flow, 0, false);
    if (f->unrecorded[1])
        record(f, &p->flow, 1, false);
}

/* @side ends. One instruction, or two CPUs might each find that the other has not. */
static __always_inline bool have_both_ended(struct filter_flow *f, __u32 side)
{
    enum { BITS = 16 };
    __u32 mine = 0xffffu << BITS * side;
    if (!(f->ended & mine))
        __sync_fetch_and_add(&f->ended, 1u << BITS * side);
    return *(volatile __u32 *)&f->ended & ~mine;
}

/* Returns how many bytes of the packet to deliver. */
static __always_inline int keep_or_deliver(struct __sk_buff *skb, const struct packet *p,
                                           const struct filter_count *count)
{
    struct filter_flow *f = bpf_map_lookup_elem(&flows, &p->flow);
    __u32 size = payload_bytes(p);
    if (p->syn) {
        begin_flow(f, p);
        return DELIVER_WHOLE;
    }
    __u32 side = p->side & 1;
    if (!f && size) {
        add_flow(p, p->seq, false);
        f = bpf_map_lookup_elem(&flows, &p->flow);
    }
    if (!f) /* before its first payload, or the table is full */
        return DELIVER_WHOLE;

    bool ends = p->fin || p->rst;
    if (!size && !ends) {
        keep(f, p, count);
        return DROP;
    }
    int verdict = DELIVER_WHOLE;
    if (size) {
        __u32 deliver_bytes = 0;
        bool known = f->seq_known[side];
        bool next = !known || p->seq == f->next_seq[side];
        bool in_body = is_body(f, p);
        bool kept = false;
        if (next)
            kept = take_turn(skb, f, p, &deliver_bytes);
        else if (is_before(f->next_seq[side], p->seq + size) && !in_body)
            f->unsafe = 1; /* what is missing, or new in it, may be anything */
        if (!known || is_before(f->next_seq[side], p->seq + size)) {
            f->next_seq[side] = p->seq + size;
            f->seq_known[side] = 1;
        }
        if (kept && !ends) {
            keep(f, p, count);
            return DROP;
        }
        if (kept || (!next && in_body))
            verdict = p->offset;
        else if (deliver_bytes && deliver_bytes < size)
            verdict = p->offset + deliver_bytes;
    }
    if (p->rst || (p->fin && have_both_ended(f, side)))
        end_flow(f, &p->flow);
    else if (f->unrecorded[side])
        record(f, &p->flow, side, false);
    return verdict;
}
