#include "app/claim.h"

#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int choose_who(struct claim *c, const char *user)
{
    int error = identity_choose(&c->who, user);
    if (error == -ENOENT)
        log_error("there is no user %s", user);
    else if (error < 0)
        log_error("user %s: %s", user, strerror(-error));
    return error;
}

static int give(const struct claim *c, const char *path, bool group)
{
    int error = identity_give(&c->who, path, group);
    if (error < 0)
        log_error("%s: can't be given to the agent's user: %s", path, strerror(-error));
    return error;
}

/* A folder that was made is given even if @error came of what it is for. Returns that first. */
static int give_folder(const struct claim *c, const char *folder, bool made, int error)
{
    if (!made || access(folder, F_OK) < 0)
        return error;
    int why = give(c, folder, true);
    return error < 0 ? error : why;
}

static int open_state(struct claim *c, const char *folder)
{
    if (!folder)
        return 0;
    bool made = access(folder, F_OK) < 0;
    int error = state_file_open(&c->state, folder);
    if (error < 0)
        log_error("state %s: %s", folder,
                  error == -EWOULDBLOCK ? "another agent uses it" : strerror(-error));
    return give_folder(c, folder, made, error);
}

/* A socket that nobody chose is no reason not to count. */
static int open_socket(struct claim *c, const struct settings_control *s)
{
    if (!s->wanted)
        return 0;
    char copy[CONTROL_PATH_MAX + 1];
    strcpy(copy, s->path);
    const char *folder = dirname(copy);
    bool made = access(folder, F_OK) < 0;
    int failed = control_socket_open(&c->socket, s->path, s->group, &c->no_socket);
    int error = failed ? 0 : give(c, s->path, !s->group);
    error = give_folder(c, folder, made, error);
    if (!failed || !s->chosen)
        return error;
    log_error("%s", c->no_socket.data ? c->no_socket.data : strerror(-failed));
    return failed;
}

int claim_make(struct claim *c, const struct settings *s)
{
    int error = choose_who(c, s->user.name);
    if (error == 0)
        error = open_state(c, s->state.folder);
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
