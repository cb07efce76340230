/*
 * From a frame to a TCP packet: addresses, ports, sequence numbers, and a view
 * of the payload.
 *
 * Follows IPv4 (RFC 791), IPv6 and its extension headers (RFC 8200), jumbograms
 * (RFC 2675), TCP (RFC 9293), IEEE 802.1Q and 802.1ad tags.
 *
 * A super-packet (GSO, GRO) is one packet here that stands for several on the
 * wire: header_bytes and packets speak of those on the wire.
 *
 * Units    bytes as on the wire, whatever was captured of them; nanoseconds
 * Owns     nothing; views point into the frame
 * Threads  no state
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "bpf/filter.h" /* struct flow: the connection that a packet belongs to */

/* What a capture hands in, link header removed. */
struct frame {
    struct bytes data;   /* what was captured, from the network header on */
    uint32_t wire_bytes; /* its length on the wire, link padding included */
    uint32_t gso_size;   /* payload bytes a segment of a super-packet, else 0 */
    uint16_t ethertype;  /* what the link says is in data; 0: look at the IP version */
    uint16_t vlan[2];    /* VLAN IDs that were taken off already, outer first; 0: none */
    uint64_t time_ns;    /* since the epoch */
};

enum tcp_flag {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_ACK = 0x10,
};

struct packet {
    struct flow flow;
    unsigned side; /* which end of the flow sent it: 0 or 1 */
    uint8_t flags; /* enum tcp_flag */
    uint32_t seq;
    uint32_t ack;
    struct bytes payload;   /* what was captured of it, borrowed from the frame */
    uint32_t payload_bytes; /* on the wire */
    uint32_t header_bytes;  /* IP and TCP headers of all packets it stands for */
    uint32_t packets;       /* IP packets it stands for */
    uint64_t time_ns;
};

/* A piece of an IP datagram that carries TCP. */
struct fragment {
    uint8_t address[2][16]; /* source, destination; IPv4 as ::ffff:a.b.c.d */
    uint16_t vlan[2];
    uint32_t id;
    uint32_t offset;       /* of data in the datagram's payload, bytes */
    bool more;             /* others follow */
    struct bytes data;     /* captured, borrowed from the frame */
    uint32_t data_bytes;   /* on the wire */
    uint32_t header_bytes; /* IP header and extensions */
    uint64_t time_ns;
};

enum packet_kind {
    PACKET_TCP,       /* the packet is filled */
    PACKET_FRAGMENT,  /* the fragment is filled */
    PACKET_MALFORMED, /* TCP by its IP header, but no more can be told; packet->header_bytes
                         holds all its IP bytes, packet->packets is 1 */
    PACKET_OTHER,     /* not TCP */
};

/**
 * Take @f apart. @p or @fragment is filled as the result says; both may be
 * touched in any case. A packet that was captured in part has all its lengths.
 *
 * VLAN tags at the front of the data are taken off, whether or not the ethertype
 * tells of them. The outermost goes to the flow if @f has no VLAN.
 */
enum packet_kind packet_decode(const struct frame *f, struct packet *p, struct fragment *fragment);

/**
 * Fill @p from the TCP segment @segment (@segment_bytes on the wire) between
 * the addresses @address (source, destination). For what was put together from
 * fragments: @ip_header_bytes and @packets are those of all of them.
 *
 * Returns PACKET_TCP or PACKET_MALFORMED.
 */
enum packet_kind packet_decode_segment(struct bytes segment, uint32_t segment_bytes,
                                       const uint8_t address[2][16], const uint16_t vlan[2],
                                       uint32_t ip_header_bytes, uint32_t packets, uint64_t time_ns,
                                       struct packet *p);

static inline uint64_t packet_ip_bytes(const struct packet *p)
{
    return (uint64_t)p->header_bytes + p->payload_bytes;
}

static inline __be16 packet_source_port(const struct packet *p)
{
    return p->flow.port[p->side];
}

static inline __be16 packet_destination_port(const struct packet *p)
{
    return p->flow.port[!p->side];
}

/* Whether @address is an IPv4 address in the form that struct flow has it. */
bool packet_address_is_ipv4(const uint8_t address[static 16]);
