/*
 * HTTP/1.x framing of one direction of one TCP connection.
 *
 * Reports where messages begin, where their heads and where they end (RFC 9112,
 * sections 2 and 6). llhttp reads the heads and the chunks. Bytes that are not
 * HTTP are no error: the framer is lost then, and takes up the next segment that
 * begins with a start line.
 *
 * Units    bytes of the TCP stream; chunk framing counts as body
 * Owns     the head it is in the middle of; embed it by value
 * Threads  one at a time, with its pool
 */
#pragma once

#include <llhttp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/macros.h"
#include "core/http_memo.h"

enum http_side { HTTP_SIDE_REQUEST, HTTP_SIDE_REPLY };

enum http_look {
    HTTP_LOOK_NO,
    HTTP_LOOK_MORE, /* so far it could be a start line */
    HTTP_LOOK_YES,  /* a whole start line */
};

/* Whether @b begins with the start line of an HTTP/1 request or reply. */
enum http_look http_look(enum http_side side, struct bytes b);

/*
 * Heads that are being read. One for all framers of a thread: they come and go.
 * What is kept of a head is 64 KiB of its target and little else; while many heads
 * are under way (64 MiB of them) it is 1 KiB.
 */
struct http_pool {
    struct http_partial *spare;
    uint64_t text_bytes; /* what the others take */
    struct http_memo memo;
    struct http_memo_entry *known; /* the head that began last, if it is in the memo */
    struct bytes begun;            /* or its bytes, while they lie in one piece */
};

void http_pool_init(struct http_pool *p);
void http_pool_deinit(struct http_pool *p);

/* What a head said. */
struct http_head {
    struct bytes method; /* requests */
    struct bytes target; /* requests */
    struct bytes host;   /* requests: the Host header; data NULL without one */
    struct bytes reason; /* replies */
    uint8_t major;
    uint8_t minor;
    uint16_t status; /* replies */
    bool connect;    /* requests: the method is CONNECT */
    bool headless;   /* requests: the method is HEAD, so the reply has no body */
    bool upgrade;    /* requests: asks for another protocol */
    bool cut;        /* only the start line is certain: the rest was missing or malformed */
    void **tag;      /* a place, first NULL, for what the reader of these very bytes wants to find
                        again when they come again; NULL: there is none */
};

enum http_state {
    HTTP_STATE_IDLE,   /* between messages */
    HTTP_STATE_METHOD, /* in the method of a request */
    HTTP_STATE_HEAD,
    HTTP_STATE_LINE,   /* in a request line, behind a blank in its target */
    HTTP_STATE_KNOWN,  /* before a head that is in the memo */
    HTTP_STATE_CUT,    /* the head breaks off here */
    HTTP_STATE_LENGTH, /* in a body, until remaining is 0 */
    HTTP_STATE_CHUNKED,
    HTTP_STATE_UNTIL_CLOSE,
    HTTP_STATE_HOLD,   /* behind a request that may change the protocol */
    HTTP_STATE_TURN,   /* in a chunked body that is not followed: the next start line ends it */
    HTTP_STATE_TUNNEL, /* another protocol */
    HTTP_STATE_LOST,
    HTTP_STATE_CLOSED,
};

/* Where in a chunk: in its size, in the extensions behind it, or beyond. */
enum http_chunk { HTTP_CHUNK_SIZE, HTTP_CHUNK_EXTENSION, HTTP_CHUNK_REST };

struct http_framer {
    llhttp_t parser;
    struct http_partial *partial; /* while in a head */
    uint64_t remaining;
    uint8_t state; /* enum http_state: what comes next */
    uint8_t after; /* enum http_state: behind the body */
    uint8_t side;  /* enum http_side */
    uint8_t chunk; /* enum http_chunk, in HTTP_STATE_CHUNKED */
    bool connect;  /* in a CONNECT request */
    bool expected; /* another message is due */
    bool missing;  /* bytes of the head */
};

void http_framer_init(struct http_framer *f, enum http_side side);
void http_framer_deinit(struct http_framer *f, struct http_pool *pool);

enum http_event_kind {
    HTTP_EVENT_START,   /* a message begins here; bytes taken before it belong to the last one */
    HTTP_EVENT_HEAD,    /* the head is read, head is filled */
    HTTP_EVENT_ABANDON, /* what had started was no message */
    HTTP_EVENT_END,     /* the message ends here */
};

struct http_event {
    enum http_event_kind kind;
    struct http_head head; /* views valid until the next step with the same pool */
};

enum http_step {
    HTTP_STEP_EVENT, /* the event is filled: handle it and call again */
    HTTP_STEP_MORE,  /* the input is used up */
};

/**
 * Take bytes off the front of @in until something happens.
 *
 * Also to be called with an empty @in, until HTTP_STEP_MORE: events may be due
 * after http_framer_skip(), _tunnel(), _release() and _finish(). A START without END means
 * that the message before it ended unseen.
 */
enum http_step http_framer_step(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                                struct http_event *event);

/*
 * Tell that @in begins a TCP segment: a lost framer goes on there if it begins
 * with a start line.
 */
void http_framer_segment(struct http_framer *f, struct bytes in);

/*
 * Tell whether another reply is due behind this one: then a chunked body that is
 * not followed ends where a start line stands behind an empty line.
 */
static inline void http_framer_expect(struct http_framer *f, bool expected)
{
    f->expected = expected;
}

/* The next @count bytes of the stream are missing. */
void http_framer_skip(struct http_framer *f, uint64_t count);

/* After the HEAD event of a reply to HEAD: it has no body. */
void http_framer_no_body(struct http_framer *f);

/* All that follows is another protocol (101, 2xx to CONNECT). */
void http_framer_tunnel(struct http_framer *f);

/* The reply did not change the protocol: go on with messages. */
void http_framer_release(struct http_framer *f);

/* The stream ends here. No END follows: what is still open ends with it. */
void http_framer_finish(struct http_framer *f);

/* Whether it would not look at any of the next @count bytes. */
bool http_framer_skips(const struct http_framer *f, uint64_t count);
