/*
 * What connections cost, and what the worst of them may cost. Heap is what
 * malloc says is in use, tables included.
 */
#include "core/engine.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "support/conversation.h"
#include "support/trial.h"

#define KIB 1024ull
#define MIB (1024 * KIB)

#define REPLY_OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct trial t;
static uint64_t heap_before;

static uint64_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static int begin(void **state)
{
    (void)state;
    trial_init(&t, &(struct trial_options){.sessions_max = 1000000, .unobserved = true});
    heap_before = heap_bytes();
    return 0;
}

static int end(void **state)
{
    (void)state;
    trial_deinit(&t);
    return 0;
}

/* Conversation number @number of very many. */
static void meet(struct conversation *c, uint32_t number)
{
    static const char *const clients[] = {"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"};
    conversation_init(c, &t.sink, (uint16_t)number, number * 99991);
    c->end[DIRECTION_IN].address = clients[(number >> 16) % ARRAY_SIZE(clients)];
}

static void assert_heap_grew_at_most(uint64_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
    (void)bytes; /* its malloc does not tell */
#else
    uint64_t grown = heap_bytes() - heap_before;
    assert_in_range(grown, 1, bytes);
#endif
}

static void idle_session_costs_at_most_1_kib(void **state)
{
    (void)state;
    enum { SESSIONS = 100000 };
    for (uint32_t i = 0; i < SESSIONS; i++) {
        struct conversation c;
        meet(&c, i);
        conversation_open(&c);
        conversation_send_text(&c, DIRECTION_IN, "GET /?s=yo HTTP/1.1\r\nHost: h\r\n\r\n");
        conversation_send_text(&c, DIRECTION_OUT, REPLY_OK);
    }
    trial_report(&t);
    assert_int_equal(ledger_interface(t.ledger, 0)->gauges.sessions, SESSIONS);
    assert_heap_grew_at_most(SESSIONS * KIB);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->replies[1], SESSIONS);
}

/* Client @number of 10.0.0.1, whose port is 80. */
static struct filter_record last_record(uint32_t number)
{
    struct filter_record r = {.kept = {.control = 40}, .last = true};
    for (unsigned side = 0; side < 2; side++)
        memcpy(r.flow.address[side],
               (const uint8_t[]){[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)(1 + side)}, 16);
    r.flow.port[0] = htons(80);
    r.flow.port[1] = htons((uint16_t)number);
    return r;
}

static void what_was_kept_of_connections_that_ended_costs_nothing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 60000; i++) {
        struct filter_record r = last_record(1024 + i);
        engine_kept(t.engine, &r);
    }
    for (unsigned seconds = 0; seconds < 3; seconds++)
        engine_expire(t.engine, t.sink.now_ns);
    assert_heap_grew_at_most(MIB);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "_unknown")->direction[DIRECTION_OUT].control, 60000 * 40);
}

static void flood_of_syns_costs_a_table_of_fixed_size(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200000; i++) {
        struct conversation c;
        meet(&c, i);
        conversation_syn(&c);
    }
    assert_heap_grew_at_most(16384 * 320);
    trial_finish(&t);
}

/* 64 MiB for all, then 1 KiB each, and what the session costs. */
static void half_heads_are_bounded(void **state)
{
    (void)state;
    enum { SESSIONS = 20000, PIECE = 16 * 1024 };
    static char target[PIECE];
    memset(target, 'a', sizeof(target));
    memcpy(target, "GET /", 5);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        struct conversation c;
        meet(&c, i);
        conversation_open(&c);
        conversation_send(&c, DIRECTION_IN, bytes_make(target, sizeof(target)));
    }
    assert_heap_grew_at_most(64 * MIB + SESSIONS * 4 * KIB);

    struct conversation c;
    meet(&c, SESSIONS);
    conversation_open(&c);
    conversation_send_text(&c, DIRECTION_IN, "GET /?s=yo HTTP/1.1\r\n");
    conversation_send_text(&c, DIRECTION_IN, "Host: h\r\n\r\n");
    conversation_send_text(&c, DIRECTION_OUT, REPLY_OK);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->replies[1], 1);
}

static void endless_head_costs_no_more_than_a_long_one(void **state)
{
    (void)state;
    static char header[60000];
    memset(header, 'a', sizeof(header));
    struct conversation c;
    meet(&c, 1);
    conversation_open(&c);
    conversation_send_text(&c, DIRECTION_IN, "GET /");
    for (unsigned i = 0; i < 500; i++)
        conversation_send(&c, DIRECTION_IN, bytes_make(header, sizeof(header)));
    conversation_send_text(&c, DIRECTION_IN, " HTTP/1.1\r\n");
    for (unsigned i = 0; i < 500; i++) {
        conversation_send_text(&c, DIRECTION_IN, "Host: ");
        conversation_send(&c, DIRECTION_IN, bytes_make(header, sizeof(header)));
        conversation_send_text(&c, DIRECTION_IN, "\r\n");
    }
    assert_heap_grew_at_most(512 * KIB);
    trial_finish(&t);
}

/* About 48 MiB for all, then 4 requests each. */
static void requests_that_wait_are_bounded(void **state)
{
    (void)state;
    enum { SESSIONS = 1500, REQUESTS = 400, AT_ONCE = 20 };
    static char burst[AT_ONCE * 18 + 1];
    for (unsigned i = 0; i < AT_ONCE; i++)
        memcpy(burst + i * 18, "GET / HTTP/1.1\r\n\r\n", 19);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        struct conversation c;
        meet(&c, i);
        conversation_open(&c);
        for (unsigned k = 0; k < REQUESTS / AT_ONCE; k++)
            conversation_send_text(&c, DIRECTION_IN, burst);
    }
    assert_heap_grew_at_most(64 * MIB);

    struct conversation c;
    meet(&c, SESSIONS);
    conversation_open(&c);
    conversation_send_text(&c, DIRECTION_IN,
                           "GET /?s=yo HTTP/1.1\r\n\r\nGET /?s=yo HTTP/1.1\r\n\r\n");
    conversation_send_text(&c, DIRECTION_OUT, REPLY_OK REPLY_OK);
    trial_finish(&t);
    assert_int_equal(trial_service(&t, "yo")->replies[1], 2);
    assert_int_equal(trial_service(&t, "_unspecified")->unanswered, SESSIONS * REQUESTS);
}

/* Again and again each in front of all that wait: the worst order. */
static void tiny_segments_out_of_order_are_bounded(void **state)
{
    (void)state;
    enum { ROUNDS = 50, SEGMENTS = 2048 };
    struct conversation c;
    meet(&c, 1);
    conversation_open(&c);
    conversation_send_text(&c, DIRECTION_IN, "GET /?s=yo HTTP/1.1\r\n");
    clock_t start = clock();
    for (int32_t round = 0; round < ROUNDS; round++) {
        for (int32_t i = SEGMENTS; i > 0; i--)
            conversation_send_at(&c, DIRECTION_IN, (round * SEGMENTS + i) * 2, BYTES("x"));
        assert_heap_grew_at_most(512 * KIB);
        conversation_send_at(&c, DIRECTION_IN, (round + 1) * SEGMENTS * 2 + 1, BYTES("x"));
    }
    double ns = (double)(clock() - start) / CLOCKS_PER_SEC * 1e9 / (ROUNDS * SEGMENTS);
    printf("%.0f ns a segment\n", ns);
    assert_in_range((uint64_t)ns, 0, 100000);
    trial_finish(&t);
}

/* 64 MiB, and what the sessions cost. */
static void early_segments_are_bounded(void **state)
{
    (void)state;
    enum { SESSIONS = 200, SEGMENTS = 400 };
    static char payload[1460];
    for (uint32_t i = 0; i < SESSIONS; i++) {
        struct conversation c;
        meet(&c, i);
        conversation_open(&c);
        conversation_send_text(&c, DIRECTION_IN, "GET /?s=yo HTTP/1.1\r\n");
        for (int32_t k = 1; k <= SEGMENTS; k++)
            conversation_send_at(&c, DIRECTION_IN, k * 2000, bytes_make(payload, sizeof(payload)));
    }
    assert_heap_grew_at_most(70 * MIB);
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->not_http_bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(idle_session_costs_at_most_1_kib),
        TEST(what_was_kept_of_connections_that_ended_costs_nothing),
        TEST(flood_of_syns_costs_a_table_of_fixed_size),
        TEST(half_heads_are_bounded),
        TEST(endless_head_costs_no_more_than_a_long_one),
        TEST(requests_that_wait_are_bounded),
        TEST(tiny_segments_out_of_order_are_bounded),
        TEST(early_segments_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
