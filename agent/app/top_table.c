#include "app/top_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

void top_table_init(struct top_table *t, size_t max)
{
    *t = (struct top_table){.max = max};
}

static void drop(struct top_table *t, struct top_item *i)
{
    HASH_DEL(t->items, i);
    t->count--;
    free(i);
}

void top_table_deinit(struct top_table *t)
{
    struct top_item *i, *next;
    HASH_ITER (hh, t->items, i, next)
        drop(t, i);
}

/* Names are shown on a terminal, so no byte of them may act on it. */
static void clean_name(char clean[static TOP_NAME_MAX + 1], const char *name)
{
    size_t size = strnlen(name, TOP_NAME_MAX);
    for (size_t i = 0; i < size; i++)
        clean[i] = (char)(name[i] > ' ' && name[i] <= '~' ? name[i] : '?');
    clean[size] = '\0';
}

struct top_item *top_table_find(const struct top_table *t, const char *name)
{
    struct top_item *i = NULL;
    HASH_FIND_STR(t->items, name, i);
    return i;
}

static struct top_item *add(struct top_table *t, const char *name)
{
    if (t->count == t->max)
        return NULL;
    struct top_item *i = calloc(1, sizeof(*i));
    if (!i)
        return NULL;
    strcpy(i->name, name);
    HASH_ADD_STR(t->items, name, i);
    if (!i->hh.tbl) {
        free(i);
        return NULL;
    }
    t->count++;
    return i;
}

void top_table_take(struct top_table *t, const char *name, const uint64_t count[static TOP_COUNTS],
                    double elapsed_s)
{
    char clean[TOP_NAME_MAX + 1] = "";
    clean_name(clean, name);
    struct top_item *i = top_table_find(t, clean);
    if (!i)
        i = add(t, clean);
    if (!i || i->seen)
        return;
    i->seen = true;
    for (unsigned c = 0; c < TOP_COUNTS; c++) {
        uint64_t more = count[c] > i->count[c] ? count[c] - i->count[c] : 0;
        i->rate[c] = elapsed_s > 0 ? (double)more / elapsed_s : 0;
        i->count[c] = count[c];
    }
}

static void remember(struct top_item *i, uint64_t sample)
{
    for (unsigned h = 0; h < TOP_HISTORIES; h++)
        i->history[h][sample % TOP_HISTORY] = (float)i->rate[h];
}

void top_table_end_sample(struct top_table *t, unsigned intervals)
{
    struct top_item *i, *next;
    HASH_ITER (hh, t->items, i, next) {
        for (unsigned n = 0; i->seen && n < MIN(intervals, (unsigned)TOP_HISTORY); n++)
            remember(i, t->samples + n);
        if (i->seen)
            i->seen = false;
        else
            drop(t, i);
    }
    t->samples += MIN(intervals, (unsigned)TOP_HISTORY);
}

double top_item_average(const struct top_table *t, const struct top_item *i, unsigned which,
                        uint64_t end, unsigned size)
{
    uint64_t kept = t->samples > TOP_HISTORY ? t->samples - TOP_HISTORY : 0;
    uint64_t first = end > size ? end - size : 0;
    uint64_t last = MIN(end, t->samples);
    double sum = 0;
    first = MAX(first, kept);
    for (uint64_t s = first; s < last; s++)
        sum += (double)i->history[which][s % TOP_HISTORY];
    return last > first ? sum / (double)(last - first) : 0;
}
