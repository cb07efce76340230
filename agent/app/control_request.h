/*
 * What a client of the control socket asks: one JSON object a line.
 *
 *     {"get":"status"}           {"get":"status","services":N}
 *     {"get":"totals"}           {"get":"totals","services":N}
 *     {"watch":"totals"}         {"watch":"totals","interval":SECONDS,"services":N}
 *     {"get":"rules","url":"/x?s=yo"}   {"get":"rules","url":"/x?s=yo","host":"a.example"}
 *     {"do":"reload"}
 *
 * status and totals are lines as io/console.h writes them, totals since they
 * began, of at most N services. Watching sends totals now and every interval, 0.1
 * to 3600 s, a second if none is given, until the client asks something else.
 * Unknown members, and those that come twice, are errors. What is wrong is
 * answered with {"error":"words"}.
 *
 * Units    milliseconds
 * Owns     what it read: see control_request_deinit()
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/json.h"
#include "base/bytes.h"
#include "base/text.h"

enum { CONTROL_SERVICES_MAX = 10000 };

enum control_verb {
    CONTROL_GET_STATUS,
    CONTROL_GET_TOTALS,
    CONTROL_WATCH_TOTALS,
    CONTROL_GET_RULES,
    CONTROL_DO_RELOAD,
};

struct control_request {
    enum control_verb verb;
    size_t services_max;  /* 0 to CONTROL_SERVICES_MAX */
    uint64_t interval_ms; /* of a watch */
    struct bytes url;     /* of rules */
    struct bytes host;    /* the same */
    json_t *json;         /* that they are views of */
};

/* Read @line. Returns false and adds what is wrong to @error: then nothing is to deinit. */
bool control_request_parse(struct control_request *r, struct bytes line, struct text *error);
void control_request_deinit(struct control_request *r);
#define control_request_deinit_auto control_request_deinit
