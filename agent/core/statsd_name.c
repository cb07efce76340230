#include "core/statsd_name.h"

#include <assert.h>

#include "core/name_mark.h"

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static uint8_t to_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* Whether @raw is of name bytes, and dots if @with_dots. */
static bool is_of_name_bytes(struct bytes raw, bool with_dots)
{
    for (size_t i = 0; i < raw.size; i++)
        if (!is_name_byte(raw.data[i]) && !(with_dots && raw.data[i] == '.'))
            return false;
    return raw.size > 0;
}

static bool has_pair(struct bytes raw, const char *pair)
{
    return memmem(raw.data, raw.size, pair, strlen(pair));
}

static bool keep(struct statsd_name *name, struct bytes raw, size_t size_max)
{
    if (raw.size > size_max)
        return false;
    memcpy(name->text, raw.data, raw.size);
    name->text[raw.size] = '\0';
    return true;
}

/* Write @raw with "__" for each dot, unless something else might have given the same. */
static bool spell_dots(struct statsd_name *name, struct bytes raw, size_t size_max)
{
    if (has_pair(raw, "__") || has_pair(raw, "_.") || has_pair(raw, "._"))
        return false;
    size_t size = 0;
    for (size_t i = 0; i < raw.size; i++) {
        bool dot = raw.data[i] == '.';
        if (size + 1 + dot > size_max)
            return false;
        name->text[size++] = dot ? '_' : (char)raw.data[i];
        if (dot)
            name->text[size++] = '_';
    }
    name->text[size] = '\0';
    return !name_mark_ends(bytes_make(name->text, size));
}

static bool make_node(struct statsd_name *name, struct bytes raw, size_t size_max)
{
    if (bytes_equal(raw, BYTES("agent")) || !is_of_name_bytes(raw, true))
        return false;
    if (is_of_name_bytes(raw, false) && name_mark_ends(raw))
        return keep(name, raw, size_max);
    return spell_dots(name, raw, size_max);
}

static void mark(struct statsd_name *name, enum statsd_name_kind kind, struct bytes raw,
                 size_t size_max)
{
    struct bytes rest = raw;
    struct bytes kept = bytes_take(&rest, size_max - NAME_MARK_SIZE);
    for (size_t i = 0; i < kept.size; i++) {
        uint8_t c = to_lower(kept.data[i]);
        bool fits = is_name_byte(c) || (kind == STATSD_TAG && c == '.');
        name->text[i] = fits ? (char)c : '_';
    }
    name_mark_write(name->text + kept.size, raw);
}

void statsd_name_make(struct statsd_name *name, enum statsd_name_kind kind, struct bytes raw,
                      size_t size_max)
{
    assert(size_max > NAME_MARK_SIZE && size_max <= STATSD_NAME_MAX);

    bool kept = kind == STATSD_NODE ? make_node(name, raw, size_max)
                                    : is_of_name_bytes(raw, true) && keep(name, raw, size_max);
    if (!kept)
        mark(name, kind, raw, size_max);
}
