#include "app/outside.h"

#include <string.h>

#include "base/log.h"

static int open_state(struct outside *o, uv_loop_t *loop, const struct outside_options *options,
                      struct text *problem)
{
    struct claim *c = options->claim;
    if (!c->state)
        return 0;
    return state_new(&o->state, loop,
                     &(struct state_options){
                         .file = TAKE(c->state),
                         .ledger = options->ledger,
                         .due = options->agent.want_reports,
                         .context = options->agent.context,
                     },
                     problem);
}

static int open_control(struct outside *o, uv_loop_t *loop, const struct outside_options *options)
{
    struct claim *c = options->claim;
    if (!c->socket) {
        if (c->no_socket.data)
            log_info("%s: this agent has none", c->no_socket.data);
        return 0;
    }
    return control_new(&o->control, loop, TAKE(c->socket), &options->agent, options->ledger,
                       options->outputs);
}

int outside_open(struct outside *o, uv_loop_t *loop, const struct outside_options *options)
{
    AUTO(text_deinit) struct text problem = {0};
    int error = open_state(o, loop, options, &problem);
    if (error == 0 && (error = open_control(o, loop, options)) < 0)
        text_printf(&problem, "control socket: %s", strerror(-error));
    if (error < 0)
        log_error("%s", problem.data ? problem.data : strerror(-error));
    return error;
}

uint64_t outside_since_ns(const struct outside *o)
{
    return o->state ? state_since_ns(o->state) : 0;
}

void outside_reports_in(struct outside *o, const struct console_moment *now)
{
    if (o->state)
        state_reports_in(o->state, now);
    if (o->control)
        control_reports_in(o->control);
}

void outside_stop(struct outside *o)
{
    o->control = control_close(o->control);
    if (o->state)
        state_stop(o->state);
}

void outside_finish(struct outside *o, const struct console_moment *now)
{
    if (o->state)
        state_finish(o->state, now);
}

void outside_deinit(struct outside *o)
{
    o->state = state_free(o->state);
}
