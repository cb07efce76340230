/*
 * VLAN tags inside of frames (IEEE 802.1Q, 802.1ad, and the 0x9100 of old
 * QinQ switches).
 *
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/packet.h"

enum { VLAN_TAGS_MAX = 4 };

bool vlan_is_tag(uint16_t ethertype);

/**
 * Take the tag that @f->data begins with off @f, if its ethertype says so.
 *
 * The VLAN ID goes to the first free place of @f->vlan; a third one is lost.
 * Returns whether there was a whole tag.
 */
bool vlan_take_tag(struct frame *f);
