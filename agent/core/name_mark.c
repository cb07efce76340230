#include "core/name_mark.h"

#include <stdio.h>
#include <xxhash.h>

#define MARK "__"

enum { MARK_BYTES = sizeof(MARK) - 1 };

void name_mark_write(char out[static NAME_MARK_SIZE + 1], struct bytes original)
{
    /* XXH3 is fixed since xxHash 0.8.0, so hosts of different distributions agree. */
    unsigned long long hash = XXH3_64bits(original.data, original.size) & 0xffffffffffff;
    snprintf(out, NAME_MARK_SIZE + 1, MARK "%012llx", hash);
}

static bool is_hash_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool name_mark_ends(struct bytes name)
{
    if (name.size < NAME_MARK_SIZE)
        return false;

    const uint8_t *mark = name.data + name.size - NAME_MARK_SIZE;
    if (memcmp(mark, MARK, MARK_BYTES) != 0)
        return false;
    for (size_t i = MARK_BYTES; i < NAME_MARK_SIZE; i++)
        if (!is_hash_digit(mark[i]))
            return false;
    return true;
}
