#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "app/agent.h"
#include "app/options.h"
#include "app/replay.h"
#include "app/settings.h"
#include "app/watch_list.h"
#include "base/log.h"

enum { EXIT_USAGE = 2 };

static const uint64_t NS_PER_S = 1000000000;

static int flush_output(void)
{
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    log_error("standard output: %s", strerror(errno));
    return EXIT_FAILURE;
}

/* The -c file; without, the default one if it is there; else NULL. */
static const char *config_path(const struct options *o)
{
    if (o->config)
        return o->config;
    bool absent = access(HTTPACCT_CONFIG_FILE, F_OK) < 0 && errno == ENOENT;
    return absent && !o->test ? NULL : HTTPACCT_CONFIG_FILE;
}

/* Who sends elsewhere need not be read on standard output. */
static enum console_form choose_form(const struct options *o, const struct settings *s)
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

static int init_engine(struct engine_options *e, const struct settings *s)
{
    *e = (struct engine_options){
        .rules = s->rule_set,
        .session_timeout_ns = s->sessions.timeout_ns,
        .sessions_max = s->sessions.max,
        .services_max = s->services_max,
    };
    ssize_t got = getrandom(&e->hash_seed, sizeof(e->hash_seed), 0);
    if (got == (ssize_t)sizeof(e->hash_seed))
        return 0;
    log_error("no random numbers: %s", strerror(errno));
    return -EIO;
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
    enum console_form form = choose_form(o, s);
    const char *interface = o->interface_count ? o->interfaces[0] : file_name(o->read);
    struct replay_options replay = {
        .path = o->read,
        .interface = interface,
        .form = form,
        .interval_ns = o->interval_ns,
    };
    if (init_engine(&replay.engine, s) < 0)
        return EXIT_FAILURE;
    return choose_ports(&replay.engine, o, s) < 0 ? EXIT_FAILURE : replay_run(&replay);
}

static int run_agent(const struct options *o, const struct settings *s)
{
    enum console_form form = choose_form(o, s);
    struct agent_options agent = {
        .wish.ring_bytes = s->ring_bytes,
        .wish.offload = s->offload && form != CONSOLE_EVENTS && form != CONSOLE_TRANSACTIONS,
        .wish.workers = s->workers,
        .form = form,
        .interval_ns = choose_interval_ns(o, form),
        .outputs = &s->outputs,
    };
    if (init_engine(&agent.wish.engine, s) < 0)
        return EXIT_FAILURE;
    agent.wish.engine.services_idle_ns = s->services_idle_ns;
    if (make_list(&agent.wish.list, o, s) < 0)
        return EXIT_FAILURE;
    return agent_run(&agent);
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

static int run(const struct options *o)
{
    const char *path = config_path(o);
    AUTO(settings_free) struct settings *s = NULL;
    if (load_settings(&s, path) < 0)
        return EXIT_FAILURE;
    if (o->test) {
        printf("%s: OK\n", path);
        return flush_output();
    }
    if (o->read)
        return run_replay(o, s);
    log_debug("rules: %zu (%s)", s->rule_count, path ? path : "no config file");
    return run_agent(o, s);
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
    return run(&o);
}
