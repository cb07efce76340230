/*
 * SIGINT and SIGTERM: the first asks the process to end, the second ends it
 * whatever it is doing, even waiting for a reader of its output.
 *
 * Owns     the two signals of the process, from catch to release
 * Threads  the main thread
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

/* @wake, unless NULL, is sent by the first signal; it must outlive interrupt_release(). */
void interrupt_catch(uv_async_t *wake);

bool interrupt_seen(void);

/* From now on the first signal ends the process. Other threads must have ended. */
void interrupt_release(void);
