/*
 * One thread that sleeps until there is a key, a signal, a reply or time to ask.
 * The agent is asked again and again, rather than told once to send: a reply to
 * {"get":"status"} has its health, too, and who is slow gets fewer of them.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "app/command.h"
#include "app/top_model.h"
#include "app/top_terminal.h"
#include "app/top_ui.h"
#include "app/top_view.h"
#include "base/log.h"

enum { PATIENCE_MS = 10000, CONNECT_AGAIN_MS = 500 };

static const uint64_t NS_PER_MS = 1000000;

struct top {
    const char *path;
    uint64_t interval_ms;
    struct top_terminal *terminal;
    int signals;
    struct control_client *client; /* NULL: not connected */
    bool asked;                    /* and no reply yet */
    uint64_t asked_ms;
    uint64_t next_ms; /* when to ask, or to connect */
    struct top_model model;
    struct top_ui ui;
    struct top_screen screen;
    char trouble[TOP_WORDS_MAX];
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

static void say(struct top *t, const char *words)
{
    AUTO(text_deinit) struct text line = {0};
    text_add_string(&line, "No news, asking again: ");
    text_add_printable(&line, bytes_from_string(words));
    snprintf(t->trouble, sizeof(t->trouble), "%s", line.data ? line.data : strerror(ENOMEM));
}

static void disconnect(struct top *t, const char *words)
{
    t->client = control_client_close(t->client);
    t->asked = false;
    t->next_ms = now_ms() + CONNECT_AGAIN_MS;
    say(t, words);
}

static void fail(struct top *t, int error)
{
    AUTO(text_deinit) struct text words = {0};
    control_client_describe(&words, t->path, error);
    disconnect(t, words.data ? words.data : strerror(ENOMEM));
}

static void ask(struct top *t)
{
    int error = t->client ? 0 : control_client_open(&t->client, t->path);
    if (error == 0)
        error = control_client_ask(t->client, "{\"get\":\"status\"}");
    if (error < 0) {
        fail(t, error);
        return;
    }
    t->asked = true;
    t->asked_ms = now_ms();
    t->next_ms = MAX(t->next_ms + t->interval_ms, t->asked_ms);
}

static void take_line(struct top *t, struct bytes line)
{
    json_error_t wrong;
    AUTO(json_decref)
    json_t *status = json_loadb((const char *)line.data, line.size, 0, &wrong);
    const char *error = json_string_value(json_object_get(status, "error"));
    t->asked = false;
    if (error)
        say(t, error);
    else if (t->ui.paused || top_model_take(&t->model, status))
        t->trouble[0] = '\0';
    else
        say(t, "its reply is no status");
}

static void listen_to_agent(struct top *t)
{
    struct bytes line;
    int outcome = control_client_take(t->client, 0, &line);
    if (outcome < 0)
        fail(t, outcome);
    else if (outcome == CONTROL_CLIENT_LINE)
        take_line(t, line);
}

static void keep_asking(struct top *t)
{
    uint64_t now = now_ms();
    if (t->asked && now >= t->asked_ms + PATIENCE_MS)
        fail(t, -ETIMEDOUT);
    else if (!t->asked && now >= t->next_ms)
        ask(t);
}

static void take_signal(struct top *t)
{
    struct signalfd_siginfo signal;
    if (read(t->signals, &signal, sizeof(signal)) != sizeof(signal))
        return;
    if (signal.ssi_signo == SIGWINCH)
        top_terminal_resize(t->terminal);
    else
        t->ui.quit = true;
}

static void take_keys(struct top *t)
{
    int key;
    while ((key = top_terminal_key(t->terminal)))
        top_ui_key(&t->ui, key);
}

static int wait_ms(const struct top *t)
{
    uint64_t now = now_ms();
    uint64_t until = t->asked ? t->asked_ms + PATIENCE_MS : t->next_ms;
    return until > now ? (int)(until - now) : 0;
}

/* Returns -errno when there is no point in going on. */
static int step(struct top *t)
{
    keep_asking(t);
    struct pollfd fds[] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = t->signals, .events = POLLIN},
        {.fd = t->client ? control_client_fd(t->client) : -1, .events = POLLIN},
    };
    if (poll(fds, ARRAY_SIZE(fds), wait_ms(t)) < 0)
        return errno == EINTR ? 0 : -errno; /* stopped, and going on */
    if (fds[1].revents)
        take_signal(t);
    if (fds[0].revents & POLLIN)
        take_keys(t);
    else if (fds[0].revents)
        return -EIO; /* the terminal is gone */
    if (fds[2].revents)
        listen_to_agent(t);
    return 0;
}

static void draw(struct top *t)
{
    top_terminal_begin(t->terminal, &t->screen);
    top_view_draw(&t->screen, &t->model, &t->ui, t->trouble);
    top_terminal_show(t->terminal, &t->screen);
}

static int run(struct top *t)
{
    int error = 0;
    while (!t->ui.quit && error == 0) {
        draw(t);
        error = step(t);
    }
    return error;
}

/* They are taken when there is time: on no way out may the terminal stay as ncurses needs it. */
static int open_signals(void)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGHUP);
    sigaddset(&taken, SIGQUIT);
    sigaddset(&taken, SIGWINCH);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    int fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static void say_why(int error)
{
    const char *name = getenv("TERM");
    if (error == -ENOTTY)
        log_error("top: standard input and output must be a terminal");
    else if (error == -ENODEV)
        log_error("top: TERM='%s' is no terminal that is known here", name ? name : "");
    else
        log_error("top: %s", strerror(-error));
}

int command_top(const char *path, uint64_t interval_ns)
{
    struct top t = {
        .path = path,
        .interval_ms = interval_ns / NS_PER_MS,
        .next_ms = now_ms(),
    };
    top_model_init(&t.model, (double)interval_ns / 1e9);
    t.signals = open_signals();
    int error = t.signals < 0 ? t.signals : top_terminal_open(&t.terminal);
    if (error == 0)
        error = run(&t);
    top_terminal_close(t.terminal);
    control_client_close(t.client);
    if (t.signals >= 0)
        close(t.signals);
    top_model_deinit(&t.model);
    top_screen_deinit(&t.screen);
    if (error < 0)
        say_why(error);
    return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
