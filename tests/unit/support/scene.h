/*
 * Two ends that talk through a filter, which the kernel runs on their frames. Its maps
 * stay from one frame to the next, so a test is a connection, packet by packet.
 *
 * What is sent is the next in its sender's stream, and acknowledges all that it has
 * received, unless a function says otherwise. All fail the test if the kernel refuses.
 *
 * Units    bytes of payload; ports in host order
 * Owns     the filter
 * Threads  one at a time
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "io/filter.h"
#include "support/frames.h"

enum { SCENE_PAYLOAD_MAX = 3000, SCENE_RECORDS_MAX = 16 };
enum { SCENE_FRAME_MAX = FRAME_LINK_MAX + FRAME_HEADERS_MAX + SCENE_PAYLOAD_MAX };
enum { SERVER_PORT = 8080 };

enum { DROPPED = -1 };

enum { HEADER = 40, HEADER6 = 60 }; /* of IP and TCP */

#define GET        "GET /x?s=yo HTTP/1.1\r\nHost: h\r\n\r\n"
#define REPLY_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

enum who { CLIENT, SERVER };

struct scene {
    struct filter *filter;
    const char *address[2];
    uint16_t client_port;
    uint16_t vlan; /* 0: no tag */
    uint32_t gso_size;
    uint32_t seq[2]; /* of the next byte that each sends */
    uint32_t ack[2]; /* what each has received */
    uint8_t flags;   /* of the next packet, besides ACK */
    struct filter_record records[SCENE_RECORDS_MAX];
    unsigned
        record_count; /* that were read last: made by the last packet, if it was not sent unread */
};

/* For cmocka. Without the rights to load a filter the test is skipped. */
int scene_set_up(void **state);
int scene_tear_down(void **state);

/* --- payload, valid until the next call ------------------------------------------ */

struct bytes scene_filler(size_t size);

/* @text with filler behind it, @size bytes in all. */
struct bytes scene_text_and_filler(const char *text, size_t size);

/* @text with blanks before its last line, which is empty: @size bytes in all. */
struct bytes scene_head_of_size(const char *text, size_t size);

/* --- packets. They return how much of the payload was delivered, or DROPPED ------- */

/* What @who sends next, with the scene's flags. */
struct frame_spec scene_spec(const struct scene *s, enum who who, struct bytes payload);

/* Write @spec as a frame. Returns its length, SCENE_FRAME_MAX at most. */
size_t scene_build(const struct scene *s, const struct frame_spec *spec, uint8_t *out);

/* Send @spec; nothing moves on, and its records are left in the filter. */
int scene_send_spec(struct scene *s, const struct frame_spec *spec);

/* The next packet of @who, its records left in the filter. */
int scene_send_unread(struct scene *s, enum who who, struct bytes payload);

/* Take what the filter has told since. */
void scene_read_records(struct scene *s);

int scene_send(struct scene *s, enum who who, struct bytes payload);
int scene_say(struct scene *s, enum who who, const char *text);
int scene_send_flags(struct scene *s, enum who who, uint8_t flags);

/* A packet that is @offset bytes from what is next; nothing moves on. */
int scene_send_at(struct scene *s, enum who who, int32_t offset, struct bytes payload);

/* The other end has not received what was sent last, so far. */
void scene_in_flight(struct scene *s, enum who receiver, uint32_t size);

/* With cmocka.h. */
#define ASSERT_DELIVERED(s, who, text) assert_int_equal(scene_say(s, who, text), strlen(text))
#define ASSERT_BODY_DELIVERED(s, who, size)                                                        \
    assert_int_equal(scene_send(s, who, scene_filler(size)), (int)(size))
#define ASSERT_BODY_KEPT(s, who, size)                                                             \
    assert_int_equal(scene_send(s, who, scene_filler(size)), DROPPED)
#define ASSERT_ACK_KEPT(s, who) assert_int_equal(scene_say(s, who, ""), DROPPED)

/* --- parts of a connection --------------------------------------------------------- */

void scene_handshake(struct scene *s);

/* A request is under way, alone. */
void scene_ask(struct scene *s);

/* A reply has begun, its body follows. */
void scene_begin_body(struct scene *s);

/* The connection has shown something that makes no part of it safe to keep. */
void scene_become_unsafe(struct scene *s);

/* Ask the filter to keep what @who sends on the one flow there is. */
void scene_order(struct scene *s, enum who who, enum filter_order_kind kind, uint32_t seq);

/* With a request under way: of this connection's bodies nothing is kept ... */
void scene_assert_unsafe(struct scene *s);
/* ... or they are. */
void scene_assert_keeps_reply(struct scene *s);
void scene_assert_keeps_next_exchange(struct scene *s);

/* --- what the filter knows --------------------------------------------------------- */

/* The one flow that is tracked. */
struct scene_finding {
    unsigned count;
    struct flow key;
    struct filter_flow flow;
};

struct scene_finding scene_find(struct scene *s);
unsigned scene_flow_count(struct scene *s);

/* Which side of @flow @who is. */
unsigned scene_side(const struct scene *s, const struct flow *flow, enum who who);

struct filter_counts scene_counts(const struct scene *s);
void scene_assert_kept(const struct filter_kept *is, uint64_t bytes, uint64_t packets,
                       uint64_t control);

/* Record @number of those that the last packet made, which must be of @who. */
const struct filter_record *scene_record(const struct scene *s, unsigned number, enum who who);

/* What the one record that the last packet made tells of @who. More of its flow follow. */
const struct filter_kept *scene_recorded(const struct scene *s, enum who who);
