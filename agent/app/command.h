/*
 * The commands: what `httpacct status` and its like do. Each returns the exit
 * status of the process, having said on the log what went wrong.
 *
 * Owns     nothing
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "app/json.h"
#include "core/rule.h"
#include "io/control_client.h"

enum { COMMAND_DEGRADED = 3 };

/* Connect to the agent at @path. Returns NULL, and says why on the log. */
struct control_client *command_connect(const char *path);

/**
 * Ask for @request and take the reply; @line, if not NULL, is as it came, and
 * valid until the next call.
 *
 * Returns NULL, and says why on the log, when there is none, or an error.
 */
json_t *command_ask(struct control_client *c, const char *path, const char *request,
                    struct bytes *line);

/* Print @t on standard output, and free it. Returns an exit status. */
int command_print(struct text *t);

/* The status of the agent at @path; @json: as it sends it. COMMAND_DEGRADED if it is degraded. */
int command_status(const char *path, bool json);

/**
 * Have the agent at @path reload; with @pid, that process. If that can't be asked (@path
 * is NULL: there is no socket), it gets SIGHUP: a success, of which only its log tells more.
 */
int command_reload(const char *path, pid_t pid);

/* Show what moves at the agent at @path, asking it every @interval_ns, until the user ends it. */
int command_top(const char *path, uint64_t interval_ns);

/* Which of @rules takes a request for @url, a path or of absolute form; @host may be NULL. */
int command_rules(const struct rule_set *rules, const char *url, const char *host, bool json);
