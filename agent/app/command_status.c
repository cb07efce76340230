/*
 * The agent is asked for a line of JSON; what it says is shown as it came, or
 * laid out for people. It may be another version's, or no agent: what is missing
 * is shown as 0 or "?", and no text of it acts on the terminal.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/command.h"

enum { NAME_COLUMNS = 24 };

static const char *string_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "?";
}

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static double seconds_of(const json_t *object, const char *name)
{
    double seconds = json_number_value(json_object_get(object, name));
    return seconds > 0 && seconds < 1e10 ? seconds : 0;
}

/* @text, and blanks up to @columns. */
static void add_column(struct text *t, const char *text, size_t columns)
{
    size_t before = t->size;
    text_add_printable(t, bytes_from_string(text));
    while (!text_failed(t) && t->size - before < columns)
        text_add_char(t, ' ');
}

static void add_time(struct text *t, double since_epoch)
{
    time_t time = (time_t)since_epoch;
    struct tm local;
    char words[64];
    if (localtime_r(&time, &local) &&
        strftime(words, sizeof(words), "%Y-%m-%d %H:%M:%S %z", &local))
        text_add_string(t, words);
}

static void add_duration(struct text *t, double elapsed)
{
    unsigned long long seconds = (unsigned long long)elapsed;
    if (seconds >= 86400)
        text_printf(t, "%llu d ", seconds / 86400);
    text_printf(t, "%02llu:%02llu:%02llu", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

static void add_head(struct text *t, const json_t *status)
{
    double up = seconds_of(status, "seconds");
    text_add_string(t, "httpacct ");
    text_add_printable(t, bytes_from_string(string_of(status, "version")));
    text_printf(t, ", process %lld, up since ", number_of(status, "pid"));
    add_time(t, seconds_of(status, "time") - up);
    text_add_string(t, " (");
    add_duration(t, up);
    text_add_string(t, ")\ntotals  since ");
    add_time(t, seconds_of(status, "since"));
    text_add_string(t, "\nhealth  ");
    text_add_printable(t, bytes_from_string(string_of(status, "health")));
    text_add_char(t, '\n');

    size_t at;
    const json_t *problem;
    json_array_foreach(json_object_get(status, "problems"), at, problem)
    {
        text_add_string(t, "        ");
        text_add_printable(
            t, bytes_from_string(json_is_string(problem) ? json_string_value(problem) : "?"));
        text_add_char(t, '\n');
    }
}

static void add_term(struct text *t, const char *sign, long long bytes, const char *words)
{
    text_printf(t, "  %s %16lld  %s\n", sign, bytes, words);
}

static void add_balance(struct text *t, const json_t *interface)
{
    static const struct {
        const char *name;
        const char *words;
    } terms[] = {
        {"service_bytes", "of services"},
        {"not_http_bytes", "not HTTP"},
        {"untracked_bytes", "untracked"},
        {"duplicate_bytes", "counted on another interface"},
        {"pending_bytes", "service not known yet"},
    };
    long long seen = number_of(interface, "tcp_bytes");
    long long missing = seen;
    text_add_char(t, '\n');
    text_add_printable(t, bytes_from_string(string_of(interface, "name")));
    text_add_char(t, '\n');
    for (size_t i = 0; i < ARRAY_SIZE(terms); i++) {
        long long bytes = number_of(interface, terms[i].name);
        add_term(t, i ? "+" : " ", bytes, terms[i].words);
        missing -= bytes;
    }
    add_term(t, "=", seen,
             missing ? "bytes of TCP, and the books don't balance"
                     : "bytes of TCP: the books balance");
    text_printf(t, "    %16lld  packets missed\n", number_of(interface, "ring_drops"));
}

static long long sum_of(const json_t *service, const char *const *names)
{
    long long sum = 0;
    for (; *names; names++)
        sum += number_of(json_object_get(service, "replies"), *names);
    return sum;
}

static void add_service(struct text *t, const json_t *service, const char *name)
{
    static const char *const good[] = {"1xx", "2xx", "3xx", NULL};
    static const char *const bad[] = {"4xx", "5xx", NULL};
    add_column(t, name, NAME_COLUMNS);
    text_printf(t, " %16lld %16lld %10lld %10lld %10lld\n",
                number_of(json_object_get(service, "in"), "bytes"),
                number_of(json_object_get(service, "out"), "bytes"), number_of(service, "requests"),
                sum_of(service, good), sum_of(service, bad));
}

static void add_services(struct text *t, const json_t *status)
{
    text_add_char(t, '\n');
    add_column(t, "service", NAME_COLUMNS);
    text_printf(t, " %16s %16s %10s %10s %10s\n", "bytes in", "bytes out", "requests", "1-3xx",
                "4-5xx");
    size_t at;
    const json_t *service;
    json_array_foreach(json_object_get(status, "services"), at, service)
        add_service(t, service, string_of(service, "name"));
    const json_t *rest = json_object_get(status, "services_left_out");
    if (rest)
        add_service(t, rest, "(others)");
}

static void add_destinations(struct text *t, const json_t *status)
{
    size_t at;
    const json_t *d, *all = json_object_get(status, "destinations");
    if (json_array_size(all))
        text_add_char(t, '\n');
    json_array_foreach(all, at, d)
    {
        const char *error = json_string_value(json_object_get(d, "error"));
        text_add_printable(t, bytes_from_string(string_of(d, "kind")));
        text_add_char(t, ' ');
        text_add_printable(t, bytes_from_string(string_of(d, "address")));
        text_printf(t, "  sent %lld (%lld bytes), refused %lld, bytes to be told %lld: ",
                    number_of(d, "sent"), number_of(d, "sent_bytes"), number_of(d, "refused"),
                    number_of(d, "due_bytes"));
        text_add_printable(t, bytes_from_string(error ? error : string_of(d, "state")));
        text_add_char(t, '\n');
    }
}

static void add_status(struct text *t, const json_t *status)
{
    size_t at;
    const json_t *interface;
    add_head(t, status);
    json_array_foreach(json_object_get(status, "interfaces"), at, interface)
        add_balance(t, interface);
    add_services(t, status);
    add_destinations(t, status);
}

int command_status(const char *path, bool json)
{
    AUTO(control_client_close) struct control_client *c = command_connect(path);
    struct bytes line;
    AUTO(json_decref)
    json_t *status = c ? command_ask(c, path, "{\"get\":\"status\"}", &line) : NULL;
    if (!status)
        return EXIT_FAILURE;

    struct text t = {0};
    if (json) {
        text_add(&t, line);
        text_add_char(&t, '\n');
    } else {
        add_status(&t, status);
    }
    int printed = command_print(&t);
    bool healthy = strcmp(string_of(status, "health"), "ok") == 0;
    return printed == EXIT_SUCCESS && !healthy ? COMMAND_DEGRADED : printed;
}
