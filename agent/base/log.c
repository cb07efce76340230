#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/log_limit.h"

enum { LINE_MAX_BYTES = 1024 };

static void write_stderr(void *context, enum log_level level, const char *line)
{
    (void)context;
    static const char *const prefixes[] = {
        [LOG_LEVEL_ERROR] = "error: ",
        [LOG_LEVEL_WARNING] = "warning: ",
        [LOG_LEVEL_INFO] = "",
        [LOG_LEVEL_DEBUG] = "debug: ",
    };
    fprintf(stderr, "httpacct: %s%s\n", prefixes[level], line);
}

/* The one mutable global. */
static struct {
    _Atomic enum log_level level;
    pthread_mutex_t mutex; /* of what follows */
    log_writer_fn *write;
    void *context;
    struct log_limit limit;
} log_state = {
    .level = LOG_LEVEL_INFO,
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .write = write_stderr,
};

void log_set_writer(log_writer_fn *write, void *context)
{
    pthread_mutex_lock(&log_state.mutex);
    log_state.write = write ? write : write_stderr;
    log_state.context = context;
    pthread_mutex_unlock(&log_state.mutex);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_state.level, level, memory_order_relaxed);
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* With the mutex held. */
static void write_suppressed(uint64_t now_ns)
{
    unsigned long suppressed;
    const struct log_site *s;
    while ((s = log_limit_next(&log_state.limit, now_ns, &suppressed))) {
        char line[LINE_MAX_BYTES];
        snprintf(line, sizeof(line), "%lu message%s suppressed, the last: %s", suppressed,
                 suppressed == 1 ? "" : "s", s->last);
        log_state.write(log_state.context, s->level, line);
    }
}

static void settle(uint64_t now_ns)
{
    pthread_mutex_lock(&log_state.mutex);
    write_suppressed(now_ns);
    pthread_mutex_unlock(&log_state.mutex);
}

void log_settle(void)
{
    settle(clock_ns());
}

void log_finish(void)
{
    settle(UINT64_MAX);
}

static void write_line(enum log_level level, const char *format, va_list arguments)
{
    if (level > atomic_load_explicit(&log_state.level, memory_order_relaxed))
        return;

    char text[LINE_MAX_BYTES];
    vsnprintf(text, sizeof(text), format, arguments);
    const struct log_line line = {.level = level, .format = format, .text = text};

    pthread_mutex_lock(&log_state.mutex);
    uint64_t now_ns = clock_ns();
    write_suppressed(now_ns);
    if (level == LOG_LEVEL_DEBUG || log_limit_pass(&log_state.limit, &line, now_ns))
        log_state.write(log_state.context, level, text);
    pthread_mutex_unlock(&log_state.mutex);
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        write_line(level, format, arguments);                                                      \
        va_end(arguments);                                                                         \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
