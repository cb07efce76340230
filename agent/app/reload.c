#include "app/reload.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "app/service_manager.h"
#include "base/log.h"
#include "core/table.h"

enum stage {
    STAGE_IDLE,
    STAGE_READ,    /* the next intent is good; reports by the running one are on their way */
    STAGE_APPLIED, /* the next intent is done; whoever has answered has left the running one */
};

struct request {
    reload_done_fn *done;
    void *context;
    struct request *prev;
    struct request *next;
};

struct reload {
    struct reload_options options;
    uv_signal_t hangup;
    struct intent *running;
    struct intent *next;
    enum stage stage;
    struct text said;
    struct request *asked;   /* who waits for this reload */
    struct request *waiting; /* who waits for the one after it */
    bool again;              /* there is to be one after it */
    unsigned long count;
};

static void answer(struct request **list, int error, const struct text *said)
{
    while (*list) {
        struct request *q = *list;
        DL_DELETE(*list, q);
        q->done(q->context, error, said);
        free(q);
    }
}

static void say_lines(const struct text *said)
{
    const char *line = said->size ? said->data : "";
    for (size_t size; *line; line += size + 1) {
        size = strcspn(line, "\n");
        log_warning("%.*s", (int)size, line);
    }
}

/* A reload begins, and ends. */

static void begin(struct reload *r)
{
    service_manager_reloading();
    log_info("reading %s again", r->running->path ? r->running->path : "the config");
    text_clear(&r->said);
}

static void end(struct reload *r, int error)
{
    r->stage = STAGE_IDLE;
    r->count++;
    if (error < 0) {
        log_error("not reloaded, nothing has changed: %s", r->said.data);
    } else {
        log_info("reloaded");
        say_lines(&r->said);
    }
    log_debug("reload %lu has ended", r->count);
    service_manager_ready();
    answer(&r->asked, error, &r->said);
}

static void fail(struct reload *r, int error)
{
    text_clear(&r->said);
    text_add_string(&r->said, strerror(-error));
    end(r, error);
}

static void read_next(struct reload *r)
{
    begin(r);
    int error = intent_new(&r->next, r->running->command_line, r->running, &r->said);
    if (error < 0) {
        end(r, error);
        return;
    }
    r->stage = STAGE_READ;
    r->options.ask(r->options.context);
}

/* Begin what is wanted, unless one is under way. */
static void go_on(struct reload *r)
{
    while (r->stage == STAGE_IDLE && r->again) {
        r->again = false;
        r->asked = TAKE(r->waiting);
        read_next(r);
    }
}

static void apply(struct reload *r)
{
    int error = r->options.apply(r->options.context, r->next);
    if (error < 0) {
        r->next = intent_free(r->next);
        fail(r, error);
        return;
    }
    r->stage = STAGE_APPLIED;
    r->options.ask(r->options.context);
}

void reload_answered(struct reload *r)
{
    if (r->stage == STAGE_READ) {
        apply(r);
    } else if (r->stage == STAGE_APPLIED) {
        intent_free(r->running);
        r->running = TAKE(r->next);
        end(r, 0);
    }
    go_on(r);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    (void)number;
    reload_begin(CONTAINER_OF(handle, struct reload, hangup), NULL, NULL);
}

static void mask_signal(int how)
{
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(how, &hangup, NULL);
}

void reload_hold_signal(void)
{
    mask_signal(SIG_BLOCK);
}

int reload_new(struct reload **out, uv_loop_t *loop, const struct reload_options *options)
{
    struct reload *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->options = *options;
    int error = uv_signal_init(loop, &r->hangup);
    if (error < 0) {
        free(r);
        return error;
    }
    error = uv_signal_start(&r->hangup, on_hangup, SIGHUP);
    if (error < 0) {
        reload_close(r);
        return error;
    }
    mask_signal(SIG_UNBLOCK);
    r->running = options->intent;
    *out = r;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct reload *r = CONTAINER_OF((uv_signal_t *)handle, struct reload, hangup);
    text_deinit(&r->said);
    free(r);
}

struct reload *reload_close(struct reload *r)
{
    if (!r)
        return NULL;
    text_clear(&r->said);
    text_add_string(&r->said, "the agent ends");
    answer(&r->asked, -ECANCELED, &r->said);
    answer(&r->waiting, -ECANCELED, &r->said);
    r->next = intent_free(r->next);
    r->running = intent_free(r->running);
    mask_signal(SIG_BLOCK); /* libuv puts back what ends the process */
    uv_close((uv_handle_t *)&r->hangup, on_closed);
    signal(SIGHUP, SIG_IGN); /* the totals are yet to be kept */
    return NULL;
}

void reload_begin(struct reload *r, reload_done_fn *done, void *context)
{
    struct request *q = done ? malloc(sizeof(*q)) : NULL;
    if (done && !q) {
        done(context, -ENOMEM, &(struct text){0});
        return;
    }
    if (q) {
        *q = (struct request){.done = done, .context = context};
        DL_APPEND(r->waiting, q);
    }
    r->again = true;
    go_on(r);
}

static void forget(struct request **list, const void *context)
{
    struct request *q, *next;
    DL_FOREACH_SAFE (*list, q, next) {
        if (q->context != context)
            continue;
        DL_DELETE(*list, q);
        free(q);
    }
}

void reload_forget(struct reload *r, const void *context)
{
    forget(&r->asked, context);
    forget(&r->waiting, context);
}
