/*
 * A request target taken apart: origin, absolute, authority and asterisk form
 * (RFC 9112, section 3.2).
 *
 * Nothing is normalised: "/a/./b", "/a//b" and "/%61/b" are not "/a/b". What is
 * no target of those forms has no parts. The fragment, which a client should
 * not send, is no part either.
 *
 * Owns     nothing, all are views of what was handed in
 * Threads  no state
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

/* Parts that are not there are empty. */
struct target {
    struct bytes host;  /* as target_host() leaves it */
    struct bytes path;  /* begins with '/', which is also what absolute form without one has */
    struct bytes query; /* without the '?' */
};

void target_split(struct target *t, struct bytes raw);

/* What identifies the host in the Host header @value: no blanks around it, port, or last dot. */
struct bytes target_host(struct bytes value);

/**
 * Take the first segment, with the '/' before it, off @path.
 *
 * The path "/" is one empty segment. Returns false when @path is used up.
 */
bool target_take_segment(struct bytes *path, struct bytes *segment);

/* A parameter as written, not decoded. */
struct target_parameter {
    struct bytes name;
    struct bytes value; /* empty without '=', too */
};

/**
 * Take the last parameter, with the '&' before it, off @query.
 *
 * Returns false when @query is used up.
 */
bool target_take_last_parameter(struct bytes *query, struct target_parameter *p);
