#include "support/conversation.h"

#include "base/macros.h"

void conversation_init(struct conversation *c, struct conversation_sink *sink, uint16_t number,
                       uint32_t seq)
{
    *c = (struct conversation){
        .sink = sink,
        .end = {{.address = "10.0.0.2", .port = number, .seq = seq},
                {.address = "10.0.0.1", .port = 80, .seq = seq + 7777}},
    };
}

void conversation_packet(struct conversation *c, enum direction d,
                         const struct conversation_packet *p)
{
    static uint8_t buffer[FRAME_BYTES_MAX];
    struct conversation_end *from = &c->end[d];
    const struct conversation_end *to = &c->end[!d];
    struct frame_spec spec = {
        .source = from->address,
        .destination = to->address,
        .source_port = from->port,
        .destination_port = to->port,
        .seq = p->seq,
        .ack = p->ack,
        .flags = p->flags,
        .payload = p->payload,
    };
    size_t size = frame_build(&spec, buffer, sizeof(buffer));
    size_t headers = size - p->payload.size;
    size_t packets = 1;
    if (c->gso_size && p->payload.size)
        packets = (p->payload.size - 1) / c->gso_size + 1;
    uint64_t ip_bytes = p->payload.size + headers * packets;
    if (p->payload.size) {
        from->sent.bytes += ip_bytes;
        from->sent.packets += packets;
    } else {
        from->sent.control += ip_bytes;
    }

    struct frame f = frame_of(bytes_make(buffer, size), c->sink->now_ns);
    if (c->snap_bytes)
        f.data.size = MIN(f.data.size, (size_t)c->snap_bytes);
    f.gso_size = c->gso_size;
    f.vlan[0] = c->vlan;
    c->sink->now_ns += CONVERSATION_TICK_NS;
    c->sink->take(c->sink->context, &f);
}

/* A packet with the next sequence number, which @flags and @payload move on. */
static void send_next(struct conversation *c, enum direction d, uint8_t flags, struct bytes payload)
{
    struct conversation_end *from = &c->end[d];
    conversation_packet(c, d,
                        &(struct conversation_packet){
                            .flags = flags,
                            .seq = from->seq,
                            .ack = flags & TCP_ACK ? from->ack : 0,
                            .payload = payload,
                        });
    from->seq += (uint32_t)payload.size + !!(flags & (TCP_SYN | TCP_FIN));
    c->end[!d].ack = from->seq;
}

static const struct bytes nothing;

void conversation_syn(struct conversation *c)
{
    send_next(c, DIRECTION_IN, TCP_SYN, nothing);
}

void conversation_syn_ack(struct conversation *c)
{
    send_next(c, DIRECTION_OUT, TCP_SYN | TCP_ACK, nothing);
}

void conversation_open(struct conversation *c)
{
    conversation_syn(c);
    conversation_syn_ack(c);
    conversation_ack(c, DIRECTION_IN);
}

void conversation_send(struct conversation *c, enum direction d, struct bytes payload)
{
    send_next(c, d, TCP_ACK, payload);
}

void conversation_send_text(struct conversation *c, enum direction d, const char *text)
{
    conversation_send(c, d, bytes_from_string(text));
}

void conversation_send_cut(struct conversation *c, enum direction d, struct bytes payload,
                           size_t size)
{
    while (payload.size)
        conversation_send(c, d, bytes_take(&payload, size));
}

void conversation_miss(struct conversation *c, enum direction d, size_t size)
{
    c->end[d].seq += (uint32_t)size;
    c->end[!d].ack = c->end[d].seq;
}

void conversation_send_at(struct conversation *c, enum direction d, int32_t offset,
                          struct bytes payload)
{
    conversation_packet(c, d,
                        &(struct conversation_packet){
                            .flags = TCP_ACK,
                            .seq = c->end[d].seq + (uint32_t)offset,
                            .ack = c->end[d].ack,
                            .payload = payload,
                        });
}

void conversation_ack(struct conversation *c, enum direction d)
{
    send_next(c, d, TCP_ACK, nothing);
}

void conversation_fin(struct conversation *c, enum direction d)
{
    send_next(c, d, TCP_FIN | TCP_ACK, nothing);
}

void conversation_reset(struct conversation *c, enum direction d)
{
    send_next(c, d, TCP_RST | TCP_ACK, nothing);
}

void conversation_close(struct conversation *c)
{
    conversation_fin(c, DIRECTION_IN);
    conversation_fin(c, DIRECTION_OUT);
    conversation_ack(c, DIRECTION_IN);
}
