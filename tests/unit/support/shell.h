/*
 * What a test has done by a command: interfaces, addresses.
 *
 * Threads  no state
 */
#pragma once

#include "base/macros.h"

/* Run a command by sh. The test fails if it does. */
void shell(const char *format, ...) PRINTF_LIKE(1, 2);
