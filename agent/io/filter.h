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
#include "io/claims.h"

struct filter_options {
    uint32_t link_header_bytes;   /* 14: Ethernet. 0: none, a packet begins with IP */
    bool super_packets;           /* their segments count, as the reader can tell them too */
    bool keeps;                   /* what need not be delivered, if the kernel can */
    bool ignore_outgoing;         /* on loopback each packet goes out and comes in */
    bool shares;                  /* load the program of filter_share_fd(), too */
    uint32_t claimant;            /* who it counts for, see io/claims.h. 0: for itself */
    const struct claims *claims;  /* with a claimant; borrowed for the call */
    const struct port_set *ports; /* copied */
};

struct filter;

/*
 * Before Linux 5.11 maps count as locked memory: allow any amount of it, with the
 * rights of root. filter_open() tries too; if it fails, loading says so.
 */
void filter_allow_memory(void);

/**
 * Load the filter.
 *
 * Before Linux 5.7 a filter can't read gso_size. There, gso_segs (5.1) says how
 * many packets a super-packet stands for; it is 0, so counted as 1, for some
 * that come from virtual machines. Before 5.8 there is no ring buffer for what it
 * keeps: everything is delivered.
 *
 * Returns -EPERM without the rights.
 */
int filter_open(struct filter **out, const struct filter_options *options);
struct filter *filter_close(struct filter *f);
AUTO_DEFINE(struct filter, filter_close)

/* Watch @ports from now on. Packets that pass meanwhile meet some of the former and some of these.
 */
int filter_set_ports(struct filter *f, const struct port_set *ports);

/* The program, for SO_ATTACH_BPF. */
int filter_fd(const struct filter *f);

/* The program that shares packets out among captures, for PACKET_FANOUT_DATA. */
int filter_share_fd(const struct filter *f);

/**
 * Add up what all CPUs counted since filter_open().
 *
 * Packets that pass meanwhile may be in some members already.
 */
int filter_counts(struct filter *f, struct filter_counts *sum);

/* The records in the order in which they were made. They are valid during the call. */
typedef void filter_record_fn(void *context, const struct filter_record *r);
void filter_records(struct filter *f, filter_record_fn *fn, void *context);

/*
 * All flows that are tracked, as they are now. Those that come or go meanwhile
 * may be missed. The callback may filter_forget() the flow.
 */
typedef void filter_flow_fn(void *context, const struct flow *flow, const struct filter_flow *f);
int filter_flows(struct filter *f, filter_flow_fn *fn, void *context);

/* Ask that packets of @flow be kept. A hint: a full table forgets the oldest. */
void filter_order(struct filter *f, const struct flow *flow, const struct filter_order *order);

/* Track @flow no longer: what is kept of it must have been taken. */
void filter_forget(struct filter *f, const struct flow *flow);
