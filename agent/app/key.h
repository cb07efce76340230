/*
 * Config files by tables: each group of settings has a list of the keys that
 * may stand in it, and each key says how its value is read, and where to.
 *
 * What a key must not be is an error, one line in a text: FILE:LINE: what is
 * wrong, and the text that is. Functions that return int return 0, -ENOMEM, or
 * -EINVAL with such a line added.
 *
 * Units    a number is in the unit of the file until its read function makes it ours
 * Owns     nothing; strings are copies, given away
 * Threads  as libconfig's
 */
#pragma once

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* A list of keys ends with one that has no name. */
struct key {
    const char *name;
    int (*read)(const struct key *k, const config_setting_t *s, void *field, struct text *error);
    size_t offset;          /* of its field in the struct that the group fills */
    long long min, max;     /* of a number */
    const struct key *keys; /* of a group */
};

/* Fill the struct @target from the group @s. */
int key_read_all(const struct key *keys, const config_setting_t *s, void *target,
                 struct text *error);

/* What key.read may be, by the type of the field. */
int key_read_group(const struct key *k, const config_setting_t *s, void *field, struct text *error);
int key_read_uint32(const struct key *k, const config_setting_t *s, void *field,
                    struct text *error);
int key_read_seconds(const struct key *k, const config_setting_t *s, void *field,
                     struct text *error); /* uint64_t nanoseconds */
int key_read_mebibytes(const struct key *k, const config_setting_t *s, void *field,
                       struct text *error); /* uint32_t bytes */
int key_read_bool(const struct key *k, const config_setting_t *s, void *field, struct text *error);
int key_read_string(const struct key *k, const config_setting_t *s, void *field,
                    struct text *error); /* const char *, to be freed; NULL before */

/* For other read functions. */

/* The number @s, if it is one from @k's min to its max. */
int key_integer(const struct key *k, const config_setting_t *s, long long *out, struct text *error);

bool key_is(const config_setting_t *s, int type);

/* Element @at of what has some. */
const config_setting_t *key_element(const config_setting_t *s, int at);

/* "what: text" */
int key_fail_text(const config_setting_t *s, const char *what, const char *text,
                  struct text *error);

/* "GROUP.KEY problem: "STRING"" */
int key_fail_problem(const config_setting_t *s, const char *problem, struct text *error);

/* "GROUP.KEY must be WANTED, not VALUE" */
int key_fail_value(const config_setting_t *s, const char *wanted, struct text *error);

/* "message" */
int key_fail(const config_setting_t *s, const char *message, struct text *error);
