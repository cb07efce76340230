#include "core/statsd_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "core/name_mark.h"
#include "core/service_name.h"

static const char *name_of(enum statsd_name_kind kind, const char *raw)
{
    static struct statsd_name name;
    statsd_name_make(&name, kind, bytes_from_string(raw), STATSD_NAME_MAX);
    return name.text;
}

/* @name is @front and a mark. */
static void assert_marked(const char *name, const char *front)
{
    assert_true(name_mark_ends(bytes_from_string(name)));
    assert_int_equal(strlen(name), strlen(front) + NAME_MARK_SIZE);
    assert_memory_equal(name, front, strlen(front));
}

static void plain_name_is_kept(void **state)
{
    (void)state;
    static const char *const plain[] = {"yo", "my_service-2", "0", "-", "_unknown", "_other"};
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        assert_string_equal(name_of(STATSD_NODE, plain[i]), plain[i]);
        assert_string_equal(name_of(STATSD_TAG, plain[i]), plain[i]);
    }
}

static void dot_makes_no_tree(void **state)
{
    (void)state;
    assert_string_equal(name_of(STATSD_NODE, "api.example.com"), "api__example__com");
    assert_string_equal(name_of(STATSD_NODE, "a_b.c"), "a_b__c");
    assert_string_equal(name_of(STATSD_TAG, "api.example.com"), "api.example.com");
}

static void dot_that_would_be_taken_for_another_name_is_marked(void **state)
{
    (void)state;
    assert_marked(name_of(STATSD_NODE, "a_.b"), "a__b");
    assert_marked(name_of(STATSD_NODE, "a._b"), "a__b");
    assert_marked(name_of(STATSD_NODE, "a__b"), "a__b");
    assert_marked(name_of(STATSD_NODE, "a.0123456789ab"), "a_0123456789ab");
}

static void upper_case_is_folded_and_marked(void **state)
{
    (void)state;
    assert_marked(name_of(STATSD_NODE, "Yo"), "yo");
    assert_marked(name_of(STATSD_TAG, "Api.Example"), "api.example");
    assert_marked(name_of(STATSD_NODE, "Api.Example"), "api_example");
}

static void name_that_was_changed_before_is_kept(void **state)
{
    (void)state;
    struct service_name changed;
    assert_true(service_name_make(&changed, BYTES("a/b")));
    assert_string_equal(name_of(STATSD_NODE, changed.text), changed.text);
    assert_string_equal(name_of(STATSD_TAG, changed.text), changed.text);
}

static void name_of_the_agents_own_node_is_marked(void **state)
{
    (void)state;
    assert_marked(name_of(STATSD_NODE, "agent"), "agent");
}

static void empty_name_is_marked(void **state)
{
    (void)state;
    assert_marked(name_of(STATSD_NODE, ""), "");
    assert_marked(name_of(STATSD_TAG, ""), "");
}

static void name_that_is_too_long_is_cut_and_marked(void **state)
{
    (void)state;
    struct statsd_name name;
    statsd_name_make(&name, STATSD_NODE, BYTES("a123456789012345678x"), 20);
    assert_string_equal(name.text, "a123456789012345678x");
    statsd_name_make(&name, STATSD_NODE, BYTES("a1234567890123456789x"), 20);
    assert_marked(name.text, "a12345");
    statsd_name_make(&name, STATSD_NODE, BYTES("a.34567890123456789x"), 20);
    assert_marked(name.text, "a_3456");
}

/* What a receiver sees of a name, and the name. */
struct pair {
    char sent[STATSD_NAME_MAX + 1];
    char raw[SERVICE_NAME_MAX + 1];
};

static int compare_sent(const void *left, const void *right)
{
    return strcmp(((const struct pair *)left)->sent, ((const struct pair *)right)->sent);
}

static bool is_clean(const char *sent, enum statsd_name_kind kind)
{
    const char *characters = kind == STATSD_TAG ? "abcdefghijklmnopqrstuvwxyz0123456789_-."
                                                : "abcdefghijklmnopqrstuvwxyz0123456789_-";
    return *sent && sent[strspn(sent, characters)] == '\0';
}

static void assert_none_merged(struct pair *pairs, size_t count, enum statsd_name_kind kind)
{
    for (size_t i = 0; i < count; i++) {
        strcpy(pairs[i].sent, name_of(kind, pairs[i].raw));
        assert_true(is_clean(pairs[i].sent, kind));
    }
    qsort(pairs, count, sizeof(*pairs), compare_sent);
    for (size_t i = 1; i < count; i++)
        if (strcmp(pairs[i - 1].sent, pairs[i].sent) == 0 &&
            strcmp(pairs[i - 1].raw, pairs[i].raw) != 0)
            fail_msg("'%s' and '%s' are both '%s'", pairs[i - 1].raw, pairs[i].raw, pairs[i].sent);
}

/* Every string of up to LENGTH of these bytes, which are what the rules are about. */
static void no_two_short_names_merge(void **state)
{
    (void)state;
    static const char bytes[] = "aA_.-";
    enum { BYTES_COUNT = sizeof(bytes) - 1, LENGTH = 7, COUNT = 97655 };
    struct pair *pairs = calloc(COUNT, sizeof(*pairs));
    size_t count = 0;
    for (unsigned length = 1, total = BYTES_COUNT; length <= LENGTH;
         length++, total *= BYTES_COUNT) {
        for (unsigned number = 0; number < total; number++) {
            char raw[LENGTH + 1] = "";
            for (unsigned i = 0, n = number; i < length; i++, n /= BYTES_COUNT)
                raw[i] = bytes[n % BYTES_COUNT];
            strcpy(pairs[count++].raw, raw);
        }
    }
    assert_int_equal(count, COUNT);
    assert_none_merged(pairs, count, STATSD_NODE);
    assert_none_merged(pairs, count, STATSD_TAG);
    free(pairs);
}

/* As they come from the network, through core/service_name.h. */
static void no_two_hostile_names_merge(void **state)
{
    (void)state;
    static const char bytes[] = ":|@#,;=\n\"] %\\/\xc3\xa9\x00.._A";
    enum { COUNT = 10000 };
    struct pair *pairs = calloc(COUNT, sizeof(*pairs));
    srand(7);
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t raw[80];
        size_t size = 4 + (size_t)rand() % (sizeof(raw) - 4);
        for (size_t b = 0; b < size; b++)
            raw[b] = (uint8_t)bytes[(size_t)rand() % (sizeof(bytes) - 1)];
        memcpy(raw, &i, 3); /* no two are the same */
        struct service_name name;
        service_name_make(&name, bytes_make(raw, size));
        strcpy(pairs[i].raw, name.text);
    }
    assert_none_merged(pairs, COUNT, STATSD_NODE);
    for (unsigned i = 1; i < COUNT; i++)
        assert_string_not_equal(pairs[i - 1].sent, pairs[i].sent);
    assert_none_merged(pairs, COUNT, STATSD_TAG);
    for (unsigned i = 1; i < COUNT; i++)
        assert_string_not_equal(pairs[i - 1].sent, pairs[i].sent);
    free(pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_name_is_kept),
        cmocka_unit_test(dot_makes_no_tree),
        cmocka_unit_test(dot_that_would_be_taken_for_another_name_is_marked),
        cmocka_unit_test(upper_case_is_folded_and_marked),
        cmocka_unit_test(name_that_was_changed_before_is_kept),
        cmocka_unit_test(name_of_the_agents_own_node_is_marked),
        cmocka_unit_test(empty_name_is_marked),
        cmocka_unit_test(name_that_is_too_long_is_cut_and_marked),
        cmocka_unit_test(no_two_short_names_merge),
        cmocka_unit_test(no_two_hostile_names_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
