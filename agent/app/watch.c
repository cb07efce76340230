#include "app/watch.h"

#include <errno.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "io/netif.h"
#include "io/privileges.h"

/* Of one turn of the loop: a question must not wait long behind a busy ring. */
enum { BLOCKS_PER_TURN = 4 };

enum order { ORDER_ANSWER = 1, ORDER_LEAVE = 2, ORDER_CHANGE = 4 };

struct watch {
    char name[IF_NAMESIZE];
    bool follows;   /* another watch says what happens to the interface */
    bool dismissed; /* the main thread's */
    struct inbox_slot *slot;
    _Atomic unsigned orders;            /* enum order, not followed yet */
    const struct watch_change *ordered; /* with ORDER_CHANGE */
    struct capture *capture;
    struct engine *engine;

    uv_poll_t poll;
    bool polls; /* it is a handle */
    uv_timer_t settled;
    unsigned open_handles;
    watch_ended_fn *ended;
    void *context;

    bool failed; /* nothing comes from it any more */
    bool leaving;
    bool closing;
    struct report *last;
};

/* Packets carry this clock's time. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- what the capture hands over --------------------------------------------------- */

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
    if (w->failed)
        return;
    w->failed = true;
    if (w->polls)
        uv_poll_stop(&w->poll);
    inbox_fail(w->slot, error);
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

static void check_orphan(struct watch *w)
{
    if (!w->leaving && capture_is_orphan(w->capture))
        give_up(w, -ENODEV);
}

/* An interface that is removed goes down, too: the main thread says what becomes of it. */
static void note_down(struct watch *w)
{
    check_orphan(w);
    if (!w->failed && !w->follows && if_nametoindex(w->name))
        log_warning("%s is down: waiting for it to come up", w->name);
}

static void take_in(struct watch *w)
{
    const struct capture_taker taker = taker_of(w);
    int blocks = capture_read(w->capture, BLOCKS_PER_TURN, &taker);
    if (blocks == -ENETDOWN)
        note_down(w);
    else if (blocks < 0)
        give_up(w, blocks);
    settle(w);
}

/* Without it a long download would show up when its last packet is delivered. */
static void collect(struct watch *w)
{
    const struct capture_taker taker = taker_of(w);
    const struct capture_flows flows = {is_known, forget};
    int error = capture_collect(w->capture, &taker, &flows);
    if (error < 0)
        log_warning("%s: what the kernel kept could not be read: %s", w->name, strerror(-error));
}

/* --- before it begins -------------------------------------------------------------- */

int watch_open(struct watch **out, const struct watch_options *options)
{
    AUTO(watch_free) struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    memcpy(w->name, options->interface->name, sizeof(w->name));
    w->slot = options->slot;
    w->follows = options->follows;

    struct engine_options engine = options->engine;
    if (options->offload)
        engine.offload = (struct engine_offload){.context = w, .order = order};
    int error = engine_new(&w->engine, &engine);
    if (error < 0)
        return error;
    privileges_raise();
    error = capture_open(&w->capture, &(struct capture_options){
                                          .interface = options->interface,
                                          .ports = &options->engine.ports,
                                          .ring_bytes = options->ring_bytes,
                                          .keeps = options->offload,
                                          .leads = options->leads,
                                          .claims = options->claims,
                                      });
    privileges_lower();
    if (error < 0)
        return error;
    *out = TAKE(w);
    return 0;
}

int watch_join(struct watch *w, struct capture_group *group)
{
    return capture_join(w->capture, group);
}

int watch_start(struct watch *w)
{
    return capture_start(w->capture);
}

struct watch *watch_free(struct watch *w)
{
    if (!w)
        return NULL;
    capture_close(w->capture);
    engine_free(w->engine);
    free(w);
    return NULL;
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

void watch_ask(struct watch *w)
{
    atomic_fetch_or(&w->orders, ORDER_ANSWER);
}

void watch_change(struct watch *w, const struct watch_change *change)
{
    w->ordered = change;
    atomic_fetch_or(&w->orders, ORDER_CHANGE);
}

/* Once, for by the second time the worker may have closed the capture. */
void watch_dismiss(struct watch *w)
{
    if (w->dismissed)
        return;
    w->dismissed = true;
    int error = capture_stop(w->capture);
    if (error < 0)
        log_warning("%s: can't stop to capture: %s", w->name, strerror(-error));
    atomic_fetch_or(&w->orders, ORDER_LEAVE);
}

/* --- in its worker's thread -------------------------------------------------------- */

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
    if (status < 0 && !w->failed && listen_to(w) < 0)
        give_up(w, status);
}

void watch_begin(struct watch *w, uv_loop_t *loop, watch_ended_fn *ended, void *context)
{
    w->ended = ended;
    w->context = context;
    uv_timer_init(loop, &w->settled);
    w->open_handles = 1;
    int error = uv_poll_init(loop, &w->poll, capture_fd(w->capture));
    if (error == 0) {
        w->polls = true;
        w->open_handles++;
        error = listen_to(w);
    }
    if (error < 0)
        give_up(w, error);
}

static void finish_close(struct watch *w)
{
    if (--w->open_handles > 0)
        return;
    w->ended(w->context, w);
    w->capture = capture_close(w->capture);
    w->engine = engine_free(w->engine);
    inbox_end(w->slot, TAKE(w->last));
}

static void on_poll_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF((uv_poll_t *)handle, struct watch, poll));
}

static void on_settled_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF((uv_timer_t *)handle, struct watch, settled));
}

void watch_abandon(struct watch *w)
{
    if (w->closing)
        return;
    w->closing = true;
    uv_close((uv_handle_t *)&w->settled, on_settled_closed);
    if (w->polls)
        uv_close((uv_handle_t *)&w->poll, on_poll_closed);
}

/* What came before it left is in the ring now. */
static void on_settled(uv_timer_t *timer)
{
    struct watch *w = CONTAINER_OF(timer, struct watch, settled);
    const struct capture_taker taker = taker_of(w);
    int error = capture_drain(w->capture, &taker);
    if (error < 0)
        log_warning("%s: its last packets could not be read: %s", w->name, strerror(-error));
    collect(w);
    settle(w);
    engine_finish(w->engine);
    w->last = engine_report(w->engine, now_ns());
    watch_abandon(w);
}

static void leave(struct watch *w)
{
    if (w->leaving)
        return;
    w->leaving = true;
    uv_update_time(w->settled.loop);
    uv_timer_start(&w->settled, on_settled, CAPTURE_SETTLE_MS, 0);
}

static void answer(struct watch *w)
{
    take_in(w);
    collect(w);
    settle(w);
    inbox_answer(w->slot, engine_report(w->engine, now_ns()));
}

static void change(struct watch *w)
{
    const struct watch_change *c = w->ordered;
    engine_change(w->engine, &c->engine);
    if (!c->has_ports)
        return;
    int error = capture_set_ports(w->capture, &c->engine.ports);
    if (error == 0)
        error = engine_set_ports(w->engine, &c->engine.ports, now_ns());
    if (error < 0)
        log_warning("%s: its ports could not be changed: %s", w->name, strerror(-error));
}

void watch_obey(struct watch *w)
{
    unsigned orders = atomic_exchange(&w->orders, 0);
    if (w->closing)
        return;
    if (orders & ORDER_CHANGE)
        change(w);
    if (orders & ORDER_ANSWER)
        answer(w);
    if (orders & ORDER_LEAVE)
        leave(w);
}

void watch_tick(struct watch *w)
{
    check_orphan(w); /* it may have gone when it was down already */
    engine_expire(w->engine, now_ns());
}
