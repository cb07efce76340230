#include "io/privileges.h"

#include <bpf/bpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/macros.h"

enum { RIGHTS_MAX = 3 };

/* Capabilities, without those that the thread has not got. */
struct rights {
    unsigned capabilities[RIGHTS_MAX];
    size_t count;
};

static bool is_permitted(unsigned capability)
{
    return capng_have_capability(CAPNG_PERMITTED, capability);
}

static void add(struct rights *r, unsigned capability)
{
    if (is_permitted(capability))
        r->capabilities[r->count++] = capability;
}

static struct rights rights_to_use_maps(void)
{
    struct rights r = {0};
    add(&r, is_permitted(CAP_BPF) ? CAP_BPF : CAP_SYS_ADMIN);
    return r;
}

static struct rights rights_to_open(void)
{
    struct rights r = rights_to_use_maps();
    add(&r, CAP_NET_RAW);
    if (is_permitted(CAP_BPF))
        add(&r, CAP_PERFMON);
    return r;
}

static void update(capng_act_t action, unsigned types, const struct rights *r)
{
    for (size_t i = 0; i < r->count; i++)
        capng_update(action, types, r->capabilities[i]);
}

/* So that user 0 is nobody special. Who may not do this has no way to more rights. */
static int lock_out_root(void)
{
    if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
        return 0;
    if (capng_lock() < 0)
        return -EPERM;
    capng_clear(CAPNG_SELECT_BOUNDS);
    return capng_apply(CAPNG_SELECT_BOUNDS) < 0 ? -EPERM : 0;
}

/* libcap-ng raises what that needs, and takes it away after. */
static int become(const struct identity *who)
{
    if (!who->changes)
        return 0;
    int r = capng_change_id((int)who->user, (int)who->group, CAPNG_INIT_SUPP_GRP);
    return r < 0 ? -EPERM : 0;
}

int privileges_limit(const struct identity *who)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (capng_get_caps_process() < 0)
        return -EIO;
    int error = lock_out_root();
    if (error < 0)
        return error;
    struct rights kept = rights_to_open();
    capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
    update(CAPNG_ADD, CAPNG_PERMITTED, &kept);
    error = become(who);
    if (error < 0)
        return error;
    return capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) < 0 ? -EPERM : 0;
}

/* Less, or what is permitted, is never refused. */
static void apply(void)
{
    if (capng_apply(CAPNG_SELECT_CAPS) < 0)
        log_error("can't change the capabilities of a thread: %s", strerror(errno));
}

/* Have what opening needs in effect, or not. */
static void change_opening(capng_act_t action)
{
    capng_get_caps_process();
    struct rights r = rights_to_open();
    update(action, CAPNG_EFFECTIVE, &r);
    apply();
}

void privileges_raise(void)
{
    change_opening(CAPNG_ADD);
}

void privileges_lower(void)
{
    change_opening(CAPNG_DROP);
}

void privileges_give_up_all(void)
{
    capng_clear(CAPNG_SELECT_CAPS);
    apply();
}

/* Before Linux 5.19, kernel.unprivileged_bpf_disabled is about all that bpf(2) can do. */
static bool maps_need_rights(void)
{
    char none = 0;
    return bpf_map_lookup_elem(-1, &none, &none) < 0 && errno == EPERM;
}

void privileges_give_up_opening(void)
{
    privileges_lower();
    struct rights kept = {0};
    if (maps_need_rights())
        kept = rights_to_use_maps();
    capng_clear(CAPNG_SELECT_CAPS);
    update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, &kept);
    apply();
}
