#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/dialogue.h"

/* --- snap length ------------------------------------------------------------------ */

static void cut_packets_count_in_full(void **state)
{
    (void)state;
    for (uint32_t snap = 40; snap < 130; snap++) {
        conversation_open(&c);
        c.snap_bytes = snap;
        request("GET /?s=yo HTTP/1.1\r\nHost: h\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n");
        reply("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
              "012345678901234567890123456789012345678901234567890123456789");
        request("GET /?s=yo HTTP/1.1\r\nHost: h\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n");
        reply("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
              "012345678901234567890123456789012345678901234567890123456789");
        conversation_close(&c);
        trial_finish(&t);
        if (snap >= 40 + 21) {
            assert_told("GET /?s=yo 200 yo 72/99\nGET /?s=yo 200 yo 72/99\n");
            assert_all_went_to("yo");
        }
        again(&(struct trial_options){0});
    }
}

/* --- links ----------------------------------------------------------------------------------- */

static void ipv6_counts_its_longer_header(void **state)
{
    (void)state;
    c.end[DIRECTION_IN].address = "fd00::2";
    c.end[DIRECTION_OUT].address = "fd00::1";
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_IN)->bytes, 32 + 60);
}

static void vlans_keep_the_same_addresses_apart(void **state)
{
    (void)state;
    struct conversation other;
    conversation_init(&other, &t.sink, 41000, 5000);
    c.vlan = 7;
    other.vlan = 8;
    conversation_open(&c);
    conversation_open(&other);
    request(REQUEST("a"));
    conversation_send_text(&other, DIRECTION_IN, REQUEST("b"));
    conversation_send_text(&other, DIRECTION_OUT, REPLY_OK);
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    trial_finish(&t);
    assert_told("GET /?s=b 200 b 31/40\nGET /?s=a 404 a 31/37\n");
}

static void super_packet_counts_as_its_segments(void **state)
{
    (void)state;
    static uint8_t body[10000];
    conversation_open(&c);
    request(REQUEST("yo"));
    reply("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
    c.gso_size = 1448;
    conversation_send(&c, DIRECTION_OUT, bytes_make(body, sizeof(body)));
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/10042\n");
    assert_all_went_to("yo");
    assert_int_equal(counts("yo", DIRECTION_OUT)->packets, 8);
    assert_int_equal(counts("yo", DIRECTION_OUT)->bytes, 10042 + 8 * HEADERS);
}

static void fragments_make_one_segment(void **state)
{
    (void)state;
    conversation_open(&c);
    struct frame_spec spec = {
        .source = "10.0.0.2",
        .destination = "10.0.0.1",
        .source_port = 41000,
        .destination_port = 80,
        .seq = c.end[DIRECTION_IN].seq,
        .ack = c.end[DIRECTION_IN].ack,
        .flags = TCP_ACK,
        .payload = BYTES(REQUEST("yo")),
    };
    uint8_t segment[200], packet[200];
    size_t size = frame_build_segment(&spec, segment, sizeof(segment));
    for (size_t start = 0; start < size; start += 24) {
        struct bytes data = bytes_make(segment + start, MIN(size - start, (size_t)24));
        struct fragment_spec fragment = {
            .id = 9, .offset = (uint16_t)start, .more = start + 24 < size};
        size_t bytes = frame_build_fragment(&spec, &fragment, data, packet, sizeof(packet));
        struct frame f = frame_of(bytes_make(packet, bytes), t.sink.now_ns);
        engine_frame(t.engine, &f);
    }
    conversation_miss(&c, DIRECTION_IN, 32);
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=yo 200 yo 32/40\n");
    assert_int_equal(counts("yo", DIRECTION_IN)->bytes, 3 * 20 + 20 + 32);
    assert_int_equal(counts("yo", DIRECTION_IN)->packets, 3);
}

static void fragments_that_stay_alone_are_untracked(void **state)
{
    (void)state;
    struct frame_spec spec = {.source = "10.0.0.2", .destination = "10.0.0.1", .flags = TCP_ACK};
    struct fragment_spec fragment = {.id = 1, .offset = 64, .more = true};
    uint8_t packet[200];
    size_t size = frame_build_fragment(&spec, &fragment, BYTES("01234567"), packet, sizeof(packet));
    struct frame f = frame_of(bytes_make(packet, size), t.sink.now_ns);
    engine_frame(t.engine, &f);
    engine_expire(t.engine, t.sink.now_ns + 31 * SECOND_NS);
    trial_report(&t);
    assert_int_equal(trial_interface(&t)->untracked_bytes, 28);
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->tcp_bytes, 28);
}

static void other_ports_are_not_counted(void **state)
{
    (void)state;
    again(&(struct trial_options){.port = 80});
    conversation_open(&c);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    uint64_t bytes = 3 * HEADERS + 32 + 40 + 2 * HEADERS;
    c.end[DIRECTION_OUT].port = 81;
    conversation_open(&c);
    request(REQUEST("yo"));
    trial_finish(&t);
    assert_int_equal(trial_interface(&t)->tcp_bytes, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cut_packets_count_in_full),           TEST(ipv6_counts_its_longer_header),
        TEST(vlans_keep_the_same_addresses_apart), TEST(super_packet_counts_as_its_segments),
        TEST(fragments_make_one_segment),          TEST(fragments_that_stay_alone_are_untracked),
        TEST(other_ports_are_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
