#include "app/display.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

struct display {
    struct display_options options;
    struct console console;
    struct console_buffer *lines;
    uv_async_t lines_came;
    uv_timer_t ticks;
    unsigned open_handles;
    uint64_t started_ns; /* uv_hrtime() */
    uint64_t since_ns;   /* of the totals, since the epoch; 0: the start */
    uint64_t shown_ns;
    bool interval_over;
    bool failed;
};

static void check(struct display *d, int error)
{
    if (error == 0)
        return;
    log_error("standard output: %s", strerror(-error));
    d->failed = true;
    d->options.failed(d->options.context);
}

void display_set_since(struct display *d, uint64_t since_ns)
{
    d->since_ns = since_ns;
}

struct console_moment display_moment(const struct display *d)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t clock_ns = uv_hrtime();
    return (struct console_moment){
        .time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
        .interval_ns = clock_ns - d->shown_ns,
        .elapsed_ns = clock_ns - d->started_ns,
        .since_ns = d->since_ns,
    };
}

static void show_lines(struct display *d)
{
    if (!d->failed)
        check(d, console_drain(&d->console, d->lines));
}

static void on_lines(uv_async_t *handle)
{
    show_lines(CONTAINER_OF(handle, struct display, lines_came));
}

static void on_tick(uv_timer_t *handle)
{
    struct display *d = CONTAINER_OF(handle, struct display, ticks);
    if (d->interval_over)
        log_debug("the workers have not answered yet: this interval takes longer");
    d->interval_over = true;
    d->options.due(d->options.context);
}

int display_new(struct display **out, uv_loop_t *loop, const struct display_options *options)
{
    struct display *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->options = *options;
    int error = console_buffer_new(&d->lines, CONSOLE_BUFFER_MAX);
    if (error == 0)
        error = uv_async_init(loop, &d->lines_came, on_lines);
    if (error < 0) {
        console_buffer_free(d->lines);
        free(d);
        return error;
    }
    uv_timer_init(loop, &d->ticks);
    d->open_handles = 2;
    console_init(&d->console, options->form, STDOUT_FILENO);
    *out = d;
    return 0;
}

static void finish_close(struct display *d)
{
    if (--d->open_handles > 0)
        return;
    console_buffer_free(d->lines);
    free(d);
}

static void on_lines_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF((uv_async_t *)handle, struct display, lines_came));
}

static void on_ticks_closed(uv_handle_t *handle)
{
    finish_close(CONTAINER_OF((uv_timer_t *)handle, struct display, ticks));
}

struct display *display_close(struct display *d)
{
    if (!d)
        return NULL;
    display_release(d);
    uv_close((uv_handle_t *)&d->lines_came, on_lines_closed);
    uv_close((uv_handle_t *)&d->ticks, on_ticks_closed);
    return NULL;
}

int display_start(struct display *d)
{
    enum console_form form = d->options.form;
    uint64_t interval_ms = d->options.interval_ns / 1000000;
    d->started_ns = uv_hrtime();
    d->shown_ns = d->started_ns;
    if (form != CONSOLE_TABLE && form != CONSOLE_JSON)
        return 0;
    return uv_timer_start(&d->ticks, on_tick, interval_ms, interval_ms);
}

void display_add_lines(void *display, const struct text *lines)
{
    struct display *d = display;
    if (console_buffer_add(d->lines, lines))
        uv_async_send(&d->lines_came);
}

void display_interval(struct display *d, struct ledger *l)
{
    if (!d->interval_over || d->failed)
        return;
    struct console_moment now = display_moment(d);
    check(d, console_interval(&d->console, l, &now));
    ledger_end_interval(l);
    d->shown_ns = d->started_ns + now.elapsed_ns;
    d->interval_over = false;
}

void display_release(struct display *d)
{
    console_deinit(&d->console);
}

void display_totals(struct display *d, struct ledger *l)
{
    show_lines(d);
    struct console_moment now = display_moment(d);
    if (!d->failed)
        check(d, console_finish(&d->console, l, &now));
}
