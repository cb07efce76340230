#include "app/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { REPLY_TIMEOUT_MS = 10000 };

static void say(const char *path, int error)
{
    AUTO(text_deinit) struct text words = {0};
    control_client_describe(&words, path, error);
    log_error("%s", words.data ? words.data : strerror(ENOMEM));
}

struct control_client *command_connect(const char *path)
{
    struct control_client *c = NULL;
    int error = control_client_open(&c, path);
    if (error < 0)
        say(path, error);
    return c;
}

static json_t *parse(const char *path, struct bytes line)
{
    json_error_t wrong;
    json_t *reply = json_loadb((const char *)line.data, line.size, 0, &wrong);
    const char *error = json_string_value(json_object_get(reply, "error"));
    if (json_is_object(reply) && !error)
        return reply;
    AUTO(text_deinit) struct text words = {0};
    text_add_printable(&words, bytes_from_string(error ? error : "its reply is no JSON object"));
    log_error("%s: %s", path, words.data ? words.data : strerror(ENOMEM));
    json_decref(reply);
    return NULL;
}

json_t *command_ask(struct control_client *c, const char *path, const char *request,
                    struct bytes *line)
{
    struct bytes reply = {0};
    int r = control_client_ask(c, request);
    if (r == 0)
        r = control_client_take(c, REPLY_TIMEOUT_MS, &reply);
    if (r != CONTROL_CLIENT_LINE) {
        say(path, r == CONTROL_CLIENT_NONE ? -ETIMEDOUT : r);
        return NULL;
    }
    if (line)
        *line = reply;
    return parse(path, reply);
}

int command_print(struct text *t)
{
    bool failed = text_failed(t);
    if (failed)
        errno = ENOMEM;
    else if (fwrite(t->data, 1, t->size, stdout) != t->size || fflush(stdout) != 0)
        failed = true;
    if (failed)
        log_error("standard output: %s", strerror(errno));
    text_deinit(t);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
