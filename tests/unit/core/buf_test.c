// SPDX-License-Identifier: Apache-2.0
// Growable bytes: the cap, formatted texts, JSON strings.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"

static void it_grows_and_keeps_its_content(void **state)
{
    struct buf b = {0};
    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        assert_true(buf_append(&b, &(char){(char)i}, 1));
    assert_int_equal(b.len, 100000);
    assert_true(b.cap >= b.len && b.cap <= 2 * b.len);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], (char)i);
    buf_deinit(&b);
    assert_null(b.data);
    assert_int_equal(b.len + b.cap, 0);
}

static void nothing_may_be_appended(void **state)
{
    struct buf b = {0};
    (void)state;
    assert_true(buf_append(&b, NULL, 0));
    assert_true(buf_append_text(&b, ""));
    assert_null(b.data);
    assert_string_equal(buf_text(&b), "");
    assert_int_equal(b.len, 0);
    assert_true(buf_printf(&b, "%s", ""));
    assert_int_equal(b.len, 0);
    buf_deinit(&b);
}

static void the_cap_holds_to_the_byte(void **state)
{
    struct buf b = {.max = 300};
    char bytes[301] = {0};
    (void)state;
    assert_false(buf_append(&b, bytes, 301));
    assert_int_equal(b.len, 0);
    assert_true(buf_append(&b, bytes, 299));
    assert_false(buf_append(&b, bytes, 2));
    assert_int_equal(b.len, 299);
    assert_true(buf_append(&b, "y", 1));
    assert_int_equal(b.len, 300);
    assert_true(b.cap <= 300);
    assert_null(buf_reserve(&b, 1));
    assert_true(buf_append(&b, NULL, 0));
    assert_false(buf_grow(&b, SIZE_MAX)); // the sum overflows
    assert_int_equal(b.data[299], 'y');
    buf_deinit(&b);
}

static void a_formatted_text_may_fill_it_exactly(void **state)
{
    struct buf b = {.max = 10};
    (void)state;
    assert_true(buf_printf(&b, "%s-%d", "four", 1));
    assert_false(buf_printf(&b, "%s", "12345"));
    assert_int_equal(b.len, 6);
    assert_true(buf_printf(&b, "%s", "1234"));
    assert_int_equal(b.len, 10);
    assert_memory_equal(b.data, "four-11234", 10);
    assert_false(buf_printf(&b, "%c", 'x'));
    // At the cap the last byte gives way to the NUL.
    assert_string_equal(buf_text(&b), "four-1123");
    buf_deinit(&b);
}

static void a_text_ends_in_a_nul_that_is_not_counted(void **state)
{
    struct buf b = {0};
    (void)state;
    buf_append_text(&b, "abc");
    assert_string_equal(buf_text(&b), "abc");
    assert_int_equal(b.len, 3);
    buf_append_text(&b, "def");
    assert_string_equal(buf_text(&b), "abcdef");
    buf_clear(&b);
    assert_string_equal(buf_text(&b), "");
    for (unsigned i = 0; i < 256; i++) // exactly what is allocated: the NUL makes it grow
        buf_append(&b, "x", 1);
    assert_int_equal(strlen(buf_text(&b)), 256);
    buf_deinit(&b);
}

static void memory_is_given_back_only_when_nothing_is_in_it(void **state)
{
    struct buf b = {.max = 1 << 20};
    (void)state;
    assert_non_null(buf_reserve(&b, 100000));
    buf_append_text(&b, "x");
    buf_shrink(&b, 1000);
    assert_true(b.cap >= 100000);
    buf_clear(&b);
    buf_shrink(&b, 1 << 20);
    assert_true(b.cap >= 100000);
    buf_shrink(&b, 1000);
    assert_int_equal(b.cap, 0);
    assert_int_equal(b.max, 1 << 20);
    assert_true(buf_append_text(&b, "again"));
    buf_deinit(&b);
}

static void json_is(const char *text, size_t length, const char *want)
{
    struct buf b = {0};
    assert_true(buf_json_string(&b, text, length));
    assert_string_equal(buf_text(&b), want);
    buf_deinit(&b);
}

static void every_control_character_is_escaped(void **state)
{
    (void)state;
    for (int c = 0; c < 0x20; c++) {
        char want[16];
        const char *at = c != 0 ? strchr("\bb\tt\nn\ff\rr", c) : NULL;
        if (at != NULL)
            snprintf(want, sizeof(want), "\"\\%c\"", at[1]);
        else
            snprintf(want, sizeof(want), "\"\\u%04x\"", (unsigned)c);
        json_is(&(char){(char)c}, 1, want);
    }
    json_is("\x7f", 1, "\"\\u007f\"");
    json_is("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    json_is("", 0, "\"\"");
}

static void good_utf8_stays_as_it_is(void **state)
{
    static const char *const texts[] = {
        "\xc2\x80",     "\xdf\xbf",     "\xe0\xa0\x80",     "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
        "\xe6\x97\xa5", "e\xcc\x81",    "\xf0\x9f\x98\x80",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char want[32];
        snprintf(want, sizeof(want), "\"%s\"", texts[i]);
        json_is(texts[i], strlen(texts[i]), want);
    }
}

#define BAD "\xef\xbf\xbd"

// RFC 3629 section 4: overlong forms, surrogates, beyond U+10FFFF, cut and stray bytes.
static void bad_utf8_becomes_the_replacement_character(void **state)
{
    (void)state;
    json_is("\x80", 1, "\"" BAD "\"");
    json_is("a\xbf"
            "b",
            3, "\"a" BAD "b\"");
    json_is("\xc0\x80", 2, "\"" BAD BAD "\"");
    json_is("\xc1\xbf", 2, "\"" BAD BAD "\"");
    json_is("\xe0\x9f\xbf", 3, "\"" BAD BAD BAD "\"");
    json_is("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");
    json_is("\xf0\x8f\xbf\xbf", 4, "\"" BAD BAD BAD BAD "\"");
    json_is("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\"");
    json_is("\xf5\x80\x80\x80", 4, "\"" BAD BAD BAD BAD "\"");
    json_is("\xff\xfe", 2, "\"" BAD BAD "\"");
    json_is("\xc3", 1, "\"" BAD "\"");
    json_is("\xc3(", 2, "\"" BAD "(\"");
    json_is("\xe6\x97", 2, "\"" BAD BAD "\"");
    json_is("\xe6\x97z", 3, "\"" BAD BAD "z\"");
    // The bytes behind the length are not looked at.
    json_is("\xe6\x97\xa5", 2, "\"" BAD BAD "\"");
    json_is("\xc3\"", 2, "\"" BAD "\\\"\"");
}

// Wherever it stands among bytes that are taken many at a time.
static void every_byte_at_every_place(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char alone[16];
        struct buf one = {0};
        assert_true(buf_json_string(&one, &(char){(char)c}, 1));
        snprintf(alone, sizeof(alone), "%.*s", (int)one.len - 2, one.data + 1);
        buf_deinit(&one);
        for (int at = 0; at < 20; at++) {
            char text[20], want[64];
            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            snprintf(want, sizeof(want), "\"%.*s%s%.*s\"", at, "xxxxxxxxxxxxxxxxxxxx", alone,
                     19 - at, "xxxxxxxxxxxxxxxxxxxx");
            json_is(text, sizeof(text), want);
        }
    }
}

static void a_json_string_says_that_it_does_not_fit(void **state)
{
    static const char text[] = "a plain beginning\n\x01\xff\xc3\xa9z";
    struct buf whole = {0};
    (void)state;
    assert_true(buf_json_string(&whole, text, sizeof(text) - 1));
    for (size_t max = 1; max < whole.len; max++) {
        struct buf b = {.max = max};
        assert_false(buf_json_string(&b, text, sizeof(text) - 1));
        assert_true(b.len <= max);
        assert_memory_equal(b.data != NULL ? b.data : "", whole.data, b.len);
        buf_deinit(&b);
    }
    struct buf exact = {.max = whole.len};
    assert_true(buf_json_string(&exact, text, sizeof(text) - 1));
    assert_memory_equal(exact.data, whole.data, whole.len);
    buf_deinit(&exact);
    buf_deinit(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_and_keeps_its_content),
        cmocka_unit_test(nothing_may_be_appended),
        cmocka_unit_test(the_cap_holds_to_the_byte),
        cmocka_unit_test(a_formatted_text_may_fill_it_exactly),
        cmocka_unit_test(a_text_ends_in_a_nul_that_is_not_counted),
        cmocka_unit_test(memory_is_given_back_only_when_nothing_is_in_it),
        cmocka_unit_test(every_control_character_is_escaped),
        cmocka_unit_test(good_utf8_stays_as_it_is),
        cmocka_unit_test(bad_utf8_becomes_the_replacement_character),
        cmocka_unit_test(every_byte_at_every_place),
        cmocka_unit_test(a_json_string_says_that_it_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
