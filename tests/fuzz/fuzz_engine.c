/*
 * Up to four TCP connections by a script in the input, and frames of any content
 * in between. The books must balance in the end.
 *
 * An operation is a byte "0CCDOOOO": connection, direction, operation; some are
 * followed by a byte that says how much.
 */
#include "core/engine.h"

#include "base/macros.h"
#include "fuzz/fuzz.h"
#include "support/conversation.h"
#include "support/trial.h"

#define FAIR  "\0" /* the first byte: see below */
#define OPEN  "\0"
#define IN    "\1"
#define OUT   "\x11"
#define CLOSE "\4\x14\5"

const struct bytes fuzz_seeds[] = {
    BYTES(FAIR OPEN IN "\x16GET /?s=a HTTP/1.1\r\n\r\n" OUT
                       "\x26HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" CLOSE),
    BYTES(FAIR OPEN IN "\x23GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n" IN "\2\r\n" OUT
                       "\x12HTTP/1.1 204 N\r\n\r\n" OUT "\x12HTTP/1.0 200 O\r\n\r\n" CLOSE),
    BYTES(FAIR OPEN IN "\x34POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" CLOSE),
    BYTES(FAIR OPEN "\2\5\5/ HTT" IN "\5GET /"
                    "\6\x20\x16\x40\7\x30" CLOSE "\x09\x0a\xff"),
    BYTES(FAIR OPEN IN "\030CONNECT a:1 HTTP/1.1\r\n\r\n" OUT "\x12HTTP/1.1 200 O\r\n\r\n" IN
                       "\3abc"),
    BYTES("\7\x20\x21\x16GET /?s=a HTTP/1.1\r\n\r\n\x0b\x08\x08\x28\x45\0\0\x28"),
};
const size_t fuzz_seed_count = ARRAY_SIZE(fuzz_seeds);

enum { CONVERSATIONS = 4 };

static uint8_t take_byte(struct bytes *in)
{
    struct bytes b = bytes_take(in, 1);
    return b.size ? b.data[0] : 0;
}

static void frame(struct trial *t, struct bytes data)
{
    struct frame f = frame_of(data, t->sink.now_ns);
    engine_frame(t->engine, &f);
}

static void operate(struct trial *t, struct conversation *all, struct bytes *in)
{
    uint8_t op = take_byte(in);
    struct conversation *c = &all[op >> 5 & 3];
    enum direction d = op & 0x10 ? DIRECTION_OUT : DIRECTION_IN;
    switch (op & 0xf) {
    case 0:
        conversation_open(c);
        break;
    case 1:
        conversation_send(c, d, bytes_take(in, take_byte(in)));
        break;
    case 2: {
        int32_t offset = (int8_t)take_byte(in);
        conversation_send_at(c, d, offset, bytes_take(in, take_byte(in)));
        break;
    }
    case 3:
        conversation_reset(c, d);
        break;
    case 4:
        conversation_fin(c, d);
        break;
    case 5:
        conversation_ack(c, d);
        break;
    case 6:
        conversation_miss(c, d, take_byte(in));
        break;
    case 7:
        c->snap_bytes = take_byte(in);
        break;
    case 8:
        frame(t, bytes_take(in, take_byte(in)));
        break;
    case 9:
        trial_report(t);
        break;
    case 10:
        t->sink.now_ns += take_byte(in) * 1000000000ull;
        engine_expire(t->engine, t->sink.now_ns);
        break;
    case 11:
        c->gso_size = take_byte(in);
        break;
    case 12:
        conversation_syn(c);
        break;
    case 13:
        conversation_syn_ack(c);
        break;
    default:
        conversation_packet(c, d,
                            &(struct conversation_packet){
                                .flags = take_byte(in),
                                .seq = c->end[d].seq + ((uint32_t)take_byte(in) << 24),
                                .ack = c->end[d].ack + ((uint32_t)take_byte(in) << 24),
                                .payload = bytes_take(in, take_byte(in)),
                            });
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = bytes_make(data, size);
    uint8_t how = take_byte(&in);
    struct trial t;
    trial_init(&t, &(struct trial_options){
                       .sessions_max = how & 1 ? 2 : 0,
                       .services_max = how & 2 ? 1 : 0,
                       .impatient = how & 4,
                   });
    struct conversation all[CONVERSATIONS];
    for (uint16_t i = 0; i < CONVERSATIONS; i++)
        conversation_init(&all[i], &t.sink, (uint16_t)(41000 + i / 2), 0u - 20 * i);
    while (in.size)
        operate(&t, all, &in);
    trial_finish(&t);
    trial_deinit(&t);
    return 0;
}
