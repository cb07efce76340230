/*
 * What is wrong, in words, as members of a JSON array: each with a comma behind it.
 *
 * Owns     its text
 * Threads  one at a time
 */
#pragma once

#include <stddef.h>

#include "base/macros.h"
#include "base/text.h"

struct problems {
    struct text text;
    size_t count;
};

void problems_add(struct problems *p, const char *format, ...) PRINTF_LIKE(2, 3);
void problems_deinit(struct problems *p);
#define problems_deinit_auto problems_deinit
