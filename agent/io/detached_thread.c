#include "io/detached_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "io/privileges.h"

struct start {
    void *(*run)(void *context);
    void *context;
};

static void *begin(void *start)
{
    struct start s = *(struct start *)start;
    free(start);
    privileges_give_up_all();
    return s.run(s.context);
}

int detached_thread_start(void *(*run)(void *context), void *context)
{
    struct start *start = malloc(sizeof(*start));
    if (!start)
        return -ENOMEM;
    *start = (struct start){.run = run, .context = context};
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);

    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &detached, begin, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    if (error)
        free(start);
    return -error;
}
