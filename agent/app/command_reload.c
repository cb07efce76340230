#include <stdlib.h>

#include "app/command.h"

int command_reload(const char *path)
{
    AUTO(control_client_close) struct control_client *c = command_connect(path);
    AUTO(json_decref) json_t *reply = c ? command_ask(c, path, "{\"do\":\"reload\"}", NULL) : NULL;
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
