/*
 * Names of services: 1 to 64 bytes of [A-Za-z0-9._-].
 *
 * A name that comes from the network or the config is kept as it is when it
 * fits. Otherwise what does not fit becomes '_', it is cut, and it ends in "__"
 * and 12 hexadecimal digits of a fixed hash (XXH3) of the original: two names
 * don't become one by chance, and every host writes the same. Names that begin with '_',
 * or end as if they had been changed, are changed too, so that neither the
 * reserved names nor a changed one can be forged.
 *
 * Owns     nothing, copy it by value
 * Threads  no state
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

enum { SERVICE_NAME_MAX = 64 };

struct service_name {
    char text[SERVICE_NAME_MAX + 1]; /* NUL-terminated */
};

/* The names that only the agent itself gives. */
#define SERVICE_UNSPECIFIED "_unspecified" /* no rule matched */
#define SERVICE_UNKNOWN     "_unknown"     /* a reply without a known request, lost packets */
#define SERVICE_OTHER       "_other"       /* past the cap on services */

/**
 * Make a name of @raw, which is not empty.
 *
 * Returns whether it had to be changed.
 */
bool service_name_make(struct service_name *name, struct bytes raw);

/* Whether service_name_make() would keep @raw as it is. */
bool service_name_fits(struct bytes raw);
