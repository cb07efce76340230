#include "app/top_number.h"

#include <stdio.h>

static const struct scale byte_scale = {{" B", " kB", " MB", " GB", " TB", " PB", " EB"}, 999.5};
static const struct scale bit_scale = {{" b", " kb", " Mb", " Gb", " Tb", " Pb", " Eb"}, 999.5};
static const struct scale count_scale = {{"", "k", "M", "G", "T", "P", "E"}, 9999.5};

void top_number_flow(char cell[static SCALE_CELL_MAX], double bytes, bool bits)
{
    scale_print(cell, bits ? &bit_scale : &byte_scale, bits ? bytes * 8 : bytes);
}

void top_number_rate(char cell[static SCALE_CELL_MAX], double rate)
{
    if (rate > 0 && rate < 9.95)
        snprintf(cell, SCALE_CELL_MAX, "%.1f", rate);
    else
        scale_print(cell, &count_scale, rate);
}

void top_number_count(char cell[static SCALE_CELL_MAX], double count)
{
    scale_print(cell, &count_scale, count);
}
