/*
 * The command line.
 *
 * Units    nanoseconds
 * Owns     nothing: all strings are those of argv
 * Threads  one at a time (getopt_long)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/console.h"

enum { OPTIONS_INTERFACES_MAX = 256 };

/* X(NAME, name, arguments at least, at most) for each command: a word behind the options. */
#define COMMANDS(X)                                                                                \
    X(STATUS, "status", 0, 0)                                                                      \
    X(RELOAD, "reload", 0, 0)                                                                      \
    X(RULES, "rules", 1, 2) /* URL [HOST] */                                                       \
    X(TOP, "top", 0, 0)

enum command {
    COMMAND_NONE, /* watch interfaces, or read a file */
#define COMMAND_MEMBER(NAME, name, min, max) COMMAND_##NAME,
    COMMANDS(COMMAND_MEMBER)
#undef COMMAND_MEMBER
};

struct options {
    const char *config; /* NULL: the default file, if there is one */
    const char *read;   /* capture file; NULL: watch interfaces */
    const char *interfaces[OPTIONS_INTERFACES_MAX];
    unsigned interface_count;
    bool test;
    bool verbose;
    bool has_form; /* else form is not filled */
    enum console_form form;
    uint64_t interval_ns; /* 0: not given */
    enum command command;
    const char *arguments[2]; /* of the command, NULL: not given */
    const char *socket;       /* of the agent that is asked; NULL: the config's */
    bool json;                /* status, rules: for programs */
    pid_t pid;                /* of the agent that is to reload; 0: not given */
};

struct options_error {
    char message[256];
};

enum options_outcome {
    OPTIONS_RUN,     /* @o is filled */
    OPTIONS_HELP,    /* -h: print options_help() */
    OPTIONS_VERSION, /* -V */
    OPTIONS_WRONG,   /* @error says what to do, in one line */
};

enum options_outcome options_parse(struct options *o, int argc, char **argv,
                                   struct options_error *error);

/* What -h prints. */
const char *options_help(void);
