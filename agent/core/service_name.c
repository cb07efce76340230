#include "core/service_name.h"

#include "core/name_mark.h"

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool service_name_fits(struct bytes raw)
{
    if (raw.size == 0 || raw.size > SERVICE_NAME_MAX || raw.data[0] == '_')
        return false;
    for (size_t i = 0; i < raw.size; i++)
        if (!is_name_byte(raw.data[i]))
            return false;
    return !name_mark_ends(raw);
}

bool service_name_make(struct service_name *name, struct bytes raw)
{
    if (service_name_fits(raw)) {
        memcpy(name->text, raw.data, raw.size);
        name->text[raw.size] = '\0';
        return false;
    }

    struct bytes rest = raw;
    struct bytes kept = bytes_take(&rest, SERVICE_NAME_MAX - NAME_MARK_SIZE);
    for (size_t i = 0; i < kept.size; i++)
        name->text[i] = is_name_byte(kept.data[i]) ? (char)kept.data[i] : '_';
    name_mark_write(name->text + kept.size, raw);
    return true;
}
