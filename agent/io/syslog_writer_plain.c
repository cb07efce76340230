/*
 * syslog(3) does not say whether it could write. It writes into the void where
 * nobody reads /dev/log: so that is tried before each batch.
 */
#include "io/syslog_writer.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

static bool somebody_reads(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    static const struct sockaddr_un dev_log = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};
    bool reads = connect(fd, (const struct sockaddr *)&dev_log, sizeof(dev_log)) == 0;
    close(fd);
    return reads;
}

static bool plain_begin(const struct syslog_origin *o)
{
    if (!somebody_reads())
        return false;
    openlog(o->app_name, LOG_PID | LOG_NDELAY, o->facility);
    return true;
}

static void plain_render(struct text *t, const struct syslog_origin *o,
                         const struct syslog_message *m)
{
    (void)o;
    syslog_words(t, m);
}

static bool plain_write(const struct syslog_origin *o, int severity, struct bytes message)
{
    (void)o;
    syslog(severity, "%.*s", (int)message.size, (const char *)message.data);
    return true;
}

const struct syslog_writer syslog_writer_plain = {
    .render = plain_render,
    .begin = plain_begin,
    .write = plain_write,
    .end = closelog,
};
