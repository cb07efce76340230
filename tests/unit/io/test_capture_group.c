/*
 * Captures that share an interface: each connection goes to one of them, and
 * together they count what the interface, or a capture that shares with nobody,
 * counts.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/seen.h"
#include "io/capture.h"
#include "support/frames.h"
#include "support/interface_bytes.h"
#include "support/shell.h"
#include "support/skip.h"

enum { PORT = 8080, MEMBERS = 3, CONNECTIONS = 60, FLOWS_MAX = 2 * CONNECTIONS };
enum { MESSAGE_BYTES = 30000, RING_BYTES = 8 << 20 };

static int here, there; /* namespaces: "va" is in the first, "vb" in the second */

struct share;

struct member {
    struct share *share;
    unsigned bit;
    struct capture *capture;
    struct filter_counts seen;
};

/* The captures, and who got what. */
struct share {
    struct port_set ports; /* none: all */
    struct capture_group group;
    struct member members[MEMBERS];
    unsigned flow_count;
    struct {
        struct flow flow;
        unsigned members; /* bits of those that saw it */
        unsigned sides;   /* bits of those that were seen */
    } flows[FLOWS_MAX];
    unsigned fragments[CONNECTIONS]; /* bits of members, by the datagram's id */
    unsigned super_packets;
    struct share *beside; /* is read with it */
};

static void enter(int namespace)
{
    assert_int_equal(setns(namespace, CLONE_NEWNET), 0);
}

/* Read what there is: a ring holds no more than a moment. */
static void share_read(struct share *s);

/* --- traffic ----------------------------------------------------------------- */

static struct sockaddr_in6 address_of(const char *text)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    return address;
}

/* Send a message from one to the other. */
static void send_message(int from, int to)
{
    static char message[MESSAGE_BYTES];
    assert_int_equal(send(from, message, sizeof(message), 0), sizeof(message));
    assert_int_equal(recv(to, message, sizeof(message), MSG_WAITALL), sizeof(message));
}

/* Connections from here to @address, whose listener is in @namespace. */
static void converse(struct share *s, int namespace, const char *address)
{
    struct sockaddr_in6 to = address_of(address);
    enter(namespace);
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    assert_int_equal(bind(listener, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(listen(listener, 1), 0);
    enter(here);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
        int server = accept(listener, NULL, NULL);
        assert_true(server >= 0);
        send_message(client, server);
        send_message(server, client);
        close(client);
        char end;
        assert_int_equal(recv(server, &end, 1, 0), 0);
        close(server);
        share_read(s);
    }
    close(listener);
}

/* Send a frame as it is on @interface of @namespace. */
static void send_frame(int namespace, const char *interface, const uint8_t *frame, size_t size)
{
    enter(namespace);
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_ifindex = (int)if_nametoindex(interface),
    };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_int_equal(sendto(fd, frame, size, 0, (struct sockaddr *)&to, sizeof(to)), size);
    close(fd);
    enter(here);
}

/* A packet of connection @number, from its client or to it. */
static struct frame_spec spec_of(unsigned number, bool from_client)
{
    uint16_t port = (uint16_t)(40000 + number);
    return (struct frame_spec){
        .source = from_client ? "10.9.0.1" : "10.9.0.2",
        .destination = from_client ? "10.9.0.2" : "10.9.0.1",
        .source_port = from_client ? port : PORT,
        .destination_port = from_client ? PORT : port,
        .payload = BYTES("0123456789"),
    };
}

/* Each connection sends a packet out of va and gets one in. */
static void send_tagged(struct share *s, const uint16_t tags[2])
{
    uint8_t frame[FRAME_HEADERS_MAX];
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct frame_spec out = spec_of(i, true), in = spec_of(i, false);
        size_t link_bytes = frame_build_link(ETH_P_IP, tags, frame);
        uint8_t *ip = frame + link_bytes;
        size_t room = sizeof(frame) - link_bytes;
        send_frame(here, "va", frame, link_bytes + frame_build(&out, ip, room));
        send_frame(there, "vb", frame, link_bytes + frame_build(&in, ip, room));
        share_read(s);
    }
}

/* A datagram in two fragments, from here. */
static void send_fragments(unsigned id)
{
    static const uint16_t no_tags[2];
    uint8_t frame[FRAME_HEADERS_MAX], segment[FRAME_HEADERS_MAX];
    struct frame_spec spec = spec_of(id, true);
    size_t size = frame_build_segment(&spec, segment, sizeof(segment));
    for (uint16_t offset = 0; offset < size; offset = (uint16_t)(offset + 16)) {
        size_t part = MIN(size - offset, (size_t)16);
        struct fragment_spec f = {.id = id, .offset = offset, .more = offset + part < size};
        size_t link_bytes = frame_build_link(ETH_P_IP, no_tags, frame);
        size_t ip_bytes = frame_build_fragment(&spec, &f, bytes_make(segment + offset, part),
                                               frame + link_bytes, sizeof(frame) - link_bytes);
        send_frame(here, "va", frame, link_bytes + ip_bytes);
    }
}

/* --- interfaces -------------------------------------------------------------- */

/* Without ARP, which would be counted. */
static void address_add(const char *name, unsigned number)
{
    unsigned other = 3 - number;
    shell("ip link set %s addrgenmode none up", name);
    shell("ip addr replace 10.9.0.%u/24 dev %s", number, name);
    shell("ip neigh replace 10.9.0.%u lladdr 02:00:00:00:00:0%u nud permanent dev %s", other, other,
          name);
}

/* From here on the interfaces count more than TCP. */
static void ipv6_add(void)
{
    shell("ip addr replace fd09::1/64 nodad dev va");
    enter(there);
    shell("ip addr replace fd09::2/64 nodad dev vb");
    enter(here);
}

static void veth_add(const char *offloads)
{
    shell("ip link add va address 02:00:00:00:00:01 type veth "
          "peer name vb address 02:00:00:00:00:02 netns /proc/%d/fd/%d",
          getpid(), there);
    address_add("va", 1);
    shell("ethtool -K va %s", offloads);
    enter(there);
    address_add("vb", 2);
    shell("ethtool -K vb %s", offloads);
    enter(here);
}

static int veth_remove(void **state)
{
    (void)state;
    enter(here);
    return system("ip link del va 2>/dev/null; true");
}

/* --- captures ---------------------------------------------------------------- */

static void note_flow(struct member *m, const struct packet *p)
{
    struct share *s = m->share;
    unsigned i = 0;
    while (i < s->flow_count && memcmp(&s->flows[i].flow, &p->flow, sizeof(p->flow)) != 0)
        i++;
    assert_true(i < FLOWS_MAX);
    s->flow_count = MAX(s->flow_count, i + 1);
    s->flows[i].flow = p->flow;
    s->flows[i].members |= m->bit;
    s->flows[i].sides |= 1u << p->side;
}

static void take_frame(void *context, const struct frame *f)
{
    struct member *m = context;
    struct packet p;
    struct fragment fragment;
    switch (packet_decode(f, &p, &fragment)) {
    case PACKET_TCP:
        note_flow(m, &p);
        seen_packet(&m->seen, &p, &m->share->ports);
        m->share->super_packets += p.packets > 1;
        break;
    case PACKET_FRAGMENT:
        seen_fragment(&m->seen, &fragment);
        assert_true(fragment.id < CONNECTIONS);
        m->share->fragments[fragment.id] |= m->bit;
        break;
    default:
        fail_msg("the filter let pass what is not TCP");
    }
}

static void take_record(void *context, const struct filter_record *r)
{
    (void)context;
    (void)r;
    fail_msg("nothing is to be kept");
}

static struct capture_taker taker_of(struct member *m)
{
    return (struct capture_taker){take_frame, take_record, m};
}

static struct capture *open_capture(const struct share *s, const char *interface,
                                    struct capture_group *group)
{
    struct capture *c = NULL;
    struct netif netif;
    assert_int_equal(netif_find(&netif, interface), 0);
    struct capture_options options = {
        .interface = &netif,
        .ports = &s->ports,
        .ring_bytes = RING_BYTES,
        .leads = group && !group->members,
    };
    int r = capture_open(&c, &options);
    if (r == -EPERM)
        test_skip("capturing needs CAP_NET_RAW and CAP_BPF");
    assert_int_equal(r, 0);
    if (group)
        assert_int_equal(capture_join(c, group), 0);
    return c;
}

/* Have @interface shared by @members, one of which shares with nobody. */
static void share_open(struct share *s, const char *interface, unsigned members)
{
    for (unsigned i = 0; i < members; i++) {
        s->members[i] = (struct member){.share = s, .bit = 1u << i};
        s->members[i].capture = open_capture(s, interface, members > 1 ? &s->group : NULL);
    }
}

static void share_start(struct share *s)
{
    for (unsigned i = 0; i < MEMBERS && s->members[i].capture; i++)
        assert_int_equal(capture_start(s->members[i].capture), 0);
}

static void share_read(struct share *s)
{
    for (; s; s = s->beside) {
        for (unsigned i = 0; i < MEMBERS && s->members[i].capture; i++) {
            const struct capture_taker taker = taker_of(&s->members[i]);
            assert_true(capture_read(s->members[i].capture, INT_MAX, &taker) >= 0);
        }
    }
}

static void member_end(struct member *m)
{
    const struct capture_taker taker = taker_of(m);
    struct engine_lost lost;
    uint64_t untracked_bytes;
    assert_int_equal(capture_drain(m->capture, &taker), 0);
    assert_int_equal(capture_settle(m->capture, &m->seen, &lost, &untracked_bytes), 0);
    assert_int_equal(lost.ring_drops, 0);
    assert_int_equal(untracked_bytes, 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(lost.direction[i].bytes + lost.direction[i].control, 0);
    m->capture = capture_close(m->capture);
}

static void share_end(struct share *s)
{
    for (unsigned i = 0; i < MEMBERS && s->members[i].capture; i++)
        assert_int_equal(capture_stop(s->members[i].capture), 0);
    for (unsigned i = 0; i < MEMBERS && s->members[i].capture; i++)
        member_end(&s->members[i]);
}

static uint64_t member_bytes(const struct member *m)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < FILTER_CLASSES; i++)
        bytes += m->seen.of[i].bytes + m->seen.of[i].control;
    return bytes;
}

static uint64_t share_bytes(const struct share *s)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        bytes += member_bytes(&s->members[i]);
    return bytes;
}

/* Both sides of each flow were seen by one member, and every member saw some. */
static void assert_shared_by_flow(const struct share *s, unsigned flows)
{
    unsigned busy = 0;
    assert_int_equal(s->flow_count, flows);
    for (unsigned i = 0; i < s->flow_count; i++) {
        assert_int_equal(s->flows[i].members & (s->flows[i].members - 1), 0);
        assert_int_equal(s->flows[i].sides, 3);
        busy |= s->flows[i].members;
    }
    assert_int_equal(busy, (1u << MEMBERS) - 1);
}

/* --- the tests --------------------------------------------------------------- */

static void connections_are_shared_and_every_byte_is_seen_once(void **state)
{
    (void)state;
    struct share s = {0};
    veth_add("tso off gso off gro off");
    share_open(&s, "va", MEMBERS);
    share_start(&s);
    converse(&s, there, "::ffff:10.9.0.2");
    share_end(&s);
    assert_shared_by_flow(&s, CONNECTIONS);
    assert_int_equal(share_bytes(&s), interface_bytes("va", ETH_HLEN, true));
}

static void super_packets_go_where_their_connection_goes(void **state)
{
    (void)state;
    struct share all = {0}, s = {.beside = &all};
    veth_add("tso on gso on gro on");
    share_open(&s, "va", MEMBERS);
    share_open(&all, "va", 1);
    share_start(&s);
    share_start(&all);
    converse(&s, there, "::ffff:10.9.0.2");
    ipv6_add();
    converse(&s, there, "fd09::2");
    share_end(&s);
    share_end(&all);
    assert_shared_by_flow(&s, 2 * CONNECTIONS);
    assert_true(s.super_packets > 0);
    assert_int_equal(share_bytes(&s), share_bytes(&all));
}

static void loopback_is_shared_and_seen_once(void **state)
{
    (void)state;
    struct share s = {0};
    uint64_t before = interface_bytes("lo", 0, false);
    share_open(&s, "lo", MEMBERS);
    share_start(&s);
    converse(&s, here, "::ffff:127.0.0.1");
    converse(&s, here, "::1");
    share_end(&s);
    assert_shared_by_flow(&s, 2 * CONNECTIONS);
    assert_int_equal(share_bytes(&s), interface_bytes("lo", 0, false) - before);
}

/* Of what comes in, the outer tag is beside the frame; of what goes out it is in it. */
static void tags_do_not_part_the_directions(void **state)
{
    (void)state;
    static const uint16_t tags[][2] = {{0, 0}, {5, 0}, {5, 7}};
    veth_add("tso off gso off gro off");
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
        struct share s = {0};
        share_open(&s, "va", MEMBERS);
        share_start(&s);
        send_tagged(&s, tags[i]);
        share_end(&s);
        assert_shared_by_flow(&s, CONNECTIONS);
    }
}

static void fragments_of_a_datagram_go_to_one_member_and_count(void **state)
{
    (void)state;
    struct share s = {0};
    veth_add("tso off gso off gro off");
    share_open(&s, "va", MEMBERS);
    share_start(&s);
    for (unsigned id = 0; id < CONNECTIONS; id++) {
        send_fragments(id);
        share_read(&s);
    }
    share_end(&s);
    for (unsigned id = 0; id < CONNECTIONS; id++) {
        assert_int_not_equal(s.fragments[id], 0);
        assert_int_equal(s.fragments[id] & (s.fragments[id] - 1), 0);
    }
    assert_int_equal(share_bytes(&s), interface_bytes("va", ETH_HLEN, true));
}

static void members_hear_nothing_before_they_start(void **state)
{
    (void)state;
    static const uint16_t no_tags[2];
    struct share s = {0};
    veth_add("tso off gso off gro off");
    share_open(&s, "va", MEMBERS);
    send_tagged(&s, no_tags);
    uint64_t before = interface_bytes("va", ETH_HLEN, true);
    share_start(&s);
    send_tagged(&s, no_tags);
    share_end(&s);
    assert_int_equal(share_bytes(&s), interface_bytes("va", ETH_HLEN, true) - before);
}

static void groups_do_not_share_with_each_other(void **state)
{
    (void)state;
    struct share other = {0}, s = {.beside = &other};
    veth_add("tso off gso off gro off");
    share_open(&s, "va", MEMBERS);
    share_open(&other, "va", MEMBERS);
    assert_int_not_equal(s.group.id, other.group.id);
    share_start(&s);
    share_start(&other);
    converse(&s, there, "::ffff:10.9.0.2");
    share_end(&s);
    share_end(&other);
    assert_shared_by_flow(&s, CONNECTIONS);
    assert_int_equal(share_bytes(&s), interface_bytes("va", ETH_HLEN, true));
    assert_int_equal(share_bytes(&other), share_bytes(&s));
}

/* Each member is told that it went down, and all go on when it comes up again. */
static void group_goes_on_when_the_interface_was_down(void **state)
{
    (void)state;
    struct share s = {0};
    veth_add("tso off gso off gro off");
    share_open(&s, "va", MEMBERS);
    share_start(&s);
    shell("ip link set va down");
    for (unsigned i = 0; i < MEMBERS; i++) {
        const struct capture_taker taker = taker_of(&s.members[i]);
        struct pollfd wait = {.fd = capture_fd(s.members[i].capture), .events = POLLIN};
        assert_int_equal(poll(&wait, 1, -1), 1);
        assert_int_equal(capture_read(s.members[i].capture, 1, &taker), -ENETDOWN);
    }
    address_add("va", 1);
    uint64_t before = interface_bytes("va", ETH_HLEN, true);
    converse(&s, there, "::ffff:10.9.0.2");
    share_end(&s);
    assert_shared_by_flow(&s, CONNECTIONS);
    assert_int_equal(share_bytes(&s), interface_bytes("va", ETH_HLEN, true) - before);
}

static int namespace_make(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        test_skip("a network namespace needs root");
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

int main(void)
{
    there = namespace_make();
    here = namespace_make();
    shell("ip link set lo up");
    shell("ethtool -K lo tso off gso off gro off");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(connections_are_shared_and_every_byte_is_seen_once, veth_remove),
        cmocka_unit_test_teardown(super_packets_go_where_their_connection_goes, veth_remove),
        cmocka_unit_test_teardown(loopback_is_shared_and_seen_once, veth_remove),
        cmocka_unit_test_teardown(tags_do_not_part_the_directions, veth_remove),
        cmocka_unit_test_teardown(fragments_of_a_datagram_go_to_one_member_and_count, veth_remove),
        cmocka_unit_test_teardown(members_hear_nothing_before_they_start, veth_remove),
        cmocka_unit_test_teardown(groups_do_not_share_with_each_other, veth_remove),
        cmocka_unit_test_teardown(group_goes_on_when_the_interface_was_down, veth_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
