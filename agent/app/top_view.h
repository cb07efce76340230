/*
 * All that `httpacct top` shows, drawn on a screen in memory.
 *
 * Units    cells
 * Owns     nothing
 * Threads  one at a time
 */
#pragma once

#include "app/top_model.h"
#include "app/top_screen.h"
#include "app/top_ui.h"

/* @trouble, unless empty, says why there is no news. Bounds what @u has scrolled to. */
void top_view_draw(struct top_screen *s, const struct top_model *m, struct top_ui *u,
                   const char *trouble);
