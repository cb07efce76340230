/*
 * The lines above the table of `httpacct top`: the agent and its health, the sum
 * of all services, the books, the interfaces, what is wrong.
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
 * Draw from row 0 on, @room rows at most: where there is not room for all, the
 * first ones. @trouble, unless empty, says why there is no news.
 *
 * Returns the row behind the last.
 */
unsigned top_header_draw(struct top_screen *s, unsigned room, const struct top_model *m,
                         const struct top_ui *u, const char *trouble);
