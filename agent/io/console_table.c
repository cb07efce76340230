/*
 * The table is text of one line after the other. On a terminal no line is as
 * wide as the screen (there, erasing to the end of the line would take the last
 * character with it) and one row is left for the cursor.
 *
 * All that is shown is ASCII, so a byte is a column.
 */
#include "io/console.h"

#include <string.h>

#include "base/scale.h"

enum { NAME_WIDTH_MIN = 14 };

/* Cells. */

/* @name from the left, cut with an ellipsis when it is longer than @width. */
static void add_name(struct text *t, const char *name, unsigned width)
{
    if (strlen(name) > width)
        text_printf(t, "%.*s...", (int)width - 3, name);
    else
        text_printf(t, "%-*s", (int)width, name);
}

static void add_cell(struct text *t, const char *cell, unsigned width)
{
    text_printf(t, "%*s", (int)width, cell);
}

static const struct scale byte_scale = {{" B", " kB", " MB", " GB", " TB", " PB", " EB"}, 999.5};
static const struct scale count_scale = {{"", "k", "M", "G", "T", "P", "E"}, 99999.5};

static void add_scaled(struct text *t, const struct scale *s, double number, unsigned width)
{
    char cell[SCALE_CELL_MAX];
    scale_print(cell, s, number);
    add_cell(t, cell, width);
}

static void add_bytes_cell(struct text *t, double number, unsigned width)
{
    add_scaled(t, &byte_scale, number, width);
}

static void add_count_cell(struct text *t, uint64_t number, unsigned width)
{
    add_scaled(t, &count_scale, (double)number, width);
}

/* Columns of a service. */

enum column_kind { COLUMN_BYTES, COLUMN_RATE, COLUMN_COUNT, COLUMN_CONTROL };

struct column {
    const char *title;
    enum column_kind kind;
    unsigned width;
    unsigned rank; /* where there is no room for all, the higher ones go */
    size_t offset; /* in struct service_counts; control is a sum of two */
};

#define IN_OR_OUT(way) offsetof(struct service_counts, direction[way].bytes)
#define REPLIES(class) offsetof(struct service_counts, replies[(class) - 1])

static const struct column columns[] = {
    {"in", COLUMN_BYTES, 8, 0, IN_OR_OUT(DIRECTION_IN)},
    {"out", COLUMN_BYTES, 8, 1, IN_OR_OUT(DIRECTION_OUT)},
    {"in/s", COLUMN_RATE, 8, 2, IN_OR_OUT(DIRECTION_IN)},
    {"out/s", COLUMN_RATE, 8, 3, IN_OR_OUT(DIRECTION_OUT)},
    {"requests", COLUMN_COUNT, 9, 4, offsetof(struct service_counts, requests)},
    {"1xx", COLUMN_COUNT, 6, 10, REPLIES(1)},
    {"2xx", COLUMN_COUNT, 6, 5, REPLIES(2)},
    {"3xx", COLUMN_COUNT, 6, 8, REPLIES(3)},
    {"4xx", COLUMN_COUNT, 6, 7, REPLIES(4)},
    {"5xx", COLUMN_COUNT, 6, 6, REPLIES(5)},
    {"unanswered", COLUMN_COUNT, 11, 9, offsetof(struct service_counts, unanswered)},
    {"control", COLUMN_CONTROL, 8, 11, 0},
};

static uint64_t count_at(const struct service_counts *c, size_t offset)
{
    uint64_t count;
    memcpy(&count, (const char *)c + offset, sizeof(count));
    return count;
}

static uint64_t control_of(const struct service_counts *c)
{
    return c->direction[DIRECTION_IN].control + c->direction[DIRECTION_OUT].control;
}

/* How the table is laid out this time. */
struct layout {
    const struct console_moment *now;
    unsigned rank_end; /* columns of this rank and more are left out */
    unsigned name_width;
};

static unsigned columns_width(unsigned rank_end)
{
    unsigned width = 0;
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        if (columns[i].rank < rank_end)
            width += columns[i].width;
    return width;
}

static unsigned screen_width(const struct console_screen *s)
{
    return s->columns > 1 ? s->columns - 1 : 0;
}

static unsigned longest_name(const struct ledger_services *s)
{
    size_t longest = NAME_WIDTH_MIN;
    for (size_t i = 0; i < s->count; i++)
        longest = MAX(longest, strlen(s->services[i]->name.text));
    return (unsigned)longest;
}

static struct layout make_layout(const struct ledger_services *s, const struct console_moment *now,
                                 const struct console_screen *screen)
{
    struct layout l = {now, ARRAY_SIZE(columns), longest_name(s)};
    if (!screen->terminal)
        return l;

    unsigned width = screen_width(screen);
    while (l.rank_end && NAME_WIDTH_MIN + columns_width(l.rank_end) > width)
        l.rank_end--;
    unsigned room = MAX(width, NAME_WIDTH_MIN + columns_width(l.rank_end));
    l.name_width = MIN(l.name_width, room - columns_width(l.rank_end));
    return l;
}

static double per_second(uint64_t count, uint64_t interval_ns)
{
    return interval_ns ? (double)count * 1e9 / (double)interval_ns : 0;
}

static void add_column(struct text *t, const struct column *c,
                       const struct service_counts counts[static LEDGER_PERIODS],
                       uint64_t interval_ns)
{
    switch (c->kind) {
    case COLUMN_BYTES:
        add_bytes_cell(t, (double)count_at(&counts[LEDGER_TOTAL], c->offset), c->width);
        break;
    case COLUMN_RATE:
        add_bytes_cell(t, per_second(count_at(&counts[LEDGER_INTERVAL], c->offset), interval_ns),
                       c->width);
        break;
    case COLUMN_COUNT:
        add_count_cell(t, count_at(&counts[LEDGER_TOTAL], c->offset), c->width);
        break;
    case COLUMN_CONTROL:
        add_bytes_cell(t, (double)control_of(&counts[LEDGER_TOTAL]), c->width);
        break;
    }
}

static void add_service(struct text *t, const struct layout *l, const char *name,
                        const struct service_counts counts[static LEDGER_PERIODS])
{
    add_name(t, name, l->name_width);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        if (columns[i].rank < l->rank_end)
            add_column(t, &columns[i], counts, l->now->interval_ns);
    text_add_char(t, '\n');
}

static void add_titles(struct text *t, const struct layout *l)
{
    add_name(t, "service", l->name_width);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        if (columns[i].rank < l->rank_end)
            add_cell(t, columns[i].title, columns[i].width);
    text_add_char(t, '\n');
}

static void add_totals(struct text *t, const struct layout *l, const struct ledger_services *s)
{
    struct service_counts sums[LEDGER_PERIODS] = {0};
    for (size_t i = 0; i < s->count; i++)
        for (unsigned p = 0; p < LEDGER_PERIODS; p++)
            service_counts_add(&sums[p], &s->services[i]->counts[p]);
    add_service(t, l, "total", sums);
}

static void add_more(struct text *t, size_t hidden)
{
    if (hidden)
        text_printf(t, "... and %zu more\n", hidden);
}

/* Of @count lines, those that fit in @room when one may have to say how many don't. */
static size_t lines_shown(size_t count, size_t room)
{
    if (count <= room)
        return count;
    return room ? room - 1 : 0;
}

static void add_services(struct text *t, const struct layout *l, const struct ledger_services *s,
                         size_t room)
{
    if (s->count == 0) {
        text_add_string(t, "no HTTP traffic yet\n");
        return;
    }
    size_t shown = lines_shown(s->count, room);
    add_titles(t, l);
    for (size_t i = 0; i < shown; i++)
        add_service(t, l, s->services[i]->name.text, s->services[i]->counts);
    add_more(t, s->count - shown);
    add_totals(t, l, s);
}

/* The books of the interfaces. */

enum { INTERFACE_WIDTH = 15, DROPS_WIDTH = 6 };

static const struct {
    const char *title;
    unsigned width;
} terms[] = {{"tcp =", 8},        {"services +", 11}, {"not http +", 11},
             {"untracked +", 12}, {"twice +", 8},     {"pending", 8}};

static void add_books_titles(struct text *t)
{
    add_name(t, "interface", INTERFACE_WIDTH);
    for (size_t i = 0; i < ARRAY_SIZE(terms); i++)
        add_cell(t, terms[i].title, terms[i].width);
    add_cell(t, "drops", DROPS_WIDTH);
    text_add_char(t, '\n');
}

static void add_books(struct text *t, const struct ledger_interface *i)
{
    const struct interface_counts *c = &i->period[LEDGER_TOTAL].counts;
    const uint64_t bytes[ARRAY_SIZE(terms)] = {
        c->tcp_bytes,       i->period[LEDGER_TOTAL].service_bytes,
        c->not_http_bytes,  c->untracked_bytes,
        c->duplicate_bytes, i->gauges.pending_bytes,
    };

    AUTO(text_deinit) struct text name = {0};
    text_add_printable(&name, bytes_from_string(i->name));
    add_name(t, name.data ? name.data : "", INTERFACE_WIDTH);
    for (size_t k = 0; k < ARRAY_SIZE(terms); k++)
        add_bytes_cell(t, (double)bytes[k], terms[k].width);
    add_count_cell(t, c->ring_drops, DROPS_WIDTH);
    int64_t imbalance = ledger_interface_imbalance(i);
    if (imbalance)
        text_printf(t, " ! off by %lld B", (long long)imbalance);
    text_add_char(t, '\n');
}

static void add_interfaces(struct text *t, const struct ledger *l, size_t room)
{
    size_t count = ledger_interface_count(l);
    size_t shown = lines_shown(count, room);
    text_add_char(t, '\n');
    add_books_titles(t);
    for (size_t i = 0; i < shown; i++)
        add_books(t, ledger_interface(l, i));
    add_more(t, count - shown);
}

static void add_summary(struct text *t, const struct ledger_services *s,
                        const struct console_moment *now)
{
    unsigned long long seconds = now->elapsed_ns / 1000000000;
    text_printf(t, "httpacct  %llu:%02llu:%02llu  %zu services\n", seconds / 3600,
                seconds / 60 % 60, seconds % 60, s->count);
}

/* Summary, titles, totals, empty line, titles of the interfaces. */
enum { FIXED_LINES = 5 };

/* Of @room for services and interfaces, what @count interfaces take: a third at most. */
static size_t interface_room(size_t count, size_t room)
{
    size_t third = MAX(room / 3, (size_t)1);
    return MIN(count, third);
}

static void add_page(struct text *t, struct ledger *l, const struct console_moment *now,
                     const struct console_screen *screen)
{
    struct ledger_services s = ledger_services(l, LEDGER_TOTAL);
    struct layout layout = make_layout(&s, now, screen);
    size_t service_room = SIZE_MAX;
    size_t books_room = SIZE_MAX;
    if (screen->terminal) {
        size_t room = screen->rows > FIXED_LINES + 1 ? screen->rows - FIXED_LINES - 1 : 0;
        books_room = interface_room(ledger_interface_count(l), room);
        service_room = room > books_room ? room - books_room : 0;
    }

    add_summary(t, &s, now);
    add_services(t, &layout, &s, service_room);
    add_interfaces(t, l, books_room);
}

/* Copy the page to the screen, over what is there, no more than it holds. */
static void add_screen(struct text *t, struct bytes page, const struct console_screen *screen)
{
    text_add_string(t, "\033[H");
    for (unsigned row = 1; row < screen->rows && page.size; row++) {
        const uint8_t *end = memchr(page.data, '\n', page.size);
        struct bytes line = bytes_take(&page, end ? (size_t)(end - page.data) : page.size);
        bytes_take(&page, 1);
        text_add(t, bytes_take(&line, screen_width(screen)));
        text_add_string(t, "\033[K\n");
    }
    text_add_string(t, "\033[J");
}

void console_table(struct text *t, struct ledger *l, const struct console_moment *now,
                   const struct console_screen *screen)
{
    if (!screen->terminal) {
        add_page(t, l, now, screen);
        return;
    }
    AUTO(text_deinit) struct text page = {0};
    add_page(&page, l, now, screen);
    t->failed |= text_failed(&page);
    add_screen(t, bytes_make(page.data, page.size), screen);
}
