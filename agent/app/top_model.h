/*
 * What `httpacct top` knows of an agent: its services and interfaces with their
 * rates, and how it fares. Grows by one reply to {"get":"status"} at a time.
 *
 * The reply may come from another version, or from no agent at all: members that
 * are missing or make no sense count as 0, and all that is kept is bounded and
 * printable.
 *
 * Units    as in top_table.h
 * Owns     all it shows
 * Threads  one at a time
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "app/top_table.h"

/* Counts of a service. */
enum top_service_count {
    TOP_IN, /* bytes */
    TOP_OUT,
    TOP_REQUESTS,
    TOP_4XX,
    TOP_5XX,
    TOP_OPEN, /* connections, now */
};

/* Counts of an interface. */
enum top_interface_count {
    TOP_TCP, /* bytes: the sum of the four that follow */
    TOP_SERVICE,
    TOP_NOT_HTTP,
    TOP_UNTRACKED,
    TOP_PENDING, /* now */
    TOP_DROPS,
    TOP_WATCHED, /* 1 or 0, now */
};

enum {
    TOP_SERVICES_MAX = 10001, /* one for all the others */
    TOP_INTERFACES_MAX = 513,
    TOP_PROBLEMS_MAX = 8,
    TOP_WORDS_MAX = 160,
};

struct top_model {
    double interval_s;
    struct top_table services;
    struct top_table interfaces;
    struct top_table all; /* one item: the sum of the services */
    bool known;           /* there was a reply */
    char version[TOP_NAME_MAX + 1];
    long long pid;
    double up_s;
    bool healthy;
    unsigned problem_count;
    char problems[TOP_PROBLEMS_MAX][TOP_WORDS_MAX];
};

/* @interval_s: how often there is to be a reply. */
void top_model_init(struct top_model *m, double interval_s);
void top_model_deinit(struct top_model *m);

/**
 * Take a reply. Rates are those since the one before, unless that was of another
 * process; a reply that took longer stands for several intervals.
 *
 * Returns false, with nothing changed, when it is no status.
 */
bool top_model_take(struct top_model *m, const json_t *status);

/* The sum of all services; NULL before the first reply. */
const struct top_item *top_model_all(const struct top_model *m);

/* What is missing on the right side of an interface's books. */
int64_t top_interface_imbalance(const struct top_item *i);
