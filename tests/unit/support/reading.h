/*
 * A framer of HTTP that reads a stream, and the log of what it told. The words are
 * those of the cases, without a prefix.
 *
 * Units    bytes
 * Owns     the framer, and the memory that streams are handed in from
 * Threads  one at a time
 */
#pragma once

#include "base/text.h"
#include "core/http.h"
#include "support/guard.h"

/* What the caller does when it has read a head. */
enum reaction { NOTHING, NO_BODY, TUNNEL };

/* A stream, and what is to be told of it: "position:event(what) ...". */
struct transcript {
    enum http_side side;
    struct bytes stream;
    const char *events;
    enum reaction reaction; /* to the first head */
};

/* A framer at work, and the log of what it told. */
struct reading {
    struct http_framer framer;
    struct http_pool pool;
    struct guard guard;
    size_t position;
    struct text log;
    enum reaction reaction;
};

void reading_init(struct reading *r, enum http_side side, enum reaction reaction);
void reading_deinit(struct reading *r);
#define reading_deinit_auto reading_deinit

/* Hand in @piece, at the end of readable memory. */
void feed(struct reading *r, struct bytes piece);

/* So many bytes are missing. */
void feed_hole(struct reading *r, size_t count);

/* The log so far. */
const char *events_of(const struct reading *r);

/* Read @t whole, byte by byte and cut at every offset: its events come each time. */
void check(const struct transcript *t);
void check_request(struct bytes stream, const char *events);
void check_reply(struct bytes stream, const char *events);

/* The same for streams too long to be cut everywhere. */
void check_long(enum http_side side, struct bytes stream, const char *events);
