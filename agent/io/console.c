#include "io/console.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

#define HIDE_CURSOR  "\033[?25l"
#define SHOW_CURSOR  "\033[?25h"
#define ERASE_SCREEN "\033[2J"

bool console_form_find(enum console_form *form, const char *name)
{
    static const char *const names[] = {
#define FORM_NAME(NAME, name) [CONSOLE_##NAME] = (name),
        CONSOLE_FORMS(FORM_NAME)
#undef FORM_NAME
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], name) == 0) {
            *form = (enum console_form)i;
            return true;
        }
    }
    return false;
}

/* Whoever gave us the descriptor may have made it non-blocking: a terminal often is. */
static int wait_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

static int write_all(int fd, struct bytes b)
{
    while (b.size) {
        ssize_t written = write(fd, b.data, b.size);
        if (written > 0) {
            bytes_take(&b, (size_t)written);
        } else if (written < 0 && errno == EAGAIN) {
            int r = wait_writable(fd);
            if (r < 0)
                return r;
        } else if (written == 0 || errno != EINTR) {
            return written == 0 ? -EIO : -errno;
        }
    }
    return 0;
}

static int write_text(int fd, const struct text *t)
{
    if (text_failed(t))
        return -ENOMEM;
    return write_all(fd, bytes_make(t->data, t->size));
}

static struct console_screen current_screen(const struct console *c)
{
    struct console_screen screen = {c->terminal, 24, 80};
    struct winsize size;
    if (c->terminal && ioctl(c->fd, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
        screen.rows = size.ws_row;
        screen.columns = size.ws_col;
    }
    return screen;
}

static void draw_table(struct console *c, struct text *t, struct ledger *l,
                       const struct console_moment *now)
{
    if (c->terminal && !c->cursor_hidden) {
        text_add_string(t, HIDE_CURSOR ERASE_SCREEN);
        c->cursor_hidden = true;
    }
    if (!c->terminal && c->shown_interval)
        text_add_char(t, '\n');
    struct console_screen screen = current_screen(c);
    console_table(t, l, now, &screen);
}

static void report_dropped(struct console *c)
{
    if (c->dropped_lines)
        log_warning("%llu lines were dropped: standard output took them too slowly",
                    (unsigned long long)c->dropped_lines);
    c->dropped_lines = 0;
}

void console_init(struct console *c, enum console_form form, int fd)
{
    *c = (struct console){.form = form, .fd = fd, .terminal = isatty(fd)};
}

void console_deinit(struct console *c)
{
    if (c->cursor_hidden)
        write_all(c->fd, BYTES(SHOW_CURSOR));
    c->cursor_hidden = false;
}

int console_interval(struct console *c, struct ledger *l, const struct console_moment *now)
{
    report_dropped(c);
    AUTO(text_deinit) struct text t = {0};
    if (c->form == CONSOLE_TABLE)
        draw_table(c, &t, l, now);
    else if (c->form == CONSOLE_JSON)
        console_json_interval(&t, l, now);
    c->shown_interval = true;
    return write_text(c->fd, &t);
}

int console_finish(struct console *c, struct ledger *l, const struct console_moment *now)
{
    report_dropped(c);
    AUTO(text_deinit) struct text t = {0};
    if (c->form == CONSOLE_TABLE) {
        draw_table(c, &t, l, now);
    } else if (c->form == CONSOLE_JSON) {
        if (c->shown_interval)
            console_json_interval(&t, l, now);
        console_json_final(&t, l, now);
    }
    return write_text(c->fd, &t);
}

int console_drain(struct console *c, struct console_buffer *b)
{
    AUTO(text_deinit) struct text t = {0};
    c->dropped_lines += console_buffer_take(b, &t);
    return write_text(c->fd, &t);
}
