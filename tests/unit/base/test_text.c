#include "base/text.h"

#include <iconv.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "support/guard.h"

/* A test here asks for more memory than there is, on purpose. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* Bytes at the edges of what the UTF-8 tables tell apart. */
static const uint8_t edges[] = {0x00, 0x1f, '"',  '\\', 0x7e, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5};

static iconv_t utf8;

static int open_iconv(void **state)
{
    (void)state;
    utf8 = iconv_open("UTF-32LE", "UTF-8");
    return utf8 == (iconv_t)-1 ? -1 : 0;
}

static int close_iconv(void **state)
{
    (void)state;
    return iconv_close(utf8);
}

/* Whether @b is one character of UTF-8, and which, by the C library. */
static bool is_character(struct bytes b, uint32_t *character)
{
    char *in = (char *)b.data;
    size_t in_left = b.size;
    char *out = (char *)character;
    size_t out_left = sizeof(*character);
    iconv(utf8, NULL, NULL, NULL, NULL);
    return iconv(utf8, &in, &in_left, &out, &out_left) == 0 && in_left == 0 && out_left == 0;
}

/* What text_add_json() should add, written without regard to time. */
static size_t expect_json(char *out, struct bytes b)
{
    char *end = out;
    *end++ = '"';
    while (b.size) {
        uint32_t c = 0;
        size_t length = 1;
        while (length <= 4 && length <= b.size && !is_character(bytes_make(b.data, length), &c))
            length++;
        bool valid = length <= 4 && length <= b.size;
        struct bytes front = bytes_take(&b, valid ? length : 1);
        if (!valid)
            c = front.data[0];
        if (!valid || c < 0x20 || (c >= 0x7f && c < 0xa0))
            end += sprintf(end, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            end += sprintf(end, "\\%c", (char)c);
        else
            end = (char *)memcpy(end, front.data, front.size) + front.size;
    }
    *end++ = '"';
    return (size_t)(end - out);
}

static void check_json(struct text *t, struct bytes b)
{
    char expected[1024];
    size_t size = expect_json(expected, b);
    text_clear(t);
    text_add_json(t, b);
    assert_int_equal(t->size, size);
    assert_memory_equal(t->data, expected, size);
}

static void every_byte_alone_is_valid_json(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    for (unsigned c = 0; c < 256; c++)
        check_json(&t, bytes_make(&(uint8_t){(uint8_t)c}, 1));
}

static void every_pair_of_bytes_is_valid_json(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    for (unsigned c = 0; c < 65536; c++)
        check_json(&t, bytes_make((uint8_t[]){(uint8_t)c, (uint8_t)(c >> 8)}, 2));
}

static void edges_of_utf8_in_every_order_are_valid_json(void **state)
{
    (void)state;
    enum { EDGES = ARRAY_SIZE(edges) };
    AUTO(text_deinit) struct text t = {0};
    for (unsigned n = 0; n < EDGES * EDGES * EDGES * EDGES; n++) {
        uint8_t b[] = {edges[n % EDGES], edges[n / EDGES % EDGES], edges[n / EDGES / EDGES % EDGES],
                       edges[n / EDGES / EDGES / EDGES]};
        check_json(&t, bytes_make(b, sizeof(b)));
    }
}

static void random_begin(void)
{
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
}

/* Half of them from the edges. */
static void random_fill(uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        b[i] = rand() % 2 ? edges[(size_t)rand() % sizeof(edges)] : (uint8_t)rand();
}

static void random_bytes_are_valid_json(void **state)
{
    (void)state;
    random_begin();
    AUTO(text_deinit) struct text t = {0};
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t b[64];
        size_t size = (size_t)rand() % sizeof(b);
        random_fill(b, size);
        check_json(&t, bytes_make(b, size));
    }
}

static void character_cut_short_is_not_read_past_its_end(void **state)
{
    (void)state;
    AUTO(guard_deinit) struct guard g;
    guard_init(&g, 16);
    AUTO(text_deinit) struct text t = {0};
    for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
        for (size_t size = 1; size <= 3; size++) {
            const uint8_t b[] = {edges[i], 0x90, 0x90};
            check_json(&t, guard_copy(&g, bytes_make(b, size)));
        }
}

struct known {
    struct bytes in;
    const char *out;
};

static void assert_known(void (*add)(struct text *t, struct bytes b), const struct known *cases,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(text_deinit) struct text t = {0};
        add(&t, cases[i].in);
        assert_string_equal(t.data, cases[i].out);
    }
}

static void json_of_known_strings(void **state)
{
    (void)state;
    static const struct known cases[] = {
        {BYTES(""), "\"\""},
        {BYTES("GET /x?s=yo"), "\"GET /x?s=yo\""},
        {BYTES("\"\\/"), "\"\\\"\\\\/\""},
        {BYTES("a\0b"), "\"a\\u0000b\""},
        {BYTES("\x1b[2J"), "\"\\u001b[2J\""},
        {BYTES("\xc2\x9b"), "\"\\u009b\""},        /* CSI, one character */
        {BYTES("\x9b"), "\"\\u009b\""},            /* CSI, one byte */
        {BYTES("caf\xc3\xa9"), "\"caf\xc3\xa9\""}, /* kept */
        {BYTES("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\""},
        {BYTES("\xc0\xaf"), "\"\\u00c0\\u00af\""},            /* overlong */
        {BYTES("\xed\xa0\x80"), "\"\\u00ed\\u00a0\\u0080\""}, /* surrogate */
        {BYTES("\xf4\x90\x80\x80"), "\"\\u00f4\\u0090\\u0080\\u0080\""},
        {BYTES("\xe2\x82"), "\"\\u00e2\\u0082\""}, /* cut */
    };
    assert_known(text_add_json, cases, ARRAY_SIZE(cases));
}

static void printable_is_plain_ascii_and_can_be_undone(void **state)
{
    (void)state;
    uint8_t all[256];
    for (unsigned c = 0; c < sizeof(all); c++)
        all[c] = (uint8_t)c;
    AUTO(text_deinit) struct text t = {0};
    text_add_printable(&t, bytes_make(all, sizeof(all)));

    const char *in = t.data;
    for (unsigned c = 0; c < sizeof(all); c++) {
        unsigned value = (uint8_t)*in;
        assert_in_range(value, 0x20, 0x7e);
        if (*in == '\\') {
            assert_int_equal(in[1], 'x');
            assert_int_equal(sscanf(in + 2, "%2x", &value), 1);
            in += 4;
        } else {
            in++;
        }
        assert_int_equal(value, c);
    }
    assert_int_equal(*in, '\0');
}

static void utf8_is_kept_and_what_is_not_is_told(void **state)
{
    (void)state;
    static const struct known cases[] = {
        {BYTES("eth0: caf\xc3\xa9 \\ \xf0\x9f\x98\x80"), "eth0: caf\xc3\xa9 \\ \xf0\x9f\x98\x80"},
        {BYTES("a\nb\0c\x7f\x1b[2J"), "a\\x0ab\\x00c\\x7f\\x1b[2J"},
        {BYTES("\xc2\x9b\xc2\xa0"), "\\xc2\\x9b\xc2\xa0"}, /* CSI, one character */
        {BYTES("\xff\xc3"), "\\xff\\xc3"},
        {BYTES("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
    };
    assert_known(text_add_utf8, cases, ARRAY_SIZE(cases));
}

static void random_bytes_become_utf8_without_control_characters(void **state)
{
    (void)state;
    random_begin();
    AUTO(text_deinit) struct text t = {0};
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t b[64];
        random_fill(b, sizeof(b));
        text_clear(&t);
        text_add_utf8(&t, bytes_make(b, sizeof(b)));
        struct bytes left = bytes_make(t.data, t.size);
        while (left.size) {
            uint32_t c = 0;
            size_t length = 1;
            while (!is_character(bytes_make(left.data, length), &c))
                assert_true(++length <= MIN(left.size, (size_t)4));
            assert_true(c >= 0x20 && (c < 0x7f || c >= 0xa0));
            bytes_take(&left, length);
        }
    }
}

static void numbers_at_their_limits(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    text_add_number(&t, 0);
    text_add_char(&t, ' ');
    text_add_number(&t, 10);
    text_add_char(&t, ' ');
    text_add_number(&t, ULLONG_MAX);
    assert_string_equal(t.data, "0 10 18446744073709551615");
}

static void text_grows_with_what_is_added(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    AUTO(text_deinit) struct text t = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        text_printf(&t, "%04u", i);
        text_add_string(&t, i % 2 ? "x" : "");
        assert_true(t.capacity > t.size);
        assert_int_equal(t.data[t.size], '\0');
    }
    assert_false(text_failed(&t));
    assert_int_equal(t.size, COUNT * 4 + COUNT / 2);
    assert_memory_equal(t.data, "00000001x00020003x", 18);
    assert_string_equal(t.data + t.size - 5, "4999x");
}

static void formatted_text_longer_than_the_buffer_is_whole(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    text_add_string(&t, "<");
    text_printf(&t, "%*s", 100000, ">");
    assert_int_equal(t.size, 100001);
    assert_int_equal(strlen(t.data), 100001);
    assert_int_equal(t.data[100000], '>');
}

static void clear_forgets_the_contents_and_keeps_the_buffer(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    text_clear(&t);
    text_add_string(&t, "before");
    t.failed = true;
    const char *data = t.data;
    text_clear(&t);
    assert_int_equal(t.size, 0);
    assert_false(text_failed(&t));
    assert_string_equal(t.data, "");
    text_add_string(&t, "after");
    assert_ptr_equal(t.data, data);
    assert_string_equal(t.data, "after");
}

static void without_memory_the_text_stays_as_it_was(void **state)
{
    (void)state;
    AUTO(text_deinit) struct text t = {0};
    text_add_string(&t, "kept");
    volatile size_t too_many = PTRDIFF_MAX - 1000;
    text_add(&t, bytes_make("never read", too_many));
    assert_true(text_failed(&t));
    assert_string_equal(t.data, "kept");
    assert_int_equal(t.size, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_alone_is_valid_json),
        cmocka_unit_test(every_pair_of_bytes_is_valid_json),
        cmocka_unit_test(edges_of_utf8_in_every_order_are_valid_json),
        cmocka_unit_test(random_bytes_are_valid_json),
        cmocka_unit_test(character_cut_short_is_not_read_past_its_end),
        cmocka_unit_test(json_of_known_strings),
        cmocka_unit_test(printable_is_plain_ascii_and_can_be_undone),
        cmocka_unit_test(utf8_is_kept_and_what_is_not_is_told),
        cmocka_unit_test(random_bytes_become_utf8_without_control_characters),
        cmocka_unit_test(numbers_at_their_limits),
        cmocka_unit_test(text_grows_with_what_is_added),
        cmocka_unit_test(formatted_text_longer_than_the_buffer_is_whole),
        cmocka_unit_test(clear_forgets_the_contents_and_keeps_the_buffer),
        cmocka_unit_test(without_memory_the_text_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, open_iconv, close_iconv);
}
