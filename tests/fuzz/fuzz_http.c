/*
 * The HTTP framer tells the same of a stream whole and in pieces. The first byte
 * says which side it is, the second how long the pieces are.
 */
#include "core/http.h"

#include <stdlib.h>

#include "base/text.h"
#include "fuzz/fuzz.h"

const struct bytes fuzz_seeds[] = {
    BYTES("\0\1GET /x?s=yo HTTP/1.1\r\nHost: h\r\n\r\nHEAD / HTTP/1.0\n\n"),
    BYTES("\0\7POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\nBREW * HTTP/1.1\r\n\r\n"),
    BYTES("\0\3PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTE: x\r\n\r\n"
          "3;a=b;c=\"d\"\r\nabc\r\n0\r\nT: x\r\n\r\n"),
    BYTES("\0\5CONNECT h:443 HTTP/1.1\r\n\r\n\x16\x03\x01"),
    BYTES("\0\5GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"),
    BYTES("\1\1HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    BYTES("\1\4HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n"),
    BYTES("\1\2HTTP/1.0 304 Not\r\nX: a\r\n b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end"),
};
const size_t fuzz_seed_count = ARRAY_SIZE(fuzz_seeds);

static void log_event(struct text *log, size_t position, const struct http_event *event)
{
    text_printf(log, "%zu:%d ", position, event->kind);
    if (event->kind != HTTP_EVENT_HEAD)
        return;
    text_add(log, event->head.method);
    text_add(log, event->head.target);
    text_add(log, event->head.host);
    text_add(log, event->head.reason);
    text_printf(log, "%u%d%d%d", event->head.status, event->head.cut, event->head.upgrade,
                event->head.headless);
}

static size_t take(struct http_framer *f, struct http_pool *pool, struct bytes in, size_t position,
                   struct text *log)
{
    struct http_event event;
    enum http_step step;
    do {
        size_t before = in.size;
        step = http_framer_step(f, pool, &in, &event);
        position += before - in.size;
        if (step == HTTP_STEP_EVENT)
            log_event(log, position, &event);
    } while (step == HTTP_STEP_EVENT);
    FUZZ_ASSERT(in.size == 0);
    return position;
}

static void read_in_pieces(enum http_side side, struct bytes stream, size_t piece, struct text *log)
{
    struct http_framer f;
    struct http_pool pool;
    http_framer_init(&f, side);
    http_pool_init(&pool);
    text_init(log);
    size_t position = 0;
    while (stream.size)
        position = take(&f, &pool, bytes_take(&stream, piece), position, log);
    http_framer_finish(&f);
    take(&f, &pool, stream, position, log);
    http_framer_deinit(&f, &pool);
    FUZZ_ASSERT(pool.text_bytes == 0);
    http_pool_deinit(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum http_side side = data[0] & 1 ? HTTP_SIDE_REPLY : HTTP_SIDE_REQUEST;
    struct bytes stream = bytes_make(data + 2, size - 2);
    AUTO(text_deinit) struct text whole;
    AUTO(text_deinit) struct text pieces;
    read_in_pieces(side, stream, stream.size, &whole);
    read_in_pieces(side, stream, (size_t)data[1] + 1, &pieces);
    FUZZ_ASSERT(
        bytes_equal(bytes_make(whole.data, whole.size), bytes_make(pieces.data, pieces.size)));
    http_look(side, stream);
    return 0;
}
