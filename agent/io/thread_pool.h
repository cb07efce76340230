/*
 * The threads in which libuv looks up names: one pool for all loops.
 *
 * Owns     nothing: the pool is libuv's, and lasts
 * Threads  any, before the first work is given to the pool
 */
#pragma once

/* Start them without capabilities, which they would otherwise have from their maker. -errno. */
int thread_pool_start(void);
