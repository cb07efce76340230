/*
 * Which service a request belongs to.
 *
 * Rules are tried in order, the first whose conditions all hold wins. They are
 * compiled: the time for a request grows with the request, not with the number
 * of rules.
 *
 * Query parameters, names and values, are decoded as a form's (WHATWG URL, section
 * 5.1); paths are compared as they are written: "/a//b", "/a/./b" and "/%61/b" are
 * not "/a/b"; hosts without case, port and trailing dot (RFC 9110, section 4.2.3).
 * The host of the target comes before the Host header. CONNECT and "OPTIONS *"
 * have no path.
 *
 * Owns     its compiled rules; the options are only read
 * Threads  immutable: any number of readers
 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/macros.h"
#include "base/text.h"
#include "core/service_name.h"

/*
 * One rule as written. NULL: no such condition. Without any it takes every
 * request.
 *
 * Exactly one thing says what the service is called: service; or a "{service}",
 * in path or host; or query, where there is no service. A name from a path is
 * percent-decoded, one from a host is in lower case.
 */
struct rule_options {
    const char *query;   /* parameter, decoded, whose last value must not be empty */
    const char *path;    /* prefix, on a segment boundary; one segment may be "{service}", which
                            takes any that is not empty. A '/' at its end makes no difference */
    const char *host;    /* "a.b", "*.b" (one label or more), "{service}.b" (one label) */
    const char *service; /* service_name_fits() */
};

enum { RULES_MAX = 10000, RULE_MESSAGE_MAX = 512 };

struct rule_error {
    size_t rule;                    /* which, from 0 */
    char message[RULE_MESSAGE_MAX]; /* what is wrong, the text quoted. Counts rules from 1 */
};

/* What the rules look at. Views may be empty. */
struct rule_request {
    struct bytes target; /* as in the request line: origin, absolute, authority or asterisk form */
    struct bytes host;   /* value of the Host header */
};

struct rule_set;

/**
 * Compile @count rules.
 *
 * Returns -EINVAL and fills @error for a rule that is malformed, contradicts
 * itself, or can never match because an earlier one takes all it would; and for
 * more than RULES_MAX.
 */
int rule_set_new(struct rule_set **out, const struct rule_options *rules, size_t count,
                 struct rule_error *error);
struct rule_set *rule_set_free(struct rule_set *s);
AUTO_DEFINE(struct rule_set, rule_set_free)

enum { RULE_NONE = -1 };

/**
 * Find the service of @request. The request is hostile: any bytes, any length.
 *
 * Returns the number of the rule that took it and fills @name, or RULE_NONE.
 */
int rule_set_match(const struct rule_set *s, const struct rule_request *request,
                   struct service_name *name);

/* What becomes of a rule when a request comes. */
enum rule_verdict {
    RULE_TAKES,
    RULE_TOO_LATE, /* all its conditions hold, but a rule before it takes the request */
    RULE_QUERY_FAILS,
    RULE_HOST_FAILS,
    RULE_PATH_FAILS,
};

/**
 * Fill @verdicts, one for each rule, with why rule_set_match() returns what it
 * does. Of several conditions that fail the first is named, in the order above.
 *
 * Each rule is compiled anew: this is for people, not for packets. Returns
 * -ENOMEM.
 */
int rule_set_explain(const struct rule_set *s, const struct rule_request *request,
                     enum rule_verdict *verdicts);

size_t rule_set_count(const struct rule_set *s);

/* Add rule number @rule to @t as the config writes it: { query = "s"; } */
void rule_set_describe(const struct rule_set *s, size_t rule, struct text *t);
