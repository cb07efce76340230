/*
 * A strict reader of RFC 5424 messages: it takes what the RFC's grammar
 * (section 6) allows and nothing else.
 *
 * Owns     nothing, embed it by value
 * Threads  no state
 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"

enum {
    SYSLOG_PARSED_FIELD_MAX = 255,
    SYSLOG_PARSED_VALUE_MAX = 255,
    SYSLOG_PARSED_PARAMS_MAX = 64,
};

struct syslog_parsed {
    unsigned priority;
    char timestamp[SYSLOG_PARSED_FIELD_MAX + 1];
    char hostname[SYSLOG_PARSED_FIELD_MAX + 1];
    char app_name[SYSLOG_PARSED_FIELD_MAX + 1];
    char process_id[SYSLOG_PARSED_FIELD_MAX + 1];
    char message_id[SYSLOG_PARSED_FIELD_MAX + 1];
    size_t param_count; /* of all elements */
    struct syslog_param {
        char element[SYSLOG_PARSED_FIELD_MAX + 1];
        char name[SYSLOG_PARSED_FIELD_MAX + 1];
        char value[SYSLOG_PARSED_VALUE_MAX + 1]; /* without escapes */
    } params[SYSLOG_PARSED_PARAMS_MAX];
    struct bytes text; /* without the byte order mark */
    bool has_mark;
};

/* Returns NULL, or which rule @message breaks. */
const char *syslog_parse(struct syslog_parsed *out, struct bytes message);

/* The value of a parameter, or NULL. */
const char *syslog_parsed_value(const struct syslog_parsed *p, const char *element,
                                const char *name);
