/*
 * Random conversations, many at once. The network before the capture reorders,
 * repeats and loses; the receiver is right behind it. What is acknowledged is
 * what the receiver has got.
 */
#include "core/engine.h"
#include "core/stream.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "support/conversation.h"
#include "support/trial.h"

/* --- chance ------------------------------------------------------------------ */

static uint64_t chance_state;

/* A number below @limit (splitmix64). */
static uint32_t chance(uint32_t limit)
{
    uint64_t z = chance_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ z >> 31) % limit);
}

/* --- what is said ---------------------------------------------------------------- */

enum { MESSAGES_MAX = 12, SERVICES = 5, SEGMENTS_MAX = 64, START_LINE = 30 };

/* One direction of a connection: a stream, and how far it has got. */
struct way {
    struct text stream;
    size_t message_end[MESSAGES_MAX];
    size_t head_end[MESSAGES_MAX];
    size_t sent;      /* handed to the network */
    size_t delivered; /* all before it has been received */
    uint32_t acked;   /* the sender knows that all before it has been received */
    uint32_t *ack;    /* of the segment that each byte was sent with first */
    struct {
        size_t start;
        size_t end;
        uint32_t ack;
    } flight[SEGMENTS_MAX]; /* sent, not received yet */
    size_t flight_count;
};

struct talk {
    struct conversation c;
    struct way way[2];
    unsigned messages;
    unsigned depth; /* requests under way at a time */
    unsigned service[MESSAGES_MAX];
    unsigned status[MESSAGES_MAX];
    bool head_request[MESSAGES_MAX];
    bool garbage;
    bool open;
};

/* How bad the world is. */
struct weather {
    bool loss[2]; /* the capture misses packets, by direction */
    bool snap;
};

static struct weather weather; /* of the round that is played */

static bool is_fine(void)
{
    return !weather.loss[DIRECTION_IN] && !weather.loss[DIRECTION_OUT] && !weather.snap;
}

/* What bodies are made of. With holes, a segment of a body may begin like a message. */
static const struct bytes tricky = BYTES("GET /?s=evil HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
static const struct bytes plain = BYTES("..\r\n\r\n..\0..");
static struct bytes filler;

static void add_filler(struct text *stream, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text_add(stream, bytes_make(&filler.data[i % filler.size], 1));
}

static void add_body(struct text *stream, bool with_body)
{
    size_t size = chance(4) ? chance(60) : chance(5000);
    if (chance(2)) {
        text_printf(stream, "Content-Length: %zu\r\n\r\n", size);
        add_filler(stream, with_body ? size : 0);
        return;
    }
    text_add_string(stream, "Transfer-Encoding: chunked\r\n\r\n");
    while (with_body && size) {
        size_t chunk = 1 + chance((uint32_t)size);
        text_printf(stream, "%zx%s\r\n", chunk, chance(3) ? "" : " ;a=b; c=\"d;\"");
        add_filler(stream, chunk);
        text_add_string(stream, "\r\n");
        size -= chunk;
    }
    if (with_body)
        text_add_string(stream, chance(3) ? "0\r\n\r\n" : "0\r\nTrailer: x\r\n\r\n");
}

static void add_request(struct talk *k, unsigned i)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "X-Y"};
    struct way *w = &k->way[DIRECTION_IN];
    const char *method = methods[chance(ARRAY_SIZE(methods))];
    if (weather.loss[DIRECTION_IN]) /* a reply to HEAD would be misread */
        method = "GET";
    k->service[i] = chance(SERVICES);
    k->head_request[i] = strcmp(method, "HEAD") == 0;
    text_printf(&w->stream, "%s /%u?s=n%u HTTP/1.1\r\nHost: h\r\n", method, i, k->service[i]);
    if (method[0] == 'P')
        add_body(&w->stream, true);
    else
        text_add_string(&w->stream, "\r\n");
    w->head_end[i] = w->message_end[i] = w->stream.size;
}

static void add_reply(struct talk *k, unsigned i)
{
    static const unsigned statuses[] = {200, 201, 204, 304, 404, 500};
    struct way *w = &k->way[DIRECTION_OUT];
    k->status[i] = statuses[chance(ARRAY_SIZE(statuses))];
    while (chance(6) == 0)
        text_add_string(&w->stream, "HTTP/1.1 100 Continue\r\n\r\n");
    text_printf(&w->stream, "HTTP/1.1 %u Reason\r\nX-Number: %u\r\n", k->status[i], i);
    bool bodyless = k->head_request[i] || k->status[i] == 204 || k->status[i] == 304;
    if (bodyless && chance(2))
        text_add_string(&w->stream, "\r\n");
    else
        add_body(&w->stream, !bodyless);
    w->message_end[i] = w->stream.size;
}

/* Connect, with all that will be said. */
static void talk_open(struct talk *k)
{
    conversation_open(&k->c);
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        struct way *w = &k->way[d];
        w->acked = k->c.end[d].seq;
        w->ack = calloc(w->stream.size, sizeof(w->ack[0]));
        assert_non_null(w->ack);
    }
    k->open = true;
}

static void talk_init(struct talk *k, struct conversation_sink *sink, uint16_t number)
{
    *k = (struct talk){.messages = 1 + chance(MESSAGES_MAX), .depth = 1 + chance(4)};
    conversation_init(&k->c, sink, number, chance(4) ? chance(UINT32_MAX) : 0u - chance(3000));
    text_init(&k->way[DIRECTION_IN].stream);
    text_init(&k->way[DIRECTION_OUT].stream);
    for (unsigned i = 0; i < k->messages; i++) {
        add_request(k, i);
        add_reply(k, i);
    }
    talk_open(k);
}

/* Something that is not HTTP, and goes on and on. */
static void talk_init_garbage(struct talk *k, struct conversation_sink *sink, uint16_t number)
{
    *k = (struct talk){.garbage = true};
    conversation_init(&k->c, sink, number, chance(UINT32_MAX));
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        text_init(&k->way[d].stream);
        for (size_t i = 0; i < 300; i++)
            text_add_char(&k->way[d].stream, (char)(i ? chance(256) : 0x80 + chance(128)));
    }
    talk_open(k);
}

static void talk_deinit(struct talk *k)
{
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        text_deinit(&k->way[d].stream);
        free(k->way[d].ack);
    }
}

/* --- the network -------------------------------------------------------------------- */

/* How far the end that sends in direction @d may go by now. */
static size_t allowed(const struct talk *k, enum direction d)
{
    const struct way *mine = &k->way[d];
    const struct way *other = &k->way[!d];
    if (k->garbage)
        return mine->stream.size;
    size_t bytes = 0;
    for (unsigned i = 0; i < k->messages; i++) {
        bool may = d == DIRECTION_OUT ? other->delivered >= other->head_end[i]
                   : i < k->depth     ? true
                                      : other->delivered >= other->message_end[i - k->depth];
        if (may)
            bytes = mine->message_end[i];
    }
    return bytes;
}

static uint32_t seq_of(const struct talk *k, enum direction d, size_t offset)
{
    return k->c.end[d].seq + (uint32_t)offset;
}

/* Cut the next segment off, and let it travel. */
static bool launch(struct talk *k, enum direction d)
{
    struct way *w = &k->way[d];
    size_t end = allowed(k, d);
    if (w->sent >= end || w->flight_count == SEGMENTS_MAX)
        return false;
    size_t size = chance(3) ? 1 + chance(1460) : 1 + chance(20);
    if (!is_fine())
        size += START_LINE; /* behind a hole, only a whole one tells a message */
    size_t n = w->flight_count++;
    w->flight[n].start = w->sent;
    w->flight[n].end = MIN(w->sent + size, end);
    w->flight[n].ack = seq_of(k, !d, k->way[!d].delivered);
    for (size_t i = w->sent; i < w->flight[n].end; i++)
        w->ack[i] = w->flight[n].ack;
    w->sent = w->flight[n].end;
    return true;
}

static void emit(struct talk *k, enum direction d, size_t start, size_t end, uint32_t ack)
{
    conversation_packet(&k->c, d,
                        &(struct conversation_packet){
                            .flags = TCP_ACK,
                            .seq = seq_of(k, d, start),
                            .ack = ack,
                            .payload = bytes_make(k->way[d].stream.data + start, end - start),
                        });
}

static void advance(struct way *w)
{
    size_t first = w->sent;
    for (size_t i = 0; i < w->flight_count; i++)
        first = MIN(first, w->flight[i].start);
    w->delivered = first;
}

/* What was sent in direction @d with @ack is received. */
static void receive_ack(struct talk *k, enum direction d, uint32_t ack)
{
    uint32_t *acked = &k->way[!d].acked;
    if (seq_compare(ack, *acked) > 0)
        *acked = ack;
}

/* One of those in flight arrives. */
static bool land(struct talk *k, enum direction d)
{
    struct way *w = &k->way[d];
    if (w->flight_count == 0)
        return false;
    size_t n = chance(3) ? 0 : chance((uint32_t)MIN(w->flight_count, (size_t)8));
    size_t start = w->flight[n].start;
    size_t end = w->flight[n].end;
    if (!weather.loss[d] || chance(12))
        emit(k, d, start, end, w->flight[n].ack);
    receive_ack(k, d, w->flight[n].ack);
    memmove(&w->flight[n], &w->flight[n + 1], (w->flight_count - n - 1) * sizeof(w->flight[0]));
    w->flight_count--;
    advance(w);
    return true;
}

/*
 * Something received before comes once more, cut differently. If its sender knows that
 * it was received, the network has doubled it, with its first acknowledgment; else it is
 * sent again.
 */
static void repeat(struct talk *k, enum direction d)
{
    struct way *w = &k->way[d];
    if (w->delivered == 0)
        return;
    size_t start = chance((uint32_t)w->delivered);
    size_t end = MIN(start + 1 + chance(800), w->delivered);
    uint32_t ack = seq_of(k, !d, k->way[!d].delivered);
    if (seq_compare(seq_of(k, d, start), w->acked) < 0) {
        ack = w->ack[start];
        for (size_t i = start; i < end; i++)
            if (w->ack[i] != ack)
                end = i;
    }
    emit(k, d, start, end, ack);
    receive_ack(k, d, ack);
}

static void acknowledge(struct talk *k, enum direction d)
{
    conversation_packet(&k->c, d,
                        &(struct conversation_packet){
                            .flags = TCP_ACK,
                            .seq = seq_of(k, d, k->way[d].delivered),
                            .ack = seq_of(k, !d, k->way[!d].delivered),
                        });
    receive_ack(k, d, seq_of(k, !d, k->way[!d].delivered));
}

static void hang_up(struct talk *k)
{
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        k->c.end[d].ack = seq_of(k, !d, k->way[!d].delivered);
    }
    size_t in = k->way[DIRECTION_IN].stream.size;
    size_t out = k->way[DIRECTION_OUT].stream.size;
    k->c.end[DIRECTION_IN].seq += (uint32_t)in;
    k->c.end[DIRECTION_OUT].seq += (uint32_t)out;
    if (chance(3))
        conversation_close(&k->c);
    else if (chance(2))
        conversation_reset(&k->c, chance(2) ? DIRECTION_IN : DIRECTION_OUT);
    k->open = false;
}

static void step(struct talk *k)
{
    enum direction d = chance(2) ? DIRECTION_IN : DIRECTION_OUT;
    if (weather.snap)
        k->c.snap_bytes = chance(2) ? 0 : 40 + chance(200);
    switch (chance(8)) {
    case 0:
        repeat(k, d);
        break;
    case 1:
        acknowledge(k, d);
        break;
    case 2:
    case 3:
    case 4:
        launch(k, d);
        break;
    default:
        land(k, d);
    }
    if (k->way[0].delivered == k->way[0].stream.size &&
        k->way[1].delivered == k->way[1].stream.size)
        hang_up(k);
}

/* --- rounds --------------------------------------------------------------------------- */

enum { TALKS = 4 };

static void play(struct trial *t, struct talk *talks)
{
    for (uint16_t i = 0; i < TALKS; i++) {
        if (chance(6))
            talk_init(&talks[i], &t->sink, (uint16_t)(41000 + i));
        else
            talk_init_garbage(&talks[i], &t->sink, (uint16_t)(41000 + i));
    }
    for (unsigned open = TALKS; open;) {
        struct talk *k = &talks[chance(TALKS)];
        if (!k->open)
            continue;
        step(k);
        open -= !k->open;
        if (chance(50) == 0)
            trial_report(t);
    }
    trial_finish(t);
}

static const struct trial_transaction *find_told(const struct trial *t, uint16_t port,
                                                 unsigned number)
{
    char prefix[20];
    int size = snprintf(prefix, sizeof(prefix), "/%u?", number);
    for (size_t i = 0; i < t->transaction_count; i++)
        if (t->transactions[i].client_port == port &&
            strncmp(t->transactions[i].target, prefix, (size_t)size) == 0)
            return &t->transactions[i];
    return NULL;
}

/* Each request got the reply that was made for it, and each byte went where it belongs. */
static void check_talk(struct trial *t, const struct talk *k, struct service_counts *expected)
{
    for (unsigned i = 0; i < k->messages; i++) {
        const struct trial_transaction *told = find_told(t, k->c.end[DIRECTION_IN].port, i);
        assert_non_null(told);
        assert_int_equal(told->status, k->status[i]);
        struct service_counts *service = &expected[k->service[i]];
        for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
            const struct way *w = &k->way[d];
            size_t start = i ? w->message_end[i - 1] : 0;
            service->direction[d].payload += w->message_end[i] - start;
            if (d == DIRECTION_IN)
                assert_int_equal(told->payload[d], w->message_end[i] - start);
        }
        service->requests++;
        service->replies[k->status[i] / 100 - 1]++;
    }
}

/*
 * A client that does not pipeline: what is paired is paired right, as long as one
 * direction is whole.
 */
static void check_pairs(const struct trial *t, const struct talk *k)
{
    for (unsigned i = 0; k->depth == 1 && i < k->messages; i++) {
        const struct trial_transaction *told = find_told(t, k->c.end[DIRECTION_IN].port, i);
        if (told && told->status && told->status != k->status[i])
            fail_msg("request %u got reply %u, not %u", i, told->status, k->status[i]);
    }
}

static void check_services(struct trial *t, const struct service_counts *expected)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%u", i);
        const struct service_counts *got = trial_service(t, name);
        assert_int_equal(got->requests, expected[i].requests);
        for (unsigned k = 1; k < STATUS_CLASSES; k++)
            assert_int_equal(got->replies[k], expected[i].replies[k]);
        assert_int_equal(got->unanswered, 0);
        for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++)
            assert_int_equal(got->direction[d].payload, expected[i].direction[d].payload);
    }
    assert_int_equal(trial_service(t, "evil")->requests, 0);
    assert_int_equal(trial_service(t, "_unknown")->requests, 0);
}

static uint64_t sent_by(const struct talk *k)
{
    const struct direction_counts *in = &k->c.end[DIRECTION_IN].sent;
    const struct direction_counts *out = &k->c.end[DIRECTION_OUT].sent;
    return in->bytes + in->control + out->bytes + out->control;
}

static void play_round(uint64_t seed)
{
    struct trial t;
    struct talk talks[TALKS];
    chance_state = seed;
    filler = is_fine() ? tricky : plain;
    trial_init(&t, &(struct trial_options){0});
    play(&t, talks);

    struct service_counts expected[SERVICES] = {0};
    uint64_t tcp_bytes = 0, garbage_bytes = 0;
    for (unsigned i = 0; i < TALKS; i++) {
        tcp_bytes += sent_by(&talks[i]);
        garbage_bytes += talks[i].garbage ? sent_by(&talks[i]) : 0;
        if (is_fine())
            check_talk(&t, &talks[i], expected);
        if (!weather.snap && !(weather.loss[DIRECTION_IN] && weather.loss[DIRECTION_OUT]))
            check_pairs(&t, &talks[i]);
        talk_deinit(&talks[i]);
    }
    assert_int_equal(trial_interface(&t)->tcp_bytes, tcp_bytes);
    assert_int_equal(trial_interface(&t)->untracked_bytes, 0);
    if (is_fine()) {
        assert_int_equal(trial_interface(&t)->not_http_bytes, garbage_bytes);
        check_services(&t, expected);
    }
    trial_deinit(&t);
}

/* For about a second; BALANCE_SEED plays one round again. */
static void play_rounds(const struct weather *w)
{
    weather = *w;
    const char *again = getenv("BALANCE_SEED");
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t seed = (uint64_t)start.tv_sec * 1000000 + (uint64_t)start.tv_nsec / 1000;
    if (again)
        seed = strtoull(again, NULL, 10);
    unsigned rounds = 0;
    do {
        printf("\rseed %llu", (unsigned long long)seed);
        play_round(seed++);
        rounds++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!again && now.tv_sec - start.tv_sec < 2);
    printf("\r%u rounds\n", rounds);
}

static void without_loss_every_byte_is_where_it_belongs(void **state)
{
    (void)state;
    play_rounds(&(struct weather){0});
}

static void requests_that_are_lost_shift_no_reply(void **state)
{
    (void)state;
    play_rounds(&(struct weather){.loss = {true, false}});
}

static void replies_that_are_lost_shift_no_request(void **state)
{
    (void)state;
    play_rounds(&(struct weather){.loss = {false, true}});
}

static void with_cut_packets_the_books_balance(void **state)
{
    (void)state;
    play_rounds(&(struct weather){.snap = true});
}

static void whatever_is_lost_the_books_balance(void **state)
{
    (void)state;
    play_rounds(&(struct weather){.loss = {true, true}, .snap = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_loss_every_byte_is_where_it_belongs),
        cmocka_unit_test(requests_that_are_lost_shift_no_reply),
        cmocka_unit_test(replies_that_are_lost_shift_no_request),
        cmocka_unit_test(with_cut_packets_the_books_balance),
        cmocka_unit_test(whatever_is_lost_the_books_balance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
