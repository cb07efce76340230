#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "app/json.h"
#include "app/top_view.h"

static struct top_model model;
static struct top_ui ui;
static struct top_screen screen;
static char line[TOP_SCREEN_MAX * 4];

static void take(double seconds, unsigned many, unsigned few)
{
    AUTO(json_decref)
    json_t *status =
        json_pack("{sf sisssss[s] s[{ss s{si} s{si} si} {ss s{si}}] s[s] s[{ss si si si}]}",
                  "seconds", seconds, "pid", 1, "version", "9.9", "health", "degraded", "problems",
                  "it rains", "services", "name", "a-service-of-a-long-name", "in", "bytes",
                  (int)few, "out", "bytes", (int)many, "requests", (int)few, "name", "b", "in",
                  "bytes", (int)few, "watching", "eth0", "interfaces", "name", "eth0", "tcp_bytes",
                  (int)many, "service_bytes", (int)many, "ring_drops", 7);
    assert_non_null(status);
    assert_true(top_model_take(&model, status));
}

static int begin(void **state)
{
    (void)state;
    top_model_init(&model, 1);
    ui = (struct top_ui){0};
    take(1, 0, 0);
    take(2, 2000000, 1000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    top_model_deinit(&model);
    top_screen_deinit(&screen);
    return 0;
}

static void draw(unsigned rows, unsigned columns, bool unicode)
{
    screen.unicode = unicode;
    top_screen_begin(&screen, rows, columns);
    top_view_draw(&screen, &model, &ui, "");
}

/* Row @row without the blanks behind it; what is not ASCII as letters: E is the ellipsis, B a full
 * block, S the shade, 1 to 7 a lower one. */
static const char *row_text(unsigned row)
{
    static const wchar_t glyphs[] = L"\x2026\x2588\x2592\x2581\x2582\x2583\x2584\x2585\x2586\x2587";
    size_t size = 0;
    for (unsigned c = 0; c < screen.columns; c++) {
        wchar_t glyph = screen.cells[(size_t)row * screen.columns + c].glyph;
        const wchar_t *known = glyph > '~' ? wcschr(glyphs, glyph) : NULL;
        assert_true(known || (glyph >= ' ' && glyph <= '~'));
        line[size++] = known ? "EBS1234567"[known - glyphs] : (char)glyph;
    }
    while (size && line[size - 1] == ' ')
        size--;
    line[size] = '\0';
    return line;
}

static void the_screen_has_all_parts(void **state)
{
    (void)state;
    draw(24, 80, true);
    assert_string_equal(row_text(0),
                        "httpacct 9.9  health degraded  up 00:00:02  2 services  every 1 s");
    assert_string_equal(row_text(1), "all  in 2.0 kB/s  out 2.0 MB/s  requests 1000/s  4xx 0/s  "
                                     "5xx 0/s  open 0");
    assert_string_equal(row_text(2), "balanced  tcp 2.0 MB = services 2.0 MB");
    assert_string_equal(row_text(3), "drops 7  interfaces 1  eth0 up 2.0 MB/s");
    assert_string_equal(row_text(4), "it rains");
    assert_memory_equal(row_text(5), "service          *in/s  *out/s  req/s", 30);
    assert_memory_equal(row_text(6), "a-service-of-E  1.0 kB  2.0 MB", 30);
    assert_non_null(strstr(row_text(6), " BSSSSSS"));
    assert_int_equal(row_text(6)[79], 'B'); /* the newest of its graph */
    assert_memory_equal(row_text(7), "b ", 2);
    assert_memory_equal(row_text(23), "q end", 5);
}

static void ascii_is_enough(void **state)
{
    (void)state;
    draw(24, 80, false);
    assert_memory_equal(row_text(6), "a-service-o... ", 15);
    assert_non_null(strstr(row_text(6), " #======"));
    assert_int_equal(row_text(6)[79], '#');
}

static void no_size_is_too_small(void **state)
{
    (void)state;
    static const char keys[] = "hxb/a\t\tp";
    for (unsigned rows = 0; rows < 30; rows++) {
        for (unsigned columns = 0; columns < 140; columns++) {
            draw(rows, columns, columns % 2);
            assert_int_equal(screen.rows, rows);
            top_ui_key(&ui, keys[(rows + columns) % (sizeof(keys) - 1)]);
        }
    }
    draw(100000, 100000, true);
    assert_int_equal(screen.rows, TOP_SCREEN_MAX);
}

static void narrow_screens_keep_what_matters(void **state)
{
    (void)state;
    draw(10, 30, true);
    assert_string_equal(row_text(5), "service          *in/s  *out/s");
    draw(10, 22, true);
    assert_string_equal(row_text(5), "service         *out/s");
    draw(10, 6, true);
    assert_string_equal(row_text(6), "a-serE");
}

static void wide_screens_show_whole_names(void **state)
{
    (void)state;
    draw(24, 160, true);
    assert_memory_equal(row_text(6), "a-service-of-a-long-name ", 25);
}

static void trouble_is_said_first(void **state)
{
    (void)state;
    screen.unicode = true;
    top_screen_begin(&screen, 24, 80);
    top_view_draw(&screen, &model, &ui, "nobody\033 there");
    assert_string_equal(row_text(0), "nobody? there");
    assert_memory_equal(row_text(1), "httpacct 9.9", 12);
}

static void scrolling_is_bounded(void **state)
{
    (void)state;
    top_ui_key(&ui, TOP_KEY_END);
    draw(24, 80, true);
    assert_int_equal(ui.first, 0);
    draw(6, 80, true);
    top_ui_key(&ui, TOP_KEY_END);
    draw(5, 80, true);
    assert_true(ui.first + ui.rows <= 2);
    for (unsigned i = 0; i < 5; i++)
        top_ui_key(&ui, TOP_KEY_UP);
    assert_int_equal(ui.first, 0);
}

static void filters_are_bounded(void **state)
{
    (void)state;
    top_ui_key(&ui, '/');
    for (unsigned i = 0; i < 1000; i++)
        top_ui_key(&ui, 'q');
    assert_int_equal(strlen(ui.filter), TOP_FILTER_MAX);
    assert_false(ui.quit);
    for (unsigned i = 0; i < 1000; i++)
        top_ui_key(&ui, TOP_KEY_BACKSPACE);
    assert_string_equal(ui.filter, "");
    static const int odd[] = {-1, 0, 1, 127, 128, 255, 0x1ff, 0x7fffffff};
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
        top_ui_key(&ui, odd[i]);
    assert_string_equal(ui.filter, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_screen_has_all_parts, begin, end),
        cmocka_unit_test_setup_teardown(ascii_is_enough, begin, end),
        cmocka_unit_test_setup_teardown(no_size_is_too_small, begin, end),
        cmocka_unit_test_setup_teardown(narrow_screens_keep_what_matters, begin, end),
        cmocka_unit_test_setup_teardown(wide_screens_show_whole_names, begin, end),
        cmocka_unit_test_setup_teardown(trouble_is_said_first, begin, end),
        cmocka_unit_test_setup_teardown(scrolling_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(filters_are_bounded, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
