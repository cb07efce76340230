/*
 * A capture file, pcap or pcapng, read frame by frame.
 *
 * Units    bytes, nanoseconds since the epoch
 * Owns     the file and one frame
 * Threads  one at a time
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "core/packet.h"

struct capture_file_error {
    char message[512]; /* one line that begins with the path */
};

struct capture_file;

/**
 * Open the file at @path, "-" for the standard input. Reads nothing yet.
 *
 * Returns a negative errno and fills @error when it can't be opened.
 */
int capture_file_open(struct capture_file **out, const char *path,
                      struct capture_file_error *error);
struct capture_file *capture_file_close(struct capture_file *c);
AUTO_DEFINE(struct capture_file, capture_file_close)

/**
 * Read what comes before the first frame: once, before all that follows.
 *
 * Returns a negative errno and fills @error: -EINVAL when it is no capture,
 * -ENOTSUP when its link type is not known. Then it can only be closed.
 */
int capture_file_begin(struct capture_file *c, struct capture_file_error *error);

enum capture_file_step {
    CAPTURE_FILE_FRAME, /* @f is filled, its data valid until the next call */
    CAPTURE_FILE_END,
    CAPTURE_FILE_BROKEN, /* damaged or cut from here on, @error is filled; what came before counts
                          */
};

/* Read the next frame that holds a network packet. */
enum capture_file_step capture_file_next(struct capture_file *c, struct frame *f,
                                         struct capture_file_error *error);

/* How far the file was read, and its size, 0 if it is no regular file. */
uint64_t capture_file_position(const struct capture_file *c);
uint64_t capture_file_size(const struct capture_file *c);
