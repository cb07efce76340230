#include "app/watch.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/netif.h"

/* Of one turn of the loop: a question must not wait long behind a busy ring. */
enum { BLOCKS_PER_TURN = 4 };

struct watch {
    uv_poll_t poll;
    struct inbox *inbox;
    struct capture *capture;
    struct engine *engine;
    struct netif netif; /* as it was found */
    unsigned number;
    bool follows; /* another watch says what happens to the interface */
    bool gone;
};

static void take_frame(void *context, const struct frame *f)
{
    engine_frame(context, f);
}

static void take_record(void *context, const struct filter_record *r)
{
    engine_kept(context, r);
}

static bool is_known(void *context, const struct flow *flow)
{
    return engine_knows(context, flow);
}

static void forget(void *context, const struct flow *flow)
{
    engine_forget(context, flow);
}

static void order(void *context, const struct flow *flow, const struct filter_order *o)
{
    struct watch *w = context;
    capture_order(w->capture, flow, o);
}

static struct capture_taker taker_of(struct watch *w)
{
    return (struct capture_taker){take_frame, take_record, w->engine};
}

/* Nothing comes from it any more; what it counted so far stays due. */
static void give_up(struct watch *w, int error)
{
    if (w->gone)
        return;
    w->gone = true;
    uv_poll_stop(&w->poll);
    inbox_gone(w->inbox, w->number, error);
}

static void settle(struct watch *w)
{
    struct engine_lost lost = {0};
    uint64_t untracked_bytes = 0;
    int error = capture_settle(w->capture, engine_seen(w->engine), &lost, &untracked_bytes);
    if (error < 0) {
        give_up(w, error);
        return;
    }
    engine_lost(w->engine, &lost);
    engine_untracked(w->engine, untracked_bytes);
}

static void warn_down(const struct watch *w)
{
    if (!w->follows)
        log_warning("%s is down: waiting for it to come up", w->netif.name);
}

static void take_in(struct watch *w)
{
    const struct capture_taker taker = taker_of(w);
    int blocks = capture_read(w->capture, BLOCKS_PER_TURN, &taker);
    if (blocks == -ENETDOWN)
        warn_down(w);
    else if (blocks < 0)
        give_up(w, blocks);
    settle(w);
}

static void on_poll(uv_poll_t *handle, int status, int events);

static int listen_to(struct watch *w)
{
    return uv_poll_start(&w->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct watch *w = CONTAINER_OF(handle, struct watch, poll);
    take_in(w);
    /* libuv stops at POLLERR, which is how an interface that goes down shows. */
    if (status < 0 && !w->gone && listen_to(w) < 0)
        give_up(w, status);
}

static void free_parts(struct watch *w)
{
    capture_close(w->capture);
    engine_free(w->engine);
    free(w);
}

static void on_closed(uv_handle_t *handle)
{
    free_parts(CONTAINER_OF(handle, struct watch, poll));
}

static struct watch *free_unborn(struct watch *w)
{
    if (w)
        free_parts(w);
    return NULL;
}
AUTO_DEFINE(struct watch, free_unborn)

int watch_open(struct watch **out, uv_loop_t *loop, struct inbox *inbox,
               const struct watch_options *options)
{
    AUTO(free_unborn) struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->inbox = inbox;
    w->number = options->engine.interface;
    w->follows = options->group && options->group->members > 0;

    int error = netif_find(&w->netif, options->interface);
    if (error < 0)
        return error;
    struct engine_options engine = options->engine;
    if (options->offload)
        engine.offload = (struct engine_offload){.context = w, .order = order};
    error = engine_new(&w->engine, &engine);
    if (error < 0)
        return error;
    error = capture_open(&w->capture, &(struct capture_options){
                                          .interface = options->interface,
                                          .ports = &options->engine.ports,
                                          .ring_bytes = options->ring_bytes,
                                          .keeps = options->offload,
                                          .group = options->group,
                                      });
    if (error < 0)
        return error;

    error = uv_poll_init(loop, &w->poll, capture_fd(w->capture));
    if (error < 0)
        return error;
    /* From here on the handle is the loop's, and goes only through its close callback. */
    AUTO(watch_close) struct watch *watched = TAKE(w);
    error = listen_to(watched);
    if (error < 0)
        return error;

    *out = TAKE(watched);
    return 0;
}

int watch_start(struct watch *w)
{
    return capture_start(w->capture);
}

static void list_interfaces(struct text *t)
{
    AUTO(netif_list_free) struct netif_list *list = NULL;
    if (netif_list_new(&list) < 0)
        return;
    text_add_string(t, ": there are");
    for (size_t i = 0; i < list->count; i++)
        text_printf(t, "%s %s", i ? "," : "", list->interfaces[i].name);
}

void watch_describe_error(struct text *t, const char *interface, int error)
{
    if (error == -ENODEV) {
        text_printf(t, "no interface '%s'", interface);
        list_interfaces(t);
    } else if (error == -EPERM) {
        text_printf(t, "%s: capturing needs root or CAP_NET_RAW and CAP_BPF: try sudo", interface);
    } else if (error == -ENETDOWN) {
        text_printf(t, "%s is down: bring it up first, with ip link set %s up", interface,
                    interface);
    } else {
        text_printf(t, "%s: can't capture: %s", interface, strerror(-error));
    }
}

struct watch *watch_close(struct watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->poll, on_closed);
    return NULL;
}

void watch_tick(struct watch *w, uint64_t now_ns)
{
    /* An interface that is removed says that it went down, and no more. */
    char name[IF_NAMESIZE];
    if (!w->gone && !if_indextoname((unsigned)w->netif.index, name) && errno == ENXIO)
        give_up(w, -ENODEV);
    engine_expire(w->engine, now_ns);
}

static void answer(struct watch *w, uint64_t now_ns)
{
    inbox_answer(w->inbox, w->number, engine_report(w->engine, now_ns));
}

/* Without it a long download would show up when its last packet is delivered. */
static void collect(struct watch *w)
{
    const struct capture_taker taker = taker_of(w);
    const struct capture_flows flows = {is_known, forget};
    int error = capture_collect(w->capture, &taker, &flows);
    if (error < 0)
        log_warning("%s: what the kernel kept could not be read: %s", w->netif.name,
                    strerror(-error));
}

void watch_flush(struct watch *w, uint64_t now_ns)
{
    take_in(w);
    collect(w);
    settle(w);
    answer(w, now_ns);
}

void watch_stop(struct watch *w)
{
    int error = capture_stop(w->capture);
    if (error < 0)
        give_up(w, error);
}

void watch_finish(struct watch *w, uint64_t now_ns)
{
    const struct capture_taker taker = taker_of(w);
    int error = capture_drain(w->capture, &taker);
    if (error < 0)
        log_warning("%s: its last packets could not be read: %s", w->netif.name, strerror(-error));
    collect(w);
    settle(w);
    engine_finish(w->engine);
    answer(w, now_ns);
}
