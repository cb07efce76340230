/*
 * What the filter keeps because the agent has ordered it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/macros.h"
#include "support/scene.h"

/* --- orders ------------------------------------------------------------------------ */

static void ordered_length_is_kept_up_to_its_end(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    scene_order(s, CLIENT, FILTER_ORDER_LENGTH, s->seq[CLIENT] + 2000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1);
    assert_int_equal(scene_recorded(s, CLIENT)->payload, 2000);
}

static void packet_across_the_end_of_an_ordered_length_is_delivered_whole(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    scene_order(s, CLIENT, FILTER_ORDER_LENGTH, s->seq[CLIENT] + 1999);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void sequence_numbers_wrap_in_an_ordered_length(void **state)
{
    struct scene *s = *state;
    s->seq[CLIENT] = s->ack[SERVER] = UINT32_MAX - 1500;
    scene_become_unsafe(s);
    scene_order(s, CLIENT, FILTER_ORDER_LENGTH, s->seq[CLIENT] + 3000);
    for (int i = 0; i < 3; i++)
        ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void ordered_turn_ends_when_the_other_side_sends(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    scene_order(s, SERVER, FILTER_ORDER_TURN, s->seq[CLIENT]);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_ACK_KEPT(s, CLIENT);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
}

static void ordered_turn_holds_before_the_other_side_has_sent_anything(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    scene_order(s, CLIENT, FILTER_ORDER_TURN, s->seq[SERVER]);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_ACK_KEPT(s, SERVER);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void turn_that_was_ordered_too_late_has_no_effect(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    uint32_t then = s->seq[SERVER];
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    scene_order(s, CLIENT, FILTER_ORDER_TURN, then);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

static void ordered_tunnel_is_kept_but_for_its_end(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    scene_order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    assert_int_equal(scene_say(s, CLIENT, GET), DROPPED);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    assert_int_equal(scene_say(s, CLIENT, GET), DROPPED);
    s->flags = TCP_FIN;
    assert_int_equal(scene_send(s, CLIENT, scene_filler(500)), 0);
    assert_int_equal(scene_recorded(s, CLIENT)->payload, 2 * strlen(GET));
}

static void what_is_not_in_order_is_delivered_in_spite_of_an_order(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    scene_order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
    assert_int_equal(scene_send_at(s, CLIENT, -1000, scene_filler(1000)), 1000);
    assert_int_equal(scene_recorded(s, CLIENT)->payload, 1000);
    s->seq[CLIENT] += 10;
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
    ASSERT_BODY_KEPT(s, CLIENT, 1000);
}

static void flow_that_is_forgotten_has_no_order(void **state)
{
    struct scene *s = *state;
    scene_become_unsafe(s);
    scene_order(s, CLIENT, FILTER_ORDER_TUNNEL, 0);
    struct scene_finding found = scene_find(s);
    filter_forget(s->filter, &found.key);
    assert_int_equal(scene_flow_count(s), 0);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
    ASSERT_BODY_DELIVERED(s, CLIENT, 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ordered_length_is_kept_up_to_its_end),
        TEST(packet_across_the_end_of_an_ordered_length_is_delivered_whole),
        TEST(sequence_numbers_wrap_in_an_ordered_length),
        TEST(ordered_turn_ends_when_the_other_side_sends),
        TEST(ordered_turn_holds_before_the_other_side_has_sent_anything),
        TEST(turn_that_was_ordered_too_late_has_no_effect),
        TEST(ordered_tunnel_is_kept_but_for_its_end),
        TEST(what_is_not_in_order_is_delivered_in_spite_of_an_order),
        TEST(flow_that_is_forgotten_has_no_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
