/*
 * Who counts a connection that several captures see: the maps that their filters
 * share (bpf/claim.bpf.h). With them each packet is counted by one capture, and by
 * the others as a duplicate.
 *
 * A claimant is known by the index of its interface. What one has claimed is free
 * for the others when it leaves. When there are too many connections, those that
 * are silent for longest are forgotten, and whoever sees their next packet first
 * claims them.
 *
 * Needs the rights of io/filter.h.
 *
 * Owns     the maps; filters that have been lent them keep them, too
 * Threads  any, but for claims_new() and claims_free()
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"

struct claims;
struct bpf_map;

/* Returns -EPERM without the rights. */
int claims_new(struct claims **out);
struct claims *claims_free(struct claims *c);
AUTO_DEFINE(struct claims, claims_free)

/* What @claimant has claimed, and will, is its own. It may have joined. */
int claims_join(const struct claims *c, uint32_t claimant);

/* What it has claimed is free. It may have left. */
void claims_leave(const struct claims *c, uint32_t claimant);

/*
 * Put them into a program's @claims and @claimants, each an array of maps: before it
 * is loaded say what they are, and after it lend them.
 */
int claims_describe(const struct claims *c, struct bpf_map *claims, struct bpf_map *claimants);
int claims_lend(const struct claims *c, struct bpf_map *claims, struct bpf_map *claimants);
