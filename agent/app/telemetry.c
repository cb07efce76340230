#include "app/telemetry.h"

#include <uv.h>

static uint64_t milliseconds(const uv_timeval_t *t)
{
    return (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000;
}

void telemetry_process(struct agent_telemetry *t)
{
    uv_rusage_t usage;
    if (uv_getrusage(&usage) == 0)
        t->cpu_ms = milliseconds(&usage.ru_utime) + milliseconds(&usage.ru_stime);
    size_t resident_bytes;
    if (uv_resident_set_memory(&resident_bytes) == 0)
        t->memory_bytes = resident_bytes;
}
