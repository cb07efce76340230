#include "core/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

static void every_metric_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (enum metric_id a = 0; a < METRIC_COUNT; a++)
        for (enum metric_id b = a + 1; b < METRIC_COUNT; b++)
            assert_string_not_equal(metrics[a].name, metrics[b].name);
}

static void every_metric_is_documented(void **state)
{
    (void)state;
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        assert_true(strlen(metrics[id].unit) > 0);
        assert_true(strlen(metrics[id].meaning) > 0);
    }
}

/* Its table has a row for each, as the list has it. */
static void readme_has_every_metric(void **state)
{
    (void)state;
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_EACH_WAY] = "counter, `in` and `out`",
        [METRIC_BY_CLASS] = "counter, `1xx` to `5xx`",
        [METRIC_GAUGE] = "gauge",
        [METRIC_TIMING] = "timing",
    };
    FILE *file = fopen(HTTPACCT_SOURCE_DIR "/README.md", "r");
    assert_non_null(file);
    char readme[65536];
    readme[fread(readme, 1, sizeof(readme) - 1, file)] = '\0';
    fclose(file);
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        const struct metric *m = &metrics[id];
        char row[512];
        snprintf(row, sizeof(row), "| `%s` | %s | %s | %s%s |\n", m->name, types[m->form], m->unit,
                 m->meaning, m->by_default ? "" : "; not by default");
        if (!strstr(readme, row))
            fail_msg("README.md has not the row\n%s", row);
    }
}

static void metrics_of_the_agent_stand_apart(void **state)
{
    (void)state;
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        bool apart =
            strncmp(metrics[id].name, METRIC_AGENT_PREFIX, strlen(METRIC_AGENT_PREFIX)) == 0;
        assert_int_equal(apart, metrics[id].scope != METRIC_SERVICE);
    }
}

static void metric_is_chosen_by_its_name(void **state)
{
    (void)state;
    struct metric_set s = {0};
    assert_true(metric_set_add_name(&s, BYTES("payload")));
    assert_true(metric_set_add_name(&s, BYTES("agent.ring_drops")));
    for (enum metric_id id = 0; id < METRIC_COUNT; id++)
        assert_int_equal(metric_set_has(&s, id), id == METRIC_payload || id == METRIC_ring_drops);
}

static void name_that_is_not_known_changes_nothing(void **state)
{
    (void)state;
    struct metric_set s = {0};
    assert_false(metric_set_add_name(&s, BYTES("")));
    assert_false(metric_set_add_name(&s, BYTES("byte")));
    assert_false(metric_set_add_name(&s, BYTES("bytess")));
    assert_false(metric_set_add_name(&s, BYTES("ring_drops")));
    assert_int_equal(s.bits, 0);
}

static void default_metrics_can_be_extended(void **state)
{
    (void)state;
    struct metric_set s = {0};
    assert_true(metric_set_add_name(&s, BYTES("default")));
    assert_int_equal(s.bits, metric_set_default().bits);
    assert_true(metric_set_has(&s, METRIC_bytes));
    assert_false(metric_set_has(&s, METRIC_packets));
    assert_true(metric_set_add_name(&s, BYTES("packets")));
    assert_true(metric_set_has(&s, METRIC_packets));
    assert_true(metric_set_has(&s, METRIC_bytes));
}

static void all_metrics_can_be_chosen(void **state)
{
    (void)state;
    struct metric_set s = {0};
    assert_true(metric_set_add_name(&s, BYTES("all")));
    for (enum metric_id id = 0; id < METRIC_COUNT; id++)
        assert_true(metric_set_has(&s, id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_has_a_name_of_its_own),
        cmocka_unit_test(every_metric_is_documented),
        cmocka_unit_test(readme_has_every_metric),
        cmocka_unit_test(metrics_of_the_agent_stand_apart),
        cmocka_unit_test(metric_is_chosen_by_its_name),
        cmocka_unit_test(name_that_is_not_known_changes_nothing),
        cmocka_unit_test(default_metrics_can_be_extended),
        cmocka_unit_test(all_metrics_can_be_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
