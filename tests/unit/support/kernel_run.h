/*
 * Filters that are run by the kernel on frames of ours (BPF_PROG_TEST_RUN).
 *
 * Units    bytes
 * Owns     nothing
 * Threads  no state: a program may run in several
 */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#include "io/filter.h"

enum { KERNEL_RUN_FRAME_MAX = 4096 };

/* Load a filter. Without the rights the test is skipped. */
struct filter *kernel_run_open(const struct filter_options *options);

/*
 * Run @program_fd on a frame, which begins with its link header. Of @context, which may be NULL,
 * gso_size and gso_segs are read. Returns the verdict, or a negative errno. Aborts if the frame is
 * longer than KERNEL_RUN_FRAME_MAX.
 */
int kernel_run(int program_fd, const uint8_t *frame, size_t size, const struct __sk_buff *context);
