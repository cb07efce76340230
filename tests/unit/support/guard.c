#include "support/guard.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void guard_init(struct guard *g, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    g->size = (size + page) / page * page;
    g->pages =
        mmap(NULL, g->size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g->pages == MAP_FAILED || mprotect(g->pages + g->size, page, PROT_NONE) < 0) {
        perror("guard");
        abort();
    }
}

void guard_deinit(struct guard *g)
{
    munmap(g->pages, g->size + (size_t)sysconf(_SC_PAGESIZE));
}

struct bytes guard_copy(struct guard *g, struct bytes b)
{
    assert(b.size <= g->size);
    uint8_t *start = g->pages + g->size - b.size;
    if (b.size)
        memcpy(start, b.data, b.size);
    return bytes_make(start, b.size);
}
