#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void text_init(struct text *t)
{
    *t = (struct text){0};
}

void text_deinit(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}

void text_clear(struct text *t)
{
    t->size = 0;
    t->failed = false;
    if (t->data)
        t->data[0] = '\0';
}

/* Make room for @count more characters and the NUL. */
static bool reserve(struct text *t, size_t count)
{
    if (t->capacity - t->size > count)
        return true;

    size_t capacity = MAX(2 * t->capacity, t->size + count + 1);
    capacity = MAX(capacity, (size_t)256);
    char *data = realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_add(struct text *t, struct bytes b)
{
    if (b.size == 0 || !reserve(t, b.size))
        return;
    memcpy(t->data + t->size, b.data, b.size);
    t->size += b.size;
    t->data[t->size] = '\0';
}

void text_add_string(struct text *t, const char *string)
{
    text_add(t, bytes_from_string(string));
}

void text_add_char(struct text *t, char c)
{
    text_add(t, bytes_make(&c, 1));
}

void text_add_number(struct text *t, unsigned long long number)
{
    char digits[24];
    char *end = digits + sizeof(digits);
    char *start = end;
    do {
        *--start = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    text_add(t, bytes_make(start, (size_t)(end - start)));
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0 || !reserve(t, (size_t)size))
        return;

    va_start(arguments, format);
    vsnprintf(t->data + t->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    t->size += (size_t)size;
}

/*
 * The length of the well-formed UTF-8 sequence that @b begins with (Unicode
 * 15.0, table 3-7), or 0.
 */
static size_t utf8_length(struct bytes b)
{
    const uint8_t *p = b.data;
    if (p[0] < 0x80)
        return 1;

    size_t length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] < 0xc2 || p[0] > 0xf4 || b.size < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;

    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f;
    bool too_large = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : length;
}

void text_add_json(struct text *t, struct bytes b)
{
    text_add_char(t, '"');
    while (b.size) {
        uint8_t c = b.data[0];
        size_t length = utf8_length(b);
        if (c == '"' || c == '\\') {
            text_printf(t, "\\%c", c);
            length = 1;
        } else if (c < 0x20 || c == 0x7f || length == 0) {
            text_printf(t, "\\u%04x", c);
            length = 1;
        } else if (c == 0xc2 && b.data[1] < 0xa0) { /* C1 controls: terminals obey them */
            text_printf(t, "\\u%04x", b.data[1]);
        } else {
            text_add(t, bytes_make(b.data, length));
        }
        bytes_take(&b, length);
    }
    text_add_char(t, '"');
}

void text_add_printable(struct text *t, struct bytes b)
{
    for (size_t i = 0; i < b.size; i++) {
        uint8_t c = b.data[i];
        if (c < 0x20 || c > 0x7e || c == '\\')
            text_printf(t, "\\x%02x", c);
        else
            text_add_char(t, (char)c);
    }
}

void text_add_utf8(struct text *t, struct bytes b)
{
    while (b.size) {
        uint8_t c = b.data[0];
        size_t length = utf8_length(b);
        bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && length == 2 && b.data[1] < 0xa0);
        struct bytes front = bytes_take(&b, MAX(length, (size_t)1));
        if (length && !control)
            text_add(t, front);
        else
            text_add_printable(t, front);
    }
}
