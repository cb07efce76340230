/*
 * The walls around the process: which files it may open, and what it may ask of
 * the kernel at all, once it runs.
 *
 * What is refused is an error of the call, and no more: EACCES for a file,
 * ENOSYS for a system call or a kind of socket. The kernel's audit log has the
 * latter. There is no way back, and nothing can be allowed later.
 *
 * Owns     nothing
 * Threads  the calling one and all that it makes later
 */
#pragma once

#include <stdbool.h>

struct sandbox_options {
    /* Files, or folders with all below them; NULL ends a list. What is not there is passed over. */
    const char *const *readable; /* besides those that the system's libraries read */
    const char *const *writable; /* and readable: files and sockets may come and go */
    bool tcp;                    /* connections to others are wanted */
};

/* Returns -errno when there is a wall that should be and is not. What the kernel can't do is said.
 */
int sandbox_enter(const struct sandbox_options *options);

/* The same, with nothing that can be opened, neither files nor sockets, and no other thread. */
int sandbox_seal(void);
