/*
 * Percent-encoding, of URIs (RFC 3986, section 2.1) and of forms (WHATWG URL,
 * section 5.1), where '+' is a space too. A '%' that two hexadecimal digits do
 * not follow stands for itself.
 *
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

enum percent_kind { PERCENT_URI, PERCENT_FORM };

/* Decode @encoded to @out, which has room for encoded.size. Returns how many bytes it became. */
size_t percent_decode(uint8_t *out, struct bytes encoded, enum percent_kind kind);

/* Whether @encoded decodes to @plain. */
bool percent_equal(struct bytes encoded, struct bytes plain, enum percent_kind kind);
