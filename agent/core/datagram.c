#include "core/datagram.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/macros.h"

void datagram_init(struct datagram *g, size_t size_max)
{
    assert(size_max >= DATAGRAM_BYTES_MIN && size_max <= DATAGRAM_BYTES_MAX);
    g->size_max = size_max;
    datagram_clear(g);
}

static bool has_room(const struct datagram *g, size_t line_bytes)
{
    size_t separator = g->size > 0;
    return g->size + separator + line_bytes <= g->size_max &&
           g->claim_count + DUE_LINE_CLAIMS_MAX <= ARRAY_SIZE(g->claims);
}

static void add_line(struct datagram *g, const struct text *line)
{
    if (g->size)
        g->data[g->size++] = '\n';
    memcpy(g->data + g->size, line->data, line->size);
    g->size += line->size;
}

int datagram_fill(struct datagram *g, struct due_walk *w, const struct statsd_encoder *e,
                  struct text *scratch)
{
    struct due_line l;
    while (due_walk_line(w, &l)) {
        text_clear(scratch);
        statsd_encoder_add(e, &l, scratch);
        if (text_failed(scratch))
            return -ENOMEM;
        if (!has_room(g, scratch->size))
            return 0;
        add_line(g, scratch);
        g->claim_count += due_claim(&l, g->claims + g->claim_count);
        due_walk_next(w);
    }
    return 0;
}

void datagram_accept(struct datagram *g)
{
    due_settle(g->claims, g->claim_count);
    datagram_clear(g);
}

void datagram_clear(struct datagram *g)
{
    g->size = 0;
    g->claim_count = 0;
}
