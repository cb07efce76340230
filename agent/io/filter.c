#include "io/filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "filter.skel.h"

enum { FLOWS_PER_CALL = 256 };

/* The programs, the most capable first. */
enum ability { KEEPS, HAS_GSO_SIZE, HAS_GSO_SEGS };

struct filter {
    struct filter_bpf *bpf;
    int program_fd;
    struct ring_buffer *records; /* NULL: it keeps nothing */
    filter_record_fn *record_fn; /* during filter_records() */
    void *record_context;
    int cpu_count;
    struct filter_count cpus[]; /* room for an entry of the map: possible CPUs, online or not */
};

static int PRINTF_LIKE(2, 0)
    log_libbpf(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level;
    char *text;
    if (vasprintf(&text, format, arguments) < 0)
        return 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line)
            log_debug("%s", line);
    free(text);
    return 0;
}

void filter_allow_memory(void)
{
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

static void set_knobs(struct filter_bpf *bpf, const struct filter_options *options)
{
    bpf->rodata->link_header_bytes = options->link_header_bytes;
    bpf->rodata->count_segments = options->super_packets;
    bpf->rodata->ignore_outgoing = options->ignore_outgoing;
    bpf->rodata->claimant = options->claimant;
}

/* Without a claimant the program has no use for the maps. */
static int describe_claims(struct filter_bpf *bpf, const struct filter_options *options)
{
    if (options->claimant)
        return claims_describe(options->claims, bpf->maps.claims, bpf->maps.claimants);
    bpf_map__set_autocreate(bpf->maps.claims, false);
    bpf_map__set_autocreate(bpf->maps.claimants, false);
    return 0;
}

/* The maps of a program that is not loaded may be of a kind that the kernel lacks. */
static void leave_out_flows(struct filter_bpf *bpf)
{
    bpf_map__set_autocreate(bpf->maps.flows, false);
    bpf_map__set_autocreate(bpf->maps.orders, false);
    bpf_map__set_autocreate(bpf->maps.records, false);
    bpf_map__set_autocreate(bpf->maps.scratches, false);
}

static int take_record(void *context, void *data, size_t size)
{
    struct filter *f = context;
    if (size >= sizeof(struct filter_record))
        f->record_fn(f->record_context, data);
    return 0;
}

/* Load one of the programs: an object whose load failed can't be tried again. */
static int load(struct filter *f, const struct filter_options *options, enum ability ability)
{
    f->bpf = filter_bpf__open();
    if (!f->bpf)
        return -errno;
    set_knobs(f->bpf, options);
    struct bpf_program *const programs[] = {
        [KEEPS] = f->bpf->progs.filter_keeps,
        [HAS_GSO_SIZE] = f->bpf->progs.filter_gso_size,
        [HAS_GSO_SEGS] = f->bpf->progs.filter_gso_segs,
    };
    for (enum ability i = 0; i < ARRAY_SIZE(programs); i++)
        bpf_program__set_autoload(programs[i], i == ability);
    bpf_program__set_autoload(f->bpf->progs.filter_share, options->shares);
    if (ability != KEEPS)
        leave_out_flows(f->bpf);

    int r = describe_claims(f->bpf, options);
    if (r == 0)
        r = filter_bpf__load(f->bpf);
    if (r == 0 && options->claimant)
        r = claims_lend(options->claims, f->bpf->maps.claims, f->bpf->maps.claimants);
    if (r == 0 && ability == KEEPS) {
        f->records = ring_buffer__new(bpf_map__fd(f->bpf->maps.records), take_record, f, NULL);
        r = f->records ? 0 : -errno;
    }
    if (r < 0) {
        filter_bpf__destroy(TAKE(f->bpf));
        return r;
    }
    f->program_fd = bpf_program__fd(programs[ability]);
    return 0;
}

int filter_open(struct filter **out, const struct filter_options *options)
{
    libbpf_set_print(log_libbpf);
    filter_allow_memory();

    int cpu_count = libbpf_num_possible_cpus();
    if (cpu_count < 0)
        return cpu_count;
    AUTO(filter_close)
    struct filter *f = calloc(1, sizeof(*f) + (size_t)cpu_count * sizeof(f->cpus[0]));
    if (!f)
        return -ENOMEM;
    f->cpu_count = cpu_count;

    enum ability ability = options->keeps ? KEEPS : HAS_GSO_SIZE;
    int r = load(f, options, ability);
    while (r < 0 && r != -EPERM && ability < HAS_GSO_SEGS) {
        log_info(ability == KEEPS
                     ? "this kernel can't keep packets (Linux 5.8): all are delivered"
                     : "this kernel's filters can't read gso_size (Linux 5.7), using gso_segs");
        r = load(f, options, ++ability);
    }
    if (r == 0)
        r = filter_set_ports(f, options->ports);
    if (r < 0)
        return r;
    *out = TAKE(f);
    return 0;
}

struct filter *filter_close(struct filter *f)
{
    if (!f)
        return NULL;
    ring_buffer__free(f->records);
    filter_bpf__destroy(f->bpf);
    free(f);
    return NULL;
}

int filter_fd(const struct filter *f)
{
    return f->program_fd;
}

int filter_share_fd(const struct filter *f)
{
    return bpf_program__fd(f->bpf->progs.filter_share);
}

int filter_set_ports(struct filter *f, const struct port_set *ports)
{
    bool all = ports->count == 0;
    uint64_t words[FILTER_PORT_WORDS] = {0};
    for (uint32_t port = 0; port < 64 * FILTER_PORT_WORDS; port++)
        words[port / 64] |= (uint64_t)(all || port_set_has(ports, (uint16_t)port)) << port % 64;
    for (uint32_t i = 0; i < FILTER_PORT_WORDS; i++)
        if (bpf_map_update_elem(bpf_map__fd(f->bpf->maps.ports), &i, &words[i], 0) < 0)
            return -errno;
    return 0;
}

static int add_cpus(struct filter *f, uint32_t class, struct filter_count *sum)
{
    if (bpf_map_lookup_elem(bpf_map__fd(f->bpf->maps.counts), &class, f->cpus) < 0)
        return -errno;
    for (int i = 0; i < f->cpu_count; i++) {
        sum->bytes += f->cpus[i].bytes;
        sum->control += f->cpus[i].control;
        sum->packets += f->cpus[i].packets;
    }
    return 0;
}

int filter_counts(struct filter *f, struct filter_counts *sum)
{
    struct filter_counts all = {0};
    for (uint32_t class = 0; class < FILTER_CLASSES; class ++) {
        int r = add_cpus(f, class, &all.of[class]);
        if (r < 0)
            return r;
    }
    *sum = all;
    return 0;
}

void filter_records(struct filter *f, filter_record_fn *fn, void *context)
{
    if (!f->records)
        return;
    f->record_fn = fn;
    f->record_context = context;
    ring_buffer__consume(f->records);
}

int filter_flows(struct filter *f, filter_flow_fn *fn, void *context)
{
    if (!f->records)
        return 0;
    struct flow keys[FLOWS_PER_CALL];
    struct filter_flow values[FLOWS_PER_CALL];
    uint32_t position = 0;
    int r = 0;
    for (bool first = true; r == 0; first = false) {
        uint32_t count = FLOWS_PER_CALL;
        r = bpf_map_lookup_batch(bpf_map__fd(f->bpf->maps.flows), first ? NULL : &position,
                                 &position, keys, values, &count, NULL);
        if (r < 0 && errno != ENOENT)
            return -errno;
        for (uint32_t i = 0; i < count; i++)
            fn(context, &keys[i], &values[i]);
    }
    return 0;
}

void filter_order(struct filter *f, const struct flow *flow, const struct filter_order *order)
{
    if (f->records)
        bpf_map_update_elem(bpf_map__fd(f->bpf->maps.orders), flow, order, BPF_ANY);
}

void filter_forget(struct filter *f, const struct flow *flow)
{
    if (!f->records)
        return;
    bpf_map_delete_elem(bpf_map__fd(f->bpf->maps.orders), flow);
    bpf_map_delete_elem(bpf_map__fd(f->bpf->maps.flows), flow);
}
