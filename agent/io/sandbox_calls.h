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
