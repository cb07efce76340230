#include "app/intent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "app/watch_list.h"

static const uint64_t NS_PER_S = 1000000000;

const char *intent_config_path(const struct options *o)
{
    if (o->config)
        return o->config;
    bool absent = access(HTTPACCT_CONFIG_FILE, F_OK) < 0 && errno == ENOENT;
    return absent && !o->test ? NULL : HTTPACCT_CONFIG_FILE;
}

static void set_limits(struct engine_options *e, const struct settings *s)
{
    e->rules = s->rule_set;
    e->session_timeout_ns = s->sessions.timeout_ns;
    e->sessions_max = s->sessions.max;
    e->services_max = s->services_max;
}

int intent_init_engine(struct engine_options *e, const struct settings *s)
{
    *e = (struct engine_options){0};
    set_limits(e, s);
    ssize_t got = getrandom(&e->hash_seed, sizeof(e->hash_seed), 0);
    return got == (ssize_t)sizeof(e->hash_seed) ? 0 : -EIO;
}

enum console_form intent_form(const struct options *o, const struct settings *s)
{
    if (o->has_form)
        return o->form;
    if (isatty(STDOUT_FILENO))
        return CONSOLE_TABLE;
    return !o->read && settings_outputs_wanted(&s->outputs) ? CONSOLE_NONE : CONSOLE_JSON;
}

static uint64_t choose_interval_ns(const struct options *o, enum console_form form)
{
    if (o->interval_ns)
        return o->interval_ns;
    return form == CONSOLE_TABLE && isatty(STDOUT_FILENO) ? NS_PER_S : 10 * NS_PER_S;
}

static void say_fixed(struct text *said, const char *name, bool changed)
{
    if (changed)
        text_printf(said, "%s: needs a restart, and stays as it was\n", name);
}

/* What only a restart can change. Returns -ENOMEM. */
static int keep_fixed(struct settings *s, const struct settings *running, struct text *said)
{
    say_fixed(said, "control", !settings_control_equal(&s->control, &running->control));
    say_fixed(said, "state", !settings_state_equal(&s->state, &running->state));
    say_fixed(said, "user", !settings_user_equal(&s->user, &running->user));

    say_fixed(said, "ring", s->ring_bytes != running->ring_bytes);
    say_fixed(said, "offload", s->offload != running->offload);
    say_fixed(said, "count_once", s->count_once != running->count_once);
    say_fixed(said, "workers", s->workers < running->workers);
    s->ring_bytes = running->ring_bytes;
    s->offload = running->offload;
    s->count_once = running->count_once;
    s->workers = MAX(s->workers, running->workers);
    int error = settings_control_copy(&s->control, &running->control);
    if (error == 0)
        error = settings_state_copy(&s->state, &running->state);
    return error < 0 ? error : settings_user_copy(&s->user, &running->user);
}

static int load(struct intent *i, const struct intent *running, struct text *said)
{
    i->path = running && running->path ? running->path : intent_config_path(i->command_line);
    return i->path ? settings_load(&i->settings, i->path, said) : settings_default(&i->settings);
}

/* The walls around the process stand since the start. */
static int check_tcp(struct intent *i, const struct intent *running, struct text *said)
{
    bool wanted = settings_outputs_want_tcp(&i->settings->outputs);
    i->tcp = running ? running->tcp : wanted;
    if (!wanted || i->tcp)
        return 0;
    text_add_string(said, "syslog: tcp:// needs a restart, the agent has closed itself to it");
    return -EPERM;
}

static int set_agent(struct intent *i, const struct intent *running)
{
    const struct settings *s = i->settings;
    struct agent_options *a = &i->agent;
    a->form = running ? running->agent.form : intent_form(i->command_line, s);
    a->interval_ns = choose_interval_ns(i->command_line, a->form);
    a->outputs = &s->outputs;
    a->wish.ring_bytes = s->ring_bytes;
    a->wish.offload = s->offload && a->form != CONSOLE_EVENTS && a->form != CONSOLE_TRANSACTIONS;
    a->wish.count_once = s->count_once;
    a->wish.workers = s->workers;
    int error = 0;
    if (running)
        a->wish.engine = running->agent.wish.engine;
    else
        error = intent_init_engine(&a->wish.engine, s);
    set_limits(&a->wish.engine, s);
    a->wish.engine.services_idle_ns = s->services_idle_ns;
    if (error < 0)
        return error;
    return watch_list_new(&a->wish.list, i->command_line->interfaces,
                          i->command_line->interface_count, s);
}

int intent_new(struct intent **out, const struct options *o, const struct intent *running,
               struct text *said)
{
    AUTO(intent_free) struct intent *i = calloc(1, sizeof(*i));
    if (!i)
        return -ENOMEM;
    i->command_line = o;
    int error = load(i, running, said);
    if (error == 0)
        error = check_tcp(i, running, said);
    if (error == 0)
        error = running ? keep_fixed(i->settings, running->settings, said)
                        : settings_state_choose(&i->settings->state);
    if (error == 0 && (error = set_agent(i, running)) < 0)
        text_clear(said);
    if (error < 0 && !said->size)
        text_add_string(said, strerror(-error));
    if (error < 0)
        return error;
    *out = TAKE(i);
    return 0;
}

struct intent *intent_free(struct intent *i)
{
    if (!i)
        return NULL;
    watch_list_free(i->agent.wish.list);
    settings_free(i->settings);
    free(i);
    return NULL;
}
