#include "support/kernel_run.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "support/skip.h"

struct filter *kernel_run_open(const struct filter_options *options)
{
    struct filter *f = NULL;
    int r = filter_open(&f, options);
    if (r == -EPERM)
        test_skip("loading a filter needs CAP_BPF");
    assert_int_equal(r, 0);
    return f;
}

/* The kernel takes a link header off before the program sees the rest: here it gets one more. */
int kernel_run(int program_fd, const uint8_t *frame, size_t size, const struct __sk_buff *context)
{
    uint8_t data[ETH_HLEN + KERNEL_RUN_FRAME_MAX] = {0};
    struct __sk_buff super = {0};
    if (size > KERNEL_RUN_FRAME_MAX)
        abort();
    memcpy(data + ETH_HLEN, frame, size);
    if (context) {
        super.gso_size = context->gso_size;
        super.gso_segs = context->gso_segs;
    }
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
                .data_size_in = (uint32_t)(ETH_HLEN + size), .ctx_in = &super,
                .ctx_size_in = sizeof(super));
    int r = bpf_prog_test_run_opts(program_fd, &opts);
    return r < 0 ? r : (int)opts.retval;
}
