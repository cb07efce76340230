/*
 * Saying what is wrong with a rule, and quoting it.
 *
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include "core/rule.h"

/* Fill the message of @error: @what and the @text that it is about. Returns -EINVAL, or -ENOMEM. */
int rule_error_text(struct rule_error *error, const char *what, const char *text);

/* The same for what is about the whole rule. */
int rule_error_whole(struct rule_error *error, const char *what, const struct rule_options *rule);
