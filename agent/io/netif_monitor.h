/*
 * Says when network interfaces may have come, gone or changed.
 *
 * What has changed it does not say: io/netif.h knows what there is. The news
 * come at once after a time of silence, and at most every NETIF_MONITOR_PAUSE_MS;
 * the last change is always followed by some. News without a change are possible.
 *
 * Owns     its socket; its handles live in the loop it was given
 * Threads  the loop's
 */
#pragma once

#include <uv.h>

#include "base/macros.h"

enum { NETIF_MONITOR_PAUSE_MS = 100 };

struct netif_monitor;

typedef void netif_monitor_fn(void *context);

/* Changes that come after this has returned are not missed. */
int netif_monitor_new(struct netif_monitor **out, uv_loop_t *loop, netif_monitor_fn *changed,
                      void *context);

/* Close the handles; the rest goes when the loop has run. NULL is fine. */
struct netif_monitor *netif_monitor_close(struct netif_monitor *m);
AUTO_DEFINE(struct netif_monitor, netif_monitor_close)
