/*
 * A TCP connection by script: what its two ends send, as frames in the order in
 * which a capture sees them. It keeps the sequence numbers and says how many IP
 * bytes each direction has put on the wire.
 *
 * Units    bytes; ports in host order; nanoseconds
 * Owns     nothing, embed it by value
 * Threads  no state
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "core/counts.h"
#include "support/frames.h"

/* Who takes the frames. */
struct conversation_sink {
    void (*take)(void *context, const struct frame *f);
    void *context;
    uint64_t now_ns; /* of the next frame, which moves it on */
};

enum { CONVERSATION_TICK_NS = 1000 };

struct conversation_end {
    const char *address;
    uint16_t port;
    uint32_t seq;                 /* of the next byte it sends */
    uint32_t ack;                 /* what it acknowledges: the next byte of the other end */
    struct direction_counts sent; /* bytes, control and packets that the sink has got */
};

struct conversation {
    struct conversation_sink *sink;
    struct conversation_end end[2]; /* by the direction they send in: the client, the server */
    uint32_t snap_bytes;            /* capture that much of an IP packet, 0: all */
    uint32_t gso_size;              /* of the frames that follow, 0: no super-packets */
    uint16_t vlan;
};

/*
 * Client number @number and its server at port 80, both beginning near sequence
 * number @seq. Addresses are IPv4; set end[].address for others.
 */
void conversation_init(struct conversation *c, struct conversation_sink *sink, uint16_t number,
                       uint32_t seq);

/* What a single packet has that the conversation would not say by itself. */
struct conversation_packet {
    uint8_t flags; /* enum tcp_flag */
    uint32_t seq;
    uint32_t ack;
    struct bytes payload;
};

/* Send @p as it is; the ends' sequence numbers stay. */
void conversation_packet(struct conversation *c, enum direction d,
                         const struct conversation_packet *p);

/* SYN, SYN and ACK, ACK. */
void conversation_open(struct conversation *c);
void conversation_syn(struct conversation *c);
void conversation_syn_ack(struct conversation *c);

/* One segment with @payload. The other end acknowledges it with what it sends next. */
void conversation_send(struct conversation *c, enum direction d, struct bytes payload);
void conversation_send_text(struct conversation *c, enum direction d, const char *text);

/* The same in segments of at most @size bytes. */
void conversation_send_cut(struct conversation *c, enum direction d, struct bytes payload,
                           size_t size);

/* The same, but the capture misses it: the other end has it all the same. */
void conversation_miss(struct conversation *c, enum direction d, size_t size);

/* @payload again, or early: @offset bytes from what is next. */
void conversation_send_at(struct conversation *c, enum direction d, int32_t offset,
                          struct bytes payload);

/* Packets without payload. */
void conversation_ack(struct conversation *c, enum direction d);
void conversation_fin(struct conversation *c, enum direction d);
void conversation_reset(struct conversation *c, enum direction d);

/* FIN of the client, FIN and ACK of the server, ACK. */
void conversation_close(struct conversation *c);
