/*
 * What started the agent as a service, and wants to know how it is: systemd. Who
 * was not started so, or is built without libsystemd, tells nobody.
 *
 * Units    nanoseconds
 * Owns     nothing
 * Threads  any
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool service_manager_listens(void);

/* How often service_manager_alive() must be called at least, 0: never. */
uint64_t service_manager_watchdog_ns(void);

/* The start goes on, for so long at most: the service manager may wait longer than it would. */
void service_manager_starting(uint64_t patience_ns);

/* It is at work: after the start, and when a reload has ended, well or not. */
void service_manager_ready(void);
void service_manager_reloading(void);
void service_manager_stopping(void);
void service_manager_alive(void);

/* One line for who asks how the service is. */
void service_manager_status(const char *line);
