/*
 * Numbers of `httpacct top`: short, with SI prefixes.
 *
 * Owns     nothing
 * Threads  any
 */
#pragma once

#include <stdbool.h>

#include "base/scale.h"

/* Bytes a second as such, "1.2 MB", or as bits, "9.6 Mb". */
void top_number_flow(char cell[static SCALE_CELL_MAX], double bytes, bool bits);

/* Things a second; few of them with a fraction, "0.5". */
void top_number_rate(char cell[static SCALE_CELL_MAX], double rate);

void top_number_count(char cell[static SCALE_CELL_MAX], double count);
