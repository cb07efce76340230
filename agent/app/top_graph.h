/*
 * Numbers as pictures on a screen, made of block elements where it has Unicode,
 * else of ASCII.
 *
 * Units    cells
 * Owns     nothing
 * Threads  one at a time
 */
#pragma once

#include "app/top_screen.h"
#include "app/top_table.h"

/* Where on a screen. */
struct top_place {
    unsigned row, column, width;
};

/**
 * A bar that is @place wide for @full: first @in of it, then @out, each in a
 * shade of its own. What is there at all has a cell.
 */
void top_graph_bar(struct top_screen *s, const struct top_place *place, double in, double out,
                   double full);

/**
 * History @which of @i, the newest to the right, the largest value as high as can
 * be. A column shows the mean of as many samples as it takes to show all that are
 * kept.
 */
void top_graph_spark(struct top_screen *s, const struct top_place *place, enum top_style style,
                     const struct top_table *t, const struct top_item *i, unsigned which);
