/*
 * Syslog: one message for each service (interface, agent) that moved something
 * in an interval, and the agent's own log.
 *
 * What is due waits in a core/due.h, by service, until a message that tells it
 * was accepted: by the kernel (UDP, TCP), by this host's log (local). What could
 * not be sent is in the message of the next interval. So memory is bounded by
 * the number of services, whatever the receiver does; lines of the log wait in a
 * queue of SYSLOG_LINES_MAX. The process must ignore SIGPIPE.
 *
 * Units    nanoseconds since the epoch, unless said otherwise
 * Owns     what is due, its queue and its transport; its handles live in the
 *          loop it was given
 * Threads  syslog_sink_log: any; the rest: the loop's
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/log.h"
#include "base/macros.h"
#include "core/due.h"
#include "core/report.h"
#include "io/syslog_address.h"
#include "io/syslog_transport.h"

enum { SYSLOG_LINES_MAX = 512 };

#define SYSLOG_TAG   "httpacct"
#define SYSLOG_SD_ID "httpacct@32473" /* 32473 is for documentation (RFC 5612) */

struct syslog_sink_options {
    struct syslog_address address;
    int facility;              /* LOG_DAEMON ... of <syslog.h> */
    const char *hostname;      /* NULL: this host's */
    const char *tag;           /* NULL: SYSLOG_TAG */
    const char *sd_id;         /* NULL: SYSLOG_SD_ID; else syslog_sd_id_is_valid() */
    struct metric_set metrics; /* none: those sent by default, and ttfb */
    size_t services_max;       /* due_set_services_max() */
    uint64_t hash_seed;
    uint64_t idle_ns;          /* after which a service is forgotten */
    uint64_t reconnect_min_ms; /* 0: a second */
    uint64_t reconnect_max_ms; /* 0: a minute */
};

struct syslog_sink;

int syslog_sink_new(struct syslog_sink **out, uv_loop_t *loop,
                    const struct syslog_sink_options *options);

/**
 * Take over @options, which have the same address and hash_seed. What is due is
 * sent by them, what is under way is finished. Metrics that were not sent begin
 * now. On failure nothing has changed.
 */
int syslog_sink_change(struct syslog_sink *s, const struct syslog_sink_options *options);

/* Stop where it is, and free all when the loop has run. NULL is fine. */
struct syslog_sink *syslog_sink_close(struct syslog_sink *s);
AUTO_DEFINE(struct syslog_sink, syslog_sink_close)

void syslog_sink_set_services_max(struct syslog_sink *s, size_t services_max);

/* Owe what @r says moved, and what @t has more than at the last call. */
void syslog_sink_add(struct syslog_sink *s, const struct report *r);
void syslog_sink_set_agent(struct syslog_sink *s, const struct agent_telemetry *t);

/* Owe nothing of what @t has: it was before this destination. */
void syslog_sink_know_agent(struct syslog_sink *s, const struct agent_telemetry *t);

/* Gauges begin as @levels has them: due_know_gauges(). */
void syslog_sink_know_gauges(struct syslog_sink *s, const struct due *levels);

/* An interval ended at @time_ns: begin to send what is due. */
void syslog_sink_flush(struct syslog_sink *s, uint64_t time_ns);

/* A log_writer_fn: send @line as soon as it goes. */
void syslog_sink_log(void *sink, enum log_level level, const char *line);

typedef void syslog_sink_finished_fn(void *context);

/**
 * Call @finished, once and not before this returns, when all was sent that can
 * be, @patience_ms from now at the latest. Then look at what is left, and close.
 */
void syslog_sink_finish(struct syslog_sink *s, uint64_t patience_ms,
                        syslog_sink_finished_fn *finished, void *context);

/* Since the start. */
struct syslog_sink_counts {
    uint64_t messages;      /* accepted */
    uint64_t bytes;         /* of them */
    uint64_t refused;       /* messages that could not be sent when they were tried */
    uint64_t flushes_late;  /* that found the one before still under way */
    uint64_t lines_dropped; /* of the log: its queue was full */
};

const struct syslog_sink_counts *syslog_sink_counts(struct syslog_sink *s);

/* IP bytes of services that no accepted message has told. */
uint64_t syslog_sink_due_bytes(const struct syslog_sink *s);

/* Whether messages could not be sent when it was last tried. */
bool syslog_sink_is_failing(const struct syslog_sink *s);

/* Those of them that the last flush could not send, or has not yet. */
uint64_t syslog_sink_left_bytes(const struct syslog_sink *s);
