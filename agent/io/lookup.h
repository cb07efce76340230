/*
 * One lookup of a name, in a thread of its own: the C library may take as long as
 * it likes, and nobody waits for it.
 *
 * Owns     itself from its start to its end; its handle lives in the loop it was
 *          given
 * Threads  the loop's
 */
#pragma once

#include <netdb.h>
#include <uv.h>

#include "base/macros.h"
#include "io/endpoint.h"

struct lookup;

/* It has ended, with @error (UV_EAI_*), or 0 and @list, which is valid during the call. */
typedef void lookup_ended_fn(void *context, int error, const struct addrinfo *list);

/**
 * Look up the name of @e, which is not ENDPOINT_UNIX. Calls @ended once, unless
 * it is closed before.
 */
int lookup_start(struct lookup **out, uv_loop_t *loop, const struct endpoint *e,
                 lookup_ended_fn *ended, void *context);

/* Forget it before it has ended. NULL is fine. */
struct lookup *lookup_close(struct lookup *l);
AUTO_DEFINE(struct lookup, lookup_close)

/* How addresses of @e are asked for, with @flags of AI_ besides. */
struct addrinfo lookup_hints(const struct endpoint *e, int flags);
