/*
 * Text under construction: a buffer that grows.
 *
 * Running out of memory is remembered, not reported by each call: the text
 * stays as it was before the failed call and text_failed() says so, once, at
 * the end.
 *
 * Owns     its buffer
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/macros.h"

struct text {
    char *data; /* NUL-terminated once anything was added, else NULL */
    size_t size;
    size_t capacity;
    bool failed;
};

void text_init(struct text *t);
void text_deinit(struct text *t);
#define text_deinit_auto text_deinit

/* Forget the contents, keep the buffer. */
void text_clear(struct text *t);

static inline bool text_failed(const struct text *t)
{
    return t->failed;
}

void text_add(struct text *t, struct bytes b);
void text_add_string(struct text *t, const char *string);
void text_add_char(struct text *t, char c);
void text_add_number(struct text *t, unsigned long long number);
void text_printf(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

/**
 * Add @b as a JSON string with its quotes (RFC 8259). Control characters and
 * bytes that are not UTF-8 become \u00XX, so that any bytes give valid JSON.
 */
void text_add_json(struct text *t, struct bytes b);

/**
 * Add @b so that no terminal acts on it: bytes outside printable ASCII, and the
 * backslash, become \xXX.
 */
void text_add_printable(struct text *t, struct bytes b);

/**
 * Add @b so that it is UTF-8 without control characters: bytes that are neither
 * become \xXX. The backslash stays, so this can't be undone.
 */
void text_add_utf8(struct text *t, struct bytes b);
