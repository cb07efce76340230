/*
 * A change is made in two steps: what is new is opened and what stays is checked,
 * which may fail; then all take their places.
 */
#include "app/destinations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { HOST_NAME_BYTES = 256 };

/* How one destination comes to be: one of the two is NULL. */
struct draft {
    struct statsd *fresh;
    struct statsd **former; /* its place among those there are */
};

/* A change under way. */
struct change {
    struct destinations *destinations;
    const struct settings_outputs *wanted;
    const struct destinations_options *options;
    char host[HOST_NAME_BYTES];
    struct draft *drafts; /* as in wanted */
    struct syslog_sink *fresh_syslog;
};

static struct statsd_options statsd_options(const struct change *c, size_t number)
{
    const struct settings_statsd *d = &c->wanted->statsd[number];
    return (struct statsd_options){
        .name = d->address,
        .endpoint = d->endpoint,
        .dialect = d->dialect,
        .prefix = d->prefix,
        .host = d->host || !d->with_host ? d->host : c->host,
        .tags = d->tags,
        .tag_count = d->tag_count,
        .metrics = d->metrics,
        .datagram_bytes = d->datagram_bytes,
        .interval_ns = c->wanted->flush_ns,
        .services_max = c->options->services_max,
        .hash_seed = c->options->hash_seed,
        .idle_ns = c->options->idle_ns,
    };
}

static struct syslog_sink_options syslog_options(const struct change *c)
{
    const struct settings_syslog *s = &c->wanted->syslog;
    return (struct syslog_sink_options){
        .address = s->address,
        .facility = s->facility,
        .hostname = s->host,
        .tag = s->tag,
        .sd_id = s->sd_id,
        .metrics = s->metrics,
        .services_max = c->options->services_max,
        .hash_seed = c->options->hash_seed,
        .idle_ns = c->options->idle_ns,
    };
}

static bool is_drafted(const struct change *c, struct statsd *const *former)
{
    for (size_t i = 0; i < c->wanted->statsd_count; i++)
        if (c->drafts[i].former == former)
            return true;
    return false;
}

/* Find the former places of all wanted ones that @same says to be one with it. */
static void find_former(struct change *c, bool (*same)(const struct settings_statsd *,
                                                       const struct settings_statsd *))
{
    const struct destinations *d = c->destinations;
    for (size_t w = 0; w < c->wanted->statsd_count; w++)
        for (size_t i = 0; i < d->statsd_count && !c->drafts[w].former; i++)
            if (same(&d->settings->statsd[i], &c->wanted->statsd[w]) &&
                !is_drafted(c, &d->statsd[i]))
                c->drafts[w].former = &d->statsd[i];
}

static bool keeps_receiver(const struct settings_statsd *is, const struct settings_statsd *wanted)
{
    return is->dialect == wanted->dialect && endpoint_equal(&is->endpoint, &wanted->endpoint);
}

static bool keeps_syslog(const struct change *c)
{
    const struct destinations *d = c->destinations;
    if (!d->syslog || !c->wanted->syslog.wanted)
        return false;
    const struct syslog_address *is = &d->settings->syslog.address;
    const struct syslog_address *wanted = &c->wanted->syslog.address;
    return is->local ? wanted->local
                     : !wanted->local && endpoint_equal(&is->endpoint, &wanted->endpoint);
}

static int draft_statsd(struct change *c, size_t number)
{
    struct draft *draft = &c->drafts[number];
    const struct statsd_options options = statsd_options(c, number);
    return draft->former ? statsd_check(&options)
                         : statsd_new(&draft->fresh, c->destinations->loop, &options);
}

static int draft(struct change *c)
{
    size_t host_bytes = sizeof(c->host);
    int error = uv_os_gethostname(c->host, &host_bytes);
    if (error < 0)
        return error;
    size_t count = c->wanted->statsd_count;
    c->drafts = calloc(MAX(count, (size_t)1), sizeof(*c->drafts));
    if (!c->drafts)
        return -ENOMEM;
    /* Of several at one receiver, each is first of all the one with its names. */
    find_former(c, settings_statsd_are_twins);
    find_former(c, keeps_receiver);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = draft_statsd(c, i);
    if (error == 0 && c->wanted->syslog.wanted && !keeps_syslog(c)) {
        const struct syslog_sink_options options = syslog_options(c);
        error = syslog_sink_new(&c->fresh_syslog, c->destinations->loop, &options);
    }
    return error;
}

static void discard(struct change *c)
{
    for (size_t i = 0; c->drafts && i < c->wanted->statsd_count; i++)
        statsd_close(c->drafts[i].fresh);
    syslog_sink_close(c->fresh_syslog);
    free(c->drafts);
}

static void warn_kept(const char *name, int error)
{
    if (error < 0)
        log_warning("%s: %s: it goes on as it was", name, strerror(-error));
}

static struct statsd *take_statsd(struct change *c, size_t number,
                                  const struct destinations_past *past)
{
    struct draft *draft = &c->drafts[number];
    if (draft->fresh) {
        statsd_know_agent(draft->fresh, &past->agent);
        statsd_know_gauges(draft->fresh, past->levels);
        return draft->fresh;
    }
    const struct statsd_options options = statsd_options(c, number);
    warn_kept(options.name, statsd_change(*draft->former, &options));
    return TAKE(*draft->former);
}

/* Put the new ones into @next, those that stay included. The others leave. */
static void take_all_statsd(struct change *c, struct statsd **next,
                            const struct destinations_past *past)
{
    struct destinations *d = c->destinations;
    for (size_t i = 0; i < c->wanted->statsd_count; i++)
        next[i] = take_statsd(c, i, past);
    for (size_t i = 0; i < d->statsd_count; i++)
        if (d->statsd[i])
            leavers_add_statsd(&d->leavers, d->statsd[i], d->settings->statsd[i].address);
    free(d->statsd);
    d->statsd = next;
    d->statsd_count = c->wanted->statsd_count;
}

void destinations_take_log_back(void)
{
    log_finish();
    log_set_writer(NULL, NULL);
}

static void take_syslog(struct change *c, const struct destinations_past *past, uint64_t time_ns)
{
    struct destinations *d = c->destinations;
    if (keeps_syslog(c)) {
        const struct syslog_sink_options options = syslog_options(c);
        warn_kept("syslog", syslog_sink_change(d->syslog, &options));
        return;
    }
    if (d->syslog) {
        destinations_take_log_back();
        leavers_add_syslog(&d->leavers, d->syslog, time_ns);
    }
    d->syslog = TAKE(c->fresh_syslog);
    if (!d->syslog)
        return;
    syslog_sink_know_agent(d->syslog, &past->agent);
    syslog_sink_know_gauges(d->syslog, past->levels);
    if (!isatty(STDERR_FILENO))
        log_set_writer(syslog_sink_log, d->syslog);
}

void destinations_init(struct destinations *d, uv_loop_t *loop)
{
    *d = (struct destinations){.loop = loop};
}

int destinations_change(struct destinations *d, const struct settings_outputs *settings,
                        const struct destinations_options *options,
                        const struct destinations_past *past, uint64_t time_ns)
{
    struct change c = {.destinations = d, .wanted = settings, .options = options};
    struct statsd **next = calloc(MAX(settings->statsd_count, (size_t)1), sizeof(struct statsd *));
    int error = next ? draft(&c) : -ENOMEM;
    if (error < 0) {
        discard(&c);
        free(next);
        return error;
    }
    take_all_statsd(&c, next, past);
    take_syslog(&c, past, time_ns);
    free(c.drafts);
    d->settings = settings;
    return 0;
}

void destinations_close(struct destinations *d)
{
    if (d->syslog)
        destinations_take_log_back();
    d->syslog = syslog_sink_close(d->syslog);
    for (size_t i = 0; i < d->statsd_count; i++)
        statsd_close(d->statsd[i]);
    d->statsd_count = 0;
    free(TAKE(d->statsd));
    leavers_close(&d->leavers);
}
