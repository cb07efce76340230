/*
 * What the engine of one interface tells the rest of the agent.
 *
 * A report is what moved since the last one, in all it says: what the reports of
 * an engine say adds up to what it counted, and so does what those of several
 * engines say that share an interface. The one after engine_finish() takes the
 * gauges back to 0. A report is made by the thread that owns the engine and given
 * away whole. An observer is told of each message and each transaction as they
 * end.
 *
 * Units    bytes, nanoseconds since the epoch
 * Owns     a report owns itself; what an observer is shown is borrowed
 * Threads  one at a time
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/macros.h"
#include "core/counts.h"
#include "core/service_name.h"
#include "core/ttfb.h"

/* Takes the place of the names of interfaces where there is no room for one more. */
#define INTERFACE_OTHER "_other"

struct report_service {
    struct service_name name;
    struct service_counts delta;
    int64_t open_delta; /* of its connections that are open */
    struct ttfb_histogram ttfb;
};

struct report {
    const char *interface; /* its engine was given this name, which outlives the report */
    bool last;             /* its engine has ended */
    uint64_t time_ns;
    struct interface_counts delta;
    struct interface_gauges gauges_delta; /* modulo 2^64: it may have become less */
    size_t service_count;
    struct report_service services[]; /* those that changed */
};

struct report *report_free(struct report *r);
AUTO_DEFINE(struct report, report_free)

struct address {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    __be16 port;
};

/* A request or a reply that has ended. */
struct message_seen {
    enum direction direction;
    struct bytes start_line; /* without its line end; empty if it was not seen whole */
    const struct service_name *service;
    uint64_t ip_bytes;      /* the message's share of its packets */
    uint64_t service_bytes; /* the service's bytes in that direction so far */
};

enum { INTERIM_MAX = 8 };

/* A request and its reply, both ended, or their connection has. */
struct transaction_seen {
    uint64_t time_ns; /* first byte of the request, or of the reply without one */
    struct address client;
    struct address server;
    const struct service_name *service;
    struct bytes method; /* data NULL: there was no request */
    struct bytes host;   /* data NULL: there was none */
    struct bytes target; /* data NULL: there was no request */
    unsigned status;     /* 0: there was no reply */
    unsigned interim_count;
    uint16_t interim[INTERIM_MAX]; /* 1xx before it, the first ones */
    bool has_ttfb;
    uint64_t ttfb_ns; /* first byte of the request to first byte of the final reply */
    struct {
        uint64_t ip_bytes;
        uint64_t payload_bytes;
    } direction[2];
};

/*
 * NULL members are not called, and nothing is kept to call them with.
 *
 * A message is told as soon as it has ended. A patient observer waits until the
 * next one begins or the connection ends: then stray bytes behind a message are
 * included, as they are in its service's counts.
 */
struct observer {
    void *context;
    bool patient;
    void (*message)(void *context, const struct message_seen *m);
    void (*transaction)(void *context, const struct transaction_seen *t);
};
