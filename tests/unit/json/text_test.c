// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/json_fixture.h"
#include "json/text.h"

#include <stdio.h>

// JSON strings and what they stand for.
static const struct {
    const char *json;
    const char *text;
    size_t length; // of the text
    size_t code_points;
} strings[] = {
    {"\"\"", "", 0, 0},
    {"\"plain\"", "plain", 5, 5},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8, 8},
    {"\"a\\u0000b\"", "a\0b", 3, 3},
    {"\"\\u0041\\u00e4\\u4E2d\"", "A\xc3\xa4\xe4\xb8\xad", 6, 3},
    {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4, 1},
    {"\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, 2},
    {"\"\xf0\x9f\x98\x80 e\xcc\x81 \xe4\xb8\xad\"", "\xf0\x9f\x98\x80 e\xcc\x81 \xe4\xb8\xad", 12,
     6},
    {"\"\xc3\xa4\\n\xc3\xa4 and some plain text behind it\"",
     "\xc3\xa4\n\xc3\xa4 and some plain text behind it", 35, 33},
    {"\"\\u07ff\\u0800\\uffff\"", "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 8, 3},
    {"\"a\\\\b\\\"c\\n\\t';DROP TABLE x;--\"", "a\\b\"c\n\t';DROP TABLE x;--", 24, 24},
};
#define N_STRINGS (sizeof(strings) / sizeof(strings[0]))

static void test_unescape(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRINGS; i++) {
        struct doc doc = doc_parse(strings[i].json);
        assert_true(doc.ok);
        // Exactly the room that is promised to be enough.
        size_t room = strlen(strings[i].json) - 2;
        char *out = malloc(room != 0 ? room : 1);
        assert_int_equal(text_unescape(&doc.tape, 0, out), strings[i].length);
        assert_memory_equal(out, strings[i].text, strings[i].length);
        free(out);
        doc_free(&doc);
    }
}

static void test_string_code_points(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRINGS; i++) {
        struct doc doc = doc_parse(strings[i].json);
        assert_int_equal(text_string_code_points(&doc.tape, 0), strings[i].code_points);
        assert_int_equal(text_code_points(strings[i].text, strings[i].length),
                         strings[i].code_points);
        assert_true(text_utf8_valid(strings[i].text, strings[i].length));
        doc_free(&doc);
    }
}

static void test_string_equals(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRINGS; i++) {
        struct doc doc = doc_parse(strings[i].json);
        for (size_t j = 0; j < N_STRINGS; j++) {
            assert_int_equal(text_string_equals(&doc.tape, 0, strings[j].text, strings[j].length),
                             i == j);
        }
        size_t length = strings[i].length;
        if (length != 0)
            assert_false(text_string_equals(&doc.tape, 0, strings[i].text, length - 1));
        doc_free(&doc);
    }
    struct doc doc = doc_parse("\"a\\n\"");
    assert_false(text_string_equals(&doc.tape, 0, "a\nb", 3));
    assert_false(text_string_equals(&doc.tape, 0, "a", 1));
    assert_false(text_string_equals(&doc.tape, 0, "b\n", 2));
    doc_free(&doc);
}

static void test_strings_equal(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"\"abc\"", "\"abc\""},
        {"\"abc\"", "\"a\\u0062c\""},
        {"\"a\\u0062c\"", "\"\\u0061bc\""},
        {"\"\\u00e4\\n\"", "\"\xc3\xa4\\u000a\""},
        {"\"\\ud83d\\ude00\\t\"", "\"\xf0\x9f\x98\x80\\u0009\""},
        {"\"\xe4\xb8\xad\\t\"", "\"\\u4e2d\\t\""},
        {"\"\"", "\"\""},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct doc a = doc_parse(same[i][0]);
        struct doc b = doc_parse(same[i][1]);
        assert_true(text_strings_equal(&a.tape, 0, &b.tape, 0));
        assert_true(text_strings_equal(&b.tape, 0, &a.tape, 0));
        doc_free(&b);
        b = doc_parse("\"ab\\u0063d\"");
        assert_false(text_strings_equal(&a.tape, 0, &b.tape, 0));
        assert_false(text_strings_equal(&b.tape, 0, &a.tape, 0));
        doc_free(&a);
        doc_free(&b);
    }
}

static void test_utf8_valid(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } texts[] = {
        {"", true},
        {"plain ascii that is longer than eight bytes", true},
        {"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
         true},
        {"12345678\xc3\xa4", true},
        {"1234567\xc3\xa4z", true},
        {"12345678\xc3", false},
        {"\xe2\x82", false},
        {"\xf0\x9f\x98", false},
        {"\x80", false},
        {"\xc0\x80", false},
        {"\xe0\x80\x80", false},
        {"\xed\xa0\x80", false},
        {"\xf0\x80\x80\x80", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf8\x88\x80\x80\x80", false},
        {"\xe2(\xa1", false},
        {"\xe2\x82(", false},
        {"\xf0\x9f\x98(", false},
        {"\xf0(\x98\x80", false},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(text_utf8_valid(texts[i].text, strlen(texts[i].text)), texts[i].valid);
}

// Every code point there is, encoded by hand here: length, validity, and the way through \u.
static void test_all_code_points(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        unsigned char utf8[4] = {(unsigned char)c};
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t i = 1; i < n; i++)
            utf8[i] = (unsigned char)(0x80 | ((c >> (6 * (n - 1 - i))) & 0x3f));
        if (n > 1)
            utf8[0] = (unsigned char)((0xf00 >> n) | (c >> (6 * (n - 1))));
        assert_int_equal(text_utf8_length((const char *)utf8, n), n);
        if (n > 1)
            assert_int_equal(text_utf8_length((const char *)utf8, n - 1), 0);
        if (c % 257 != 0)
            continue;
        char json[16];
        if (c < 0x10000)
            sprintf(json, "\"\\u%04x\"", c);
        else
            sprintf(json, "\"\\u%04X\\u%04X\"", 0xd800 + ((c - 0x10000) >> 10),
                    0xdc00 + ((c - 0x10000) & 0x3ff));
        struct doc doc = doc_parse(json);
        assert_true(doc.ok);
        assert_true(text_string_equals(&doc.tape, 0, (const char *)utf8, n));
        doc_free(&doc);
    }
}

static void test_decode(void **state)
{
    (void)state;
    assert_int_equal(text_utf8_decode("a", 1), 'a');
    assert_int_equal(text_utf8_decode("\0", 1), 0);
    assert_int_equal(text_utf8_decode("\xc3\xa4", 2), 0xe4);
    assert_int_equal(text_utf8_decode("\xe2\x82\xac", 3), 0x20ac);
    assert_int_equal(text_utf8_decode("\xf4\x8f\xbf\xbf", 4), 0x10ffff);
}

// Of every length, with one byte that differs or none, and nothing read behind them.
static void test_same(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 40; length++) {
        char *a = malloc(length + (length == 0)), *b = malloc(length + (length == 0));
        memset(a, 'a', length);
        memset(b, 'a', length);
        assert_true(text_same(a, b, length));
        for (size_t i = 0; i < length; i++) {
            b[i] = 'b';
            assert_false(text_same(a, b, length));
            assert_false(text_same(b, a, length));
            b[i] = 'a';
        }
        free(a);
        free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),        cmocka_unit_test(test_same),
        cmocka_unit_test(test_unescape),      cmocka_unit_test(test_string_code_points),
        cmocka_unit_test(test_string_equals), cmocka_unit_test(test_strings_equal),
        cmocka_unit_test(test_utf8_valid),    cmocka_unit_test(test_all_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
