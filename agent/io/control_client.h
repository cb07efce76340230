/*
 * The other end of the control socket: what `httpacct status` and its like ask
 * the agent with.
 *
 * Units    milliseconds
 * Owns     its socket and the last line
 * Threads  one at a time
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/macros.h"
#include "base/text.h"

enum { CONTROL_REPLY_MAX = 64 << 20 };

struct control_client;

/* Returns -errno: see control_client_describe(). */
int control_client_open(struct control_client **out, const char *path);
struct control_client *control_client_close(struct control_client *c);
AUTO_DEFINE(struct control_client, control_client_close)

/* The process that listens there; 0: not known here. */
pid_t control_client_peer(const struct control_client *c);

/*
 * Send @request, an object in one line without its end. Returns -errno; that the
 * agent has closed is for control_client_take() to say, after its last words.
 */
int control_client_ask(struct control_client *c, const char *request);

enum control_client_outcome {
    CONTROL_CLIENT_NONE, /* no line yet */
    CONTROL_CLIENT_LINE,
};

/**
 * Take the next line, without its end, waiting for it @timeout_ms at most. It is
 * valid until the next call.
 *
 * Returns a control_client_outcome; -ECONNRESET when the agent has closed,
 * -EMSGSIZE for more than CONTROL_REPLY_MAX bytes, another -errno.
 */
int control_client_take(struct control_client *c, int timeout_ms, struct bytes *line);

/* To poll(2) for reading before control_client_take(c, 0, ...). */
int control_client_fd(const struct control_client *c);

/* Say in one line of @t what @error of the above means at @path. */
void control_client_describe(struct text *t, const char *path, int error);
