#include "core/metric.h"

#define PREFIX_SERVICE   ""
#define PREFIX_INTERFACE METRIC_AGENT_PREFIX
#define PREFIX_AGENT     METRIC_AGENT_PREFIX
#define PREFIX_HEARTBEAT METRIC_AGENT_PREFIX

const struct metric metrics[METRIC_COUNT] = {
#define METRIC_ROW(name, SCOPE, FORM, by_default, unit, meaning)                                   \
    {PREFIX_##SCOPE #name, METRIC_##SCOPE, METRIC_##FORM, by_default, unit, meaning},
    METRICS(METRIC_ROW)
#undef METRIC_ROW
};

struct metric_set metric_set_default(void)
{
    struct metric_set s = {0};
    for (enum metric_id id = 0; id < METRIC_COUNT; id++)
        if (metrics[id].by_default)
            metric_set_add(&s, id);
    return s;
}

bool metric_set_add_name(struct metric_set *s, struct bytes name)
{
    bool all = bytes_equal(name, BYTES("all"));
    if (all || bytes_equal(name, BYTES("default"))) {
        s->bits |= all ? (1ull << METRIC_COUNT) - 1 : metric_set_default().bits;
        return true;
    }
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        if (bytes_equal(name, bytes_from_string(metrics[id].name))) {
            metric_set_add(s, id);
            return true;
        }
    }
    return false;
}
