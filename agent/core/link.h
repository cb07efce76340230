/*
 * Link headers of capture files, by their link-layer header type
 * (https://www.tcpdump.org/linktypes.html): Ethernet, Linux cooked v1 and v2,
 * raw IP, BSD loopback.
 *
 * Units    bytes
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "core/packet.h"

/* Whether link_decode() knows @link_type, a LINKTYPE_ value or libpcap's DLT_. */
bool link_supported(int link_type);

/**
 * Take the link header and VLAN tags off @captured (@wire_bytes on the wire).
 *
 * Fills all of @f but time_ns. Returns false when the frame holds no network
 * packet that can be told.
 */
bool link_decode(int link_type, struct bytes captured, uint32_t wire_bytes, struct frame *f);
