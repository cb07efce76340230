/*
 * reference INTERFACE ignore|count|heads: a tap that does as little as its name
 * says, to compare httpacct with. Runs until SIGINT or SIGTERM, then prints what
 * it saw as a JSON object.
 *
 * The heads are read from a ring of blocks, looked at for the four bytes that
 * tell a request from a reply, and forgotten.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "base/macros.h"
#include "reference.h"
#include "reference.skel.h"

enum { BLOCK_BYTES = 1 << 20, BLOCKS = 32, FRAME_BYTES = 2048, RETIRE_MS = 20 };

struct tap {
    struct reference_bpf *filters;
    int fd;
    int signals_fd;
    uint8_t *ring; /* NULL: nothing is delivered */
    unsigned next; /* block */
    uint64_t requests;
};

static int fail(const char *what)
{
    fprintf(stderr, "reference: %s: %s\n", what, strerror(errno));
    return -1;
}

/* SIGINT and SIGTERM become readable, from here on. */
static int open_signals(struct tap *t)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    t->signals_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return t->signals_fd < 0 ? fail("signalfd") : 0;
}

static int open_ring(struct tap *t)
{
    int version = TPACKET_V3;
    struct tpacket_req3 request = {
        .tp_block_size = BLOCK_BYTES,
        .tp_block_nr = BLOCKS,
        .tp_frame_size = FRAME_BYTES,
        .tp_frame_nr = BLOCK_BYTES / FRAME_BYTES * BLOCKS,
        .tp_retire_blk_tov = RETIRE_MS,
    };
    if (setsockopt(t->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
        setsockopt(t->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
        return fail("ring");
    void *ring =
        mmap(NULL, (size_t)BLOCK_BYTES * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
    if (ring == MAP_FAILED)
        return fail("mmap");
    t->ring = ring;
    return 0;
}

/* The socket stays deaf until bind(), when the filter is on. */
static int open_socket(struct tap *t, const char *interface, const struct bpf_program *filter,
                       bool delivers)
{
    int program_fd = bpf_program__fd(filter);
    t->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (t->fd < 0 ||
        setsockopt(t->fd, SOL_SOCKET, SO_ATTACH_BPF, &program_fd, sizeof(program_fd)) < 0)
        return fail("socket");
    if (delivers && open_ring(t) < 0)
        return -1;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(interface),
    };
    if (bind(t->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return fail(interface);
    return 0;
}

static int start(struct tap *t, const char *interface, const char *what)
{
    t->filters = reference_bpf__open_and_load();
    if (!t->filters)
        return fail("filters");

    bool delivers = strcmp(what, "heads") == 0;
    const struct bpf_program *filter = NULL;
    if (delivers)
        filter = t->filters->progs.reference_heads;
    else if (strcmp(what, "count") == 0)
        filter = t->filters->progs.reference_count;
    else if (strcmp(what, "ignore") == 0)
        filter = t->filters->progs.reference_ignore;
    if (!filter) {
        errno = EINVAL;
        return fail(what);
    }
    return open_signals(t) < 0 ? -1 : open_socket(t, interface, filter, delivers);
}

static void read_head(struct tap *t, const uint8_t *data, size_t size)
{
    const struct iphdr *ip = (const void *)data;
    const struct tcphdr *tcp = (const void *)(ip + 1);
    size_t offset = sizeof(*ip) + tcp->doff * 4;
    if (size >= offset + 4 && memcmp(data + offset, "HTTP", 4) != 0)
        t->requests++;
}

static void read_block(struct tap *t, const struct tpacket_block_desc *block)
{
    const uint8_t *at = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
    for (unsigned i = 0; i < block->hdr.bh1.num_pkts; i++) {
        const struct tpacket3_hdr *head = (const void *)at;
        read_head(t, at + head->tp_net, head->tp_snaplen);
        at += head->tp_next_offset;
    }
}

static void read_ring(struct tap *t)
{
    for (;;) {
        struct tpacket_block_desc *block = (void *)(t->ring + (size_t)BLOCK_BYTES * t->next);
        uint32_t *status = &block->hdr.bh1.block_status;
        if (!(__atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            return;
        read_block(t, block);
        __atomic_store_n(status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        t->next = (t->next + 1) % BLOCKS;
    }
}

static void watch(struct tap *t)
{
    struct pollfd fds[] = {
        {.fd = t->signals_fd, .events = POLLIN},
        {.fd = t->ring ? t->fd : -1, .events = POLLIN},
    };
    while (!(fds[0].revents & POLLIN)) {
        poll(fds, ARRAY_SIZE(fds), -1);
        if (t->ring)
            read_ring(t);
    }
}

static void print_flows(const struct tap *t)
{
    int map = bpf_map__fd(t->filters->maps.flows);
    struct reference_flow flow, *previous = NULL;
    uint64_t bytes_in = 0, bytes_out = 0;
    while (bpf_map_get_next_key(map, previous, &flow) == 0) {
        struct reference_count count;
        previous = &flow;
        if (bpf_map_lookup_elem(map, &flow, &count) < 0)
            continue;
        *(flow.destination_port == htons(REFERENCE_PORT) ? &bytes_in : &bytes_out) += count.bytes;
    }
    printf("\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64, bytes_in, bytes_out);
}

static void print_heads(const struct tap *t)
{
    struct tpacket_stats_v3 statistics = {0};
    socklen_t size = sizeof(statistics);
    getsockopt(t->fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size);
    printf(",\"requests\":%" PRIu64 ",\"dropped\":%u", t->requests, statistics.tp_drops);
}

int main(int argc, char **argv)
{
    struct tap t = {0};
    if (argc != 3) {
        fputs("usage: reference INTERFACE ignore|count|heads\n", stderr);
        return 2;
    }
    if (start(&t, argv[1], argv[2]) < 0)
        return EXIT_FAILURE;
    watch(&t);

    putchar('{');
    if (strcmp(argv[2], "ignore") != 0)
        print_flows(&t);
    if (t.ring)
        print_heads(&t);
    puts("}");
    return EXIT_SUCCESS;
}
