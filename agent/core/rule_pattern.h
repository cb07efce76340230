/*
 * The conditions of one rule, checked and ready to be compared.
 *
 * Owns     copies of its texts, embed it by value
 * Threads  immutable
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "core/rule.h"

enum { RULE_QUERY_MAX = 255, RULE_HOST_MAX = 255, RULE_SEGMENTS_MAX = 64 };

enum rule_host {
    RULE_HOST_ANY,
    RULE_HOST_EXACT, /* the host itself */
    RULE_HOST_BELOW, /* the host with one label or more in front */
    RULE_HOST_LABEL, /* the host with one label in front, the name */
    RULE_HOST_KINDS,
};

enum rule_source {
    RULE_SOURCE_FIXED, /* service says it */
    RULE_SOURCE_QUERY, /* the parameter's last value */
    RULE_SOURCE_PATH,  /* the segment that is "{service}" in the pattern */
    RULE_SOURCE_HOST,  /* the first label */
};

struct rule_pattern {
    struct bytes query; /* parameter, decoded; data NULL: no such condition */
    struct bytes path;  /* without a last '/', so "/" is empty; data NULL: no such condition */
    struct bytes host;  /* lower case, as target_host() leaves it, without "*." */
    enum rule_host host_kind;
    enum rule_source source;
    struct service_name service; /* for RULE_SOURCE_FIXED */
    char *copies[3];
};

/**
 * Check and copy @options.
 *
 * Returns -EINVAL and fills @error->message for one that is malformed or contradicts
 * itself. Without success there is nothing to deinit.
 */
int rule_pattern_init(struct rule_pattern *p, const struct rule_options *options,
                      struct rule_error *error);
void rule_pattern_deinit(struct rule_pattern *p);

/* Whether @segment of a pattern's path takes any segment that is not empty. */
bool rule_pattern_is_placeholder(struct bytes segment);

/* Whether @wide takes every request that @narrow takes. */
bool rule_pattern_covers(const struct rule_pattern *wide, const struct rule_pattern *narrow);

/* Add @p to @t as the config writes it. */
void rule_pattern_describe(const struct rule_pattern *p, struct text *t);
