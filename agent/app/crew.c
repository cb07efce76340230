#include "app/crew.h"

#include <errno.h>
#include <stdlib.h>

#include "app/worker.h"

struct crew {
    struct inbox *inbox;
    size_t watched;
    size_t count;     /* of workers there are */
    size_t count_max; /* a worker is made for the first interface whose turn it has */
    struct worker *workers[];
};

int crew_new(struct crew **out, struct inbox *inbox, unsigned workers)
{
    struct crew *c = calloc(1, sizeof(*c) + workers * sizeof(c->workers[0]));
    if (!c)
        return -ENOMEM;
    c->inbox = inbox;
    c->count_max = workers;
    *out = c;
    return 0;
}

struct crew *crew_free(struct crew *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->count; i++)
        worker_free(c->workers[i]);
    free(c);
    return NULL;
}

int crew_watch(struct crew *c, const struct watch_options *options)
{
    size_t turn = c->watched % c->count_max;
    if (turn == c->count) {
        int error = worker_new(&c->workers[turn], c->inbox);
        if (error < 0)
            return error;
        c->count++;
    }
    int error = worker_watch(c->workers[turn], options);
    if (error < 0)
        return error;
    c->watched++;
    return 0;
}

int crew_start(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++) {
        int error = worker_start(c->workers[i]);
        if (error < 0)
            return error;
    }
    return 0;
}

void crew_flush(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++)
        worker_flush(c->workers[i]);
}

void crew_stop(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++)
        worker_stop(c->workers[i]);
}
