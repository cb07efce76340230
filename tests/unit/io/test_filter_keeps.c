/*
 * What the filter keeps of an exchange, and what it delivers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/macros.h"
#include "support/scene.h"

/* --- one exchange ------------------------------------------------------------------ */

static void handshake_is_delivered_and_tracks_nothing(void **state)
{
    struct scene *s = *state;
    scene_handshake(s);
    assert_int_equal(scene_flow_count(s), 0);
    assert_int_equal(s->record_count, 0);
}

static void acknowledgements_are_kept(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    ASSERT_ACK_KEPT(s, SERVER);
    ASSERT_ACK_KEPT(s, SERVER);
    ASSERT_ACK_KEPT(s, CLIENT);
    struct scene_finding found = scene_find(s);
    assert_int_equal(found.count, 1);
    scene_assert_kept(&found.flow.kept[scene_side(s, &found.key, SERVER)], 0, 0, 2 * HEADER);
    scene_assert_kept(&found.flow.kept[scene_side(s, &found.key, CLIENT)], 0, 0, HEADER);
    struct filter_counts counts = scene_counts(s);
    assert_int_equal(counts.of[FILTER_KEPT_OUT].control, 2 * HEADER);
    assert_int_equal(counts.of[FILTER_KEPT_IN].control, HEADER);
    assert_int_equal(counts.of[FILTER_IN].bytes, HEADER + strlen(GET));
}

/* Request, head, body, and the next: what was kept is told before. */
static void exchange_twice(struct scene *s, size_t header_bytes)
{
    scene_begin_body(s);
    ASSERT_ACK_KEPT(s, CLIENT);
    uint32_t body_seq = s->seq[SERVER];
    ASSERT_BODY_KEPT(s, SERVER, 1448);
    ASSERT_BODY_KEPT(s, SERVER, 552);
    ASSERT_ACK_KEPT(s, CLIENT);
    assert_int_equal(scene_flow_count(s), 1);

    uint32_t request_seq = s->seq[CLIENT];
    ASSERT_DELIVERED(s, CLIENT, GET);
    const struct filter_kept *kept = scene_recorded(s, CLIENT);
    scene_assert_kept(kept, 0, 0, 2 * header_bytes);
    assert_int_equal(kept->payload, 0);
    assert_int_equal(kept->end_seq, request_seq);

    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    kept = scene_recorded(s, SERVER);
    scene_assert_kept(kept, 2 * header_bytes + 2000, 2, 0);
    assert_int_equal(kept->payload, 2000);
    assert_int_equal(kept->end_seq, body_seq + 2000);

    ASSERT_BODY_KEPT(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
    assert_int_equal(s->record_count, 0);
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    kept = scene_recorded(s, SERVER);
    scene_assert_kept(kept, 3 * header_bytes + 3000, 3, 0);
    assert_int_equal(kept->payload, 3000);
    assert_int_equal(s->records[0].number, 2);
    struct scene_finding found = scene_find(s);
    assert_int_equal(found.flow.record_count[scene_side(s, &found.key, SERVER)], 2);
}

static void body_is_kept_and_told_before_the_next_reply(void **state)
{
    struct scene *s = *state;
    exchange_twice(s, HEADER);
    struct filter_counts counts = scene_counts(s);
    assert_int_equal(counts.of[FILTER_KEPT_OUT].bytes, 3 * HEADER + 3000);
    assert_int_equal(counts.of[FILTER_KEPT_OUT].packets, 3);
    assert_int_equal(counts.of[FILTER_OUT].bytes, 3 * (HEADER + strlen(REPLY_HEAD)));
    assert_int_equal(counts.of[FILTER_OUT].packets, 3);
}

static void client_may_be_either_side(void **state)
{
    struct scene *s = *state;
    s->address[CLIENT] = "10.0.0.3";
    exchange_twice(s, HEADER);
}

static void ipv6_is_kept(void **state)
{
    struct scene *s = *state;
    s->address[CLIENT] = "fd00::2";
    s->address[SERVER] = "fd00::1";
    exchange_twice(s, HEADER6);
}

static void flows_of_a_vlan_are_its_own(void **state)
{
    struct scene *s = *state;
    s->vlan = 7;
    exchange_twice(s, HEADER);
    assert_int_equal(scene_find(s).key.vlan[0], 7);
    s->vlan = 8;
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    assert_int_equal(scene_flow_count(s), 2);
}

static void sequence_numbers_wrap_in_a_body(void **state)
{
    struct scene *s = *state;
    s->seq[SERVER] = s->ack[CLIENT] = UINT32_MAX - 1000;
    exchange_twice(s, HEADER);
}

static void super_packet_is_kept_as_its_segments(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    s->gso_size = 1000;
    ASSERT_BODY_KEPT(s, SERVER, 2500);
    s->gso_size = 0;
    struct scene_finding found = scene_find(s);
    scene_assert_kept(&found.flow.kept[scene_side(s, &found.key, SERVER)], 3 * HEADER + 2500, 3, 0);
}

static void head_that_a_large_body_follows_is_cut_off(void **state)
{
    struct scene *s = *state;
    size_t head = strlen(REPLY_HEAD);
    for (int i = 0; i < 10; i++) {
        s->client_port++;
        scene_ask(s);
        int delivered = scene_send(s, SERVER, scene_text_and_filler(REPLY_HEAD, 1400 + (size_t)i));
        assert_in_range(delivered, head, head + 6);
        ASSERT_BODY_KEPT(s, SERVER, 1000);
        scene_assert_keeps_next_exchange(s);
    }
}

/* Wherever in a look at 8 bytes the empty line is. */
static void end_of_head_is_found_at_any_place(void **state)
{
    struct scene *s = *state;
    for (size_t size = strlen(REPLY_HEAD); size < strlen(REPLY_HEAD) + 16; size++) {
        char head[128] = {0};
        struct bytes b = scene_head_of_size(REPLY_HEAD, size);
        memcpy(head, b.data, b.size);
        s->client_port++;
        scene_ask(s);
        int delivered = scene_send(s, SERVER, scene_text_and_filler(head, 1400));
        assert_in_range(delivered, size, size + 6);
        ASSERT_BODY_KEPT(s, SERVER, 1000);
    }
}

static void head_of_line_feeds_alone_is_cut_off(void **state)
{
    struct scene *s = *state;
    static const char head[] = "HTTP/1.0 200 OK\nServer: old\n\n";
    scene_ask(s);
    int delivered = scene_send(s, SERVER, scene_text_and_filler(head, 1400));
    assert_in_range(delivered, sizeof(head) - 1, sizeof(head) + 6);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

static void short_reply_is_delivered_whole(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(scene_send(s, SERVER, scene_text_and_filler(REPLY_HEAD, 768)), 768);
        ASSERT_ACK_KEPT(s, CLIENT);
        ASSERT_DELIVERED(s, CLIENT, GET);
    }
    ASSERT_DELIVERED(s, SERVER, REPLY_HEAD);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

/* The end of its head was not looked for: what follows may be more of it. */
static void body_behind_a_short_beginning_is_delivered(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    assert_int_equal(scene_send(s, SERVER, scene_text_and_filler(REPLY_HEAD, 768)), 768);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    scene_assert_keeps_next_exchange(s);
}

static void reply_head_in_two_packets_is_delivered(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    ASSERT_DELIVERED(s, SERVER, "HTTP/1.1 200 OK\r\nContent-");
    ASSERT_DELIVERED(s, SERVER, "Length: 100000\r\n\r\n");
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    scene_assert_keeps_next_exchange(s);
}

static void reply_head_that_is_too_long_to_look_at_is_delivered(void **state)
{
    struct scene *s = *state;
    char head[1101] = {0};
    struct bytes b = scene_head_of_size(REPLY_HEAD, 1100);
    memcpy(head, b.data, b.size);
    scene_ask(s);
    assert_int_equal(scene_send(s, SERVER, scene_text_and_filler(head, 1400)), 1400);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    scene_assert_keeps_next_exchange(s);
}

static void long_reply_head_alone_in_its_packet_is_fine(void **state)
{
    struct scene *s = *state;
    scene_ask(s);
    assert_int_equal(scene_send(s, SERVER, scene_head_of_size(REPLY_HEAD, 1400)), 1400);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

static void start_line_inside_a_body_is_delivered(void **state)
{
    struct scene *s = *state;
    scene_begin_body(s);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
    assert_int_equal(scene_send(s, SERVER, scene_text_and_filler("HTTP/1.1 200 OK\r\n", 1000)),
                     1000);
    assert_int_equal(scene_recorded(s, SERVER)->payload, 1000);
    ASSERT_BODY_KEPT(s, SERVER, 1000);
}

static void connection_joined_in_a_body_is_delivered(void **state)
{
    struct scene *s = *state;
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    ASSERT_BODY_DELIVERED(s, SERVER, 1000);
    ASSERT_DELIVERED(s, CLIENT, GET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handshake_is_delivered_and_tracks_nothing),
        TEST(acknowledgements_are_kept),
        TEST(body_is_kept_and_told_before_the_next_reply),
        TEST(client_may_be_either_side),
        TEST(ipv6_is_kept),
        TEST(flows_of_a_vlan_are_its_own),
        TEST(sequence_numbers_wrap_in_a_body),
        TEST(super_packet_is_kept_as_its_segments),
        TEST(head_that_a_large_body_follows_is_cut_off),
        TEST(end_of_head_is_found_at_any_place),
        TEST(head_of_line_feeds_alone_is_cut_off),
        TEST(short_reply_is_delivered_whole),
        TEST(body_behind_a_short_beginning_is_delivered),
        TEST(reply_head_in_two_packets_is_delivered),
        TEST(reply_head_that_is_too_long_to_look_at_is_delivered),
        TEST(long_reply_head_alone_in_its_packet_is_fine),
        TEST(start_line_inside_a_body_is_delivered),
        TEST(connection_joined_in_a_body_is_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
