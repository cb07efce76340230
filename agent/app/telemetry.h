/*
 * What the agent as a process uses.
 *
 * Units    as in core/metric.h
 * Owns     nothing
 * Threads  any
 */
#pragma once

#include "core/metric.h"

/* Fill cpu_ms and memory_bytes; what can't be known stays as it is. */
void telemetry_process(struct agent_telemetry *t);
