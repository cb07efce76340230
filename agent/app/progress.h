/*
 * How far a long piece of work is, on standard error, in one line that is
 * written over and over. Work of less than a second shows nothing.
 *
 * Units    bytes, packets
 * Owns     the line it stands on, until progress_end()
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool enabled;
    bool shown;
    uint64_t started_ns;
    uint64_t due_ns;
};

/* Shows nothing unless @wanted, and standard error is a terminal. */
void progress_init(struct progress *p, bool wanted);

/* @done of @size bytes were read, @packets were in them. @size 0: not known. */
void progress_step(struct progress *p, uint64_t packets, uint64_t done, uint64_t size);

/* Erase the line. Before anything else is written to the terminal. */
void progress_end(struct progress *p);
