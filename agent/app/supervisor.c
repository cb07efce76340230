#include "app/supervisor.h"

#include <errno.h>
#include <stdlib.h>

#include "app/service_manager.h"
#include "base/log.h"
#include "base/text.h"

enum {
    STATUS_MS = 10 * 1000, /* at the latest */
    STATUS_MIN_MS = 1000,  /* at the earliest: reports may come often */
    SIGNS_PER_WATCHDOG = 3,
    WATCHDOG_MS_MIN = 3000, /* interfaces that come can take two seconds of a turn of the loop */
    MISSES_TO_SAY = 2,      /* one may be a pulse that is a bit late */
};

struct supervisor {
    struct supervisor_options options;
    uv_timer_t watchdog;
    uv_timer_t status;
    unsigned open_handles;
    bool listens;
    bool moves;         /* at the last look */
    uint64_t looked_ms; /* uv_now() */
    unsigned misses;    /* looks in a row that saw no move */
    uint64_t shown_ns;  /* uv_hrtime() */
    uint64_t requests;  /* since then */
};

static void look(struct supervisor *s)
{
    s->moves = s->options.alive(s->options.context);
    s->misses = s->moves ? 0 : s->misses + 1;
    if (s->misses >= MISSES_TO_SAY)
        log_warning("a worker does not move: the service manager's watchdog is not fed");
}

static void on_watchdog(uv_timer_t *timer)
{
    struct supervisor *s = CONTAINER_OF(timer, struct supervisor, watchdog);
    uint64_t now_ms = uv_now(timer->loop);
    if (now_ms - s->looked_ms >= SUPERVISOR_LOOK_MS) {
        s->looked_ms = now_ms;
        look(s);
    }
    if (s->moves)
        service_manager_alive();
}

static void on_status_due(uv_timer_t *timer)
{
    struct supervisor *s = CONTAINER_OF(timer, struct supervisor, status);
    s->options.due(s->options.context);
}

static void start_watchdog(struct supervisor *s, uint64_t watchdog_ms)
{
    uint64_t sign_ms = MAX(watchdog_ms / SIGNS_PER_WATCHDOG, UINT64_C(1));
    s->moves = true;
    s->looked_ms = uv_now(s->watchdog.loop);
    uv_timer_start(&s->watchdog, on_watchdog, sign_ms, sign_ms);
    if (watchdog_ms < WATCHDOG_MS_MIN)
        log_warning("the service manager's watchdog bites after %.3g s: use %d or more, for "
                    "interfaces that come can take 2",
                    (double)watchdog_ms / 1e3, WATCHDOG_MS_MIN / 1000);
}

static void start(struct supervisor *s)
{
    uint64_t watchdog_ms = service_manager_watchdog_ns() / 1000000;
    if (watchdog_ms)
        start_watchdog(s, watchdog_ms);
    if (s->listens)
        uv_timer_start(&s->status, on_status_due, STATUS_MS, STATUS_MS);
}

int supervisor_new(struct supervisor **out, uv_loop_t *loop,
                   const struct supervisor_options *options)
{
    struct supervisor *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->options = *options;
    s->listens = service_manager_listens();
    s->shown_ns = uv_hrtime();
    uv_timer_init(loop, &s->watchdog);
    uv_timer_init(loop, &s->status);
    s->open_handles = 2;
    start(s);
    *out = s;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct supervisor *s = handle->data;
    if (--s->open_handles == 0)
        free(s);
}

struct supervisor *supervisor_close(struct supervisor *s)
{
    if (!s)
        return NULL;
    s->watchdog.data = s;
    s->status.data = s;
    uv_close((uv_handle_t *)&s->watchdog, on_closed);
    uv_close((uv_handle_t *)&s->status, on_closed);
    return NULL;
}

void supervisor_add(struct supervisor *s, const struct report *r)
{
    for (size_t i = 0; i < r->service_count; i++)
        s->requests += r->services[i].delta.requests;
}

static void describe(struct text *t, const struct ledger *l)
{
    uint64_t sessions = 0, drops = 0;
    for (size_t i = 0; i < ledger_interface_count(l); i++) {
        const struct ledger_interface *interface = ledger_interface(l, i);
        sessions += interface->gauges.sessions;
        drops += interface->period[LEDGER_TOTAL].counts.ring_drops;
    }
    text_printf(t, "connections: %llu, packets missed: %llu", (unsigned long long)sessions,
                (unsigned long long)drops);
}

void supervisor_show(struct supervisor *s, const struct ledger *l, size_t interface_count)
{
    uint64_t now_ns = uv_hrtime(), elapsed_ns = now_ns - s->shown_ns;
    if (!s->listens || elapsed_ns < STATUS_MIN_MS * UINT64_C(1000000))
        return;
    AUTO(text_deinit) struct text line = {0};
    text_printf(&line, "interfaces: %zu, requests/s: %.1f, ", interface_count,
                (double)s->requests * 1e9 / (double)elapsed_ns);
    describe(&line, l);
    if (!text_failed(&line))
        service_manager_status(line.data);
    s->shown_ns = now_ns;
    s->requests = 0;
}
