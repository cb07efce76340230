/*
 * The programs have arrays of maps, not the maps themselves, because
 * bpf_map__reuse_fd() opens the root folder, which is closed to the agent.
 */
#include "io/claims.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bpf/filter.h"
#include "io/filter.h"

struct claims {
    int claims_fd;
    int claimants_fd;
};

int claims_new(struct claims **out)
{
    AUTO(claims_free) struct claims *c = malloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    *c = (struct claims){-1, -1};
    filter_allow_memory();
    c->claims_fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "claims", sizeof(struct flow),
                                  sizeof(struct filter_claim), FILTER_CLAIMS_MAX, NULL);
    if (c->claims_fd < 0)
        return c->claims_fd;
    c->claimants_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "claimants", sizeof(uint32_t),
                                     sizeof(uint32_t), FILTER_CLAIMANTS_MAX, NULL);
    if (c->claimants_fd < 0)
        return c->claimants_fd;
    *out = TAKE(c);
    return 0;
}

struct claims *claims_free(struct claims *c)
{
    if (!c)
        return NULL;
    if (c->claims_fd >= 0)
        close(c->claims_fd);
    if (c->claimants_fd >= 0)
        close(c->claimants_fd);
    free(c);
    return NULL;
}

int claims_join(const struct claims *c, uint32_t claimant)
{
    const uint32_t present = 1;
    return bpf_map_update_elem(c->claimants_fd, &claimant, &present, BPF_ANY) < 0 ? -errno : 0;
}

void claims_leave(const struct claims *c, uint32_t claimant)
{
    bpf_map_delete_elem(c->claimants_fd, &claimant);
}

int claims_describe(const struct claims *c, struct bpf_map *claims, struct bpf_map *claimants)
{
    int r = bpf_map__set_inner_map_fd(claims, c->claims_fd);
    return r < 0 ? r : bpf_map__set_inner_map_fd(claimants, c->claimants_fd);
}

static int put(const struct bpf_map *array, int fd)
{
    const uint32_t first = 0;
    return bpf_map_update_elem(bpf_map__fd(array), &first, &fd, BPF_ANY) < 0 ? -errno : 0;
}

int claims_lend(const struct claims *c, struct bpf_map *claims, struct bpf_map *claimants)
{
    int r = put(claims, c->claims_fd);
    return r < 0 ? r : put(claimants, c->claimants_fd);
}
