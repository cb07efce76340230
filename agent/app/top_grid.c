#include "app/top_grid.h"

#include <math.h>
#include <string.h>

#include "app/top_graph.h"
#include "app/top_list.h"
#include "app/top_number.h"

enum cell_kind {
    CELL_NAME,
    CELL_STATE,
    CELL_FLOW,  /* bytes a second */
    CELL_RATE,  /* things a second */
    CELL_BYTES, /* as it is now */
    CELL_COUNT,
    CELL_BAR,
    CELL_SPARK, /* the count is that of the history */
};

struct column {
    const char *title;
    enum cell_kind kind;
    unsigned width; /* with a blank before it; at least, of what grows with the screen */
    unsigned rank;  /* where there is no room for all, the higher ones go */
    unsigned count;
    unsigned sorts; /* bit 1 << enum top_sort: it shows what is sorted by */
};

#define SORT(name) (1u << TOP_SORT_##name)

static const struct column service_columns[] = {
    {"service", CELL_NAME, 14, 0, 0, SORT(NAME)},
    {"in/s", CELL_FLOW, 8, 2, TOP_IN, SORT(IN) | SORT(TOTAL)},
    {"out/s", CELL_FLOW, 8, 1, TOP_OUT, SORT(OUT) | SORT(TOTAL)},
    {"req/s", CELL_RATE, 7, 3, TOP_REQUESTS, SORT(REQUESTS)},
    {"4xx/s", CELL_RATE, 7, 5, TOP_4XX, SORT(ERRORS)},
    {"5xx/s", CELL_RATE, 7, 4, TOP_5XX, SORT(ERRORS)},
    {"open", CELL_COUNT, 6, 7, TOP_OPEN, 0},
    {"in+out", CELL_BAR, 8, 6, 0, 0},
    {"in", CELL_SPARK, 7, 9, TOP_IN, 0},
    {"out", CELL_SPARK, 7, 8, TOP_OUT, 0},
};

static const struct column interface_columns[] = {
    {"interface", CELL_NAME, 12, 0, 0, 0},
    {"state", CELL_STATE, 6, 1, TOP_WATCHED, 0},
    {"tcp/s", CELL_FLOW, 8, 2, TOP_TCP, 0},
    {"services", CELL_FLOW, 9, 3, TOP_SERVICE, 0},
    {"not http", CELL_FLOW, 9, 5, TOP_NOT_HTTP, 0},
    {"untracked", CELL_FLOW, 10, 7, TOP_UNTRACKED, 0},
    {"pending", CELL_BYTES, 8, 8, TOP_PENDING, 0},
    {"drops", CELL_COUNT, 6, 4, TOP_DROPS, 0},
    {"tcp", CELL_SPARK, 9, 6, TOP_TCP, 0},
};

enum { COLUMNS_MAX = ARRAY_SIZE(service_columns), BAR_MAX = 24 };

/* What is shown this time, and how wide. */
struct layout {
    const struct column *columns;
    unsigned count;
    unsigned width[COLUMNS_MAX]; /* 0: left out */
    double full;                 /* what a whole bar stands for */
};

static bool grows(const struct column *c)
{
    return c->kind == CELL_BAR || c->kind == CELL_SPARK;
}

static unsigned longest_name(const struct top_list *list)
{
    size_t longest = 0;
    for (size_t i = 0; i < list->count; i++)
        longest = MAX(longest, strlen(list->items[i]->name));
    return (unsigned)longest;
}

static unsigned width_of(const struct layout *l, unsigned rank_end)
{
    unsigned width = 0;
    for (unsigned c = 0; c < l->count; c++)
        if (l->columns[c].rank < rank_end)
            width += l->columns[c].width;
    return width;
}

/* Half of what is to spare is for names, if they need it; the rest is for graphs. */
static void spread(struct layout *l, const struct top_list *list, unsigned spare)
{
    unsigned graphs = 0;
    unsigned longest = longest_name(list);
    unsigned more = longest > l->width[0] ? MIN(longest - l->width[0], spare / 2) : 0;
    l->width[0] += more;
    spare -= more;
    for (unsigned c = 0; c < l->count; c++)
        graphs += l->width[c] && grows(&l->columns[c]);
    for (unsigned c = 0; c < l->count && graphs; c++) {
        if (!l->width[c] || !grows(&l->columns[c]))
            continue;
        unsigned max = l->columns[c].kind == CELL_BAR ? BAR_MAX : TOP_HISTORY + 1;
        unsigned wider = MIN(spare / graphs, max - l->width[c]);
        graphs--;
        l->width[c] += wider;
        spare -= wider;
    }
}

static double fastest(const struct top_list *list)
{
    double full = 0;
    for (size_t i = 0; i < list->count; i++)
        full = fmax(full, list->items[i]->rate[TOP_IN] + list->items[i]->rate[TOP_OUT]);
    return full;
}

static struct layout make_layout(const struct top_list *list, enum top_page page, unsigned columns)
{
    struct layout l = {service_columns, ARRAY_SIZE(service_columns), {0}, fastest(list)};
    if (page == TOP_PAGE_INTERFACES) {
        l.columns = interface_columns;
        l.count = ARRAY_SIZE(interface_columns);
    }
    unsigned rank_end = l.count;
    while (rank_end > 1 && width_of(&l, rank_end) > columns)
        rank_end--;
    for (unsigned c = 0; c < l.count; c++)
        if (l.columns[c].rank < rank_end)
            l.width[c] = l.columns[c].width;
    unsigned used = width_of(&l, rank_end);
    if (used > columns)
        l.width[0] = columns;
    else
        spread(&l, list, columns - used);
    return l;
}

static void draw_titles(struct top_screen *s, unsigned row, const struct layout *l,
                        const struct top_ui *u)
{
    unsigned column = 0;
    for (unsigned c = 0; c < l->count; c++) {
        const struct column *which = &l->columns[c];
        bool sorted = which->sorts & 1u << u->sort;
        char title[32] = {sorted ? '*' : ' '};
        strcat(title, which->title);
        if (!l->width[c])
            continue;
        if (which->kind == CELL_NAME)
            column = top_screen_put_cut(s, row, column, TOP_TITLE, sorted ? title : title + 1,
                                        l->width[c]);
        else if (grows(which))
            column = top_screen_put_cut(s, row, column, TOP_TITLE, title, l->width[c]);
        else
            column = top_screen_put_right(s, row, column, TOP_TITLE, title, l->width[c]);
    }
    while (column < s->columns)
        column = top_screen_glyph(s, row, column, TOP_TITLE, L' ');
}

/* What is nought stands back. */
static enum top_style style_of(const struct column *c, double value)
{
    bool bad = c->sorts & SORT(ERRORS) || strcmp(c->title, "drops") == 0;
    if (!(value > 0))
        return TOP_DIM;
    return bad ? TOP_BAD : TOP_PLAIN;
}

static void draw_number(struct top_screen *s, const struct top_place *place, const struct column *c,
                        const struct top_item *i, bool bits)
{
    char cell[SCALE_CELL_MAX];
    bool rate = c->kind == CELL_FLOW || c->kind == CELL_RATE;
    double value = rate ? i->rate[c->count] : (double)i->count[c->count];
    if (c->kind == CELL_FLOW)
        top_number_flow(cell, value, bits);
    else if (c->kind == CELL_BYTES)
        top_number_flow(cell, value, false);
    else if (c->kind == CELL_RATE)
        top_number_rate(cell, value);
    else
        top_number_count(cell, value);
    top_screen_put_right(s, place->row, place->column, style_of(c, value), cell, place->width);
}

static void draw_cell(struct top_screen *s, const struct top_place *place, const struct column *c,
                      const struct top_item *i, const struct top_table *t, const struct top_ui *u,
                      double full)
{
    const struct top_place graph = {place->row, place->column + 1, place->width - 1};
    bool up = i->count[TOP_WATCHED];
    switch (c->kind) {
    case CELL_NAME:
        top_screen_put_cut(s, place->row, place->column, TOP_STRONG, i->name, place->width);
        break;
    case CELL_STATE:
        top_screen_put_right(s, place->row, place->column, up ? TOP_GOOD : TOP_BAD,
                             up ? "up" : "down", place->width);
        break;
    case CELL_BAR:
        top_graph_bar(s, &graph, i->rate[TOP_IN], i->rate[TOP_OUT], full);
        break;
    case CELL_SPARK:
        top_graph_spark(s, &graph, c->count == TOP_IN ? TOP_IN_STYLE : TOP_OUT_STYLE, t, i,
                        c->count);
        break;
    default:
        draw_number(s, place, c, i, u->bits);
    }
}

static void draw_row(struct top_screen *s, unsigned row, const struct layout *l,
                     const struct top_item *i, const struct top_table *t, const struct top_ui *u)
{
    struct top_place place = {.row = row};
    for (unsigned c = 0; c < l->count; c++) {
        place.width = l->width[c];
        if (place.width)
            draw_cell(s, &place, &l->columns[c], i, t, u, l->full);
        place.column += place.width;
    }
}

static void draw_nothing(struct top_screen *s, unsigned row, const struct top_model *m,
                         const struct top_ui *u)
{
    const char *words = "no HTTP traffic yet";
    if (!m->known)
        words = "waiting for the agent";
    else if (u->filter[0])
        words = "no name has the filter in it";
    else if (u->page == TOP_PAGE_INTERFACES)
        words = "no interface has been watched yet";
    top_screen_put(s, row, 0, TOP_DIM, words);
}

void top_grid_draw(struct top_screen *s, unsigned row, unsigned end, const struct top_model *m,
                   struct top_ui *u)
{
    const struct top_table *t = u->page == TOP_PAGE_SERVICES ? &m->services : &m->interfaces;
    AUTO(top_list_deinit) struct top_list list = {0};
    top_list_init(&list, t, u);
    struct layout l = make_layout(&list, u->page, s->columns);
    u->rows = end > row + 1 ? end - row - 1 : 0;
    u->first = MIN(u->first, list.count > u->rows ? list.count - u->rows : 0);
    if (row < end)
        draw_titles(s, row, &l, u);
    if (list.count == 0 && u->rows)
        draw_nothing(s, row + 1, m, u);
    for (size_t n = 0; n < u->rows && u->first + n < list.count; n++)
        draw_row(s, row + 1 + (unsigned)n, &l, list.items[u->first + n], t, u);
}
