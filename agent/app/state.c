#include "app/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/totals_file.h"
#include "base/log.h"
#include "io/privileges.h"

struct state {
    struct state_options options;
    struct state_file *file;
    uint64_t since_ns;
    uv_timer_t timer;
    bool due;
    bool failing; /* as the log was told */

    /* The thread's while it writes. */
    bool writing;
    uv_thread_t thread;
    uv_async_t written;
    struct text content;
    int error;
};

static void on_timer(uv_timer_t *timer)
{
    struct state *s = timer->data;
    s->due = true;
    s->options.due(s->options.context);
}

static const char *folder(const struct state *s)
{
    return state_file_folder(s->file);
}

/* What is there can't be used: keep it for people. */
static void set_aside(struct state *s, const char *why)
{
    int error = state_file_set_aside(s->file);
    if (error == 0)
        log_warning("state %s: " STATE_FILE_NAME " is damaged (%s): it is " STATE_FILE_DAMAGED
                    " now, totals begin anew",
                    folder(s), why);
    else
        log_warning("state %s: " STATE_FILE_NAME " is damaged (%s), and can't be renamed (%s): "
                    "totals begin anew",
                    folder(s), why, strerror(-error));
}

static int load(struct state *s)
{
    AUTO(text_deinit) struct text content = {0};
    AUTO(text_deinit) struct text problem = {0};
    int error = state_file_read(s->file, &content);
    if (error == 0)
        error = totals_file_read(s->options.ledger, bytes_make(content.data, content.size),
                                 &s->since_ns, &problem);
    if (error == -ENOENT)
        return 0;
    if (error == -EINVAL && problem.size)
        set_aside(s, problem.data);
    else if (error < 0 && error != -ENOMEM && error != -EACCES)
        set_aside(s, strerror(-error));
    else
        return error;
    s->since_ns = 0;
    return 0;
}

static void render(struct state *s, const struct console_moment *now)
{
    text_clear(&s->content);
    totals_file_write(&s->content, s->options.ledger, now);
}

static void write_content(struct state *s)
{
    s->error = text_failed(&s->content)
                   ? -ENOMEM
                   : state_file_write(s->file, bytes_make(s->content.data, s->content.size));
}

static void tell(struct state *s)
{
    if (s->error < 0 && !s->failing)
        log_warning("state %s: %s: totals are not kept", folder(s), strerror(-s->error));
    else if (s->error == 0 && s->failing)
        log_info("state %s: totals are kept again", folder(s));
    s->failing = s->error < 0;
}

static void write_aside(void *context)
{
    struct state *s = context;
    privileges_give_up_all();
    write_content(s);
    uv_async_send(&s->written);
}

static void wait_until_written(struct state *s)
{
    if (!s->writing)
        return;
    uv_thread_join(&s->thread);
    s->writing = false;
    tell(s);
}

static void on_written(uv_async_t *written)
{
    wait_until_written(written->data);
}

static int start(struct state *s, uv_loop_t *loop)
{
    int error = uv_async_init(loop, &s->written, on_written);
    if (error < 0)
        return error;
    uv_timer_init(loop, &s->timer);
    s->written.data = s->timer.data = s;
    uint64_t interval_ms = s->options.interval_ms ? s->options.interval_ms : STATE_INTERVAL_MS;
    uv_timer_start(&s->timer, on_timer, interval_ms, interval_ms);
    return 0;
}

int state_new(struct state **out, uv_loop_t *loop, const struct state_options *options,
              struct text *error)
{
    AUTO(state_file_close) struct state_file *file = options->file;
    AUTO(state_free) struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->options = *options;
    s->file = TAKE(file);
    int r = load(s);
    if (r == 0)
        r = start(s, loop);
    if (r < 0) {
        text_printf(error, "state %s: %s", folder(s), strerror(-r));
        return r;
    }
    *out = TAKE(s);
    return 0;
}

uint64_t state_since_ns(const struct state *s)
{
    return s->since_ns;
}

void state_reports_in(struct state *s, const struct console_moment *now)
{
    if (!s->due || s->writing)
        return;
    s->due = false;
    render(s, now);
    s->writing = uv_thread_create(&s->thread, write_aside, s) == 0;
}

void state_stop(struct state *s)
{
    wait_until_written(s);
    uv_close((uv_handle_t *)&s->timer, NULL);
    uv_close((uv_handle_t *)&s->written, NULL);
}

void state_finish(struct state *s, const struct console_moment *now)
{
    render(s, now);
    write_content(s);
    tell(s);
}

struct state *state_free(struct state *s)
{
    if (!s)
        return NULL;
    state_file_close(s->file);
    text_deinit(&s->content);
    free(s);
    return NULL;
}
