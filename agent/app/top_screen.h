/*
 * A screen that is drawn in memory: rows of cells, one character each. What does
 * not fit is cut off, so whoever draws need not care how small it is.
 *
 * Units    cells
 * Owns     its cells
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <wchar.h>

#include "base/macros.h"

enum { TOP_SCREEN_MAX = 1000 }; /* rows, columns */

enum top_style {
    TOP_PLAIN,
    TOP_DIM,
    TOP_STRONG,
    TOP_TITLE, /* on a bar of its own */
    TOP_IN_STYLE,
    TOP_OUT_STYLE,
    TOP_GOOD,
    TOP_BAD,
    TOP_STYLES
};

struct top_cell {
    wchar_t glyph; /* one column wide */
    enum top_style style;
};

struct top_screen {
    unsigned rows, columns;
    bool unicode; /* else ASCII only */
    struct top_cell *cells;
};

void top_screen_deinit(struct top_screen *s);

/* Empty, and as large as asked for, within TOP_SCREEN_MAX. Without memory it has no rows. */
void top_screen_begin(struct top_screen *s, unsigned rows, unsigned columns);

/* These return the column behind what was drawn, or would have been were there room. */

unsigned top_screen_glyph(struct top_screen *s, unsigned row, unsigned column, enum top_style style,
                          wchar_t glyph);
unsigned top_screen_put(struct top_screen *s, unsigned row, unsigned column, enum top_style style,
                        const char *text);
unsigned top_screen_printf(struct top_screen *s, unsigned row, unsigned column,
                           enum top_style style, const char *format, ...) PRINTF_LIKE(5, 6);

/* @text in @width columns, from the left; one that is longer ends in an ellipsis. */
unsigned top_screen_put_cut(struct top_screen *s, unsigned row, unsigned column,
                            enum top_style style, const char *text, unsigned width);

/* @text in @width columns, to the right. */
unsigned top_screen_put_right(struct top_screen *s, unsigned row, unsigned column,
                              enum top_style style, const char *text, unsigned width);
