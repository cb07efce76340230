/*
 * What writes to this host's own log: syslog(3), or the journal with its native
 * fields. Each call may wait as long as the reader of that log does.
 *
 * Owns     nothing: both are globals of the C library
 * Threads  one, of its own
 */
#pragma once

#include <stdbool.h>

#include "core/syslog_line.h"

struct syslog_writer {
    /* Add @m as write() wants it. */
    void (*render)(struct text *t, const struct syslog_origin *o, const struct syslog_message *m);

    /* Returns whether somebody reads the log. Then some write(), then end(). */
    bool (*begin)(const struct syslog_origin *o);

    /* Returns whether @message was accepted. */
    bool (*write)(const struct syslog_origin *o, int severity, struct bytes message);

    void (*end)(void);
};

extern const struct syslog_writer syslog_writer_plain;

/* Returns NULL where the journal does not own /dev/log, or the agent was built without it. */
const struct syslog_writer *syslog_writer_journal(void);
