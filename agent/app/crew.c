#include "app/crew.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "app/worker.h"

struct crew {
    size_t count;
    struct {
        struct worker *worker;
        size_t watches;
    } at[CREW_MAX];
};

int crew_new(struct crew **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : -ENOMEM;
}

struct crew *crew_free(struct crew *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->count; i++)
        worker_free(c->at[i].worker);
    free(c);
    return NULL;
}

int crew_grow(struct crew *c, size_t workers)
{
    assert(workers <= CREW_MAX);
    for (; c->count < workers; c->count++) {
        int error = worker_new(&c->at[c->count].worker);
        if (error < 0)
            return error;
    }
    return 0;
}

/* Of those that are not @busy. */
static unsigned find_idlest(const struct crew *c, const bool busy[])
{
    unsigned found = CREW_MAX;
    for (unsigned i = 0; i < c->count; i++)
        if (!busy[i] && (found == CREW_MAX || c->at[i].watches < c->at[found].watches))
            found = i;
    assert(found < CREW_MAX);
    return found;
}

void crew_take(struct crew *c, struct watch *const shares[], size_t count, unsigned workers[])
{
    bool busy[CREW_MAX] = {false};
    for (size_t i = 0; i < count; i++) {
        unsigned n = find_idlest(c, busy);
        busy[n] = true;
        c->at[n].watches++;
        workers[i] = n;
        worker_take(c->at[n].worker, shares[i]);
    }
}

void crew_drop(struct crew *c, unsigned worker)
{
    c->at[worker].watches--;
}

void crew_wake(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++)
        worker_wake(c->at[i].worker);
}

bool crew_is_moving(struct crew *c)
{
    bool all = true;
    for (size_t i = 0; i < c->count; i++)
        all &= worker_is_moving(c->at[i].worker);
    return all;
}
