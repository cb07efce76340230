#include "app/control_request.h"

#include <string.h>

#include "base/macros.h"

static const double INTERVAL_MIN_S = 0.1;
static const double INTERVAL_MAX_S = 3600;

/* One of the objects a client may send: {key: value, ...}, and what else may be in it. */
struct form {
    enum control_verb verb;
    const char *key;
    const char *value;
    const char *format; /* of json_unpack_ex() */
};

static const struct form forms[] = {
    {CONTROL_GET_STATUS, "get", "status", "{s:s, s?I !}"},
    {CONTROL_GET_TOTALS, "get", "totals", "{s:s, s?I !}"},
    {CONTROL_WATCH_TOTALS, "watch", "totals", "{s:s, s?I, s?F !}"},
    {CONTROL_GET_RULES, "get", "rules", "{s:s, s:s%, s?s% !}"},
    {CONTROL_DO_RELOAD, "do", "reload", "{s:s !}"},
};

static const struct form *find_form(const json_t *object)
{
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        const char *value = json_string_value(json_object_get(object, forms[i].key));
        if (value && strcmp(value, forms[i].value) == 0)
            return &forms[i];
    }
    return NULL;
}

static bool fail(struct text *error, const char *words)
{
    text_add_string(error, words);
    return false;
}

static bool unpack(struct control_request *r, const struct form *f, struct text *error)
{
    json_error_t wrong;
    const char *value;
    json_int_t services = CONTROL_SERVICES_MAX;
    double seconds = 1;
    const char *url = "", *host = "";
    int failed = f->verb == CONTROL_GET_RULES
                     ? json_unpack_ex(r->json, &wrong, 0, f->format, f->key, &value, "url", &url,
                                      &r->url.size, "host", &host, &r->host.size)
                     : json_unpack_ex(r->json, &wrong, 0, f->format, f->key, &value, "services",
                                      &services, "interval", &seconds);
    if (failed)
        return fail(error, wrong.text);
    r->url.data = (const uint8_t *)url;
    r->host.data = (const uint8_t *)host;
    if (services < 0 || services > CONTROL_SERVICES_MAX)
        return fail(error, "services must be from 0 to 10000");
    if (!(seconds >= INTERVAL_MIN_S && seconds <= INTERVAL_MAX_S))
        return fail(error, "interval must be from 0.1 to 3600 seconds");
    r->services_max = (size_t)services;
    r->interval_ms = (uint64_t)(seconds * 1000 + 0.5);
    return true;
}

bool control_request_parse(struct control_request *r, struct bytes line, struct text *error)
{
    json_error_t wrong;
    *r = (struct control_request){0};
    r->json = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, &wrong);
    if (!r->json)
        return fail(error, wrong.text);

    const struct form *f = find_form(r->json);
    bool good = f ? unpack(r, f, error) : fail(error, "unknown request");
    if (!good)
        control_request_deinit(r);
    else
        r->verb = f->verb;
    return good;
}

void control_request_deinit(struct control_request *r)
{
    json_decref(r->json);
    r->json = NULL;
}
