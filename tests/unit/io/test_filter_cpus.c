/*
 * Packets of one flow that meet in the filter on two CPUs: what is told of a flow ends
 * once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "support/kernel_run.h"
#include "support/scene.h"

enum { ROUNDS = 30000, STOP, TURNS_MAX = 200, PORT_MIN = 10000 };

struct frame_bytes {
    uint8_t data[SCENE_FRAME_MAX];
    size_t size;
};

/* A connection's packets, one round after the other with another client's port. */
struct meeting {
    struct scene *scene;
    struct frame_bytes last[2]; /* what meets, by who sends it */

    atomic_uint round; /* which the other thread may run, from 1. STOP: none any more */
    atomic_uint done;  /* which it has run */
    unsigned turns;    /* how long it hesitates */

    unsigned refused_count;           /* frames that the kernel did not take */
    bool over[PORT_MIN + ROUNDS + 1]; /* by port: a last record was there */
    unsigned late_count;              /* records that came behind */
    unsigned last_count;
};

static bool run(const struct meeting *m, enum who who)
{
    const struct frame_bytes *f = &m->last[who];
    return kernel_run(filter_fd(m->scene->filter), f->data, f->size, NULL) >= 0;
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
        m->refused_count += !run(m, CLIENT);
        atomic_store(&m->done, next);
    }
}

static void take_record(void *context, const struct filter_record *r)
{
    struct meeting *m = context;
    bool *over = &m->over[ntohs(r->flow.port[scene_side(m->scene, &r->flow, CLIENT)])];
    m->late_count += *over;
    m->last_count += r->last;
    *over |= r->last;
}

/* What @who sends next, with @flags and without payload. */
static void build(struct meeting *m, enum who who, uint8_t flags)
{
    m->scene->flags = flags;
    struct frame_spec spec = scene_spec(m->scene, who, bytes_make(NULL, 0));
    m->last[who].size = scene_build(m->scene, &spec, m->last[who].data);
    m->scene->flags = 0;
}

/* Both sides have something kept that is not told yet. */
static void exchange(struct scene *s)
{
    scene_begin_body(s);
    assert_int_equal(scene_send_unread(s, SERVER, bytes_from_string("body")), DROPPED);
    assert_int_equal(scene_send_unread(s, CLIENT, bytes_make(NULL, 0)), DROPPED);
}

static void meet_once(struct meeting *m, unsigned round)
{
    m->turns = round * 7 % TURNS_MAX;
    atomic_store(&m->round, round);
    hesitate(round * 11 % TURNS_MAX);
    bool taken = run(m, SERVER);
    while (atomic_load(&m->done) < round)
        sched_yield();
    m->refused_count += !taken;
    filter_records(m->scene->filter, take_record, m);
}

/* After each exchange a packet of each side with its flags meets the other's. */
static void meet(struct scene *s, uint8_t client_flags, uint8_t server_flags)
{
    static struct meeting m;
    m = (struct meeting){.scene = s};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_client, &m), 0);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        s->client_port = (uint16_t)(PORT_MIN + round);
        exchange(s);
        build(&m, CLIENT, client_flags);
        build(&m, SERVER, server_flags);
        meet_once(&m, round);
    }
    atomic_store(&m.round, STOP);
    pthread_join(thread, NULL);

    assert_int_equal(m.refused_count, 0);
    assert_int_equal(scene_flow_count(s), 0);
    assert_int_equal(m.last_count, ROUNDS);
    assert_int_equal(m.late_count, 0);
}

static void ends_of_both_sides_are_one_end(void **state)
{
    meet(*state, TCP_FIN, TCP_FIN);
}

static void reset_and_end_are_one_end(void **state)
{
    meet(*state, TCP_RST, TCP_FIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ends_of_both_sides_are_one_end),
        TEST(reset_and_end_are_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
