/*
 * Live packets of one interface, and the account of those that were lost.
 *
 * The filter counts in the kernel and delivers through a ring of blocks. What
 * the ring has no room for is counted all the same, and capture_settle() finds
 * it as the difference to what the ring's reader says that it has seen.
 *
 *     start:  capture_open(), capture_join() in a group, capture_start()
 *     loop:   capture_read()  whenever capture_fd() is readable
 *             capture_settle()  after it, and before a report
 *     end:    capture_stop(), capture_drain(), capture_settle(), capture_close()
 *
 * Units    IP bytes
 * Owns     its socket, ring and filter
 * Threads  one at a time; capture_stop() as it says
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "bpf/filter.h"
#include "core/engine.h"
#include "core/packet.h"
#include "core/port_set.h"
#include "io/claims.h"
#include "io/netif.h"

enum { CAPTURE_RING_BYTES = 8 << 20, CAPTURE_RING_BYTES_MIN = 2 << 20 };

/* This long after capture_stop(), all that the kernel had taken in is in the ring. */
enum { CAPTURE_SETTLE_MS = 100 };

/*
 * Captures of one interface that share its packets: all of a connection, both
 * directions, go to one of them. Fragments of IP are shared out by their
 * addresses alone: those of a connection may go to another capture than the rest
 * of it. When the interface was down, a connection may change its capture.
 */
struct capture_group {
    unsigned members; /* that have joined: 0 to begin with */
    uint16_t id;      /* the kernel's */
};

struct capture_options {
    const struct netif *interface; /* by its index, whatever its name is by now; copied */
    const struct port_set *ports;  /* copied */
    uint32_t ring_bytes;           /* memory; rounded to blocks, at least 2 MiB */
    bool keeps;                    /* leave in the kernel what need not be delivered */
    bool leads;                    /* it will be the first to join a group */
    const struct claims *claims;   /* so that others don't count it, too; outlives it. NULL: none */
};

struct capture;

/**
 * Open the interface. That takes long, as the kernel checks the filter, and several
 * threads may do so at once; nothing is captured yet.
 *
 * Returns -ENODEV when there is no such interface any more, -ENETDOWN when it is
 * not up, -EPERM without the rights (CAP_NET_RAW and those of io/filter.h).
 */
int capture_open(struct capture **out, const struct capture_options *options);
struct capture *capture_close(struct capture *c);
AUTO_DEFINE(struct capture, capture_close)

/* Join @group, and get a share of the packets; else it gets all. Before it has started. */
int capture_join(struct capture *c, struct capture_group *group);

/* Begin to capture, at once. Members of a group do so when all have joined. */
int capture_start(struct capture *c);

/* Watch @ports from now on. What the filter let pass before is handed over all the same. */
int capture_set_ports(struct capture *c, const struct port_set *ports);

/* Readable when capture_read() has something to hand over or to say. */
int capture_fd(const struct capture *c);

/* Who takes what was captured. What is handed over is valid during the call. */
struct capture_taker {
    void (*frame)(void *context, const struct frame *f);
    void (*record)(void *context, const struct filter_record *r); /* see bpf/filter.h */
    void *context;
};

/**
 * Hand over the packets of up to @blocks_max blocks that are ready.
 *
 * Packets are ready 40 ms after they came, earlier under load.
 *
 * Returns how many blocks it was; -ENETDOWN, once, when the interface went down
 * or away. It goes on by itself if the interface comes up again, not if the
 * interface is gone (netif_find() says).
 */
int capture_read(struct capture *c, unsigned blocks_max, const struct capture_taker *taker);

/*
 * Whether its interface was taken away. Then nothing comes any more, even if one of
 * the same name and index is there again.
 */
bool capture_is_orphan(const struct capture *c);

/**
 * Find out what was lost.
 *
 * @seen is what was handed over since capture_open(), as core/seen.h counts it:
 * an engine that has seen another capture before does not fit.
 * @lost and @untracked_bytes get what was lost since the last call: packets on
 * watched ports, and TCP packets that can't be told (fragments that were lost,
 * malformed ones), and what another capture counts. Of the bytes it is never too much; a loss shows
 * up with a delay until capture_drain(), after which nothing is missing. ring_drops is exact.
 *
 * Cheap: call it after each capture_read().
 */
int capture_settle(struct capture *c, const struct filter_counts *seen, struct engine_lost *lost,
                   uint64_t *untracked_bytes);

/*
 * Hand over, as records, what is kept of all flows by now. Flows that @is_known
 * denies and that have been quiet for long are forgotten, and @forget is told.
 */
struct capture_flows {
    bool (*is_known)(void *context, const struct flow *flow);
    void (*forget)(void *context, const struct flow *flow);
};

int capture_collect(struct capture *c, const struct capture_taker *taker,
                    const struct capture_flows *flows);

/* Ask the filter to keep packets of @flow. */
void capture_order(struct capture *c, const struct flow *flow, const struct filter_order *order);

/*
 * Let nothing new in, at once. What is in the ring can still be read. Another
 * thread may be about to do so; capture_drain() and capture_close() come after this
 * has returned.
 */
int capture_stop(struct capture *c);

/**
 * After capture_stop(): hand over all that is in the ring. Waits until
 * CAPTURE_SETTLE_MS after that.
 */
int capture_drain(struct capture *c, const struct capture_taker *taker);
