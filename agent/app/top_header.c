#include "app/top_header.h"

#include <string.h>

#include "app/top_graph.h"
#include "app/top_number.h"

static unsigned add_flow(struct top_screen *s, unsigned row, unsigned column, enum top_style style,
                         double bytes, bool bits)
{
    char cell[SCALE_CELL_MAX];
    top_number_flow(cell, bytes, bits);
    return top_screen_put(s, row, column, style, cell);
}

static unsigned add_duration(struct top_screen *s, unsigned row, unsigned column, double up_s)
{
    unsigned long long seconds = (unsigned long long)up_s;
    if (seconds >= 86400)
        column = top_screen_printf(s, row, column, TOP_PLAIN, "%llu d ", seconds / 86400);
    return top_screen_printf(s, row, column, TOP_PLAIN, "%02llu:%02llu:%02llu", seconds / 3600 % 24,
                             seconds / 60 % 60, seconds % 60);
}

static void draw_agent(struct top_screen *s, unsigned row, const struct top_model *m,
                       const struct top_ui *u)
{
    unsigned column = top_screen_printf(s, row, 0, TOP_STRONG, "httpacct %s", m->version);
    if (u->paused)
        column = top_screen_put(s, row, column + 2, TOP_BAD, "PAUSED");
    column = top_screen_put(s, row, column + 2, TOP_DIM, "health ");
    column = top_screen_put(s, row, column, m->healthy ? TOP_GOOD : TOP_BAD,
                            m->healthy ? "ok" : "degraded");
    column = top_screen_put(s, row, column + 2, TOP_DIM, "up ");
    column = add_duration(s, row, column, m->up_s);
    column = top_screen_printf(s, row, column + 2, TOP_PLAIN, "%zu services", m->services.count);
    top_screen_printf(s, row, column + 2, TOP_DIM, "every %.3g s", m->interval_s);
}

static unsigned add_sum(struct top_screen *s, unsigned row, unsigned column, const char *label,
                        double rate)
{
    char cell[SCALE_CELL_MAX];
    top_number_rate(cell, rate);
    column = top_screen_put(s, row, column + 2, TOP_DIM, label);
    return top_screen_printf(s, row, column, TOP_PLAIN, " %s/s", cell);
}

static void draw_sum(struct top_screen *s, unsigned row, const struct top_model *m,
                     const struct top_ui *u)
{
    const struct top_item *all = top_model_all(m);
    if (!all)
        return;
    unsigned column = top_screen_put(s, row, 0, TOP_DIM, "all  in ");
    column = add_flow(s, row, column, TOP_IN_STYLE, all->rate[TOP_IN], u->bits);
    column = top_screen_put(s, row, column, TOP_IN_STYLE, "/s");
    column = top_screen_put(s, row, column + 2, TOP_DIM, "out ");
    column = add_flow(s, row, column, TOP_OUT_STYLE, all->rate[TOP_OUT], u->bits);
    column = top_screen_put(s, row, column, TOP_OUT_STYLE, "/s");
    column = add_sum(s, row, column, "requests", all->rate[TOP_REQUESTS]);
    column = add_sum(s, row, column, "4xx", all->rate[TOP_4XX]);
    column = add_sum(s, row, column, "5xx", all->rate[TOP_5XX]);
    column = top_screen_put(s, row, column + 2, TOP_DIM, "open ");
    top_screen_printf(s, row, column, TOP_PLAIN, "%llu", (unsigned long long)all->count[TOP_OPEN]);
}

static struct top_item sum_of_interfaces(const struct top_model *m)
{
    struct top_item sum = {0};
    for (const struct top_item *i = m->interfaces.items; i; i = i->hh.next) {
        for (unsigned c = 0; c < TOP_COUNTS; c++)
            sum.count[c] += i->count[c];
    }
    return sum;
}

static bool all_balance(const struct top_model *m)
{
    for (const struct top_item *i = m->interfaces.items; i; i = i->hh.next)
        if (top_interface_imbalance(i))
            return false;
    return true;
}

/* The books of all interfaces together, without what is nought but for the services. */
static void draw_books(struct top_screen *s, unsigned row, const struct top_model *m)
{
    static const struct {
        const char *words;
        enum top_interface_count count;
    } terms[] = {
        {"tcp ", TOP_TCP},
        {" = services ", TOP_SERVICE},
        {" + not http ", TOP_NOT_HTTP},
        {" + untracked ", TOP_UNTRACKED},
        {" + pending ", TOP_PENDING},
    };
    bool balanced = all_balance(m);
    struct top_item sum = sum_of_interfaces(m);
    unsigned column = top_screen_put(s, row, 0, balanced ? TOP_GOOD : TOP_BAD,
                                     balanced ? "balanced  " : "NOT BALANCED  ");
    for (unsigned t = 0; t < ARRAY_SIZE(terms); t++) {
        if (sum.count[terms[t].count] == 0 && terms[t].count > TOP_SERVICE)
            continue;
        column = top_screen_put(s, row, column, TOP_DIM, terms[t].words);
        column = add_flow(s, row, column, TOP_PLAIN, (double)sum.count[terms[t].count], false);
    }
}

/* Those that are missed first: there may be many. */
static void draw_interfaces(struct top_screen *s, unsigned row, const struct top_model *m,
                            const struct top_ui *u)
{
    unsigned long long drops = sum_of_interfaces(m).count[TOP_DROPS];
    unsigned column = top_screen_printf(s, row, 0, drops ? TOP_BAD : TOP_DIM, "drops %llu", drops);
    column = top_screen_printf(s, row, column + 2, TOP_DIM, "interfaces %zu", m->interfaces.count);
    for (unsigned up = 0; up < 2; up++) {
        for (const struct top_item *i = m->interfaces.items; i; i = i->hh.next) {
            if (i->count[TOP_WATCHED] != up || column >= s->columns)
                continue;
            column = top_screen_put(s, row, column + 2, TOP_PLAIN, i->name);
            column =
                top_screen_put(s, row, column + 1, up ? TOP_GOOD : TOP_BAD, up ? "up" : "down");
            if (up)
                column = add_flow(s, row, column + 1, TOP_PLAIN, i->rate[TOP_TCP], u->bits);
            if (up)
                column = top_screen_put(s, row, column, TOP_PLAIN, "/s");
        }
    }
}

unsigned top_header_draw(struct top_screen *s, unsigned room, const struct top_model *m,
                         const struct top_ui *u, const char *trouble)
{
    unsigned row = 0;
    if (*trouble && row < room)
        top_screen_put_cut(s, row++, 0, TOP_BAD, trouble, s->columns);
    if (m->known && row < room)
        draw_agent(s, row++, m, u);
    if (m->known && row < room)
        draw_sum(s, row++, m, u);
    if (m->known && row < room)
        draw_books(s, row++, m);
    if (m->known && row < room)
        draw_interfaces(s, row++, m, u);
    for (unsigned p = 0; p < m->problem_count && row < room; p++)
        top_screen_put_cut(s, row++, 0, TOP_BAD, m->problems[p], s->columns);
    return row;
}
