/*
 * A datagram under construction: whole lines, parted by '\n', with none at the
 * end, and what is settled when it was accepted.
 *
 * Owns     nothing, embed it by value
 * Threads  one at a time
 */
#pragma once

#include <stddef.h>

#include "base/text.h"
#include "core/due.h"
#include "core/statsd_encoder.h"

enum { DATAGRAM_BYTES_MIN = 512, DATAGRAM_BYTES_MAX = 8192 };

struct datagram {
    size_t size_max; /* DATAGRAM_BYTES_MIN to DATAGRAM_BYTES_MAX */
    size_t size;
    size_t claim_count;
    struct due_claim claims[1024];
    char data[DATAGRAM_BYTES_MAX];
};

void datagram_init(struct datagram *g, size_t size_max);

/**
 * Take lines of @w until the next one does not fit, or there is none.
 *
 * @scratch is for the lines. Returns -ENOMEM when one could not be written: the
 * walk stays before it.
 */
int datagram_fill(struct datagram *g, struct due_walk *w, const struct statsd_encoder *e,
                  struct text *scratch);

/* Settle what it carried, and empty it. */
void datagram_accept(struct datagram *g);

/* Empty it: all that it carried stays due. */
void datagram_clear(struct datagram *g);
