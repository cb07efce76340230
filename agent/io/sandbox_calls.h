/*
 * The part of the sandbox that is about system calls: seccomp.
 *
 * Owns     nothing
 * Threads  as in io/sandbox.h
 */
#pragma once

#include <stdbool.h>

/* @tcp as in struct sandbox_options. -errno. */
int sandbox_limit_calls(bool tcp);

/* As in sandbox_seal(): what works on descriptors that are open, on memory, and time. */
int sandbox_limit_calls_to_open(void);
