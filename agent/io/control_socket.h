/*
 * The socket at which the agent can be asked. Who connects waits until somebody
 * accepts.
 *
 * Owns     the socket and its path, which is removed with it
 * Threads  one at a time
 */
#pragma once

#include <stddef.h>
#include <sys/un.h>

#include "base/macros.h"
#include "base/text.h"

#define CONTROL_PATH "/run/httpacct/control.sock"

/* Without its NUL. */
enum { CONTROL_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };

struct control_socket;

/**
 * Bind a socket to @path, CONTROL_PATH_MAX bytes at most: make its folder if that
 * is missing (not those above), and remove the socket that a dead process left.
 * Its owner and @group, or the process's if that is NULL, may connect, nobody else.
 * Call it before there is a second thread: for a moment the umask is another.
 *
 * Returns -EADDRINUSE if a process listens there, -EEXIST if it is no socket,
 * another -errno; and but for -ENOMEM fills @error with one line.
 */
int control_socket_open(struct control_socket **out, const char *path, const char *group,
                        struct text *error);
struct control_socket *control_socket_close(struct control_socket *s);
AUTO_DEFINE(struct control_socket, control_socket_close)

const char *control_socket_path(const struct control_socket *s);

/* The folder that the path is in. */
const char *control_socket_folder(const struct control_socket *s);

/* Its descriptor, once: it is the caller's from now on. */
int control_socket_take_descriptor(struct control_socket *s);
