/*
 * A thread for what may hang: nobody waits for its end, and a process that ends
 * leaves it behind, as it would not those of libuv's thread pool. It has no
 * capabilities.
 *
 * Owns     nothing
 * Threads  any
 */
#pragma once

/* Run @run(@context) in a thread of its own, in which no signal is handled. Returns -errno. */
int detached_thread_start(void *(*run)(void *context), void *context);
