/* In place of syslog_writer_journal.c where libsystemd is not used. */
#include "io/syslog_writer.h"

const struct syslog_writer *syslog_writer_journal(void)
{
    return NULL;
}
