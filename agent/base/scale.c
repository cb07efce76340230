#include "base/scale.h"

#include <stdio.h>

#include "base/macros.h"

void scale_print(char cell[static SCALE_CELL_MAX], const struct scale *s, double number)
{
    unsigned unit = 0;
    if (number >= s->whole_below)
        for (; number >= 999.5 && unit < ARRAY_SIZE(s->units) - 1; unit++)
            number /= 1000;
    int decimals = unit && number < 99.95 ? 1 : 0;
    snprintf(cell, SCALE_CELL_MAX, "%.*f%s", decimals, number, s->units[unit]);
}
