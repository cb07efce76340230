/*
 * The control socket: clients ask in lines and are answered in lines. What a
 * line means is the owner's affair.
 *
 * A client that wants too much is closed, and nothing it does holds up the loop:
 * one that sends a line of more than CONTROL_LINE_MAX bytes, or no whole line for
 * too long while it is its turn, or does not take a reply in time. Of each client
 * one request is worked on at a time, and one reply is kept: those that it sends
 * meanwhile wait in the socket. The process must ignore SIGPIPE.
 *
 * Units    milliseconds
 * Owns     the socket, which goes with it; its handles live in the loop it was
 *          given
 * Threads  the loop's
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/macros.h"
#include "base/text.h"
#include "io/control_socket.h"

enum {
    CONTROL_CLIENTS_MAX = 32,
    CONTROL_LINE_MAX = 16384, /* with its end */
    CONTROL_SILENCE_MS = 30000,
    CONTROL_PATIENCE_MS = 10000,
};

/*
 * Client number @client, below CONTROL_CLIENTS_MAX, asks @line, which is valid
 * during the call. Answer with control_server_send(), now or later.
 */
typedef void control_server_ask_fn(void *context, unsigned client, struct bytes line);

/* The client is gone: what it asked needs no answer. The number may come again. */
typedef void control_server_gone_fn(void *context, unsigned client);

struct control_server_options {
    struct control_socket *socket; /* taken over, whatever comes of it */
    uint64_t silence_ms;           /* in which a client has to ask, 0: CONTROL_SILENCE_MS */
    uint64_t patience_ms;          /* in which it has to take a reply, 0: CONTROL_PATIENCE_MS */
    control_server_ask_fn *ask;
    control_server_gone_fn *gone;
    void *context;
};

struct control_server;

/* Returns -errno. */
int control_server_new(struct control_server **out, uv_loop_t *loop,
                       const struct control_server_options *options);

/* Close all clients, without a word to the owner. NULL is fine. */
struct control_server *control_server_close(struct control_server *s);
AUTO_DEFINE(struct control_server, control_server_close)

/* Whether a reply to @client is still on its way: then it takes no other. */
bool control_server_is_sending(const struct control_server *s, unsigned client);

/**
 * Send @line, which ends in a line end and is taken over, to a client to which
 * nothing is on its way. If it is incomplete for lack of memory, the client is
 * closed, and the owner told.
 *
 * It answers what the client has asked. @more: further lines will come unasked,
 * until the client asks something else; it may stay silent meanwhile.
 */
void control_server_send(struct control_server *s, unsigned client, struct text *line, bool more);
