#include "support/dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct trial t;
struct conversation c;

int begin(void **state)
{
    (void)state;
    trial_init(&t, &(struct trial_options){0});
    conversation_init(&c, &t.sink, 41000, 1000);
    return 0;
}

int end(void **state)
{
    (void)state;
    trial_deinit(&t);
    return 0;
}

void again(const struct trial_options *options)
{
    trial_deinit(&t);
    trial_init(&t, options);
    conversation_init(&c, &t.sink, 41000, 1000);
}

void request(const char *text)
{
    conversation_send_text(&c, DIRECTION_IN, text);
}

void reply(const char *text)
{
    conversation_send_text(&c, DIRECTION_OUT, text);
}

void assert_told(const char *transactions)
{
    assert_string_equal(trial_transactions(&t), transactions);
}

const struct direction_counts *counts(const char *service, enum direction d)
{
    return &trial_service(&t, service)->direction[d];
}

void assert_counts(const char *service, enum direction d, struct direction_counts expected)
{
    const struct direction_counts *got = counts(service, d);
#define ASSERT_MEMBER(name, unit) assert_int_equal(got->name, expected.name);
    DIRECTION_COUNTS(ASSERT_MEMBER)
#undef ASSERT_MEMBER
}

void assert_all_went_to(const char *service)
{
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        assert_int_equal(counts(service, d)->bytes, c.end[d].sent.bytes);
        assert_int_equal(counts(service, d)->control, c.end[d].sent.control);
        assert_int_equal(counts(service, d)->packets, c.end[d].sent.packets);
    }
}

void assert_nothing_was_http(void)
{
    assert_told("");
    assert_int_equal(trial_interface(&t)->not_http_bytes, trial_interface(&t)->tcp_bytes);
}
