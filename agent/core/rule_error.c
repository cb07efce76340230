#include "core/rule_error.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"

enum { QUOTED_MAX = 80 };

static void add_quoted(struct text *t, const char *text)
{
    struct bytes rest = bytes_from_string(text);
    text_add_char(t, '"');
    text_add_printable(t, bytes_take(&rest, QUOTED_MAX));
    text_add_string(t, rest.size ? "...\"" : "\"");
}

static void add_key(struct text *t, const char *key, const char *value)
{
    if (!value)
        return;
    text_printf(t, "%s = ", key);
    add_quoted(t, value);
    text_add_string(t, "; ");
}

static int finish(struct rule_error *error, const struct text *t)
{
    if (text_failed(t))
        return -ENOMEM;
    snprintf(error->message, sizeof(error->message), "%s", t->data);
    return -EINVAL;
}

int rule_error_text(struct rule_error *error, const char *what, const char *text)
{
    AUTO(text_deinit) struct text t = {0};
    text_printf(&t, "%s: ", what);
    add_quoted(&t, text);
    return finish(error, &t);
}

int rule_error_whole(struct rule_error *error, const char *what, const struct rule_options *rule)
{
    AUTO(text_deinit) struct text t = {0};
    text_printf(&t, "%s: { ", what);
    add_key(&t, "query", rule->query);
    add_key(&t, "path", rule->path);
    add_key(&t, "host", rule->host);
    add_key(&t, "service", rule->service);
    text_add_char(&t, '}');
    return finish(error, &t);
}
