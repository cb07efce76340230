/*
 * The table that takes most of the screen of `httpacct top`: a row for each
 * service, or for each interface.
 *
 * Units    cells
 * Owns     nothing
 * Threads  one at a time
 */
#pragma once

#include "app/top_model.h"
#include "app/top_screen.h"
#include "app/top_ui.h"

/**
 * Draw titles and rows on rows @row to @end of the screen, the latter excluded.
 * Columns that there is no room for are left out, the least important first.
 * Bounds what @u has scrolled to.
 */
void top_grid_draw(struct top_screen *s, unsigned row, unsigned end, const struct top_model *m,
                   struct top_ui *u);
