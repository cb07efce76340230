/*
 * A file that is there whole or not at all, in a folder that one process has to
 * itself: what outlives the agent.
 *
 * Units    bytes
 * Owns     the folder's descriptor, and the lock on it
 * Threads  one at a time
 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/macros.h"
#include "base/text.h"

#define STATE_FILE_NAME    "totals.json"
#define STATE_FILE_DAMAGED "totals.json.damaged"

enum { STATE_FILE_MAX = 256 << 20 };

struct state_file;

/**
 * Open @folder, and make it if that is missing (not those above).
 *
 * Returns -EWOULDBLOCK when another process has it, or another -errno.
 */
int state_file_open(struct state_file **out, const char *folder);
struct state_file *state_file_close(struct state_file *f);
AUTO_DEFINE(struct state_file, state_file_close)

/* As it was opened. */
const char *state_file_folder(const struct state_file *f);

/* Add all that the file has to @out. Returns -ENOENT, -EFBIG past STATE_FILE_MAX, another -errno.
 */
int state_file_read(struct state_file *f, struct text *out);

/* Replace what it has, and wait until the disk has it. After a failure it is as it was. */
int state_file_write(struct state_file *f, struct bytes content);

/* Call it STATE_FILE_DAMAGED from now on. Returns -errno. */
int state_file_set_aside(struct state_file *f);
