/*
 * Live packets of one interface, and the account of those that were lost.
 *
 * The filter counts in the kernel and delivers through a ring of blocks. What
 * the ring has no room for is counted all the same, and capture_settle() finds
 * it as the difference to what the ring's reader says that it has seen.
 *
 *     loop:   capture_read()  whenever capture_fd() is readable
 *             capture_settle()  after it, and before a report
 *     end:    capture_stop(), capture_drain(), capture_settle(), capture_close()
 *
 * Units    IP bytes
 * Owns     its socket, ring and filter
 * Threads  one at a time
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "bpf/filter.h"
#include "core/engine.h"
#include "core/packet.h"
#include "core/port_set.h"

enum { CAPTURE_RING_BYTES = 8 << 20, CAPTURE_RING_BYTES_MIN = 2 << 20 };

struct capture_options {
    const char *interface;
    const struct port_set *ports; /* copied */
    uint32_t ring_bytes;          /* memory; rounded to blocks, at least 2 MiB */
};

struct capture;

/**
 * Begin to capture.
 *
 * Returns -ENODEV for an unknown interface, -ENETDOWN for one that is not up,
 * -EPERM without the rights (CAP_NET_RAW and those of io/filter.h).
 */
int capture_open(struct capture **out, const struct capture_options *options);
struct capture *capture_close(struct capture *c);
AUTO_DEFINE(struct capture, capture_close)

/* Readable when capture_read() has something to hand over or to say. */
int capture_fd(const struct capture *c);

/* The frame is valid during the call. */
typedef void capture_frame_fn(void *context, const struct frame *f);

/**
 * Hand over the packets of up to @blocks_max blocks that are ready.
 *
 * Packets are ready 40 ms after they came, earlier under load.
 *
 * Returns how many blocks it was; -ENETDOWN, once, when the interface went down
 * or away. It goes on by itself if the interface comes up again, not if the
 * interface is gone (netif_find() says).
 */
int capture_read(struct capture *c, unsigned blocks_max, capture_frame_fn *fn, void *context);

/**
 * Find out what was lost.
 *
 * @seen is what was handed over since capture_open(), as core/seen.h counts it:
 * an engine that has seen another capture before does not fit.
 * @lost and @untracked_bytes get what was lost since the last call: packets on
 * watched ports, and TCP packets that can't be told (fragments that were lost,
 * malformed ones). Of the bytes it is never too much; a loss shows up with a
 * delay until capture_drain(), after which nothing is missing. ring_drops is
 * exact.
 *
 * Cheap: call it after each capture_read().
 */
int capture_settle(struct capture *c, const struct filter_counts *seen, struct engine_lost *lost,
                   uint64_t *untracked_bytes);

/* Let nothing new in. What is in the ring can still be read. */
int capture_stop(struct capture *c);

/**
 * After capture_stop(): hand over all that is in the ring. Waits until the
 * kernel has given back its last block, 100 ms after capture_stop() at most.
 */
int capture_drain(struct capture *c, capture_frame_fn *fn, void *context);
