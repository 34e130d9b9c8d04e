// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/json_fixture.h"
#include "json/tape.h"

#include <stdio.h>

static void assert_error(const char *text, enum tape_error error, size_t offset)
{
    struct doc doc = doc_parse(text);
    if (doc.ok || doc.tape.error != error || doc.tape.error_offset != offset)
        fail_msg("%s: expected %s at %zu, got %s at %zu (%s)", text, tape_error_name(error), offset,
                 tape_error_name(doc.tape.error), doc.tape.error_offset, doc.tape.error_message);
    assert_int_equal(doc.tape.n_tokens, 0);
    assert_true(strlen(doc.tape.error_message) > 0);
    doc_free(&doc);
}

static void assert_token(const struct tape *tape, uint32_t i, enum tape_kind kind, const char *raw,
                         uint32_t next)
{
    size_t length;
    const char *text = tape_raw(tape, i, &length);
    assert_int_equal(tape->tokens[i].kind, kind);
    assert_int_equal(length, strlen(raw));
    assert_memory_equal(text, raw, length);
    assert_int_equal(tape->tokens[i].next, next);
}

static void test_tokens(void **state)
{
    (void)state;
    struct doc doc = doc_parse(" {\"a\" : [1, -2.5e+3 , {}],\"b\":null,\n\"c\":\"x\"\t}\r\n");
    const struct tape *tape = &doc.tape;
    assert_true(doc.ok);
    assert_int_equal(tape->error, TAPE_OK);
    assert_int_equal(tape->n_tokens, 10);
    assert_token(tape, 0, TAPE_OBJECT, "{\"a\" : [1, -2.5e+3 , {}],\"b\":null,\n\"c\":\"x\"\t}",
                 10);
    assert_int_equal(tape->tokens[0].count, 3);
    assert_token(tape, 1, TAPE_STRING, "\"a\"", 2);
    assert_int_equal(tape->tokens[1].flags, TAPE_KEY);
    assert_int_equal(tape->tokens[1].hash, tape_hash("a", 1));
    assert_token(tape, 2, TAPE_ARRAY, "[1, -2.5e+3 , {}]", 6);
    assert_int_equal(tape->tokens[2].count, 3);
    assert_token(tape, 3, TAPE_NUMBER, "1", 4);
    assert_int_equal(tape->tokens[3].flags, 0);
    assert_token(tape, 4, TAPE_NUMBER, "-2.5e+3", 5);
    assert_int_equal(tape->tokens[4].flags, TAPE_DECIMAL);
    assert_token(tape, 5, TAPE_OBJECT, "{}", 6);
    assert_int_equal(tape->tokens[5].count, 0);
    assert_token(tape, 7, TAPE_NULL, "null", 8);
    assert_token(tape, 9, TAPE_STRING, "\"x\"", 10);
    assert_int_equal(tape->tokens[9].flags, 0);
    doc_free(&doc);
}

static void test_scalar_roots(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum tape_kind kind;
    } roots[] = {{"null", TAPE_NULL}, {" true ", TAPE_TRUE}, {"false", TAPE_FALSE},
                 {"0", TAPE_NUMBER},  {"-0", TAPE_NUMBER},   {"\"\"", TAPE_STRING},
                 {"[]", TAPE_ARRAY},  {"{ }", TAPE_OBJECT}};
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        struct doc doc = doc_parse(roots[i].text);
        assert_true(doc.ok);
        assert_int_equal(doc.tape.n_tokens, 1);
        assert_int_equal(doc.tape.tokens[0].kind, roots[i].kind);
        doc_free(&doc);
    }
}

static void test_syntax_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
    } faults[] = {
        {"", 0},
        {"  ", 2},
        {"{", 1},
        {"[", 1},
        {"}", 0},
        {"[1,]", 3},
        {"{\"a\":1,}", 7},
        {"[1 2]", 3},
        {"{\"a\" 1}", 5},
        {"{\"a\":}", 5},
        {"{a:1}", 1},
        {"{1:1}", 1},
        {"[1}", 2},
        {"{\"a\":1]", 6},
        {"1 2", 2},
        {"{}{}", 2},
        {"nul", 0},
        {"nulL", 0},
        {"NaN", 0},
        {"Infinity", 0},
        {"-", 1},
        {"-a", 1},
        {"01", 1},
        {"-01", 2},
        {"1.", 2},
        {"1.e1", 2},
        {"1e", 2},
        {"1e+", 3},
        {".5", 0},
        {"+1", 0},
        {"\"abc", 4},
        {"\"a\\", 3},
        {"\"\\x\"", 1},
        {"\"\\u12\"", 1},
        {"\"\\u12g4\"", 1},
        {"\"a\nb\"", 2},
        {"\"\x1f\"", 1},
        {"[\"a\", \f1]", 6},
        {"[1] x", 4},
        {"/**/1", 0},
        {"'a'", 0},
        {"\xef\xbb\xbf{}", 0},
        {"\xc3\xa4", 0},
        {"[,1]", 1},
        {"{,}", 1},
        {"[1,,2]", 3},
        {"{\"a\"", 4},
        {"{\"a\":", 5},
        {"{\"a\":1", 6},
        {"[1,", 3},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        assert_error(faults[i].text, TAPE_SYNTAX, faults[i].offset);
}

static void test_nul_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        size_t offset;
    } faults[] = {{"\0", 1, 0}, {"1\0", 2, 1}, {"\"a\0b\"", 5, 2}, {"[\0]", 3, 1}, {"{\0}", 3, 1}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct doc doc = doc_parse_bytes(faults[i].text, faults[i].length, 0);
        assert_false(doc.ok);
        assert_int_equal(doc.tape.error, TAPE_SYNTAX);
        assert_int_equal(doc.tape.error_offset, faults[i].offset);
        doc_free(&doc);
    }
}

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } faults[] = {{"[1 2]", "expected ',' or ']'"},
                  {"{\"a\":1 2}", "expected ',' or '}'"},
                  {"{\"a\"}", "expected ':'"},
                  {"\xef\xbb\xbf{}", "expected a value, found a byte order mark"},
                  {"{} 1", "expected the end of the text behind the value"}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct doc doc = doc_parse(faults[i].text);
        assert_false(doc.ok);
        assert_string_equal(doc.tape.error_message, faults[i].message);
        doc_free(&doc);
    }
}

static void test_encoding(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
    } faults[] = {
        {"\"\x80\"", 1},         // a tail alone
        {"\"ab\xc0\xaf\"", 3},   // overlong, 2 bytes
        {"\"\xc1\xbf\"", 1},     //
        {"\"\xe0\x9f\xbf\"", 1}, // overlong, 3 bytes
        {"\"\xf0\x8f\xbf\xbf\"", 1},
        {"\"\xed\xa0\x80\"", 1},     // U+D800
        {"\"\xed\xbf\xbf\"", 1},     // U+DFFF
        {"\"\xf4\x90\x80\x80\"", 1}, // U+110000
        {"\"\xf5\x80\x80\x80\"", 1},
        {"\"\xff\"", 1},
        {"\"\xc3\"", 1},   // cut by the quote
        {"\"\xe2\x82", 1}, // cut by the end
        {"\"\xf0\x9f\x98", 1},
        {"\"\xc3\xa4\xa4\"", 3},
        {"{\"\xff\":1}", 2},
        {"\"\\ud800\"", 1},
        {"\"\\udc00\"", 1},
        {"\"\\ud800\\u0041\"", 1},
        {"\"\\ud800\\ud800\"", 1},
        {"\"x\\udbffx\"", 2},
        {"\"\\ud83d\\n\"", 1},
        {"\"\\ud83d", 1},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        assert_error(faults[i].text, TAPE_ENCODING, faults[i].offset);
}

static void test_string_flags(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned flags;
    } strings[] = {
        {"\"plain text that is longer than one vector of bytes\"", 0},
        {"\"\x7f\"", 0},
        {"\"a\\n\"", TAPE_ESCAPED},
        {"\"\\u0041\"", TAPE_ESCAPED},
        {"\"\xc3\xa4\"", TAPE_NON_ASCII},
        {"\"\xf0\x9f\x98\x80 and then plain text again\"", TAPE_NON_ASCII},
        {"\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"", TAPE_NON_ASCII},
        {"\"\xe4\xb8\xad\\t\"", TAPE_NON_ASCII | TAPE_ESCAPED},
        {"\"\\ud83d\\ude00\"", TAPE_ESCAPED},
        {"\"\\uDBFF\\uDFFF\"", TAPE_ESCAPED},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", TAPE_ESCAPED},
        {"\"a\\u0000\"", TAPE_ESCAPED | TAPE_HAS_NUL},
        {"\"\\\\u0000\"", TAPE_ESCAPED},
    };
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        struct doc doc = doc_parse(strings[i].text);
        assert_true(doc.ok);
        assert_int_equal(doc.tape.tokens[0].flags, strings[i].flags);
        assert_int_equal(doc.tape.has_nul, (strings[i].flags & TAPE_HAS_NUL) != 0);
        doc_free(&doc);
    }
}

static void test_first_nul(void **state)
{
    (void)state;
    struct doc doc = doc_parse("[\"a\",\"b\\u0000\",{\"\\u0000\":1}]");
    assert_true(doc.ok);
    assert_true(doc.tape.has_nul);
    assert_int_equal(doc.tape.nul_token, 2);
    assert_int_equal(doc.tape.nul_offset, 7);
    assert_int_equal(doc.tape.tokens[4].flags, TAPE_KEY | TAPE_ESCAPED | TAPE_HAS_NUL);
    assert_true(tape_parse(&doc.tape, "[1]", 3)); // forgotten by the next text
    assert_false(doc.tape.has_nul);
    doc_free(&doc);
}

// Strings of every length, with something special at every place: each path of the scanner.
static void test_scanner(void **state)
{
    (void)state;
    static const char specials[] = {'\x01', '\x1f', '\n', '\x80', '\xff', '\\',
                                    'x',    ' ',    '~',  '\x7f', '!'};
    for (size_t length = 0; length < 70; length++) {
        for (size_t at = 0; at < length; at++) {
            for (size_t s = 0; s < sizeof(specials); s++) {
                char text[80];
                memset(text, 'a', sizeof(text));
                text[0] = '"';
                text[1 + at] = specials[s];
                text[1 + length] = '"';
                bool plain = s >= 6;
                struct doc doc = doc_parse_bytes(text, length + 2, 0);
                assert_int_equal(doc.ok, plain);
                // An escaped closing quote leaves the string without an end.
                bool open = specials[s] == '\\' && at == length - 1;
                if (!plain)
                    assert_int_equal(doc.tape.error_offset, open ? length + 2 : at + 1);
                doc_free(&doc);
            }
        }
    }
}

static void test_depth(void **state)
{
    (void)state;
    static char deep[20001];
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    assert_error(deep, TAPE_DEPTH, 128);
    struct doc doc = doc_parse_bytes(deep + 10000 - 128, 256, 0);
    assert_true(doc.ok);
    assert_int_equal(doc.tape.n_tokens, 128);
    doc_free(&doc);
    doc = doc_parse_bytes("[{\"a\":[]}]", 10, 3);
    assert_true(doc.ok);
    assert_false(tape_parse(&doc.tape, "[{\"a\":[[]]}]", 12));
    assert_int_equal(doc.tape.error, TAPE_DEPTH);
    assert_int_equal(doc.tape.error_offset, 7);
    assert_true(tape_parse(&doc.tape, "[[[]],[[]]]", 11)); // siblings do not add up
    doc_free(&doc);
    doc = doc_parse_bytes(deep, 20000, 10000);
    assert_true(doc.ok);
    doc_free(&doc);
}

static void test_duplicates(void **state)
{
    (void)state;
    assert_error("{\"a\":1,\"a\":1}", TAPE_DUPLICATE_MEMBER, 7);
    assert_error("{\"a\":1,\"b\":2,\"\\u0061\":3}", TAPE_DUPLICATE_MEMBER, 13);
    assert_error("{\"\\u0061\":1,\"\\u0061\":3}", TAPE_DUPLICATE_MEMBER, 12);
    assert_error("{\"\":1,\"\":1}", TAPE_DUPLICATE_MEMBER, 6);
    assert_error("{\"x\":[{\"y\":{\"z\":1,\"z\":2}}]}", TAPE_DUPLICATE_MEMBER, 18);
    assert_error("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1}", TAPE_DUPLICATE_MEMBER, 10);
    assert_error("{\"a\":{\"b\":1},\"b\":2,\"a\":3}", TAPE_DUPLICATE_MEMBER, 19);
    struct doc doc =
        doc_parse("{\"a\":{\"a\":{\"a\":1}},\"A\":1,\"\":0,\"a \":[{\"a\":1},{\"a\":1}]}");
    assert_true(doc.ok);
    doc_free(&doc);
    // Composed and decomposed forms are different names.
    doc = doc_parse("{\"\xc3\xa9\":1,\"e\xcc\x81\":2}");
    assert_true(doc.ok);
    doc_free(&doc);
}

// {"NAME0":0,...} with the `again`-th name repeated at the end, or none when again is n.
struct name_form {
    const char *before;
    int digits;
    const char *after;
};

static char *many_members(unsigned n, unsigned again, const struct name_form *form)
{
    char *text = malloc((size_t)n * 64 + 80);
    char *at = text;
    *at++ = '{';
    for (unsigned i = 0; i <= n; i++) {
        if (i == n && again == n)
            break;
        at += sprintf(at, "%s\"%s%0*u%s\":%u", i == 0 ? "" : ",", form->before, form->digits,
                      i < n ? i : again, form->after, i);
    }
    strcpy(at, "}");
    return text;
}

static void test_many_members(void **state)
{
    (void)state;
    static const unsigned counts[] = {2, 15, 16, 17, 31, 32, 33, 64, 1000, 20000};
    // The second has the same first, middle and last bytes, so one fingerprint; the third escapes.
    static const struct name_form forms[] = {
        {"n", 1, ""},
        {"aaaaaaaa", 10, "aaaaaaaaaaaaaaaaaaaaaaaa"},
        {"\\u0061", 1, ""},
    };
    for (size_t f = 0; f < 3; f++) {
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            char *text = many_members(counts[i], counts[i], &forms[f]);
            struct doc doc = doc_parse(text);
            assert_true(doc.ok);
            assert_int_equal(doc.tape.tokens[0].count, counts[i]);
            doc_free(&doc);
            free(text);
            text = many_members(counts[i], counts[i] / 2, &forms[f]);
            doc = doc_parse(text);
            assert_false(doc.ok);
            assert_int_equal(doc.tape.error, TAPE_DUPLICATE_MEMBER);
            doc_free(&doc);
            free(text);
        }
    }
}

static void test_members_and_elements(void **state)
{
    (void)state;
    struct doc doc = doc_parse("{\"a\":{\"x\":1},\"b\\n\":[10,[20],30],\"c\":null}");
    const struct tape *tape = &doc.tape;
    assert_true(doc.ok);
    assert_int_equal(tape_member(tape, 0, "a", 1, tape_hash("a", 1)), 2);
    uint32_t array = tape_member(tape, 0, "b\n", 2, tape_hash("b\n", 2));
    assert_int_equal(tape->tokens[array].kind, TAPE_ARRAY);
    assert_int_equal(tape_member(tape, 0, "x", 1, tape_hash("x", 1)), TAPE_NONE);
    assert_int_equal(tape_member(tape, array, "a", 1, tape_hash("a", 1)), TAPE_NONE);
    assert_token(tape, tape_element(tape, array, 0), TAPE_NUMBER, "10", array + 2);
    assert_token(tape, tape_element(tape, array, 2), TAPE_NUMBER, "30", array + 5);
    assert_int_equal(tape_element(tape, array, 3), TAPE_NONE);
    assert_int_equal(tape_element(tape, 0, 0), TAPE_NONE);
    doc_free(&doc);
}

static void test_reuse_and_shrink(void **state)
{
    (void)state;
    struct tape tape;
    tape_init(&tape, 0);
    static char wide[4001];
    memset(wide, ',', sizeof(wide) - 1);
    for (size_t i = 1; i < 4000; i += 2)
        wide[i] = '1';
    wide[0] = '[';
    memcpy(wide + 3998, "1]", 2);
    wide[3998] = ']';
    assert_true(tape_parse(&tape, wide, 3999));
    assert_int_equal(tape.tokens[0].count, 1999);
    const struct tape_token *tokens = tape.tokens;
    assert_true(tape_parse(&tape, "[1,2]", 5));
    assert_ptr_equal(tape.tokens, tokens); // warm: nothing allocated
    assert_false(tape_parse(&tape, "[1,", 3));
    assert_true(tape_parse(&tape, "[1,2]", 5));
    assert_int_equal(tape.error, TAPE_OK);
    tape_shrink(&tape, 1 << 20);
    assert_int_equal(tape.n_tokens, 3);
    tape_shrink(&tape, 16);
    assert_null(tape.tokens);
    assert_true(tape_parse(&tape, "[1,2]", 5));
    assert_false(tape_parse(&tape, NULL, 0));
    assert_int_equal(tape.error, TAPE_SYNTAX);
    tape_deinit(&tape);
}

// A text is never read beyond its length, though more follows in memory.
static void test_every_prefix(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\\u00e4\":[1.5e3,true,false,null,\"\xe4\xb8\xad\\ud83d\\ude00\"],"
        "\"bcdefghijklmnopqrstuvwxyz\":{\"\":-0}}";
    for (size_t length = 0; length < sizeof(text) - 1; length++) {
        struct doc doc = doc_parse_bytes(text, length, 0);
        assert_false(doc.ok);
        assert_true(doc.tape.error_offset <= length);
        doc_free(&doc);
    }
}

static void test_hash(void **state)
{
    (void)state;
    // Names of every length, differing in one byte that the fingerprint looks at.
    char name[64];
    memset(name, 'n', sizeof(name));
    for (size_t length = 1; length < sizeof(name); length++) {
        uint32_t hash = tape_hash(name, length);
        assert_int_equal(hash, tape_hash(name, length));
        assert_int_not_equal(hash, tape_hash(name, length - 1));
        name[length - 1] = 'm';
        assert_int_not_equal(hash, tape_hash(name, length));
        name[length - 1] = 'n';
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(tape_error_name(TAPE_OK), "ok");
    assert_string_equal(tape_error_name(TAPE_DUPLICATE_MEMBER), "duplicate_member");
    assert_string_equal(tape_kind_name(TAPE_TRUE), "boolean");
    assert_string_equal(tape_kind_name(TAPE_OBJECT), "object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_scalar_roots),
        cmocka_unit_test(test_syntax_errors),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_string_flags),
        cmocka_unit_test(test_first_nul),
        cmocka_unit_test(test_scanner),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_many_members),
        cmocka_unit_test(test_members_and_elements),
        cmocka_unit_test(test_reuse_and_shrink),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_names),
    };
    int failed = 0;
    for (int variant = 0; variant < TAPE_VARIANTS; variant++) {
        if (doc_use((enum tape_variant)variant))
            failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
