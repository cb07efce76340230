#include "core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/dialogue.h"

static void pipelined_messages_share_segments(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a") REQUEST("b") REQUEST("c"));
    reply(REPLY_OK REPLY_OK REPLY_OK);
    conversation_close(&c);
    trial_finish(&t);

    assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 200 b 31/40\nGET /?s=c 200 c 31/40\n");
    /* The headers of a segment go with its first message. */
    assert_counts("a", DIRECTION_IN,
                  (struct direction_counts){
                      .bytes = 31 + HEADERS, .payload = 31, .control = OPEN_IN, .packets = 1});
    assert_counts("b", DIRECTION_IN, (struct direction_counts){.bytes = 31, .payload = 31});
    assert_counts("b", DIRECTION_OUT, (struct direction_counts){.bytes = 40, .payload = 40});
}

static void head_request_in_the_middle_of_a_pipeline(void **state)
{
    (void)state;
    conversation_open(&c);
    request("GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    reply(REPLY_OK "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
                   "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    trial_finish(&t);
    assert_told("GET /1 200 _unspecified 19/40\nHEAD /2 200 _unspecified 20/41\n"
                "GET /3 404 _unspecified 19/38\n");
}

static void messages_split_at_every_byte_of_a_pipeline(void **state)
{
    (void)state;
    static const struct bytes in = BYTES("POST /?s=a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
                                         "PUT /?s=b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                                         "3;x\r\nabc\r\n0\r\n\r\n" REQUEST("c"));
    static const struct bytes out =
        BYTES("HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
              "chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" REPLY_OK);
    for (size_t cut = 1; cut < in.size; cut++) {
        conversation_open(&c);
        conversation_send_cut(&c, DIRECTION_IN, in, cut);
        conversation_send_cut(&c, DIRECTION_OUT, out, cut);
        conversation_close(&c);
        trial_finish(&t);
        assert_told("POST /?s=a 204 a 45/19\nPUT /?s=b 200 b 65/58\nGET /?s=c 200 c 31/40\n");
        end(NULL);
        begin(NULL);
    }
}

/* More than an engine lets wait: later ones go without a reply, none gets the reply of another. */
static void deep_pipeline_does_not_mix_up_replies(void **state)
{
    (void)state;
    enum { REQUESTS = 5000 };
    conversation_open(&c);
    for (unsigned i = 0; i < REQUESTS; i++) {
        char text[100];
        snprintf(text, sizeof(text), "GET /%u?s=n%u HTTP/1.1\r\n\r\n", i, i % 7);
        request(text);
    }
    for (unsigned i = 0; i < REQUESTS; i++) {
        char text[100];
        if (i == 4500) /* while some are without a place */
            request("GET /late?s=late HTTP/1.1\r\n\r\n");
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %u\r\n\r\n", i);
        reply(text);
    }
    reply(REPLY_OK);
    request("GET /last?s=last HTTP/1.1\r\n\r\n");
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    conversation_close(&c);
    trial_finish(&t);

    uint64_t replies = trial_service(&t, "_unknown")->replies[1];
    for (unsigned i = 0; i < 7; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%u", i);
        replies += trial_service(&t, name)->replies[1];
    }
    assert_int_equal(replies, REQUESTS + 1);
    assert_int_equal(trial_service(&t, "late")->requests, 1);
    assert_int_equal(trial_service(&t, "late")->replies[1], 0);
    assert_int_equal(trial_service(&t, "last")->replies[3], 1);
    for (size_t i = 0; i < t.transaction_count; i++) {
        const struct trial_transaction *told = &t.transactions[i];
        unsigned number;
        if (told->status == 200 && sscanf(told->target, "/%u?", &number) == 1) {
            char text[100];
            int size = snprintf(text, sizeof(text),
                                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %u\r\n\r\n", number);
            assert_int_equal(told->payload[DIRECTION_OUT], size);
        }
    }
}

static void reply_comes_before_the_next_request_of_the_pipeline(void **state)
{
    (void)state;
    conversation_open(&c);
    request(REQUEST("a") "GET /?s=b HT");
    reply(REPLY_OK);
    request("TP/1.1\r\n\r\n");
    reply("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    trial_finish(&t);
    assert_told("GET /?s=a 200 a 31/40\nGET /?s=b 404 b 22/37\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pipelined_messages_share_segments),
        TEST(head_request_in_the_middle_of_a_pipeline),
        TEST(messages_split_at_every_byte_of_a_pipeline),
        TEST(deep_pipeline_does_not_mix_up_replies),
        TEST(reply_comes_before_the_next_request_of_the_pipeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
