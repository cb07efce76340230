#include "app/settings_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/control_socket.h"

/* Copy @from, which may be NULL, to *@to, which is freed. */
static int copy_string(const char **to, const char *from)
{
    char *copy = from ? strdup(from) : NULL;
    if (from && !copy)
        return -ENOMEM;
    free((char *)*to);
    *to = copy;
    return 0;
}

/* A path from the root, at most @max bytes if that is not 0. */
static int read_path(const config_setting_t *s, const char **out, size_t max, struct text *error)
{
    const char *path = key_is(s, CONFIG_TYPE_STRING) ? config_setting_get_string(s) : "";
    if (*path != '/')
        return key_fail_value(s, "a path from the root", error);
    if (max && strlen(path) > max) {
        char message[80];
        snprintf(message, sizeof(message), "path is longer than the %zu bytes of a socket's", max);
        return key_fail_text(s, message, path, error);
    }
    return copy_string(out, path);
}

static int read_socket(const struct key *k, const config_setting_t *s, void *field,
                       struct text *error)
{
    (void)k;
    return read_path(s, field, CONTROL_PATH_MAX, error);
}

static const struct key control_keys[] = {
    {"socket", read_socket, offsetof(struct settings_control, path), .keys = NULL},
    {"group", key_read_string, offsetof(struct settings_control, group), .keys = NULL},
    {.name = NULL},
};

int settings_control_init(struct settings_control *c)
{
    *c = (struct settings_control){.wanted = true, .path = strdup(CONTROL_PATH)};
    return c->path ? 0 : -ENOMEM;
}

void settings_control_deinit(struct settings_control *c)
{
    free((char *)c->path);
    free((char *)c->group);
}

void settings_state_deinit(struct settings_state *s)
{
    free((char *)s->folder);
}

void settings_user_deinit(struct settings_user *u)
{
    free((char *)u->name);
}

int settings_state_choose(struct settings_state *s)
{
    const char *folder = getenv("STATE_DIRECTORY");
    return s->chosen || !folder || !*folder ? 0 : copy_string(&s->folder, folder);
}

static bool equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool settings_control_equal(const struct settings_control *a, const struct settings_control *b)
{
    return a->wanted == b->wanted && equal(a->path, b->path) && equal(a->group, b->group);
}

bool settings_state_equal(const struct settings_state *a, const struct settings_state *b)
{
    return a->chosen == b->chosen && (!a->chosen || equal(a->folder, b->folder));
}

bool settings_user_equal(const struct settings_user *a, const struct settings_user *b)
{
    return equal(a->name, b->name);
}

int settings_control_copy(struct settings_control *to, const struct settings_control *from)
{
    to->wanted = from->wanted;
    to->chosen = from->chosen;
    int error = copy_string(&to->path, from->path);
    return error < 0 ? error : copy_string(&to->group, from->group);
}

int settings_state_copy(struct settings_state *to, const struct settings_state *from)
{
    to->chosen = from->chosen;
    return copy_string(&to->folder, from->folder);
}

int settings_user_copy(struct settings_user *to, const struct settings_user *from)
{
    return copy_string(&to->name, from->name);
}

static bool is_false(const config_setting_t *s)
{
    return key_is(s, CONFIG_TYPE_BOOL) && !config_setting_get_bool(s);
}

int settings_control_read(const struct key *k, const config_setting_t *s, void *field,
                          struct text *error)
{
    (void)k;
    struct settings_control *c = field;
    c->chosen = true;
    c->wanted = !is_false(s);
    if (!c->wanted)
        return 0;
    if (!key_is(s, CONFIG_TYPE_GROUP))
        return key_fail_value(s, "a group { } or false", error);
    return key_read_all(control_keys, s, c, error);
}

int settings_state_read(const struct key *k, const config_setting_t *s, void *field,
                        struct text *error)
{
    (void)k;
    struct settings_state *state = field;
    state->chosen = true;
    return is_false(s) ? 0 : read_path(s, &state->folder, 0, error);
}
