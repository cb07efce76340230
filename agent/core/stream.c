#include "core/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "base/macros.h"
#include "core/table.h"

enum {
    EARLY_SEGMENTS_MAX = 2048, /* a 3 MB window of 1460-byte segments behind one loss */
    WINDOW_MAX = 1 << 28,      /* larger than any receiver's in use; RFC 7323 allows 2^30 */
};

struct early_segment {
    struct segment segment;
    struct early_segment *prev;
    struct early_segment *next;
    uint8_t data[];
};

static uint64_t cost(const struct early_segment *e)
{
    return sizeof(*e) + e->segment.data.size;
}

void stream_init(struct stream *s)
{
    *s = (struct stream){0};
}

void stream_deinit(struct stream *s, struct stream_budget *budget)
{
    struct early_segment *e, *next;
    DL_FOREACH_SAFE (s->early, e, next) {
        budget->bytes -= cost(e);
        free(e);
    }
    *s = (struct stream){0};
}

void stream_start(struct stream *s, uint32_t seq)
{
    s->next_seq = seq;
    s->started = true;
}

/* Whether the sender may have got as far as @seq. */
static bool is_in_window(const struct stream *s, uint32_t seq)
{
    return seq_compare(seq, s->next_seq) < WINDOW_MAX ||
           (s->acked && seq_compare(seq, s->acked_seq) < WINDOW_MAX);
}

/* What is beyond any window was not sent: such an acknowledgment is none. */
void stream_acknowledge(struct stream *s, uint32_t ack)
{
    if (s->acked && seq_compare(ack, s->acked_seq) <= 0)
        return;
    if (s->started && !is_in_window(s, ack))
        return;
    s->acked = true;
    s->acked_seq = ack;
}

void stream_end(struct stream *s, uint32_t fin_seq)
{
    if (!s->started)
        stream_start(s, fin_seq);
    if (s->fin_seen || seq_compare(fin_seq, s->next_seq) < 0 || !is_in_window(s, fin_seq))
        return;
    s->fin_seen = true;
    s->fin_seq = fin_seq;
}

enum stream_place stream_place(struct stream *s, struct segment *segment)
{
    int32_t ahead = seq_compare(segment->seq, s->next_seq);
    if (ahead > 0)
        return is_in_window(s, segment->seq) ? STREAM_EARLY : STREAM_OUTSIDE;
    if (ahead <= -WINDOW_MAX)
        return STREAM_OUTSIDE;
    if (seq_compare(segment->seq + segment->size, s->next_seq) <= 0)
        return STREAM_OLD;

    uint32_t repeated = (uint32_t)-ahead;
    segment->seq += repeated;
    segment->size -= repeated;
    segment->repeated += repeated;
    bytes_take(&segment->data, repeated);
    s->next_seq = segment->seq + segment->size;
    return STREAM_NEXT;
}

int stream_keep(struct stream *s, const struct segment *segment, bool with_data,
                struct stream_budget *budget)
{
    size_t size = with_data ? segment->data.size : 0;
    if (s->early_count == EARLY_SEGMENTS_MAX ||
        budget->bytes + sizeof(struct early_segment) + size > budget->bytes_max)
        return -ENOBUFS;
    struct early_segment *e = malloc(sizeof(*e) + size);
    if (!e)
        return -ENOBUFS;

    e->segment = *segment;
    if (size)
        memcpy(e->data, segment->data.data, size);
    e->segment.data = bytes_make(e->data, size);
    budget->bytes += cost(e);
    s->early_count++;

    /* Most come behind all others. */
    struct early_segment *after = s->early ? s->early->prev : NULL;
    while (after && seq_compare(segment->seq, after->segment.seq) < 0)
        after = after == s->early ? NULL : after->prev;
    if (after)
        DL_APPEND_ELEM(s->early, after, e);
    else
        DL_PREPEND(s->early, e);
    return 0;
}

enum stream_place stream_take(struct stream *s, struct segment *segment, void **storage,
                              struct stream_budget *budget)
{
    struct early_segment *e = s->early;
    if (!e || seq_compare(e->segment.seq, s->next_seq) > 0)
        return STREAM_EARLY;

    DL_DELETE(s->early, e);
    s->early_count--;
    budget->bytes -= cost(e);
    *segment = e->segment;
    *storage = e;
    return stream_place(s, segment);
}

uint32_t stream_hole(const struct stream *s)
{
    if (s->early)
        return s->early->segment.seq - s->next_seq;
    if (s->fin_seen && seq_compare(s->fin_seq, s->next_seq) > 0)
        return s->fin_seq - s->next_seq;
    return 0;
}

bool stream_hole_is_final(const struct stream *s)
{
    return s->acked && seq_compare(s->acked_seq, s->next_seq + stream_hole(s)) >= 0;
}

void stream_skip_hole(struct stream *s)
{
    s->next_seq += stream_hole(s);
}

bool stream_is_complete(const struct stream *s)
{
    return s->fin_seen && s->started && seq_compare(s->next_seq, s->fin_seq) >= 0;
}
