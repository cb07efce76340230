/*
 * What the filter makes of HTTP: whether a packet begins with a head that ends in
 * it, and where what a request declares ends. It knows far less than core/http.c,
 * so in doubt it says that it can't tell, and the packet is delivered.
 */
#pragma once

#include "packet.bpf.h"

enum {
    SCAN_MAX = 1024,         /* bytes of a head that are looked at */
    SCAN_STEP = 6,           /* windows of 8 bytes overlap by 2 */
    FIELD_NAME_MAX = 16,     /* bytes of a field's name that are compared */
    DIGITS_MAX = 9,          /* of Content-Length: it stays below 2^30 */
    BLANK_LINE = 0x0a0d0a0d, /* CR LF CR LF */
};

struct scratch {
    __u8 data[SCAN_MAX + FIELD_NAME_MAX + 8];
    /* Here, and not in registers, the verifier need not follow what they are. */
    __u32 head_bytes;
    __u32 length_at; /* where the value of Content-Length begins */
    __u32 part;      /* enum part */
    __u64 doubts;    /* not 0: what is there is not plain, see doubts_in() */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch(void)
{
    __u32 zero = 0;
    return bpf_map_lookup_elem(&scratches, &zero);
}

/* Fill @s with @size bytes from @offset, SCAN_MAX at most. */
static __always_inline bool load_scratch(struct __sk_buff *skb, struct scratch *s, __u32 offset,
                                         __u32 size)
{
    if (size == 0 || size > SCAN_MAX)
        return false;
    __u64 rest = size - 1;
    asm volatile("" : "+r"(rest)); /* or the compiler drops the mask, which the verifier needs */
    rest &= SCAN_MAX - 1;
    return !bpf_skb_load_bytes(skb, offset, s->data, rest + 1);
}

/*
 * In each byte of the result, the top bit tells that the byte of @word is @c. So it may
 * of a byte behind one that is.
 */
static __always_inline __u64 bytes_equal(__u64 word, __u8 c)
{
    const __u64 low = 0x0101010101010101, high = 0x8080808080808080;
    __u64 difference = word ^ low * c;
    return (difference - low) & ~difference & high;
}

/* What a line of a head tells of where the message ends. */
enum field { FIELD_ANY, FIELD_CONTENT_LENGTH, FIELD_UNSAFE, FIELD_EMPTY };

/*
 * Which field begins behind the LF at @at of the scratch. Folded lines and transfer codings are
 * beyond what is understood here, and a field without a name is none.
 */
__noinline int field_behind(__u32 at)
{
    const __u64 lower = 0x2020202020202020, six = bpf_cpu_to_be64(0xffffffffffff0000);
    const struct scratch *s = scratch();
    if (!s)
        return FIELD_UNSAFE;
    const __u8 *field = s->data + (at & (SCAN_MAX - 1)) + 1;
    if (field[0] == '\n' || (field[0] == '\r' && field[1] == '\n'))
        return FIELD_EMPTY;
    if (field[0] == ' ' || field[0] == '\t' || field[0] == ':')
        return FIELD_UNSAFE;
    __u64 name = *(const __u64 *)field | lower;
    if (name == bpf_cpu_to_be64(0x7472616e73666572)) /* transfer */
        return FIELD_UNSAFE;
    if (name != bpf_cpu_to_be64(0x636f6e74656e742d)) /* content- */
        return FIELD_ANY;
    __u64 rest = *(const __u64 *)(field + sizeof(name)) | lower;
    if ((rest & six) != bpf_cpu_to_be64(0x6c656e6774680000)) /* length */
        return FIELD_ANY;
    return field[7] == '-' && field[14] == ':' ? FIELD_CONTENT_LENGTH : FIELD_UNSAFE;
}

/*
 * Not 0 if there is what is not plain in @word, which is at @at of the scratch and has
 * @line_feeds: a CR without LF, which readers take differently, a folded line, or a field
 * that tells of a body.
 */
static __always_inline __u64 doubts_in(__u64 word, __u64 line_feeds, __u32 at)
{
    __u64 doubts = bytes_equal(word, '\r') << 8 & ~line_feeds;
    __u64 first = line_feeds << 8; /* of a line */
    if (!first)
        return doubts;
    doubts |= first & (bytes_equal(word, ' ') | bytes_equal(word, '\t'));
    __u64 lower = word | 0x2020202020202020;
    __u64 fields = first & (bytes_equal(lower, 'c') | bytes_equal(lower, 't'));
    if (!fields)
        return doubts;
    if (fields & (fields - 1))
        return fields; /* two lines in eight bytes */
    __u32 index = (fields >> 7) * 0x0001020304050607 >> 56;
    return doubts | (field_behind(at + index - 1) != FIELD_ANY);
}

/*
 * Load @size bytes of the payload into the scratch, and look for an empty line, LF LF
 * or LF CR LF, in the first @look of them. Returns a number of bytes that ends behind
 * it by a few at most; 0 without one; -1 if it can't be told. Two LF with any byte
 * between them pass for one, too. If it @judges, and there is none, the scratch has doubts.
 *
 * Global, as others below, so that the verifier looks at it once and not for each
 * caller.
 */
__noinline int find_empty_line(struct __sk_buff *skb, __u32 offset, __u32 size, __u32 look,
                               __u32 judges)
{
    struct scratch *s = scratch();
    if (!s || !load_scratch(skb, s, offset, size))
        return -1;
    s->doubts = 0;
    for (__u32 i = 0; i < SCAN_MAX; i += SCAN_STEP) {
        if (i + 1 >= look)
            break;
        __u64 word = *(__u64 *)(s->data + i);
        if (i + 8 > look)
            word &= (1ull << 8 * (look - i)) - 1;
        __u64 found = bytes_equal(word, '\n');
        if (judges)
            s->doubts |= doubts_in(word, found, i);
        if (found & (found >> 8) || found & (found >> 16))
            return i + 8;
    }
    return 0;
}

/* Whether the line that ends with the LF at @end of the scratch is a request line of HTTP/1. */
__noinline int is_request_line(__u32 end)
{
    enum { VERSION_BYTES = 10 }; /* " HTTP/1.1" CR */
    const struct scratch *s = scratch();
    if (!s || end < VERSION_BYTES)
        return 0;
    const __u8 *version = s->data + ((end - VERSION_BYTES) & (SCAN_MAX - 1));
    return *(const __u64 *)version == bpf_cpu_to_be64(0x20485454502f312e) &&
           (version[8] == '0' || version[8] == '1') && version[9] == '\r';
}

/* The decimal number that follows blanks at @at of the scratch and ends the line, or -1. */
__noinline int number_at(__u32 at)
{
    const struct scratch *s = scratch();
    __u32 number = 0, digits = 0;
    for (__u32 i = 0; s && i < DIGITS_MAX + 3; i++) {
        __u8 c = s->data[(at + i) & (SCAN_MAX - 1)];
        if (c == ' ' && digits == 0)
            continue;
        if (c == '\r')
            return digits ? (int)number : -1; /* a LF follows, or the head is not plain */
        if (c < '0' || c > '9' || ++digits > DIGITS_MAX)
            return -1;
        number = number * 10 + (c - '0');
    }
    return -1;
}

/* Of a request's head. */
enum part { PART_METHOD, PART_TARGET, PART_VERSION, PART_NAME, PART_VALUE };

/*
 * The part that is there behind @c, which was in @part and is followed by @next; -1 if
 * @c is not plain there. What some reader of HTTP might refuse is not plain.
 */
static __always_inline int part_behind(enum part part, __u8 c, __u8 next)
{
    bool visible = c > ' ' && c < 0x7f;
    __u8 lower = c | 0x20;
    switch (part) {
    case PART_METHOD:
        if (c == ' ' && next == '/')
            return PART_TARGET;
        return c >= 'A' && c <= 'Z' ? PART_METHOD : -1;
    case PART_TARGET:
        if (c == ' ')
            return PART_VERSION;
        return visible ? PART_TARGET : -1;
    case PART_VERSION:
        return visible ? PART_VERSION : -1;
    case PART_NAME:
        if (c == ':')
            return PART_VALUE;
        return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'
                   ? PART_NAME
                   : -1;
    default:
        return c == '\t' || (c >= ' ' && c != 0x7f) ? PART_VALUE : -1;
    }
}

/* Whether a line of a head may end in @part, with the LF at @at of the scratch. */
static __always_inline bool may_end_in(enum part part, __u32 at)
{
    return part == PART_VALUE || (part == PART_VERSION && is_request_line(at));
}

/*
 * How many bytes the request has that the payload begins with: its head, which must be
 * in the first @size bytes, and a body of known length, RFC 9112, section 6.3. Returns -1
 * if it can't be told.
 */
__noinline int find_request_end(struct __sk_buff *skb, __u32 offset, __u32 size)
{
    struct scratch *s = scratch();
    if (!s || !load_scratch(skb, s, offset, size))
        return -1;
    s->head_bytes = 0;
    s->length_at = 0;
    s->part = PART_METHOD;
    for (__u32 i = 0; i < SCAN_MAX; i++) {
        if (i >= size)
            break;
        __u8 c = s->data[i], next = s->data[i + 1];
        if (c != '\r' && c != '\n') {
            int part = part_behind(s->part, c, next);
            if (part < 0)
                return -1;
            s->part = part;
            continue;
        }
        if (c == '\r' && (++i >= size || next != '\n'))
            return -1;
        if (!may_end_in(s->part, i))
            return -1;
        s->part = PART_NAME;
        int field = field_behind(i);
        if (field == FIELD_EMPTY) {
            s->head_bytes = i + (s->data[i + 1] == '\r' ? 3 : 2);
            break;
        }
        if (field == FIELD_UNSAFE || (field == FIELD_CONTENT_LENGTH && s->length_at))
            return -1;
        if (field == FIELD_CONTENT_LENGTH)
            s->length_at = i + FIELD_NAME_MAX;
    }
    if (s->head_bytes == 0 || s->head_bytes > size)
        return -1;
    int body = s->length_at ? number_at(s->length_at) : 0;
    return body < 0 ? -1 : (int)s->head_bytes + body;
}

static __always_inline bool ends_with_empty_line(struct __sk_buff *skb, const struct packet *p)
{
    __u32 last;
    return payload_bytes(p) > sizeof(last) &&
           !bpf_skb_load_bytes(skb, p->end - sizeof(last), &last, sizeof(last)) &&
           last == BLANK_LINE;
}

static __always_inline bool begins_with_letter(const struct scratch *s)
{
    return s->data[0] >= 'A' && s->data[0] <= 'Z';
}

/*
 * Whether the payload is one request without a body, and no more. A look that costs
 * little: it may be no request at all, but then there is nothing behind it, either.
 */
static __always_inline bool is_one_request(struct __sk_buff *skb, const struct packet *p)
{
    __u32 last, size = payload_bytes(p);
    /* The last two bytes make the empty line that is its end. */
    if (size <= sizeof(last) || find_empty_line(skb, p->offset, size, size - 2, true))
        return false;
    const struct scratch *s = scratch();
    if (!s || s->doubts || !begins_with_letter(s))
        return false;
    __builtin_memcpy(&last, s->data + ((size - sizeof(last)) & (SCAN_MAX - 1)), sizeof(last));
    return last == BLANK_LINE;
}

/*
 * How many bytes the request has that the payload begins with, and nothing but its body
 * follows in the packet; 0 if it can't be told.
 */
static __always_inline __u32 request_bytes(struct __sk_buff *skb, const struct packet *p)
{
    __u32 size = payload_bytes(p);
    if (is_one_request(skb, p))
        return size;
    int bytes = find_request_end(skb, p->offset, size < SCAN_MAX ? size : SCAN_MAX);
    const struct scratch *s = scratch();
    return !s || !begins_with_letter(s) || bytes < 0 || (__u32)bytes < size ? 0 : bytes;
}

/* "HTTP/1.d d": what begins a reply, and the first digit of its status. */
struct reply_start {
    __u8 text[10];
};

static __always_inline bool is_reply(struct __sk_buff *skb, const struct packet *p,
                                     struct reply_start *start)
{
    return payload_bytes(p) > sizeof(*start) &&
           !bpf_skb_load_bytes(skb, p->offset, start, sizeof(*start)) && start->text[0] == 'H' &&
           start->text[1] == 'T' && start->text[2] == 'T' && start->text[3] == 'P' &&
           start->text[4] == '/' && start->text[5] == '1' && start->text[6] == '.';
}
