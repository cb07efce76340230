/*
 * A message goes IDLE -> (METHOD) -> HEAD -> a body -> IDLE. llhttp sees heads
 * and chunked bodies only: bodies of known length are counted down here, so that
 * a hole in them does no harm.
 *
 * llhttp knows a fixed list of methods, HTTP does not (RFC 9110, section 9.1).
 * So the method is read here, and llhttp is fed POST in its place, which has the
 * framing of every method but CONNECT.
 */
#include "core/http.h"

#include <stdlib.h>
#include <strings.h>

#include "base/text.h"

enum {
    TEXT_SURE = 1024,     /* of each head, however many are under way */
    TEXTS_MAX = 64 << 20, /* of all of them, before only that is kept */
    SPARE_TEXT_MAX = 4096,
    METHOD_MAX = 32,
    TARGET_MAX = 64 * 1024,
    HOST_MAX = 512,
    REASON_MAX = 256,
};

enum part { PART_METHOD, PART_TARGET, PART_HOST, PART_REASON, PARTS };

/* A head under way: what is kept of it, one part after the other in text. */
struct http_partial {
    struct http_pool *pool;
    struct text text;
    struct {
        uint32_t start;
        uint32_t size;
        bool seen;
    } parts[PARTS];
    char field[5]; /* as much of the header field's name as tells whether it is Host */
    uint8_t field_size;
    bool host_done; /* the first Host counts */
    bool start_line_done;
    char tail[11]; /* of a request line with a blank in its target: a byte, a version, CR */
};

void http_pool_init(struct http_pool *p)
{
    *p = (struct http_pool){0};
    http_memo_init(&p->memo);
}

static void partial_free(struct http_partial *partial)
{
    if (!partial)
        return;
    text_deinit(&partial->text);
    free(partial);
}

void http_pool_deinit(struct http_pool *p)
{
    partial_free(TAKE(p->spare));
    http_memo_deinit(&p->memo);
}

static struct http_partial *pool_take(struct http_pool *p)
{
    struct http_partial *partial = TAKE(p->spare);
    struct text text = {0};
    if (!partial) {
        partial = malloc(sizeof(*partial));
        if (!partial)
            return NULL;
    } else {
        text = partial->text;
        if (text.capacity > SPARE_TEXT_MAX) /* once long, but this head may stay short */
            text_deinit(&text);
        text_clear(&text);
    }
    *partial = (struct http_partial){.pool = p, .text = text};
    p->text_bytes += text.capacity;
    return partial;
}

/*
 * The last one given is kept: views into it are still in use. One spare is enough,
 * as nearly every head begins and ends in one segment.
 */
static void pool_give(struct http_pool *p, struct http_partial *partial)
{
    if (!partial)
        return;
    p->text_bytes -= partial->text.capacity;
    partial_free(p->spare);
    p->spare = partial;
}

/* --- start lines --------------------------------------------------------- */

/* tchar of RFC 9110, section 5.6.2. */
static bool is_token(uint8_t c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr(others, c));
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Match @b against @pattern, in which 'd' is a digit and 'e' ends a word or line. */
static enum http_look look_pattern(struct bytes b, const char *pattern)
{
    for (size_t i = 0; pattern[i]; i++) {
        if (i == b.size)
            return HTTP_LOOK_MORE;
        uint8_t c = b.data[i];
        bool match = pattern[i] == 'd'   ? is_digit(c)
                     : pattern[i] == 'e' ? c == ' ' || c == '\r' || c == '\n'
                                         : c == (uint8_t)pattern[i];
        if (!match)
            return HTTP_LOOK_NO;
    }
    return HTTP_LOOK_YES;
}

/* Empty lines may come before a message (RFC 9112, section 2.2). */
static void skip_empty_lines(struct bytes *in)
{
    while (in->size && (in->data[0] == '\r' || in->data[0] == '\n'))
        bytes_take(in, 1);
}

static bool is_text(struct bytes b)
{
    for (size_t i = 0; i < b.size; i++)
        if (b.data[i] < ' ' && b.data[i] != '\t')
            return false;
    return true;
}

/* Whether @line, without its end, has a target and the version HTTP/1. */
static bool ends_in_version(struct bytes line)
{
    enum { VERSION_BYTES = sizeof(" HTTP/1.d") - 1 };
    return line.size > VERSION_BYTES &&
           look_pattern(bytes_make(line.data + line.size - VERSION_BYTES, VERSION_BYTES),
                        " HTTP/1.d") == HTTP_LOOK_YES;
}

static enum http_look look_request(struct bytes b)
{
    size_t i = 0;
    while (i < b.size && i <= METHOD_MAX && is_token(b.data[i]))
        i++;
    if (i == 0 || i > METHOD_MAX)
        return b.size ? HTTP_LOOK_NO : HTTP_LOOK_MORE;
    if (i == b.size)
        return HTTP_LOOK_MORE;
    if (b.data[i++] != ' ')
        return HTTP_LOOK_NO;

    bytes_take(&b, i);
    if (b.size && b.data[0] <= ' ')
        return HTTP_LOOK_NO;
    const uint8_t *end = b.size ? memchr(b.data, '\n', b.size) : NULL;
    struct bytes line = bytes_make(b.data, end ? (size_t)(end - b.data) : b.size);
    bool ends = end || (line.size && line.data[line.size - 1] == '\r');
    if (line.size && line.data[line.size - 1] == '\r')
        line.size--;
    if (!is_text(line))
        return HTTP_LOOK_NO;
    if (!ends)
        return HTTP_LOOK_MORE;
    return ends_in_version(line) ? HTTP_LOOK_YES : HTTP_LOOK_NO;
}

enum http_look http_look(enum http_side side, struct bytes b)
{
    skip_empty_lines(&b);
    return side == HTTP_SIDE_REQUEST ? look_request(b) : look_pattern(b, "HTTP/1.d ddde");
}

/* --- what llhttp tells ---------------------------------------------------- */

static void part_add(struct http_partial *partial, enum part part, const char *data, size_t size,
                     size_t max)
{
    if (!partial->parts[part].seen) {
        partial->parts[part].seen = true;
        partial->parts[part].start = (uint32_t)partial->text.size;
    }
    size_t room = max - partial->parts[part].size;
    struct text *text = &partial->text;
    if (partial->pool->text_bytes > TEXTS_MAX) {
        size_t sure = text->size < TEXT_SURE ? TEXT_SURE - text->size : 0;
        room = MIN(room, sure);
    }
    size_t capacity = text->capacity;
    text_add(text, bytes_make(data, MIN(size, room)));
    partial->pool->text_bytes += text->capacity - capacity;
    partial->parts[part].size = (uint32_t)(partial->text.size - partial->parts[part].start);
}

/* The text may be NULL when all parts are empty or memory was short. */
static struct bytes part_view(const struct http_partial *partial, enum part part)
{
    if (!partial->parts[part].seen || !partial->text.data)
        return (struct bytes){0};
    return bytes_make(partial->text.data + partial->parts[part].start, partial->parts[part].size);
}

static struct http_partial *partial_of(llhttp_t *parser)
{
    return CONTAINER_OF(parser, struct http_framer, parser)->partial;
}

static int on_url(llhttp_t *parser, const char *data, size_t size)
{
    part_add(partial_of(parser), PART_TARGET, data, size, TARGET_MAX);
    return 0;
}

static int on_status(llhttp_t *parser, const char *data, size_t size)
{
    part_add(partial_of(parser), PART_REASON, data, size, REASON_MAX);
    return 0;
}

/* The version is the last word of a request's first line, the reason of a reply's. */
static int on_version_complete(llhttp_t *parser)
{
    partial_of(parser)->start_line_done = parser->type == HTTP_REQUEST;
    return 0;
}

static int on_status_complete(llhttp_t *parser)
{
    partial_of(parser)->start_line_done = true;
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *data, size_t size)
{
    struct http_partial *partial = partial_of(parser);
    if (!partial) /* a trailer */
        return 0;
    for (size_t i = 0; i < size && partial->field_size < sizeof(partial->field); i++)
        partial->field[partial->field_size++] = data[i];
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *data, size_t size)
{
    struct http_partial *partial = partial_of(parser);
    if (partial && !partial->host_done && partial->field_size == 4 &&
        strncasecmp(partial->field, "host", 4) == 0)
        part_add(partial, PART_HOST, data, size, HOST_MAX);
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct http_partial *partial = partial_of(parser);
    if (partial) {
        partial->field_size = 0;
        partial->host_done = partial->parts[PART_HOST].seen;
    }
    return 0;
}

static int on_pause(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

/* The next chunk follows, unless that was the last one. */
static int on_chunk_complete(llhttp_t *parser)
{
    if (parser->flags & F_TRAILING)
        return 0;
    CONTAINER_OF(parser, struct http_framer, parser)->chunk = HTTP_CHUNK_SIZE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_status = on_status,
    .on_version_complete = on_version_complete,
    .on_status_complete = on_status_complete,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_pause,
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_pause,
};

/* --- states ---------------------------------------------------------------- */

void http_framer_init(struct http_framer *f, enum http_side side)
{
    *f = (struct http_framer){.side = (uint8_t)side};
}

void http_framer_deinit(struct http_framer *f, struct http_pool *pool)
{
    pool_give(pool, TAKE(f->partial));
}

static void parser_start(struct http_framer *f)
{
    llhttp_init(&f->parser, f->side == HTTP_SIDE_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    llhttp_set_lenient_headers(&f->parser, 1);
    llhttp_set_lenient_chunked_length(&f->parser, 1);
    llhttp_set_lenient_transfer_encoding(&f->parser, 1);
}

static enum http_step event_of(struct http_event *event, enum http_event_kind kind)
{
    event->kind = kind;
    return HTTP_STEP_EVENT;
}

static enum http_step take_all(struct bytes *in)
{
    bytes_take(in, in->size);
    return HTTP_STEP_MORE;
}

/* Between messages: empty lines, then a first byte. */
static enum http_step step_idle(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                                struct http_event *event)
{
    skip_empty_lines(in);
    if (in->size == 0)
        return HTTP_STEP_MORE;

    bool request = f->side == HTTP_SIDE_REQUEST;
    bool begins = request ? is_token(in->data[0]) : in->data[0] == 'H';
    pool->begun = begins ? http_memo_head(&pool->memo, *in) : (struct bytes){0};
    pool->known = http_memo_find(&pool->memo, f, pool->begun);
    if (pool->known) {
        f->state = HTTP_STATE_KNOWN;
        return event_of(event, HTTP_EVENT_START);
    }
    f->partial = begins ? pool_take(pool) : NULL;
    if (!f->partial) {
        f->state = HTTP_STATE_LOST;
        return take_all(in);
    }
    parser_start(f);
    f->missing = false;
    f->after = HTTP_STATE_LOST;
    f->state = request ? HTTP_STATE_METHOD : HTTP_STATE_HEAD;
    return event_of(event, HTTP_EVENT_START);
}

static enum http_step step_known(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                                 struct http_event *event)
{
    bytes_take(in, http_memo_recall(pool->known, f, &event->head));
    return event_of(event, HTTP_EVENT_HEAD);
}

/* llhttp leaves white space behind a header's value in it. */
static struct bytes without_trailing_space(struct bytes b)
{
    while (b.size && (b.data[b.size - 1] == ' ' || b.data[b.size - 1] == '\t'))
        b.size--;
    return b;
}

static void fill_head(struct http_framer *f, struct http_head *head)
{
    const struct http_partial *partial = f->partial;
    *head = (struct http_head){
        .method = part_view(partial, PART_METHOD),
        .target = part_view(partial, PART_TARGET),
        .host = without_trailing_space(part_view(partial, PART_HOST)),
        .reason = part_view(partial, PART_REASON),
        .major = f->parser.http_major,
        .minor = f->parser.http_minor,
        .status = f->parser.status_code,
        .connect = f->connect,
        .headless = bytes_equal(part_view(partial, PART_METHOD), BYTES("HEAD")),
        .upgrade = f->side == HTTP_SIDE_REQUEST && f->parser.upgrade,
    };
}

/*
 * Whether the request line that breaks off in its target is one all the same: other
 * protocols have no word in capitals before a path.
 */
static bool is_cut_request_line(const struct http_framer *f)
{
    struct bytes method = part_view(f->partial, PART_METHOD);
    struct bytes target = part_view(f->partial, PART_TARGET);
    for (size_t i = 0; i < method.size; i++)
        if (method.data[i] < 'A' || method.data[i] > 'Z')
            return false;
    return f->missing && method.size > 2 && target.size && target.data[0] == '/';
}

/* The head ends before its blank line: its start line may be whole all the same. */
static enum http_step step_cut(struct http_framer *f, struct http_pool *pool,
                               struct http_event *event)
{
    bool usable = f->partial->start_line_done && f->parser.http_major == 1;
    usable |= f->side == HTTP_SIDE_REQUEST && is_cut_request_line(f);
    usable &= !text_failed(&f->partial->text);
    fill_head(f, &event->head);
    event->head.cut = true;
    pool_give(pool, TAKE(f->partial));
    f->state = f->after;
    return event_of(event, usable ? HTTP_EVENT_HEAD : HTTP_EVENT_ABANDON);
}

/*
 * A blank in the target: no server should take it, many do. The request line is
 * one if it ends like one. Where the head ends is not known then.
 */
static enum http_step step_line(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                                struct http_event *event)
{
    struct http_partial *partial = f->partial;
    while (in->size) {
        uint8_t c = bytes_take(in, 1).data[0];
        if (c != '\n') {
            memmove(partial->tail, partial->tail + 1, sizeof(partial->tail) - 1);
            partial->tail[sizeof(partial->tail) - 1] = (char)c;
            continue;
        }
        struct bytes line = bytes_make(partial->tail, sizeof(partial->tail));
        line.size -= line.data[line.size - 1] == '\r';
        bool version = ends_in_version(line);
        uint8_t minor = (uint8_t)(line.data[line.size - 1] - '0');
        f->parser.http_major = version;
        f->parser.http_minor = minor;
        partial->start_line_done = version;
        return step_cut(f, pool, event);
    }
    return HTTP_STEP_MORE;
}

static enum http_step step(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                           struct http_event *event);

static enum http_step step_method(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                                  struct http_event *event)
{
    size_t room = METHOD_MAX - f->partial->parts[PART_METHOD].size;
    size_t size = 0;
    while (size < in->size && size < room && is_token(in->data[size]))
        size++;
    struct bytes piece = bytes_take(in, size);
    part_add(f->partial, PART_METHOD, (const char *)piece.data, piece.size, METHOD_MAX);
    if (in->size == 0)
        return HTTP_STEP_MORE;
    if (in->data[0] != ' ')
        return step_cut(f, pool, event);

    f->connect = bytes_equal(part_view(f->partial, PART_METHOD), BYTES("CONNECT"));
    struct bytes stand_in = f->connect ? BYTES("CONNECT") : BYTES("POST");
    llhttp_execute(&f->parser, (const char *)stand_in.data, stand_in.size);
    f->state = HTTP_STATE_HEAD;
    return step(f, pool, in, event);
}

static void body_of_length(struct http_framer *f, uint64_t length)
{
    f->state = HTTP_STATE_LENGTH;
    f->remaining = length;
}

/* RFC 9112, section 6.3, as far as the reply itself tells. */
static void start_body(struct http_framer *f)
{
    bool request = f->side == HTTP_SIDE_REQUEST;
    unsigned status = f->parser.status_code;
    bool bodyless = !request && (status < 200 || status == 204 || status == 304);

    f->chunk = HTTP_CHUNK_SIZE;
    f->after = HTTP_STATE_IDLE;
    if (request && f->parser.upgrade)
        f->after = HTTP_STATE_HOLD;

    bool coded = f->parser.flags & F_TRANSFER_ENCODING;
    bool has_length = f->parser.flags & F_CONTENT_LENGTH;
    if (bodyless || (request && !coded && !has_length))
        body_of_length(f, 0);
    else if (f->parser.flags & F_CHUNKED)
        f->state = HTTP_STATE_CHUNKED;
    else if (has_length) /* also behind the "identity" of RFC 2616 */
        body_of_length(f, f->parser.content_length);
    else
        f->state = request ? HTTP_STATE_LOST : HTTP_STATE_UNTIL_CLOSE;
}

static size_t parser_take(struct http_framer *f, struct bytes *in, llhttp_errno_t *result)
{
    if (llhttp_get_errno(&f->parser) == HPE_PAUSED)
        llhttp_resume(&f->parser);
    const char *data = (const char *)in->data;
    *result = llhttp_execute(&f->parser, data, in->size);
    size_t used = *result == HPE_OK ? in->size : (size_t)(llhttp_get_error_pos(&f->parser) - data);
    bytes_take(in, used);
    return used;
}

/* Whether a request line broke off behind a part of its target that is a path. */
static bool is_in_target(const struct http_framer *f)
{
    struct bytes target = part_view(f->partial, PART_TARGET);
    return f->side == HTTP_SIDE_REQUEST && !f->partial->start_line_done && target.size &&
           target.data[0] == '/';
}

static enum http_step step_head(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                                struct http_event *event)
{
    if (in->size == 0)
        return HTTP_STEP_MORE;

    llhttp_errno_t result;
    parser_take(f, in, &result);
    if (result == HPE_OK)
        return HTTP_STEP_MORE;
    if (result == HPE_INVALID_CONSTANT && is_in_target(f)) {
        f->state = HTTP_STATE_LINE;
        return step_line(f, pool, in, event);
    }
    if (result != HPE_PAUSED || f->parser.http_major != 1)
        return step_cut(f, pool, event);

    fill_head(f, &event->head);
    event->head.cut = text_failed(&f->partial->text);
    pool_give(pool, TAKE(f->partial));
    start_body(f);
    /* Read to where it was taken to end, so its bytes are all that it depends on. */
    if (in->data == pool->begun.data + pool->begun.size && !event->head.cut)
        http_memo_add(&pool->memo, pool->begun, f, &event->head);
    return event_of(event, HTTP_EVENT_HEAD);
}

/* Bytes of the request that may change the protocol, or already of the next one. */
static enum http_step step_hold(struct http_framer *f, struct bytes *in)
{
    f->remaining += in->size; /* how many: see http_framer_release() */
    return take_all(in);
}

static enum http_step end_body(struct http_framer *f, struct bytes *in, struct http_event *event)
{
    f->state = f->after;
    f->remaining = 0;
    return f->state == HTTP_STATE_HOLD ? step_hold(f, in) : event_of(event, HTTP_EVENT_END);
}

static enum http_step step_length(struct http_framer *f, struct bytes *in, struct http_event *event)
{
    uint64_t size = MIN((uint64_t)in->size, f->remaining);
    bytes_take(in, (size_t)size);
    f->remaining -= size;
    return f->remaining ? HTTP_STEP_MORE : end_body(f, in, event);
}

static bool is_hex_digit(uint8_t c)
{
    return is_digit(c) || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

/* How much of @in llhttp may see: of the line with a chunk's size only the digits. */
static size_t chunk_piece(struct http_framer *f, struct bytes in)
{
    if (f->chunk == HTTP_CHUNK_REST)
        return in.size;

    size_t size = 0;
    while (size < in.size && is_hex_digit(in.data[size]))
        size++;
    if (size < in.size) {
        uint8_t c = in.data[size];
        f->chunk = c == ';' || c == ' ' || c == '\t' ? HTTP_CHUNK_EXTENSION : HTTP_CHUNK_REST;
    }
    return size;
}

/* llhttp rejects some extensions that are valid, and space before them. */
static void skip_chunk_extension(struct http_framer *f, struct bytes *in)
{
    while (in->size && in->data[0] != '\r' && in->data[0] != '\n')
        bytes_take(in, 1);
    if (in->size)
        f->chunk = HTTP_CHUNK_REST;
}

static enum http_step step_chunked(struct http_framer *f, struct bytes *in,
                                   struct http_event *event)
{
    while (in->size) {
        if (f->chunk == HTTP_CHUNK_EXTENSION) {
            skip_chunk_extension(f, in);
            continue;
        }
        struct bytes piece = bytes_make(in->data, chunk_piece(f, *in));
        llhttp_errno_t result;
        bytes_take(in, parser_take(f, &piece, &result));
        if (result == HPE_PAUSED && f->parser.flags & F_TRAILING)
            return end_body(f, in, event);
        if (result != HPE_OK && result != HPE_PAUSED) {
            f->state = HTTP_STATE_LOST;
            return take_all(in);
        }
    }
    return HTTP_STEP_MORE;
}

/* A body whose chunks are not followed: the next message may begin behind it. */
static enum http_step step_turn(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                                struct http_event *event)
{
    const struct bytes empty_line = BYTES("\r\n\r\n");
    while (f->expected) {
        const uint8_t *found =
            in->size ? memmem(in->data, in->size, empty_line.data, empty_line.size) : NULL;
        if (!found)
            break;
        bytes_take(in, (size_t)(found - in->data) + empty_line.size);
        if (http_look(f->side, *in) != HTTP_LOOK_YES)
            continue;
        f->state = HTTP_STATE_IDLE;
        return step_idle(f, pool, in, event);
    }
    return take_all(in);
}

static enum http_step step(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                           struct http_event *event)
{
    switch ((enum http_state)f->state) {
    case HTTP_STATE_IDLE:
        return step_idle(f, pool, in, event);
    case HTTP_STATE_METHOD:
        return step_method(f, pool, in, event);
    case HTTP_STATE_HEAD:
        return step_head(f, pool, in, event);
    case HTTP_STATE_LINE:
        return step_line(f, pool, in, event);
    case HTTP_STATE_KNOWN:
        return step_known(f, pool, in, event);
    case HTTP_STATE_CUT:
        return step_cut(f, pool, event);
    case HTTP_STATE_LENGTH:
        return step_length(f, in, event);
    case HTTP_STATE_CHUNKED:
        return step_chunked(f, in, event);
    case HTTP_STATE_HOLD:
        return step_hold(f, in);
    case HTTP_STATE_TURN:
        return step_turn(f, pool, in, event);
    case HTTP_STATE_UNTIL_CLOSE:
    case HTTP_STATE_TUNNEL:
    case HTTP_STATE_LOST:
    case HTTP_STATE_CLOSED:
        break;
    }
    return take_all(in);
}

enum http_step http_framer_step(struct http_framer *f, struct http_pool *pool, struct bytes *in,
                                struct http_event *event)
{
    enum http_step result = step(f, pool, in, event);
    if (result == HTTP_STEP_MORE) /* what follows is another piece of memory */
        pool->begun = (struct bytes){0};
    return result;
}

/* --- what the caller knows --------------------------------------------------- */

void http_framer_segment(struct http_framer *f, struct bytes in)
{
    bool open = f->state == HTTP_STATE_LOST || f->state == HTTP_STATE_TURN ||
                (f->state == HTTP_STATE_HOLD && !f->connect);
    if (open && http_look(f->side, in) == HTTP_LOOK_YES)
        f->state = HTTP_STATE_IDLE;
}

void http_framer_skip(struct http_framer *f, uint64_t count)
{
    switch ((enum http_state)f->state) {
    case HTTP_STATE_IDLE:
        f->state = HTTP_STATE_LOST;
        break;
    case HTTP_STATE_CHUNKED:
        f->state = HTTP_STATE_TURN;
        break;
    case HTTP_STATE_METHOD:
    case HTTP_STATE_HEAD:
    case HTTP_STATE_LINE:
        f->state = HTTP_STATE_CUT;
        f->missing = true;
        break;
    case HTTP_STATE_LENGTH:
        if (count > f->remaining)
            f->after = HTTP_STATE_LOST;
        f->remaining -= MIN(count, f->remaining);
        break;
    case HTTP_STATE_HOLD:
        f->remaining += count;
        break;
    case HTTP_STATE_KNOWN:
    case HTTP_STATE_CUT:
    case HTTP_STATE_UNTIL_CLOSE:
    case HTTP_STATE_TURN:
    case HTTP_STATE_TUNNEL:
    case HTTP_STATE_LOST:
    case HTTP_STATE_CLOSED:
        break;
    }
}

void http_framer_no_body(struct http_framer *f)
{
    if (f->after == HTTP_STATE_IDLE) /* otherwise the head was cut, and what follows is unknown */
        body_of_length(f, 0);
}

/* In the middle of a head, what the head was gets told first. */
static void change_to(struct http_framer *f, enum http_state state)
{
    f->state = (uint8_t)(f->partial ? HTTP_STATE_CUT : state);
    f->after = (uint8_t)state;
}

void http_framer_tunnel(struct http_framer *f)
{
    change_to(f, HTTP_STATE_TUNNEL);
}

void http_framer_release(struct http_framer *f)
{
    if (f->state == HTTP_STATE_HOLD) {
        f->after = f->remaining ? HTTP_STATE_LOST : HTTP_STATE_IDLE;
        body_of_length(f, 0);
    } else if (f->after == HTTP_STATE_HOLD) {
        f->after = HTTP_STATE_IDLE;
    }
}

void http_framer_finish(struct http_framer *f)
{
    change_to(f, HTTP_STATE_CLOSED);
}

bool http_framer_skips(const struct http_framer *f, uint64_t count)
{
    switch ((enum http_state)f->state) {
    case HTTP_STATE_LENGTH:
        return count <= f->remaining;
    case HTTP_STATE_UNTIL_CLOSE:
    case HTTP_STATE_TUNNEL:
    case HTTP_STATE_CLOSED:
        return true;
    default:
        return false;
    }
}
