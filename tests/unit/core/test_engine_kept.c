/*
 * What the filter keeps changes no number: an engine that is handed heads and
 * records has the totals of one that was handed every packet. Here a model of the
 * filter decides, after the words of bpf/keep.bpf.h; records come as early as the
 * ring allows; and what the engine orders is obeyed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "core/stream.h"
#include "core/table.h"
#include "support/trial.h"

enum { CONVERSATIONS = 4000, EXCHANGES_MAX = 6, BODY_MAX = 200000 };
enum { INLINE_BODY_MAX = 768, SCAN_MAX = 1024, SYN_BEHIND_MAX = 1 << 30, FLOWS_MAX = 8 };

/* --- the filter -------------------------------------------------------------------- */

struct model_flow {
    struct flow flow;
    bool used;
    struct filter_flow f;
    struct filter_order order;
};

/* What the filter has passed on and nobody has read: a frame, or a record. */
struct passed {
    struct passed *prev;
    struct passed *next;
    bool is_record;
    struct filter_record record;
    struct frame frame;
    uint8_t data[];
};

struct model {
    struct model_flow flows[FLOWS_MAX]; /* the oldest makes room */
    unsigned flow_next;
    struct passed *ring;
    struct trial *plain; /* is handed all */
    struct trial *offloaded;
    unsigned kept_packets;
    unsigned orders;
};

static void pass(struct model *m, const struct filter_record *record, const struct frame *f)
{
    size_t size = f ? f->data.size : 0;
    struct passed *e = calloc(1, sizeof(*e) + size);
    assert_non_null(e);
    if (record) {
        e->is_record = true;
        e->record = *record;
    } else {
        e->frame = *f;
        memcpy(e->data, f->data.data, size);
        e->frame.data = bytes_make(e->data, size);
    }
    DL_APPEND(m->ring, e);
}

static struct filter_record record_of(const struct model_flow *f, unsigned side)
{
    return (struct filter_record){
        .flow = f->flow,
        .kept = f->f.kept[side],
        .number = f->f.record_count[side],
        .side = (uint16_t)side,
    };
}

static void record(struct model *m, struct model_flow *f, unsigned side, bool last)
{
    struct filter_record r = record_of(f, side);
    r.last = last;
    r.number = ++f->f.record_count[side];
    f->f.recorded[side] = f->f.kept[side].payload;
    f->f.unrecorded[side] = 0;
    pass(m, &r, NULL);
}

static void end_flow(struct model *m, struct model_flow *f)
{
    unsigned last = f->f.unrecorded[1] || !f->f.unrecorded[0];
    if (last && f->f.unrecorded[0])
        record(m, f, 0, false);
    record(m, f, last, true);
    f->used = false;
}

static struct model_flow *find(struct model *m, const struct flow *flow)
{
    for (unsigned i = 0; i < FLOWS_MAX; i++)
        if (m->flows[i].used && memcmp(&m->flows[i].flow, flow, sizeof(*flow)) == 0)
            return &m->flows[i];
    return NULL;
}

static struct model_flow *add(struct model *m, const struct packet *p, uint32_t next_seq)
{
    struct model_flow *f = &m->flows[m->flow_next++ % FLOWS_MAX];
    if (f->used)
        end_flow(m, f);
    *f = (struct model_flow){.flow = p->flow, .used = true};
    f->f.next_seq[!p->side] = p->ack;
    f->f.next_seq[p->side] = next_seq;
    f->f.seq_known[p->side] = 1;
    return f;
}

static bool ends_with_empty_line(struct bytes b)
{
    return b.size > 4 && memcmp(b.data + b.size - 4, "\r\n\r\n", 4) == 0;
}

/* The bytes up to the end of the first empty line in the first @max; 0 without one. */
static size_t find_empty_line(struct bytes b, size_t max)
{
    for (size_t i = 1; i < MIN(b.size, max); i++)
        if (b.data[i] == '\n' && (b.data[i - 1] == '\n' || (i > 1 && b.data[i - 2] == '\n')))
            return i + 1;
    return 0;
}

static bool is_one_request(struct bytes b)
{
    return b.size <= SCAN_MAX && ends_with_empty_line(b) && b.data[0] >= 'A' && b.data[0] <= 'Z' &&
           !memmem(b.data, b.size, "\nContent-Length:", 16) &&
           !memmem(b.data, b.size, "\nTransfer-", 10) && find_empty_line(b, b.size - 1) == 0;
}

/* How long a request with a body is; 0 if it can't be told. */
static size_t find_request_end(struct bytes b)
{
    static const char field[] = "\nContent-Length:";
    size_t head = find_empty_line(b, SCAN_MAX);
    if (!head || b.data[0] < 'A' || b.data[0] > 'Z' || memmem(b.data, head, "Transfer-", 9))
        return 0;
    const char *length = memmem(b.data, head, field, sizeof(field) - 1);
    size_t end = head + (length ? strtoul(length + sizeof(field) - 1, NULL, 10) : 0);
    return end < b.size ? 0 : end;
}

static bool is_reply(struct bytes b)
{
    return b.size > 10 && memcmp(b.data, "HTTP/1.", 7) == 0;
}

static void model_ask(struct filter_flow *f, const struct packet *p, bool quiet)
{
    size_t bytes = is_one_request(p->payload) ? p->payload.size : find_request_end(p->payload);
    f->unsafe |= !quiet || !bytes;
    f->turn = FILTER_TURN_ASKED;
    f->asker = (uint8_t)p->side;
    f->request_end = p->seq + (uint32_t)bytes;
}

static bool is_uploading(const struct filter_flow *f)
{
    return !f->unsafe && f->turn != FILTER_TURN_UNKNOWN &&
           seq_compare(f->next_seq[f->asker], f->request_end) < 0;
}

static bool is_body(const struct filter_flow *f, const struct packet *p)
{
    if (p->side != f->asker)
        return !f->unsafe && f->turn == FILTER_TURN_BODY;
    return is_uploading(f) && seq_compare(p->seq + p->payload_bytes, f->request_end) <= 0;
}

/* Returns how much to deliver. */
static size_t model_answer(struct filter_flow *f, const struct packet *p)
{
    bool interim = is_reply(p->payload) && p->payload.data[9] == '1';
    if (interim && ends_with_empty_line(p->payload) && is_uploading(f))
        return p->payload.size;
    if (!is_reply(p->payload) || interim) {
        f->unsafe = 1;
        return p->payload.size;
    }
    if (ends_with_empty_line(p->payload)) {
        f->turn = FILTER_TURN_BODY;
        return p->payload.size;
    }
    f->turn = FILTER_TURN_ANSWERED;
    size_t head = find_empty_line(p->payload, SCAN_MAX);
    if (p->payload.size <= INLINE_BODY_MAX || !head)
        return p->payload.size;
    f->turn = FILTER_TURN_BODY;
    return head;
}

static bool is_ordered(const struct model_flow *f, const struct packet *p)
{
    uint32_t seq = f->order.side[p->side].seq;
    switch (f->order.side[p->side].kind) {
    case FILTER_ORDER_LENGTH:
        return seq_compare(p->seq + p->payload_bytes, seq) <= 0;
    case FILTER_ORDER_TURN:
        return f->f.next_seq[!p->side] == seq;
    case FILTER_ORDER_TUNNEL:
        return true;
    default:
        return false;
    }
}

/* Returns how much of a packet that is next in its stream to deliver; 0: keep it. */
static size_t model_turn(struct model_flow *flow, const struct packet *p)
{
    struct filter_flow *f = &flow->f;
    bool asks = p->side == f->asker;
    bool quiet = p->ack == f->next_seq[!p->side];
    size_t all = p->payload.size;
    if (asks && is_uploading(f)) {
        if (is_body(f, p))
            return 0;
        f->unsafe = 1;
        return all;
    }
    if (f->unsafe)
        return is_ordered(flow, p) ? 0 : all;
    switch (f->turn) {
    case FILTER_TURN_UNKNOWN:
        model_ask(f, p, true);
        return all;
    case FILTER_TURN_ASKED:
        if (!asks)
            return model_answer(f, p);
        f->unsafe = 1;
        return all;
    case FILTER_TURN_BODY:
        if (!asks)
            return is_reply(p->payload) ? all : 0;
        model_ask(f, p, quiet);
        return all;
    case FILTER_TURN_ANSWERED:
        if (!asks)
            return is_ordered(flow, p) ? 0 : all;
        model_ask(f, p, quiet);
        return all;
    default:
        return all;
    }
}

static void model_keep(struct model *m, struct model_flow *f, const struct packet *p)
{
    struct filter_kept *k = &f->f.kept[p->side];
    m->kept_packets++;
    if (p->payload_bytes) {
        k->bytes += packet_ip_bytes(p);
        k->packets += p->packets;
    } else {
        k->control += packet_ip_bytes(p);
    }
    bool begins = k->payload == f->f.recorded[p->side];
    k->payload += p->payload_bytes;
    if (p->payload_bytes)
        k->end_seq = p->seq + p->payload_bytes;
    else if (begins)
        k->end_seq = f->f.seq_known[p->side] ? f->f.next_seq[p->side] : p->seq;
    f->f.unrecorded[p->side] = 1;
}

static bool ends_flow(struct model_flow *f, const struct packet *p)
{
    f->f.ended |= (p->flags & TCP_FIN ? 1u : 0) << 16 * p->side;
    return p->flags & TCP_RST || (f->f.ended & 0xffff && f->f.ended >> 16);
}

/* Deliver @size bytes of the payload, behind what was kept. */
static void deliver(struct model *m, struct model_flow *f, const struct packet *p,
                    const struct frame *frame, size_t size)
{
    struct frame cut = *frame;
    cut.data.size -= p->payload.size - size;
    if (f && ends_flow(f, p))
        end_flow(m, f);
    else if (f && f->f.unrecorded[p->side])
        record(m, f, p->side, false);
    pass(m, NULL, &cut);
}

static void model_payload(struct model *m, struct model_flow *f, const struct packet *p,
                          const struct frame *frame)
{
    struct filter_flow *state = &f->f;
    bool ends = p->flags & (TCP_FIN | TCP_RST);
    bool known = state->seq_known[p->side];
    int32_t ahead = seq_compare(p->seq, state->next_seq[p->side]);
    bool in_body = is_body(state, p);
    bool next = !known || ahead == 0;
    size_t size = in_body ? 0 : p->payload.size;
    if (next)
        size = model_turn(f, p);
    else if (ahead + (int32_t)p->payload_bytes > 0 && !in_body)
        state->unsafe = 1;
    if (!known || ahead + (int32_t)p->payload_bytes > 0) {
        state->next_seq[p->side] = p->seq + p->payload_bytes;
        state->seq_known[p->side] = 1;
    }
    if (next && !size && !ends)
        model_keep(m, f, p);
    else
        deliver(m, f, p, frame, size);
}

static void model_begin(struct model *m, struct model_flow *f, const struct packet *p)
{
    uint32_t next_seq = p->seq + 1 + p->payload_bytes;
    if (!f) {
        if (p->payload_bytes)
            add(m, p, next_seq)->f.unsafe = 1;
        return;
    }
    f->order = (struct filter_order){0};
    f->f.unsafe = 1;
    f->f.ended = 0;
    if (f->f.next_seq[p->side] - next_seq > SYN_BEHIND_MAX) {
        f->f.next_seq[p->side] = next_seq;
        f->f.seq_known[p->side] = 0;
    }
    for (unsigned side = 0; side < 2; side++)
        if (f->f.unrecorded[side])
            record(m, f, side, false);
}

static void model_packet(struct model *m, const struct packet *p, const struct frame *frame)
{
    struct model_flow *f = find(m, &p->flow);
    if (p->flags & TCP_SYN) {
        model_begin(m, f, p);
        pass(m, NULL, frame);
        return;
    }
    if (!f && p->payload_bytes)
        f = add(m, p, p->seq);

    bool ends = p->flags & (TCP_FIN | TCP_RST);
    if (f && p->payload_bytes)
        model_payload(m, f, p, frame);
    else if (f && !ends)
        model_keep(m, f, p);
    else
        deliver(m, f, p, frame, 0);
}

/* --- the ring ---------------------------------------------------------------------- */

static void read_records(struct model *m)
{
    struct passed *e, *next;
    DL_FOREACH_SAFE (m->ring, e, next) {
        if (!e->is_record)
            continue;
        DL_DELETE(m->ring, e);
        engine_kept(m->offloaded->engine, &e->record);
        free(e);
    }
}

static void read_frames(struct model *m, unsigned count)
{
    struct passed *e, *next;
    DL_FOREACH_SAFE (m->ring, e, next) {
        if (e->is_record || count-- == 0)
            return;
        DL_DELETE(m->ring, e);
        engine_frame(m->offloaded->engine, &e->frame);
        free(e);
    }
}

/* As at a flush. Of the records that were made meanwhile, none has been read. */
static void collect(struct model *m)
{
    for (unsigned i = 0; i < FLOWS_MAX * 2; i++) {
        const struct model_flow *f = &m->flows[i / 2];
        struct filter_record r = record_of(f, i & 1);
        r.read = true;
        if (f->used && (r.kept.bytes || r.kept.control))
            engine_kept(m->offloaded->engine, &r);
    }
}

/* All records that there are by now, and some of the frames, or all. */
static void read_ring(struct model *m, bool all)
{
    if (rand() % 8 == 0)
        collect(m);
    read_records(m);
    read_frames(m, all ? UINT32_MAX : (unsigned)rand() % 40);
}

static void take_frame(void *context, const struct frame *f)
{
    struct model *m = context;
    struct packet p;
    struct fragment fragment;
    engine_frame(m->plain->engine, f);
    assert_int_equal(packet_decode(f, &p, &fragment), PACKET_TCP);
    model_packet(m, &p, f);
    if (rand() % 8 == 0)
        read_ring(m, rand() & 1);
}

static void obey(void *context, const struct flow *flow, const struct filter_order *order)
{
    struct model *m = context;
    struct model_flow *f = find(m, flow);
    m->orders++;
    if (f)
        f->order = *order;
}

/* --- random conversations ------------------------------------------------------------ */

struct talk {
    struct conversation c;
    size_t cut;    /* segments are at most that long */
    bool troubled; /* segments come early, again, or not at all */
    bool lasts;    /* nothing yet has ended the connection */
    bool opened;   /* its SYNs were seen */
    uint32_t initial_seq[2];
};

static unsigned dice(unsigned sides)
{
    return (unsigned)rand() % sides;
}

static void send_segment(struct talk *t, enum direction d, struct bytes piece, bool is_body)
{
    unsigned luck = t->troubled ? dice(30) : 29;
    if (luck == 0 && piece.size >= 100) { /* the second half comes first */
        struct bytes rest = piece, half = bytes_take(&rest, piece.size / 2);
        conversation_send_at(&t->c, d, (int32_t)half.size, rest);
        conversation_send(&t->c, d, half);
        conversation_miss(&t->c, d, rest.size);
    } else if (luck == 1 && is_body) {
        conversation_miss(&t->c, d, piece.size);
    } else {
        conversation_send(&t->c, d, piece);
    }
    if (luck == 2)
        conversation_send_at(&t->c, d, -(int32_t)piece.size, piece);
    if (dice(2))
        conversation_ack(&t->c, !d);
}

static void send_message(struct talk *t, enum direction d, struct bytes message, bool is_body)
{
    while (message.size)
        send_segment(t, d, bytes_take(&message, t->cut), is_body);
}

static void send_text(struct talk *t, enum direction d, const char *text)
{
    send_message(t, d, bytes_from_string(text), false);
}

static struct bytes body_of(size_t size)
{
    static char body[BODY_MAX];
    static const char *const beginnings[] = {"HTTP/1.1 200 OK\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                                             "\r\n\r\n", ""};
    memset(body, 'b', sizeof(body));
    strcpy(body, beginnings[dice(ARRAY_SIZE(beginnings))]);
    return bytes_make(body, size);
}

static size_t some_size(void)
{
    static const size_t sizes[] = {0, 1, 20, 700, 800, 3000, 40000, BODY_MAX};
    size_t size = sizes[dice(ARRAY_SIZE(sizes))];
    return size ? 1 + dice((unsigned)size) : 0;
}

static const char *request_head(const char *method, const char *fields)
{
    static char head[4096];
    snprintf(head, sizeof(head), "%s /x?s=%c HTTP/1.1\r\nHost: %*s\r\n%s\r\n", method,
             'a' + (char)dice(4), dice(20) ? 1 : 1500, "h", fields);
    return head;
}

/* Head and body of a reply, in packets of their own or not. */
static void reply(struct talk *t, const char *status, size_t size)
{
    static char all[BODY_MAX + 4096];
    const char *newline = dice(10) ? "\r\n" : "\n";
    int head = snprintf(all, sizeof(all), "HTTP/1.1 %s%sServer: %*s%sContent-Length: %zu%s%s",
                        status, newline, dice(20) ? 1 : 1200, "s", newline, size, newline, newline);
    struct bytes body = body_of(size);
    if (dice(2)) {
        memcpy(all + head, body.data, body.size);
        send_message(t, DIRECTION_OUT, bytes_make(all, (size_t)head + size), false);
    } else {
        send_message(t, DIRECTION_OUT, bytes_make(all, (size_t)head), false);
        send_message(t, DIRECTION_OUT, body, true);
    }
}

static void plain_exchange(struct talk *t)
{
    send_text(t, DIRECTION_IN, request_head("GET", ""));
    reply(t, dice(5) ? "200 OK" : "404 Not Found", some_size());
}

static void head_exchange(struct talk *t)
{
    send_text(t, DIRECTION_IN, request_head("HEAD", ""));
    send_text(t, DIRECTION_OUT, "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n");
}

static void pipelined_exchange(struct talk *t)
{
    char all[8192] = "";
    unsigned count = 2 + dice(4);
    for (unsigned i = 0; i < count; i++)
        strcat(all, request_head("GET", ""));
    send_text(t, DIRECTION_IN, all);
    while (count--)
        reply(t, "200 OK", some_size());
}

/* The next request is there before the reply to the one before has ended. */
static void overlapping_exchange(struct talk *t)
{
    send_text(t, DIRECTION_IN, request_head("GET", ""));
    struct bytes body = body_of(5000);
    send_text(t, DIRECTION_OUT, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    send_message(t, DIRECTION_OUT, bytes_take(&body, 2000), true);
    send_text(t, DIRECTION_IN, request_head("GET", ""));
    send_message(t, DIRECTION_OUT, body, true);
    reply(t, "200 OK", some_size());
}

static void upload_exchange(struct talk *t)
{
    char field[64];
    size_t size = some_size();
    bool waits = dice(2);
    snprintf(field, sizeof(field), "%sContent-Length: %zu\r\n",
             waits ? "Expect: 100-continue\r\n" : "", size);
    send_text(t, DIRECTION_IN, request_head("POST", field));
    if (waits)
        send_text(t, DIRECTION_OUT, "HTTP/1.1 100 Continue\r\n\r\n");
    send_message(t, DIRECTION_IN, body_of(size), true);
    reply(t, "201 Created", some_size());
}

static void chunked_body(struct talk *t, enum direction d)
{
    static const char block[30000] = {[0 ... sizeof(block) - 1] = 'z'};
    for (unsigned count = dice(5); count; count--) {
        char size_line[16];
        size_t size = 1 + dice(sizeof(block));
        snprintf(size_line, sizeof(size_line), "%zx\r\n", size);
        send_text(t, d, size_line);
        send_message(t, d, bytes_make(block, size), false);
        send_text(t, d, "\r\n");
    }
    send_text(t, d, "0\r\n\r\n");
}

static void chunked_exchange(struct talk *t)
{
    bool up = dice(3) == 0;
    send_text(t, DIRECTION_IN,
              request_head(up ? "PUT" : "GET", up ? "Transfer-Encoding: chunked\r\n" : ""));
    if (up)
        chunked_body(t, DIRECTION_IN);
    send_text(t, DIRECTION_OUT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    chunked_body(t, DIRECTION_OUT);
}

static void early_hints_exchange(struct talk *t)
{
    send_text(t, DIRECTION_IN, request_head("GET", ""));
    send_text(t, DIRECTION_OUT, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    reply(t, "200 OK", some_size());
}

static void bodyless_exchange(struct talk *t)
{
    send_text(t, DIRECTION_IN, request_head("GET", ""));
    send_text(t, DIRECTION_OUT,
              dice(2) ? "HTTP/1.1 204 No Content\r\n\r\n"
                      : "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
}

/* Without a length it ends with the connection. */
static void last_exchange(struct talk *t)
{
    send_text(t, DIRECTION_IN, request_head("GET", ""));
    send_text(t, DIRECTION_OUT, "HTTP/1.0 200 OK\r\n\r\n");
    send_message(t, DIRECTION_OUT, body_of(some_size()), true);
    t->lasts = false;
}

static void tunnel(struct talk *t)
{
    if (dice(2)) {
        send_text(t, DIRECTION_IN, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n");
        send_text(t, DIRECTION_OUT, "HTTP/1.1 200 OK\r\n\r\n");
    } else {
        send_text(t, DIRECTION_IN, request_head("GET", "Upgrade: x\r\nConnection: Upgrade\r\n"));
        send_text(t, DIRECTION_OUT,
                  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    }
    for (unsigned count = dice(20); count; count--)
        send_message(t, (enum direction)dice(2), body_of(some_size()), true);
    t->lasts = false;
}

static void not_http(struct talk *t)
{
    for (unsigned count = dice(20); count; count--)
        send_message(t, (enum direction)dice(2), bytes_make("\x16\x03\x01 no HTTP", 11), false);
    t->lasts = false;
}

static void (*const exchanges[])(struct talk *t) = {
    plain_exchange,
    plain_exchange,
    plain_exchange,
    plain_exchange,
    head_exchange,
    chunked_exchange,
    bodyless_exchange,
    pipelined_exchange,
    overlapping_exchange,
    upload_exchange,
    last_exchange,
    early_hints_exchange,
    tunnel,
};

static void send_syn(struct talk *t, enum direction d, struct bytes payload)
{
    conversation_packet(&t->c, d,
                        &(struct conversation_packet){
                            .flags = d == DIRECTION_IN ? TCP_SYN : TCP_SYN | TCP_ACK,
                            .seq = t->initial_seq[d],
                            .ack = d == DIRECTION_IN ? 0 : t->initial_seq[!d] + 1,
                            .payload = payload,
                        });
}

/* With a request on the SYN, or without. */
static void open_connection(struct talk *t)
{
    bool fast = dice(8) == 0;
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++)
        t->initial_seq[d] = t->c.end[d].seq;
    t->opened = true;
    if (!fast) {
        conversation_open(&t->c);
        return;
    }
    struct bytes request = bytes_from_string("GET /x?s=f HTTP/1.1\r\nHost: h\r\n\r\n");
    send_syn(t, DIRECTION_IN, request);
    conversation_miss(&t->c, DIRECTION_IN, 1 + request.size);
    if (dice(4) == 0)
        send_syn(t, DIRECTION_IN, bytes_make(NULL, 0));
    conversation_syn_ack(&t->c);
    if (dice(2))
        pipelined_exchange(t);
    reply(t, "200 OK", some_size());
}

static void talk(struct talk *t)
{
    static const size_t cuts[] = {1448, 1448, 1448, 536, 20000};
    t->cut = cuts[dice(ARRAY_SIZE(cuts))];
    t->c.gso_size = dice(4) ? 0 : 1000;
    t->troubled = dice(2);
    t->lasts = true;
    t->opened = false;
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++)
        t->c.end[d].ack = t->c.end[!d].seq;
    if (t->troubled || dice(10)) /* where it begins must be known */
        open_connection(t);
    if (dice(10) == 0)
        not_http(t);
    for (unsigned count = 1 + dice(EXCHANGES_MAX); count && t->lasts; count--) {
        exchanges[dice(ARRAY_SIZE(exchanges))](t);
        /* Not where there are holes: they would be charged at another time. */
        if (t->opened && !t->troubled && t->lasts && dice(10) == 0)
            send_syn(t, (enum direction)dice(2), bytes_make(NULL, 0));
    }
    if (t->troubled || dice(5)) /* whose end says how much was received */
        conversation_close(&t->c);
    else
        conversation_reset(&t->c, (enum direction)dice(2));
}

static void assert_same_totals(struct trial *a, struct trial *b)
{
    struct ledger_services all = ledger_services(a->ledger, LEDGER_TOTAL);
    assert_int_equal(all.count, ledger_services(b->ledger, LEDGER_TOTAL).count);
    for (size_t i = 0; i < all.count; i++) {
        const struct service_counts *is = &all.services[i]->counts[LEDGER_TOTAL];
        const struct service_counts *other = trial_service(b, all.services[i]->name.text);
        assert_memory_equal(is, other, sizeof(*is));
    }
    assert_int_equal(trial_interface(a)->tcp_bytes, trial_interface(b)->tcp_bytes);
    assert_int_equal(trial_interface(a)->not_http_bytes, trial_interface(b)->not_http_bytes);
    assert_int_equal(trial_interface(a)->untracked_bytes, trial_interface(b)->untracked_bytes);
}

static void kept_or_not_the_totals_are_the_same(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    AUTO(trial_deinit) struct trial plain, offloaded;
    struct model m = {.plain = &plain, .offloaded = &offloaded};
    trial_init(&plain, &(struct trial_options){.unobserved = true});
    trial_init(&offloaded, &(struct trial_options){
                               .unobserved = true,
                               .offload = {&m, obey},
                           });
    struct conversation_sink sink = {.take = take_frame, .context = &m, .now_ns = 1000000000};
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        struct talk t;
        conversation_init(&t.c, &sink, (uint16_t)(1024 + i), (uint32_t)rand() << 4);
        talk(&t);
        if (i % 64)
            continue;
        read_ring(&m, true);
        trial_report(&plain);
        trial_report(&offloaded);
    }
    read_ring(&m, true);
    collect(&m);
    trial_finish(&plain);
    trial_finish(&offloaded);
    assert_same_totals(&plain, &offloaded);
    print_message("%u packets kept, %u orders\n", m.kept_packets, m.orders);
    assert_true(m.kept_packets > 0 && m.orders > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_or_not_the_totals_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
