/*
 * A connected datagram socket, UDP or unix, to where an endpoint is now.
 *
 * Errors are those of the kernel, and UV_EAI_* while a name has no address. An
 * error that is not "wait a little" (datagram_socket_is_full()) closes the
 * socket; the next datagram_socket_connect() takes the next address, if the
 * endpoint has several.
 *
 * Owns     its descriptor; borrows the resolver
 * Threads  the resolver's
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "io/resolver.h"

struct datagram_socket {
    struct resolver *resolver;
    int fd;                          /* -1: not connected */
    size_t turn;                     /* of the address */
    struct resolver_address address; /* connected to */
};

void datagram_socket_init(struct datagram_socket *s, struct resolver *resolver);
void datagram_socket_deinit(struct datagram_socket *s);

/* Connect, unless it is to one of the addresses that are known. */
int datagram_socket_connect(struct datagram_socket *s);

int datagram_socket_send(struct datagram_socket *s, const char *data, size_t size);

/* Why a datagram that was sent did not arrive, as far as its host said so; or 0. */
int datagram_socket_check(struct datagram_socket *s);

/* Whether @error says that the kernel has no room now. */
bool datagram_socket_is_full(int error);
