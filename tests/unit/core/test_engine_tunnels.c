#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/dialogue.h"

static void connect_that_succeeds_is_a_tunnel(void **state)
{
    (void)state;
    conversation_open(&c);
    request("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
    reply("HTTP/1.1 200 Connected\r\n\r\n");
    request("GET /?s=inner HTTP/1.1\r\n\r\n");
    reply(REPLY_OK);
    request("\x16\x03\x01");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("CONNECT a:443 200 _unspecified 68/66\n");
    assert_int_equal(trial_service(&t, "inner")->requests, 0);
}

static void connect_that_fails_goes_on_with_http(void **state)
{
    (void)state;
    conversation_open(&c);
    request("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
    reply("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    request(REQUEST("yo"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("CONNECT a:443 403 _unspecified 39/40\nGET /?s=yo 200 yo 32/40\n");
}

static void client_that_does_not_wait_for_the_tunnel(void **state)
{
    (void)state;
    conversation_open(&c);
    request("CONNECT a:443 HTTP/1.1\r\n\r\n\x16\x03\x01");
    request("GET /?s=inner HTTP/1.1\r\n\r\n");
    reply("HTTP/1.1 200 Connected\r\n\r\nserver first");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("CONNECT a:443 200 _unspecified 55/38\n");
}

#define UPGRADE "GET /?s=ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

static void switched_protocol_belongs_to_its_request(void **state)
{
    (void)state;
    conversation_open(&c);
    request(UPGRADE);
    reply("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x05hello");
    request("\x81\x85maskhello");
    reply(REPLY_OK);
    request(REQUEST("inner"));
    trial_report(&t); /* what flows is charged as it flows */
    assert_int_equal(trial_service(&t, "ws")->direction[DIRECTION_IN].payload, 64 + 11 + 35);
    conversation_close(&c);
    trial_finish(&t);
    assert_told("GET /?s=ws 101 ws 110/93\n");
    assert_int_equal(trial_service(&t, "ws")->replies[0], 1);
    assert_int_equal(trial_service(&t, "inner")->requests, 0);
}

static void upgrade_that_is_ignored(void **state)
{
    (void)state;
    conversation_open(&c);
    request(UPGRADE);
    reply(REPLY_OK);
    request(REQUEST("yo"));
    reply(REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=ws 200 ws 64/40\nGET /?s=yo 200 yo 32/40\n");
}

static void pipelined_behind_an_upgrade_that_is_ignored(void **state)
{
    (void)state;
    conversation_open(&c);
    request(UPGRADE);
    request(REQUEST("yo"));
    reply(REPLY_OK REPLY_OK);
    trial_finish(&t);
    assert_told("GET /?s=ws 200 ws 64/40\nGET /?s=yo 200 yo 32/40\n");
}

static void upgrade_with_an_interim_reply_first(void **state)
{
    (void)state;
    conversation_open(&c);
    request("POST /?s=up HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
            "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    reply("HTTP/1.1 100 C\r\n\r\n");
    request("ab");
    reply("HTTP/1.1 101 S\r\n\r\n");
    request("PRI * HTTP/2.0\r\n\r\n");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("POST /?s=up 100,101 up 120/36\n");
}

static void http_2_with_prior_knowledge_is_not_http_1(void **state)
{
    (void)state;
    conversation_open(&c);
    request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    reply("\0\0\x12");
    conversation_close(&c);
    trial_finish(&t);
    assert_told("");
    assert_int_equal(trial_interface(&t)->not_http_bytes, trial_interface(&t)->tcp_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connect_that_succeeds_is_a_tunnel),
        TEST(connect_that_fails_goes_on_with_http),
        TEST(client_that_does_not_wait_for_the_tunnel),
        TEST(switched_protocol_belongs_to_its_request),
        TEST(upgrade_that_is_ignored),
        TEST(pipelined_behind_an_upgrade_that_is_ignored),
        TEST(upgrade_with_an_interim_reply_first),
        TEST(http_2_with_prior_knowledge_is_not_http_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
