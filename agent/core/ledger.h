/*
 * The reports of all interfaces, put together: what each service moved over all
 * of them, and how the books of each interface stand. Several may report of one
 * interface, each of a part of its connections, or one after the other. Past
 * LEDGER_INTERFACES_MAX names of interfaces, that which was reported of longest
 * ago makes room: what it has goes to INTERFACE_OTHER.
 *
 * Everything is kept twice, for the interval that runs and since the start.
 * At the cap on services, the one that was idle for longest makes room: what it
 * has goes to _other. Where none is idle, or without memory, what one more moved
 * goes there at once, and its requests count as services_folded: nothing is lost.
 *
 * Units    as in counts.h
 * Owns     all it shows; views are valid until the next call that changes it
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "core/counts.h"
#include "core/report.h"
#include "core/service_name.h"

enum ledger_period { LEDGER_INTERVAL, LEDGER_TOTAL, LEDGER_PERIODS };

struct ledger_service {
    struct service_name name;
    struct service_counts counts[LEDGER_PERIODS];
    int64_t open; /* of its connections; less than none, where _other has those that are too many */
};

/* More than are watched at a time: those are not to make room. */
enum { LEDGER_INTERFACES_MAX = 512 };

struct ledger_interface {
    const char *name;
    struct {
        bool reported; /* there was a report */
        struct interface_counts counts;
        uint64_t service_bytes; /* bytes + control of its services */
    } period[LEDGER_PERIODS];
    struct interface_gauges gauges;
};

struct ledger_options {
    size_t services_max; /* see ledger_set_services_max() */
    uint64_t idle_ns;    /* after which one may make room, 0: never */
    uint64_t hash_seed;  /* random: the names come from the network */
};

struct ledger;

int ledger_new(struct ledger **out, const struct ledger_options *options);
struct ledger *ledger_free(struct ledger *l);
AUTO_DEFINE(struct ledger, ledger_free)

/**
 * Tell @services_max services apart, those that the agent names itself not
 * counted: as many as the engines do that report, taken together. Then what has
 * a name there has one here.
 */
void ledger_set_services_max(struct ledger *l, size_t services_max);

/* Take in what @r says moved. Returns how many requests had to count as _other's. */
uint64_t ledger_add(struct ledger *l, const struct report *r);

/* Take in totals of an earlier run. Past the caps they go to _other. */
void ledger_restore_service(struct ledger *l, const struct service_name *name,
                            const struct service_counts *total);

void ledger_restore_interface(struct ledger *l, const char *name,
                              const struct interface_counts *total, uint64_t service_bytes);

/* Forget what moved in the interval that ran: the next one begins. */
void ledger_end_interval(struct ledger *l);

struct ledger_services {
    const struct ledger_service *const *services;
    size_t count;
};

/**
 * The services that moved anything in @period, the one with most bytes (both
 * directions, without control) first, those with the same by name.
 */
struct ledger_services ledger_services(struct ledger *l, enum ledger_period period);

/* Those that were in a report. */
size_t ledger_interface_count(const struct ledger *l);
const struct ledger_interface *ledger_interface(const struct ledger *l, size_t number);

/*
 * What is missing on the right side of an interface's books since the start,
 * pending included; negative if that side has too much. 0: they balance.
 */
int64_t ledger_interface_imbalance(const struct ledger_interface *i);
