/*
 * The part of the sandbox that is about files: Landlock, since Linux 5.13.
 *
 * Owns     nothing
 * Threads  as in io/sandbox.h
 */
#pragma once

/* As in struct sandbox_options. Needs no_new_privs. -errno. */
int sandbox_limit_files(const char *const *readable, const char *const *writable);

/* The same without a file that may be opened. */
int sandbox_close_files(void);
