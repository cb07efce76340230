/*
 * What the operator wants: the config file, read and checked whole.
 *
 * Units    bytes, nanoseconds, ports in host order
 * Owns     all that it points to
 * Threads  immutable once made: any number of readers
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/settings_control.h"
#include "app/settings_outputs.h"
#include "base/macros.h"
#include "base/text.h"
#include "core/port_set.h"
#include "core/rule.h"

enum { SETTINGS_PATTERN_MAX = 63 };

struct settings_interface {
    char name[SETTINGS_PATTERN_MAX + 1]; /* or a pattern */
    struct port_set ports;
    uint32_t workers; /* that share its packets */
};

struct settings {
    size_t interface_count; /* 0: every interface that is up */
    struct settings_interface *interfaces;
    size_t rule_count; /* 0: the default one, or none */
    struct rule_options *rules;
    struct rule_set *rule_set; /* the rules, compiled; never NULL */
    struct {
        uint64_t timeout_ns;
        uint32_t max;
    } sessions;
    uint32_t services_max;
    uint64_t services_idle_ns; /* after which one is forgotten: at least the longest interval */
    uint32_t ring_bytes;       /* of each worker of each interface, 0: by their number */
    bool offload;              /* let the kernel keep what need not be seen */
    bool count_once;           /* what passes several interfaces, on the first one only */
    uint32_t workers;          /* threads that the interfaces are spread over, at least */
    struct settings_outputs outputs;
    struct settings_control control;
    struct settings_state state;
    struct settings_user user;
};

/**
 * Read the file @path.
 *
 * Returns -EINVAL for a file with an error, another -errno for one that can't be
 * read. But for -ENOMEM, @error gets one line that says what is wrong, without
 * its end: "FILE:LINE: ..." where it is about a line. Included files are called
 * as @include calls them.
 */
int settings_load(struct settings **out, const char *path, struct text *error);

/* Whether @interface is a pattern for names (fnmatch(3)), and not a name. */
bool settings_is_pattern(const char *interface);

/* What holds without a file, or with an empty one. */
int settings_default(struct settings **out);

struct settings *settings_free(struct settings *s);
AUTO_DEFINE(struct settings, settings_free)
