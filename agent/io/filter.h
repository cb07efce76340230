/*
 * The eBPF socket filter of one capture (bpf/filter.bpf.c): loads it, and reads
 * what it counted.
 *
 * Needs CAP_BPF, or CAP_SYS_ADMIN before Linux 5.8. Its floor is Linux 5.4:
 * see filter_open().
 *
 * Units    as in bpf/filter.h
 * Owns     the program and its maps
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "bpf/filter.h"
#include "core/port_set.h"

struct filter_options {
    uint32_t link_header_bytes;   /* 14: Ethernet. 0: none, a packet begins with IP */
    bool super_packets;           /* their segments count, as the reader can tell them too */
    const struct port_set *ports; /* copied */
};

struct filter;

/**
 * Load the filter.
 *
 * Before Linux 5.7 a filter can't read gso_size. There, gso_segs (5.1) says how
 * many packets a super-packet stands for; it is 0, so counted as 1, for some
 * that come from virtual machines.
 *
 * Returns -EPERM without the rights.
 */
int filter_open(struct filter **out, const struct filter_options *options);
struct filter *filter_close(struct filter *f);
AUTO_DEFINE(struct filter, filter_close)

/* The program, for SO_ATTACH_BPF. */
int filter_fd(const struct filter *f);

/**
 * Add up what all CPUs counted since filter_open().
 *
 * Packets that pass meanwhile may be in some members already.
 */
int filter_counts(struct filter *f, struct filter_counts *sum);
