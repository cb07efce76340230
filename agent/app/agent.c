/*
 * How a run goes: when an interval of the console or of an output is over, all
 * interfaces are asked for reports; when each has answered, what was wanted is
 * shown, or sent. A signal ends the watching; when all have told what they counted
 * last, what is due is sent, the totals are shown, all handles are closed, and the
 * loop runs out. At most one question is open at a time: who wants reports
 * meanwhile gets these.
 */
#include "app/agent.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "app/display.h"
#include "app/intent.h"
#include "app/interrupt.h"
#include "app/opening.h"
#include "app/outputs.h"
#include "app/outside.h"
#include "app/reload.h"
#include "app/service_manager.h"
#include "app/supervisor.h"
#include "base/log.h"
#include "core/ledger.h"

/* Within 2 seconds of the signal all is over: this is for the workers, and the last flush. */
enum { END_MS = 1900, LAST_FLUSH_MS_MIN = 500 };

/*
 * A new service makes others that moved nothing since their last report leave the ledger: an
 * engine names it, so another one has forgotten some of them, or has ended.
 */
enum { LEDGER_IDLE_NS = 1 };

struct agent {
    const struct agent_options *options; /* what is done now */
    struct reload *reload;
    uv_loop_t loop;
    uv_async_t interrupt;
    struct interfaces *interfaces;
    struct display *display;
    struct ledger *ledger;
    struct outputs *outputs;
    struct supervisor *supervisor;
    struct outside outside;
    struct console_moment ended;
    size_t services_max; /* that ledger and outputs are made for */
    uint64_t folded;     /* requests past the cap on services, not said yet */
    uint64_t folded_said_ns;
    bool stopping;
    uint64_t stopped_ns; /* uv_hrtime() */
    int status;
};

static uint64_t time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void close_handles(struct agent *a)
{
    outside_stop(&a->outside);
    a->interfaces = interfaces_close(a->interfaces); /* its threads use the display */
    interrupt_release();
    a->outputs = outputs_close(a->outputs);
    a->display = display_close(a->display);
    a->supervisor = supervisor_close(a->supervisor);
    a->reload = reload_close(a->reload);
    uv_close((uv_handle_t *)&a->interrupt, NULL);
}

static void stop(struct agent *a)
{
    if (a->stopping)
        return;
    a->stopping = true;
    a->stopped_ns = uv_hrtime();
    service_manager_stopping();
    interfaces_stop(a->interfaces);
}

/* Output that can't be written ends the run: nobody would know what was missing. */
static void on_display_failed(void *context)
{
    struct agent *a = context;
    a->status = EXIT_FAILURE;
    stop(a);
}

static void say_folded(struct agent *a)
{
    if (a->folded)
        log_warning("%llu requests of services past the cap of %u went to " SERVICE_OTHER,
                    (unsigned long long)a->folded,
                    interfaces_wish(a->interfaces)->engine.services_max);
    a->folded = 0;
    a->folded_said_ns = uv_hrtime();
}

/* --- reports ----------------------------------------------------------------------- */

/* Reports are wanted: those that come next will do. Who stops has the last ones coming. */
static void want_reports(void *context)
{
    struct agent *a = context;
    if (!a->stopping && !interfaces_are_asked(a->interfaces))
        interfaces_ask(a->interfaces);
}

/* All that the engines tell apart has a place; they forget nothing because they may have less. */
static void fit_services(struct agent *a)
{
    size_t services_max = MAX(interfaces_shares_max(a->interfaces), (size_t)1) *
                          interfaces_wish(a->interfaces)->engine.services_max;
    if (services_max <= a->services_max)
        return;
    a->services_max = services_max;
    ledger_set_services_max(a->ledger, services_max);
    outputs_set_services_max(a->outputs, services_max);
}

static void on_report(void *context, const struct report *report)
{
    struct agent *a = context;
    fit_services(a);
    a->folded += report->delta.services_folded + ledger_add(a->ledger, report);
    outputs_add(a->outputs, report);
    supervisor_add(a->supervisor, report);
}

static void on_answered(void *context)
{
    struct agent *a = context;
    supervisor_show(a->supervisor, a->ledger, interfaces_count(a->interfaces));
    display_interval(a->display, a->ledger);
    outputs_flush(a->outputs, time_ns());
    struct console_moment now = display_moment(a->display);
    outside_reports_in(&a->outside, &now);
    if (uv_hrtime() - a->folded_said_ns >= a->options->outputs->flush_ns)
        say_folded(a);
    log_settle();
    reload_answered(a->reload);
}

/* --- reload ------------------------------------------------------------------------ */

static int do_next(void *context, struct intent *next)
{
    struct agent *a = context;
    struct interfaces_wish *wish = &next->agent.wish;
    uint64_t idle_ns = wish->engine.services_idle_ns;
    int error = outputs_change(a->outputs, next->agent.outputs, idle_ns, time_ns());
    if (error < 0)
        return error;
    a->options = &next->agent;
    interfaces_want(a->interfaces, wish);
    wish->list = NULL;
    return 0;
}

static int open_reload(struct agent *a, struct intent *intent)
{
    return reload_new(&a->reload, &a->loop,
                      &(struct reload_options){
                          .intent = intent,
                          .apply = do_next,
                          .ask = want_reports,
                          .context = a,
                      });
}

/* --- the end ----------------------------------------------------------------------- */

static void on_outputs_finished(void *context)
{
    struct agent *a = context;
    display_totals(a->display, a->ledger);
    a->ended = display_moment(a->display);
    close_handles(a);
}

static void on_ended(void *context)
{
    struct agent *a = context;
    say_folded(a);
    uint64_t passed_ms = (uv_hrtime() - a->stopped_ns) / 1000000;
    uint64_t patience_ms = END_MS - MIN(passed_ms, (uint64_t)(END_MS - LAST_FLUSH_MS_MIN));
    outputs_finish(a->outputs, time_ns(), patience_ms, on_outputs_finished);
}

static void on_interrupt(uv_async_t *handle)
{
    struct agent *a = CONTAINER_OF(handle, struct agent, interrupt);
    display_release(a->display); /* a second signal leaves no time for it */
    stop(a);
}

/* --- the start --------------------------------------------------------------------- */

static int open_loop(struct agent *a)
{
    int error = uv_loop_init(&a->loop);
    if (error < 0)
        return error;
    error = uv_async_init(&a->loop, &a->interrupt, on_interrupt);
    if (error < 0)
        uv_loop_close(&a->loop);
    return error;
}

static int open_display(struct agent *a)
{
    return display_new(&a->display, &a->loop,
                       &(struct display_options){
                           .form = a->options->form,
                           .interval_ns = a->options->interval_ns,
                           .due = want_reports,
                           .failed = on_display_failed,
                           .context = a,
                       });
}

static int open_interfaces(struct agent *a)
{
    return interfaces_new(&a->interfaces, &a->loop,
                          &(struct interfaces_options){
                              .form = a->options->form,
                              .lines = display_add_lines,
                              .lines_context = a->display,
                              .report = on_report,
                              .answered = on_answered,
                              .ended = on_ended,
                              .context = a,
                          });
}

static bool are_alive(void *context)
{
    const struct agent *a = context;
    return interfaces_are_moving(a->interfaces);
}

static int open_supervisor(struct agent *a)
{
    return supervisor_new(&a->supervisor, &a->loop,
                          &(struct supervisor_options){
                              .alive = are_alive,
                              .due = want_reports,
                              .context = a,
                          });
}

static int open_outputs(struct agent *a)
{
    const struct engine_options *engine = &a->options->wish.engine;
    return outputs_new(&a->outputs, &a->loop,
                       &(struct outputs_options){
                           .settings = a->options->outputs,
                           .hash_seed = engine->hash_seed,
                           .idle_ns = engine->services_idle_ns,
                           .due = want_reports,
                           .context = a,
                       });
}

static int open_parts(struct agent *a)
{
    const struct engine_options *engine = &a->options->wish.engine;
    int error = ledger_new(&a->ledger, &(struct ledger_options){
                                           .idle_ns = LEDGER_IDLE_NS,
                                           .hash_seed = engine->hash_seed,
                                       });
    if (error == 0)
        error = open_display(a);
    if (error == 0)
        error = open_supervisor(a);
    if (error == 0)
        error = open_interfaces(a);
    return error;
}

static struct console_moment on_moment_wanted(void *context)
{
    const struct agent *a = context;
    return display_moment(a->display);
}

static const struct rule_set *on_rules_wanted(void *context)
{
    const struct agent *a = context;
    return interfaces_wish(a->interfaces)->engine.rules;
}

static void on_judge(void *context, struct problems *p)
{
    const struct agent *a = context;
    interfaces_judge(a->interfaces, p);
}

static void on_watching(void *context, struct text *names)
{
    const struct agent *a = context;
    interfaces_names(a->interfaces, names);
}

static void on_reload_wanted(void *context, reload_done_fn *done, void *asker)
{
    const struct agent *a = context;
    reload_begin(a->reload, done, asker);
}

static void on_reload_forgotten(void *context, const void *asker)
{
    const struct agent *a = context;
    reload_forget(a->reload, asker);
}

static int open_outside(struct agent *a, struct claim *claim)
{
    fit_services(a); /* the totals of before want room */
    int error = outside_open(&a->outside, &a->loop,
                             &(struct outside_options){
                                 .claim = claim,
                                 .agent = {.context = a,
                                           .want_reports = want_reports,
                                           .moment = on_moment_wanted,
                                           .rules = on_rules_wanted,
                                           .judge = on_judge,
                                           .watching = on_watching,
                                           .reload = on_reload_wanted,
                                           .forget_reload = on_reload_forgotten},
                                 .ledger = a->ledger,
                                 .outputs = a->outputs,
                             });
    uint64_t since_ns = outside_since_ns(&a->outside);
    display_set_since(a->display, since_ns ? since_ns : time_ns());
    return error;
}

static int start_interfaces(struct agent *a, struct intent *intent)
{
    struct interfaces_wish wish = intent->agent.wish;
    intent->agent.wish.list = NULL;
    AUTO(netif_list_free) struct netif_list *there = NULL;
    if (netif_list_new(&there) == 0)
        service_manager_starting(opening_patience_ns(wish.list, there));
    return interfaces_start(a->interfaces, &wish);
}

static bool begin(struct agent *a, struct intent *intent, struct claim *claim)
{
    int error = open_parts(a);
    if (error == 0 && start_interfaces(a, intent) < 0)
        return false;
    if (error == 0)
        error = open_outputs(a);
    if (error == 0)
        error = display_start(a->display);
    if (error == 0 && open_outside(a, claim) < 0)
        return false;
    if (error == 0)
        error = open_reload(a, intent); /* which takes the intent over: nothing may fail after it */
    if (error < 0) {
        log_error("can't start: %s", strerror(-error));
        return false;
    }
    interrupt_catch(&a->interrupt);
    interfaces_announce(a->interfaces);
    service_manager_ready();
    return true;
}

int agent_run(struct intent *intent, struct claim *claim)
{
    AUTO(intent_free) struct intent *first = intent;
    struct agent a = {.options = &intent->agent, .status = EXIT_SUCCESS};
    int error = open_loop(&a);
    if (error < 0) {
        log_error("can't start: %s", strerror(-error));
        return EXIT_FAILURE;
    }
    if (begin(&a, first, claim)) {
        first = NULL; /* the reload's */
    } else {
        a.status = EXIT_FAILURE;
        close_handles(&a);
    }
    uv_run(&a.loop, UV_RUN_DEFAULT);
    uv_loop_close(&a.loop);
    if (a.ended.time_ns)
        outside_finish(&a.outside, &a.ended);
    outside_deinit(&a.outside);
    ledger_free(a.ledger);
    log_finish();
    return a.status;
}
