/*
 * A TPACKET_V3 ring. The kernel fills blocks of packets and hands each over
 * when it is full, or has been open for its timeout with a packet in it.
 *
 * A device whose link header is that of Ethernet, or none, is read with its
 * link header (SOCK_RAW). Only then does the kernel tell the segment size of
 * super-packets: struct virtio_net_hdr lies before each frame. Other devices
 * are read without (SOCK_DGRAM), and a super-packet of theirs is one packet, for
 * the filter too.
 *
 * Losses are what the filter counted and the reader has not seen. A packet that
 * is counted may be on its way in the block that the kernel has still open. So
 * counts are compared only when they are older than SETTLE_NS and the reader
 * has found the ring empty since: what was on its way then has been seen, or
 * was lost. What has been seen later makes the difference too small, never too
 * large. Likewise, a record may be on its way while what was kept is collected,
 * so what was counted before a collection is compared after the next one.
 */
#include "io/capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "core/vlan.h"
#include "io/filter.h"

enum {
    BLOCK_BYTES = 512 << 10, /* the largest super-packet fits in */
    BLOCKS_MIN = 4,
    FRAME_BYTES = 2048, /* must divide a block, says nothing else here */
    RETIRE_MS = 20,     /* the kernel's timer looks twice before it hands a block over */
    VLAN_ID_MASK = 0xfff,
};

static const uint64_t NS_PER_MS = 1000000;
/* How long a flow that nobody knows is left in peace. */
static const uint64_t QUIET_NS = UINT64_C(60000000000);

static const uint64_t SETTLE_NS = CAPTURE_SETTLE_MS * NS_PER_MS;
_Static_assert(CAPTURE_SETTLE_MS >= 3 * RETIRE_MS, "the last block is handed over before that");

struct capture {
    int fd;
    struct filter *filter;
    bool raw; /* SOCK_RAW: with link header, and struct virtio_net_hdr */
    uint32_t link_header_bytes;
    uint32_t index;              /* of its interface */
    const struct claims *claims; /* NULL: it counts for itself */
    bool claims_joined;

    uint8_t *ring;
    unsigned block_count;
    unsigned block_next; /* to be read */

    uint64_t empty_ns; /* when the ring was last seen empty */
    uint64_t stopped_ns;
    bool drained;
    struct filter_counts counted; /* by the filter, at counted_ns */
    uint64_t counted_ns;
    uint64_t collected_ns;             /* when what was kept was last handed over */
    struct filter_counts kept_counted; /* by the filter, at collected_ns */
    struct filter_counts kept_due;     /* all of which has been handed over, but what was lost */
    struct filter_counts charged;      /* as lost, so far */
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

static int set_option(const struct capture *c, int option, const void *value, socklen_t size)
{
    return setsockopt(c->fd, SOL_PACKET, option, value, size) < 0 ? -errno : 0;
}

static int set_int(const struct capture *c, int option, int value)
{
    return set_option(c, option, &value, sizeof(value));
}

/* Decide how the frames of @netif are read. */
static void choose_form(struct capture *c, const struct netif *netif)
{
    switch (netif->type) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
        c->raw = true;
        c->link_header_bytes = ETH_HLEN;
        break;
    case ARPHRD_NONE:
    case ARPHRD_PPP:
    case ARPHRD_RAWIP:
    case ARPHRD_SIT:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
        c->raw = true;
        break;
    default:
        log_debug("%s: link type %u, super-packets count as one packet", netif->name, netif->type);
    }
}

static int filter_load(struct capture *c, const struct netif *netif,
                       const struct capture_options *options)
{
    return filter_open(&c->filter, &(struct filter_options){
                                       .link_header_bytes = c->link_header_bytes,
                                       .super_packets = c->raw,
                                       .keeps = options->keeps,
                                       .ignore_outgoing = netif->type == ARPHRD_LOOPBACK,
                                       .shares = options->leads,
                                       .ports = options->ports,
                                       .claimant = c->claims ? c->index : 0,
                                       .claims = c->claims,
                                   });
}

static void leave_claims(struct capture *c)
{
    if (c->claims_joined)
        claims_leave(c->claims, c->index);
    c->claims_joined = false;
}

/* Let in what the filter lets pass. */
static int hear(struct capture *c)
{
    int r = c->claims ? claims_join(c->claims, c->index) : 0;
    if (r < 0)
        return r;
    c->claims_joined = c->claims;
    int program_fd = filter_fd(c->filter);
    r = setsockopt(c->fd, SOL_SOCKET, SO_ATTACH_BPF, &program_fd, sizeof(program_fd));
    return r < 0 ? -errno : 0;
}

/* Let nothing in. */
static int deafen(const struct capture *c)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {1, &nothing};
    int r = setsockopt(c->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
    return r < 0 ? -errno : 0;
}

static int ring_map(struct capture *c, uint32_t ring_bytes)
{
    c->block_count = MAX(ring_bytes / BLOCK_BYTES, (uint32_t)BLOCKS_MIN);
    struct tpacket_req3 request = {
        .tp_block_size = BLOCK_BYTES,
        .tp_block_nr = c->block_count,
        .tp_frame_size = FRAME_BYTES,
        .tp_frame_nr = BLOCK_BYTES / FRAME_BYTES * c->block_count,
        .tp_retire_blk_tov = RETIRE_MS,
    };
    int r = set_option(c, PACKET_RX_RING, &request, sizeof(request));
    if (r < 0)
        return r;
    void *ring = mmap(NULL, (size_t)BLOCK_BYTES * c->block_count, PROT_READ | PROT_WRITE,
                      MAP_SHARED, c->fd, 0);
    if (ring == MAP_FAILED)
        return -errno;
    c->ring = ring;
    return 0;
}

/* The options come in the order in which the kernel wants them. */
static int ring_open(struct capture *c, uint32_t ring_bytes)
{
    int r = set_int(c, PACKET_VERSION, TPACKET_V3);
    if (r == 0 && c->raw)
        r = set_int(c, PACKET_VNET_HDR, 1);
    return r == 0 ? ring_map(c, ring_bytes) : r;
}

static int bind_to(struct capture *c, const struct netif *netif)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = netif->index,
    };
    return bind(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int take_error(const struct capture *c)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

/* Make @group, with an id that nobody else has, and tell it how to share. */
static int group_make(struct capture *c, struct capture_group *group, int type)
{
    int r = set_int(c, PACKET_FANOUT, (type | PACKET_FANOUT_FLAG_UNIQUEID) << 16);
    if (r == 0 && c->raw)
        r = set_int(c, PACKET_FANOUT_DATA, filter_share_fd(c->filter));
    if (r < 0)
        return r;
    int id;
    socklen_t size = sizeof(id);
    if (getsockopt(c->fd, SOL_PACKET, PACKET_FANOUT, &id, &size) < 0)
        return -errno;
    group->id = (uint16_t)id;
    return 0;
}

int capture_open(struct capture **out, const struct capture_options *options)
{
    const struct netif *netif = options->interface;
    AUTO(capture_close) struct capture *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->index = (uint32_t)netif->index;
    c->claims = options->claims;
    choose_form(c, netif);

    /* Protocol 0: the socket stays deaf until bind(), when all is in place. */
    c->fd = socket(AF_PACKET, (c->raw ? SOCK_RAW : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    int r = filter_load(c, netif, options);
    if (r == 0)
        r = deafen(c);
    if (r == 0)
        r = ring_open(c, options->ring_bytes);
    /* So that the filter need not do it. Linux 4.20, and not in a group. */
    if (r == 0 && netif->type == ARPHRD_LOOPBACK)
        r = set_int(c, PACKET_IGNORE_OUTGOING, 1);
    c->counted_ns = clock_ns();
    if (r == 0)
        r = bind_to(c, netif);
    if (r == 0)
        r = take_error(c); /* it is bound to an interface that is down, too */
    if (r < 0)
        return r;
    *out = TAKE(c);
    return 0;
}

struct capture *capture_close(struct capture *c)
{
    if (!c)
        return NULL;
    if (c->ring)
        munmap(c->ring, (size_t)BLOCK_BYTES * c->block_count);
    if (c->fd >= 0)
        close(c->fd);
    leave_claims(c);
    filter_close(c->filter);
    free(c);
    return NULL;
}

/* The program needs to know the link header, or that there is none. */
int capture_join(struct capture *c, struct capture_group *group)
{
    int type = c->raw ? PACKET_FANOUT_EBPF : PACKET_FANOUT_HASH;
    int r = group->members ? set_int(c, PACKET_FANOUT, group->id | type << 16)
                           : group_make(c, group, type);
    group->members += r == 0;
    if (r == -EINVAL) { /* its interface went down (before Linux 6.13) */
        int why = take_error(c);
        r = why < 0 ? why : r;
    }
    return r;
}

int capture_start(struct capture *c)
{
    return hear(c);
}

int capture_set_ports(struct capture *c, const struct port_set *ports)
{
    return filter_set_ports(c->filter, ports);
}

int capture_fd(const struct capture *c)
{
    return c->fd;
}

/*
 * Take off the tags that are in the data. The link header names the first, and
 * is right both ways: the network offset and the protocol that the kernel tells
 * contradict each other for outgoing frames with tags.
 */
static void take_tags(const struct capture *c, struct frame *f)
{
    if (c->link_header_bytes) {
        __be16 type;
        memcpy(&type, f->data.data - sizeof(type), sizeof(type));
        f->ethertype = ntohs(type);
        for (int i = 0; i < VLAN_TAGS_MAX && vlan_take_tag(f); i++)
            ;
    }
    /* The filter lets IP pass, no more: its version tells which. */
    f->ethertype = 0;
}

static uint32_t gso_size_of(const struct capture *c, const uint8_t *mac)
{
    struct virtio_net_hdr super;
    if (!c->raw)
        return 0;
    memcpy(&super, mac - sizeof(super), sizeof(super));
    return super.gso_type == VIRTIO_NET_HDR_GSO_NONE ? 0 : super.gso_size;
}

static void frame_hand_over(const struct capture *c, const struct tpacket3_hdr *header,
                            const struct capture_taker *taker)
{
    const uint8_t *mac = (const uint8_t *)header + header->tp_mac;
    if (header->tp_snaplen < c->link_header_bytes)
        return;

    struct frame f = {
        .data = bytes_make(mac + c->link_header_bytes, header->tp_snaplen - c->link_header_bytes),
        .wire_bytes = header->tp_len - c->link_header_bytes,
        .gso_size = gso_size_of(c, mac),
        .time_ns = (uint64_t)header->tp_sec * 1000 * NS_PER_MS + header->tp_nsec,
    };
    if (header->tp_status & TP_STATUS_VLAN_VALID)
        f.vlan[0] = header->hv1.tp_vlan_tci & VLAN_ID_MASK;
    take_tags(c, &f);
    taker->frame(taker->context, &f);
}

static struct tpacket_block_desc *block(const struct capture *c, unsigned i)
{
    return (struct tpacket_block_desc *)(c->ring + (size_t)i * BLOCK_BYTES);
}

static bool block_is_ready(const struct tpacket_block_desc *b)
{
    return __atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

static void block_read(const struct capture *c, struct tpacket_block_desc *b,
                       const struct capture_taker *taker)
{
    const uint8_t *header = (const uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;
    for (uint32_t n = b->hdr.bh1.num_pkts; n; n--) {
        const struct tpacket3_hdr *h = (const void *)header;
        frame_hand_over(c, h, taker);
        header += h->tp_next_offset;
    }
    __atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

int capture_read(struct capture *c, unsigned blocks_max, const struct capture_taker *taker)
{
    for (unsigned count = 0; count < blocks_max; count++) {
        uint64_t now_ns = clock_ns();
        struct tpacket_block_desc *b = block(c, c->block_next);
        if (!block_is_ready(b)) {
            c->empty_ns = now_ns;
            /* An error keeps the socket readable: it can wait for the next call. */
            return count ? (int)count : take_error(c);
        }
        /* What precedes a packet was recorded before the packet came here. */
        filter_records(c->filter, taker->record, taker->context);
        block_read(c, b, taker);
        c->block_next = (c->block_next + 1) % c->block_count;
    }
    return (int)blocks_max;
}

static int count(struct capture *c)
{
    c->counted_ns = clock_ns();
    return filter_counts(c->filter, &c->counted);
}

/* What is @counted, not @seen, and not @charged yet. */
static uint64_t charge(__u64 counted, __u64 seen, __u64 *charged)
{
    __u64 lost = counted > seen ? counted - seen : 0;
    if (lost <= *charged)
        return 0;
    __u64 due = lost - *charged;
    *charged = lost;
    return due;
}

static struct filter_count charge_class(struct capture *c, const struct filter_counts *counted,
                                        enum filter_class class, const struct filter_counts *seen)
{
    const struct filter_count *all = &counted->of[class];
    const struct filter_count *some = &seen->of[class];
    struct filter_count *charged = &c->charged.of[class];
    return (struct filter_count){
        .bytes = charge(all->bytes, some->bytes, &charged->bytes),
        .control = charge(all->control, some->control, &charged->control),
        .packets = charge(all->packets, some->packets, &charged->packets),
    };
}

static void add_counts(struct direction_counts *sum, struct filter_count c)
{
    sum->bytes += c.bytes;
    sum->control += c.control;
    sum->packets += c.packets;
}

int capture_settle(struct capture *c, const struct filter_counts *seen, struct engine_lost *lost,
                   uint64_t *untracked_bytes)
{
    /* Reading resets them. */
    struct tpacket_stats_v3 statistics;
    socklen_t size = sizeof(statistics);
    if (getsockopt(c->fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) < 0)
        return -errno;
    *lost = (struct engine_lost){.ring_drops = statistics.tp_drops};
    *untracked_bytes = 0;

    const struct filter_counts *kept = &c->kept_due, *counted = &c->counted;
    struct filter_count twice = charge_class(c, counted, FILTER_DUPLICATE, seen);
    lost->duplicate_bytes = twice.bytes + twice.control;
    add_counts(&lost->direction[DIRECTION_IN], charge_class(c, kept, FILTER_KEPT_IN, seen));
    add_counts(&lost->direction[DIRECTION_OUT], charge_class(c, kept, FILTER_KEPT_OUT, seen));
    if (!c->drained && c->empty_ns < c->counted_ns + SETTLE_NS)
        return 0;
    add_counts(&lost->direction[DIRECTION_IN], charge_class(c, counted, FILTER_IN, seen));
    add_counts(&lost->direction[DIRECTION_OUT], charge_class(c, counted, FILTER_OUT, seen));
    *untracked_bytes = charge_class(c, counted, FILTER_FRAGMENT, seen).bytes +
                       charge_class(c, counted, FILTER_MALFORMED, seen).bytes;
    return count(c);
}

struct collection {
    struct capture *capture;
    const struct capture_taker *taker;
    const struct capture_flows *flows;
};

static void collect_flow(void *context, const struct flow *flow, const struct filter_flow *f)
{
    const struct collection *all = context;
    void *owner = all->taker->context;
    for (uint16_t side = 0; side < 2; side++) {
        struct filter_record record = {
            .flow = *flow,
            .kept = f->kept[side],
            .number = f->record_count[side],
            .side = side,
            .read = true,
        };
        if (record.kept.bytes || record.kept.control)
            all->taker->record(owner, &record);
    }
    bool quiet = f->seen_ns + QUIET_NS < all->capture->collected_ns;
    if (!quiet || all->flows->is_known(owner, flow))
        return;
    filter_forget(all->capture->filter, flow);
    all->flows->forget(owner, flow);
}

int capture_collect(struct capture *c, const struct capture_taker *taker,
                    const struct capture_flows *flows)
{
    struct collection all = {c, taker, flows};
    struct filter_counts now;
    int r = filter_counts(c->filter, &now);
    if (r < 0)
        return r;
    c->kept_due = c->drained ? now : c->kept_counted;
    c->kept_counted = now;
    c->collected_ns = clock_ns();
    filter_records(c->filter, taker->record, taker->context);
    return filter_flows(c->filter, collect_flow, &all);
}

bool capture_is_orphan(const struct capture *c)
{
    struct sockaddr_ll bound = {0};
    socklen_t size = sizeof(bound);
    /* The kernel unbinds a socket whose interface goes, and says so nowhere else. */
    return getsockname(c->fd, (struct sockaddr *)&bound, &size) == 0 &&
           (uint32_t)bound.sll_ifindex != c->index;
}

void capture_order(struct capture *c, const struct flow *flow, const struct filter_order *order)
{
    filter_order(c->filter, flow, order);
}

int capture_stop(struct capture *c)
{
    /* Not bind() with protocol 0: to older kernels that means the one it has. */
    int r = deafen(c);
    leave_claims(c); /* what comes from now on is another's */
    if (r < 0)
        return r;
    c->stopped_ns = clock_ns();
    return 0;
}

int capture_drain(struct capture *c, const struct capture_taker *taker)
{
    for (;;) {
        int r = capture_read(c, c->block_count, taker);
        if (r < 0 && r != -ENETDOWN)
            return r;
        if (c->empty_ns >= c->stopped_ns + SETTLE_NS)
            break;
        struct pollfd wait = {.fd = c->fd, .events = POLLIN};
        poll(&wait, 1, RETIRE_MS);
    }
    c->drained = true;
    return count(c);
}
