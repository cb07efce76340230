/*
 * The journal's native fields: HTTPACCT_SERVICE, HTTPACCT_IN_BYTES, ...
 *
 * A message is rendered as FIELD=VALUE lines: no value of ours holds a line end.
 */
#include "io/syslog_writer.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* this file says nothing about a message */
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/macros.h"

#define JOURNAL_FOLDER "/run/systemd/journal/"

/* MESSAGE, SYSLOG_IDENTIFIER, SYSLOG_FACILITY, PRIORITY, and the subject. */
enum { FIELDS_MAX = SYSLOG_FACTS_MAX + 5 };

static void add_name(struct text *t, const char *name)
{
    text_add_string(t, "HTTPACCT_");
    for (; *name; name++)
        text_add_char(t, (char)toupper((unsigned char)*name));
}

static void add_facts(struct text *t, const struct syslog_message *m)
{
    add_name(t, m->subject);
    text_printf(t, "=%s\n", m->name);
    for (size_t i = 0; i < m->fact_count; i++) {
        add_name(t, m->facts[i].name);
        text_printf(t, "=%llu\n", (unsigned long long)m->facts[i].value);
    }
}

static void journal_render(struct text *t, const struct syslog_origin *o,
                           const struct syslog_message *m)
{
    text_printf(t, "SYSLOG_IDENTIFIER=%s\nSYSLOG_FACILITY=%d\nPRIORITY=%d\n", o->app_name,
                LOG_FAC(o->facility), m->severity);
    if (m->subject)
        add_facts(t, m);
    text_add_string(t, "MESSAGE=");
    syslog_words(t, m);
}

/* Without the socket, sd_journal_sendv() would say that it has sent. */
static bool somebody_reads(void)
{
    return access(JOURNAL_FOLDER "socket", W_OK) == 0;
}

static bool journal_begin(const struct syslog_origin *o)
{
    (void)o;
    return somebody_reads();
}

static bool journal_write(const struct syslog_origin *o, int severity, struct bytes message)
{
    (void)o;
    (void)severity;
    struct iovec fields[FIELDS_MAX];
    int count = 0;
    while (message.size && count < FIELDS_MAX) {
        const uint8_t *end = memchr(message.data, '\n', message.size);
        size_t size = end ? (size_t)(end - message.data) : message.size;
        fields[count++] = (struct iovec){(void *)message.data, size};
        bytes_take(&message, end ? size + 1 : size);
    }
    return sd_journal_sendv(fields, count) == 0;
}

static void journal_end(void)
{
}

const struct syslog_writer *syslog_writer_journal(void)
{
    static const struct syslog_writer journal = {
        .render = journal_render,
        .begin = journal_begin,
        .write = journal_write,
        .end = journal_end,
    };
    char path[PATH_MAX];
    bool owns = realpath(_PATH_LOG, path) &&
                strncmp(path, JOURNAL_FOLDER, strlen(JOURNAL_FOLDER)) == 0 && somebody_reads();
    return owns ? &journal : NULL;
}
