/*
 * The addresses of an endpoint, looked up without blocking the loop.
 *
 * An IP address and a unix path are known at once, for good. A name is looked
 * up at once, 10 seconds after a failure, and every 5 minutes; an answer that
 * fails leaves the addresses that were known.
 *
 * Owns     what it found; its handles live in the loop it was given
 * Threads  the loop's
 */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "base/macros.h"
#include "io/endpoint.h"

struct resolver_address {
    union {
        struct sockaddr any; /* any.sa_family: AF_INET, AF_INET6, AF_UNIX */
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un path;
    };
    socklen_t size;
};

enum { RESOLVER_ADDRESSES_MAX = 8 };

struct resolver_addresses {
    size_t count;                                       /* 0: not known yet */
    struct resolver_address at[RESOLVER_ADDRESSES_MAX]; /* the best first */
};

struct resolver;

/* Called after each lookup of a name; resolver_addresses() and resolver_error() have its answer. */
typedef void resolver_news_fn(void *context);

/* Begin. @news may be NULL; it is not called before this returns, nor after the close. */
int resolver_new(struct resolver **out, uv_loop_t *loop, const struct endpoint *e,
                 resolver_news_fn *news, void *context);

/* Stop, and free all when the loop has run. A lookup that hangs is left behind. NULL is fine. */
struct resolver *resolver_close(struct resolver *r);
AUTO_DEFINE(struct resolver, resolver_close)

/* What is known does not answer: look up a name again, in 10 seconds at the latest. */
void resolver_retry(struct resolver *r);

/* What is known now. Valid until the next news. */
const struct resolver_addresses *resolver_addresses(const struct resolver *r);

/* Why the last lookup failed (UV_EAI_*), or 0. */
int resolver_error(const struct resolver *r);
