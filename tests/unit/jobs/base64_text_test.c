// SPDX-License-Identifier: Apache-2.0
// Base64 as people hand it in: against the encoder for every length, and what is refused where.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "jobs/base64_text.h"
#include "core/base64.h"

#include <string.h>

static void what_the_encoder_writes(void **state)
{
    unsigned char data[100], back[100];
    char text[BASE64_LENGTH(sizeof(data))];
    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 37 + 200);
    for (size_t n = 0; n <= sizeof(data); n++) {
        uint64_t bytes;
        size_t offset;
        base64_encode(data, n, text);
        size_t length = BASE64_LENGTH(n);
        size_t padding = (3 - n % 3) % 3;
        for (size_t cut = 0; cut <= padding; cut++) { // its padding may be missing
            assert_true(base64_text_check(text, length - cut, &bytes, &offset));
            assert_int_equal(bytes, n);
        }
        assert_int_equal(base64_text_begin(text, length, back, sizeof(back)), n);
        assert_memory_equal(back, data, n);
        assert_int_equal(base64_text_begin(text, length, back, n / 2), n / 2);
    }
}

static void every_byte(void **state)
{
    static const char good[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\r\n";
    char text[] = "AAAAAAAAAAAAAAAA";
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint64_t bytes;
        size_t offset;
        text[11] = (char)c;
        bool expected = c != 0 && strchr(good, (int)c) != NULL;
        bool is_line_end = c == '\r' || c == '\n';
        assert_int_equal(base64_text_check(text, 16, &bytes, &offset), expected);
        if (expected)
            assert_int_equal(bytes, is_line_end ? 11 : 12);
        else
            assert_int_equal(offset, c == '=' ? 12 : 11); // the character behind the padding
    }
}

// Cut anywhere it is the same.
static void in_pieces(void **state)
{
    static const char *const texts[] = {
        "QUJD\r\nQUJDQUJDQUJDQUJDQUJD\nQQ==", "QUJDQUJDQUJDQUJDQUI=\n",   "QUJDQUJDQUJDQUJDQ",
        "QUJDQUJDQUJDQUJDQ=Q=QUJDQUJD",       "QUJDQUJD*UJDQUJDQUJDQUJD", "QQ==="};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t length = strlen(texts[i]);
        uint64_t bytes, whole_bytes;
        size_t offset;
        bool good = base64_text_check(texts[i], length, &whole_bytes, &offset);
        for (size_t cut = 0; cut <= length; cut++) {
            struct base64_text scan = {0};
            base64_text_add(&scan, texts[i], cut);
            base64_text_add(&scan, texts[i] + cut, length - cut);
            assert_int_equal(base64_text_end(&scan, &bytes), good);
            assert_int_equal(bytes, whole_bytes);
            assert_int_equal(scan.at, offset);
        }
    }
}

static void cases(void **state)
{
    static const struct {
        const char *text;
        int bytes; // -1: refused
        size_t offset;
    } texts[] = {
        {"", 0, 0},           {"\r\n", 0, 0},
        {"QQ", 1, 0},         {"QQ=", 1, 0},
        {"QQ==", 1, 0},       {"Q\nQ\r\n=\n=\n", 1, 0},
        {"QQQ", 2, 0},        {"QUJD\r\nREVG", 6, 0},
        {"Q", -1, 1},         {"QUJDR", -1, 5},
        {"=", -1, 0},         {"Q=", -1, 1},
        {"Q===", -1, 1},      {"QQ===", -1, 4},
        {"QQQ==", -1, 4},     {"QQQQ=", -1, 4},
        {"QQ==QQ==", -1, 4},  {"QQ-_", -1, 2},
        {"QUJD REVG", -1, 4}, {"QUJDREVGSElK*", -1, 12},
        {"\xc3\xa4", -1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint64_t bytes;
        size_t offset;
        bool good = base64_text_check(texts[i].text, strlen(texts[i].text), &bytes, &offset);
        if (good != (texts[i].bytes >= 0))
            fail_msg("\"%s\"", texts[i].text);
        if (good)
            assert_int_equal(bytes, texts[i].bytes);
        else
            assert_int_equal(offset, texts[i].offset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_encoder_writes),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
