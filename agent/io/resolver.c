#include "io/resolver.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/lookup.h"

enum { RETRY_MS = 10 * 1000, REFRESH_MS = 5 * 60 * 1000 };

struct resolver {
    struct endpoint endpoint;
    resolver_news_fn *news;
    void *context;
    uv_timer_t timer;
    struct lookup *lookup; /* NULL: none runs */
    uint64_t next_ms;      /* uv_now() at the next lookup; 0: there is none planned */
    int error;
    struct resolver_addresses addresses;
};

static void take_addresses(struct resolver_addresses *out, const struct addrinfo *list)
{
    out->count = 0;
    for (; list && out->count < RESOLVER_ADDRESSES_MAX; list = list->ai_next) {
        struct resolver_address *a = &out->at[out->count++];
        memcpy(&a->any, list->ai_addr, list->ai_addrlen);
        a->size = list->ai_addrlen;
    }
}

static void ask(struct resolver *r);

static void on_timer(uv_timer_t *timer)
{
    struct resolver *r = CONTAINER_OF(timer, struct resolver, timer);
    r->next_ms = 0;
    ask(r);
}

static void ask_in(struct resolver *r, uint64_t delay_ms)
{
    r->next_ms = uv_now(r->timer.loop) + delay_ms;
    uv_timer_start(&r->timer, on_timer, delay_ms, 0);
}

static void tell(struct resolver *r, int error)
{
    r->error = error;
    ask_in(r, error ? RETRY_MS : REFRESH_MS);
    if (r->news)
        r->news(r->context);
}

static void on_answer(void *context, int error, const struct addrinfo *list)
{
    struct resolver *r = context;
    r->lookup = NULL;
    if (error == 0)
        take_addresses(&r->addresses, list);
    tell(r, error);
}

static void ask(struct resolver *r)
{
    int error = lookup_start(&r->lookup, r->timer.loop, &r->endpoint, on_answer, r);
    if (error < 0)
        tell(r, error);
}

/* Whether the endpoint says by itself where it is. */
static bool is_known(struct resolver *r)
{
    const struct endpoint *e = &r->endpoint;
    if (e->transport == ENDPOINT_UNIX) {
        struct resolver_address *a = &r->addresses.at[0];
        a->path.sun_family = AF_UNIX;
        strcpy(a->path.sun_path, e->host);
        a->size = sizeof(a->path);
        r->addresses.count = 1;
        return true;
    }
    struct addrinfo hints = lookup_hints(e, AI_NUMERICHOST);
    struct addrinfo *list;
    if (getaddrinfo(e->host, e->port, &hints, &list) != 0)
        return false;
    take_addresses(&r->addresses, list);
    freeaddrinfo(list);
    return true;
}

int resolver_new(struct resolver **out, uv_loop_t *loop, const struct endpoint *e,
                 resolver_news_fn *news, void *context)
{
    struct resolver *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->endpoint = *e;
    r->news = news;
    r->context = context;
    uv_timer_init(loop, &r->timer);
    if (!is_known(r))
        ask_in(r, 0);
    *out = r;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_timer_t *)handle, struct resolver, timer));
}

struct resolver *resolver_close(struct resolver *r)
{
    if (!r)
        return NULL;
    r->lookup = lookup_close(r->lookup);
    uv_close((uv_handle_t *)&r->timer, on_closed);
    return NULL;
}

void resolver_retry(struct resolver *r)
{
    if (r->next_ms > uv_now(r->timer.loop) + RETRY_MS)
        ask_in(r, RETRY_MS);
}

const struct resolver_addresses *resolver_addresses(const struct resolver *r)
{
    return &r->addresses;
}

int resolver_error(const struct resolver *r)
{
    return r->error;
}
