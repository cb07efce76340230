/*
 * The ledger's totals as text, to outlive the process:
 *
 *     {"httpacct":"totals","version":1,"time":...,"since":...,"seconds":...,
 *      "services":[...],"interfaces":[...]}
 *
 * with the members of a line of totals (io/console.h). Past
 * TOTALS_FILE_SERVICES services the rest is kept as one, and comes back as _other.
 *
 * Units    nanoseconds since the epoch
 * Owns     nothing
 * Threads  one at a time
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"
#include "core/ledger.h"
#include "io/console.h"

enum { TOTALS_FILE_SERVICES = 100000 };

/* Add the totals of @l to @t. */
void totals_file_write(struct text *t, struct ledger *l, const struct console_moment *now);

/**
 * Add what @content has to the totals of @l, and fill @since_ns. Bytes whose
 * service was not known when it was written are left out, on both sides of the
 * books.
 *
 * Returns -EINVAL and adds what is wrong to @error, in a few words: then nothing
 * was added. Or -ENOMEM.
 */
int totals_file_read(struct ledger *l, struct bytes content, uint64_t *since_ns,
                     struct text *error);
