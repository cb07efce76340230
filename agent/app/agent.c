/*
 * How a run goes: when an interval of the console or of an output is over, all
 * workers are asked to flush; when each interface has answered, what was wanted
 * is shown, or sent. A signal asks them to stop; when each has answered for the
 * last time, what is due is sent, all handles are closed, the loop runs out, and
 * the totals are shown. At most one question is open at a time: a stop waits for
 * the answers to a flush, and who wants reports meanwhile gets these.
 */
#include "app/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "app/crew.h"
#include "app/inbox.h"
#include "app/interrupt.h"
#include "app/outputs.h"
#include "app/reporter.h"
#include "base/log.h"
#include "base/text.h"
#include "core/ledger.h"
#include "io/capture.h"

/* How long the last flush of the outputs may take. */
enum { OUTPUTS_PATIENCE_MS = 2000 };

enum question { QUESTION_NONE, QUESTION_FLUSH, QUESTION_STOP };

struct agent {
    const struct agent_options *options;
    uv_loop_t loop;
    uv_async_t interrupt;
    uv_timer_t ticks;
    struct inbox *inbox;
    struct crew *crew;

    /* The watches, by the number in their reports. */
    unsigned count;
    unsigned count_max;
    const char **names; /* of their interfaces: those that share one follow each other */
    struct reporter *reporters;
    unsigned gone;

    struct console console;
    struct console_buffer *lines;
    struct ledger *ledger;
    uint64_t started_ns; /* uv_hrtime() */
    uint64_t shown_ns;
    bool interval_over;
    struct outputs *outputs;
    uint64_t folded; /* requests past the cap on services, not said yet */
    uint64_t folded_said_ns;

    enum question question;
    unsigned unanswered;
    bool stopping;
    bool output_failed;
    int status;
};

static void close_handles(struct agent *a)
{
    a->crew = crew_free(a->crew);
    interrupt_release();
    a->inbox = inbox_close(a->inbox);
    a->outputs = outputs_close(a->outputs);
    uv_close((uv_handle_t *)&a->ticks, NULL);
    uv_close((uv_handle_t *)&a->interrupt, NULL);
}

static void ask(struct agent *a, enum question question)
{
    a->question = question;
    a->unanswered = a->count;
    if (question == QUESTION_FLUSH)
        crew_flush(a->crew);
    else
        crew_stop(a->crew);
}

static void stop(struct agent *a)
{
    if (a->stopping)
        return;
    a->stopping = true;
    if (a->question == QUESTION_NONE)
        ask(a, QUESTION_STOP);
}

/* Output that can't be written ends the run: nobody would know what was missing. */
static void check_output(struct agent *a, int error)
{
    if (error == 0)
        return;
    log_error("standard output: %s", strerror(-error));
    a->output_failed = true;
    a->status = EXIT_FAILURE;
    stop(a);
}

static uint64_t time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct console_moment moment(const struct agent *a)
{
    uint64_t clock_ns = uv_hrtime();
    return (struct console_moment){
        .time_ns = time_ns(),
        .interval_ns = clock_ns - a->shown_ns,
        .elapsed_ns = clock_ns - a->started_ns,
    };
}

static void show_lines(struct agent *a)
{
    if (!a->output_failed)
        check_output(a, console_drain(&a->console, a->lines));
}

static void show_interval(struct agent *a)
{
    if (a->output_failed)
        return;
    struct console_moment now = moment(a);
    check_output(a, console_interval(&a->console, a->ledger, &now));
    ledger_end_interval(a->ledger);
    a->shown_ns = a->started_ns + now.elapsed_ns;
    a->interval_over = false;
}

static void show_totals(struct agent *a)
{
    show_lines(a);
    struct console_moment now = moment(a);
    if (!a->output_failed)
        check_output(a, console_finish(&a->console, a->ledger, &now));
}

static void say_folded(struct agent *a)
{
    if (a->folded)
        log_warning("%llu requests of services past the cap of %u went to " SERVICE_OTHER,
                    (unsigned long long)a->folded, a->options->engine.services_max);
    a->folded = 0;
    a->folded_said_ns = uv_hrtime();
}

static void on_outputs_finished(void *context)
{
    close_handles(context);
}

static void finish(struct agent *a)
{
    say_folded(a);
    outputs_finish(a->outputs, time_ns(), OUTPUTS_PATIENCE_MS, on_outputs_finished);
}

static void on_answered(struct agent *a)
{
    enum question answered = a->question;
    a->question = QUESTION_NONE;
    if (answered == QUESTION_STOP) {
        finish(a);
        return;
    }
    if (a->interval_over)
        show_interval(a);
    outputs_flush(a->outputs, time_ns());
    if (uv_hrtime() - a->folded_said_ns >= a->options->outputs->flush_ns)
        say_folded(a);
    log_settle();
    if (a->stopping && a->question == QUESTION_NONE)
        ask(a, QUESTION_STOP);
}

static void take_report(struct agent *a, const struct report *report)
{
    a->folded += report->delta.services_folded + ledger_add(a->ledger, report);
    outputs_add(a->outputs, report);
}

static void take_answer(struct agent *a, unsigned number)
{
    AUTO(report_free) struct report *report = NULL;
    if (!inbox_take(a->inbox, number, &report))
        return;
    a->unanswered--;
    if (report)
        take_report(a, report);
    else if (a->question == QUESTION_STOP)
        log_error("%s: out of memory: what it counted last is lost", a->names[number]);
    else
        log_warning("%s: out of memory: what it counted comes later", a->names[number]);
}

/* Whether @number is not just another share of the interface before it. */
static bool is_first_share(const struct agent *a, unsigned number)
{
    return number == 0 || a->names[number] != a->names[number - 1];
}

static void warn_gone(const struct agent *a, unsigned number, int error)
{
    if (error != -ENODEV)
        log_warning("%s: %s: watched no longer, its counts stay", a->names[number],
                    strerror(-error));
    else if (is_first_share(a, number))
        log_warning("%s is gone: its counts stay", a->names[number]);
}

static void take_gone(struct agent *a, unsigned number)
{
    int error = inbox_take_gone(a->inbox, number);
    if (error == 0)
        return;
    warn_gone(a, number, error);
    if (++a->gone == a->count && !a->stopping) {
        log_error("no interface is left to watch");
        a->status = EXIT_FAILURE;
        stop(a);
    }
}

static void on_news(void *context)
{
    struct agent *a = context;
    show_lines(a);
    for (unsigned number = 0; number < a->count; number++) {
        take_gone(a, number);
        take_answer(a, number);
    }
    if (a->question != QUESTION_NONE && a->unanswered == 0)
        on_answered(a);
}

/* Reports are wanted: those that come next will do. A worker that has stopped has none. */
static void want_reports(struct agent *a)
{
    if (a->question == QUESTION_NONE && !a->stopping)
        ask(a, QUESTION_FLUSH);
}

static void on_tick(uv_timer_t *handle)
{
    struct agent *a = CONTAINER_OF(handle, struct agent, ticks);
    if (a->interval_over)
        log_debug("the workers have not answered yet: this interval takes longer");
    a->interval_over = true;
    want_reports(a);
}

static void on_outputs_due(void *context)
{
    want_reports(context);
}

static void on_interrupt(uv_async_t *handle)
{
    struct agent *a = CONTAINER_OF(handle, struct agent, interrupt);
    console_deinit(&a->console); /* a second signal leaves no time for it */
    stop(a);
}

static void add_lines(void *context, const struct text *lines)
{
    struct agent *a = context;
    if (console_buffer_add(a->lines, lines))
        inbox_wake(a->inbox);
}

/* The rings are most of the memory that an idle agent has. */
static uint32_t ring_bytes(const struct agent *a)
{
    if (a->options->ring_bytes)
        return a->options->ring_bytes;
    return MAX(CAPTURE_RING_BYTES / a->count_max, (uint32_t)CAPTURE_RING_BYTES_MIN);
}

/* Watch @interface, or a share of it: then @group is not NULL. */
static int watch_share(struct agent *a, const struct watch_list_interface *interface,
                       struct capture_group *group)
{
    const char *name = interface->name;
    struct reporter *reporter = &a->reporters[a->count];
    reporter_init(reporter, name, add_lines, a);

    struct watch_options options = {
        .interface = name,
        .ring_bytes = ring_bytes(a),
        .offload = a->options->offload,
        .group = group,
        .engine = a->options->engine,
    };
    options.engine.interface = a->count;
    options.engine.ports = *interface->ports;
    options.engine.sessions_max = (options.engine.sessions_max - 1) / interface->workers + 1;
    options.engine.observer = reporter_observer(reporter, a->options->form);
    int error = crew_watch(a->crew, &options);
    if (error < 0)
        return error;

    log_debug("%s: %u ports (0: all), ring of %u KiB", name, interface->ports->count,
              options.ring_bytes >> 10);
    a->names[a->count++] = name;
    return 0;
}

static int watch_interface(struct agent *a, const struct watch_list_interface *interface)
{
    struct capture_group group = {0};
    int error = 0;
    for (unsigned i = 0; error == 0 && i < interface->workers; i++)
        error = watch_share(a, interface, interface->workers > 1 ? &group : NULL);
    return error;
}

static const char *words(const struct text *t)
{
    return text_failed(t) ? strerror(ENOMEM) : t->data;
}

/*
 * Where nobody named the interfaces, those that can't be watched are passed
 * over. Without the rights none can be.
 */
static int watch_interfaces(struct agent *a)
{
    const struct watch_list *list = a->options->interfaces;
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->interfaces[i].name;
        int error = watch_interface(a, &list->interfaces[i]);
        if (error == 0)
            continue;

        AUTO(text_deinit) struct text reason = {0};
        watch_describe_error(&reason, name, error);
        if (!list->found || error == -EPERM) {
            log_error("%s", words(&reason));
            return error;
        }
        log_warning("%s", words(&reason));
    }
    if (a->count == 0) {
        log_error("no interface can be watched");
        return -ENODEV;
    }
    return 0;
}

static void announce(const struct agent *a)
{
    AUTO(text_deinit) struct text names = {0};
    for (unsigned i = 0; i < a->count; i++)
        if (is_first_share(a, i))
            text_printf(&names, "%s%s", i ? ", " : "", a->names[i]);
    log_info("watching %s", words(&names));
}

static int open_loop(struct agent *a)
{
    int error = uv_loop_init(&a->loop);
    if (error < 0)
        return error;
    error = uv_async_init(&a->loop, &a->interrupt, on_interrupt);
    if (error < 0) {
        uv_loop_close(&a->loop);
        return error;
    }
    uv_timer_init(&a->loop, &a->ticks);
    return 0;
}

static int allocate(struct agent *a)
{
    const struct watch_list *list = a->options->interfaces;
    unsigned workers = a->options->workers;
    for (size_t i = 0; i < list->count; i++) {
        a->count_max += list->interfaces[i].workers;
        workers = MAX(workers, list->interfaces[i].workers);
    }
    a->names = calloc(a->count_max, sizeof(*a->names));
    a->reporters = calloc(a->count_max, sizeof(*a->reporters));
    if (!a->names || !a->reporters)
        return -ENOMEM;

    int error = console_buffer_new(&a->lines, CONSOLE_BUFFER_MAX);
    if (error < 0)
        return error;
    error = inbox_new(&a->inbox, &a->loop, a->count_max, on_news, a);
    if (error < 0)
        return error;
    return crew_new(&a->crew, a->inbox, workers);
}

static int start_ticks(struct agent *a)
{
    bool shows_intervals = a->options->form == CONSOLE_TABLE || a->options->form == CONSOLE_JSON;
    uint64_t interval_ms = a->options->interval_ns / 1000000;
    return shows_intervals ? uv_timer_start(&a->ticks, on_tick, interval_ms, interval_ms) : 0;
}

/* That all engines together tell apart. */
static size_t services_max(const struct agent *a)
{
    return (size_t)a->count * a->options->engine.services_max;
}

static int start_outputs(struct agent *a)
{
    return outputs_new(&a->outputs, &a->loop,
                       &(struct outputs_options){
                           .settings = a->options->outputs,
                           .interfaces = a->names,
                           .interface_count = a->count,
                           .services_max = services_max(a),
                           .hash_seed = a->options->engine.hash_seed,
                           .idle_ns = a->options->engine.services_idle_ns,
                           .due = on_outputs_due,
                           .context = a,
                       });
}

static int start(struct agent *a)
{
    int error = ledger_new(&a->ledger, &(struct ledger_options){
                                           .services_max = services_max(a),
                                           .idle_ns = a->options->engine.services_idle_ns,
                                           .hash_seed = a->options->engine.hash_seed,
                                           .interfaces = a->names,
                                           .interface_count = a->count,
                                       });
    if (error < 0)
        return error;
    error = start_outputs(a);
    if (error < 0)
        return error;
    error = start_ticks(a);
    if (error < 0)
        return error;
    interrupt_catch(&a->interrupt);
    a->started_ns = uv_hrtime();
    a->shown_ns = a->started_ns;
    return crew_start(a->crew);
}

static bool begin(struct agent *a)
{
    int error = allocate(a);
    if (error == 0) {
        if (watch_interfaces(a) < 0)
            return false;
        error = start(a);
    }
    if (error < 0)
        log_error("can't start: %s", strerror(-error));
    return error == 0;
}

static void deinit(struct agent *a)
{
    uv_loop_close(&a->loop);
    for (unsigned i = 0; i < a->count; i++)
        reporter_deinit(&a->reporters[i]);
    free(a->reporters);
    free(a->names);
    ledger_free(a->ledger);
    console_buffer_free(a->lines);
    console_deinit(&a->console);
}

int agent_run(const struct agent_options *options)
{
    struct agent a = {.options = options, .status = EXIT_SUCCESS};
    int error = open_loop(&a);
    if (error < 0) {
        log_error("can't start: %s", strerror(-error));
        return EXIT_FAILURE;
    }
    console_init(&a.console, options->form, STDOUT_FILENO);

    bool begun = begin(&a);
    if (begun)
        announce(&a);
    else
        close_handles(&a);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    if (begun)
        show_totals(&a);
    else
        a.status = EXIT_FAILURE;
    deinit(&a);
    log_finish();
    return a.status;
}
