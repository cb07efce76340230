/*
 * One direction of a TCP connection, put in order (RFC 9293, section 3.4).
 *
 * A segment that comes early is kept, within bounds, until the hole before it
 * fills. A hole does not fill when the other end has acknowledged what is behind
 * it: then only the capture missed it.
 *
 * Units    bytes of payload on the wire; sequence numbers modulo 2^32
 * Owns     copies of early segments; embed it by value
 * Threads  one at a time, with its budget
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* A piece of payload and what came with it. */
struct segment {
    uint32_t seq;
    uint32_t size;          /* on the wire, from seq on */
    struct bytes data;      /* what was captured of it, from its front */
    uint32_t repeated;      /* bytes in front of seq that had been there before */
    uint64_t header_bytes;  /* of the packets it stands for */
    uint64_t control_bytes; /* of packets without payload, kept with it by the filter */
    uint64_t packets;
    uint32_t ack; /* what its sender had received of the other direction */
    uint64_t time_ns;
    bool kept; /* by the filter, in order: what was there before was taken for it, as a hole */
};

/* What early segments may take, all streams of an engine together. */
struct stream_budget {
    uint64_t bytes;
    uint64_t bytes_max;
};

struct stream {
    struct early_segment *early; /* ordered by seq */
    uint32_t early_count;
    uint32_t next_seq;    /* of the first byte that has not been there */
    uint32_t initial_seq; /* of the SYN */
    uint32_t fin_seq;     /* of the byte behind the last one */
    uint32_t acked_seq;   /* what the other end has received, as far as it said */
    bool started;         /* next_seq is known */
    bool syn_seen;        /* initial_seq is known */
    bool fin_seen;
    bool acked;    /* acked_seq is known */
    bool finished; /* its end was handled */
};

/* Sequence number comparison: negative, 0 or positive as @a is before @b. */
static inline int32_t seq_compare(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

void stream_init(struct stream *s);
void stream_deinit(struct stream *s, struct stream_budget *budget);

/* The first byte of payload has @seq. */
void stream_start(struct stream *s, uint32_t seq);

/* The other end acknowledges all before @ack. */
void stream_acknowledge(struct stream *s, uint32_t ack);

/* A FIN says that the stream ends before @fin_seq. One that cannot be is ignored. */
void stream_end(struct stream *s, uint32_t fin_seq);

enum stream_place {
    STREAM_NEXT,  /* is next in order; the segment was cut to what is new, next_seq is behind it */
    STREAM_OLD,   /* all of it was there before */
    STREAM_EARLY, /* there is a hole in front of it: see stream_keep() */
    STREAM_OUTSIDE, /* no part of this stream: further ahead than any window reaches */
};

/* Find the place of @segment. */
enum stream_place stream_place(struct stream *s, struct segment *segment);

/**
 * Keep an early segment; a copy of its data only if @with_data.
 *
 * Returns -ENOBUFS when the stream's bounds or @budget do not allow it.
 */
int stream_keep(struct stream *s, const struct segment *segment, bool with_data,
                struct stream_budget *budget);

/**
 * Take the first early segment off, if there is no hole in front of it any more.
 * Its data lives in *@storage: free() it.
 *
 * Returns STREAM_NEXT or STREAM_OLD, with @segment filled, or STREAM_EARLY.
 */
enum stream_place stream_take(struct stream *s, struct segment *segment, void **storage,
                              struct stream_budget *budget);

/* The size of the hole in front of the first early segment, or of the FIN; 0: none. */
uint32_t stream_hole(const struct stream *s);

/* Whether the hole will not fill any more. */
bool stream_hole_is_final(const struct stream *s);

/* Go on behind the hole. */
void stream_skip_hole(struct stream *s);

/* Whether all up to the FIN has been there. */
bool stream_is_complete(const struct stream *s);
