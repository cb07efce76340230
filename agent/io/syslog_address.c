#include "io/syslog_address.h"

#include <string.h>
#define SYSLOG_NAMES
#include <syslog.h>

const char *syslog_address_parse(struct syslog_address *a, const char *text)
{
    struct syslog_address parsed = {.local = strcmp(text, "local") == 0};
    if (!parsed.local) {
        const char *problem = endpoint_parse(&parsed.endpoint, text, "514");
        if (problem)
            return problem;
        if (parsed.endpoint.transport == ENDPOINT_UNIX)
            return "is neither \"local\" nor udp:// nor tcp://";
        if (parsed.endpoint.transport == ENDPOINT_TCP)
            endpoint_parse(&parsed.endpoint, text, "601");
    }
    *a = parsed;
    return NULL;
}

bool syslog_facility_find(int *facility, const char *name)
{
    for (const CODE *c = facilitynames; c->c_name; c++) {
        if (strcmp(c->c_name, name) == 0 && c->c_val <= LOG_LOCAL7) {
            *facility = c->c_val;
            return true;
        }
    }
    return false;
}
