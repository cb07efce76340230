#include "core/session.h"

#include <stdlib.h>

/* A RST counts when it is about where its sender's stream is. */
enum { RESET_BEHIND = 1 << 16, RESET_AHEAD = 1 << 26 };

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

/* Take what is in order by now; with @force, what is not as well. */
static void drain(struct session *s, struct session_env *env, unsigned side, bool force)
{
    struct stream *stream = &s->stream[side];
    enum direction d = direction_of(s, side);
    while (stream->started) {
        struct segment segment;
        void *storage = NULL;
        enum stream_place place = stream_take(stream, &segment, &storage, &env->budget);
        if (place == STREAM_NEXT)
            exchange_segment(&s->exchange, &env->exchange, d, &segment);
        else if (place != STREAM_EARLY)
            exchange_repeat(&s->exchange, &env->exchange, d, &segment, place == STREAM_OUTSIDE);
        free(storage);
        if (place != STREAM_EARLY)
            continue;

        if (!stream_hole(stream) || !(force || stream_hole_is_final(stream)))
            break;
        skip_hole(s, env, side);
    }
    if (stream_is_complete(stream) && !stream->finished) {
        stream->finished = true;
        exchange_finish(&s->exchange, &env->exchange, d);
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
    if (stream_place(stream, segment) == STREAM_NEXT)
        exchange_segment(&s->exchange, &env->exchange, d, segment);
    else
        exchange_repeat(&s->exchange, &env->exchange, d, segment, false);
}

static void take_payload(struct session *s, struct session_env *env, const struct packet *p)
{
    struct stream *stream = &s->stream[p->side];
    enum direction d = direction_of(s, p->side);
    struct segment segment = {
        .seq = p->seq + !!(p->flags & TCP_SYN),
        .size = p->payload_bytes,
        .data = p->payload,
        .header_bytes = p->header_bytes,
        .packets = p->packets,
        .ack = p->ack,
        .time_ns = p->time_ns,
    };
    if (!stream->started)
        stream_start(stream, segment.seq);

    switch (stream_place(stream, &segment)) {
    case STREAM_NEXT:
        exchange_segment(&s->exchange, &env->exchange, d, &segment);
        break;
    case STREAM_OLD:
        exchange_repeat(&s->exchange, &env->exchange, d, &segment, false);
        break;
    case STREAM_OUTSIDE:
        exchange_repeat(&s->exchange, &env->exchange, d, &segment, true);
        break;
    case STREAM_EARLY:
        take_early(s, env, p->side, &segment);
        break;
    }
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
