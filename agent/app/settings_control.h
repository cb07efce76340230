/*
 * The parts of the config that say where the agent can be asked (control), where
 * its totals outlive it (state), and who it becomes (user).
 *
 * Owns     all that it points to
 * Threads  immutable once made: any number of readers
 */
#pragma once

#include <libconfig.h>
#include <stdbool.h>

#include "app/key.h"
#include "base/text.h"

struct settings_control {
    bool wanted;       /* else there is no socket */
    bool chosen;       /* the config says so: without it the agent can go on */
    const char *path;  /* CONTROL_PATH_MAX bytes at most */
    const char *group; /* that may connect; NULL: that of the process */
};

struct settings_state {
    bool chosen;        /* else it is for the service manager to say */
    const char *folder; /* NULL: none */
};

struct settings_user {
    const char *name; /* NULL: root stays root */
};

int settings_control_init(struct settings_control *c);
void settings_control_deinit(struct settings_control *c);
void settings_state_deinit(struct settings_state *s);
void settings_user_deinit(struct settings_user *u);

/* If the config says nothing, do as the service manager says ($STATE_DIRECTORY). Returns -ENOMEM.
 */
int settings_state_choose(struct settings_state *s);

bool settings_control_equal(const struct settings_control *a, const struct settings_control *b);
bool settings_state_equal(const struct settings_state *a, const struct settings_state *b);
bool settings_user_equal(const struct settings_user *a, const struct settings_user *b);

/* Make @to say what @from says. Returns -ENOMEM. */
int settings_control_copy(struct settings_control *to, const struct settings_control *from);
int settings_state_copy(struct settings_state *to, const struct settings_state *from);
int settings_user_copy(struct settings_user *to, const struct settings_user *from);

/* Read functions of keys whose field is a struct settings_control, and a settings_state. */
int settings_control_read(const struct key *k, const config_setting_t *s, void *field,
                          struct text *error);
int settings_state_read(const struct key *k, const config_setting_t *s, void *field,
                        struct text *error);
