#include "support/scene.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#include "base/macros.h"
#include "support/kernel_run.h"

enum { CLIENT_PORT = 40000 };

/* --- frames ---------------------------------------------------------------------- */

struct bytes scene_filler(size_t size)
{
    static uint8_t body[SCENE_PAYLOAD_MAX];
    memset(body, 'b', sizeof(body));
    return bytes_make(body, size);
}

struct bytes scene_text_and_filler(const char *text, size_t size)
{
    static uint8_t all[SCENE_PAYLOAD_MAX];
    size_t length = strlen(text);
    memset(all, 'b', sizeof(all));
    memcpy(all, text, length);
    return bytes_make(all, size);
}

struct bytes scene_head_of_size(const char *text, size_t size)
{
    static uint8_t all[SCENE_PAYLOAD_MAX];
    size_t length = strlen(text) - 4;
    memset(all, ' ', sizeof(all));
    memcpy(all, text, length);
    memcpy(all + size - 4, "\r\n\r\n", 4);
    return bytes_make(all, size);
}

size_t scene_build(const struct scene *s, const struct frame_spec *spec, uint8_t *out)
{
    bool ipv6 = strchr(spec->source, ':');
    const uint16_t tags[2] = {s->vlan};
    size_t link = frame_build_link(ipv6 ? ETH_P_IPV6 : ETH_P_IP, tags, out);
    return link + frame_build(spec, out + link, SCENE_FRAME_MAX - link);
}

static void take_record(void *context, const struct filter_record *r)
{
    struct scene *s = context;
    if (s->record_count < SCENE_RECORDS_MAX)
        s->records[s->record_count] = *r;
    s->record_count++;
}

void scene_read_records(struct scene *s)
{
    s->record_count = 0;
    filter_records(s->filter, take_record, s);
}

int scene_send_spec(struct scene *s, const struct frame_spec *spec)
{
    uint8_t frame[SCENE_FRAME_MAX];
    size_t size = scene_build(s, spec, frame);
    const struct __sk_buff context = {.gso_size = s->gso_size};
    int verdict = kernel_run(filter_fd(s->filter), frame, size, &context);
    assert_true(verdict >= 0);
    s->record_count = 0;
    s->flags = 0;
    if (verdict == 0)
        return DROPPED;
    size_t headers = size - spec->payload.size;
    assert_true((size_t)verdict >= headers);
    return (int)(MIN((size_t)verdict, size) - headers);
}

struct frame_spec scene_spec(const struct scene *s, enum who who, struct bytes payload)
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

int scene_send_unread(struct scene *s, enum who who, struct bytes payload)
{
    struct frame_spec spec = scene_spec(s, who, payload);
    s->seq[who] += (uint32_t)payload.size + !!(s->flags & (TCP_SYN | TCP_FIN));
    s->ack[!who] = s->seq[who];
    return scene_send_spec(s, &spec);
}

int scene_send(struct scene *s, enum who who, struct bytes payload)
{
    int delivered = scene_send_unread(s, who, payload);
    scene_read_records(s);
    return delivered;
}

int scene_send_at(struct scene *s, enum who who, int32_t offset, struct bytes payload)
{
    struct frame_spec spec = scene_spec(s, who, payload);
    spec.seq += (uint32_t)offset;
    int delivered = scene_send_spec(s, &spec);
    scene_read_records(s);
    return delivered;
}

int scene_say(struct scene *s, enum who who, const char *text)
{
    return scene_send(s, who, bytes_from_string(text));
}

int scene_send_flags(struct scene *s, enum who who, uint8_t flags)
{
    s->flags = flags;
    return scene_say(s, who, "");
}

void scene_in_flight(struct scene *s, enum who receiver, uint32_t size)
{
    s->ack[receiver] -= size;
}

/* --- scenes ---------------------------------------------------------------------- */

int scene_set_up(void **state)
{
    static struct scene s;
    struct port_set ports = {0};
    port_set_add(&ports, SERVER_PORT);
    s = (struct scene){
        .address = {"10.0.0.1", "10.0.0.2"},
        .client_port = CLIENT_PORT,
        .seq = {1000, 500000},
        .ack = {500000, 1000},
        .filter = kernel_run_open(&(struct filter_options){
            .link_header_bytes = ETH_HLEN,
            .super_packets = true,
            .keeps = true,
            .ports = &ports,
        }),
    };
    *state = &s;
    return 0;
}

int scene_tear_down(void **state)
{
    struct scene *s = *state;
    s->filter = filter_close(s->filter);
    return 0;
}

static void find_flow(void *context, const struct flow *key, const struct filter_flow *f)
{
    struct scene_finding *found = context;
    found->count++;
    found->key = *key;
    found->flow = *f;
}

struct scene_finding scene_find(struct scene *s)
{
    struct scene_finding found = {0};
    assert_int_equal(filter_flows(s->filter, find_flow, &found), 0);
    return found;
}

unsigned scene_flow_count(struct scene *s)
{
    return scene_find(s).count;
}

unsigned scene_side(const struct scene *s, const struct flow *flow, enum who who)
{
    unsigned client = flow->port[0] == htons(s->client_port) ? 0 : 1;
    return who == CLIENT ? client : !client;
}

void scene_assert_kept(const struct filter_kept *is, uint64_t bytes, uint64_t packets,
                       uint64_t control)
{
    assert_int_equal(is->bytes, bytes);
    assert_int_equal(is->packets, packets);
    assert_int_equal(is->control, control);
}

const struct filter_record *scene_record(const struct scene *s, unsigned number, enum who who)
{
    assert_in_range(number, 0, s->record_count - 1);
    const struct filter_record *r = &s->records[number];
    assert_int_equal(r->side, scene_side(s, &r->flow, who));
    return r;
}

const struct filter_kept *scene_recorded(const struct scene *s, enum who who)
{
    assert_int_equal(s->record_count, 1);
    const struct filter_record *r = scene_record(s, 0, who);
    assert_int_equal(r->last, 0);
    return &r->kept;
}

struct filter_counts scene_counts(const struct scene *s)
{
    struct filter_counts counts;
    assert_int_equal(filter_counts(s->filter, &counts), 0);
    return counts;
}

void scene_handshake(struct scene *s)
{
    assert_int_equal(scene_send_flags(s, CLIENT, TCP_SYN), 0);
    assert_int_equal(scene_send_flags(s, SERVER, TCP_SYN), 0);
    assert_int_equal(scene_say(s, CLIENT, ""), 0);
}

void scene_ask(struct scene *s)
{
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, GET);
}

void scene_begin_body(struct scene *s)
{
    scene_ask(s);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
}

void scene_become_unsafe(struct scene *s)
{
    scene_handshake(s);
    ASSERT_DELIVERED(s, CLIENT, "no request");
}

void scene_assert_unsafe(struct scene *s)
{
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
}

void scene_assert_keeps_reply(struct scene *s)
{
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

void scene_assert_keeps_next_exchange(struct scene *s)
{
    ASSERT_DELIVERED(s, CLIENT, GET);
    scene_assert_keeps_reply(s);
}

void scene_order(struct scene *s, enum who who, enum filter_order_kind kind, uint32_t seq)
{
    struct scene_finding found = scene_find(s);
    assert_int_equal(found.count, 1);
    unsigned side = scene_side(s, &found.key, who);
    struct filter_order o = {0};
    o.side[side].kind = kind;
    o.side[side].seq = seq;
    filter_order(s->filter, &found.key, &o);
}
