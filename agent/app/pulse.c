#include "app/pulse.h"

void pulse_beat(struct pulse *p)
{
    atomic_fetch_add_explicit(&p->beats, 1, memory_order_relaxed);
}

bool pulse_look(struct pulse *p)
{
    unsigned beats = atomic_load_explicit(&p->beats, memory_order_relaxed);
    bool has_beaten = beats != p->seen;
    p->seen = beats;
    return has_beaten;
}
