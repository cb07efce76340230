#include "core/percent.h"

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Take the next byte off @encoded, which is not empty, and decode it. */
static uint8_t take_byte(struct bytes *encoded, enum percent_kind kind)
{
    uint8_t c = bytes_take(encoded, 1).data[0];
    if (c == '+' && kind == PERCENT_FORM)
        return ' ';
    if (c != '%' || encoded->size < 2)
        return c;

    int high = hex_value(encoded->data[0]);
    int low = hex_value(encoded->data[1]);
    if (high < 0 || low < 0)
        return c;
    bytes_take(encoded, 2);
    return (uint8_t)(high << 4 | low);
}

size_t percent_decode(uint8_t *out, struct bytes encoded, enum percent_kind kind)
{
    size_t size = 0;
    while (encoded.size)
        out[size++] = take_byte(&encoded, kind);
    return size;
}

bool percent_equal(struct bytes encoded, struct bytes plain, enum percent_kind kind)
{
    while (encoded.size && plain.size)
        if (take_byte(&encoded, kind) != bytes_take(&plain, 1).data[0])
            return false;
    return encoded.size == 0 && plain.size == 0;
}
