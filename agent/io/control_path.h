/*
 * Where a control socket lies in the file system.
 *
 * Owns     nothing
 * Threads  no state
 */
#pragma once

#include <stddef.h>
#include <sys/un.h>

#include "base/text.h"

#define CONTROL_PATH "/run/httpacct/control.sock"

/* Without its NUL. */
enum { CONTROL_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };

/**
 * Make room for a socket at @path, CONTROL_PATH_MAX bytes at most: make its
 * folder if that is missing (not those above), and remove the socket that a dead
 * process left.
 *
 * Returns -EADDRINUSE if a process listens there, -EEXIST if it is no socket,
 * another -errno; and fills @error with one line.
 */
int control_path_claim(const char *path, struct text *error);

/* Let the owner and @group, or the process's if that is NULL, connect, nobody else. The same. */
int control_path_admit(const char *path, const char *group, struct text *error);
