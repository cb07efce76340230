/*
 * What the agent tells of itself: what the process uses, and what its
 * destinations count.
 *
 * Units    as in core/metric.h
 * Owns     nothing
 * Threads  telemetry_process: any; the rest: that of the sinks
 */
#pragma once

#include "core/metric.h"
#include "io/statsd.h"
#include "io/syslog_sink.h"

/* Fill cpu_ms and memory_bytes; what can't be known stays as it is. */
void telemetry_process(struct agent_telemetry *t);

/* Add what the sink counted: counters to counters; of gauges the larger stays. */
void telemetry_statsd(struct agent_telemetry *t, const struct statsd *s);
void telemetry_syslog(struct agent_telemetry *t, struct syslog_sink *s);

/* Say on the log that @bytes were due to @name when it was closed, unless it is 0. */
void telemetry_warn_unsent(const char *name, uint64_t bytes);
