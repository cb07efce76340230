/*
 * What a message to syslog says: what moved in an interval, of a service, an
 * interface or the agent itself; or a line of the agent's own log. As words for
 * those that read lines, and as RFC 5424 wants it.
 *
 * Units    as in metric.h; times in microseconds
 * Owns     nothing; what a message points to is borrowed
 * Threads  no state
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"
#include "core/due.h"

enum {
    SYSLOG_LINE_MAX = 2048, /* what every receiver should take (RFC 5424, section 6.1) */
    SYSLOG_HOSTNAME_MAX = 255,
    SYSLOG_APP_NAME_MAX = 48,
    SYSLOG_SD_NAME_MAX = 32,
    SYSLOG_SEQUENCE_MAX = 2147483647, /* then it is 1 again */
    SYSLOG_FACTS_MAX = 32,            /* in one message */
};

/* One thing that is known: in_bytes, replies_4xx, ttfb_p50_us, ... */
struct syslog_fact {
    char name[SYSLOG_SD_NAME_MAX + 1];
    uint64_t value;
};

void syslog_fact_make(struct syslog_fact *f, const struct due_line *l);

/* Who writes. */
struct syslog_origin {
    int facility; /* LOG_DAEMON ... of <syslog.h> */
    char hostname[SYSLOG_HOSTNAME_MAX + 1];
    char app_name[SYSLOG_APP_NAME_MAX + 1];
    char sd_id[SYSLOG_SD_NAME_MAX + 1];
    unsigned process_id;
};

/**
 * Copy a field of the header: printable ASCII without spaces, anything else
 * becomes '_', cut to what @to has room for, "-" if nothing is left.
 */
void syslog_header_field(char *to, size_t to_size, const char *from);

/* Whether syslog_header_field() would keep @text, given room for @size_max bytes. */
bool syslog_header_field_is_valid(const char *text, size_t size_max);

/* The same for an app_name, which "tag[1]: words" can begin with, too. */
bool syslog_tag_is_valid(const char *tag);

/* Whether @id is NAME@NUMBER as RFC 5424, section 6.3.2, wants it of a private enterprise. */
bool syslog_sd_id_is_valid(const char *id);

struct syslog_message {
    int severity;          /* LOG_INFO ... of <syslog.h> */
    const char *timestamp; /* as in RFC 5424, section 6.2.3 */
    uint32_t sequence;     /* 1 to SYSLOG_SEQUENCE_MAX */
    const char *subject;   /* "service", "interface", "agent"; NULL: this is a line of the log */
    const char *name;      /* the subject's */
    const struct syslog_fact *facts; /* what is known of it */
    size_t fact_count;
    struct bytes line; /* of the log, any bytes */
};

/* Add the words of @m: "service=yo in_bytes=136 ...", or the line made safe. */
void syslog_words(struct text *t, const struct syslog_message *m);

/**
 * Add @m as one message of RFC 5424, at most SYSLOG_LINE_MAX bytes: words at its
 * end are left out, a line of the log is cut.
 */
void syslog_line(struct text *t, const struct syslog_origin *o, const struct syslog_message *m);
