#include "app/telemetry.h"

#include <uv.h>

#include "base/log.h"
#include "base/macros.h"

static uint64_t milliseconds(const uv_timeval_t *t)
{
    return (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000;
}

void telemetry_process(struct agent_telemetry *t)
{
    uv_rusage_t usage;
    if (uv_getrusage(&usage) == 0)
        t->cpu_ms = milliseconds(&usage.ru_utime) + milliseconds(&usage.ru_stime);
    size_t resident_bytes;
    if (uv_resident_set_memory(&resident_bytes) == 0)
        t->memory_bytes = resident_bytes;
}

void telemetry_statsd(struct agent_telemetry *t, const struct statsd *s)
{
    const struct statsd_counts *c = statsd_counts(s);
    t->datagrams_sent += c->datagrams;
    t->bytes_sent += c->bytes;
    t->sends_refused += c->refused;
    t->flushes_late += c->flushes_late;
    t->due_bytes = MAX(t->due_bytes, statsd_left_bytes(s));
    t->flush_ms = MAX(t->flush_ms, c->flush_ms);
}

void telemetry_syslog(struct agent_telemetry *t, struct syslog_sink *s)
{
    const struct syslog_sink_counts *c = syslog_sink_counts(s);
    t->messages_sent += c->messages;
    t->lines_dropped += c->lines_dropped;
    t->sends_refused += c->refused;
    t->flushes_late += c->flushes_late;
    t->due_bytes = MAX(t->due_bytes, syslog_sink_left_bytes(s));
}

void telemetry_warn_unsent(const char *name, uint64_t bytes)
{
    if (bytes)
        log_warning("%s: %llu of the bytes counted could not be sent any more", name,
                    (unsigned long long)bytes);
}
