#include "core/counts.h"

/* For the lists of counts.h. */
#define ADD_MEMBER(name, ...)      into->name += from->name;
#define SUBTRACT_MEMBER(name, ...) d.name -= b->name;

static void direction_counts_add(struct direction_counts *into, const struct direction_counts *from)
{
    DIRECTION_COUNTS(ADD_MEMBER)
}

static struct direction_counts direction_counts_difference(const struct direction_counts *a,
                                                           const struct direction_counts *b)
{
    struct direction_counts d = *a;
    DIRECTION_COUNTS(SUBTRACT_MEMBER)
    return d;
}

void service_counts_add(struct service_counts *into, const struct service_counts *from)
{
    direction_counts_add(&into->direction[DIRECTION_IN], &from->direction[DIRECTION_IN]);
    direction_counts_add(&into->direction[DIRECTION_OUT], &from->direction[DIRECTION_OUT]);
    into->requests += from->requests;
    for (unsigned i = 0; i < STATUS_CLASSES; i++)
        into->replies[i] += from->replies[i];
    into->unanswered += from->unanswered;
}

struct service_counts service_counts_difference(const struct service_counts *a,
                                                const struct service_counts *b)
{
    struct service_counts d = *a;
    d.direction[DIRECTION_IN] =
        direction_counts_difference(&a->direction[DIRECTION_IN], &b->direction[DIRECTION_IN]);
    d.direction[DIRECTION_OUT] =
        direction_counts_difference(&a->direction[DIRECTION_OUT], &b->direction[DIRECTION_OUT]);
    d.requests -= b->requests;
    for (unsigned i = 0; i < STATUS_CLASSES; i++)
        d.replies[i] -= b->replies[i];
    d.unanswered -= b->unanswered;
    return d;
}

void interface_counts_add(struct interface_counts *into, const struct interface_counts *from)
{
    BALANCE_COUNTS(ADD_MEMBER)
    ENGINE_COUNTS(ADD_MEMBER)
}

struct interface_counts interface_counts_difference(const struct interface_counts *a,
                                                    const struct interface_counts *b)
{
    struct interface_counts d = *a;
    BALANCE_COUNTS(SUBTRACT_MEMBER)
    ENGINE_COUNTS(SUBTRACT_MEMBER)
    return d;
}

void interface_gauges_add(struct interface_gauges *into, const struct interface_gauges *from)
{
    INTERFACE_GAUGES(ADD_MEMBER)
}

struct interface_gauges interface_gauges_difference(const struct interface_gauges *a,
                                                    const struct interface_gauges *b)
{
    struct interface_gauges d = *a;
    INTERFACE_GAUGES(SUBTRACT_MEMBER)
    return d;
}

uint64_t service_counts_ip_bytes(const struct service_counts *c)
{
    const struct direction_counts *in = &c->direction[DIRECTION_IN];
    const struct direction_counts *out = &c->direction[DIRECTION_OUT];
    return in->bytes + in->control + out->bytes + out->control;
}
