#include "app/key.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NANOSECONDS_PER_SECOND UINT64_C(1000000000)
#define BYTES_PER_MEBIBYTE     (UINT32_C(1) << 20)

static void begin_error(const config_setting_t *s, struct text *error)
{
    text_printf(error, "%s:%u: ", config_setting_source_file(s), config_setting_source_line(s));
}

static void add_quoted(struct text *t, const char *string)
{
    text_add_char(t, '"');
    text_add_printable(t, bytes_from_string(string));
    text_add_char(t, '"');
}

int key_fail(const config_setting_t *s, const char *message, struct text *error)
{
    begin_error(s, error);
    text_add_string(error, message);
    return -EINVAL;
}

int key_fail_text(const config_setting_t *s, const char *what, const char *text, struct text *error)
{
    begin_error(s, error);
    text_printf(error, "%s: ", what);
    add_quoted(error, text);
    return -EINVAL;
}

static void add_value(struct text *t, const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        text_printf(t, "%lld", config_setting_get_int64(s));
        break;
    case CONFIG_TYPE_FLOAT:
        text_printf(t, "%g", config_setting_get_float(s));
        break;
    case CONFIG_TYPE_BOOL:
        text_add_string(t, config_setting_get_bool(s) ? "true" : "false");
        break;
    case CONFIG_TYPE_STRING:
        add_quoted(t, config_setting_get_string(s));
        break;
    case CONFIG_TYPE_GROUP:
        text_add_string(t, "a group { }");
        break;
    case CONFIG_TYPE_ARRAY:
        text_add_string(t, "an array [ ]");
        break;
    default:
        text_add_string(t, "a list ( )");
        break;
    }
}

/* "flush.interval": with the name of its group, or of the list that its group is in. */
static void add_name(struct text *t, const config_setting_t *s)
{
    const config_setting_t *group = config_setting_parent(s);
    if (!config_setting_name(s)) {
        text_add_string(t, "each of ");
        add_name(t, group);
        return;
    }
    if (!config_setting_is_root(group) && !config_setting_name(group))
        group = config_setting_parent(group);
    if (!config_setting_is_root(group))
        text_printf(t, "%s.", config_setting_name(group));
    text_add_string(t, config_setting_name(s));
}

int key_fail_problem(const config_setting_t *s, const char *problem, struct text *error)
{
    begin_error(s, error);
    add_name(error, s);
    text_printf(error, " %s: ", problem);
    add_quoted(error, config_setting_get_string(s));
    return -EINVAL;
}

int key_fail_value(const config_setting_t *s, const char *wanted, struct text *error)
{
    begin_error(s, error);
    add_name(error, s);
    text_printf(error, " must be %s, not ", wanted);
    add_value(error, s);
    return -EINVAL;
}

bool key_is(const config_setting_t *s, int type)
{
    return config_setting_type(s) == type;
}

const config_setting_t *key_element(const config_setting_t *s, int at)
{
    return config_setting_get_elem((config_setting_t *)s, (unsigned)at);
}

static int read_one(const struct key *keys, const config_setting_t *s, void *target,
                    struct text *error)
{
    for (const struct key *k = keys; k->name; k++)
        if (strcmp(k->name, config_setting_name(s)) == 0)
            return k->read(k, s, (char *)target + k->offset, error);
    return key_fail_text(s, "unknown key", config_setting_name(s), error);
}

int key_read_all(const struct key *keys, const config_setting_t *s, void *target,
                 struct text *error)
{
    if (!key_is(s, CONFIG_TYPE_GROUP))
        return key_fail_value(s, "a group { }", error);
    int r = 0;
    for (int i = 0; r == 0 && i < config_setting_length(s); i++)
        r = read_one(keys, key_element(s, i), target, error);
    return r;
}

int key_read_group(const struct key *k, const config_setting_t *s, void *field, struct text *error)
{
    return key_read_all(k->keys, s, field, error);
}

int key_integer(const struct key *k, const config_setting_t *s, long long *out, struct text *error)
{
    bool whole = key_is(s, CONFIG_TYPE_INT) || key_is(s, CONFIG_TYPE_INT64);
    long long number = config_setting_get_int64(s);
    if (!whole || number < k->min || number > k->max) {
        char wanted[80];
        snprintf(wanted, sizeof(wanted), "a whole number from %lld to %lld", k->min, k->max);
        return key_fail_value(s, wanted, error);
    }
    *out = number;
    return 0;
}

int key_read_uint32(const struct key *k, const config_setting_t *s, void *field, struct text *error)
{
    long long number;
    int r = key_integer(k, s, &number, error);
    if (r == 0)
        *(uint32_t *)field = (uint32_t)number;
    return r;
}

int key_read_seconds(const struct key *k, const config_setting_t *s, void *field,
                     struct text *error)
{
    long long seconds;
    int r = key_integer(k, s, &seconds, error);
    if (r == 0)
        *(uint64_t *)field = (uint64_t)seconds * NANOSECONDS_PER_SECOND;
    return r;
}

int key_read_mebibytes(const struct key *k, const config_setting_t *s, void *field,
                       struct text *error)
{
    long long mebibytes;
    int r = key_integer(k, s, &mebibytes, error);
    if (r == 0)
        *(uint32_t *)field = (uint32_t)mebibytes * BYTES_PER_MEBIBYTE;
    return r;
}

int key_read_bool(const struct key *k, const config_setting_t *s, void *field, struct text *error)
{
    (void)k;
    if (!key_is(s, CONFIG_TYPE_BOOL))
        return key_fail_value(s, "true or false", error);
    *(bool *)field = config_setting_get_bool(s) != 0;
    return 0;
}

int key_read_string(const struct key *k, const config_setting_t *s, void *field, struct text *error)
{
    (void)k;
    if (!key_is(s, CONFIG_TYPE_STRING))
        return key_fail_value(s, "a string", error);
    char *copy = strdup(config_setting_get_string(s));
    if (!copy)
        return -ENOMEM;
    *(const char **)field = copy;
    return 0;
}
