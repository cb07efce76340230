/*
 * What the agent can do, once it has read its config: capture, send to where the
 * config says, read the config again, and little else.
 *
 * Owns     nothing
 * Threads  the main thread, before there is another
 */
#pragma once

#include "app/settings_outputs.h"
#include "io/identity.h"

struct confinement_options {
    const char *config;                     /* that may be read again, or NULL */
    const struct settings_outputs *outputs; /* what these may need stays possible */
    const char *const *writable;            /* folders that are the agent's; NULL ends the list */
    const struct identity *who;             /* to become */
};

/**
 * Give up all other rights. Says on the log if the config could not be read again.
 * Returns -errno, which the log has been told.
 */
int confinement_enter(const struct confinement_options *options);

/* The same for who only reads and writes what is open: nothing is opened any more. */
int confinement_enter_reading(void);
