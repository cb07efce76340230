/*
 * What the agent is to do: the config file, read and checked whole, under the
 * command line, which has the last word.
 *
 * Units    nanoseconds
 * Owns     the settings; borrows the command line
 * Threads  immutable once made: any number of readers
 */
#pragma once

#include "app/agent.h"
#include "app/options.h"
#include "app/settings.h"
#include "base/macros.h"
#include "base/text.h"

struct intent {
    const struct options *command_line;
    const char *path; /* of the config file; NULL: there was none */
    struct settings *settings;
    bool tcp;                   /* may be used: the first one wanted it */
    struct agent_options agent; /* what it borrows is the settings'; its list is taken over */
};

/* The -c file; without, the default one if it is there or was asked for; else NULL. */
const char *intent_config_path(const struct options *o);

/* What to print. Who sends elsewhere need not be read on standard output. */
enum console_form intent_form(const struct options *o, const struct settings *s);

/* How engines are to work: no ports, no observer. Returns -errno without random numbers. */
int intent_init_engine(struct engine_options *e, const struct settings *s);

/**
 * Read what @o says, which outlives it. @running is NULL, or what is done now:
 * then what only a restart can change stays as it is there, and @said gets a line
 * for each such thing that the config has otherwise.
 *
 * Returns -errno: then @said gets one line that says why.
 */
int intent_new(struct intent **out, const struct options *o, const struct intent *running,
               struct text *said);
struct intent *intent_free(struct intent *i);
AUTO_DEFINE(struct intent, intent_free)
