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

struct filter {
    struct filter_bpf *bpf;
    int program_fd;
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

/* Before Linux 5.11 maps count as locked memory. If this fails, loading says so. */
static void allow_locked_memory(void)
{
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

static void set_knobs(struct filter_bpf *bpf, const struct filter_options *options)
{
    bpf->rodata->link_header_bytes = options->link_header_bytes;
    bpf->rodata->count_segments = options->super_packets;
    bpf->rodata->watch_all = options->ports->count == 0;
}

static int fill_ports(const struct filter_bpf *bpf, const struct port_set *ports)
{
    uint64_t words[FILTER_PORT_WORDS] = {0};
    for (uint32_t port = 0; port < 64 * FILTER_PORT_WORDS; port++)
        words[port / 64] |= (uint64_t)port_set_has(ports, (uint16_t)port) << port % 64;
    for (uint32_t i = 0; i < FILTER_PORT_WORDS; i++)
        if (words[i] && bpf_map_update_elem(bpf_map__fd(bpf->maps.ports), &i, &words[i], 0) < 0)
            return -errno;
    return 0;
}

/* Load one of the two programs: an object whose load failed can't be tried again. */
static int load(struct filter *f, const struct filter_options *options, bool has_gso_size)
{
    f->bpf = filter_bpf__open();
    if (!f->bpf)
        return -errno;
    set_knobs(f->bpf, options);
    struct bpf_program *const gso_size = f->bpf->progs.filter_gso_size;
    struct bpf_program *const gso_segs = f->bpf->progs.filter_gso_segs;
    bpf_program__set_autoload(gso_size, has_gso_size);
    bpf_program__set_autoload(gso_segs, !has_gso_size);
    int r = filter_bpf__load(f->bpf);
    if (r < 0) {
        filter_bpf__destroy(TAKE(f->bpf));
        return r;
    }
    f->program_fd = bpf_program__fd(has_gso_size ? gso_size : gso_segs);
    return 0;
}

int filter_open(struct filter **out, const struct filter_options *options)
{
    libbpf_set_print(log_libbpf);
    allow_locked_memory();

    int cpu_count = libbpf_num_possible_cpus();
    if (cpu_count < 0)
        return cpu_count;
    AUTO(filter_close)
    struct filter *f = calloc(1, sizeof(*f) + (size_t)cpu_count * sizeof(f->cpus[0]));
    if (!f)
        return -ENOMEM;
    f->cpu_count = cpu_count;

    int r = load(f, options, true);
    bool rejected = r == -EACCES || r == -EINVAL;
    if (rejected) {
        log_info("this kernel's filters can't read gso_size (Linux 5.7), using gso_segs");
        r = load(f, options, false);
    }
    if (r == 0)
        r = fill_ports(f->bpf, options->ports);
    if (r < 0)
        return r;
    *out = TAKE(f);
    return 0;
}

struct filter *filter_close(struct filter *f)
{
    if (!f)
        return NULL;
    filter_bpf__destroy(f->bpf);
    free(f);
    return NULL;
}

int filter_fd(const struct filter *f)
{
    return f->program_fd;
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
