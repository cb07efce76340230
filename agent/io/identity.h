/*
 * Who the process becomes when it gives up its rights: a user with all of that
 * user's groups, or nobody else.
 *
 * Owns     nothing
 * Threads  the main thread, before there is another
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct identity {
    bool changes; /* else the process stays who it is, and the rest is not filled */
    uid_t user;
    gid_t group;
};

/**
 * Find out who to become: @user, if root runs this and @user is not NULL.
 *
 * Returns -errno, -ENOENT if there is no such user.
 */
int identity_choose(struct identity *out, const char *user);

/**
 * Give a file or folder to who the process becomes; @group too: to that one's group.
 * Nothing to do if that is who it is. Returns -errno.
 */
int identity_give(const struct identity *who, const char *path, bool group);
