/*
 * Which rule takes a request, and why not the others: for people, and as JSON.
 *
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include "base/text.h"
#include "core/rule.h"

/*
 * Each adds to @t and returns -ENOMEM, or 0; check text_failed(). Rules count
 * from 1, as in errors of the config.
 */

/* Lines: what the request has, what becomes of each rule, the service. */
int explain_for_people(struct text *t, const struct rule_set *s, const struct rule_request *r);

/*
 * {"service":"yo","changed":false,"rule":1,"rules":[{"rule":1,"text":"{ query = \"s\"; }",
 * "verdict":"takes"}]} and a line end. Verdicts are "takes", "too late", and what
 * fails: "query", "host", "path". "rule" is null when none takes it; "changed"
 * says that the name was not fit, and ends in a hash.
 */
int explain_as_json(struct text *t, const struct rule_set *s, const struct rule_request *r);
