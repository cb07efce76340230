/*
 * Each client has a talk: what it wants when the reports are in. One timer wakes
 * for what is due first: the next line of a watch, the end of the patience for
 * reports, the end of the gap between two questions to the workers, a sample of
 * the health.
 */
#include "app/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/control_request.h"
#include "app/explain.h"
#include "io/control_server.h"

static const uint64_t NS_PER_MS = 1000000;

struct talk {
    struct control *control;
    enum control_verb verb;
    size_t services_max;
    bool reloading;
    bool waiting;    /* for reports */
    bool asking;     /* the workers are yet to be asked, or the reload to begin */
    uint64_t number; /* of reloads that were asked for, this one included */
    uint64_t since_ms;
    uint64_t interval_ms; /* of a watch, else 0 */
    uint64_t next_ms;     /* when it is over */
};

struct control {
    struct control_agent agent;
    struct ledger *ledger;
    const struct outputs *outputs;
    struct control_server *server;
    struct health *health;
    uv_timer_t alarm;
    uint64_t asked_ms;     /* for talks, workers or a reload */
    uint64_t reload_count; /* that were asked for */
    struct talk talks[CONTROL_CLIENTS_MAX];
};

/* The loop's clock is cached, and its timers go by it. */
static uint64_t now_ms(const struct control *c)
{
    return uv_now(c->alarm.loop);
}

static void send_error(struct control *c, unsigned client, const struct text *words)
{
    struct text line = {0};
    text_add_string(&line, "{\"error\":");
    text_add_json(&line, bytes_make(words->data, words->size));
    text_add_string(&line, "}\n");
    control_server_send(c->server, client, &line, false);
}

static void add_destination(struct text *t, const struct outputs_destination *d)
{
    text_printf(t, "{\"kind\":\"%s\",\"address\":", d->kind);
    text_add_json(t, bytes_from_string(d->name));
    text_printf(t, ",\"state\":\"%s\",\"error\":", d->failing ? "failing" : "ok");
    if (d->reason)
        text_add_json(t, bytes_from_string(d->reason));
    else
        text_add_string(t, "null");
    text_printf(t, ",\"sent\":%llu,\"sent_bytes\":%llu,\"refused\":%llu,\"due_bytes\":%llu}",
                (unsigned long long)d->sent, (unsigned long long)d->sent_bytes,
                (unsigned long long)d->refused, (unsigned long long)d->due_bytes);
}

static void add_destinations(struct text *t, const struct outputs *o)
{
    text_add_string(t, "\"destinations\":[");
    for (size_t i = 0; i < outputs_destination_count(o); i++) {
        struct outputs_destination d;
        outputs_destination(o, i, &d);
        if (i)
            text_add_char(t, ',');
        add_destination(t, &d);
    }
    text_add_string(t, "],");
}

/* @late_ms: how long the workers have been asked for reports that are not in, or 0. */
static void add_status(struct text *t, struct control *c, uint64_t late_ms)
{
    AUTO(problems_deinit) struct problems p = {0};
    if (late_ms)
        problems_add(&p, "the workers have not answered for %llu s",
                     (unsigned long long)late_ms / 1000);
    c->agent.judge(c->agent.context, &p);
    health_judge(c->health, c->ledger, c->outputs, uv_hrtime(), &p);
    t->failed |= text_failed(&p.text);
    text_printf(t, "\"version\":\"%s\",\"pid\":%d,\"health\":\"%s\",\"problems\":[",
                HTTPACCT_VERSION, (int)getpid(), p.count ? "degraded" : "ok");
    if (p.text.size)
        text_add(t, bytes_make(p.text.data, p.text.size - 1)); /* without its last comma */
    text_add_string(t, "],");
    text_add_string(t, "\"watching\":[");
    AUTO(text_deinit) struct text names = {0};
    c->agent.watching(c->agent.context, &names);
    t->failed |= text_failed(&names);
    if (names.size)
        text_add(t, bytes_make(names.data, names.size - 1)); /* without its last comma */
    text_add_string(t, "],");
    add_destinations(t, c->outputs);
}

static void answer(struct control *c, unsigned client, uint64_t late_ms)
{
    struct talk *talk = &c->talks[client];
    talk->waiting = talk->asking = false;
    if (control_server_is_sending(c->server, client))
        return; /* of a watch, which is read slowly: this line is left out */
    struct console_moment now = c->agent.moment(c->agent.context);
    struct text line = {0};
    text_add_char(&line, '{');
    console_json_moment(&line, &now);
    if (talk->verb == CONTROL_GET_STATUS)
        add_status(&line, c, late_ms);
    console_json_totals(&line, c->ledger, talk->services_max);
    console_json_end(&line);
    control_server_send(c->server, client, &line, talk->interval_ms > 0);
}

/* The lines of @said as the members of an array. */
static void add_lines(struct text *t, const struct text *said)
{
    struct bytes rest = bytes_make(said->data, said->size);
    for (bool first = true; rest.size; first = false) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        if (!first)
            text_add_char(t, ',');
        text_add_json(t, bytes_take(&rest, end ? (size_t)(end - rest.data) : rest.size));
        bytes_take(&rest, 1);
    }
}

static void on_reloaded(void *asker, int error, const struct text *said)
{
    struct talk *t = asker;
    struct control *c = t->control;
    unsigned client = (unsigned)(t - c->talks);
    t->reloading = false;
    if (error < 0) {
        send_error(c, client, said);
        return;
    }
    struct text line = {0};
    text_add_string(&line, "{\"done\":\"reload\",\"said\":[");
    add_lines(&line, said);
    text_add_string(&line, "]}\n");
    line.failed |= text_failed(said);
    control_server_send(c->server, client, &line, false);
}

/* When there is something to do for @t: never is UINT64_MAX. */
static uint64_t due_ms(const struct talk *t)
{
    uint64_t next_ms = t->interval_ms ? t->next_ms : UINT64_MAX;
    if (t->asking)
        next_ms = MIN(next_ms, t->control->asked_ms + CONTROL_GAP_MS);
    return t->waiting ? MIN(next_ms, t->since_ms + CONTROL_REPORTS_MS) : next_ms;
}

static void on_alarm(uv_timer_t *alarm);

static void set_alarm(struct control *c)
{
    uint64_t at_ms = now_ms(c) + HEALTH_SAMPLE_NS / NS_PER_MS;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        at_ms = MIN(at_ms, due_ms(&c->talks[i]));
    uint64_t wait_ms = at_ms > now_ms(c) ? at_ms - now_ms(c) : 0;
    uv_timer_start(&c->alarm, on_alarm, wait_ms, 0);
}

static void wait_for_reports(struct control *c, struct talk *t)
{
    if (!t->waiting)
        t->since_ms = now_ms(c);
    t->waiting = t->asking = true;
}

static void begin_reload(struct control *c, struct talk *t)
{
    t->asking = false;
    t->reloading = true;
    c->agent.reload(c->agent.context, on_reloaded, t);
}

/* Ask the workers, and reload once, for the talks that want it, if the gap is over. */
static void ask_workers(struct control *c)
{
    if (now_ms(c) - c->asked_ms < CONTROL_GAP_MS)
        return;
    bool reports = false;
    struct talk *first = NULL; /* to ask for a reload */
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct talk *t = &c->talks[i];
        if (!t->asking)
            continue;
        c->asked_ms = now_ms(c);
        if (t->verb != CONTROL_DO_RELOAD) {
            t->asking = false;
            reports = true;
        } else if (!first || t->number < first->number) {
            first = t;
        }
    }
    if (reports)
        c->agent.want_reports(c->agent.context);
    if (first)
        begin_reload(c, first);
}

static void go_on(struct control *c, unsigned client)
{
    struct talk *t = &c->talks[client];
    uint64_t now = now_ms(c);
    if (t->waiting && now - t->since_ms >= CONTROL_REPORTS_MS)
        answer(c, client, now - t->since_ms);
    if (t->interval_ms && now >= t->next_ms) {
        t->next_ms += t->interval_ms * ((now - t->next_ms) / t->interval_ms + 1);
        wait_for_reports(c, t);
    }
}

static void on_alarm(uv_timer_t *alarm)
{
    struct control *c = alarm->data;
    if (health_is_due(c->health, uv_hrtime()))
        c->agent.want_reports(c->agent.context);
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        go_on(c, i);
    ask_workers(c);
    set_alarm(c);
}

void control_reports_in(struct control *c)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (c->talks[i].waiting)
            answer(c, i, 0);
    if (health_is_due(c->health, uv_hrtime()))
        health_sample(c->health, c->ledger, c->outputs, uv_hrtime());
    set_alarm(c);
}

static void send_rules(struct control *c, unsigned client, const struct control_request *r)
{
    struct text line = {0};
    const struct rule_request request = {.target = r->url, .host = r->host};
    int error = explain_as_json(&line, c->agent.rules(c->agent.context), &request);
    line.failed |= error < 0;
    control_server_send(c->server, client, &line, false);
}

/* What the client has asked needs no answer, or has one. */
static void end_talk(struct control *c, unsigned client)
{
    struct talk *t = &c->talks[client];
    if (t->reloading)
        c->agent.forget_reload(c->agent.context, t);
    *t = (struct talk){.control = c};
}

static void begin_talk(struct control *c, unsigned client, const struct control_request *r)
{
    struct talk *t = &c->talks[client];
    t->verb = r->verb;
    t->services_max = r->services_max;
    if (r->verb == CONTROL_WATCH_TOTALS) {
        t->interval_ms = r->interval_ms;
        t->next_ms = now_ms(c) + r->interval_ms;
    }
    if (r->verb == CONTROL_DO_RELOAD) {
        t->asking = true;
        t->number = ++c->reload_count;
    } else {
        wait_for_reports(c, t);
    }
    ask_workers(c);
    set_alarm(c);
}

static void on_ask(void *context, unsigned client, struct bytes line)
{
    struct control *c = context;
    end_talk(c, client);
    AUTO(text_deinit) struct text problem = {0};
    AUTO(control_request_deinit) struct control_request r = {0};
    if (!control_request_parse(&r, line, &problem))
        send_error(c, client, &problem);
    else if (r.verb == CONTROL_GET_RULES)
        send_rules(c, client, &r);
    else
        begin_talk(c, client, &r);
}

static void on_gone(void *context, unsigned client)
{
    struct control *c = context;
    end_talk(c, client);
}

static void on_closed(uv_handle_t *handle)
{
    struct control *c = handle->data;
    health_free(c->health);
    free(c);
}

struct control *control_close(struct control *c)
{
    if (!c)
        return NULL;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        end_talk(c, i);
    control_server_close(c->server);
    uv_close((uv_handle_t *)&c->alarm, on_closed);
    return NULL;
}

int control_new(struct control **out, uv_loop_t *loop, struct control_socket *socket,
                const struct control_agent *agent, struct ledger *ledger,
                const struct outputs *outputs)
{
    AUTO(control_socket_close) struct control_socket *ours = socket;
    struct control *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->agent = *agent;
    c->ledger = ledger;
    c->outputs = outputs;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        c->talks[i].control = c;
    uv_timer_init(loop, &c->alarm);
    c->alarm.data = c;
    int error = health_new(&c->health, ledger, outputs, uv_hrtime());
    if (error == 0)
        error = control_server_new(&c->server, loop,
                                   &(struct control_server_options){
                                       .socket = TAKE(ours),
                                       .ask = on_ask,
                                       .gone = on_gone,
                                       .context = c,
                                   });
    if (error < 0) {
        control_close(c);
        return error;
    }
    set_alarm(c);
    *out = c;
    return 0;
}
