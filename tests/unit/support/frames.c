#include "support/frames.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The buffer under construction. */
struct writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

static struct writer writer_at(void *data, size_t capacity)
{
    return (struct writer){.data = data, .capacity = capacity};
}

static void write_bytes(struct writer *w, const void *data, size_t size)
{
    if (size > w->capacity - w->size) {
        fprintf(stderr, "frames: the buffer of %zu bytes is too small\n", w->capacity);
        abort();
    }
    if (size)
        memcpy(w->data + w->size, data, size);
    w->size += size;
}

static void write_view(struct writer *w, struct bytes b)
{
    write_bytes(w, b.data, b.size);
}

static void address_parse(int family, const char *text, void *address)
{
    if (inet_pton(family, text, address) != 1) {
        fprintf(stderr, "frames: '%s' is no address of the family of the other end\n", text);
        abort();
    }
}

static bool is_ipv6(const struct frame_spec *spec)
{
    return strchr(spec->source, ':');
}

static void write_ipv4(struct writer *w, const struct frame_spec *spec,
                       const struct fragment_spec *fragment, size_t data_bytes)
{
    struct iphdr ip = {
        .version = 4,
        .ihl = (unsigned)(5 + spec->ip_options.size / 4) & 15,
        .tot_len = htons((uint16_t)(sizeof(ip) + spec->ip_options.size + data_bytes)),
        .id = htons((uint16_t)fragment->id),
        .frag_off = htons((uint16_t)(fragment->offset / 8 | (fragment->more ? IP_MF : 0))),
        .ttl = 64,
        .protocol = IPPROTO_TCP,
    };
    address_parse(AF_INET, spec->source, &ip.saddr);
    address_parse(AF_INET, spec->destination, &ip.daddr);
    write_bytes(w, &ip, sizeof(ip));
    write_view(w, spec->ip_options);
}

static void write_ipv6(struct writer *w, const struct frame_spec *spec, uint8_t next_header,
                       size_t data_bytes)
{
    struct ip6_hdr ip = {
        .ip6_flow = htonl(6u << 28),
        .ip6_plen = htons((uint16_t)(spec->ip_options.size + data_bytes)),
        .ip6_nxt = spec->ip_options.size ? spec->extension_type : next_header,
        .ip6_hlim = 64,
    };
    address_parse(AF_INET6, spec->source, &ip.ip6_src);
    address_parse(AF_INET6, spec->destination, &ip.ip6_dst);
    write_bytes(w, &ip, sizeof(ip));
    write_view(w, spec->ip_options);
}

static void write_tcp(struct writer *w, const struct frame_spec *spec)
{
    struct tcphdr tcp = {
        .th_sport = htons(spec->source_port),
        .th_dport = htons(spec->destination_port),
        .th_seq = htonl(spec->seq),
        .th_ack = htonl(spec->ack),
        .th_off = (unsigned)(5 + spec->tcp_options.size / 4) & 15,
        .th_flags = spec->flags,
        .th_win = htons(65535),
    };
    write_bytes(w, &tcp, sizeof(tcp));
    write_view(w, spec->tcp_options);
    write_view(w, spec->payload);
}

size_t frame_build(const struct frame_spec *spec, uint8_t *out, size_t out_size)
{
    static const struct fragment_spec whole = {0};
    struct writer w = writer_at(out, out_size);
    size_t segment_bytes = sizeof(struct tcphdr) + spec->tcp_options.size + spec->payload.size;
    if (is_ipv6(spec))
        write_ipv6(&w, spec, IPPROTO_TCP, segment_bytes);
    else
        write_ipv4(&w, spec, &whole, segment_bytes);
    write_tcp(&w, spec);
    return w.size;
}

size_t frame_build_segment(const struct frame_spec *spec, uint8_t *out, size_t out_size)
{
    struct writer w = writer_at(out, out_size);
    write_tcp(&w, spec);
    return w.size;
}

size_t frame_build_fragment(const struct frame_spec *spec, const struct fragment_spec *fragment,
                            struct bytes data, uint8_t *out, size_t out_size)
{
    struct writer w = writer_at(out, out_size);
    if (is_ipv6(spec)) {
        struct ip6_frag extension = {
            .ip6f_nxt = IPPROTO_TCP,
            .ip6f_offlg = htons((uint16_t)(fragment->offset | fragment->more)),
            .ip6f_ident = htonl(fragment->id),
        };
        write_ipv6(&w, spec, IPPROTO_FRAGMENT, sizeof(extension) + data.size);
        write_bytes(&w, &extension, sizeof(extension));
    } else {
        write_ipv4(&w, spec, fragment, data.size);
    }
    write_view(&w, data);
    return w.size;
}

static void write_network_16(struct writer *w, uint16_t value)
{
    __be16 network = htons(value);
    write_bytes(w, &network, sizeof(network));
}

size_t frame_build_link(uint16_t ethertype, const uint16_t tags[2], uint8_t *out)
{
    static const uint8_t addresses[2 * ETH_ALEN] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    struct writer w = writer_at(out, FRAME_LINK_MAX);
    write_bytes(&w, addresses, sizeof(addresses));
    for (unsigned i = 0; i < 2 && tags[i]; i++) {
        write_network_16(&w, i || !tags[1] ? ETH_P_8021Q : ETH_P_8021AD);
        write_network_16(&w, tags[i]);
    }
    write_network_16(&w, ethertype);
    return w.size;
}

struct frame frame_of(struct bytes data, uint64_t time_ns)
{
    return (struct frame){.data = data, .wire_bytes = (uint32_t)data.size, .time_ns = time_ns};
}
