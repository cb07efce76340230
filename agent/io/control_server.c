/*
 * A client's turn goes round: it asks (is_asking: its deadline is the silence),
 * the owner works on it (asked: no deadline), the reply is on its way (sending:
 * the deadline is the patience). Its lines are read into a buffer as long as that
 * has room; what is behind the line that is worked on waits there.
 *
 * A client that has said all it will (it closed its side) is closed when all
 * that it asked is answered.
 */
#include "io/control_server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 128, RETRY_MS = 100 };

struct client {
    struct control_server *server; /* NULL: closed */
    unsigned number;
    uv_pipe_t pipe;
    uv_timer_t deadline;
    unsigned open_handles;
    bool asked;    /* the owner has its request */
    bool sending;  /* out */
    bool watching; /* more lines come unasked */
    bool ended;    /* it sends no more, or is not listened to */
    struct text out;
    uv_write_t write;
    size_t in_bytes;
    char in[CONTROL_LINE_MAX];
};

struct control_server {
    struct control_server_options options;
    uv_pipe_t pipe;
    uv_timer_t retry;
    unsigned open_handles;
    struct client *clients[CONTROL_CLIENTS_MAX]; /* NULL: free */
};

static void on_client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    if (--c->open_handles)
        return;
    text_deinit(&c->out);
    free(c);
}

static void close_client(struct client *c)
{
    c->server->clients[c->number] = NULL;
    c->server = NULL;
    uv_close((uv_handle_t *)&c->pipe, on_client_closed);
    uv_close((uv_handle_t *)&c->deadline, on_client_closed);
}

static void drop_client(struct client *c)
{
    const struct control_server_options *o = &c->server->options;
    unsigned number = c->number;
    close_client(c);
    o->gone(o->context, number);
}

static void on_deadline(uv_timer_t *timer)
{
    drop_client(timer->data);
}

static void advance(struct client *c);

static void on_sent(uv_write_t *write, int status)
{
    struct client *c = write->data;
    if (!c->server)
        return;
    text_deinit(&c->out);
    c->sending = false;
    uv_timer_stop(&c->deadline);
    if (status < 0)
        drop_client(c);
    else
        advance(c);
}

static void send_out(struct client *c)
{
    uv_buf_t buffer = uv_buf_init(c->out.data, (unsigned)c->out.size);
    c->sending = true;
    c->write.data = c;
    uv_timer_start(&c->deadline, on_deadline, c->server->options.patience_ms, 0);
    if (text_failed(&c->out) ||
        uv_write(&c->write, (uv_stream_t *)&c->pipe, &buffer, 1, on_sent) < 0)
        drop_client(c);
}

/* What comes behind a line that was too long can't be taken for another. */
static void refuse_long_line(struct client *c)
{
    c->ended = true;
    c->in_bytes = 0;
    uv_read_stop((uv_stream_t *)&c->pipe);
    text_printf(&c->out, "{\"error\":\"a request is at most %d bytes\"}\n", CONTROL_LINE_MAX);
    send_out(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct client *c = handle->data;
    *buffer = uv_buf_init(c->in + c->in_bytes, (unsigned)(sizeof(c->in) - c->in_bytes));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    (void)buffer;
    struct client *c = stream->data;
    if (size == 0)
        return;
    if (size < 0) {
        c->ended = true;
        uv_read_stop(stream);
        if (size != UV_EOF) {
            drop_client(c);
            return;
        }
    } else {
        c->in_bytes += (size_t)size;
        if (c->in_bytes == sizeof(c->in))
            uv_read_stop(stream);
    }
    advance(c);
}

static void ask(struct client *c, size_t line_bytes)
{
    char line[CONTROL_LINE_MAX];
    memcpy(line, c->in, line_bytes);
    size_t taken = line_bytes + 1;
    c->in_bytes -= taken;
    memmove(c->in, c->in + taken, c->in_bytes);

    uv_timer_stop(&c->deadline);
    c->asked = true;
    c->watching = false;
    if (!c->ended)
        uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
    const struct control_server_options *o = &c->server->options;
    o->ask(o->context, c->number, bytes_make(line, line_bytes));
}

/* Take the next line, if it is its turn. */
static void advance(struct client *c)
{
    if (c->asked || c->sending)
        return;
    const char *end = memchr(c->in, '\n', c->in_bytes);
    if (end)
        ask(c, (size_t)(end - c->in));
    else if (c->ended)
        drop_client(c);
    else if (c->in_bytes == sizeof(c->in))
        refuse_long_line(c);
    else if (!c->watching && !uv_is_active((uv_handle_t *)&c->deadline))
        uv_timer_start(&c->deadline, on_deadline, c->server->options.silence_ms, 0);
}

/* A number that is free, or CONTROL_CLIENTS_MAX. */
static unsigned free_number(const struct control_server *s)
{
    unsigned number = 0;
    while (number < CONTROL_CLIENTS_MAX && s->clients[number])
        number++;
    return number;
}

/* Past the bound a client is told so as far as its socket takes it at once. */
static void turn_away(struct client *c)
{
    static char words[] = "{\"error\":\"too many clients\"}\n";
    uv_buf_t buffer = uv_buf_init(words, sizeof(words) - 1);
    uv_try_write((uv_stream_t *)&c->pipe, &buffer, 1);
    c->server = NULL;
    uv_close((uv_handle_t *)&c->pipe, on_client_closed);
    uv_close((uv_handle_t *)&c->deadline, on_client_closed);
}

static void on_retry(uv_timer_t *timer);

static void on_connection(uv_stream_t *listener, int status)
{
    struct control_server *s = listener->data;
    if (status < 0)
        return;
    struct client *c = calloc(1, sizeof(*c));
    if (!c) { /* libuv tells of no other before this one is accepted */
        uv_timer_start(&s->retry, on_retry, RETRY_MS, 0);
        return;
    }
    c->server = s;
    c->number = free_number(s);
    uv_pipe_init(listener->loop, &c->pipe, 0);
    uv_timer_init(listener->loop, &c->deadline);
    c->pipe.data = c->deadline.data = c;
    c->open_handles = 2;
    int error = uv_accept(listener, (uv_stream_t *)&c->pipe);
    if (error < 0 || c->number == CONTROL_CLIENTS_MAX) {
        turn_away(c);
        return;
    }
    s->clients[c->number] = c;
    if (uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) < 0)
        close_client(c);
    else
        advance(c);
}

static void on_retry(uv_timer_t *timer)
{
    struct control_server *s = timer->data;
    on_connection((uv_stream_t *)&s->pipe, 0);
}

static int listen_at(struct control_server *s)
{
    int fd = control_socket_take_descriptor(s->options.socket);
    int error = uv_pipe_open(&s->pipe, fd);
    if (error < 0) {
        close(fd);
        return error;
    }
    return uv_listen((uv_stream_t *)&s->pipe, BACKLOG, on_connection);
}

int control_server_new(struct control_server **out, uv_loop_t *loop,
                       const struct control_server_options *options)
{
    struct control_server *s = calloc(1, sizeof(*s));
    if (!s) {
        control_socket_close(options->socket);
        return -ENOMEM;
    }
    s->options = *options;
    if (!s->options.silence_ms)
        s->options.silence_ms = CONTROL_SILENCE_MS;
    if (!s->options.patience_ms)
        s->options.patience_ms = CONTROL_PATIENCE_MS;
    uv_pipe_init(loop, &s->pipe, 0);
    uv_timer_init(loop, &s->retry);
    s->pipe.data = s->retry.data = s;
    s->open_handles = 2;
    int error = listen_at(s);
    if (error < 0) {
        control_server_close(s);
        return error;
    }
    *out = s;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct control_server *s = handle->data;
    if (--s->open_handles == 0)
        free(s);
}

struct control_server *control_server_close(struct control_server *s)
{
    if (!s)
        return NULL;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (s->clients[i])
            close_client(s->clients[i]);
    control_socket_close(s->options.socket);
    uv_close((uv_handle_t *)&s->pipe, on_closed);
    uv_close((uv_handle_t *)&s->retry, on_closed);
    return NULL;
}

bool control_server_is_sending(const struct control_server *s, unsigned client)
{
    return s->clients[client]->sending;
}

void control_server_send(struct control_server *s, unsigned client, struct text *line, bool more)
{
    struct client *c = s->clients[client];
    assert(!c->sending);
    c->out = *line;
    text_init(line);
    c->asked = false;
    c->watching = more;
    send_out(c);
}
