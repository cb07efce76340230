/*
 * What the agent has to itself in the file system: its control socket, and the
 * folder in which its totals outlive it. It takes them while it still may, and
 * gives them to who uses them: what it makes is the user's that it becomes.
 *
 * Owns     what is not taken out of it
 * Threads  the main thread, before there is another
 */
#pragma once

#include "app/settings.h"
#include "base/text.h"
#include "io/control_socket.h"
#include "io/identity.h"
#include "io/state_file.h"

struct claim {
    struct identity who;           /* to become */
    struct control_socket *socket; /* NULL: there is none */
    struct text no_socket;         /* why there is none though it is wanted */
    struct state_file *state;      /* NULL: there is none */
    const char *folders[3];        /* where they are, until they are taken; NULL ends the list */
};

/**
 * Take what @s asks for, and make what is missing. @c is zeroed before, and fit for
 * claim_deinit() after. Returns -errno, and says why on the log, if what the config
 * chose can't be had.
 */
int claim_make(struct claim *c, const struct settings *s);
void claim_deinit(struct claim *c);
#define claim_deinit_auto claim_deinit
