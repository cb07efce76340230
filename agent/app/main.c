#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/agent.h"
#include "app/claim.h"
#include "app/command.h"
#include "app/confinement.h"
#include "app/intent.h"
#include "app/options.h"
#include "app/reload.h"
#include "app/replay.h"
#include "app/settings.h"
#include "app/watch_list.h"
#include "base/log.h"

enum { EXIT_USAGE = 2 };

static const uint64_t TOP_INTERVAL_NS = 1000000000;

static int flush_output(void)
{
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    log_error("standard output: %s", strerror(errno));
    return EXIT_FAILURE;
}

static int init_engine(struct engine_options *e, const struct settings *s)
{
    int error = intent_init_engine(e, s);
    if (error < 0)
        log_error("no random numbers: %s", strerror(-error));
    return error;
}

static int make_list(struct watch_list **out, const struct options *o, const struct settings *s)
{
    int error = watch_list_new(out, o->interfaces, o->interface_count, s);
    if (error < 0)
        log_error("can't list the interfaces: %s", strerror(-error));
    return error;
}

/* Of a file, those of the interface that -i says it is from. */
static int choose_ports(struct engine_options *e, const struct options *o, const struct settings *s)
{
    if (o->interface_count == 0)
        return 0;
    AUTO(watch_list_free) struct watch_list *list = NULL;
    int error = make_list(&list, o, s);
    if (error == 0)
        e->ports = watch_list_find(list, o->interfaces[0])->ports;
    return error;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int run_replay(const struct options *o, const struct settings *s)
{
    enum console_form form = intent_form(o, s);
    const char *interface = o->interface_count ? o->interfaces[0] : file_name(o->read);
    struct replay_options replay = {
        .path = o->read,
        .interface = interface,
        .form = form,
        .interval_ns = o->interval_ns,
        .opened = confinement_enter_reading,
    };
    if (init_engine(&replay.engine, s) < 0)
        return EXIT_FAILURE;
    return choose_ports(&replay.engine, o, s) < 0 ? EXIT_FAILURE : replay_run(&replay);
}

static int confine(const struct intent *i, const struct claim *c)
{
    return confinement_enter(&(struct confinement_options){
        .config = i->path,
        .outputs = &i->settings->outputs,
        .writable = c->folders,
        .who = &c->who,
    });
}

static int run_agent(const struct options *o)
{
    reload_hold_signal();
    AUTO(text_deinit) struct text problem = {0};
    AUTO(intent_free) struct intent *intent = NULL;
    int error = intent_new(&intent, o, NULL, &problem);
    if (error < 0) {
        log_error("%s", problem.data ? problem.data : strerror(-error));
        return EXIT_FAILURE;
    }
    AUTO(claim_deinit) struct claim claim = {0};
    if (claim_make(&claim, intent->settings) < 0 || confine(intent, &claim) < 0)
        return EXIT_FAILURE;
    return agent_run(TAKE(intent), &claim);
}

/* @path NULL: the defaults. */
static int load_settings(struct settings **out, const char *path)
{
    if (!path)
        return settings_default(out);
    AUTO(text_deinit) struct text problem = {0};
    int error = settings_load(out, path, &problem);
    if (error < 0)
        log_error("%s", problem.data ? problem.data : strerror(-error));
    return error;
}

/* Ask the agent that runs. */
static int run_question(const struct options *o, const struct settings *s)
{
    const char *path = o->socket ? o->socket : s->control.wanted ? s->control.path : NULL;
    if (!path && !o->pid) {
        log_error("the config switches the control socket off");
        return EXIT_FAILURE;
    }
    if (o->command == COMMAND_RELOAD)
        return command_reload(path, o->pid);
    if (o->command == COMMAND_STATUS)
        return command_status(path, o->json);
    return command_top(path, o->interval_ns ? o->interval_ns : TOP_INTERVAL_NS);
}

static int run_with_settings(const struct options *o)
{
    const char *path = intent_config_path(o);
    AUTO(settings_free) struct settings *s = NULL;
    if (load_settings(&s, path) < 0)
        return EXIT_FAILURE;
    if (o->command == COMMAND_RULES)
        return command_rules(s->rule_set, o->arguments[0], o->arguments[1], o->json);
    if (o->command != COMMAND_NONE)
        return run_question(o, s);
    if (!o->test)
        return run_replay(o, s);
    printf("%s: OK\n", path);
    return flush_output();
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of write() */
    mallopt(M_ARENA_MAX, 1);  /* the others grow by a page at a time */

    struct options o;
    struct options_error error;
    switch (options_parse(&o, argc, argv, &error)) {
    case OPTIONS_HELP:
        fputs(options_help(), stdout);
        return flush_output();
    case OPTIONS_VERSION:
        puts("httpacct " HTTPACCT_VERSION);
        return flush_output();
    case OPTIONS_WRONG:
        log_error("%s", error.message);
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    if (o.verbose)
        log_set_level(LOG_LEVEL_DEBUG);
    bool runs = !o.test && !o.read && o.command == COMMAND_NONE;
    return runs ? run_agent(&o) : run_with_settings(&o);
}
