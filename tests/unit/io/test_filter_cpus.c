/*
 * Packets of one flow that meet in the filter on two CPUs (BPF_PROG_TEST_RUN in two
 * threads): what is told of a flow ends once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "io/filter.h"
#include "support/frames.h"
#include "support/skip.h"

/* The kernel takes a link header off before the program sees the rest, so there are two. */
enum { LINK = 2 * ETH_HLEN, FRAME_MAX = LINK + 200 };
enum { SERVER_PORT = 80, PORT_MIN = 1024 };
enum { ROUNDS = 30000, STOP, TURNS_MAX = 200 };

#define GET   "GET / HTTP/1.1\r\n\r\n"
#define REPLY "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

enum who { CLIENT, SERVER };

struct frame_bytes {
    uint8_t data[FRAME_MAX];
    size_t size;
};

/* A connection's packets, one round after the other with another client's port. */
struct meeting {
    struct filter *filter;
    uint16_t client_port;
    uint32_t seq[2];
    struct frame_bytes last[2]; /* what meets */

    atomic_uint round; /* which the other thread may run, from 1. STOP: none any more */
    atomic_uint done;  /* which it has run */
    unsigned turns;    /* how long it hesitates */

    bool over[PORT_MIN + ROUNDS + 1]; /* by port: a last record was there */
    unsigned late_count;              /* records that came behind */
    unsigned last_count;
};

static void build(const struct meeting *m, enum who who, uint8_t flags, const char *text,
                  struct frame_bytes *out)
{
    static const char *const address[] = {"10.0.0.1", "10.0.0.2"};
    struct frame_spec spec = {
        .source = address[who],
        .destination = address[!who],
        .source_port = who == CLIENT ? m->client_port : SERVER_PORT,
        .destination_port = who == CLIENT ? SERVER_PORT : m->client_port,
        .seq = m->seq[who],
        .ack = m->seq[!who],
        .flags = TCP_ACK | flags,
        .payload = bytes_from_string(text),
    };
    memset(out->data, 0, LINK);
    out->data[LINK - 2] = ETH_P_IP >> 8;
    out->size = LINK + frame_build(&spec, out->data + LINK, FRAME_MAX - LINK);
}

/* Returns whether the kernel took it. */
static bool run(const struct meeting *m, const struct frame_bytes *f)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->data, .data_size_in = (uint32_t)f->size);
    return bpf_prog_test_run_opts(filter_fd(m->filter), &opts) == 0;
}

static void send_text(struct meeting *m, enum who who, const char *text)
{
    struct frame_bytes f;
    build(m, who, 0, text, &f);
    assert_true(run(m, &f));
    m->seq[who] += (uint32_t)strlen(text);
}

static void hesitate(unsigned turns)
{
    for (volatile unsigned i = 0; i < turns; i++)
        ;
}

static void *run_client(void *context)
{
    struct meeting *m = context;
    for (unsigned next = 1;; next++) {
        unsigned round;
        while ((round = atomic_load(&m->round)) < next)
            sched_yield();
        if (round == STOP)
            return NULL;
        hesitate(m->turns);
        run(m, &m->last[CLIENT]);
        atomic_store(&m->done, next);
    }
}

static void take_record(void *context, const struct filter_record *r)
{
    struct meeting *m = context;
    uint16_t server = htons(SERVER_PORT);
    bool *over = &m->over[ntohs(r->flow.port[r->flow.port[0] == server])];
    m->late_count += *over;
    m->last_count += r->last;
    *over |= r->last;
}

static void count_flow(void *context, const struct flow *flow, const struct filter_flow *f)
{
    (void)flow;
    (void)f;
    ++*(unsigned *)context;
}

/* An exchange of which each side has something kept, not told yet. */
static void exchange(struct meeting *m)
{
    m->seq[CLIENT] = 1000;
    m->seq[SERVER] = 500000;
    send_text(m, CLIENT, GET);
    send_text(m, SERVER, "");
    send_text(m, SERVER, REPLY);
    send_text(m, SERVER, "body");
    send_text(m, CLIENT, "");
}

/* After each exchange a packet of each side with its flags meets the other's. */
static void meet(struct meeting *m, uint8_t client_flags, uint8_t server_flags)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_client, m), 0);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        m->client_port = (uint16_t)(PORT_MIN + round);
        exchange(m);
        build(m, CLIENT, client_flags, "", &m->last[CLIENT]);
        build(m, SERVER, server_flags, "", &m->last[SERVER]);
        m->turns = round * 7 % TURNS_MAX;
        atomic_store(&m->round, round);
        hesitate(round * 11 % TURNS_MAX);
        assert_true(run(m, &m->last[SERVER]));
        while (atomic_load(&m->done) < round)
            sched_yield();
        filter_records(m->filter, take_record, m);
    }
    atomic_store(&m->round, STOP);
    pthread_join(thread, NULL);
}

/* All flows have ended, and nothing was told of one behind its end. */
static void assert_ended_once(struct meeting *m)
{
    unsigned left = 0;
    assert_int_equal(filter_flows(m->filter, count_flow, &left), 0);
    assert_int_equal(left, 0);
    assert_int_equal(m->last_count, ROUNDS);
    assert_int_equal(m->late_count, 0);
}

static void ends_of_both_sides_are_one_end(void **state)
{
    meet(*state, TCP_FIN, TCP_FIN);
    assert_ended_once(*state);
}

static void reset_and_end_are_one_end(void **state)
{
    meet(*state, TCP_RST, TCP_FIN);
    assert_ended_once(*state);
}

static int set_up(void **state)
{
    struct meeting *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    struct port_set ports = {0};
    port_set_add(&ports, SERVER_PORT);
    int r = filter_open(&m->filter, &(struct filter_options){
                                        .link_header_bytes = ETH_HLEN,
                                        .super_packets = true,
                                        .keeps = true,
                                        .ports = &ports,
                                    });
    if (r == -EPERM)
        test_skip("loading a filter needs CAP_BPF");
    *state = m;
    return r;
}

static int tear_down(void **state)
{
    struct meeting *m = *state;
    m->filter = filter_close(m->filter);
    free(m);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ends_of_both_sides_are_one_end),
        TEST(reset_and_end_are_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
