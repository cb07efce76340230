/*
 * Filters that share their claims, run by the kernel on frames of ours
 * (BPF_PROG_TEST_RUN): each packet is counted by one of them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "filter.skel.h"
#include "io/claims.h"
#include "io/filter.h"
#include "support/frames.h"
#include "support/kernel_run.h"
#include "support/skip.h"

enum { HEADER = 40, PAYLOAD = 100, CLIENT_PORT = 40000, SERVER_PORT = 8080 };
enum { FILTERS = 3, FRAME_MAX = 400, PATIENCE_S = 1 };

enum who { CLIENT, SERVER };
enum { A, B, C }; /* filters */

/* Captures of three interfaces. */
struct lab {
    struct claims *claims;
    struct filter *filters[FILTERS];
};

static const uint8_t zeros[PAYLOAD];
static const uint16_t no_tags[2];

static uint32_t claimant_of(unsigned i)
{
    return i + 1;
}

static void set_up_keeping(struct lab *lab, bool keeps)
{
    *lab = (struct lab){0};
    int r = claims_new(&lab->claims);
    if (r == -EPERM)
        test_skip("loading a filter needs CAP_BPF");
    assert_int_equal(r, 0);
    struct port_set ports = {0};
    port_set_add(&ports, SERVER_PORT);
    for (unsigned i = 0; i < FILTERS; i++) {
        lab->filters[i] = kernel_run_open(&(struct filter_options){
            .link_header_bytes = ETH_HLEN,
            .super_packets = true,
            .keeps = keeps,
            .ports = &ports,
            .claimant = claimant_of(i),
            .claims = lab->claims,
        });
        assert_int_equal(claims_join(lab->claims, claimant_of(i)), 0);
    }
}

static struct lab lab;

static int set_up(void **state)
{
    *state = &lab;
    set_up_keeping(&lab, false);
    return 0;
}

static int set_up_keeps(void **state)
{
    *state = &lab;
    set_up_keeping(&lab, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FILTERS; i++)
        filter_close(lab.filters[i]);
    claims_free(lab.claims);
    return 0;
}

/* --- packets ----------------------------------------------------------------------- */

static struct frame_spec packet(enum who who, uint8_t flags, size_t payload_bytes)
{
    static const char *const addresses[] = {"10.0.0.1", "10.0.0.2"};
    static const uint16_t ports[] = {CLIENT_PORT, SERVER_PORT};
    return (struct frame_spec){
        .source = addresses[who],
        .destination = addresses[!who],
        .source_port = ports[who],
        .destination_port = ports[!who],
        .flags = flags,
        .payload = bytes_make(zeros, payload_bytes),
    };
}

static uint64_t count_of(const struct filter_counts *counts, enum filter_class class)
{
    return counts->of[class].bytes + counts->of[class].control;
}

/* Returns whether filter @i counts the frame: else it counts all of it as a duplicate. */
static bool counts_frame(unsigned i, const uint8_t *frame, size_t size, size_t ip_bytes)
{
    struct filter_counts before, after;
    assert_int_equal(filter_counts(lab.filters[i], &before), 0);
    assert_true(kernel_run(filter_fd(lab.filters[i]), frame, size, NULL) >= 0);
    assert_int_equal(filter_counts(lab.filters[i], &after), 0);
    uint64_t all = 0;
    for (enum filter_class class = 0; class < FILTER_CLASSES; class ++)
        all += count_of(&after, class) - count_of(&before, class);
    assert_int_equal(all, ip_bytes);
    uint64_t twice = count_of(&after, FILTER_DUPLICATE) - count_of(&before, FILTER_DUPLICATE);
    assert_true(twice == 0 || twice == ip_bytes);
    return twice == 0;
}

static bool counts_tagged(unsigned i, const struct frame_spec *spec, uint16_t vlan)
{
    uint8_t frame[FRAME_MAX];
    size_t link = frame_build_link(ETH_P_IP, (const uint16_t[]){vlan, 0}, frame);
    size_t ip_bytes = frame_build(spec, frame + link, sizeof(frame) - link);
    return counts_frame(i, frame, link + ip_bytes, ip_bytes);
}

static bool counts(unsigned i, const struct frame_spec *spec)
{
    return counts_tagged(i, spec, 0);
}

static bool counts_payload(unsigned i, enum who who)
{
    struct frame_spec spec = packet(who, TCP_ACK, PAYLOAD);
    return counts(i, &spec);
}

/* --- cases ------------------------------------------------------------------------- */

static void who_sees_it_first_counts_both_directions(void **state)
{
    (void)state;
    struct frame_spec syn = packet(CLIENT, TCP_SYN, 0);
    struct frame_spec syn_ack = packet(SERVER, TCP_SYN | TCP_ACK, 0);
    assert_true(counts(B, &syn));
    assert_false(counts(A, &syn));
    assert_false(counts(C, &syn));
    assert_false(counts(A, &syn_ack)); /* the owner's turn comes last on this way */
    assert_true(counts(B, &syn_ack));
    for (int i = 0; i < 3; i++) {
        assert_true(counts_payload(B, CLIENT));
        assert_false(counts_payload(A, CLIENT));
        assert_false(counts_payload(C, SERVER));
        assert_false(counts_payload(A, SERVER));
        assert_true(counts_payload(B, SERVER));
    }
}

static void packets_without_payload_are_duplicates_too(void **state)
{
    (void)state;
    struct frame_spec ack = packet(CLIENT, TCP_ACK, 0), fin = packet(CLIENT, TCP_FIN | TCP_ACK, 0);
    assert_true(counts_payload(A, CLIENT));
    assert_true(counts(A, &ack));
    assert_false(counts(B, &ack));
    assert_false(counts(B, &fin));
    assert_true(counts(A, &fin));
}

static void other_connections_are_others(void **state)
{
    (void)state;
    struct frame_spec other = packet(CLIENT, TCP_ACK, PAYLOAD);
    other.source_port++;
    assert_true(counts_payload(A, CLIENT));
    assert_true(counts(B, &other));
    assert_false(counts(A, &other));
}

static void what_is_claimed_is_free_when_its_owner_leaves(void **state)
{
    (void)state;
    assert_true(counts_payload(A, CLIENT));
    assert_true(counts_payload(A, SERVER));
    assert_false(counts_payload(B, CLIENT));
    claims_leave(lab.claims, claimant_of(A));
    assert_true(counts_payload(C, CLIENT));
    assert_false(counts_payload(B, CLIENT));
    assert_false(counts_payload(B, SERVER));
    assert_true(counts_payload(C, SERVER));
}

static void owner_that_comes_back_has_what_nobody_took(void **state)
{
    (void)state;
    assert_true(counts_payload(A, CLIENT));
    claims_leave(lab.claims, claimant_of(A));
    assert_int_equal(claims_join(lab.claims, claimant_of(A)), 0);
    assert_false(counts_payload(B, CLIENT));
    assert_true(counts_payload(A, CLIENT));
}

static void side_that_its_owner_never_sees_goes_to_another(void **state)
{
    (void)state;
    assert_true(counts_payload(A, CLIENT));
    assert_false(counts_payload(B, SERVER)); /* it may be on its way to A */
    assert_false(counts_payload(C, SERVER)); /* the same packet */
    assert_true(counts_payload(B, SERVER));
    assert_false(counts_payload(C, SERVER));
    assert_true(counts_payload(A, CLIENT));
    assert_false(counts_payload(B, CLIENT));
}

static void side_that_its_owner_misses_for_long_goes_to_another(void **state)
{
    (void)state;
    assert_true(counts_payload(A, CLIENT));
    assert_false(counts_payload(B, CLIENT));
    assert_true(counts_payload(A, CLIENT));
    sleep(PATIENCE_S); /* nothing passed */
    assert_false(counts_payload(B, CLIENT));
    assert_false(counts_payload(B, CLIENT));
    sleep(PATIENCE_S);
    assert_true(counts_payload(B, CLIENT));
    assert_false(counts_payload(A, CLIENT));
}

static void connection_between_the_same_ends_may_go_another_way(void **state)
{
    (void)state;
    struct frame_spec syn = packet(CLIENT, TCP_SYN, 0);
    assert_true(counts(A, &syn));
    assert_true(counts_payload(A, CLIENT));
    assert_false(counts(B, &syn));
    assert_true(counts_payload(B, CLIENT));
    assert_true(counts_payload(B, CLIENT));
}

static void tags_make_no_difference(void **state)
{
    (void)state;
    struct frame_spec spec = packet(CLIENT, TCP_ACK, PAYLOAD);
    assert_true(counts_tagged(A, &spec, 5));
    assert_false(counts_tagged(B, &spec, 0));
    assert_false(counts_tagged(C, &spec, 6));
    assert_true(counts_tagged(A, &spec, 0));
}

static void fragments_are_counted_once(void **state)
{
    (void)state;
    static const struct fragment_spec fragments[] = {{1, 0, true}, {1, 800, false}, {2, 0, true}};
    struct frame_spec spec = packet(CLIENT, TCP_ACK, PAYLOAD);
    for (size_t i = 0; i < ARRAY_SIZE(fragments); i++) {
        uint8_t frame[FRAME_MAX];
        size_t link = frame_build_link(ETH_P_IP, no_tags, frame);
        size_t bytes = frame_build_fragment(&spec, &fragments[i], bytes_make(zeros, 80),
                                            frame + link, sizeof(frame) - link);
        assert_true(counts_frame(A, frame, link + bytes, bytes));
        assert_false(counts_frame(B, frame, link + bytes, bytes));
    }
}

static void each_packet_counts_once_when_claims_are_forgotten(void **state)
{
    (void)state;
    enum { MANY = FILTER_CLAIMS_MAX + 20000 };
    struct frame_spec spec = packet(CLIENT, TCP_ACK, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        spec.source_port = (uint16_t)i;
        spec.source = i >> 16 ? "10.0.0.3" : "10.0.0.1";
        assert_true(counts(A, &spec));
        assert_false(counts(B, &spec));
    }
}

static void oldest_program_claims_too(void **state)
{
    (void)state;
    struct filter_bpf *bpf = filter_bpf__open();
    assert_non_null(bpf);
    bpf->rodata->link_header_bytes = ETH_HLEN;
    bpf->rodata->claimant = 77;
    bpf_program__set_autoload(bpf->progs.filter_keeps, false);
    bpf_program__set_autoload(bpf->progs.filter_gso_size, false);
    assert_int_equal(claims_describe(lab.claims, bpf->maps.claims, bpf->maps.claimants), 0);
    assert_int_equal(filter_bpf__load(bpf), 0);
    assert_int_equal(claims_lend(lab.claims, bpf->maps.claims, bpf->maps.claimants), 0);
    assert_int_equal(claims_join(lab.claims, 77), 0);

    uint8_t frame[FRAME_MAX];
    struct frame_spec spec = packet(CLIENT, TCP_ACK, PAYLOAD);
    const uint32_t word = SERVER_PORT / 64;
    const uint64_t bits = 1ull << SERVER_PORT % 64;
    assert_int_equal(bpf_map_update_elem(bpf_map__fd(bpf->maps.ports), &word, &bits, 0), 0);
    size_t link = frame_build_link(ETH_P_IP, no_tags, frame);
    size_t size = link + frame_build(&spec, frame + link, sizeof(frame) - link);
    assert_true(kernel_run(bpf_program__fd(bpf->progs.filter_gso_segs), frame, size, NULL) >= 0);
    assert_false(counts(A, &spec));
    filter_bpf__destroy(bpf);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down),                                      \
    {                                                                                              \
#name " with offload", name, set_up_keeps, tear_down, NULL                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_sees_it_first_counts_both_directions),
        TEST(packets_without_payload_are_duplicates_too),
        TEST(other_connections_are_others),
        TEST(what_is_claimed_is_free_when_its_owner_leaves),
        TEST(owner_that_comes_back_has_what_nobody_took),
        TEST(side_that_its_owner_never_sees_goes_to_another),
        TEST(side_that_its_owner_misses_for_long_goes_to_another),
        TEST(connection_between_the_same_ends_may_go_another_way),
        TEST(tags_make_no_difference),
        TEST(fragments_are_counted_once),
        TEST(each_packet_counts_once_when_claims_are_forgotten),
        cmocka_unit_test_setup_teardown(oldest_program_claims_too, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
