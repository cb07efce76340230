/*
 * A syslog sink under test, with its loop, and what was told to whoever received:
 * a server of the test's, or this host's own log, whose writer here is linked in
 * place of the journal's. The words are those of the cases, without a prefix.
 *
 * Units    bytes
 * Owns     the loop, and what was written
 * Threads  the sink's own may be in the writer; all else is one thread's
 */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "base/text.h"
#include "io/syslog_sink.h"

enum { SERVICES = 300, PATIENCE_S = 60 };

extern const uint64_t flush_ns; /* when each flush is */

/* What a receiver was told, added up. */
struct told {
    unsigned messages; /* of services */
    unsigned lines;    /* of the log */
    unsigned others;   /* of interfaces and the agent */
    uint64_t bytes[SERVICES];
    uint64_t requests;
    uint64_t sequence; /* the last one */
    bool in_order;     /* each sequence follows the one before */
    char last_line[256];
};

extern uv_loop_t loop;
extern struct told told;

/* What was written to this host's own log. */
extern struct journal {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    bool hangs;
    bool hanging; /* a thread is in it */
    unsigned refuse_percent;
    unsigned written;
    int severity;
    char tag[SYSLOG_APP_NAME_MAX + 1];
    struct text words;
} journal;

/* Before and after each case, and after all of them. */
int open_loop(void **state);
int close_loop(void **state);
int free_journal(void **state);
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

/* To "local" or another address, with a few metrics. */
struct syslog_sink_options options_to(const char *address);
struct syslog_sink *make_sink(const char *address);

/* To "udp" or "tcp" at a port of the loopback address. */
struct syslog_sink *make_remote_sink(const char *transport, uint16_t port);

/* Say that service number @number moved @bytes in. */
void add(struct syslog_sink *s, unsigned number, uint64_t bytes);

/* The same for each of SERVICES. Returns the sum. */
uint64_t add_all(struct syslog_sink *s);

/* Note what arrived: a message of RFC 5424; all that was written to the log. */
void take_message(struct bytes m);
void read_journal(void *context);

/* Of all services. */
uint64_t told_bytes(void);

/* Let the writer hang, or go on. */
void set_hanging(bool hangs);

/* Run the loop, and @serve after each turn, until @done. */
void run_until(bool (*done)(void *context), void (*serve)(void *context), void *context);

/* Flush, and run until it has been sent or given up. */
void flush_and_wait(struct syslog_sink *s, void (*serve)(void *), void *context);

/* For callbacks and conditions whose context is a flag. */
void set_true(void *context);
bool is_true(void *context);
