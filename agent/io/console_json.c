#include "io/console.h"

#include <arpa/inet.h>

#include "core/packet.h"

/*
 * Every member is written with a comma behind it; end() turns the last one into
 * the bracket that closes.
 */
static void end(struct text *t, char bracket)
{
    if (t->size && t->data[t->size - 1] == ',')
        t->data[t->size - 1] = bracket;
    else
        text_add_char(t, bracket);
}

static void add_key(struct text *t, const char *key)
{
    text_printf(t, "\"%s\":", key);
}

static void add_number(struct text *t, const char *key, uint64_t number)
{
    add_key(t, key);
    text_add_number(t, number);
    text_add_char(t, ',');
}

static void add_seconds(struct text *t, const char *key, uint64_t ns)
{
    text_printf(t, "\"%s\":%llu.%06llu,", key, (unsigned long long)(ns / 1000000000),
                (unsigned long long)(ns % 1000000000 / 1000));
}

static void add_null(struct text *t, const char *key)
{
    text_printf(t, "\"%s\":null,", key);
}

static void add_bytes(struct text *t, const char *key, struct bytes value)
{
    add_key(t, key);
    text_add_json(t, value);
    text_add_char(t, ',');
}

static void add_string(struct text *t, const char *key, const char *value)
{
    add_bytes(t, key, bytes_from_string(value));
}

static void add_bytes_or_null(struct text *t, const char *key, struct bytes value)
{
    if (value.data)
        add_bytes(t, key, value);
    else
        add_null(t, key);
}

static void begin(struct text *t, const char *key, char bracket)
{
    add_key(t, key);
    text_add_char(t, bracket);
}

static void end_member(struct text *t, char bracket)
{
    end(t, bracket);
    text_add_char(t, ',');
}

static void add_direction(struct text *t, const char *key, const struct direction_counts *c)
{
    begin(t, key, '{');
#define ADD_MEMBER(name, unit) add_number(t, #name, c->name);
    DIRECTION_COUNTS(ADD_MEMBER)
#undef ADD_MEMBER
    end_member(t, '}');
}

static void add_replies(struct text *t, const uint64_t replies[static STATUS_CLASSES])
{
    begin(t, "replies", '{');
    for (unsigned i = 0; i < STATUS_CLASSES; i++) {
        const char key[] = {(char)('1' + i), 'x', 'x', '\0'};
        add_number(t, key, replies[i]);
    }
    end_member(t, '}');
}

static void add_counts(struct text *t, const struct service_counts *c)
{
    add_direction(t, "in", &c->direction[DIRECTION_IN]);
    add_direction(t, "out", &c->direction[DIRECTION_OUT]);
    add_number(t, "requests", c->requests);
    add_replies(t, c->replies);
    add_number(t, "unanswered", c->unanswered);
}

static void add_open(struct text *t, int64_t open)
{
    add_number(t, "open", (uint64_t)MAX(open, (int64_t)0));
}

/* @now: with what is as it is, not as it grew. */
static void add_service(struct text *t, const struct ledger_service *s, enum ledger_period period,
                        bool now)
{
    text_add_char(t, '{');
    add_string(t, "name", s->name.text);
    add_counts(t, &s->counts[period]);
    if (now)
        add_open(t, s->open);
    end_member(t, '}');
}

static void add_left_out(struct text *t, const struct ledger_services *s, size_t from,
                         enum ledger_period period, bool now)
{
    struct service_counts sum = {0};
    int64_t open = 0;
    for (size_t i = from; i < s->count; i++) {
        service_counts_add(&sum, &s->services[i]->counts[period]);
        open += s->services[i]->open;
    }
    begin(t, "services_left_out", '{');
    add_number(t, "count", s->count - from);
    add_counts(t, &sum);
    if (now)
        add_open(t, open);
    end_member(t, '}');
}

static void add_services(struct text *t, struct ledger *l, enum ledger_period period, size_t max,
                         bool now)
{
    struct ledger_services s = ledger_services(l, period);
    size_t shown = MIN(s.count, max);
    begin(t, "services", '[');
    for (size_t i = 0; i < shown; i++)
        add_service(t, s.services[i], period, now);
    end_member(t, ']');
    if (shown < s.count)
        add_left_out(t, &s, shown, period, now);
}

static void add_interface(struct text *t, const struct ledger_interface *i,
                          enum ledger_period period, bool now)
{
    const struct interface_counts *c = &i->period[period].counts;
#define ADD_MEMBER(name) add_number(t, #name, c->name);
    text_add_char(t, '{');
    add_string(t, "name", i->name);
    BALANCE_COUNTS(ADD_MEMBER)
    add_number(t, "service_bytes", i->period[period].service_bytes);
    if (now)
        add_number(t, "pending_bytes", i->gauges.pending_bytes);
    ENGINE_COUNTS(ADD_MEMBER)
    end_member(t, '}');
#undef ADD_MEMBER
}

static void add_interfaces(struct text *t, const struct ledger *l, enum ledger_period period,
                           bool now)
{
    begin(t, "interfaces", '[');
    for (size_t n = 0; n < ledger_interface_count(l); n++) {
        const struct ledger_interface *i = ledger_interface(l, n);
        if (i->period[period].reported)
            add_interface(t, i, period, now);
    }
    end_member(t, ']');
}

void console_json_end(struct text *t)
{
    end(t, '}');
    text_add_char(t, '\n');
}

void console_json_interval(struct text *t, struct ledger *l, const struct console_moment *now)
{
    text_add_char(t, '{');
    add_seconds(t, "time", now->time_ns);
    add_seconds(t, "seconds", now->interval_ns);
    add_services(t, l, LEDGER_INTERVAL, SIZE_MAX, false);
    add_interfaces(t, l, LEDGER_INTERVAL, true);
    console_json_end(t);
}

void console_json_final(struct text *t, struct ledger *l, const struct console_moment *now)
{
    text_add_string(t, "{\"final\":true,");
    if (now->since_ns)
        add_seconds(t, "since", now->since_ns);
    add_seconds(t, "seconds", now->elapsed_ns);
    add_services(t, l, LEDGER_TOTAL, SIZE_MAX, false);
    add_interfaces(t, l, LEDGER_TOTAL, false);
    console_json_end(t);
}

void console_json_moment(struct text *t, const struct console_moment *now)
{
    add_seconds(t, "time", now->time_ns);
    add_seconds(t, "since", now->since_ns ? now->since_ns : now->time_ns - now->elapsed_ns);
    add_seconds(t, "seconds", now->elapsed_ns);
}

void console_json_totals(struct text *t, struct ledger *l, size_t services_max)
{
    add_services(t, l, LEDGER_TOTAL, services_max, true);
    add_interfaces(t, l, LEDGER_TOTAL, true);
}

/* "192.0.2.1:80", "[2001:db8::1]:80" */
static void add_address(struct text *t, const char *key, const struct address *a)
{
    char text[INET6_ADDRSTRLEN];
    bool ipv4 = packet_address_is_ipv4(a->address);
    if (ipv4)
        inet_ntop(AF_INET, a->address + 12, text, sizeof(text));
    else
        inet_ntop(AF_INET6, a->address, text, sizeof(text));
    text_printf(t, ipv4 ? "\"%s\":\"%s:%u\"," : "\"%s\":\"[%s]:%u\",", key, text, ntohs(a->port));
}

static void add_transaction_direction(struct text *t, const char *key,
                                      const struct transaction_seen *x, enum direction d)
{
    begin(t, key, '{');
    add_number(t, "bytes", x->direction[d].ip_bytes);
    add_number(t, "payload", x->direction[d].payload_bytes);
    end_member(t, '}');
}

static void add_interim(struct text *t, const struct transaction_seen *x)
{
    begin(t, "interim", '[');
    for (unsigned i = 0; i < MIN(x->interim_count, (unsigned)INTERIM_MAX); i++)
        text_printf(t, "%u,", x->interim[i]);
    end_member(t, ']');
}

void console_transaction(struct text *t, const struct transaction_seen *x, const char *interface)
{
    text_add_char(t, '{');
    add_seconds(t, "time", x->time_ns);
    add_string(t, "interface", interface);
    add_address(t, "client", &x->client);
    add_address(t, "server", &x->server);
    add_string(t, "service", x->service->text);
    add_bytes_or_null(t, "method", x->method);
    add_bytes_or_null(t, "host", x->host);
    add_bytes_or_null(t, "target", x->target);
    if (x->status)
        add_number(t, "status", x->status);
    else
        add_null(t, "status");
    add_interim(t, x);
    if (x->has_ttfb)
        add_seconds(t, "ttfb", x->ttfb_ns);
    else
        add_null(t, "ttfb");
    add_transaction_direction(t, "in", x, DIRECTION_IN);
    add_transaction_direction(t, "out", x, DIRECTION_OUT);
    console_json_end(t);
}
