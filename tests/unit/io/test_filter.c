/*
 * The filter, run by the kernel on frames of ours (BPF_PROG_TEST_RUN). What it
 * counts is compared with what the agent's own decoder says of the same frame.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/seen.h"
#include "core/vlan.h"
#include "filter.skel.h"
#include "io/filter.h"
#include "support/frames.h"
#include "support/kernel_run.h"
#include "support/skip.h"

enum { HEADER = 40, HEADER6 = 60, SOURCE = 40000, WATCHED = 8080, FRAME_MAX = 3000 };

/* A frame with its link header. The kernel takes 14 bytes off first. */
struct test_frame {
    uint8_t data[ETH_HLEN + FRAME_MAX];
    size_t size; /* less those 14 bytes */
    uint32_t gso_size;
    uint32_t gso_segs;
};

struct result {
    bool delivered;
    struct filter_counts counts;
};

static const uint8_t zeros[FRAME_MAX];

static struct bytes payload_of(size_t size)
{
    return bytes_make(zeros, size);
}

static struct port_set watched(void)
{
    struct port_set ports = {0};
    port_set_add(&ports, WATCHED);
    return ports;
}

static struct frame_spec spec_ipv4(size_t payload_bytes)
{
    return (struct frame_spec){
        .source = "10.0.0.1",
        .destination = "10.0.0.2",
        .source_port = SOURCE,
        .destination_port = WATCHED,
        .flags = TCP_ACK,
        .payload = payload_of(payload_bytes),
    };
}

static struct frame_spec spec_ipv6(size_t payload_bytes)
{
    struct frame_spec spec = spec_ipv4(payload_bytes);
    spec.source = "fd00::1";
    spec.destination = "fd00::2";
    return spec;
}

static void add(struct test_frame *t, const void *data, size_t size)
{
    assert_true(ETH_HLEN + t->size + size <= sizeof(t->data));
    if (size)
        memcpy(t->data + ETH_HLEN + t->size, data, size);
    t->size += size;
}

static void add_16(struct test_frame *t, uint16_t value)
{
    __be16 network = htons(value);
    add(t, &network, sizeof(network));
}

/* An Ethernet header with @tags, a list that ends with 0. */
static struct test_frame ethernet(uint16_t ethertype, const uint16_t *tags)
{
    struct test_frame t = {.size = 0};
    add(&t, zeros, 2 * ETH_ALEN);
    for (; *tags; tags++) {
        add_16(&t, tags[1] ? ETH_P_8021AD : ETH_P_8021Q);
        add_16(&t, *tags);
    }
    add_16(&t, ethertype);
    return t;
}

static void add_packet(struct test_frame *t, const struct frame_spec *spec)
{
    uint8_t *end = t->data + ETH_HLEN + t->size;
    t->size += frame_build(spec, end, (size_t)(t->data + sizeof(t->data) - end));
}

static struct test_frame tagged(const struct frame_spec *spec, const uint16_t *tags)
{
    bool ipv6 = strchr(spec->source, ':');
    struct test_frame t = ethernet(ipv6 ? ETH_P_IPV6 : ETH_P_IP, tags);
    add_packet(&t, spec);
    return t;
}

static struct test_frame untagged(const struct frame_spec *spec)
{
    return tagged(spec, (const uint16_t[]){0});
}

/* Where the IP header of an untagged frame is. */
static uint8_t *ip_of(struct test_frame *t)
{
    return t->data + 2 * ETH_HLEN;
}

static void set_16(uint8_t *at, uint16_t value)
{
    __be16 network = htons(value);
    memcpy(at, &network, sizeof(network));
}

/* A program with its counters. */
struct program {
    struct filter *filter;
    struct port_set ports;
};

static struct filter_options options_of(const struct port_set *ports)
{
    return (struct filter_options){
        .link_header_bytes = ETH_HLEN,
        .super_packets = true,
        .ports = ports,
    };
}

static struct program program_open(struct port_set ports)
{
    struct filter_options options = options_of(&ports);
    return (struct program){kernel_run_open(&options), ports};
}

static uint32_t run_program(int fd, const struct test_frame *t)
{
    struct __sk_buff context = {.gso_size = t->gso_size, .gso_segs = t->gso_segs};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = t->data,
                .data_size_in = (uint32_t)(ETH_HLEN + t->size), .ctx_in = &context,
                .ctx_size_in = sizeof(context));
    assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
    return opts.retval;
}

static struct filter_counts difference(const struct filter_counts *a, const struct filter_counts *b)
{
    uint64_t from[sizeof(*a) / 8], less[sizeof(*a) / 8];
    memcpy(from, a, sizeof(from));
    memcpy(less, b, sizeof(less));
    for (size_t i = 0; i < ARRAY_SIZE(from); i++)
        from[i] -= less[i];
    struct filter_counts result;
    memcpy(&result, from, sizeof(result));
    return result;
}

static struct result run(struct filter *f, const struct test_frame *t)
{
    struct filter_counts before, after;
    assert_int_equal(filter_counts(f, &before), 0);
    uint32_t verdict = run_program(filter_fd(f), t);
    assert_int_equal(filter_counts(f, &after), 0);
    assert_true(verdict == 0 || verdict >= FRAME_MAX);
    return (struct result){verdict != 0, difference(&after, &before)};
}

static struct filter_counts counts_of(enum filter_class class, uint64_t bytes, uint64_t packets)
{
    struct filter_counts counts = {0};
    counts.of[class] = (struct filter_count){.bytes = bytes, .packets = packets};
    return counts;
}

static void count_tcp(struct result *r, const struct packet *p, const struct port_set *ports)
{
    if (!port_set_watches(ports, ntohs(packet_source_port(p)), ntohs(packet_destination_port(p))))
        return;
    r->delivered = true;
    seen_packet(&r->counts, p, ports);
}

/* As a capture makes it of @t. Returns false for what is not IP. */
static bool frame_of_ip(const struct test_frame *t, struct frame *out)
{
    if (t->size < ETH_HLEN)
        return false;
    const uint8_t *network = t->data + 2 * ETH_HLEN;
    struct frame f = {
        .data = bytes_make(network, t->size - ETH_HLEN),
        .wire_bytes = (uint32_t)(t->size - ETH_HLEN),
        .gso_size = t->gso_size,
        .ethertype = (uint16_t)(network[-2] << 8 | network[-1]),
    };
    for (int i = 0; i < VLAN_TAGS_MAX && vlan_take_tag(&f); i++)
        ;
    unsigned version = f.data.size ? f.data.data[0] >> 4 : 0;
    if (f.ethertype != (version == 6 ? ETH_P_IPV6 : ETH_P_IP))
        return false;
    f.ethertype = 0; /* the version tells */
    *out = f;
    return true;
}

/* What the agent's decoder says. */
static struct result decode(const struct test_frame *t, const struct port_set *ports)
{
    struct result r = {0};
    struct frame f;
    if (!frame_of_ip(t, &f))
        return r;

    struct packet p;
    struct fragment fragment;
    switch (packet_decode(&f, &p, &fragment)) {
    case PACKET_TCP:
        count_tcp(&r, &p, ports);
        break;
    case PACKET_FRAGMENT:
        r.delivered = true;
        seen_fragment(&r.counts, &fragment);
        break;
    case PACKET_MALFORMED:
        r.counts = counts_of(FILTER_MALFORMED, p.header_bytes, 1);
        break;
    case PACKET_OTHER:
        break;
    }
    return r;
}

static void print_result(const char *who, const struct result *r)
{
    print_error("%s: delivered %d;", who, r->delivered);
    for (int i = 0; i < FILTER_CLASSES; i++)
        print_error(" %llu/%llu/%llu", r->counts.of[i].bytes, r->counts.of[i].control,
                    r->counts.of[i].packets);
    print_error("\n");
}

static void assert_same(const struct result *a, const struct result *b, const struct test_frame *t)
{
    if (a->delivered == b->delivered && memcmp(&a->counts, &b->counts, sizeof(a->counts)) == 0)
        return;
    print_result("filter  ", a);
    print_result("expected", b);
    for (size_t i = 0; i < t->size && i < 128; i++)
        print_error("%02x%s", t->data[ETH_HLEN + i], i % 16 == 15 ? "\n" : " ");
    fail_msg("frame of %zu bytes, gso_size %u", t->size, t->gso_size);
}

/* The filter, the decoder and @counts agree on @t. */
static void assert_counts(const struct test_frame *t, struct port_set ports, bool delivered,
                          struct filter_counts counts)
{
    struct program p = program_open(ports);
    struct result expected = {delivered, counts};
    struct result filtered = run(p.filter, t);
    struct result decoded = decode(t, &ports);
    filter_close(p.filter);
    assert_same(&filtered, &expected, t);
    assert_same(&decoded, &expected, t);
}

#define DATA_IN(n)      counts_of(FILTER_IN, (n), 1)
#define FRAGMENT_OF(n)  counts_of(FILTER_FRAGMENT, (n), 1)
#define MALFORMED_OF(n) counts_of(FILTER_MALFORMED, (n), 1)
#define CONTROL_IN(n)   ((struct filter_counts){.of[FILTER_IN] = {.control = (n)}})
#define NOTHING         ((struct filter_counts){0})

static void ipv4_packet_is_counted_and_delivered(void **state)
{
    (void)state;
    struct frame_spec spec = spec_ipv4(101);
    struct test_frame t = untagged(&spec);
    assert_counts(&t, watched(), true, DATA_IN(HEADER + 101));
}

static void packet_without_payload_is_control(void **state)
{
    (void)state;
    struct frame_spec spec = spec_ipv6(0);
    spec.tcp_options = payload_of(12);
    struct test_frame t = untagged(&spec);
    assert_counts(&t, watched(), true, CONTROL_IN(HEADER6 + 12));
}

static void options_count_as_headers(void **state)
{
    (void)state;
    struct frame_spec spec = spec_ipv4(10);
    spec.ip_options = payload_of(40);
    spec.tcp_options = payload_of(40);
    struct test_frame t = untagged(&spec);
    assert_counts(&t, watched(), true, DATA_IN(HEADER + 80 + 10));
}

static void ipv6_extension_headers_are_stepped_over(void **state)
{
    (void)state;
    static const uint8_t chain[] = {
        [0] = IPPROTO_ROUTING,             /* hop-by-hop options, 8 bytes */
        [8] = IPPROTO_DSTOPTS,             /* routing */
        [16] = IPPROTO_AH,       [17] = 1, /* destination options, 16 bytes */
        [32] = IPPROTO_FRAGMENT, [33] = 1, /* authentication, 12 bytes */
        [44] = IPPROTO_TCP,      [51] = 7, /* fragment, atomic */
    };
    struct frame_spec spec = spec_ipv6(33);
    spec.ip_options = bytes_make(chain, sizeof(chain));
    spec.extension_type = IPPROTO_HOPOPTS;
    struct test_frame t = untagged(&spec);
    assert_counts(&t, watched(), true, DATA_IN(HEADER6 + sizeof(chain) + 33));
}

static void tags_do_not_count(void **state)
{
    (void)state;
    static const uint16_t tags[][5] = {{7}, {7, 8}, {1, 2, 3, 4}};
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
        struct frame_spec spec = spec_ipv6(5);
        struct test_frame t = tagged(&spec, tags[i]);
        assert_counts(&t, watched(), true, DATA_IN(HEADER6 + 5));
    }
}

static void fragments_are_delivered_and_counted_apart(void **state)
{
    (void)state;
    static const struct fragment_spec fragments[] = {{1, 0, true}, {1, 800, true}, {1, 800, false}};
    struct frame_spec specs[] = {spec_ipv4(0), spec_ipv6(0)};
    for (size_t i = 0; i < ARRAY_SIZE(fragments) * 2; i++) {
        bool ipv6 = i & 1;
        struct test_frame t = ethernet(ipv6 ? ETH_P_IPV6 : ETH_P_IP, (const uint16_t[]){0});
        t.size += frame_build_fragment(&specs[ipv6], &fragments[i / 2], payload_of(80), ip_of(&t),
                                       FRAME_MAX - ETH_HLEN);
        assert_counts(&t, watched(), true, FRAGMENT_OF(80 + (ipv6 ? 48 : 20)));
    }
}

static void what_is_not_tcp_is_dropped(void **state)
{
    (void)state;
    struct frame_spec spec = spec_ipv4(100);
    struct test_frame udp = untagged(&spec), arp = udp, length = udp, version = udp;
    ip_of(&udp)[9] = IPPROTO_UDP;
    set_16(ip_of(&arp) - 2, ETH_P_ARP);
    set_16(ip_of(&length) - 2, 140);
    ip_of(&version)[0] = 0x65;
    const struct test_frame *all[] = {&udp, &arp, &length, &version};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        assert_counts(all[i], (struct port_set){0}, false, NOTHING);
}

static void ports_tell_the_direction(void **state)
{
    (void)state;
    struct port_set none = {0}, both = watched();
    port_set_add(&both, SOURCE);
    const struct {
        struct port_set ports;
        uint16_t source, destination;
        int class; /* -1: not watched */
    } cases[] = {
        {watched(), SOURCE, WATCHED, FILTER_IN},
        {watched(), WATCHED, SOURCE, FILTER_OUT},
        {watched(), 1, WATCHED, FILTER_IN},
        {watched(), WATCHED, 1, FILTER_OUT},
        {watched(), SOURCE, WATCHED + 1, -1},
        {watched(), WATCHED, WATCHED, FILTER_OUT},
        {both, SOURCE, WATCHED, FILTER_IN},
        {both, WATCHED, SOURCE, FILTER_OUT},
        {none, SOURCE, WATCHED, FILTER_IN},
        {none, 0, 65535, FILTER_OUT},
        {none, 65535, 0, FILTER_IN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct frame_spec spec = spec_ipv4(1);
        spec.source_port = cases[i].source;
        spec.destination_port = cases[i].destination;
        struct test_frame t = untagged(&spec);
        if (cases[i].class < 0)
            assert_counts(&t, cases[i].ports, false, NOTHING);
        else
            assert_counts(&t, cases[i].ports, true,
                          counts_of((enum filter_class)cases[i].class, HEADER + 1, 1));
    }
}

static void ports_change_while_it_runs(void **state)
{
    (void)state;
    struct port_set other = {0};
    port_set_add(&other, WATCHED + 1);
    struct program p = program_open(watched());
    struct frame_spec spec = spec_ipv4(1);
    struct test_frame t = untagged(&spec);
    const struct result nothing = {0}, in = {true, DATA_IN(HEADER + 1)};
    struct result r = run(p.filter, &t);
    assert_same(&r, &in, &t);
    assert_int_equal(filter_set_ports(p.filter, &other), 0);
    r = run(p.filter, &t);
    assert_same(&r, &nothing, &t);
    assert_int_equal(filter_set_ports(p.filter, &(struct port_set){0}), 0);
    r = run(p.filter, &t);
    assert_same(&r, &in, &t);
    filter_close(p.filter);
}

static void link_padding_does_not_count(void **state)
{
    (void)state;
    struct frame_spec specs[] = {spec_ipv4(0), spec_ipv6(0)};
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        struct test_frame t = untagged(&specs[i]);
        add(&t, zeros, 6);
        assert_counts(&t, watched(), true, CONTROL_IN(i ? HEADER6 : HEADER));
    }
}

static void length_that_can_not_be_true_is_that_of_the_frame(void **state)
{
    (void)state;
    static const uint16_t lengths[] = {0, 19, HEADER + 101, 65535};
    struct frame_spec spec = spec_ipv4(100);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        struct test_frame t = untagged(&spec);
        set_16(ip_of(&t) + 2, lengths[i]);
        assert_counts(&t, watched(), true, DATA_IN(HEADER + 100));
    }
}

static void tcp_header_that_is_cut_is_malformed(void **state)
{
    (void)state;
    struct frame_spec spec = spec_ipv4(0);
    struct test_frame t = untagged(&spec);
    for (size_t cut = 1; cut <= 20; cut++) {
        t.size--;
        assert_counts(&t, watched(), false, MALFORMED_OF(HEADER - cut));
    }
    for (; t.size > 1; t.size--)
        assert_counts(&t, watched(), false, t.size >= ETH_HLEN + 20 ? MALFORMED_OF(20) : NOTHING);
}

static void tcp_header_that_lies_is_malformed(void **state)
{
    (void)state;
    struct frame_spec spec = spec_ipv4(10);
    struct test_frame data_offset = untagged(&spec), too_long = data_offset, header = data_offset;
    ip_of(&data_offset)[20 + 12] = 4 << 4;
    ip_of(&too_long)[20 + 12] = 8 << 4;
    ip_of(&header)[0] = 0x44;
    const struct test_frame *all[] = {&data_offset, &too_long, &header};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        assert_counts(all[i], watched(), false, MALFORMED_OF(HEADER + 10));
}

static void super_packet_counts_as_its_segments(void **state)
{
    (void)state;
    static const struct {
        uint32_t gso_size, packets;
    } cases[] = {{0, 1}, {2800, 1}, {1400, 2}, {1399, 3}, {1000, 3}, {1, 2800}};
    struct frame_spec spec = spec_ipv4(2800);
    struct test_frame t = untagged(&spec);
    set_16(ip_of(&t) + 2, 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        t.gso_size = cases[i].gso_size;
        uint32_t packets = cases[i].packets;
        assert_counts(&t, watched(), true, counts_of(FILTER_IN, 2800 + HEADER * packets, packets));
    }
}

static void jumbo_option_of_a_super_packet_does_not_count(void **state)
{
    (void)state;
    static const uint8_t jumbo[8] = {IPPROTO_TCP, 0, 0xc2, 4};
    struct frame_spec spec = spec_ipv6(2000);
    spec.ip_options = bytes_make(jumbo, sizeof(jumbo));
    spec.extension_type = IPPROTO_HOPOPTS;
    struct test_frame t = untagged(&spec);
    set_16(ip_of(&t) + 4, 0);
    assert_counts(&t, watched(), true, DATA_IN(HEADER6 + 8 + 2000));
    t.gso_size = 1000;
    assert_counts(&t, watched(), true, counts_of(FILTER_IN, 2000 + 2 * HEADER6, 2));
}

static void super_packet_counts_as_one_if_segments_are_not_wanted(void **state)
{
    (void)state;
    struct port_set ports = watched();
    struct filter_options options = options_of(&ports);
    options.super_packets = false;
    struct filter *f = kernel_run_open(&options);
    struct frame_spec spec = spec_ipv4(2800);
    struct test_frame t = untagged(&spec);
    t.gso_size = 1000;
    struct result r = run(f, &t);
    filter_close(f);
    assert_same(&r, &(struct result){true, DATA_IN(HEADER + 2800)}, &t);
}

static void frame_without_link_header_begins_with_ip(void **state)
{
    (void)state;
    struct port_set ports = watched();
    struct filter_options options = options_of(&ports);
    options.link_header_bytes = 0;
    struct filter *f = kernel_run_open(&options);
    struct frame_spec spec = spec_ipv6(9);
    struct test_frame t = {.size = 0};
    /* From what it takes off, the kernel tells the protocol. */
    set_16(t.data + 2 * ETH_ALEN, ETH_P_IPV6);
    add_packet(&t, &spec);
    struct result r = run(f, &t);
    filter_close(f);
    assert_same(&r, &(struct result){true, DATA_IN(HEADER6 + 9)}, &t);
}

static void old_kernels_count_by_gso_segs(void **state)
{
    (void)state;
    struct filter_bpf *bpf = filter_bpf__open();
    assert_non_null(bpf);
    bpf->rodata->link_header_bytes = ETH_HLEN;
    bpf->rodata->count_segments = true;
    bpf_program__set_autoload(bpf->progs.filter_keeps, false);
    bpf_program__set_autoload(bpf->progs.filter_gso_size, false);
    int r = filter_bpf__load(bpf);
    if (r == -EPERM)
        test_skip("loading a filter needs CAP_BPF");
    assert_int_equal(r, 0);
    const uint32_t word = WATCHED / 64;
    const uint64_t bits = 1ull << WATCHED % 64;
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(bpf->maps.ports), &word, &bits, 0), 0);

    struct frame_spec spec = spec_ipv4(2800);
    struct test_frame t = untagged(&spec);
    int cpus = libbpf_num_possible_cpus();
    struct filter_count *counts = calloc((size_t)cpus, sizeof(*counts));
    uint64_t bytes = 0, packets = 0;
    for (t.gso_segs = 0; t.gso_segs < 3; t.gso_segs++)
        assert_int_not_equal(run_program(bpf_program__fd(bpf->progs.filter_gso_segs), &t), 0);
    uint32_t class = FILTER_IN;
    assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(bpf->maps.counts), &class, counts), 0);
    for (int i = 0; i < cpus; i++) {
        bytes += counts[i].bytes;
        packets += counts[i].packets;
    }
    free(counts);
    filter_bpf__destroy(bpf);
    assert_int_equal(packets, 1 + 1 + 2);
    assert_int_equal(bytes, 3 * 2800 + 4 * HEADER);
}

/* A frame that was right, then some of its header bytes were not. */
static struct test_frame random_frame(void)
{
    static const uint8_t extension[8] = {IPPROTO_TCP};
    static const uint8_t types[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_AH,
                                    IPPROTO_FRAGMENT};
    struct frame_spec spec = rand() & 1 ? spec_ipv6(0) : spec_ipv4(0);
    spec.payload = payload_of(rand() % 4 ? (size_t)rand() % 200 : 0);
    spec.tcp_options = payload_of((size_t)rand() % 11 * 4);
    if (rand() & 1) {
        spec.ip_options = bytes_make(extension, sizeof(extension));
        spec.extension_type = types[(size_t)rand() % sizeof(types)];
    }
    uint16_t tags[3] = {rand() & 1, 0, 0};
    tags[1] = tags[0] && rand() & 1;
    struct test_frame t = tagged(&spec, tags);

    for (int i = rand() % 4; i > 0; i--) {
        size_t at = 2 * ETH_ALEN + (size_t)rand() % 90;
        static const uint8_t likely[] = {0, 1, 4, 6, 43, 44, 45, 51, 60, 0x81, 0x86, 0xdd};
        if (at < t.size)
            t.data[ETH_HLEN + at] =
                rand() & 1 ? likely[(size_t)rand() % sizeof(likely)] : (uint8_t)rand();
    }
    if (rand() % 4 == 0)
        t.size = 1 + (size_t)rand() % t.size;
    if (rand() % 4 == 0)
        add(&t, zeros, (size_t)rand() % 20);
    if (rand() % 4 == 0)
        t.gso_size = 1 + (uint32_t)rand() % 100;
    return t;
}

static void filter_and_decoder_agree_on_random_frames(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    const struct port_set all = {.count = 0};
    struct program programs[2];
    programs[0] = program_open(watched());
    programs[1] = program_open(all);
    unsigned delivered = 0;
    for (int i = 0; i < 100000; i++) {
        struct program *p = &programs[i & 1];
        struct test_frame t = random_frame();
        struct result filtered = run(p->filter, &t);
        struct result decoded = decode(&t, &p->ports);
        assert_same(&filtered, &decoded, &t);
        delivered += filtered.delivered;
    }
    print_message("%u of 100000 delivered\n", delivered);
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        filter_close(programs[i].filter);
}

/* What the filter tracks, and what the decoder says of the same frame. */
struct tracked {
    struct filter *filter;
    struct packet packet;
    unsigned count;
};

static void compare_flow(void *context, const struct flow *flow, const struct filter_flow *f)
{
    struct tracked *t = context;
    const struct packet *p = &t->packet;
    t->count++;
    assert_memory_equal(flow, &p->flow, sizeof(*flow));
    assert_int_equal(f->seq_known[p->side], 1);
    assert_int_equal(f->seq_known[!p->side], 0);
    uint32_t syn = !!(p->flags & TCP_SYN);
    assert_int_equal(f->next_seq[p->side], p->seq + syn + p->payload_bytes);
    assert_true(f->unsafe || !syn); /* TCP Fast Open */
    filter_forget(t->filter, flow);
}

/* Only payload begins to be tracked, and what it begins may end at once. */
static bool is_tracked(const struct test_frame *t, struct packet *p)
{
    struct frame f;
    struct fragment fragment;
    return frame_of_ip(t, &f) && packet_decode(&f, p, &fragment) == PACKET_TCP &&
           p->payload_bytes && !(p->flags & TCP_RST);
}

/* Swap the ends, or make them more alike. */
static void change_ends(struct test_frame *t)
{
    uint8_t *addresses = ip_of(t) + (ip_of(t)[0] >> 4 == 6 ? 8 : 12);
    size_t size = ip_of(t)[0] >> 4 == 6 ? 16 : 4;
    if (rand() & 1)
        addresses[size - 1] = addresses[2 * size - 1] = 7;
    if (rand() & 1)
        addresses[(size_t)rand() % size] = (uint8_t)rand();
    if (rand() & 1)
        addresses[size + (size_t)rand() % size] = (uint8_t)rand();
}

static void filter_and_decoder_agree_on_the_flow_of_random_frames(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    const struct port_set all = {.count = 0};
    struct filter_options options = options_of(&all);
    options.keeps = true;
    struct tracked tracked = {.filter = kernel_run_open(&options)};
    unsigned expected = 0;
    for (int i = 0; i < 50000; i++) {
        struct test_frame t = random_frame();
        change_ends(&t);
        struct result filtered = run(tracked.filter, &t);
        struct result decoded = decode(&t, &all);
        assert_same(&filtered, &decoded, &t);
        expected += is_tracked(&t, &tracked.packet);
        assert_int_equal(filter_flows(tracked.filter, compare_flow, &tracked), 0);
        assert_int_equal(tracked.count, expected);
    }
    print_message("%u of 50000 tracked\n", expected);
    filter_close(tracked.filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_packet_is_counted_and_delivered),
        cmocka_unit_test(packet_without_payload_is_control),
        cmocka_unit_test(options_count_as_headers),
        cmocka_unit_test(ipv6_extension_headers_are_stepped_over),
        cmocka_unit_test(tags_do_not_count),
        cmocka_unit_test(fragments_are_delivered_and_counted_apart),
        cmocka_unit_test(what_is_not_tcp_is_dropped),
        cmocka_unit_test(ports_tell_the_direction),
        cmocka_unit_test(ports_change_while_it_runs),
        cmocka_unit_test(link_padding_does_not_count),
        cmocka_unit_test(length_that_can_not_be_true_is_that_of_the_frame),
        cmocka_unit_test(tcp_header_that_is_cut_is_malformed),
        cmocka_unit_test(tcp_header_that_lies_is_malformed),
        cmocka_unit_test(super_packet_counts_as_its_segments),
        cmocka_unit_test(jumbo_option_of_a_super_packet_does_not_count),
        cmocka_unit_test(super_packet_counts_as_one_if_segments_are_not_wanted),
        cmocka_unit_test(frame_without_link_header_begins_with_ip),
        cmocka_unit_test(old_kernels_count_by_gso_segs),
        cmocka_unit_test(filter_and_decoder_agree_on_random_frames),
        cmocka_unit_test(filter_and_decoder_agree_on_the_flow_of_random_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
