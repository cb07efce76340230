#include "app/top_graph.h"

#include <math.h>

static const wchar_t FULL_BLOCK = 0x2588, SHADE = 0x2592, LOWEST_BLOCK = 0x2581;
static const wchar_t ascii_levels[] = L".:-=+*%#";

enum { LEVELS = 8 };

static unsigned cells_of(double part, double full, unsigned width)
{
    if (!(part > 0) || !(full > 0))
        return 0;
    double cells = part / full * width + 0.5;
    if (cells < 1)
        return 1;
    return cells < width ? (unsigned)cells : width;
}

void top_graph_bar(struct top_screen *s, const struct top_place *place, double in, double out,
                   double full)
{
    unsigned end = place->column + place->width;
    unsigned column = place->column;
    unsigned in_end = column + cells_of(in, full, place->width);
    unsigned out_end = in_end + cells_of(out, full, place->width);
    for (; column < MIN(in_end, end); column++)
        top_screen_glyph(s, place->row, column, TOP_IN_STYLE, s->unicode ? FULL_BLOCK : L'#');
    for (; column < MIN(out_end, end); column++)
        top_screen_glyph(s, place->row, column, TOP_OUT_STYLE, s->unicode ? SHADE : L'=');
}

/* How many samples a column stands for. */
static unsigned samples_of(unsigned width)
{
    return (TOP_HISTORY + width - 1) / width;
}

/*
 * Columns stand for whole groups of samples, counted from the first there was:
 * else they would change their height while they move.
 */
static double value_at(const struct top_table *t, const struct top_item *i, unsigned which,
                       unsigned width, unsigned from_right)
{
    unsigned size = samples_of(width);
    uint64_t groups = (t->samples + size - 1) / size;
    return from_right < groups ? top_item_average(t, i, which, (groups - from_right) * size, size)
                               : 0;
}

static wchar_t level_glyph(const struct top_screen *s, double value, double highest)
{
    if (!(value > 0))
        return L' ';
    int level = (int)ceil(value / highest * LEVELS) - 1;
    level = MAX(level, 0);
    return s->unicode ? LOWEST_BLOCK + level : ascii_levels[level];
}

void top_graph_spark(struct top_screen *s, const struct top_place *place, enum top_style style,
                     const struct top_table *t, const struct top_item *i, unsigned which)
{
    double highest = 0;
    for (unsigned n = 0; n < place->width; n++)
        highest = fmax(highest, value_at(t, i, which, place->width, n));
    for (unsigned n = 0; n < place->width; n++) {
        double value = value_at(t, i, which, place->width, n);
        top_screen_glyph(s, place->row, place->column + place->width - 1 - n, style,
                         level_glyph(s, value, highest));
    }
}
