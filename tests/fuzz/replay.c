/*
 * A plain program around a fuzzer: runs the files it is given, or the seeds and
 * some thousand random changes of them. FUZZ_SEED repeats a run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "fuzz/fuzz.h"

enum { INPUT_MAX = 4096, ROUNDS = 20000, CHANGES_MAX = 6 };

static uint8_t input[INPUT_MAX];
static size_t input_size;
static unsigned seed;

static size_t below(size_t limit)
{
    return (size_t)rand_r(&seed) % limit;
}

static void run(void)
{
    uint8_t *exact = malloc(input_size + 1); /* a byte too many is an overflow */
    if (!exact)
        abort();
    memcpy(exact + 1, input, input_size);
    LLVMFuzzerTestOneInput(exact + 1, input_size);
    free(exact);
}

static void set(struct bytes b)
{
    input_size = MIN(b.size, (size_t)INPUT_MAX);
    memcpy(input, b.data, input_size);
}

/* Put @count bytes of @from in at @at. */
static void insert(size_t at, const uint8_t *from, size_t count)
{
    uint8_t copy[INPUT_MAX];
    count = MIN(count, INPUT_MAX - input_size);
    memcpy(copy, from, count);
    memmove(input + at + count, input + at, input_size - at);
    memcpy(input + at, copy, count);
    input_size += count;
}

static void change(void)
{
    size_t at = below(input_size + 1);
    size_t size = MIN(1 + below(20), input_size - at);
    const struct bytes *other = &fuzz_seeds[below(fuzz_seed_count)];
    size_t start = below(other->size + 1);
    switch (below(5)) {
    case 0:
        if (size)
            input[at] = (uint8_t)below(256);
        break;
    case 1:
        if (size)
            input[at] ^= (uint8_t)(1u << below(8));
        break;
    case 2:
        memmove(input + at, input + at + size, input_size - at - size);
        input_size -= size;
        break;
    case 3:
        insert(at, input + at, size);
        break;
    default:
        insert(at, other->data + start, other->size - start);
    }
}

static int run_files(int count, char **names)
{
    for (int i = 0; i < count; i++) {
        FILE *f = fopen(names[i], "rb");
        if (!f) {
            perror(names[i]);
            return 1;
        }
        input_size = fread(input, 1, sizeof(input), f);
        fclose(f);
        run();
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return run_files(argc - 1, argv + 1);

    const char *again = getenv("FUZZ_SEED");
    seed = again ? (unsigned)strtoul(again, NULL, 10) : (unsigned)time(NULL);
    printf("FUZZ_SEED=%u\n", seed);
    fflush(stdout);
    for (size_t i = 0; i < fuzz_seed_count; i++) {
        set(fuzz_seeds[i]);
        run();
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        set(fuzz_seeds[below(fuzz_seed_count)]);
        for (size_t changes = 1 + below(CHANGES_MAX); changes; changes--)
            change();
        run();
    }
    return 0;
}
