#include "core/session.h"

#include <stdlib.h>

/* A RST counts when it is about where its sender's stream is. */
enum { RESET_BEHIND = 1 << 16, RESET_AHEAD = 1 << 26 };

/* Asking the filter costs as much as a few packets do. */
enum {
    HAND_OVER_PACKET_MIN = 2048, /* captured payload that tells that it is delivered whole */
    HAND_OVER_MIN = 64 << 10,    /* of a body still to come */
    HAND_OVER_MAX = 1 << 30,     /* at a time: sequence numbers wrap */
};

static enum direction direction_of(const struct session *s, unsigned side)
{
    return side == s->client ? DIRECTION_IN : DIRECTION_OUT;
}

struct session *session_new(struct embryo *e, unsigned client, struct session_env *env)
{
    struct session *s = pool_take(&env->sessions);
    if (!s)
        return NULL;
    *s = (struct session){.flow = e->flow, .client = (uint8_t)client};
    s->exchange = exchange_new(&env->exchange, &s->flow, client, e->kind == EMBRYO_MIDWAY);
    if (!s->exchange) {
        pool_give(&env->sessions, s);
        return NULL;
    }
    for (unsigned side = 0; side < 2; side++) {
        struct stream *stream = &s->stream[side];
        stream_init(stream);
        stream->syn_seen = e->syn_seen[side];
        stream->initial_seq = e->initial_seq[side];
        stream->finished = e->fin_seen[side];
        if (stream->syn_seen)
            stream_start(stream, stream->initial_seq + 1);
        exchange_add_prelude(s->exchange, direction_of(s, side), e->control_bytes[side]);
    }
    embryo_take_pending(e);
    return s;
}

struct session *session_free(struct session *s, struct session_env *env)
{
    stream_deinit(&s->stream[0], &env->budget);
    stream_deinit(&s->stream[1], &env->budget);
    exchange_free(s->exchange, &env->exchange);
    pool_give(&env->sessions, s);
    return NULL;
}

/* What of the stream of @side need not be seen. */
static void choose_order(const struct session *s, unsigned side, uint32_t *kind, uint32_t *seq)
{
    const struct http_framer *f = &s->exchange->side[direction_of(s, side)].framer;
    *kind = FILTER_ORDER_NONE;
    *seq = 0;
    switch ((enum http_state)f->state) {
    case HTTP_STATE_LENGTH:
        if (f->remaining < HAND_OVER_MIN)
            break;
        *kind = FILTER_ORDER_LENGTH;
        *seq = s->stream[side].next_seq + (uint32_t)MIN(f->remaining, (uint64_t)HAND_OVER_MAX);
        break;
    case HTTP_STATE_CHUNKED:
    case HTTP_STATE_TURN:
    case HTTP_STATE_UNTIL_CLOSE:
        if (s->exchange->waiting) /* its reply may begin in the middle of a packet */
            break;
        *kind = FILTER_ORDER_TURN;
        *seq = s->stream[!side].next_seq;
        break;
    case HTTP_STATE_TUNNEL:
        *kind = FILTER_ORDER_TUNNEL;
        break;
    default:
        break;
    }
}

bool session_hand_over(struct session *s, const struct packet *p)
{
    if (s->closed)
        return false;
    bool tunnel = s->exchange->side[DIRECTION_IN].framer.state == HTTP_STATE_TUNNEL;
    if (p->payload.size < HAND_OVER_PACKET_MIN && !tunnel)
        return false;
    struct filter_order order = {0};
    for (unsigned side = 0; side < 2; side++)
        choose_order(s, side, &order.side[side].kind, &order.side[side].seq);
    bool has_any = order.side[0].kind || order.side[1].kind;
    if (!has_any || memcmp(&order, &s->order, sizeof(order)) == 0)
        return false;
    s->order = order;
    return true;
}

bool session_is_reused(const struct session *s, const struct packet *p)
{
    const struct stream *stream = &s->stream[p->side];
    bool other = !stream->syn_seen || stream->initial_seq != p->seq;
    if (!(p->flags & TCP_SYN) || !other)
        return false;
    return !(p->flags & TCP_ACK) || s->closed;
}

/* --- after its end ------------------------------------------------------------ */

static void charge_late(struct session *s, struct session_env *env, enum direction d,
                        const struct direction_counts *counts)
{
    account_charge(&env->exchange.account, s->service[d], d, counts);
}

static void take_late(struct session *s, struct session_env *env, enum direction d,
                      enum stream_place place, const struct segment *segment)
{
    bool again = place == STREAM_OLD;
    charge_late(
        s, env, d,
        &(struct direction_counts){
            .bytes = segment->header_bytes + segment->repeated + segment->size,
            .payload = place == STREAM_NEXT ? segment->size : 0,
            .retransmitted = segment->kept ? 0 : segment->repeated + (again ? segment->size : 0),
            .control = segment->control_bytes,
            .packets = segment->packets,
        });
}

static void take_late_hole(struct session *s, struct session_env *env, enum direction d,
                           uint32_t size, bool received)
{
    charge_late(s, env, d, &(struct direction_counts){.payload = received ? size : 0});
    env->exchange.account.total.gaps++;
}

/* --- segments ------------------------------------------------------------------ */

static void take_hole(struct session *s, struct session_env *env, unsigned side, uint32_t size,
                      bool received)
{
    enum direction d = direction_of(s, side);
    if (s->exchange)
        exchange_hole(s->exchange, &env->exchange, d, size, received);
    else
        take_late_hole(s, env, d, size, received);
}

static void skip_hole(struct session *s, struct session_env *env, unsigned side)
{
    struct stream *stream = &s->stream[side];
    uint32_t size = stream_hole(stream);
    bool received = stream_hole_is_final(stream) || !stream->acked;
    stream_skip_hole(stream);
    take_hole(s, env, side, size, received);
}

/* Take a segment that has found its @place, other than early. */
static void take_placed(struct session *s, struct session_env *env, unsigned side,
                        enum stream_place place, const struct segment *segment)
{
    enum direction d = direction_of(s, side);
    struct exchange *x = s->exchange;
    if (!x) {
        take_late(s, env, d, place, segment);
        return;
    }
    if (place == STREAM_NEXT)
        exchange_segment(x, &env->exchange, d, segment);
    else if (segment->size || segment->header_bytes)
        exchange_repeat(x, &env->exchange, d, segment, place == STREAM_OUTSIDE);
    if (segment->control_bytes)
        exchange_control(x, &env->exchange, d, segment->control_bytes);
}

/* Take what is in order by now; with @force, what is not as well. */
static void drain(struct session *s, struct session_env *env, unsigned side, bool force)
{
    struct stream *stream = &s->stream[side];
    while (stream->started) {
        struct segment segment;
        void *storage = NULL;
        enum stream_place place = stream_take(stream, &segment, &storage, &env->budget);
        if (place != STREAM_EARLY) {
            take_placed(s, env, side, place, &segment);
            free(storage);
            continue;
        }
        if (!stream_hole(stream) || !(force || stream_hole_is_final(stream)))
            break;
        skip_hole(s, env, side);
    }
    if (stream_is_complete(stream) && !stream->finished) {
        stream->finished = true;
        if (s->exchange)
            exchange_finish(s->exchange, &env->exchange, direction_of(s, side));
    }
}

static bool keep_early(struct session *s, struct session_env *env, unsigned side,
                       const struct segment *segment)
{
    struct stream *stream = &s->stream[side];
    uint32_t reach = segment->seq + segment->size - stream->next_seq;
    bool with_data = !exchange_skips(s->exchange, direction_of(s, side), reach);
    return stream_keep(stream, segment, with_data, &env->budget) == 0;
}

/* There is a hole before @segment. Keep it, or go on behind the hole. */
static void take_early(struct session *s, struct session_env *env, unsigned side,
                       struct segment *segment)
{
    struct stream *stream = &s->stream[side];
    if (!s->closed && keep_early(s, env, side, segment))
        return;

    drain(s, env, side, true);
    if (seq_compare(segment->seq, stream->next_seq) > 0) {
        uint32_t size = segment->seq - stream->next_seq;
        stream->next_seq = segment->seq;
        take_hole(s, env, side, size, true);
    }
    take_placed(s, env, side, stream_place(stream, segment), segment);
}

static void take_segment(struct session *s, struct session_env *env, unsigned side,
                         struct segment *segment)
{
    struct stream *stream = &s->stream[side];
    if (!stream->started)
        stream_start(stream, segment->seq);
    enum stream_place place = stream_place(stream, segment);
    if (place == STREAM_EARLY)
        take_early(s, env, side, segment);
    else
        take_placed(s, env, side, place, segment);
}

static void take_payload(struct session *s, struct session_env *env, const struct packet *p)
{
    struct segment segment = {
        .seq = p->seq + !!(p->flags & TCP_SYN),
        .size = p->payload_bytes,
        .data = p->payload,
        .header_bytes = p->header_bytes,
        .packets = p->packets,
        .ack = p->ack,
        .time_ns = p->time_ns,
    };
    take_segment(s, env, p->side, &segment);
}

static void take_control(struct session *s, struct session_env *env, const struct packet *p)
{
    enum direction d = direction_of(s, p->side);
    uint64_t ip_bytes = packet_ip_bytes(p);
    if (s->exchange)
        exchange_control(s->exchange, &env->exchange, d, ip_bytes);
    else
        charge_late(s, env, d, &(struct direction_counts){.control = ip_bytes});
}

void session_kept(struct session *s, struct session_env *env, unsigned side,
                  const struct filter_kept *kept)
{
    struct segment segment = {
        .seq = kept->end_seq - kept->payload,
        .size = kept->payload,
        .header_bytes = kept->bytes - kept->payload,
        .packets = kept->packets,
        .control_bytes = kept->control,
        .kept = true,
    };
    if (s->closed) { /* its place is of no use any more */
        take_placed(s, env, side, STREAM_OUTSIDE, &segment);
        return;
    }
    take_segment(s, env, side, &segment);
    drain(s, env, side, false);
}

static bool is_reset(const struct session *s, const struct packet *p)
{
    const struct stream *stream = &s->stream[p->side];
    int32_t ahead = seq_compare(p->seq, stream->next_seq);
    return p->flags & TCP_RST &&
           (!stream->started || (ahead >= -RESET_BEHIND && ahead <= RESET_AHEAD));
}

void session_packet(struct session *s, struct session_env *env, const struct packet *p)
{
    struct stream *mine = &s->stream[p->side];
    struct stream *theirs = &s->stream[!p->side];
    if (p->flags & TCP_ACK) {
        if (!theirs->started)
            stream_start(theirs, p->ack);
        stream_acknowledge(theirs, p->ack);
        if (theirs->early || theirs->fin_seen)
            drain(s, env, !p->side, s->closed);
    }

    if (p->payload_bytes)
        take_payload(s, env, p);
    else
        take_control(s, env, p);
    if (p->flags & TCP_FIN)
        stream_end(mine, p->seq + !!(p->flags & TCP_SYN) + p->payload_bytes);
    if (mine->early || mine->fin_seen)
        drain(s, env, p->side, s->closed);

    if (!s->closed && (is_reset(s, p) || (mine->finished && theirs->finished)))
        session_close(s, env);
}

void session_close(struct session *s, struct session_env *env)
{
    if (s->closed)
        return;
    drain(s, env, s->client, true);
    drain(s, env, !s->client, true);
    struct exchange *x = s->exchange;
    exchange_close(x, &env->exchange);
    s->closed = true;
    if (x->verdict != EXCHANGE_HTTP)
        return;
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++)
        s->service[d] = exchange_service(x, d);
    s->exchange = exchange_free(x, &env->exchange);
}

void session_keep_services(const struct session *s)
{
    if (s->exchange)
        exchange_keep_services(s->exchange);
    account_keep(s->service[DIRECTION_IN]);
    account_keep(s->service[DIRECTION_OUT]);
}
