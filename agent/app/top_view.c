#include "app/top_view.h"

#include <stdio.h>

#include "app/top_grid.h"
#include "app/top_header.h"

/* The table keeps a title and two rows, and the last line what keys do. */
enum { GRID_ROWS_MIN = 3, HEADER_ROWS_MAX = 8, FOOTER_FROM_ROWS = 5 };

static const char *const help[] = {
    "httpacct top: what each HTTP service receives and sends now",
    "",
    "Sort, the most first",
#define SORT_LINE(NAME, key, words) NULL,
    TOP_SORTS(SORT_LINE)
#undef SORT_LINE
        "  s  the next of these",
    "Show",
    "  Tab      services, or interfaces",
    "  /        only names that have what you type in them; Enter keeps it, Esc ends it",
    "  b        bytes a second, or bits",
    "  p Space  pause, or go on",
    "  Up Down PgUp PgDn Home End  more rows",
    "  h ?      this; any key goes back",
    "  q        end",
    "Bars are in and out, side by side; graphs are the last 120 intervals.",
};

static void draw_help(struct top_screen *s)
{
    static const char keys[] = {
#define SORT_KEY(NAME, key, words) (key),
        TOP_SORTS(SORT_KEY)
#undef SORT_KEY
    };
    unsigned sort = 0;
    for (unsigned row = 0; row < ARRAY_SIZE(help); row++) {
        if (help[row]) {
            top_screen_put(s, row, 0, row ? TOP_PLAIN : TOP_STRONG, help[row]);
            continue;
        }
        top_screen_printf(s, row, 0, TOP_PLAIN, "  %c  %s", keys[sort], top_sort_words(sort));
        sort++;
    }
}

static void draw_footer(struct top_screen *s, unsigned row, const struct top_ui *u)
{
    char line[TOP_SCREEN_MAX];
    if (u->typing)
        snprintf(line, sizeof(line), "/%s_", u->filter);
    else if (u->filter[0])
        snprintf(line, sizeof(line), "q end  h help  Esc shows all, now only names with \"%s\"",
                 u->filter);
    else
        snprintf(line, sizeof(line), "q end  h help  s sort: %s  / filter  p pause  Tab %s",
                 top_sort_words(u->sort), u->page == TOP_PAGE_SERVICES ? "interfaces" : "services");
    top_screen_put_cut(s, row, 0, u->typing ? TOP_STRONG : TOP_DIM, line, s->columns);
}

void top_view_draw(struct top_screen *s, const struct top_model *m, struct top_ui *u,
                   const char *trouble)
{
    if (u->help) {
        draw_help(s);
        return;
    }
    unsigned end = s->rows >= FOOTER_FROM_ROWS || u->typing ? s->rows - (s->rows > 0) : s->rows;
    unsigned room = end > GRID_ROWS_MIN ? end - GRID_ROWS_MIN : MIN(end, 1u);
    unsigned row = top_header_draw(s, MIN(room, (unsigned)HEADER_ROWS_MAX), m, u, trouble);
    top_grid_draw(s, row, end, m, u);
    if (end < s->rows)
        draw_footer(s, end, u);
}
