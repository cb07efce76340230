/*
 * A borrowed view of bytes.
 *
 * Owns     nothing: whoever made the view says how long its bytes live
 * Threads  as the bytes it shows
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t size;
};

/* A view of a string literal, without its NUL. */
#define BYTES(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

static inline struct bytes bytes_make(const void *data, size_t size)
{
    return (struct bytes){data, size};
}

static inline struct bytes bytes_from_string(const char *string)
{
    return bytes_make(string, strlen(string));
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Take @count bytes (at most all of them) off the front of @in and return them. */
static inline struct bytes bytes_take(struct bytes *in, size_t count)
{
    if (count > in->size)
        count = in->size;
    struct bytes front = {in->data, count};
    if (count) {
        in->data += count;
        in->size -= count;
    }
    return front;
}
