#include "core/vlan.h"

#include <arpa/inet.h>
#include <net/ethernet.h>

enum { ETHERTYPE_OLD_QINQ = 0x9100, ETHERTYPE_QINQ = 0x88a8, VLAN_ID_MASK = 0xfff };

struct tag {
    __be16 control; /* priority, drop eligible, VLAN ID; what it tags follows: */
    __be16 ethertype;
};

bool vlan_is_tag(uint16_t ethertype)
{
    return ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ ||
           ethertype == ETHERTYPE_OLD_QINQ;
}

/* VLAN 0 is none: the tag has only a priority. */
static void add_vlan(uint16_t vlan[2], uint16_t id)
{
    if (vlan[0] == 0)
        vlan[0] = id;
    else if (vlan[1] == 0)
        vlan[1] = id;
}

bool vlan_take_tag(struct frame *f)
{
    struct tag tag;
    if (!vlan_is_tag(f->ethertype) || f->data.size < sizeof(tag) || f->wire_bytes < sizeof(tag))
        return false;

    memcpy(&tag, bytes_take(&f->data, sizeof(tag)).data, sizeof(tag));
    f->wire_bytes -= sizeof(tag);
    f->ethertype = ntohs(tag.ethertype);
    add_vlan(f->vlan, ntohs(tag.control) & VLAN_ID_MASK);
    return true;
}
