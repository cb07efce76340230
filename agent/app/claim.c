#include "app/claim.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

static int open_state(struct claim *c, const char *folder)
{
    if (!folder)
        return 0;
    int error = state_file_open(&c->state, folder);
    if (error < 0)
        log_error("state %s: %s", folder,
                  error == -EWOULDBLOCK ? "another agent uses it" : strerror(-error));
    return error;
}

/* A socket that nobody chose is no reason not to count. */
static int open_socket(struct claim *c, const struct settings_control *s)
{
    if (!s->wanted)
        return 0;
    int error = control_socket_open(&c->socket, s->path, s->group, &c->no_socket);
    if (error == 0 || !s->chosen)
        return 0;
    log_error("%s", c->no_socket.data ? c->no_socket.data : strerror(-error));
    return error;
}

int claim_make(struct claim *c, const struct settings *s)
{
    int error = open_state(c, s->state.folder);
    if (error == 0)
        error = open_socket(c, &s->control);
    size_t count = 0;
    if (c->state)
        c->folders[count++] = state_file_folder(c->state);
    if (c->socket)
        c->folders[count] = control_socket_folder(c->socket);
    return error;
}

void claim_deinit(struct claim *c)
{
    c->socket = control_socket_close(c->socket);
    text_deinit(&c->no_socket);
    c->state = state_file_close(c->state);
}
