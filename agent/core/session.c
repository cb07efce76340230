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
    return side == s->exchange.client ? DIRECTION_IN : DIRECTION_OUT;
}

struct session *session_new(struct embryo *e, unsigned client)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->flow = e->flow;
    exchange_init(&s->exchange, &s->flow, client, e->kind == EMBRYO_MIDWAY);
    for (unsigned side = 0; side < 2; side++) {
        struct stream *stream = &s->stream[side];
        stream_init(stream);
        stream->syn_seen = e->syn_seen[side];
        stream->initial_seq = e->initial_seq[side];
        stream->finished = e->fin_seen[side];
        if (stream->syn_seen)
            stream_start(stream, stream->initial_seq + 1);
        exchange_add_prelude(&s->exchange, direction_of(s, side), e->control_bytes[side]);
    }
    embryo_take_pending(e);
    return s;
}

struct session *session_free(struct session *s, struct session_env *env)
{
    stream_deinit(&s->stream[0], &env->budget);
    stream_deinit(&s->stream[1], &env->budget);
    exchange_deinit(&s->exchange, &env->exchange);
    free(s);
    return NULL;
}

/* What of the stream of @side need not be seen. */
static void choose_order(const struct session *s, unsigned side, uint32_t *kind, uint32_t *seq)
{
    const struct http_framer *f = &s->exchange.side[direction_of(s, side)].framer;
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
        if (s->exchange.waiting) /* its reply may begin in the middle of a packet */
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
    bool tunnel = s->exchange.side[DIRECTION_IN].framer.state == HTTP_STATE_TUNNEL;
    if (s->closed || (p->payload.size < HAND_OVER_PACKET_MIN && !tunnel))
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

static void skip_hole(struct session *s, struct session_env *env, unsigned side)
{
    struct stream *stream = &s->stream[side];
    uint32_t size = stream_hole(stream);
    bool received = stream_hole_is_final(stream) || !stream->acked;
    stream_skip_hole(stream);
    exchange_hole(&s->exchange, &env->exchange, direction_of(s, side), size, received);
}

/* Take a segment that has found its @place, other than early. */
static void take_placed(struct session *s, struct session_env *env, unsigned side,
                        enum stream_place place, const struct segment *segment)
{
    enum direction d = direction_of(s, side);
    if (place == STREAM_NEXT)
        exchange_segment(&s->exchange, &env->exchange, d, segment);
    else if (segment->size || segment->header_bytes)
        exchange_repeat(&s->exchange, &env->exchange, d, segment, place == STREAM_OUTSIDE);
    if (segment->control_bytes)
        exchange_control(&s->exchange, &env->exchange, d, segment->control_bytes);
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
        exchange_finish(&s->exchange, &env->exchange, direction_of(s, side));
    }
}

/* There is a hole before @segment. Keep it, or go on behind the hole. */
static void take_early(struct session *s, struct session_env *env, unsigned side,
                       struct segment *segment)
{
    struct stream *stream = &s->stream[side];
    enum direction d = direction_of(s, side);
    uint32_t reach = segment->seq + segment->size - stream->next_seq;
    bool with_data = !exchange_skips(&s->exchange, d, reach);
    if (!s->closed && stream_keep(stream, segment, with_data, &env->budget) == 0)
        return;

    drain(s, env, side, true);
    if (seq_compare(segment->seq, stream->next_seq) > 0) {
        uint32_t size = segment->seq - stream->next_seq;
        stream->next_seq = segment->seq;
        exchange_hole(&s->exchange, &env->exchange, d, size, true);
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

void session_kept(struct session *s, struct session_env *env, unsigned side,
                  const struct filter_kept *kept)
{
    struct segment segment = {
        .seq = kept->end_seq - kept->payload,
        .size = kept->payload,
        .header_bytes = kept->bytes - kept->payload,
        .packets = kept->packets,
        .control_bytes = kept->control,
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
        exchange_control(&s->exchange, &env->exchange, direction_of(s, p->side),
                         packet_ip_bytes(p));
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
    unsigned client = s->exchange.client;
    drain(s, env, client, true);
    drain(s, env, !client, true);
    exchange_close(&s->exchange, &env->exchange);
    s->closed = true;
}
