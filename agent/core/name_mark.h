/*
 * The mark of a name that had to be changed: "__" and 12 hexadecimal digits of
 * a fixed hash (XXH3) of what it was, at its end. So two names don't become one by
 * chance, and every host writes the same. It has no key, for the same reason: who
 * looks for two names with one mark finds them, and gains one service for both.
 *
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

enum { NAME_MARK_SIZE = 14 };

/* Write the mark of a name that was @original to @out, and a NUL. */
void name_mark_write(char out[static NAME_MARK_SIZE + 1], struct bytes original);

/* Whether @name ends as only a changed one may. */
bool name_mark_ends(struct bytes name);
