#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "base/log.h"

/* Whether @c, unless NULL, is now connected to @pid at @path; else @why says why not. */
static bool find(struct control_client **c, const char *path, pid_t pid, struct text *why)
{
    int error = path ? control_client_open(c, path) : 0;
    if (!path)
        text_add_string(why, "the config switches the control socket off");
    else if (error < 0)
        control_client_describe(why, path, error);
    else if (control_client_peer(*c) != pid)
        text_printf(why, "%s: another process listens there", path);
    else
        return true;
    return false;
}

static int hang_up(pid_t pid, struct text *why)
{
    const char *words = text_failed(why) ? strerror(ENOMEM) : why->data;
    if (kill(pid, SIGHUP) < 0) {
        log_error("%s; and process %d: %s", words, (int)pid, strerror(errno));
        return EXIT_FAILURE;
    }
    log_warning("%s; process %d got SIGHUP: its log says what comes of it", words, (int)pid);
    return EXIT_SUCCESS;
}

static int ask(struct control_client *c, const char *path)
{
    AUTO(json_decref) json_t *reply = command_ask(c, path, "{\"do\":\"reload\"}", NULL);
    if (!reply)
        return EXIT_FAILURE;

    struct text t = {0};
    size_t at;
    const json_t *line;
    json_array_foreach(json_object_get(reply, "said"), at, line)
    {
        if (!json_is_string(line))
            continue;
        text_add_printable(&t, bytes_from_string(json_string_value(line)));
        text_add_char(&t, '\n');
    }
    text_add_string(&t, "the config was read anew\n");
    return command_print(&t);
}

int command_reload(const char *path, pid_t pid)
{
    AUTO(control_client_close) struct control_client *c = NULL;
    AUTO(text_deinit) struct text why = {0};
    if (pid)
        return find(&c, path, pid, &why) ? ask(c, path) : hang_up(pid, &why);
    c = command_connect(path);
    return c ? ask(c, path) : EXIT_FAILURE;
}
