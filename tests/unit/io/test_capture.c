/*
 * Captures of real traffic in network namespaces of the test's own: what was
 * handed over, what was kept and what was lost make what the interface counted.
 * The interface counts link headers (loopback does not), so those are taken off;
 * its offloads are off where it would count super-packets as one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/kept.h"
#include "core/seen.h"
#include "io/capture.h"
#include "support/frames.h"
#include "support/interface_bytes.h"
#include "support/shell.h"
#include "support/skip.h"

enum { PORT = 8080, HTTP_PORT = 8090, LIMIT_S = 20, CHUNK = 64 << 10, NOBODY = 65534 };
enum { REQUEST_BYTES = 18, SPEC_BYTES = 20 + 20 + REQUEST_BYTES };

#define REPLY_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
enum { REPLY_HEAD_BYTES = sizeof(REPLY_HEAD) - 1, REPLY_BODY_BYTES = 1000000 };
enum { REPLY_BYTES = REPLY_HEAD_BYTES + REPLY_BODY_BYTES };

static pid_t peer; /* serves in a namespace of its own */

/* What a capture handed over, what it kept, and what it said to be lost. */
struct watch {
    struct capture *capture;
    struct port_set ports;
    bool keeps;
    bool knows_flows;
    struct kept_table kept;
    uint64_t kept_payload;
    unsigned forgotten;
    struct packet last; /* that came from a client with payload */
    struct filter_counts seen;
    struct engine_lost lost;
    uint64_t untracked_bytes;
    uint64_t payload_bytes[2]; /* FILTER_IN, FILTER_OUT; what was kept included */
    unsigned super_packets;
    uint16_t vlan[2]; /* of all packets */
    unsigned frames;
    unsigned other_vlans;
};

/* --- a server, and a client ------------------------------------------------ */

/* A process that does not outlive the test, however that ends. */
static pid_t fork_child(void)
{
    pid_t pid = fork();
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

/* Returns how many came. */
static size_t receive_all(int fd)
{
    static char chunk[CHUNK];
    size_t total = 0;
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        total += (size_t)n;
    return total;
}

static void send_all(int fd, size_t size)
{
    static const char chunk[CHUNK];
    while (size) {
        ssize_t n = send(fd, chunk, MIN(size, sizeof(chunk)), MSG_NOSIGNAL);
        if (n <= 0)
            return;
        size -= (size_t)n;
    }
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 8) < 0)
        _exit(EXIT_FAILURE);
    return fd;
}

/* Answer each connection with as many bytes as it sent. */
static void serve(int listener)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(EXIT_FAILURE);
        send_all(fd, receive_all(fd));
        close(fd);
    }
}

/* Answer each empty line with a reply. */
static void serve_http_connection(int fd)
{
    char chunk[CHUNK];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        if (!memmem(chunk, (size_t)n, "\r\n\r\n", 4))
            continue;
        if (write(fd, REPLY_HEAD, REPLY_HEAD_BYTES) != REPLY_HEAD_BYTES)
            return;
        send_all(fd, REPLY_BODY_BYTES);
    }
}

static void serve_http(int listener)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(EXIT_FAILURE);
        if (fork_child() == 0) {
            serve_http_connection(fd);
            _exit(EXIT_SUCCESS);
        }
        close(fd);
    }
}

/* Start both servers, in a new namespace if told. Returns when they listen. */
static pid_t servers_start(int namespace_flags)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork_child();
    if (pid == 0) {
        if (unshare(namespace_flags) < 0)
            _exit(EXIT_FAILURE);
        int listener = listen_on(PORT), http_listener = listen_on(HTTP_PORT);
        signal(SIGCHLD, SIG_IGN);
        if (fork_child() == 0)
            serve_http(http_listener);
        if (write(ready[1], "", 1) == 1)
            serve(listener);
        _exit(EXIT_FAILURE);
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static int connect_to(const char *address, uint16_t port)
{
    char mapped[64];
    snprintf(mapped, sizeof(mapped), "%s%s", strchr(address, ':') ? "" : "::ffff:", address);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, mapped, &to.sin6_addr);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -1 : fd;
}

/* Send @size bytes and wait for as many, in a process of its own. */
static pid_t client_start(const char *address, uint16_t port, size_t size)
{
    pid_t pid = fork_child();
    if (pid)
        return pid;
    int fd = connect_to(address, port);
    if (fd < 0)
        _exit(EXIT_FAILURE);
    send_all(fd, size);
    shutdown(fd, SHUT_WR);
    _exit(receive_all(fd) == size ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* --- interfaces ------------------------------------------------------------ */

/* Run a command in the namespace of the peer. */
#define PEER_SHELL(format, ...) shell("nsenter -t %d -n " format, peer, __VA_ARGS__)

/* "va" here and "vb" at the peer, nothing on them but TCP. */
static void veth_add(void)
{
    shell("ip link add va address 02:00:00:00:00:01 type veth "
          "peer name vb address 02:00:00:00:00:02 netns %d",
          peer);
    shell("ip link set va addrgenmode none up");
    PEER_SHELL("ip link set %s addrgenmode none up", "vb");
}

/* Give @here and @there addresses. No ARP: it would be counted. */
static void address_add(const char *here, const char *there)
{
    shell("ip addr replace 10.9.0.1/24 dev %s", here);
    shell("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 nud permanent dev %s", here);
    PEER_SHELL("ip addr replace 10.9.0.2/24 dev %s", there);
    PEER_SHELL("ip neigh replace 10.9.0.1 lladdr 02:00:00:00:00:01 nud permanent dev %s", there);
}

static void veth_offloads(const char *switches)
{
    shell("ethtool -K va %s", switches);
    PEER_SHELL("ethtool -K vb %s", switches);
}

/* Whatever the test added, and if it failed. */
static int links_remove(void **state)
{
    (void)state;
    return system("for link in va br0; do ip link del $link 2>/dev/null; done; true");
}

/* --- watching -------------------------------------------------------------- */

static void take_frame(void *context, const struct frame *f)
{
    struct watch *w = context;
    struct packet p;
    struct fragment fragment;
    w->frames++;
    switch (packet_decode(f, &p, &fragment)) {
    case PACKET_TCP:
        seen_packet(&w->seen, &p, &w->ports);
        w->payload_bytes[seen_class(&p.flow, p.side, &w->ports)] += p.payload_bytes;
        if (p.payload_bytes && seen_class(&p.flow, p.side, &w->ports) == FILTER_IN)
            w->last = p;
        w->super_packets += p.packets > 1;
        w->other_vlans += memcmp(p.flow.vlan, w->vlan, sizeof(w->vlan)) != 0;
        break;
    case PACKET_FRAGMENT:
        seen_fragment(&w->seen, &fragment);
        break;
    default:
        fail_msg("the filter let pass what is not TCP");
    }
}

static void take_record(void *context, const struct filter_record *r)
{
    struct watch *w = context;
    struct filter_kept more;
    enum filter_class class = seen_class(&r->flow, r->side, &w->ports);
    struct filter_count *seen = &w->seen.of[class + FILTER_KEPT_IN];
    assert_non_null(kept_table_take(&w->kept, r, &more));
    seen->bytes += more.bytes;
    seen->control += more.control;
    seen->packets += more.packets;
    w->payload_bytes[class] += more.payload;
    w->kept_payload += more.payload;
}

static bool is_known(void *context, const struct flow *flow)
{
    const struct watch *w = context;
    (void)flow;
    return w->knows_flows;
}

static void forget(void *context, const struct flow *flow)
{
    struct watch *w = context;
    kept_table_forget(&w->kept, flow);
    w->forgotten++;
}

static const struct capture_flows flows = {is_known, forget};

static struct capture_taker taker_of(struct watch *w)
{
    return (struct capture_taker){take_frame, take_record, w};
}

static int watch_collect(struct watch *w)
{
    const struct capture_taker taker = taker_of(w);
    return capture_collect(w->capture, &taker, &flows);
}

static struct netif netif_of(const char *name)
{
    struct netif netif;
    assert_int_equal(netif_find(&netif, name), 0);
    return netif;
}

static struct capture_options options_of(const struct watch *w, const struct netif *interface)
{
    return (struct capture_options){
        .interface = interface,
        .ports = &w->ports,
        .ring_bytes = CAPTURE_RING_BYTES,
        .keeps = w->keeps,
    };
}

static void watch_open(struct watch *w, const char *interface)
{
    const struct netif netif = netif_of(interface);
    struct capture_options options = options_of(w, &netif);
    port_set_add(&w->ports, PORT);
    port_set_add(&w->ports, HTTP_PORT);
    kept_table_init(&w->kept, 0x5eed);
    int r = capture_open(&w->capture, &options);
    if (r == -EPERM)
        test_skip("capturing needs CAP_NET_RAW and CAP_BPF");
    assert_int_equal(r, 0);
    assert_int_equal(capture_start(w->capture), 0);
}

static void watch_settle(struct watch *w)
{
    struct engine_lost lost;
    uint64_t untracked_bytes;
    assert_int_equal(capture_settle(w->capture, &w->seen, &lost, &untracked_bytes), 0);
    w->untracked_bytes += untracked_bytes;
    w->lost.ring_drops += lost.ring_drops;
    for (int i = 0; i < 2; i++) {
        /* A loss is never taken back. */
        assert_true((int64_t)lost.direction[i].bytes >= 0);
        w->lost.direction[i].bytes += lost.direction[i].bytes;
        w->lost.direction[i].control += lost.direction[i].control;
        w->lost.direction[i].packets += lost.direction[i].packets;
    }
}

static int read_blocks(struct watch *w, unsigned blocks_max)
{
    const struct capture_taker taker = taker_of(w);
    return capture_read(w->capture, blocks_max, &taker);
}

static void watch_read(struct watch *w)
{
    struct pollfd wait = {.fd = capture_fd(w->capture), .events = POLLIN};
    poll(&wait, 1, 10);
    assert_true(read_blocks(w, 4) >= 0);
    assert_int_equal(watch_collect(w), 0);
    watch_settle(w);
}

static void watch_drain(struct watch *w)
{
    const struct capture_taker taker = taker_of(w);
    assert_int_equal(capture_stop(w->capture), 0);
    assert_int_equal(capture_drain(w->capture, &taker), 0);
    assert_int_equal(watch_collect(w), 0);
    watch_settle(w);
}

static void watch_end(struct watch *w)
{
    watch_drain(w);
    w->capture = capture_close(w->capture);
    kept_table_deinit(&w->kept);
}

static uint64_t seen_bytes(const struct watch *w)
{
    uint64_t sum = 0;
    for (int i = 0; i < FILTER_CLASSES; i++)
        sum += w->seen.of[i].bytes + w->seen.of[i].control;
    return sum;
}

static uint64_t lost_bytes(const struct watch *w)
{
    uint64_t sum = w->untracked_bytes;
    for (int i = 0; i < 2; i++)
        sum += w->lost.direction[i].bytes + w->lost.direction[i].control;
    return sum;
}

/* Read while @client runs. */
static void watch_client(struct watch *w, pid_t client)
{
    int status;
    while (waitpid(client, &status, WNOHANG) == 0)
        watch_read(w);
    assert_int_equal(status, 0);
}

/* Read until @bytes were seen. */
static void watch_until(struct watch *w, uint64_t bytes)
{
    for (time_t end = time(NULL) + LIMIT_S; seen_bytes(w) < bytes && time(NULL) < end;)
        watch_read(w);
}

static void assert_nothing_lost(const struct watch *w)
{
    assert_int_equal(w->lost.ring_drops, 0);
    assert_int_equal(lost_bytes(w), 0);
}

/* Exchange @size bytes each way with @address and see them all, and no other. */
static void exchange(struct watch *w, const char *address, size_t size)
{
    uint64_t before[2] = {w->payload_bytes[0], w->payload_bytes[1]};
    watch_client(w, client_start(address, PORT, size));
    for (time_t end = time(NULL) + LIMIT_S; time(NULL) < end;) {
        if (w->payload_bytes[0] - before[0] >= size && w->payload_bytes[1] - before[1] >= size)
            break;
        watch_read(w);
    }
    assert_true(w->payload_bytes[0] - before[0] >= size);
    assert_true(w->payload_bytes[1] - before[1] >= size);
}

/* --- the tests ------------------------------------------------------------- */

static void loopback_counts_each_packet_once(void **state)
{
    (void)state;
    struct watch w = {0};
    watch_open(&w, "lo");
    uint64_t before = interface_bytes("lo", 0, false);
    exchange(&w, "127.0.0.1", 3000000);
    exchange(&w, "::1", 3000000);
    uint64_t counted = interface_bytes("lo", 0, false) - before;
    watch_until(&w, counted);
    watch_end(&w);
    assert_nothing_lost(&w);
    assert_int_equal(seen_bytes(&w), counted);
}

static void both_ways_of_an_interface_are_seen(void **state)
{
    (void)state;
    struct watch w = {0};
    veth_add();
    address_add("va", "vb");
    veth_offloads("tso off gso off gro off");
    watch_open(&w, "va");
    exchange(&w, "10.9.0.2", 3000000);
    watch_until(&w, interface_bytes("va", ETH_HLEN, true));
    watch_end(&w);
    assert_nothing_lost(&w);
    assert_int_equal(w.super_packets, 0);
    assert_int_equal(seen_bytes(&w), interface_bytes("va", ETH_HLEN, true));
}

/* A bridge is sent super-packets that its port has to cut, and counts. */
static void super_packets_count_as_the_segments_on_the_wire(void **state)
{
    (void)state;
    struct watch w = {0};
    veth_add();
    shell("ip link add name br0 address 02:00:00:00:00:01 type bridge mcast_snooping 0");
    shell("ip link set br0 addrgenmode none up");
    shell("ip link set va master br0");
    address_add("br0", "vb");
    shell("ethtool -K br0 tso on gso on");
    veth_offloads("tso off gso off gro off");
    watch_open(&w, "br0");
    uint64_t before = interface_bytes("va", ETH_HLEN, true);
    exchange(&w, "10.9.0.2", 10000000);
    watch_until(&w, interface_bytes("va", ETH_HLEN, true) - before);
    watch_end(&w);
    assert_nothing_lost(&w);
    assert_true(w.super_packets > 0);
    assert_int_equal(seen_bytes(&w), interface_bytes("va", ETH_HLEN, true) - before);
}

static struct frame_spec spec_of(const char *source, const char *destination)
{
    return (struct frame_spec){
        .source = source,
        .destination = destination,
        .source_port = 40000,
        .destination_port = PORT,
        .payload = BYTES("GET / HTTP/1.1\r\n\r\n"),
    };
}

/* Send an Ethernet frame as it is on @interface of the namespace we are in. */
static void send_frame(const char *interface, const uint8_t *frame, size_t size)
{
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_ifindex = (int)if_nametoindex(interface),
    };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_int_equal(sendto(fd, frame, size, 0, (struct sockaddr *)&to, sizeof(to)), size);
    close(fd);
}

/* The same at the peer. */
static void send_frame_from_peer(const char *interface, const uint8_t *frame, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/net", peer);
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(setns(there, CLONE_NEWNET), 0);
    send_frame(interface, frame, size);
    assert_int_equal(setns(here, CLONE_NEWNET), 0);
    close(here);
    close(there);
}

/* An IPv4 packet in Ethernet with @tags, of which 0 is none. */
static size_t write_tagged(uint8_t *frame, size_t size, const uint16_t tags[2])
{
    struct frame_spec spec = spec_of("10.9.0.1", "10.9.0.2");
    size_t link = frame_build_link(ETH_P_IP, tags, frame);
    return link + frame_build(&spec, frame + link, size - link);
}

/* Of what comes in, the kernel has put the outer tag beside the frame. */
static void tags_are_found_both_ways(void **state)
{
    (void)state;
    static const uint16_t tags[][2] = {{0, 0}, {5, 0}, {5, 7}};
    veth_add();
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
        uint8_t frame[FRAME_HEADERS_MAX];
        size_t size = write_tagged(frame, sizeof(frame), tags[i]);
        struct watch w = {.vlan = {tags[i][0], tags[i][1]}};
        watch_open(&w, "va");
        send_frame("va", frame, size);
        send_frame_from_peer("vb", frame, size);
        watch_until(&w, 2 * SPEC_BYTES);
        watch_end(&w);
        assert_nothing_lost(&w);
        assert_int_equal(w.frames, 2);
        assert_int_equal(w.other_vlans, 0);
        assert_int_equal(seen_bytes(&w), 2 * SPEC_BYTES);
    }
}

static int tun_open(void)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        test_skip("no /dev/net/tun");
    struct ifreq request = {.ifr_name = "tun9", .ifr_flags = IFF_TUN | IFF_NO_PI};
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    shell("ip link set tun9 addrgenmode none up");
    return fd;
}

static void inject(int fd, const uint8_t *packet, size_t size)
{
    assert_int_equal(write(fd, packet, size), (ssize_t)size);
}

static void interface_without_link_header_is_seen(void **state)
{
    (void)state;
    uint8_t packet[FRAME_HEADERS_MAX];
    struct watch w = {0};
    int fd = tun_open();
    watch_open(&w, "tun9");
    struct frame_spec ipv4 = spec_of("10.8.0.1", "10.8.0.2"), ipv6 = spec_of("fd08::1", "fd08::2");
    inject(fd, packet, frame_build(&ipv4, packet, sizeof(packet)));
    inject(fd, packet, frame_build(&ipv6, packet, sizeof(packet)));
    ipv6.destination_port = PORT + 1;
    inject(fd, packet, frame_build(&ipv6, packet, sizeof(packet)));
    watch_until(&w, 2 * SPEC_BYTES + 20);
    watch_end(&w);
    close(fd);
    assert_nothing_lost(&w);
    assert_int_equal(w.frames, 2);
    assert_int_equal(w.payload_bytes[FILTER_IN], 2 * REQUEST_BYTES);
    assert_int_equal(seen_bytes(&w), 2 * SPEC_BYTES + 20);
}

static void malformed_packets_are_untracked(void **state)
{
    (void)state;
    uint8_t packet[FRAME_HEADERS_MAX];
    struct watch w = {0};
    int fd = tun_open();
    watch_open(&w, "tun9");
    struct frame_spec spec = spec_of("10.8.0.1", "10.8.0.2");
    size_t size = frame_build(&spec, packet, sizeof(packet));
    packet[20 + 12] = 0; /* TCP data offset */
    inject(fd, packet, size);
    watch_end(&w);
    close(fd);
    assert_int_equal(w.frames, 0);
    assert_int_equal(w.untracked_bytes, size);
}

static void fragments_are_seen(void **state)
{
    (void)state;
    uint8_t packet[FRAME_HEADERS_MAX];
    struct watch w = {0};
    int fd = tun_open();
    watch_open(&w, "tun9");
    struct frame_spec spec = spec_of("10.8.0.1", "10.8.0.2");
    const struct fragment_spec second = {.id = 1, .offset = 8};
    inject(fd, packet,
           frame_build_fragment(&spec, &second, BYTES("12345678"), packet, sizeof(packet)));
    watch_until(&w, 28);
    watch_end(&w);
    close(fd);
    assert_nothing_lost(&w);
    assert_int_equal(w.seen.of[FILTER_FRAGMENT].bytes, 28);
}

static void what_the_ring_lost_is_found(void **state)
{
    (void)state;
    struct watch w = {0};
    watch_open(&w, "lo");
    uint64_t before = interface_bytes("lo", 0, false);
    /* Nobody reads: more than the ring has room for. Then it is read again. */
    pid_t client = client_start("127.0.0.1", PORT, 2 * CAPTURE_RING_BYTES);
    int status;
    assert_int_equal(waitpid(client, &status, 0), client);
    assert_int_equal(status, 0);
    watch_client(&w, client_start("127.0.0.1", PORT, CAPTURE_RING_BYTES));
    watch_end(&w);
    assert_true(w.lost.ring_drops > 0);
    assert_true(lost_bytes(&w) > 0);
    assert_int_equal(seen_bytes(&w) + lost_bytes(&w), interface_bytes("lo", 0, false) - before);
}

/* Also while more comes, of which the capture can't know yet whether it was lost. */
static void losses_show_up_once_while_it_runs(void **state)
{
    (void)state;
    struct watch w = {0};
    watch_open(&w, "lo");
    uint64_t before = interface_bytes("lo", 0, false);
    int status;
    pid_t client = client_start("127.0.0.1", PORT, 2 * CAPTURE_RING_BYTES);
    assert_int_equal(waitpid(client, &status, 0), client);
    for (time_t end = time(NULL) + LIMIT_S; lost_bytes(&w) == 0 && time(NULL) < end;)
        watch_read(&w);
    assert_true(lost_bytes(&w) > 0);
    for (int i = 0; i < 30; i++)
        exchange(&w, "127.0.0.1", 1000000);
    watch_end(&w);
    assert_int_equal(seen_bytes(&w) + lost_bytes(&w), interface_bytes("lo", 0, false) - before);
}

static void last_packets_before_stop_are_drained(void **state)
{
    (void)state;
    uint8_t frame[FRAME_HEADERS_MAX];
    struct watch w = {0};
    veth_add();
    watch_open(&w, "va");
    send_frame("va", frame, write_tagged(frame, sizeof(frame), (const uint16_t[]){0, 0}));
    watch_end(&w);
    assert_nothing_lost(&w);
    assert_int_equal(w.frames, 1);
}

static void nothing_comes_in_after_stop(void **state)
{
    (void)state;
    struct watch w = {0};
    watch_open(&w, "lo");
    exchange(&w, "127.0.0.1", 1000);
    watch_drain(&w);
    unsigned frames = w.frames;
    int status;
    assert_int_equal(waitpid(client_start("127.0.0.1", PORT, 1000), &status, 0) > 0, 1);
    watch_end(&w);
    assert_int_equal(w.frames, frames);
    assert_nothing_lost(&w);
}

/* Read until the capture reports an error. */
static int wait_for_error(struct watch *w)
{
    int r = 0;
    for (time_t end = time(NULL) + LIMIT_S; r >= 0 && time(NULL) < end;) {
        struct pollfd wait = {.fd = capture_fd(w->capture), .events = POLLIN};
        poll(&wait, 1, 100);
        r = read_blocks(w, 4);
    }
    return r;
}

static void interface_that_goes_down_is_told_once(void **state)
{
    (void)state;
    struct watch w = {0};
    veth_add();
    address_add("va", "vb");
    watch_open(&w, "va");
    shell("ip link set va down");
    assert_int_equal(wait_for_error(&w), -ENETDOWN);
    assert_int_equal(read_blocks(&w, 1), 0);
    shell("ip link set va up");
    address_add("va", "vb");
    exchange(&w, "10.9.0.2", 1000);
    shell("ip link del va");
    assert_int_equal(wait_for_error(&w), -ENETDOWN);
    watch_end(&w);
}

static void interface_that_can_not_be_captured_is_refused(void **state)
{
    (void)state;
    struct watch w = {0};
    veth_add();
    const struct netif va = netif_of("va");
    struct capture_options options = options_of(&w, &va);
    shell("ip link set va down");
    assert_int_equal(capture_open(&w.capture, &options), -ENETDOWN);
    shell("ip link del va");
    assert_int_equal(capture_open(&w.capture, &options), -ENODEV);
}

/* Before Linux 6.13, when it joins; else when it is read. */
static void interface_that_went_down_before_it_joins_is_told(void **state)
{
    (void)state;
    struct watch w = {0};
    veth_add();
    const struct netif va = netif_of("va");
    struct capture_options options = options_of(&w, &va);
    options.leads = true;
    assert_int_equal(capture_open(&w.capture, &options), 0);
    shell("ip link set va down");
    struct capture_group group = {0};
    int error = capture_join(w.capture, &group);
    assert_int_equal(error ? error : wait_for_error(&w), -ENETDOWN);
    watch_end(&w);
}

/* Since it was looked up, it got another name, and another one has its own. */
static void interface_is_opened_by_its_index(void **state)
{
    (void)state;
    struct watch w = {0};
    veth_add();
    const struct netif va = netif_of("va");
    struct capture_options options = options_of(&w, &va);
    shell("ip link set va down && ip link set va name vc && ip link set vc up &&"
          "ip link add va type bridge");
    assert_int_equal(capture_open(&w.capture, &options), 0);
    assert_false(capture_is_orphan(w.capture));
    shell("ip link del va && ip link del vc");
    assert_true(capture_is_orphan(w.capture));
    w.capture = capture_close(w.capture);
}

static void without_rights_it_is_eperm(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct capture *c = NULL;
        struct watch w = {0};
        const struct netif lo = netif_of("lo");
        struct capture_options options = options_of(&w, &lo);
        if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
            _exit(EXIT_FAILURE);
        _exit(capture_open(&c, &options) == -EPERM ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* --- what is kept ------------------------------------------------------------- */

static int http_connect(const char *address)
{
    int fd = connect_to(address, HTTP_PORT);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    return fd;
}

static void http_request(int fd)
{
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    assert_int_equal(write(fd, request, sizeof(request) - 1), (ssize_t)sizeof(request) - 1);
}

static void http_receive(int fd, size_t size)
{
    static char chunk[CHUNK];
    while (size) {
        ssize_t n = read(fd, chunk, MIN(size, sizeof(chunk)));
        assert_true(n > 0);
        size -= (size_t)n;
    }
}

/* Read until @payload bytes have come in direction @class. */
static void watch_payload(struct watch *w, enum filter_class class, uint64_t payload)
{
    for (time_t end = time(NULL) + LIMIT_S; w->payload_bytes[class] < payload && time(NULL) < end;)
        watch_read(w);
    assert_true(w->payload_bytes[class] >= payload);
}

static void bodies_are_kept_and_counted(void **state)
{
    (void)state;
    enum { REQUESTS = 20 };
    struct watch w = {.keeps = true};
    veth_add();
    address_add("va", "vb");
    veth_offloads("tso off gso off gro off");
    watch_open(&w, "va");
    for (int i = 0; i < REQUESTS; i++) {
        int fd = http_connect("10.9.0.2");
        http_request(fd);
        http_receive(fd, REPLY_BYTES);
        watch_read(&w);
        close(fd);
    }
    watch_until(&w, interface_bytes("va", ETH_HLEN, true));
    watch_end(&w);
    assert_nothing_lost(&w);
    assert_int_equal(seen_bytes(&w), interface_bytes("va", ETH_HLEN, true));
    assert_true(w.payload_bytes[FILTER_IN] >= REQUESTS * REQUEST_BYTES);
    assert_true(w.payload_bytes[FILTER_OUT] >= REQUESTS * REPLY_BYTES);
    assert_true(w.kept_payload > REQUESTS * REPLY_BYTES / 2);
}

/* Of a connection that is quiet by then, and stays open. */
static void nothing_that_was_kept_is_lost_at_the_end(void **state)
{
    (void)state;
    struct watch w = {.keeps = true};
    watch_open(&w, "lo");
    uint64_t before = interface_bytes("lo", 0, false);
    int fd = http_connect("127.0.0.1");
    http_request(fd);
    http_receive(fd, REPLY_BYTES);
    watch_drain(&w);
    assert_nothing_lost(&w);
    assert_int_equal(seen_bytes(&w), interface_bytes("lo", 0, false) - before);
    assert_true(w.kept_payload > 0);
    close(fd);
    watch_end(&w);
}

static void transfers_are_told_while_they_run(void **state)
{
    (void)state;
    struct watch w = {.keeps = true};
    watch_open(&w, "lo");
    int fd = http_connect("127.0.0.1");
    http_request(fd);
    http_receive(fd, REPLY_BYTES / 2);
    for (time_t end = time(NULL) + LIMIT_S;
         w.payload_bytes[FILTER_OUT] < REPLY_BYTES / 2 && time(NULL) < end;)
        watch_read(&w);
    assert_true(w.payload_bytes[FILTER_OUT] >= REPLY_BYTES / 2);
    assert_true(w.kept_payload > 0);
    http_receive(fd, REPLY_BYTES - REPLY_BYTES / 2);
    watch_payload(&w, FILTER_OUT, REPLY_BYTES);
    close(fd);
    watch_end(&w);
    assert_nothing_lost(&w);
}

/* What the ring has no room for, among packets that are kept. */
static void what_was_kept_and_what_the_ring_lost_are_told_apart(void **state)
{
    (void)state;
    struct watch w = {.keeps = true};
    watch_open(&w, "lo");
    uint64_t before = interface_bytes("lo", 0, false);
    int status, fd = http_connect("127.0.0.1");
    pid_t client = client_start("127.0.0.1", PORT, 2 * CAPTURE_RING_BYTES);
    http_request(fd);
    http_receive(fd, REPLY_BYTES);
    assert_int_equal(waitpid(client, &status, 0), client);
    assert_int_equal(status, 0);
    close(fd);
    watch_client(&w, client_start("127.0.0.1", PORT, CAPTURE_RING_BYTES));
    watch_end(&w);
    assert_true(w.lost.ring_drops > 0);
    assert_true(lost_bytes(&w) > 0);
    assert_true(w.kept_payload > 0);
    assert_int_equal(seen_bytes(&w) + lost_bytes(&w), interface_bytes("lo", 0, false) - before);
}

enum { PIECE = 1000 };

/* Send @count pieces of something that is no HTTP, so that all is delivered. */
static void send_pieces(int fd, unsigned count)
{
    static const char piece[PIECE];
    while (count--)
        assert_int_equal(write(fd, piece, sizeof(piece)), PIECE);
}

/* A connection whose first piece has been seen. */
static int connect_delivered(struct watch *w)
{
    int fd = http_connect("127.0.0.1");
    uint64_t payload = w->payload_bytes[FILTER_IN];
    send_pieces(fd, 1);
    watch_payload(w, FILTER_IN, payload + PIECE);
    assert_int_equal(w->last.payload_bytes, PIECE);
    return fd;
}

/* Order that @kind of what the client sends be kept, up to @seq. */
static void order(struct watch *w, enum filter_order_kind kind, uint32_t seq)
{
    struct filter_order o = {0};
    o.side[w->last.side].kind = kind;
    o.side[w->last.side].seq = seq;
    capture_order(w->capture, &w->last.flow, &o);
}

static void ordered_length_is_kept(void **state)
{
    (void)state;
    struct watch w = {.keeps = true};
    watch_open(&w, "lo");
    int fd = connect_delivered(&w);
    order(&w, FILTER_ORDER_LENGTH, w.last.seq + 4 * PIECE);
    send_pieces(fd, 5);
    watch_payload(&w, FILTER_IN, 6 * PIECE);
    assert_int_equal(w.kept_payload, 3 * PIECE);
    close(fd);
    watch_end(&w);
    assert_nothing_lost(&w);
}

static void ordered_turn_is_kept_until_the_other_side_sends(void **state)
{
    (void)state;
    struct watch w = {.keeps = true};
    watch_open(&w, "lo");
    int fd = connect_delivered(&w);
    order(&w, FILTER_ORDER_TURN, w.last.ack);
    send_pieces(fd, 2);
    http_request(fd);
    http_receive(fd, REPLY_BYTES);
    watch_payload(&w, FILTER_OUT, REPLY_BYTES);
    send_pieces(fd, 2);
    watch_payload(&w, FILTER_IN, 5 * PIECE + REQUEST_BYTES);
    assert_int_equal(w.kept_payload, 2 * PIECE + REQUEST_BYTES);
    close(fd);
    watch_end(&w);
    assert_nothing_lost(&w);
}

static void ordered_tunnel_is_kept_to_its_end(void **state)
{
    (void)state;
    struct watch w = {.keeps = true};
    watch_open(&w, "lo");
    int fd = connect_delivered(&w);
    order(&w, FILTER_ORDER_TUNNEL, 0);
    http_request(fd);
    http_receive(fd, REPLY_BYTES);
    send_pieces(fd, 3);
    watch_payload(&w, FILTER_IN, 4 * PIECE + REQUEST_BYTES);
    assert_int_equal(w.kept_payload, 3 * PIECE + REQUEST_BYTES);
    close(fd);
    watch_end(&w);
    assert_nothing_lost(&w);
}

/* A namespace whose clock is two minutes ahead: there everything has long been quiet. */
static void enter_the_future(void)
{
    if (unshare(CLONE_NEWTIME) < 0)
        test_skip("no time namespaces: %s", strerror(errno));
    FILE *offsets = fopen("/proc/self/timens_offsets", "we");
    assert_non_null(offsets);
    fprintf(offsets, "monotonic 120 0\n");
    assert_int_equal(fclose(offsets), 0);
    int there = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    assert_int_equal(setns(there, CLONE_NEWTIME), 0);
    close(there);
}

static int save_the_present(void **state)
{
    static int present;
    present = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
    *state = &present;
    return 0;
}

static int return_to_the_present(void **state)
{
    const int *present = *state;
    int r = *present < 0 ? 0 : setns(*present, CLONE_NEWTIME);
    close(*present);
    return r;
}

static void flow_that_nobody_knows_is_forgotten_when_it_is_quiet(void **state)
{
    (void)state;
    struct watch w = {.keeps = true, .knows_flows = true};
    watch_open(&w, "lo");
    int fd = http_connect("127.0.0.1");
    http_request(fd);
    http_receive(fd, REPLY_BYTES);
    watch_payload(&w, FILTER_OUT, REPLY_BYTES);
    w.knows_flows = false;
    assert_int_equal(watch_collect(&w), 0);
    assert_int_equal(w.forgotten, 0);

    enter_the_future();
    w.knows_flows = true;
    assert_int_equal(watch_collect(&w), 0);
    assert_int_equal(w.forgotten, 0);
    w.knows_flows = false;
    assert_int_equal(watch_collect(&w), 0);
    assert_int_equal(w.forgotten, 1);
    assert_int_equal(watch_collect(&w), 0);
    assert_int_equal(w.forgotten, 1);

    /* It begins anew. */
    http_request(fd);
    http_receive(fd, REPLY_BYTES);
    watch_payload(&w, FILTER_OUT, 2 * REPLY_BYTES);
    close(fd);
    watch_end(&w);
    assert_nothing_lost(&w);
}

static void namespaces_set_up(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        test_skip("a network namespace needs root");
    shell("ip link set lo up");
    shell("ethtool -K lo tso off gso off gro off");
    peer = servers_start(CLONE_NEWNET);
    /* No tail loss probes: what comes twice is delivered, whatever was ordered. */
    shell("sysctl -qw net.ipv4.tcp_early_retrans=0");
    PEER_SHELL("sysctl -qw %s", "net.ipv4.tcp_early_retrans=0");
    servers_start(0);
}

int main(void)
{
    namespaces_set_up();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_counts_each_packet_once),
        cmocka_unit_test_teardown(both_ways_of_an_interface_are_seen, links_remove),
        cmocka_unit_test_teardown(super_packets_count_as_the_segments_on_the_wire, links_remove),
        cmocka_unit_test_teardown(tags_are_found_both_ways, links_remove),
        cmocka_unit_test(interface_without_link_header_is_seen),
        cmocka_unit_test(malformed_packets_are_untracked),
        cmocka_unit_test(fragments_are_seen),
        cmocka_unit_test(what_the_ring_lost_is_found),
        cmocka_unit_test(losses_show_up_once_while_it_runs),
        cmocka_unit_test_teardown(last_packets_before_stop_are_drained, links_remove),
        cmocka_unit_test(nothing_comes_in_after_stop),
        cmocka_unit_test_teardown(interface_that_goes_down_is_told_once, links_remove),
        cmocka_unit_test_teardown(interface_that_can_not_be_captured_is_refused, links_remove),
        cmocka_unit_test_teardown(interface_that_went_down_before_it_joins_is_told, links_remove),
        cmocka_unit_test_teardown(interface_is_opened_by_its_index, links_remove),
        cmocka_unit_test(without_rights_it_is_eperm),
        cmocka_unit_test_teardown(bodies_are_kept_and_counted, links_remove),
        cmocka_unit_test(nothing_that_was_kept_is_lost_at_the_end),
        cmocka_unit_test(transfers_are_told_while_they_run),
        cmocka_unit_test(what_was_kept_and_what_the_ring_lost_are_told_apart),
        cmocka_unit_test(ordered_length_is_kept),
        cmocka_unit_test(ordered_turn_is_kept_until_the_other_side_sends),
        cmocka_unit_test(ordered_tunnel_is_kept_to_its_end),
        cmocka_unit_test_setup_teardown(flow_that_nobody_knows_is_forgotten_when_it_is_quiet,
                                        save_the_present, return_to_the_present),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
