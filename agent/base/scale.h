/*
 * Numbers as people read them: "999 B", "1.2 kB", "123 MB".
 *
 * Owns     nothing
 * Threads  any
 */
#pragma once

enum { SCALE_CELL_MAX = 32 };

struct scale {
    const char *const units[7]; /* each a thousand of the one before */
    double whole_below;         /* what is smaller is written out */
};

/* @number, which is not negative: four characters and the unit at most. */
void scale_print(char cell[static SCALE_CELL_MAX], const struct scale *s, double number);
