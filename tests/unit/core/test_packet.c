#include "core/packet.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/macros.h"
#include "support/frames.h"
#include "support/guard.h"

enum { IPV4_HEADER = 20, IPV6_HEADER = 40, TCP_HEADER = 20, VLAN_TAG = 4 };

static const uint8_t tcp_options[] = {8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1};
static const uint8_t ipv4_options[] = {0x94, 4, 0, 0};
/* hop-by-hop, routing, destination options, authentication header; then TCP */
static const uint8_t ipv6_extensions[] = {
    43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 4, 0, 0, 0, 0, 0, 51, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0,  0,
    0,  0, 0, 0, 6, 4, 0, 0, 0,  0, 0, 1, 0, 0, 0, 1, 0,  1, 2, 3,  4, 5, 6, 7, 8, 9, 10, 11,
};

static const struct frame_spec ipv4_spec = {
    .source = "10.0.0.2",
    .destination = "10.0.0.1",
    .source_port = 41000,
    .destination_port = 80,
    .seq = 0xfffffff0,
    .ack = 7,
    .flags = TCP_ACK,
    .payload = {(const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18},
};

static struct frame_spec with_options(void)
{
    struct frame_spec spec = ipv4_spec;
    spec.tcp_options = bytes_make(tcp_options, sizeof(tcp_options));
    spec.ip_options = bytes_make(ipv4_options, sizeof(ipv4_options));
    return spec;
}

static struct frame_spec ipv6_spec(void)
{
    struct frame_spec spec = ipv4_spec;
    spec.source = "fd00::2";
    spec.destination = "fd00::1";
    return spec;
}

static struct frame_spec with_extensions(void)
{
    struct frame_spec spec = ipv6_spec();
    spec.ip_options = bytes_make(ipv6_extensions, sizeof(ipv6_extensions));
    spec.extension_type = 0;
    return spec;
}

static uint8_t buffer[FRAME_BYTES_MAX];

static struct frame build(const struct frame_spec *spec)
{
    return frame_of(bytes_make(buffer, frame_build(spec, buffer, sizeof(buffer))), 5);
}

static enum packet_kind decode(const struct frame *f, struct packet *p)
{
    struct fragment fragment;
    return packet_decode(f, p, &fragment);
}

static struct packet decode_tcp(const struct frame *f)
{
    struct packet p;
    assert_int_equal(decode(f, &p), PACKET_TCP);
    return p;
}

static void assert_payload(const struct packet *p, struct bytes expected)
{
    assert_true(bytes_equal(p->payload, expected));
    assert_int_equal(p->payload_bytes, expected.size);
}

static void ipv4_segment_is_taken_apart(void **state)
{
    (void)state;
    struct frame f = build(&ipv4_spec);
    struct packet p = decode_tcp(&f);
    static const uint8_t server[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 1};
    static const uint8_t client[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 2};
    assert_memory_equal(p.flow.address[0], server, sizeof(server));
    assert_memory_equal(p.flow.address[1], client, sizeof(client));
    assert_true(packet_address_is_ipv4(p.flow.address[0]));
    assert_int_equal(p.side, 1);
    assert_int_equal(packet_source_port(&p), htobe16(41000));
    assert_int_equal(packet_destination_port(&p), htobe16(80));
    assert_int_equal(p.seq, 0xfffffff0);
    assert_int_equal(p.ack, 7);
    assert_int_equal(p.flags, TCP_ACK);
    assert_int_equal(p.header_bytes, IPV4_HEADER + TCP_HEADER);
    assert_int_equal(p.packets, 1);
    assert_int_equal(p.time_ns, 5);
    assert_payload(&p, ipv4_spec.payload);
}

static void ipv6_segment_is_taken_apart(void **state)
{
    (void)state;
    struct frame_spec spec = ipv6_spec();
    struct frame f = build(&spec);
    struct packet p = decode_tcp(&f);
    assert_false(packet_address_is_ipv4(p.flow.address[0]));
    assert_int_equal(p.flow.address[0][15], 1);
    assert_int_equal(p.flow.address[1][15], 2);
    assert_int_equal(p.header_bytes, IPV6_HEADER + TCP_HEADER);
    assert_payload(&p, spec.payload);
}

static void both_directions_have_the_same_flow(void **state)
{
    (void)state;
    struct frame_spec there = ipv4_spec;
    struct frame_spec back = ipv4_spec;
    back.source = there.destination;
    back.destination = there.source;
    back.source_port = there.destination_port;
    back.destination_port = there.source_port;
    struct frame f = build(&there);
    struct packet p = decode_tcp(&f);
    f = build(&back);
    struct packet q = decode_tcp(&f);
    assert_memory_equal(&p.flow, &q.flow, sizeof(p.flow));
    assert_int_not_equal(p.side, q.side);
}

static void ports_order_the_ends_of_one_address(void **state)
{
    (void)state;
    struct frame_spec spec = ipv4_spec;
    spec.destination = spec.source;
    struct frame f = build(&spec);
    struct packet p = decode_tcp(&f);
    assert_int_equal(p.side, 1);
    assert_int_equal(packet_source_port(&p), htobe16(41000));

    spec.destination_port = spec.source_port;
    f = build(&spec);
    p = decode_tcp(&f);
    assert_int_equal(p.side, 0);
}

static void options_and_extensions_are_headers(void **state)
{
    (void)state;
    struct frame_spec spec = with_options();
    struct frame f = build(&spec);
    struct packet p = decode_tcp(&f);
    assert_int_equal(p.header_bytes, IPV4_HEADER + sizeof(ipv4_options) + TCP_HEADER + 12);
    assert_payload(&p, spec.payload);

    spec = with_extensions();
    f = build(&spec);
    p = decode_tcp(&f);
    assert_int_equal(p.header_bytes, IPV6_HEADER + sizeof(ipv6_extensions) + TCP_HEADER);
    assert_payload(&p, spec.payload);
}

static void endless_extensions_are_not_tcp(void **state)
{
    (void)state;
    static uint8_t chain[80]; /* each says that the next one is of type 0 again */
    chain[72] = IPPROTO_TCP;
    struct frame_spec spec = ipv6_spec();
    spec.ip_options = bytes_make(chain, sizeof(chain));
    struct frame f = build(&spec);
    struct packet p;
    assert_int_equal(decode(&f, &p), PACKET_OTHER);
}

static void link_padding_is_not_counted(void **state)
{
    (void)state;
    struct frame_spec spec = ipv4_spec;
    spec.payload = bytes_make(NULL, 0);
    struct frame_spec specs[] = {spec, ipv6_spec()};
    specs[1].payload = spec.payload;
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        struct frame f = build(&specs[i]);
        uint32_t ip_bytes = f.wire_bytes;
        f.data.size += 6;
        f.wire_bytes += 6;
        struct packet p = decode_tcp(&f);
        assert_int_equal(packet_ip_bytes(&p), ip_bytes);
        assert_int_equal(p.payload.size, 0);
    }
}

static void without_a_length_the_frame_has_it(void **state)
{
    (void)state;
    struct frame_spec specs[] = {ipv4_spec, ipv6_spec()};
    static const size_t length_field[] = {2, 4};
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        struct frame f = build(&specs[i]);
        memset(buffer + length_field[i], 0, 2);
        f.wire_bytes = 200000;
        struct packet p = decode_tcp(&f);
        assert_int_equal(packet_ip_bytes(&p), 200000);
        assert_true(bytes_equal(p.payload, ipv4_spec.payload));
    }
}

static void a_length_that_does_not_fit_gives_way_to_the_frame(void **state)
{
    (void)state;
    struct frame_spec specs[] = {ipv4_spec, ipv6_spec()};
    static const size_t length_field[] = {2, 4};
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        struct frame f = build(&specs[i]);
        memset(buffer + length_field[i], 0xff, 2);
        struct packet p = decode_tcp(&f);
        assert_int_equal(packet_ip_bytes(&p), f.wire_bytes);
        assert_payload(&p, ipv4_spec.payload);
    }
}

static void super_packet_counts_as_its_segments(void **state)
{
    (void)state;
    static uint8_t payload[3001];
    struct frame_spec spec = with_options();
    spec.payload = bytes_make(payload, sizeof(payload));
    struct frame f = build(&spec);
    uint32_t header_bytes = f.wire_bytes - sizeof(payload);

    f.gso_size = 1000;
    struct packet p = decode_tcp(&f);
    assert_int_equal(p.packets, 4);
    assert_int_equal(p.header_bytes, 4 * header_bytes);
    assert_int_equal(p.payload_bytes, sizeof(payload));

    f.gso_size = 3001;
    p = decode_tcp(&f);
    assert_int_equal(p.packets, 1);
    assert_int_equal(p.header_bytes, header_bytes);
}

static void jumbo_option_of_a_super_packet_is_not_on_the_wire(void **state)
{
    (void)state;
    static const uint8_t jumbo[] = {6, 0, 0xc2, 4, 0, 1, 0x86, 0xa0};
    struct frame_spec spec = ipv6_spec();
    spec.ip_options = bytes_make(jumbo, sizeof(jumbo));
    struct frame f = build(&spec);
    memset(buffer + 4, 0, 2);
    f.wire_bytes = IPV6_HEADER + sizeof(jumbo) + TCP_HEADER + 100000;

    struct packet p = decode_tcp(&f);
    assert_int_equal(p.header_bytes, IPV6_HEADER + sizeof(jumbo) + TCP_HEADER);
    assert_int_equal(p.payload_bytes, 100000);

    f.gso_size = 1000;
    p = decode_tcp(&f);
    assert_int_equal(p.packets, 100);
    assert_int_equal(p.header_bytes, 100 * (IPV6_HEADER + TCP_HEADER));
    assert_int_equal(p.payload_bytes, 100000);
    assert_true(bytes_equal(p.payload, spec.payload));
}

static void what_is_not_tcp_is_other(void **state)
{
    (void)state;
    struct packet p;
    struct frame f = build(&ipv4_spec);
    f.ethertype = 0x0806;
    assert_int_equal(decode(&f, &p), PACKET_OTHER);
    f.ethertype = 0x86dd; /* and the version is 4 */
    assert_int_equal(decode(&f, &p), PACKET_OTHER);
    f.ethertype = 0x0800;
    assert_int_equal(decode(&f, &p), PACKET_TCP);
    buffer[9] = 17;
    assert_int_equal(decode(&f, &p), PACKET_OTHER);
    buffer[0] = 0x75;
    f.ethertype = 0;
    assert_int_equal(decode(&f, &p), PACKET_OTHER);
}

static void assert_malformed(const struct frame *f)
{
    struct packet p;
    memset(&p, 0xff, sizeof(p));
    assert_int_equal(decode(f, &p), PACKET_MALFORMED);
    assert_int_equal(packet_ip_bytes(&p), f->wire_bytes);
    assert_int_equal(p.packets, 1);
    assert_int_equal(p.payload.size, 0);
}

static void headers_that_do_not_fit_are_malformed(void **state)
{
    (void)state;
    struct frame f = build(&ipv4_spec);
    buffer[IPV4_HEADER + 12] = 4 << 4; /* TCP data offset */
    assert_malformed(&f);
    buffer[IPV4_HEADER + 12] = 15 << 4;
    assert_malformed(&f);
    f = build(&ipv4_spec);
    buffer[0] = 0x44;
    assert_malformed(&f);
    buffer[0] = 0x4f;
    assert_malformed(&f);

    /* An IPv4 header longer than its packet. */
    struct frame_spec spec = with_options();
    f = build(&spec);
    buffer[0] = 0x4f;
    f.data.size = f.wire_bytes = 40;
    assert_malformed(&f);
}

static void atomic_fragment_is_a_packet(void **state)
{
    (void)state;
    uint8_t segment[200];
    struct frame_spec spec = ipv6_spec();
    size_t size = frame_build_segment(&spec, segment, sizeof(segment));
    struct fragment_spec atomic = {.id = 9};
    size = frame_build_fragment(&spec, &atomic, bytes_make(segment, size), buffer, sizeof(buffer));
    struct frame f = frame_of(bytes_make(buffer, size), 0);
    struct packet p = decode_tcp(&f);
    assert_int_equal(p.header_bytes, IPV6_HEADER + 8 + TCP_HEADER);
    assert_payload(&p, spec.payload);
}

static void fragments_say_where_they_belong(void **state)
{
    (void)state;
    struct frame_spec specs[] = {with_options(), with_extensions()};
    static const uint32_t ids[] = {0xabcd, 0xabcd1234};
    static const uint32_t header_bytes[] = {
        IPV4_HEADER + sizeof(ipv4_options),
        IPV6_HEADER + 8,
    };
    specs[1].ip_options.size = 0;
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        struct fragment_spec place = {.id = ids[i], .offset = 1480, .more = true};
        struct bytes data = BYTES("01234567");
        size_t size = frame_build_fragment(&specs[i], &place, data, buffer, sizeof(buffer));
        struct frame f = frame_of(bytes_make(buffer, size), 3);
        f.vlan[0] = 12;
        f.wire_bytes += 4; /* link padding */
        struct packet p;
        struct fragment fragment;
        assert_int_equal(packet_decode(&f, &p, &fragment), PACKET_FRAGMENT);
        assert_int_equal(fragment.id, ids[i]);
        assert_int_equal(fragment.offset, 1480);
        assert_true(fragment.more);
        assert_true(bytes_equal(fragment.data, data));
        assert_int_equal(fragment.data_bytes, data.size);
        assert_int_equal(fragment.header_bytes, header_bytes[i]);
        assert_int_equal(fragment.vlan[0], 12);
        assert_int_equal(fragment.time_ns, 3);
        assert_int_equal(fragment.address[0][15], 2);
        assert_int_equal(fragment.address[1][15], 1);
    }
}

/* Put @count tags, the last written first, before the packet in the buffer. */
static struct frame tagged(const struct frame_spec *spec, const uint16_t *tags, size_t count)
{
    static uint8_t packet[2000];
    size_t size = frame_build(spec, packet, sizeof(packet));
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t last = (packet[0] >> 4) == 4 ? 0x0800 : 0x86dd;
        uint16_t next = i + 1 < count ? 0x8100 : last;
        uint8_t tag[VLAN_TAG] = {(uint8_t)(tags[i] >> 8), (uint8_t)tags[i], (uint8_t)(next >> 8),
                                 (uint8_t)next};
        memcpy(buffer + at, tag, sizeof(tag));
        at += sizeof(tag);
    }
    memcpy(buffer + at, packet, size);
    struct frame f = frame_of(bytes_make(buffer, at + size), 0);
    f.ethertype = 0x88a8;
    return f;
}

static void tags_in_the_data_are_taken_off(void **state)
{
    (void)state;
    static const uint16_t tags[] = {0x2000, 0xe005, 0x4567, 9}; /* the first has no VLAN */
    struct frame_spec specs[] = {ipv4_spec, with_extensions()};
    static const uint16_t ip_ethertypes[] = {0x0800, 0x86dd};
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
        for (size_t count = 1; count <= ARRAY_SIZE(tags); count++) {
            struct frame f = tagged(&specs[i], tags, count);
            struct packet p = decode_tcp(&f);
            assert_int_equal(packet_ip_bytes(&p), f.wire_bytes - count * VLAN_TAG);
            assert_int_equal(p.flow.vlan[0], count > 1 ? 5 : 0);
            assert_int_equal(p.flow.vlan[1], 0);

            f.vlan[0] = 77;
            f.ethertype = ip_ethertypes[i];
            p = decode_tcp(&f);
            assert_int_equal(packet_ip_bytes(&p), f.wire_bytes - count * VLAN_TAG);
            assert_int_equal(p.flow.vlan[0], 77);
            assert_int_equal(p.flow.vlan[1], 0);

            f.vlan[1] = 78;
            p = decode_tcp(&f);
            assert_int_equal(p.flow.vlan[1], 78);
        }
}

static void five_tags_are_too_many(void **state)
{
    (void)state;
    static const uint16_t tags[] = {1, 2, 3, 4, 5};
    struct frame f = tagged(&ipv4_spec, tags, ARRAY_SIZE(tags));
    struct packet p;
    assert_int_equal(decode(&f, &p), PACKET_OTHER);
}

static void data_may_begin_behind_the_tag(void **state)
{
    (void)state;
    struct frame_spec specs[] = {ipv4_spec, with_options(), ipv6_spec(), with_extensions()};
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        struct frame f = build(&specs[i]);
        f.ethertype = 0x8100;
        f.vlan[0] = 3;
        struct packet p = decode_tcp(&f);
        assert_int_equal(packet_ip_bytes(&p), f.wire_bytes);
        assert_int_equal(p.flow.vlan[0], 3);
        assert_int_equal(p.flow.vlan[1], 0);
    }
}

/* The outer tag is in the data, the inner one was lost with the link header. */
static void data_may_begin_between_two_tags(void **state)
{
    (void)state;
    static const uint16_t tags[] = {5};
    struct frame f = tagged(&ipv4_spec, tags, 1);
    buffer[2] = 0x81;
    buffer[3] = 0x00;
    struct packet p = decode_tcp(&f);
    assert_int_equal(p.flow.vlan[0], 5);
    assert_int_equal(packet_ip_bytes(&p), f.wire_bytes - VLAN_TAG);
}

/* An IP packet of 2048 bytes reads like a tag before IPv4: 0x0800. */
static void length_like_an_ethertype_makes_no_tag(void **state)
{
    (void)state;
    static uint8_t payload[2048 - IPV4_HEADER - TCP_HEADER];
    struct frame_spec spec = ipv4_spec;
    spec.payload = bytes_make(payload, sizeof(payload));
    struct frame f = build(&spec);
    for (unsigned id = 0; id < 65536; id++) {
        f.ethertype = id % 2 ? 0x8100 : 0x0800;
        buffer[4] = (uint8_t)(id >> 8);
        buffer[5] = (uint8_t)id;
        for (unsigned dont_fragment = 0; dont_fragment < 2; dont_fragment++) {
            buffer[6] = (uint8_t)(dont_fragment << 6);
            struct packet p = decode_tcp(&f);
            assert_int_equal(packet_ip_bytes(&p), 2048);
        }
    }
}

/* So does an IPv6 flow label, and the length of a super-packet like an IP version. */
static void flow_label_like_an_ethertype_makes_no_tag(void **state)
{
    (void)state;
    static uint8_t payload[0x4600];
    static const uint8_t labels[][2] = {{0x08, 0x00}, {0x86, 0xdd}, {0x81, 0x00}};
    struct frame_spec spec = ipv6_spec();
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        for (size_t size = 0x4500; size < sizeof(payload); size++) {
            spec.payload = bytes_make(payload, size);
            struct frame f = build(&spec);
            memcpy(buffer + 2, labels[i], sizeof(labels[i]));
            f.ethertype = 0x86dd;
            struct packet p = decode_tcp(&f);
            assert_int_equal(p.payload_bytes, size);
        }
}

static void assert_views_inside(const struct frame *f, struct bytes view)
{
    assert_true(view.size == 0 || (view.data >= f->data.data &&
                                   view.data + view.size <= f->data.data + f->data.size));
}

/* Cut @whole at every length: it has all its lengths as long as its headers are there. */
static void cut_everywhere(const struct frame *whole, uint32_t headers, struct guard *g)
{
    struct packet expected = decode_tcp(whole);
    for (size_t size = 0; size <= whole->data.size; size++) {
        struct frame f = *whole;
        f.data = guard_copy(g, bytes_make(whole->data.data, size));
        struct packet p;
        enum packet_kind kind = decode(&f, &p);
        if (size < headers) {
            assert_int_not_equal(kind, PACKET_TCP);
            if (kind == PACKET_MALFORMED)
                assert_int_equal(packet_ip_bytes(&p), packet_ip_bytes(&expected));
            continue;
        }
        assert_int_equal(kind, PACKET_TCP);
        assert_memory_equal(&p.flow, &expected.flow, sizeof(p.flow));
        assert_int_equal(p.seq, expected.seq);
        assert_int_equal(p.header_bytes, expected.header_bytes);
        assert_int_equal(p.payload_bytes, expected.payload_bytes);
        assert_views_inside(&f, p.payload);
        size_t missing = whole->data.size - size;
        size_t captured = expected.payload.size > missing ? expected.payload.size - missing : 0;
        assert_int_equal(p.payload.size, captured);
        assert_memory_equal(p.payload.data, expected.payload.data, captured);
    }
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    struct guard g;
    guard_init(&g, 4096);
    struct frame_spec specs[] = {ipv4_spec, with_options(), ipv6_spec(), with_extensions()};
    static const uint16_t tags[] = {5, 6};
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        uint32_t behind = (uint32_t)(specs[i].payload.size + specs[i].tcp_options.size);
        struct frame f = build(&specs[i]);
        cut_everywhere(&f, f.wire_bytes - behind, &g);
        f = tagged(&specs[i], tags, 2);
        cut_everywhere(&f, f.wire_bytes - behind, &g);
    }
    guard_deinit(&g);
}

static void fragment_cut_at_every_byte(void **state)
{
    (void)state;
    struct guard g;
    guard_init(&g, 4096);
    struct frame_spec specs[] = {with_options(), ipv6_spec()};
    static const uint32_t header_bytes[] = {IPV4_HEADER + sizeof(ipv4_options), IPV6_HEADER + 8};
    struct fragment_spec place = {.id = 1, .offset = 8, .more = false};
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        size_t whole =
            frame_build_fragment(&specs[i], &place, BYTES("0123456789"), buffer, sizeof(buffer));
        for (size_t size = 0; size <= whole; size++) {
            struct frame f = frame_of(guard_copy(&g, bytes_make(buffer, size)), 0);
            f.wire_bytes = (uint32_t)whole;
            struct packet p;
            struct fragment fragment;
            enum packet_kind kind = packet_decode(&f, &p, &fragment);
            assert_int_equal(kind == PACKET_FRAGMENT, size >= header_bytes[i] - (i == 0 ? 4 : 0));
            if (kind != PACKET_FRAGMENT)
                continue;
            assert_int_equal(fragment.header_bytes, header_bytes[i]);
            assert_int_equal(fragment.data_bytes, 10);
            assert_int_equal(fragment.data.size,
                             size > header_bytes[i] ? size - header_bytes[i] : 0);
            assert_views_inside(&f, fragment.data);
        }
    }
    guard_deinit(&g);
}

/* Change some bytes of @f, more often among its headers. */
static void damage(uint8_t *data, size_t size)
{
    size_t changes = (size_t)rand() % 5;
    for (size_t i = 0; i < changes; i++)
        data[(size_t)rand() % (rand() % 2 ? MIN(size, (size_t)60) : size)] = (uint8_t)rand();
}

static void damaged_frames_count_no_more_than_they_had(void **state)
{
    (void)state;
    static const uint16_t ethertypes[] = {0, 0x0800, 0x86dd, 0x8100, 0x88a8, 0x9100};
    static const uint16_t tags[] = {5, 6};
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    struct guard g;
    guard_init(&g, 4096);
    struct frame_spec specs[] = {ipv4_spec, with_options(), ipv6_spec(), with_extensions()};
    for (int i = 0; i < 300000; i++) {
        struct frame f = tagged(&specs[rand() % 4], tags, rand() % 2 ? 1 : 2);
        f.ethertype = ethertypes[(size_t)rand() % ARRAY_SIZE(ethertypes)];
        damage(buffer, f.data.size);
        f.data.size -= rand() % 2 ? (size_t)rand() % f.data.size : 0;
        f.data = guard_copy(&g, f.data);
        if (rand() % 4 == 0)
            f.wire_bytes = (uint32_t)rand() % 100;
        struct packet p;
        struct fragment fragment;
        switch (packet_decode(&f, &p, &fragment)) {
        case PACKET_TCP:
            assert_views_inside(&f, p.payload);
            assert_in_range(p.payload.size, 0, p.payload_bytes);
            assert_in_range(packet_ip_bytes(&p), IPV4_HEADER + TCP_HEADER, f.wire_bytes);
            break;
        case PACKET_FRAGMENT:
            assert_views_inside(&f, fragment.data);
            assert_in_range(fragment.data.size, 0, fragment.data_bytes);
            assert_in_range((uint64_t)fragment.header_bytes + fragment.data_bytes, IPV4_HEADER,
                            f.wire_bytes);
            break;
        case PACKET_MALFORMED:
            assert_in_range(packet_ip_bytes(&p), 0, f.wire_bytes);
            break;
        case PACKET_OTHER:
            break;
        }
    }
    guard_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_segment_is_taken_apart),
        cmocka_unit_test(ipv6_segment_is_taken_apart),
        cmocka_unit_test(both_directions_have_the_same_flow),
        cmocka_unit_test(ports_order_the_ends_of_one_address),
        cmocka_unit_test(options_and_extensions_are_headers),
        cmocka_unit_test(endless_extensions_are_not_tcp),
        cmocka_unit_test(link_padding_is_not_counted),
        cmocka_unit_test(without_a_length_the_frame_has_it),
        cmocka_unit_test(a_length_that_does_not_fit_gives_way_to_the_frame),
        cmocka_unit_test(super_packet_counts_as_its_segments),
        cmocka_unit_test(jumbo_option_of_a_super_packet_is_not_on_the_wire),
        cmocka_unit_test(what_is_not_tcp_is_other),
        cmocka_unit_test(headers_that_do_not_fit_are_malformed),
        cmocka_unit_test(atomic_fragment_is_a_packet),
        cmocka_unit_test(fragments_say_where_they_belong),
        cmocka_unit_test(tags_in_the_data_are_taken_off),
        cmocka_unit_test(five_tags_are_too_many),
        cmocka_unit_test(data_may_begin_behind_the_tag),
        cmocka_unit_test(data_may_begin_between_two_tags),
        cmocka_unit_test(length_like_an_ethertype_makes_no_tag),
        cmocka_unit_test(flow_label_like_an_ethertype_makes_no_tag),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(fragment_cut_at_every_byte),
        cmocka_unit_test(damaged_frames_count_no_more_than_they_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
