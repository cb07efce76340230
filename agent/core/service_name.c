#include "core/service_name.h"

#include <stdio.h>
#include <xxhash.h>

#define MARK "__"

enum {
    MARK_SIZE = sizeof(MARK) - 1,
    HASH_DIGITS = 12,
    SUFFIX_SIZE = MARK_SIZE + HASH_DIGITS,
};

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool is_hash_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Whether @raw ends as only a changed name may. */
static bool ends_as_changed(struct bytes raw)
{
    if (raw.size < SUFFIX_SIZE)
        return false;

    const uint8_t *suffix = raw.data + raw.size - SUFFIX_SIZE;
    if (memcmp(suffix, MARK, MARK_SIZE) != 0)
        return false;
    for (size_t i = MARK_SIZE; i < SUFFIX_SIZE; i++)
        if (!is_hash_digit(suffix[i]))
            return false;
    return true;
}

bool service_name_fits(struct bytes raw)
{
    if (raw.size == 0 || raw.size > SERVICE_NAME_MAX || raw.data[0] == '_')
        return false;
    for (size_t i = 0; i < raw.size; i++)
        if (!is_name_byte(raw.data[i]))
            return false;
    return !ends_as_changed(raw);
}

bool service_name_make(struct service_name *name, struct bytes raw)
{
    if (service_name_fits(raw)) {
        memcpy(name->text, raw.data, raw.size);
        name->text[raw.size] = '\0';
        return false;
    }

    struct bytes kept =
        bytes_take(&(struct bytes){raw.data, raw.size}, SERVICE_NAME_MAX - SUFFIX_SIZE);
    for (size_t i = 0; i < kept.size; i++)
        name->text[i] = is_name_byte(kept.data[i]) ? (char)kept.data[i] : '_';

    /* XXH3 is fixed since xxHash 0.8.0, so hosts of different distributions agree. */
    unsigned long long hash = XXH3_64bits(raw.data, raw.size) & 0xffffffffffff;
    snprintf(name->text + kept.size, SUFFIX_SIZE + 1, MARK "%012llx", hash);
    return true;
}
