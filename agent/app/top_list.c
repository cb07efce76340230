#include "app/top_list.h"

#include <stdlib.h>
#include <string.h>

#include "app/top_model.h"
#include "base/macros.h"

typedef int compare_fn(const void *a, const void *b);

static const struct top_item *item_at(const void *place)
{
    return *(const struct top_item *const *)place;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(item_at(a)->name, item_at(b)->name);
}

/* By the sum of counts @c and @d, which may be one twice. */
static int by_counts(const void *a, const void *b, unsigned c, unsigned d)
{
    const struct top_item *x = item_at(a);
    const struct top_item *y = item_at(b);
    double x_rate = x->rate[c] + x->rate[d];
    double y_rate = y->rate[c] + y->rate[d];
    if (x_rate != y_rate)
        return x_rate > y_rate ? -1 : 1;
    uint64_t x_count = x->count[c] + x->count[d];
    uint64_t y_count = y->count[c] + y->count[d];
    if (x_count != y_count)
        return x_count > y_count ? -1 : 1;
    return by_name(a, b);
}

static int by_total(const void *a, const void *b)
{
    return by_counts(a, b, TOP_IN, TOP_OUT);
}

static int by_in(const void *a, const void *b)
{
    return by_counts(a, b, TOP_IN, TOP_IN);
}

static int by_out(const void *a, const void *b)
{
    return by_counts(a, b, TOP_OUT, TOP_OUT);
}

static int by_requests(const void *a, const void *b)
{
    return by_counts(a, b, TOP_REQUESTS, TOP_REQUESTS);
}

static int by_errors(const void *a, const void *b)
{
    return by_counts(a, b, TOP_4XX, TOP_5XX);
}

static compare_fn *const comparisons[TOP_SORT_COUNT] = {
    [TOP_SORT_TOTAL] = by_total,       [TOP_SORT_IN] = by_in,         [TOP_SORT_OUT] = by_out,
    [TOP_SORT_REQUESTS] = by_requests, [TOP_SORT_ERRORS] = by_errors, [TOP_SORT_NAME] = by_name,
};

void top_list_init(struct top_list *l, const struct top_table *t, const struct top_ui *u)
{
    *l = (struct top_list){.items = calloc(t->count + 1, sizeof(struct top_item *))};
    if (!l->items)
        return;
    for (const struct top_item *i = t->items; i; i = i->hh.next)
        if (strcasestr(i->name, u->filter))
            l->items[l->count++] = i;
    compare_fn *compare = u->page == TOP_PAGE_SERVICES ? comparisons[u->sort] : by_name;
    qsort(l->items, l->count, sizeof(struct top_item *), compare);
}

void top_list_deinit(struct top_list *l)
{
    free(l->items);
}
