/*
 * What each fuzzer here defines. libFuzzer brings its own main(); without it,
 * replay.c runs the seeds, and changes of them, for a while.
 *
 * A finding is a crash, an assertion that fails, or a sanitizer's report.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs to begin with. */
extern const struct bytes fuzz_seeds[];
extern const size_t fuzz_seed_count;

/* Unlike assert(), in every build. */
#define FUZZ_ASSERT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
