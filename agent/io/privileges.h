/*
 * Capabilities: those that opening a capture needs, and only while one is opened.
 *
 * CAP_NET_RAW for its socket, CAP_BPF for its programs and maps, CAP_PERFMON for
 * the verifier to pass the larger ones. Who has no CAP_BPF, as before Linux 5.8,
 * has CAP_SYS_ADMIN in place of the last two.
 *
 * Owns     the capabilities of the process
 * Threads  a thread's are its own, and a new thread has those of its maker; each
 *          function is about the thread that calls it
 */
#pragma once

#include "io/identity.h"

/**
 * Give up all but those, for good, and become @who: no program that is executed
 * later, and no change of user, brings any back. Not even those are in effect when
 * this returns. Call it before there is a second thread.
 *
 * Returns -errno when rights could not be given up. Not to have any is fine.
 */
int privileges_limit(const struct identity *who);

/* Around the opening and stopping of captures: have in effect what is left, and no more. */
void privileges_raise(void);
void privileges_lower(void);

/* For a thread that uses captures, but opens none. */
void privileges_give_up_opening(void);

/* For a thread that has nothing to do with captures. */
void privileges_give_up_all(void);
