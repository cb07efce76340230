/*
 * Time is the newest that any packet had. Sessions expire and intervals end by
 * it; intervals without a packet are passed over, so that a leap of the clock
 * costs nothing.
 */
#include "app/replay.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/interrupt.h"
#include "app/progress.h"
#include "app/reporter.h"
#include "base/log.h"
#include "core/ledger.h"
#include "io/capture_file.h"

enum {
    FRAMES_PER_PROGRESS = 4096,
    LINES_BYTES = 64 << 10, /* written at once */
};

static const uint64_t EXPIRY_NS = 1000000000;

struct replay {
    const struct replay_options *options;
    struct capture_file *file;
    struct engine *engine;
    struct ledger *ledger;
    struct reporter reporter;
    struct console_buffer *lines;
    size_t lines_bytes; /* that wait */
    struct console console;
    struct progress progress;

    uint64_t frames;
    uint64_t first_ns; /* of the file's clock, as all below */
    uint64_t last_ns;
    uint64_t expiry_ns; /* when it is due */
    uint64_t interval_start_ns;
    int status;
};

/* Returns whether to go on. */
static bool check_output(struct replay *r, int error)
{
    if (error == 0)
        return true;
    progress_end(&r->progress);
    log_error("standard output: %s", strerror(-error));
    r->status = EXIT_FAILURE;
    return false;
}

static void add_lines(void *context, const struct text *lines)
{
    struct replay *r = context;
    console_buffer_add(r->lines, lines);
    r->lines_bytes += lines->size;
}

static bool write_lines(struct replay *r)
{
    r->lines_bytes = 0;
    return check_output(r, console_drain(&r->console, r->lines));
}

static struct console_moment moment(const struct replay *r, uint64_t time_ns)
{
    return (struct console_moment){
        .time_ns = time_ns,
        .interval_ns = time_ns - r->interval_start_ns,
        .elapsed_ns = time_ns - r->first_ns,
    };
}

static bool take_report(struct replay *r, uint64_t time_ns)
{
    AUTO(report_free) struct report *report = engine_report(r->engine, time_ns);
    if (!report) {
        progress_end(&r->progress);
        log_error("out of memory");
        r->status = EXIT_FAILURE;
        return false;
    }
    ledger_add(r->ledger, report);
    return true;
}

/* Show the interval in which something was, and begin the one that @time_ns is in. */
static bool end_interval(struct replay *r, uint64_t time_ns)
{
    uint64_t interval_ns = r->options->interval_ns;
    uint64_t end_ns = r->interval_start_ns + interval_ns;
    if (!take_report(r, end_ns))
        return false;
    struct console_moment now = moment(r, end_ns);
    if (!check_output(r, console_interval(&r->console, r->ledger, &now)))
        return false;
    ledger_end_interval(r->ledger);
    r->interval_start_ns = time_ns - (time_ns - r->first_ns) % interval_ns;
    return true;
}

/* Returns whether to go on. */
static bool advance_clock(struct replay *r, uint64_t time_ns)
{
    if (r->frames == 0) {
        r->first_ns = r->last_ns = r->interval_start_ns = time_ns;
        r->expiry_ns = time_ns + EXPIRY_NS;
    }
    if (time_ns <= r->last_ns)
        return true;
    r->last_ns = time_ns;

    uint64_t interval_ns = r->options->interval_ns;
    if (interval_ns && time_ns - r->interval_start_ns >= interval_ns && !end_interval(r, time_ns))
        return false;
    if (time_ns >= r->expiry_ns) {
        engine_expire(r->engine, time_ns);
        r->expiry_ns = time_ns + EXPIRY_NS;
    }
    return true;
}

/* Returns whether to go on. */
static bool take_frame(struct replay *r, const struct frame *f)
{
    if (!advance_clock(r, f->time_ns))
        return false;
    engine_frame(r->engine, f);
    if (++r->frames % FRAMES_PER_PROGRESS == 0)
        progress_step(&r->progress, r->frames, capture_file_position(r->file),
                      capture_file_size(r->file));
    return r->lines_bytes < LINES_BYTES || write_lines(r);
}

/* Returns whether there are totals to show. */
static bool read_file(struct replay *r)
{
    struct frame f;
    struct capture_file_error error;
    enum capture_file_step step = CAPTURE_FILE_END;
    while (!interrupt_seen() &&
           (step = capture_file_next(r->file, &f, &error)) == CAPTURE_FILE_FRAME) {
        if (!take_frame(r, &f))
            return false;
    }
    progress_end(&r->progress);
    if (step == CAPTURE_FILE_BROKEN && !interrupt_seen()) {
        log_warning("%s", error.message);
        r->status = EXIT_FAILURE;
    }
    return true;
}

static void show_totals(struct replay *r)
{
    engine_finish(r->engine);
    if (!take_report(r, r->last_ns) || !write_lines(r))
        return;
    struct console_moment now = moment(r, r->last_ns);
    check_output(r, console_finish(&r->console, r->ledger, &now));
}

static int allocate(struct replay *r)
{
    struct engine_options engine = r->options->engine;
    engine.interface = r->options->interface;
    engine.observer = reporter_observer(&r->reporter, r->options->form);
    engine.linger_ns = engine.session_timeout_ns;                       /* a file has no hurry */
    engine.observer.patient = r->options->form == CONSOLE_TRANSACTIONS; /* no one waits for them */
    int error = engine_new(&r->engine, &engine);
    if (error < 0)
        return error;
    error = ledger_new(&r->ledger, &(struct ledger_options){
                                       .services_max = engine.services_max,
                                       .hash_seed = engine.hash_seed,
                                   });
    if (error < 0)
        return error;
    return console_buffer_new(&r->lines, CONSOLE_BUFFER_MAX);
}

static bool begin(struct replay *r)
{
    int error = allocate(r);
    if (error < 0) {
        log_error("can't start: %s", strerror(-error));
        return false;
    }
    struct capture_file_error file_error;
    error = capture_file_open(&r->file, r->options->path, &file_error);
    if (error == 0 && r->options->opened && r->options->opened() < 0)
        return false;
    if (error == 0)
        error = capture_file_begin(r->file, &file_error);
    if (error < 0)
        log_error("%s", file_error.message);
    return error == 0;
}

static void deinit(struct replay *r)
{
    capture_file_close(r->file);
    engine_free(r->engine);
    ledger_free(r->ledger);
    console_buffer_free(r->lines);
    reporter_deinit(&r->reporter);
}

int replay_run(const struct replay_options *options)
{
    struct replay r = {.options = options, .status = EXIT_SUCCESS};
    console_init(&r.console, options->form, STDOUT_FILENO);
    r.console.terminal = false; /* nothing is redrawn */
    reporter_init(&r.reporter, options->interface, add_lines, &r);

    if (begin(&r)) {
        bool quiet = options->form == CONSOLE_TABLE || options->form == CONSOLE_JSON;
        progress_init(&r.progress, quiet && !options->interval_ns);
        interrupt_catch(NULL);
        bool complete = read_file(&r);
        interrupt_release();
        if (complete)
            show_totals(&r);
    } else {
        r.status = EXIT_FAILURE;
    }
    deinit(&r);
    return r.status;
}
