/*
 * The text of a config file, checked for what libconfig 1.5 lets pass or does
 * not survive:
 *
 * - a number that does not fit its type wraps around: 4294967297 is read as 1;
 * - a NUL ends a string early;
 * - an @include of a directory ends the program, and an absolute one is not found.
 *
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include "base/text.h"

/**
 * Check the file @path, and those that it includes from @directory.
 *
 * Syntax errors are left to libconfig. Returns -EINVAL or, for what can't be
 * read, -errno; @error gets a line as settings_load() has it.
 */
int settings_text_check(const char *path, const char *directory, struct text *error);
