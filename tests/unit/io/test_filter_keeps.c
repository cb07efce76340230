/*
 * What the filter keeps and what it delivers, run by the kernel on frames of ours
 * (BPF_PROG_TEST_RUN). Its maps stay from one frame to the next, so a test is a
 * connection, packet by packet.
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
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "io/filter.h"
#include "support/frames.h"
#include "support/skip.h"

enum { HEADER = 40, HEADER6 = 60, CLIENT_PORT = 40000, SERVER_PORT = 8080 };
enum { PAYLOAD_MAX = 3000, RECORDS_MAX = 16 };

enum { DROPPED = -1 };

#define GET        "GET /x?s=yo HTTP/1.1\r\nHost: h\r\n\r\n"
#define REPLY_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

enum who { CLIENT, SERVER };

/* Two ends that talk through a filter. */
struct scene {
    struct filter *filter;
    const char *address[2];
    uint16_t client_port;
    uint16_t vlan; /* 0: no tag */
    uint32_t gso_size;
    uint32_t seq[2]; /* of the next byte that each sends */
    uint32_t ack[2]; /* what each has received */
    uint8_t flags;   /* of the next packet, besides ACK */
    struct filter_record records[RECORDS_MAX];
    unsigned record_count; /* made by the last packet */
};

/* --- frames ---------------------------------------------------------------------- */

static struct bytes filler(size_t size)
{
    static uint8_t body[PAYLOAD_MAX];
    memset(body, 'b', sizeof(body));
    return bytes_make(body, size);
}

/* @text with filler behind it, @size bytes in all. Valid until the next call. */
static struct bytes text_and_filler(const char *text, size_t size)
{
    static uint8_t all[PAYLOAD_MAX];
    size_t length = strlen(text);
    memset(all, 'b', sizeof(all));
    memcpy(all, text, length);
    return bytes_make(all, size);
}

/* @text with blanks before its last line, which is empty: @size bytes in all. */
static struct bytes head_of_size(const char *text, size_t size)
{
    static uint8_t all[PAYLOAD_MAX];
    size_t length = strlen(text) - 4;
    memset(all, ' ', sizeof(all));
    memcpy(all, text, length);
    memcpy(all + size - 4, "\r\n\r\n", 4);
    return bytes_make(all, size);
}

static size_t write_16(uint8_t *at, uint16_t value)
{
    __be16 network = htons(value);
    memcpy(at, &network, sizeof(network));
    return sizeof(network);
}

/* The kernel takes a link header off before the program sees the rest, so there are two. */
static size_t write_link(const struct scene *s, uint8_t *frame)
{
    bool ipv6 = strchr(s->address[CLIENT], ':');
    size_t at = ETH_HLEN + 2 * ETH_ALEN;
    memset(frame, 0, at);
    if (s->vlan) {
        at += write_16(frame + at, ETH_P_8021Q);
        at += write_16(frame + at, s->vlan);
    }
    return at + write_16(frame + at, ipv6 ? ETH_P_IPV6 : ETH_P_IP);
}

static uint32_t run_program(const struct scene *s, const uint8_t *frame, size_t size)
{
    struct __sk_buff context = {.gso_size = s->gso_size};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)size,
                .ctx_in = &context, .ctx_size_in = sizeof(context));
    assert_int_equal(bpf_prog_test_run_opts(filter_fd(s->filter), &opts), 0);
    return opts.retval;
}

static void take_record(void *context, const struct filter_record *r)
{
    struct scene *s = context;
    if (s->record_count < RECORDS_MAX)
        s->records[s->record_count] = *r;
    s->record_count++;
}

/* Send @spec. Returns how much of its payload was delivered, or DROPPED. */
static int send_spec(struct scene *s, const struct frame_spec *spec)
{
    uint8_t frame[2 * ETH_HLEN + FRAME_HEADERS_MAX + PAYLOAD_MAX];
    size_t link_bytes = write_link(s, frame);
    size_t size = link_bytes + frame_build(spec, frame + link_bytes, sizeof(frame) - link_bytes);
    uint32_t verdict = run_program(s, frame, size);
    s->record_count = 0;
    s->flags = 0;
    if (verdict == 0)
        return DROPPED;
    size_t headers = size - ETH_HLEN - spec->payload.size;
    assert_true(verdict >= headers);
    return (int)(MIN((size_t)verdict, size - ETH_HLEN) - headers);
}

static struct frame_spec spec_of(const struct scene *s, enum who who, struct bytes payload)
{
    return (struct frame_spec){
        .source = s->address[who],
        .destination = s->address[!who],
        .source_port = who == CLIENT ? s->client_port : SERVER_PORT,
        .destination_port = who == CLIENT ? SERVER_PORT : s->client_port,
        .seq = s->seq[who],
        .ack = s->ack[who],
        .flags = TCP_ACK | s->flags,
        .payload = payload,
    };
}

/* The next packet of @who, its records left in the filter. */
static int send_unread(struct scene *s, enum who who, struct bytes payload)
{
    struct frame_spec spec = spec_of(s, who, payload);
    s->seq[who] += (uint32_t)payload.size + !!(s->flags & (TCP_SYN | TCP_FIN));
    s->ack[!who] = s->seq[who];
    return send_spec(s, &spec);
}

static int send_bytes(struct scene *s, enum who who, struct bytes payload)
{
    int delivered = send_unread(s, who, payload);
    filter_records(s->filter, take_record, s);
    return delivered;
}

/* A packet that is @offset bytes from what is next; nothing moves on. */
static int send_at(struct scene *s, enum who who, int32_t offset, struct bytes payload)
{
    struct frame_spec spec = spec_of(s, who, payload);
    spec.seq += (uint32_t)offset;
    int delivered = send_spec(s, &spec);
    filter_records(s->filter, take_record, s);
    return delivered;
}

static int say(struct scene *s, enum who who, const char *text)
{
    return send_bytes(s, who, bytes_from_string(text));
}

static int send_flags(struct scene *s, enum who who, uint8_t flags)
{
    s->flags = flags;
    return say(s, who, "");
}

/* The other end has not received what was sent last, so far. */
static void in_flight(struct scene *s, enum who receiver, uint32_t size)
{
    s->ack[receiver] -= size;
}

#define ASSERT_DELIVERED(s, who, text) assert_int_equal(say(s, who, text), strlen(text))
#define ASSERT_BODY_DELIVERED(s, who, size)                                                        \
    assert_int_equal(send_bytes(s, who, filler(size)), (int)(size))
#define ASSERT_BODY_KEPT(s, who, size) assert_int_equal(send_bytes(s, who, filler(size)), DROPPED)
#define ASSERT_ACK_KEPT(s, who)        assert_int_equal(say(s, who, ""), DROPPED)

/* --- scenes ---------------------------------------------------------------------- */

static int set_up(void **state)
{
    static struct scene s;
    static struct port_set ports;
    s = (struct scene){
        .address = {"10.0.0.1", "10.0.0.2"},
        .client_port = CLIENT_PORT,
        .seq = {1000, 500000},
        .ack = {500000, 1000},
    };
    ports = (struct port_set){0};
    port_set_add(&ports, SERVER_PORT);
    int r = filter_open(&s.filter, &(struct filter_options){
                                       .link_header_bytes = ETH_HLEN,
                                       .super_packets = true,
                                       .keeps = true,
                                       .ports = &ports,
                                   });
    if (r == -EPERM)
        test_skip("loading a filter needs CAP_BPF");
    *state = &s;
    return r;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    s->filter = filter_close(s->filter);
    return 0;
}

/* The one flow that is tracked. */
struct finding {
    unsigned count;
    struct flow key;
    struct filter_flow flow;
};

static void find_flow(void *context, const struct flow *key, const struct filter_flow *f)
{
    struct finding *found = context;
    found->count++;
    found->key = *key;
    found->flow = *f;
}

static struct finding find(struct scene *s)
{
    struct finding found = {0};
    assert_int_equal(filter_flows(s->filter, find_flow, &found), 0);
    return found;
}

static unsigned flow_count(struct scene *s)
{
    return find(s).count;
}

static unsigned side_of(const struct scene *s, const struct flow *flow, enum who who)
{
    unsigned client = flow->port[0] == htons(s->client_port) ? 0 : 1;
    return who == CLIENT ? client : !client;
}

static void assert_kept(const struct filter_kept *is, uint64_t bytes, uint64_t packets,
                        uint64_t control)
{
    assert_int_equal(is->bytes, bytes);
    assert_int_equal(is->packets, packets);
    assert_int_equal(is->control, control);
}

/* The record @number of those that the last packet made is of @who. */
static const struct filter_record *record_of(const struct scene *s, unsigned number, enum who who)
{
    assert_in_range(number, 0, s->record_count - 1);
    const struct filter_record *r = &s->records[number];
    assert_int_equal(r->side, side_of(s, &r->flow, who));
    return r;
}

/* The last packet made one record, which tells of @who that all it sent so far ... */
static const struct filter_kept *recorded(const struct scene *s, enum who who)
{
    assert_int_equal(s->record_count, 1);
    const struct filter_record *r = record_of(s, 0, who);
    assert_int_equal(r->last, 0);
    return &r->kept;
}

static struct filter_counts counts_of(const struct scene *s)
{
    struct filter_counts counts;
    assert_int_equal(filter_counts(s->filter, &counts), 0);
    return counts;
}

static void handshake(struct scene *s)
{
    assert_int_equal(send_flags(s, CLIENT, TCP_SYN), 0);
    assert_int_equal(send_flags(s, SERVER, TCP_SYN), 0);
    assert_int_equal(say(s, CLIENT, ""), 0);
}

/* A request is under way, alone. */
static void ask(struct scene *s)
{
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, GET);
}

/* A reply has begun, its body follows. */
static void begin_body(struct scene *s)
{
    ask(s);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
}

/* The connection has shown something that makes no part of it safe to keep. */
static void become_unsafe(struct scene *s)
{
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "no request");
}

static void assert_unsafe(struct scene *s)
{
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
}

static void assert_keeps_reply(struct scene *s)
{
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

static void assert_keeps_next_exchange(struct scene *s)
{
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_keeps_reply(s);
}

/* --- one exchange ------------------------------------------------------------------ */

static void handshake_is_delivered_and_tracks_nothing(void **state)
{
    struct scene *s = *state;
    handshake(s);
    assert_int_equal(flow_count(s), 0);
    assert_int_equal(s->record_count, 0);
}

static void acknowledgements_are_kept(void **state)
{
    struct scene *s = *state;
    ask(s);
    ASSERT_ACK_KEPT(s, SERVER);
    ASSERT_ACK_KEPT(s, SERVER);
    ASSERT_ACK_KEPT(s, CLIENT);
    struct finding found = find(s);
    assert_int_equal(found.count, 1);
    assert_kept(&found.flow.kept[side_of(s, &found.key, SERVER)], 0, 0, 2 * HEADER);
    assert_kept(&found.flow.kept[side_of(s, &found.key, CLIENT)], 0, 0, HEADER);
    struct filter_counts counts = counts_of(s);
    assert_int_equal(counts.of[FILTER_KEPT_OUT].control, 2 * HEADER);
    assert_int_equal(counts.of[FILTER_KEPT_IN].control, HEADER);
    assert_int_equal(counts.of[FILTER_IN].bytes, HEADER + strlen(GET));
}

/* Request, head, body, and the next: what was kept is told before. */
static void exchange_twice(struct scene *s, size_t header_bytes)
{
    begin_body(s);
    ASSERT_ACK_KEPT(s, CLIENT);
    uint32_t body_seq = s->seq[SERVER];
    ASSERT_BODY_KEPT(s, SERVER, 1448);
    ASSERT_BODY_KEPT(s, SERVER, 552);
    ASSERT_ACK_KEPT(s, CLIENT);
    assert_int_equal(flow_count(s), 1);

    uint32_t request_seq = s->seq[CLIENT];
    ASSERT_DELIVERED(s, CLIENT, GET);
    const struct filter_kept *kept = recorded(s, CLIENT);
    assert_kept(kept, 0, 0, 2 * header_bytes);
    assert_int_equal(kept->payload, 0);
    assert_int_equal(kept->end_seq, request_seq);

    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    kept = recorded(s, SERVER);
    assert_kept(kept, 2 * header_bytes + 2000, 2, 0);
    assert_int_equal(kept->payload, 2000);
    assert_int_equal(kept->end_seq, body_seq + 2000);

    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_int_equal(s->record_count, 0);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    kept = recorded(s, SERVER);
    assert_kept(kept, 3 * header_bytes + 3000, 3, 0);
    assert_int_equal(kept->payload, 3000);
    assert_int_equal(s->records[0].number, 2);
    struct finding found = find(s);
    assert_int_equal(found.flow.record_count[side_of(s, &found.key, SERVER)], 2);
}

static void body_is_kept_and_told_before_the_next_reply(void **state)
{
    struct scene *s = *state;
    exchange_twice(s, HEADER);
    struct filter_counts counts = counts_of(s);
    assert_int_equal(counts.of[FILTER_KEPT_OUT].bytes, 3 * HEADER + 3000);
    assert_int_equal(counts.of[FILTER_KEPT_OUT].packets, 3);
    assert_int_equal(counts.of[FILTER_OUT].bytes, 3 * (HEADER + strlen(REPLY_HEAD)));
    assert_int_equal(counts.of[FILTER_OUT].packets, 3);
}

static void client_may_be_either_side(void **state)
{
    struct scene *s = *state;
    s->address[CLIENT] = "10.0.0.3";
    exchange_twice(s, HEADER);
}

static void ipv6_is_kept(void **state)
{
    struct scene *s = *state;
    s->address[CLIENT] = "fd00::2";
    s->address[SERVER] = "fd00::1";
    exchange_twice(s, HEADER6);
}

static void flows_of_a_vlan_are_its_own(void **state)
{
    struct scene *s = *state;
    s->vlan = 7;
    exchange_twice(s, HEADER);
    assert_int_equal(find(s).key.vlan[0], 7);
    s->vlan = 8;
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    assert_int_equal(flow_count(s), 2);
}

static void sequence_numbers_wrap_in_a_body(void **state)
{
    struct scene *s = *state;
    s->seq[SERVER] = s->ack[CLIENT] = UINT32_MAX - 1000;
    exchange_twice(s, HEADER);
}

static void super_packet_is_kept_as_its_segments(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    s->gso_size = 1000;
    ASSERT_BODY_KEPT(s, SERVER, 2500);
    s->gso_size = 0;
    struct finding found = find(s);
    assert_kept(&found.flow.kept[side_of(s, &found.key, SERVER)], 3 * HEADER + 2500, 3, 0);
}

static void head_that_a_large_body_follows_is_cut_off(void **state)
{
    struct scene *s = *state;
    size_t head = strlen(REPLY_HEAD);
    for (int i = 0; i < 10; i++) {
        s->client_port = (uint16_t)(CLIENT_PORT + i);
        ask(s);
        int delivered = send_bytes(s, SERVER, text_and_filler(REPLY_HEAD, 1400 + (size_t)i));
        assert_in_range(delivered, head, head + 6);
        ASSERT_BODY_KEPT(s, SERVER, 1000);
        assert_keeps_next_exchange(s);
    }
}

/* Wherever in a look at 8 bytes the empty line is. */
static void end_of_head_is_found_at_any_place(void **state)
{
    struct scene *s = *state;
    for (size_t size = strlen(REPLY_HEAD); size < strlen(REPLY_HEAD) + 16; size++) {
        char head[128] = {0};
        struct bytes b = head_of_size(REPLY_HEAD, size);
        memcpy(head, b.data, b.size);
        s->client_port++;
        ask(s);
        int delivered = send_bytes(s, SERVER, text_and_filler(head, 1400));
        assert_in_range(delivered, size, size + 6);
        ASSERT_BODY_KEPT(s, SERVER, 1000);
    }
}

static void head_of_line_feeds_alone_is_cut_off(void **state)
{
    struct scene *s = *state;
    static const char head[] = "HTTP/1.0 200 OK\nServer: old\n\n";
    ask(s);
    int delivered = send_bytes(s, SERVER, text_and_filler(head, 1400));
    assert_in_range(delivered, sizeof(head) - 1, sizeof(head) + 6);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

static void short_reply_is_delivered_whole(void **state)
{
    struct scene *s = *state;
    ask(s);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send_bytes(s, SERVER, text_and_filler(REPLY_HEAD, 768)), 768);
        ASSERT_ACK_KEPT(s, CLIENT);
        ASSERT_DELIVERED(s, CLIENT, GET);
    }
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

/* The end of its head was not looked for: what follows may be more of it. */
static void body_behind_a_short_beginning_is_delivered(void **state)
{
    struct scene *s = *state;
    ask(s);
    assert_int_equal(send_bytes(s, SERVER, text_and_filler(REPLY_HEAD, 768)), 768);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    assert_keeps_next_exchange(s);
}

static void reply_head_in_two_packets_is_delivered(void **state)
{
    struct scene *s = *state;
    ask(s);
    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1 200 OK\r\nContent-");
    ASSERT_DELIVERED(s, SERVER, "Length: 100000\r\n\r\n");
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    assert_keeps_next_exchange(s);
}

static void reply_head_that_is_too_long_to_look_at_is_delivered(void **state)
{
    struct scene *s = *state;
    char head[1101] = {0};
    struct bytes b = head_of_size(REPLY_HEAD, 1100);
    memcpy(head, b.data, b.size);
    ask(s);
    assert_int_equal(send_bytes(s, SERVER, text_and_filler(head, 1400)), 1400);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    assert_keeps_next_exchange(s);
}

static void long_reply_head_alone_in_its_packet_is_fine(void **state)
{
    struct scene *s = *state;
    ask(s);
    assert_int_equal(send_bytes(s, SERVER, head_of_size(REPLY_HEAD, 1400)), 1400);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

static void start_line_inside_a_body_is_delivered(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(send_bytes(s, SERVER, text_and_filler("HTTP/1.1 200 OK\r\n", 1000)), 1000);
    assert_int_equal(recorded(s, SERVER)->payload, 1000);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

static void connection_joined_in_a_body_is_delivered(void **state)
{
    struct scene *s = *state;
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
}

/* --- what is not safe -------------------------------------------------------------- */

static void two_requests_in_a_packet_are_not_safe(void **state)
{
    struct scene *s = *state;
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, GET GET);
    assert_unsafe(s);
}

static void two_requests_one_behind_the_other_are_not_safe(void **state)
{
    struct scene *s = *state;
    ask(s);
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_unsafe(s);
}

static void request_before_the_reply_was_received_is_not_safe(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    in_flight(s, CLIENT, 1);
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_unsafe(s);
}

static void request_inside_of_a_body_is_not_safe(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    assert_unsafe(s);
}

/* What begins an upload of @body_bytes, of which nothing is in this packet. */
static void begin_upload(struct scene *s, unsigned body_bytes)
{
    static char head[128];
    snprintf(head, sizeof(head), "POST /x HTTP/1.1\r\ncontent-LENGTH: %u\r\nHost: a\r\n\r\n",
             body_bytes);
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, head);
}

static void body_of_a_request_is_kept_to_its_last_byte(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 2500);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_ACK_KEPT(s, SERVER);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 500);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_int_equal(recorded(s, CLIENT)->payload, 2500);
}

static void body_may_begin_in_the_packet_of_its_head(void **state)
{
    struct scene *s = *state;
    static const char put[] = "PUT / HTTP/1.1\r\nA: content-length: 3\nContent-Length:1000 \r\n\n";
    static const char fine[] = "PUT / HTTP/1.1\r\nA: content-length: 3\nContent-Length:1000\r\n\n";
    handshake(s);
    assert_int_equal(send_bytes(s, CLIENT, text_and_filler(put, 500)), 500);
    ASSERT_BODY_DELIVERED(s, CLIENT, 500);
    s->client_port++;
    handshake(s);
    assert_int_equal(send_bytes(s, CLIENT, text_and_filler(fine, 500)), 500);
    ASSERT_BODY_KEPT(s, CLIENT, 500 + strlen(fine));
    assert_keeps_reply(s);
    assert_keeps_next_exchange(s);
}

static void request_with_its_body_in_one_packet_is_safe(void **state)
{
    struct scene *s = *state;
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "PATCH / HTTP/1.1\r\nContent-Length: 7\r\n\r\ns=yo&c=");
    assert_keeps_reply(s);
    ASSERT_DELIVERED(s, CLIENT, "POST / HTTP/1.1\r\n\r\n");
    assert_keeps_reply(s);
    assert_keeps_next_exchange(s);
}

static void sequence_numbers_wrap_in_the_body_of_a_request(void **state)
{
    struct scene *s = *state;
    s->seq[CLIENT] = s->ack[SERVER] = UINT32_MAX - 600;
    begin_upload(s, 2000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    assert_keeps_reply(s);
}

static void what_follows_a_body_is_delivered(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 7);
    ASSERT_DELIVERED(s, CLIENT, "s=yo&c=d");
    assert_unsafe(s);
    s->client_port++;
    begin_upload(s, 7);
    ASSERT_BODY_KEPT(s, CLIENT, 7);
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_unsafe(s);
    s->client_port++;
    handshake(s);
    assert_int_equal(
        send_bytes(s, CLIENT, text_and_filler("POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n", 100)),
        100);
    assert_unsafe(s);
}

/* On a connection of its own, a request with @line and @field lets nothing be kept. */
static void assert_request_unsafe(struct scene *s, const char *line, const char *field)
{
    char head[128];
    snprintf(head, sizeof(head), "%s\r\n%s\r\n\r\n", line, field);
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, head);
    assert_unsafe(s);
    s->client_port++;
}

/* Another reader might take it for longer, for shorter, or for none. */
static void body_of_doubtful_length_is_not_safe(void **state)
{
    struct scene *s = *state;
    static const char *const fields[] = {
        "Content-Length: 5\r\nContent-Length: 1000",
        "Content-Length: 1000\r\nTransfer-Encoding: chunked",
        "transfer-encoding: chunked",
        "Content-Length: 1000, 1000",
        "Content-Length: +1000",
        "Content-Length: 0x1000",
        "Content-Length:",
        "Content-Length: 1000\r\n 1000",
        "Content-Length: 10000000000",
        "Content-Length: 1000\rx",
        "Content-Length : 1000",
        "Content-Length: 1000\r\nContent-Length : 0",
        "Content\x0dLength: 1000",
        "Content-Length\x1a 1000",
        "Content-Length: 1000\r\nX:\rxTransfer-Encoding: chunked",
        "Content-Length: 1000\r\n\rX: y",
        "Content-Length: 100\r0",
        "Content-Length: \r1000",
        "Content-Lengths: 1000",
        " Content-Length: 1000",
        "\tContent-Length: 1000",
        " Transfer-Encoding: chunked",
        "A\r\nContent-Length: 1000",
        ": b\r\nContent-Length: 1000",
        "A(: b\r\nContent-Length: 1000",
        "A: \x01\r\nContent-Length: 1000",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        assert_request_unsafe(s, "POST / HTTP/1.1", fields[i]);
        assert_request_unsafe(s, "GET / HTTP/1.1", fields[i]);
    }
}

static void body_of_what_is_no_request_of_http_1_is_not_safe(void **state)
{
    struct scene *s = *state;
    static const char *const lines[] = {
        "PUB x 1",         "POST / HTTP/2.0",    "POST / HTTP/1.5", "post / HTTP/1.1",
        "POST /",          "POST /a b HTTP/1.1", "POST a HTTP/1.1", "POST  HTTP/1.1",
        "P(ST / HTTP/1.1", "POST /\x01 HTTP/1.1"};
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        assert_request_unsafe(s, lines[i], "Content-Length: 1000");
}

enum { SHIFTS = 12 }; /* two windows of the scan */

/* A body that looks like a request must not be taken for one, whatever the method. */
static void body_of_any_method_is_kept_as_a_body(void **state)
{
    struct scene *s = *state;
    static const char trap[] = "POST / HTTP/1.1\r\nContent-Length: 90000000\r\n\r\n";
    for (int shift = 1; shift <= SHIFTS; shift++) {
        char head[128];
        snprintf(head, sizeof(head), "GET /%0*d HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", shift, 0,
                 strlen(trap));
        handshake(s);
        ASSERT_DELIVERED(s, CLIENT, head);
        assert_keeps_reply(s);
        assert_int_equal(say(s, CLIENT, trap), DROPPED);
        ASSERT_DELIVERED(s, CLIENT, GET);
        s->client_port++;
    }
}

static void request_with_a_lone_carriage_return_is_not_safe(void **state)
{
    struct scene *s = *state;
    for (int shift = 1; shift <= SHIFTS; shift++) {
        char line[128];
        snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1\r\nA: b\r\n\rXGET /2 HTTP/1.1", shift, 0);
        assert_request_unsafe(s, line, "B: c");
        snprintf(line, sizeof(line), "GET /%0*d HTTP/1.1", shift, 0);
        assert_request_unsafe(s, line, "A: b\r");
        assert_request_unsafe(s, line, " A: b");
    }
}

/* Its fields begin like those that tell of a body. */
static void request_of_a_browser_is_as_safe_as_a_short_one(void **state)
{
    struct scene *s = *state;
    for (int shift = 1; shift <= SHIFTS; shift++) {
        char head[256];
        snprintf(head, sizeof(head),
                 "GET /%0*d HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n"
                 "Cache-Control: no-cache\r\nCookie: a=b\r\nC: d\r\nT: u\r\nTE: trailers\r\n\r\n",
                 shift, 0);
        handshake(s);
        ASSERT_DELIVERED(s, CLIENT, head);
        assert_keeps_reply(s);
        assert_keeps_next_exchange(s);
        s->client_port++;
    }
}

/* A SYN with @payload; the first of @who, or that once more. */
static void send_syn(struct scene *s, enum who who, uint32_t seq, struct bytes payload)
{
    struct frame_spec syn = spec_of(s, who, payload);
    syn.flags = who == CLIENT ? TCP_SYN : TCP_SYN | TCP_ACK;
    syn.seq = seq;
    assert_int_equal(send_spec(s, &syn), payload.size);
}

static void fast_open(struct scene *s, uint32_t seq)
{
    s->seq[CLIENT] = seq;
    send_syn(s, CLIENT, seq, bytes_from_string(GET));
    s->seq[CLIENT] += 1 + (uint32_t)strlen(GET);
    s->ack[SERVER] = s->seq[CLIENT];
}

static void request_on_a_syn_is_not_safe(void **state)
{
    struct scene *s = *state;
    for (unsigned repeated = 0; repeated < 4; repeated++) {
        fast_open(s, 1000);
        if (repeated & 1)
            send_syn(s, CLIENT, 1000, bytes_make(NULL, 0));
        assert_int_equal(send_flags(s, SERVER, TCP_SYN), 0);
        if (repeated & 2)
            send_syn(s, SERVER, s->seq[SERVER] - 1, bytes_make(NULL, 0));
        ASSERT_DELIVERED(s, CLIENT, GET);
        assert_unsafe(s);
        s->client_port++;
    }
}

static void request_behind_a_syn_that_came_again_is_not_safe(void **state)
{
    struct scene *s = *state;
    for (enum who who = CLIENT; who <= SERVER; who++) {
        uint32_t seq = s->seq[who];
        ask(s);
        send_syn(s, who, seq, bytes_make(NULL, 0));
        ASSERT_DELIVERED(s, CLIENT, GET);
        assert_unsafe(s);
        s->client_port++;

        seq = s->seq[who];
        become_unsafe(s);
        send_syn(s, who, seq, bytes_make(NULL, 0));
        ASSERT_DELIVERED(s, CLIENT, GET);
        assert_unsafe(s);
        s->client_port++;
    }
}

static void what_comes_again_with_a_request_behind_it_is_not_safe(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 900);
    assert_int_equal(send_at(s, CLIENT, -100, filler(300)), 300);
    s->seq[CLIENT] += 200;
    s->ack[SERVER] = s->seq[CLIENT];
    assert_unsafe(s);
}

static void request_head_that_is_too_long_to_look_at_has_no_known_body(void **state)
{
    struct scene *s = *state;
    static const char post[] = "POST / HTTP/1.1\r\nContent-Length: 1000\r\nCookie: \r\n\r\n";
    handshake(s);
    assert_int_equal(send_bytes(s, CLIENT, head_of_size(post, 1024)), 1024);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    s->client_port++;
    handshake(s);
    assert_int_equal(send_bytes(s, CLIENT, head_of_size(post, 1025)), 1025);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void body_of_a_request_goes_on_behind_100_continue(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 2000);
    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_BODY_KEPT(s, CLIENT, 2000);
    assert_keeps_reply(s);
    assert_keeps_next_exchange(s);
}

static void body_of_a_request_is_kept_behind_an_early_reply(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 2000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    assert_keeps_reply(s);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    assert_keeps_next_exchange(s);
}

static void gap_in_the_body_of_a_request_tells_its_place(void **state)
{
    struct scene *s = *state;
    begin_upload(s, 4000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    uint32_t end = s->seq[CLIENT];
    s->seq[CLIENT] += 500;
    assert_int_equal(send_bytes(s, CLIENT, filler(1000)), 0);
    assert_int_equal(recorded(s, CLIENT)->end_seq, end);
    assert_int_equal(send_at(s, CLIENT, -1500, filler(500)), 0);
    ASSERT_BODY_KEPT(s, CLIENT, 1500);
    assert_keeps_reply(s);
}

static void request_in_two_packets_is_not_safe(void **state)
{
    struct scene *s = *state;
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "GET / HT");
    ASSERT_DELIVERED(s, CLIENT, "TP/1.1\r\n\r\n");
    assert_unsafe(s);
}

static void request_of_line_feeds_alone_is_not_safe(void **state)
{
    struct scene *s = *state;
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "GET /x HTTP/1.1\nHost: h\n\n");
    assert_unsafe(s);
    s->client_port++;
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "GET /x HTTP/1.1\n\nGET /y HTTP/1.1\r\n\r\n");
    assert_unsafe(s);
}

static void request_that_does_not_begin_with_a_letter_is_not_safe(void **state)
{
    struct scene *s = *state;
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "\r\n" GET);
    assert_unsafe(s);
    s->client_port++;
    handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "get / HTTP/1.1\r\n\r\n");
    assert_unsafe(s);
}

static void longest_request_that_is_looked_at_is_safe(void **state)
{
    struct scene *s = *state;
    handshake(s);
    assert_int_equal(send_bytes(s, CLIENT, head_of_size(GET, 1024)), 1024);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    s->client_port++;
    handshake(s);
    assert_int_equal(send_bytes(s, CLIENT, head_of_size(GET, 1025)), 1025);
    assert_unsafe(s);
}

static void interim_reply_is_not_safe(void **state)
{
    struct scene *s = *state;
    ask(s);
    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_unsafe(s);
}

static void reply_that_is_none_is_not_safe(void **state)
{
    struct scene *s = *state;
    ask(s);
    ASSERT_DELIVERED(s, SERVER, "\r\nHTTP/1.1 200 OK\r\n\r\n");
    assert_unsafe(s);
    s->client_port++;
    ask(s);
    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1");
    assert_unsafe(s);
}

static void gap_in_what_the_client_sends_is_not_safe(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    s->seq[CLIENT] += 100;
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_unsafe(s);
}

static void gap_before_a_reply_is_not_safe(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    s->seq[SERVER] += 100;
    assert_unsafe(s);
}

/* --- not in order ------------------------------------------------------------------ */

static void gap_in_a_body_tells_its_place(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    uint32_t end = s->seq[SERVER];
    s->seq[SERVER] += 500;
    assert_int_equal(send_bytes(s, SERVER, filler(1000)), 0);
    assert_int_equal(recorded(s, SERVER)->end_seq, end);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(send_at(s, SERVER, -2500, filler(500)), 0);
    const struct filter_kept *kept = recorded(s, SERVER);
    assert_int_equal(kept->end_seq, s->seq[SERVER]);
    assert_int_equal(kept->payload, 2000);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_keeps_next_exchange(s);
}

static void what_comes_again_in_a_body_is_delivered_without_payload(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(send_at(s, SERVER, -1000, filler(1000)), 0);
    assert_int_equal(recorded(s, SERVER)->payload, 1000);
    assert_int_equal(send_at(s, SERVER, -500, filler(1000)), 0);
    assert_int_equal(s->record_count, 0);
    s->seq[SERVER] += 500;
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_keeps_next_exchange(s);
}

static void request_that_comes_again_changes_nothing(void **state)
{
    struct scene *s = *state;
    int size = (int)strlen(GET);
    begin_body(s);
    assert_int_equal(send_at(s, CLIENT, -size, bytes_from_string(GET)), size);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_keeps_next_exchange(s);
}

/* --- ends -------------------------------------------------------------------------- */

static void end_inside_a_body_is_delivered_without_payload(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    s->flags = TCP_FIN;
    assert_int_equal(send_bytes(s, SERVER, filler(500)), 0);
    assert_int_equal(recorded(s, SERVER)->payload, 1000);
    assert_int_equal(flow_count(s), 1);
}

/* The last packet made @count records, behind which no more follows. Returns the last of them. */
static const struct filter_record *assert_ended(struct scene *s, unsigned count)
{
    assert_int_equal(s->record_count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(s->records[i].last, i == count - 1);
    assert_int_equal(flow_count(s), 0);
    return &s->records[count - 1];
}

static void flow_ends_when_both_sides_have(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(send_flags(s, SERVER, TCP_FIN), 0);
    assert_int_equal(recorded(s, SERVER)->payload, 1000);
    ASSERT_ACK_KEPT(s, CLIENT);
    assert_int_equal(send_flags(s, CLIENT, TCP_FIN), 0);
    assert_kept(&assert_ended(s, 1)->kept, 0, 0, HEADER);
    record_of(s, 0, CLIENT);
    assert_int_equal(say(s, SERVER, ""), 0);
    assert_int_equal(flow_count(s), 0);
}

static void flow_ends_with_a_reset(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(send_flags(s, CLIENT, TCP_RST), 0);
    assert_kept(&assert_ended(s, 1)->kept, HEADER + 1000, 1, 0);
    record_of(s, 0, SERVER);
}

static void end_of_a_flow_tells_of_both_sides(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_ACK_KEPT(s, CLIENT);
    assert_int_equal(send_flags(s, CLIENT, TCP_RST), 0);
    assert_ended(s, 2);
    for (unsigned i = 0; i < 2; i++) {
        bool server = s->records[i].side == side_of(s, &s->records[i].flow, SERVER);
        assert_kept(&s->records[i].kept, server ? HEADER + 1000 : 0, server, server ? 0 : HEADER);
    }
}

static void end_of_a_flow_that_was_told_of_is_told_all_the_same(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(send_flags(s, SERVER, TCP_FIN), 0);
    assert_int_equal(recorded(s, SERVER)->payload, 1000);
    assert_int_equal(send_flags(s, SERVER, TCP_RST), 0);
    assert_ended(s, 1);
}

static void flow_of_which_nothing_was_kept_ends_without_a_record(void **state)
{
    struct scene *s = *state;
    ask(s);
    assert_int_equal(send_flags(s, SERVER, TCP_RST), 0);
    assert_int_equal(s->record_count, 0);
    assert_int_equal(flow_count(s), 0);
}

static struct filter_order order_of(const struct scene *s, const struct flow *flow, enum who who,
                                    enum filter_order_kind kind, uint32_t seq)
{
    struct filter_order o = {0};
    o.side[side_of(s, flow, who)].kind = kind;
    o.side[side_of(s, flow, who)].seq = seq;
    return o;
}

/* Order that of the one flow there is. */
static void order(struct scene *s, enum who who, enum filter_order_kind kind, uint32_t seq)
{
    struct finding found = find(s);
    assert_int_equal(found.count, 1);
    struct filter_order o = order_of(s, &found.key, who, kind, seq);
    filter_order(s->filter, &found.key, &o);
}

static void connection_between_the_same_ends_begins_anew(void **state)
{
    struct scene *s = *state;
    begin_body(s);
    order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    s->seq[CLIENT] += 1000000;
    assert_int_equal(send_flags(s, CLIENT, TCP_SYN), 0);
    assert_int_equal(s->record_count, 1);
    assert_int_equal(s->records[0].last, 0);
    assert_int_equal(find(s).flow.unsafe, 1);
    assert_int_equal(send_flags(s, SERVER, TCP_SYN), 0);
    ASSERT_DELIVERED(s, CLIENT, "no request");
    ASSERT_DELIVERED(s, CLIENT, "nor an order");
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
}

/* --- orders ------------------------------------------------------------------------ */

static void ordered_length_is_kept_up_to_its_end(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    order(s, CLIENT, FILTER_ORDER_LENGTH, s->seq[CLIENT] + 2000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1);
    assert_int_equal(recorded(s, CLIENT)->payload, 2000);
}

static void packet_across_the_end_of_an_ordered_length_is_delivered_whole(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    order(s, CLIENT, FILTER_ORDER_LENGTH, s->seq[CLIENT] + 1999);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void sequence_numbers_wrap_in_an_ordered_length(void **state)
{
    struct scene *s = *state;
    s->seq[CLIENT] = s->ack[SERVER] = UINT32_MAX - 1500;
    become_unsafe(s);
    order(s, CLIENT, FILTER_ORDER_LENGTH, s->seq[CLIENT] + 3000);
    for (int i = 0; i < 3; i++)
        ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void ordered_turn_ends_when_the_other_side_sends(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    order(s, SERVER, FILTER_ORDER_TURN, s->seq[CLIENT]);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_ACK_KEPT(s, CLIENT);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
}

static void ordered_turn_holds_before_the_other_side_has_sent_anything(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    order(s, CLIENT, FILTER_ORDER_TURN, s->seq[SERVER]);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_ACK_KEPT(s, SERVER);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void turn_that_was_ordered_too_late_has_no_effect(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    uint32_t then = s->seq[SERVER];
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    order(s, CLIENT, FILTER_ORDER_TURN, then);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void ordered_tunnel_is_kept_but_for_its_end(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    assert_int_equal(say(s, CLIENT, GET), DROPPED);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    assert_int_equal(say(s, CLIENT, GET), DROPPED);
    s->flags = TCP_FIN;
    assert_int_equal(send_bytes(s, CLIENT, filler(500)), 0);
    assert_int_equal(recorded(s, CLIENT)->payload, 2 * strlen(GET));
}

static void what_is_not_in_order_is_delivered_in_spite_of_an_order(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    assert_int_equal(send_at(s, CLIENT, -1000, filler(1000)), 1000);
    assert_int_equal(recorded(s, CLIENT)->payload, 1000);
    s->seq[CLIENT] += 10;
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
}

static void flow_that_is_forgotten_has_no_order(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    struct finding found = find(s);
    filter_forget(s->filter, &found.key);
    assert_int_equal(flow_count(s), 0);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

/* --- bounds ------------------------------------------------------------------------ */

/* A record's range must not wrap, however long nothing is delivered. */
static void record_is_made_of_each_gibibyte(void **state)
{
    struct scene *s = *state;
    become_unsafe(s);
    order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    uint64_t kept = 0;
    unsigned records = 0;
    while (records == 0 && kept < 2ull << 30) {
        ASSERT_BODY_KEPT(s, CLIENT, PAYLOAD_MAX);
        kept += PAYLOAD_MAX;
        records += s->record_count;
    }
    assert_int_equal(records, 1);
    assert_int_equal(recorded(s, CLIENT)->payload, kept);
    assert_in_range(kept, 1 << 30, (1 << 30) + PAYLOAD_MAX);
    ASSERT_BODY_KEPT(s, CLIENT, PAYLOAD_MAX);
    assert_int_equal(s->record_count, 0);
}

static void flows_that_there_is_no_room_for_are_delivered(void **state)
{
    struct scene *s = *state;
    for (unsigned i = 0; i < FILTER_FLOWS_MAX; i++) {
        s->client_port = (uint16_t)i;
        s->address[CLIENT] = i & 1 ? "10.0.0.3" : "10.0.0.1";
        assert_int_equal(say(s, CLIENT, GET), strlen(GET));
    }
    s->address[CLIENT] = "10.0.0.4";
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_int_equal(say(s, SERVER, ""), 0);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    assert_int_equal(s->record_count, 0);

    s->address[CLIENT] = "10.0.0.3";
    ASSERT_ACK_KEPT(s, SERVER);
}

/* Nobody reads the records: those for which there was room stay as they were made. */
static void record_without_room_is_told_with_the_next(void **state)
{
    struct scene *s = *state;
    enum { MORE_THAN_FIT = FILTER_RECORDS_BYTES / sizeof(struct filter_record) };
    begin_body(s);
    for (unsigned i = 0; i < MORE_THAN_FIT; i++) {
        assert_int_equal(send_unread(s, SERVER, bytes_from_string("body")), DROPPED);
        assert_int_equal(send_unread(s, CLIENT, bytes_from_string(GET)), strlen(GET));
        assert_int_equal(send_unread(s, SERVER, bytes_from_string(REPLY_HEAD)), strlen(REPLY_HEAD));
    }
    s->record_count = 0;
    filter_records(s->filter, take_record, s);
    assert_in_range(s->record_count, MORE_THAN_FIT / 2, MORE_THAN_FIT - 1);
    assert_int_equal(record_of(s, 0, SERVER)->kept.payload, 4);
    assert_int_equal(record_of(s, 1, SERVER)->kept.payload, 8);

    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1 408 Too late\r\n\r\n");
    assert_kept(recorded(s, SERVER), MORE_THAN_FIT * (HEADER + 4ull), MORE_THAN_FIT, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handshake_is_delivered_and_tracks_nothing),
        TEST(acknowledgements_are_kept),
        TEST(body_is_kept_and_told_before_the_next_reply),
        TEST(client_may_be_either_side),
        TEST(ipv6_is_kept),
        TEST(flows_of_a_vlan_are_its_own),
        TEST(sequence_numbers_wrap_in_a_body),
        TEST(super_packet_is_kept_as_its_segments),
        TEST(head_that_a_large_body_follows_is_cut_off),
        TEST(end_of_head_is_found_at_any_place),
        TEST(head_of_line_feeds_alone_is_cut_off),
        TEST(short_reply_is_delivered_whole),
        TEST(body_behind_a_short_beginning_is_delivered),
        TEST(reply_head_in_two_packets_is_delivered),
        TEST(reply_head_that_is_too_long_to_look_at_is_delivered),
        TEST(long_reply_head_alone_in_its_packet_is_fine),
        TEST(start_line_inside_a_body_is_delivered),
        TEST(connection_joined_in_a_body_is_delivered),
        TEST(two_requests_in_a_packet_are_not_safe),
        TEST(two_requests_one_behind_the_other_are_not_safe),
        TEST(request_before_the_reply_was_received_is_not_safe),
        TEST(request_inside_of_a_body_is_not_safe),
        TEST(body_of_a_request_is_kept_to_its_last_byte),
        TEST(body_may_begin_in_the_packet_of_its_head),
        TEST(request_with_its_body_in_one_packet_is_safe),
        TEST(sequence_numbers_wrap_in_the_body_of_a_request),
        TEST(what_follows_a_body_is_delivered),
        TEST(body_of_doubtful_length_is_not_safe),
        TEST(body_of_what_is_no_request_of_http_1_is_not_safe),
        TEST(body_of_any_method_is_kept_as_a_body),
        TEST(request_with_a_lone_carriage_return_is_not_safe),
        TEST(request_of_a_browser_is_as_safe_as_a_short_one),
        TEST(request_on_a_syn_is_not_safe),
        TEST(request_behind_a_syn_that_came_again_is_not_safe),
        TEST(what_comes_again_with_a_request_behind_it_is_not_safe),
        TEST(request_head_that_is_too_long_to_look_at_has_no_known_body),
        TEST(body_of_a_request_goes_on_behind_100_continue),
        TEST(body_of_a_request_is_kept_behind_an_early_reply),
        TEST(gap_in_the_body_of_a_request_tells_its_place),
        TEST(request_in_two_packets_is_not_safe),
        TEST(request_of_line_feeds_alone_is_not_safe),
        TEST(request_that_does_not_begin_with_a_letter_is_not_safe),
        TEST(longest_request_that_is_looked_at_is_safe),
        TEST(interim_reply_is_not_safe),
        TEST(reply_that_is_none_is_not_safe),
        TEST(gap_in_what_the_client_sends_is_not_safe),
        TEST(gap_before_a_reply_is_not_safe),
        TEST(gap_in_a_body_tells_its_place),
        TEST(what_comes_again_in_a_body_is_delivered_without_payload),
        TEST(request_that_comes_again_changes_nothing),
        TEST(end_inside_a_body_is_delivered_without_payload),
        TEST(flow_ends_when_both_sides_have),
        TEST(flow_ends_with_a_reset),
        TEST(end_of_a_flow_tells_of_both_sides),
        TEST(end_of_a_flow_that_was_told_of_is_told_all_the_same),
        TEST(flow_of_which_nothing_was_kept_ends_without_a_record),
        TEST(connection_between_the_same_ends_begins_anew),
        TEST(ordered_length_is_kept_up_to_its_end),
        TEST(packet_across_the_end_of_an_ordered_length_is_delivered_whole),
        TEST(sequence_numbers_wrap_in_an_ordered_length),
        TEST(ordered_turn_ends_when_the_other_side_sends),
        TEST(ordered_turn_holds_before_the_other_side_has_sent_anything),
        TEST(turn_that_was_ordered_too_late_has_no_effect),
        TEST(ordered_tunnel_is_kept_but_for_its_end),
        TEST(what_is_not_in_order_is_delivered_in_spite_of_an_order),
        TEST(flow_that_is_forgotten_has_no_order),
        TEST(record_is_made_of_each_gibibyte),
        TEST(flows_that_there_is_no_room_for_are_delivered),
        TEST(record_without_room_is_told_with_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
