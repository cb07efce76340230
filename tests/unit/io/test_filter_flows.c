/*
 * What the filter does with what is not in order, how flows begin and end, and their bounds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/macros.h"
#include "support/scene.h"

/* --- not in order ------------------------------------------------------------------ */

static void gap_in_a_body_tells_its_place(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    uint32_t end = s->seq[SERVER];
    s->seq[SERVER] += 500;
    assert_int_equal(scene_send(s, SERVER, scene_filler(1000)), 0);
    assert_int_equal(scene_recorded(s, SERVER)->end_seq, end);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(scene_send_at(s, SERVER, -2500, scene_filler(500)), 0);
    const struct filter_kept *kept = scene_recorded(s, SERVER);
    assert_int_equal(kept->end_seq, s->seq[SERVER]);
    assert_int_equal(kept->payload, 2000);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    scene_assert_keeps_next_exchange(s);
}

static void what_comes_again_in_a_body_is_delivered_without_payload(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(scene_send_at(s, SERVER, -1000, scene_filler(1000)), 0);
    assert_int_equal(scene_recorded(s, SERVER)->payload, 1000);
    assert_int_equal(scene_send_at(s, SERVER, -500, scene_filler(1000)), 0);
    assert_int_equal(s->record_count, 0);
    s->seq[SERVER] += 500;
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    scene_assert_keeps_next_exchange(s);
}

static void request_that_comes_again_changes_nothing(void **state)
{
    struct scene *s = *state;
    int size = (int)strlen(GET);
    scene_begin_body(s);
    assert_int_equal(scene_send_at(s, CLIENT, -size, bytes_from_string(GET)), size);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    scene_assert_keeps_next_exchange(s);
}

/* --- ends -------------------------------------------------------------------------- */

static void end_inside_a_body_is_delivered_without_payload(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    s->flags = TCP_FIN;
    assert_int_equal(scene_send(s, SERVER, scene_filler(500)), 0);
    assert_int_equal(scene_recorded(s, SERVER)->payload, 1000);
    assert_int_equal(scene_flow_count(s), 1);
}

/* The last packet made @count records, behind which no more follows. Returns the last of them. */
static const struct filter_record *assert_ended(struct scene *s, unsigned count)
{
    assert_int_equal(s->record_count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(s->records[i].last, i == count - 1);
    assert_int_equal(scene_flow_count(s), 0);
    return &s->records[count - 1];
}

static void flow_ends_when_both_sides_have(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(scene_send_flags(s, SERVER, TCP_FIN), 0);
    assert_int_equal(scene_recorded(s, SERVER)->payload, 1000);
    ASSERT_ACK_KEPT(s, CLIENT);
    assert_int_equal(scene_send_flags(s, CLIENT, TCP_FIN), 0);
    scene_assert_kept(&assert_ended(s, 1)->kept, 0, 0, HEADER);
    scene_record(s, 0, CLIENT);
    assert_int_equal(scene_say(s, SERVER, ""), 0);
    assert_int_equal(scene_flow_count(s), 0);
}

static void flow_ends_with_a_reset(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(scene_send_flags(s, CLIENT, TCP_RST), 0);
    scene_assert_kept(&assert_ended(s, 1)->kept, HEADER + 1000, 1, 0);
    scene_record(s, 0, SERVER);
}

static void end_of_a_flow_tells_of_both_sides(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_ACK_KEPT(s, CLIENT);
    assert_int_equal(scene_send_flags(s, CLIENT, TCP_RST), 0);
    assert_ended(s, 2);
    for (unsigned i = 0; i < 2; i++) {
        bool server = s->records[i].side == scene_side(s, &s->records[i].flow, SERVER);
        scene_assert_kept(&s->records[i].kept, server ? HEADER + 1000 : 0, server,
                          server ? 0 : HEADER);
    }
}

static void end_of_a_flow_that_was_told_of_is_told_all_the_same(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(scene_send_flags(s, SERVER, TCP_FIN), 0);
    assert_int_equal(scene_recorded(s, SERVER)->payload, 1000);
    assert_int_equal(scene_send_flags(s, SERVER, TCP_RST), 0);
    assert_ended(s, 1);
}

static void flow_of_which_nothing_was_kept_ends_without_a_record(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    assert_int_equal(scene_send_flags(s, SERVER, TCP_RST), 0);
    assert_int_equal(s->record_count, 0);
    assert_int_equal(scene_flow_count(s), 0);
}

static void connection_between_the_same_ends_begins_anew(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    scene_order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    s->seq[CLIENT] += 1000000;
    assert_int_equal(scene_send_flags(s, CLIENT, TCP_SYN), 0);
    assert_int_equal(s->record_count, 1);
    assert_int_equal(s->records[0].last, 0);
    assert_int_equal(scene_find(s).flow.unsafe, 1);
    assert_int_equal(scene_send_flags(s, SERVER, TCP_SYN), 0);
    ASSERT_DELIVERED(s, CLIENT, "no request");
    ASSERT_DELIVERED(s, CLIENT, "nor an order");
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
}

/* --- bounds ------------------------------------------------------------------------ */

/* A record's range must not wrap, however long nothing is delivered. */
static void record_is_made_of_each_gibibyte(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    scene_order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    uint64_t kept = 0;
    unsigned records = 0;
    while (records == 0 && kept < 2ull << 30) {
        ASSERT_BODY_KEPT(s, CLIENT, SCENE_PAYLOAD_MAX);
        kept += SCENE_PAYLOAD_MAX;
        records += s->record_count;
    }
    assert_int_equal(records, 1);
    assert_int_equal(scene_recorded(s, CLIENT)->payload, kept);
    assert_in_range(kept, 1 << 30, (1 << 30) + SCENE_PAYLOAD_MAX);
    ASSERT_BODY_KEPT(s, CLIENT, SCENE_PAYLOAD_MAX);
    assert_int_equal(s->record_count, 0);
}

static void flows_that_there_is_no_room_for_are_delivered(void **state)
{
    struct scene *s = *state;
    for (unsigned i = 0; i < FILTER_FLOWS_MAX; i++) {
        s->client_port = (uint16_t)i;
        s->address[CLIENT] = i & 1 ? "10.0.0.3" : "10.0.0.1";
        assert_int_equal(scene_say(s, CLIENT, GET), strlen(GET));
    }
    s->address[CLIENT] = "10.0.0.4";
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_int_equal(scene_say(s, SERVER, ""), 0);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    assert_int_equal(s->record_count, 0);

    s->address[CLIENT] = "10.0.0.3";
    ASSERT_ACK_KEPT(s, SERVER);
}

/* Nobody reads the records: those for which there was room stay as they were made. */
static void record_without_room_is_told_with_the_next(void **state)
{
    struct scene *s = *state;
    enum { MORE_THAN_FIT = FILTER_RECORDS_BYTES / sizeof(struct filter_record) };
    scene_begin_body(s);
    for (unsigned i = 0; i < MORE_THAN_FIT; i++) {
        assert_int_equal(scene_send_unread(s, SERVER, bytes_from_string("body")), DROPPED);
        assert_int_equal(scene_send_unread(s, CLIENT, bytes_from_string(GET)), strlen(GET));
        assert_int_equal(scene_send_unread(s, SERVER, bytes_from_string(REPLY_HEAD)),
                         strlen(REPLY_HEAD));
    }
    scene_read_records(s);
    assert_in_range(s->record_count, MORE_THAN_FIT / 2, MORE_THAN_FIT - 1);
    assert_int_equal(scene_record(s, 0, SERVER)->kept.payload, 4);
    assert_int_equal(scene_record(s, 1, SERVER)->kept.payload, 8);

    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1 408 Too late\r\n\r\n");
    scene_assert_kept(scene_recorded(s, SERVER), MORE_THAN_FIT * (HEADER + 4ull), MORE_THAN_FIT, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gap_in_a_body_tells_its_place),
        TEST(what_comes_again_in_a_body_is_delivered_without_payload),
        TEST(request_that_comes_again_changes_nothing),
        TEST(end_inside_a_body_is_delivered_without_payload),
        TEST(flow_ends_when_both_sides_have),
        TEST(flow_ends_with_a_reset),
        TEST(end_of_a_flow_tells_of_both_sides),
        TEST(end_of_a_flow_that_was_told_of_is_told_all_the_same),
        TEST(flow_of_which_nothing_was_kept_ends_without_a_record),
        TEST(connection_between_the_same_ends_begins_anew),
        TEST(record_is_made_of_each_gibibyte),
        TEST(flows_that_there_is_no_room_for_are_delivered),
        TEST(record_without_room_is_told_with_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
