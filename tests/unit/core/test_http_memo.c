#include "core/http_memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/http.h"

static const struct http_framer request = {.side = HTTP_SIDE_REQUEST};

static bool knows(struct http_memo *m, struct bytes head)
{
    return http_memo_find(m, &request, http_memo_head(m, head)) != NULL;
}

static void add(struct http_memo *m, struct bytes bytes)
{
    struct http_head head = {0};
    http_memo_add(m, bytes, &request, &head);
}

/* Whatever places their hashes give them. */
static void two_heads_in_turn_are_both_known(void **state)
{
    (void)state;
    const struct bytes a = BYTES("GET /a HTTP/1.1\r\n\r\n"), b = BYTES("GET /b HTTP/1.1\r\n\r\n");
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct http_memo m;
        http_memo_init(&m);
        m.seed = seed;
        add(&m, a);
        add(&m, b);
        assert_true(knows(&m, a));
        assert_true(knows(&m, b));
        http_memo_deinit(&m);
    }
}

static void head_that_came_last_is_known_among_many(void **state)
{
    (void)state;
    struct http_memo m;
    http_memo_init(&m);
    char text[] = "GET /000 HTTP/1.1\r\n\r\n";
    for (unsigned i = 0; i < 1000; i++) {
        text[5] = (char)('0' + i / 100);
        text[6] = (char)('0' + i / 10 % 10);
        text[7] = (char)('0' + i % 10);
        struct bytes head = bytes_make(text, sizeof(text) - 1);
        assert_false(knows(&m, head));
        add(&m, head);
        assert_true(knows(&m, head));
    }
    http_memo_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_heads_in_turn_are_both_known),
        cmocka_unit_test(head_that_came_last_is_known_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
