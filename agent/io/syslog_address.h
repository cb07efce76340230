/*
 * Where messages go, and as what, in the words of the config.
 *
 * Owns     nothing, copy it by value
 * Threads  no state
 */
#pragma once

#include <stdbool.h>

#include "io/endpoint.h"

struct syslog_address {
    bool local; /* this host's own log */
    struct endpoint endpoint;
};

/**
 * Read "local", "udp://HOST:PORT" (514 without PORT) or "tcp://HOST:PORT" (601).
 *
 * Returns NULL, or what is wrong with @text in a few words.
 */
const char *syslog_address_parse(struct syslog_address *a, const char *text);

/* Find a facility by its name: "daemon", "local0", ... Returns whether there is one. */
bool syslog_facility_find(int *facility, const char *name);
