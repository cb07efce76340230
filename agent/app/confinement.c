#include "app/confinement.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "io/filter.h"
#include "io/privileges.h"
#include "io/sandbox.h"

static int enter_sandbox(const struct confinement_options *options)
{
    /* A folder, not a file: editors put a new file in the place of the old one. */
    char path[PATH_MAX];
    const char *config = options->config;
    const char *folder = config && realpath(config, path) ? dirname(path) : NULL;
    return sandbox_enter(&(struct sandbox_options){
        .readable = (const char *const[]){folder, NULL},
        .writable = options->writable,
        .tcp = settings_outputs_want_tcp(options->outputs),
    });
}

static int give_up_rights(const struct identity *who)
{
    int error = privileges_limit(who);
    if (error < 0)
        log_error("can't give up rights: %s", strerror(-error));
    return error;
}

static int tell_confined(int error)
{
    if (error < 0)
        log_error("can't be confined: %s", strerror(-error));
    return error;
}

int confinement_enter(const struct confinement_options *options)
{
    filter_allow_memory();
    int error = give_up_rights(options->who);
    if (error < 0)
        return error;
    if (options->config && access(options->config, R_OK) < 0)
        log_warning("%s: %s: a reload will fail", options->config, strerror(errno));
    return tell_confined(enter_sandbox(options));
}

int confinement_enter_reading(void)
{
    int error = give_up_rights(&(struct identity){.changes = false});
    if (error < 0)
        return error;
    privileges_give_up_all();
    return tell_confined(sandbox_seal());
}
