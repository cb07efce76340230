#include "io/lookup.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "io/detached_thread.h"

struct lookup {
    uv_async_t async;
    lookup_ended_fn *ended;
    void *context;
    struct endpoint endpoint;
    _Atomic unsigned references; /* the loop's and the thread's */
    pthread_mutex_t mutex;       /* of what follows */
    bool closing;
    int error;
    struct addrinfo *list;
};

static void drop_reference(struct lookup *l)
{
    if (atomic_fetch_sub(&l->references, 1) > 1)
        return;
    if (l->list)
        freeaddrinfo(l->list);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

static int uv_error(int error)
{
    switch (error) {
    case 0:
        return 0;
    case EAI_AGAIN:
        return UV_EAI_AGAIN;
    case EAI_NONAME:
    case EAI_NODATA:
        return UV_EAI_NONAME;
    case EAI_FAMILY:
    case EAI_ADDRFAMILY:
        return UV_EAI_FAMILY;
    case EAI_MEMORY:
        return UV_EAI_MEMORY;
    case EAI_SYSTEM:
        return errno ? -errno : UV_EAI_FAIL;
    default:
        return UV_EAI_FAIL;
    }
}

/* No AI_ADDRCONFIG: it would not know localhost before the network is up. */
struct addrinfo lookup_hints(const struct endpoint *e, int flags)
{
    return (struct addrinfo){
        .ai_family = AF_UNSPEC,
        .ai_socktype = e->transport == ENDPOINT_TCP ? SOCK_STREAM : SOCK_DGRAM,
        .ai_flags = flags | AI_NUMERICSERV,
    };
}

static void *run(void *context)
{
    struct lookup *l = context;
    const struct addrinfo hints = lookup_hints(&l->endpoint, 0);
    struct addrinfo *list = NULL;
    int error = uv_error(getaddrinfo(l->endpoint.host, l->endpoint.port, &hints, &list));

    pthread_mutex_lock(&l->mutex);
    l->error = error;
    l->list = list;
    if (!l->closing)
        uv_async_send(&l->async);
    pthread_mutex_unlock(&l->mutex);
    drop_reference(l);
    return NULL;
}

static void on_async(uv_async_t *handle)
{
    struct lookup *l = CONTAINER_OF(handle, struct lookup, async);
    pthread_mutex_lock(&l->mutex);
    int error = l->error;
    const struct addrinfo *list = l->list;
    pthread_mutex_unlock(&l->mutex);
    l->ended(l->context, error, list);
    lookup_close(l);
}

static void on_closed(uv_handle_t *handle)
{
    drop_reference(CONTAINER_OF((uv_async_t *)handle, struct lookup, async));
}

int lookup_start(struct lookup **out, uv_loop_t *loop, const struct endpoint *e,
                 lookup_ended_fn *ended, void *context)
{
    assert(e->transport != ENDPOINT_UNIX);

    struct lookup *l = malloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    *l = (struct lookup){
        .ended = ended,
        .context = context,
        .endpoint = *e,
        .references = 2,
        .mutex = PTHREAD_MUTEX_INITIALIZER,
    };
    int error = uv_async_init(loop, &l->async, on_async);
    if (error < 0) {
        free(l);
        return error;
    }
    error = detached_thread_start(run, l);
    if (error < 0) {
        l->references = 1;
        uv_close((uv_handle_t *)&l->async, on_closed);
        return error;
    }
    *out = l;
    return 0;
}

struct lookup *lookup_close(struct lookup *l)
{
    if (!l)
        return NULL;
    pthread_mutex_lock(&l->mutex);
    l->closing = true;
    pthread_mutex_unlock(&l->mutex);
    uv_close((uv_handle_t *)&l->async, on_closed);
    return NULL;
}
