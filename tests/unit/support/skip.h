/*
 * Tests that can't run here: skipped by name, never passed.
 */
#pragma once

#include <stdnoreturn.h>

#include "base/macros.h"

/* Say why, and end the program as skipped (77); as failed where CI=true. */
noreturn void test_skip(const char *format, ...) PRINTF_LIKE(1, 2);

/*
 * The path of @name in the folder that holds what the tests share and the
 * source tree does not: $HTTPACCT_SHARED, or ../shared beside the source tree.
 * Valid until the next call.
 */
const char *test_shared_path(const char *name);
