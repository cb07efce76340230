#include "io/console.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct console_buffer {
    uv_mutex_t mutex;
    size_t bytes_max;
    struct text waiting;
    uint64_t dropped_lines;
};

int console_buffer_new(struct console_buffer **out, size_t bytes_max)
{
    struct console_buffer *b = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    int r = uv_mutex_init(&b->mutex);
    if (r < 0) {
        free(b);
        return r;
    }
    b->bytes_max = bytes_max;
    *out = b;
    return 0;
}

struct console_buffer *console_buffer_free(struct console_buffer *b)
{
    if (!b)
        return NULL;
    uv_mutex_destroy(&b->mutex);
    text_deinit(&b->waiting);
    free(b);
    return NULL;
}

/* Returns false when there is no room for @lines. */
static bool append(struct console_buffer *b, const struct text *lines)
{
    if (text_failed(lines) || lines->size > b->bytes_max - b->waiting.size)
        return false;
    text_add(&b->waiting, bytes_make(lines->data, lines->size));
    bool added = !text_failed(&b->waiting);
    b->waiting.failed = false;
    return added;
}

/* At least one: text that failed may have lost its line end. */
static uint64_t count_lines(const struct text *t)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < t->size; i++)
        lines += t->data[i] == '\n';
    return MAX(lines, (uint64_t)1);
}

bool console_buffer_add(struct console_buffer *b, const struct text *lines)
{
    uv_mutex_lock(&b->mutex);
    bool was_empty = b->waiting.size == 0;
    if (!append(b, lines))
        b->dropped_lines += count_lines(lines);
    bool is_empty = b->waiting.size == 0;
    uv_mutex_unlock(&b->mutex);
    return was_empty && !is_empty;
}

uint64_t console_buffer_take(struct console_buffer *b, struct text *out)
{
    text_deinit(out);
    uv_mutex_lock(&b->mutex);
    *out = b->waiting;
    text_init(&b->waiting);
    uint64_t dropped_lines = b->dropped_lines;
    b->dropped_lines = 0;
    uv_mutex_unlock(&b->mutex);
    return dropped_lines;
}
