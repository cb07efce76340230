#include "app/top_screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 512 };

static const wchar_t ELLIPSIS = 0x2026;

void top_screen_deinit(struct top_screen *s)
{
    free(s->cells);
    s->cells = NULL;
    s->rows = s->columns = 0;
}

void top_screen_begin(struct top_screen *s, unsigned rows, unsigned columns)
{
    rows = MIN(rows, (unsigned)TOP_SCREEN_MAX);
    columns = MIN(columns, (unsigned)TOP_SCREEN_MAX);
    if (!s->cells || rows != s->rows || columns != s->columns) {
        top_screen_deinit(s);
        s->cells = calloc((size_t)rows * columns + 1, sizeof(*s->cells));
        if (!s->cells)
            return;
        s->rows = rows;
        s->columns = columns;
    }
    for (size_t i = 0; i < (size_t)rows * columns; i++)
        s->cells[i] = (struct top_cell){L' ', TOP_PLAIN};
}

unsigned top_screen_glyph(struct top_screen *s, unsigned row, unsigned column, enum top_style style,
                          wchar_t glyph)
{
    if (row < s->rows && column < s->columns)
        s->cells[(size_t)row * s->columns + column] = (struct top_cell){glyph, style};
    return column + 1;
}

static unsigned put_bytes(struct top_screen *s, unsigned row, unsigned column, enum top_style style,
                          const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool printable = text[i] >= ' ' && text[i] <= '~';
        column = top_screen_glyph(s, row, column, style, printable ? (wchar_t)text[i] : L'?');
    }
    return column;
}

unsigned top_screen_put(struct top_screen *s, unsigned row, unsigned column, enum top_style style,
                        const char *text)
{
    return put_bytes(s, row, column, style, text, strlen(text));
}

unsigned top_screen_printf(struct top_screen *s, unsigned row, unsigned column,
                           enum top_style style, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    return top_screen_put(s, row, column, style, line);
}

static unsigned fill(struct top_screen *s, unsigned row, unsigned column, enum top_style style,
                     unsigned end)
{
    while (column < end)
        column = top_screen_glyph(s, row, column, style, L' ');
    return column;
}

unsigned top_screen_put_cut(struct top_screen *s, unsigned row, unsigned column,
                            enum top_style style, const char *text, unsigned width)
{
    size_t size = strlen(text);
    unsigned end = column + width;
    if (size <= width)
        return fill(s, row, put_bytes(s, row, column, style, text, size), style, end);
    unsigned dots = s->unicode ? 1 : MIN(width, 3u);
    column = put_bytes(s, row, column, style, text, width > dots ? width - dots : 0);
    while (column < end)
        column = top_screen_glyph(s, row, column, style, s->unicode ? ELLIPSIS : L'.');
    return column;
}

unsigned top_screen_put_right(struct top_screen *s, unsigned row, unsigned column,
                              enum top_style style, const char *text, unsigned width)
{
    size_t size = strlen(text);
    unsigned blanks = size < width ? width - (unsigned)size : 0;
    column = fill(s, row, column, style, column + blanks);
    return top_screen_put(s, row, column, style, text);
}
