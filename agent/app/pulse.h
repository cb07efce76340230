/*
 * A sign that a loop goes on: it beats, and somebody else looks whether it has.
 *
 * Owns     nothing, embed it by value; all zero to begin with
 * Threads  one beats, another looks
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct pulse {
    _Atomic unsigned beats;
    unsigned seen;
};

void pulse_beat(struct pulse *p);

/* Whether it has beaten since this was last asked. */
bool pulse_look(struct pulse *p);
