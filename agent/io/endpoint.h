/*
 * Where a sink sends to, as the config writes it:
 *
 *     127.0.0.1:8125  [::1]:8125  metrics.example.com:8125  (UDP)
 *     udp://HOST:PORT  tcp://HOST:PORT  unix:///PATH
 *
 * A port is a number from 1 to 65535. io/resolver.h finds the addresses.
 *
 * Owns     nothing, copy it by value
 * Threads  no state
 */
#pragma once

#include <stdbool.h>

enum endpoint_transport { ENDPOINT_UDP, ENDPOINT_TCP, ENDPOINT_UNIX };

enum { ENDPOINT_HOST_MAX = 253, ENDPOINT_PORT_MAX = 5 };

struct endpoint {
    enum endpoint_transport transport;
    char host[ENDPOINT_HOST_MAX + 1]; /* name or address without brackets; the path of UNIX */
    char port[ENDPOINT_PORT_MAX + 1]; /* empty for UNIX */
};

/**
 * Read @text. Without a port it is @default_port, or an error if that is NULL.
 *
 * Returns NULL, or what is wrong with @text in a few words: "has no port".
 */
const char *endpoint_parse(struct endpoint *out, const char *text, const char *default_port);

/* Whether both say the same; two names of one host do not. */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
