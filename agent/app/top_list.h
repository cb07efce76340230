/*
 * The items of a table that are shown, in their order.
 *
 * Owns     its list, not the items
 * Threads  one at a time
 */
#pragma once

#include "app/top_table.h"
#include "app/top_ui.h"

struct top_list {
    const struct top_item **items;
    size_t count;
};

/**
 * Those of @t whose name has the filter of @u in it, upper and lower case being
 * the same: services as @u sorts, the fastest now first, then those that had most
 * so far, then by name; interfaces by name.
 *
 * Without memory the list is empty.
 */
void top_list_init(struct top_list *l, const struct top_table *t, const struct top_ui *u);
void top_list_deinit(struct top_list *l);
#define top_list_deinit_auto top_list_deinit
