/*
 * The reports of all interfaces, put together: what each service moved over all
 * of them, and how the books of each interface stand. Several may report of one
 * interface, each of a part of its connections.
 *
 * Everything is kept twice, for the interval that runs and since the start.
 * At the cap on services, idle ones make room: what they have goes to _other.
 * Past it, or without memory for one more, what a service moved goes there at
 * once, and its requests count as services_folded: nothing is lost.
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
};

struct ledger_interface {
    const char *name;
    struct {
        struct interface_counts counts;
        uint64_t service_bytes; /* bytes + control of its services */
    } period[LEDGER_PERIODS];
    struct interface_gauges gauges;
};

struct ledger_options {
    uint32_t services_max;         /* the three that the agent names itself don't count */
    uint64_t idle_ns;              /* after which one may make room, 0: never */
    uint64_t hash_seed;            /* random: the names come from the network */
    const char *const *interfaces; /* their names, by the number in reports; copied */
    size_t interface_count;        /* of names: several numbers may have the same */
};

struct ledger;

int ledger_new(struct ledger **out, const struct ledger_options *options);
struct ledger *ledger_free(struct ledger *l);
AUTO_DEFINE(struct ledger, ledger_free)

/* Take in what @r says moved. */
void ledger_add(struct ledger *l, const struct report *r);

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

size_t ledger_interface_count(const struct ledger *l);
const struct ledger_interface *ledger_interface(const struct ledger *l, size_t number);

/*
 * What is missing on the right side of an interface's books since the start,
 * pending included; negative if that side has too much. 0: they balance.
 */
int64_t ledger_interface_imbalance(const struct ledger_interface *i);
