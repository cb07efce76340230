/*
 * syslog_feed ADDRESS: a sink without an agent. What moved is read from standard
 * input, a command a line, its words separated by tabs:
 *
 *     moved SERVICE IN OUT REQUESTS   that much moved
 *     log TEXT                        a line of the log
 *     flush PATIENCE_MS               an interval has ended: try for so long to
 *                                     send, then print how it stands
 *
 * What it prints: messages accepted, refused, and bytes that are due.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "io/syslog_sink.h"

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t next_number(char **words)
{
    return strtoull(strsep(words, "\t"), NULL, 10);
}

static void add_moved(struct syslog_sink *s, char *words)
{
    struct report *r = calloc(1, sizeof(*r) + sizeof(r->services[0]));
    r->interface = "eth0";
    struct service_counts *delta = &r->services[0].delta;
    r->time_ns = now_ns();
    r->service_count = 1;
    snprintf(r->services[0].name.text, sizeof(r->services[0].name.text), "%s",
             strsep(&words, "\t"));
    delta->direction[DIRECTION_IN].bytes = next_number(&words);
    delta->direction[DIRECTION_OUT].bytes = next_number(&words);
    delta->requests = next_number(&words);
    delta->replies[3] = delta->requests;
    syslog_sink_add(s, r);
    free(r);
}

static void on_finished(void *context)
{
    uv_stop(context);
}

static void flush(struct syslog_sink *s, uv_loop_t *loop, uint64_t patience_ms)
{
    uv_run(loop, UV_RUN_NOWAIT); /* what came up while this waited for input */
    syslog_sink_flush(s, now_ns());
    syslog_sink_finish(s, patience_ms, on_finished, loop);
    uv_run(loop, UV_RUN_DEFAULT);
    const struct syslog_sink_counts *c = syslog_sink_counts(s);
    printf("%llu %llu %llu\n", (unsigned long long)c->messages, (unsigned long long)c->refused,
           (unsigned long long)syslog_sink_due_bytes(s));
    fflush(stdout);
}

static void obey(struct syslog_sink *s, uv_loop_t *loop, char *words)
{
    const char *command = strsep(&words, "\t");
    if (strcmp(command, "moved") == 0)
        add_moved(s, words);
    else if (strcmp(command, "log") == 0)
        log_warning("%s", words);
    else if (strcmp(command, "flush") == 0)
        flush(s, loop, next_number(&words));
    else
        fprintf(stderr, "unknown command: %s\n", command);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    struct syslog_sink_options options = {
        .facility = LOG_DAEMON,
        .services_max = 100000,
    };
    metric_set_add(&options.metrics, METRIC_bytes);
    metric_set_add(&options.metrics, METRIC_requests);
    metric_set_add(&options.metrics, METRIC_replies);
    if (argc != 2 || syslog_address_parse(&options.address, argv[1])) {
        fputs("usage: syslog_feed ADDRESS\n", stderr);
        return EXIT_FAILURE;
    }
    uv_loop_t loop;
    struct syslog_sink *s = NULL;
    if (uv_loop_init(&loop) < 0 || syslog_sink_new(&s, &loop, &options) < 0)
        return EXIT_FAILURE;

    log_set_writer(syslog_sink_log, s);
    char line[4096];
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        obey(s, &loop, line);
    }
    log_set_writer(NULL, NULL);
    syslog_sink_close(s);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
