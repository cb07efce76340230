/*
 * Packets for tests: IPv4 or IPv6 with a TCP segment, as a capture hands them
 * in, without link header. Checksums are zero: the agent does not look at them.
 *
 * Units    bytes; ports in host order
 * Owns     nothing, all is written into the caller's buffer
 * Threads  no state
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "core/packet.h"

/* What is left out is 0, and 0 is a fine value for a test. */
struct frame_spec {
    const char *source; /* "10.0.0.1" or "fd00::1" */
    const char *destination;
    uint16_t source_port;
    uint16_t destination_port;
    uint32_t seq;
    uint32_t ack;
    uint8_t flags; /* enum tcp_flag */
    struct bytes payload;
    struct bytes tcp_options; /* whole words of 4 bytes, at most 40 bytes */

    /* IPv4: options, whole words. IPv6: extension headers, the last of which
     * names what follows; extension_type is that of the first. */
    struct bytes ip_options;
    uint8_t extension_type;
};

/* Where the data of a fragment is in its datagram's payload. */
struct fragment_spec {
    uint32_t id;
    uint16_t offset; /* a multiple of 8 */
    bool more;
};

enum { FRAME_LINK_MAX = 22, FRAME_HEADERS_MAX = 256, FRAME_BYTES_MAX = 65536 + FRAME_HEADERS_MAX };

/* Write the IP packet of @spec to @out and return its length. Aborts if it doesn't fit. */
size_t frame_build(const struct frame_spec *spec, uint8_t *out, size_t out_size);

/* The same for its TCP segment alone. */
size_t frame_build_segment(const struct frame_spec *spec, uint8_t *out, size_t out_size);

/* The same for a fragment of a datagram between the addresses of @spec that carries @data. */
size_t frame_build_fragment(const struct frame_spec *spec, const struct fragment_spec *fragment,
                            struct bytes data, uint8_t *out, size_t out_size);

/*
 * Write the Ethernet header of a packet of @ethertype with @tags, VLAN ids of which 0 is none, the
 * outer one first. Returns its length, FRAME_LINK_MAX at most.
 */
size_t frame_build_link(uint16_t ethertype, const uint16_t tags[2], uint8_t *out);

/* The frame of the IP packet @data, captured whole, no tags, no super-packet. */
struct frame frame_of(struct bytes data, uint64_t time_ns);
