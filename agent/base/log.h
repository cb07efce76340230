/*
 * The agent's own log: lines that go to a writer, to begin with stderr.
 *
 * A call site that writes too much is held back (base/log_limit.h), except for
 * debug lines: who asks for them wants them all.
 *
 * Owns     nothing; borrows the writer's context until another is set
 * Threads  any; one line is written at a time
 */
#pragma once

#include "base/log_level.h"
#include "base/macros.h"

/**
 * Takes one line, without a line end and valid during the call, in the thread
 * that logs. Must not log, and should not wait.
 */
typedef void log_writer_fn(void *context, enum log_level level, const char *line);

/**
 * Lines go to @write from now on; NULL: to stderr. When this returns, the
 * former writer is not called any more.
 */
void log_set_writer(log_writer_fn *write, void *context);

/* Lines above @level are dropped. Starts as LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);

/* Say what was held back and is not said yet. Call it every few seconds. */
void log_settle(void);

/* The same without waiting for more, before the process or the writer ends. */
void log_finish(void);
