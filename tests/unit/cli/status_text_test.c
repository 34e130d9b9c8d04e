// SPDX-License-Identifier: Apache-2.0
// Lines that fit a terminal, figures that fit a column, colours.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/status_priv.h"

#include <stdlib.h>
#include <string.h>

static void wrapped(unsigned width, unsigned used, const char *text, const char *expected)
{
    struct buf out = {0};
    struct status_view view = {.width = width};
    status_wrap(&view, text, used, 2, &out);
    assert_string_equal(buf_text(&out), expected);
    buf_deinit(&out);
}

static void lines_fit(void **state)
{
    (void)state;
    wrapped(0, 0, "as long as it takes", "as long as it takes\n");
    wrapped(10, 0, "", "\n");
    wrapped(10, 0, "one two three four", "one two\n  three\n  four\n");
    wrapped(10, 4, "one two", "one\n  two\n");
    wrapped(10, 0, "0123456789", "0123456789\n");
    wrapped(10, 0, "0123456789abcdefghij", "0123456789\n  abcdefgh\n  ij\n");
    wrapped(10, 12, "abc", "\n  abc\n"); // what was there is too long already
    wrapped(10, 0, "\303\244\303\244\303\244\303\244\303\244 \303\266\303\266\303\266\303\266",
            "\303\244\303\244\303\244\303\244\303\244 \303\266\303\266\303\266\303\266\n");
    wrapped(6, 0, "\303\244\303\244\303\244\303\244\303\244\303\244\303\244",
            "\303\244\303\244\303\244\303\244\303\244\303\244\n  \303\244\n");
    wrapped(2, 0, "narrow", "narrow\n"); // no room beside the indent: as it is
    wrapped(20, 0, "\x1b[2J \xff", "\\x1b[2J \\xff\n");
}

static void figures_fit(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *count, *age;
    } cases[] = {
        {0, "0", "0 s"},
        {-3, "-3", "0 s"},
        {119, "119", "119 s"},
        {180, "180", "3 min"},
        {7200, "7200", "2 h"},
        {400000, "400000", "5 d"},
        {9999999, "9999999", "116 d"},
        {12345678, "12.3M", "143 d"},
        {1.5e9, "1.5G", "17361 d"},
    };
    char text[32];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        status_count(cases[i].value, text, sizeof(text));
        assert_string_equal(text, cases[i].count);
        status_age(cases[i].value, text, sizeof(text));
        assert_string_equal(text, cases[i].age);
    }
}

static void colours_are_asked_for(void **state)
{
    (void)state;
    struct buf out = {0};
    struct status_view view = {0};
    status_colour(&view, COLOUR_BAD, &out);
    assert_int_equal(out.len, 0);
    view.colours = true;
    status_colour(&view, COLOUR_BAD, &out);
    status_colour(&view, COLOUR_NONE, &out);
    assert_string_equal(buf_text(&out), "\x1b[1;31m\x1b[0m");
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_fit),
        cmocka_unit_test(figures_fit),
        cmocka_unit_test(colours_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
