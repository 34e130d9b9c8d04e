// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/json_fixture.h"
#include "json/pointer.h"

static struct pointer *compile(const char *text)
{
    struct pointer *pointer;
    struct status st = {0};
    if (pointer_compile(text, strlen(text), &pointer, &st) != STATUS_OK)
        fail_msg("%s: %s", text, st.detail);
    return pointer;
}

static void test_compile(void **state)
{
    (void)state;
    struct pointer *pointer = compile("/a~1b/~0~01//007/0/10/4294967295/99999999999999999999/-");
    assert_int_equal(pointer->n_parts, 9);
    static const struct {
        const char *name;
        bool is_index;
        uint32_t index;
    } parts[] = {{"a/b", false, 0},
                 {"~~1", false, 0},
                 {"", false, 0},
                 {"007", false, 0},
                 {"0", true, 0},
                 {"10", true, 10},
                 {"4294967295", true, UINT32_MAX},
                 {"99999999999999999999", true, UINT32_MAX},
                 {"-", false, 0}};
    for (size_t i = 0; i < 9; i++) {
        assert_string_equal(pointer->parts[i].name, parts[i].name);
        assert_int_equal(pointer->parts[i].length, strlen(parts[i].name));
        assert_int_equal(pointer->parts[i].is_index, parts[i].is_index);
        if (parts[i].is_index)
            assert_int_equal(pointer->parts[i].index, parts[i].index);
        assert_int_equal(pointer->parts[i].hash, tape_hash(parts[i].name, strlen(parts[i].name)));
    }
    pointer_destroy(&pointer);
    assert_null(pointer);
    pointer = compile("");
    assert_int_equal(pointer->n_parts, 0);
    pointer_destroy(&pointer);
    pointer_destroy(&pointer);
}

static void test_compile_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part; // of the sentence
    } faults[] = {{"a", "starts with '/'"}, {"#/a", "starts with '/'"}, {"/~", "at byte 1"},
                  {"/a~2", "at byte 2"},    {"/~~0", "at byte 1"},      {"/a~/b", "at byte 2"},
                  {"/\xff", "UTF-8"}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct pointer *pointer;
        struct status st = {0};
        assert_int_equal(pointer_compile(faults[i].text, strlen(faults[i].text), &pointer, &st),
                         STATUS_INVALID);
        assert_null(pointer);
        assert_non_null(strstr(st.detail, faults[i].part));
    }
    char long_one[2 * (POINTER_PARTS_MAX + 1) + 1];
    for (size_t i = 0; i <= POINTER_PARTS_MAX; i++)
        memcpy(long_one + 2 * i, "/a", 3);
    struct pointer *pointer;
    assert_int_equal(pointer_compile(long_one, strlen(long_one), &pointer, NULL), STATUS_INVALID);
    assert_int_equal(pointer_compile(long_one, strlen(long_one) - 2, &pointer, NULL), STATUS_OK);
    pointer_destroy(&pointer);
}

// RFC 6901 section 5, and what it names there.
static const char rfc[] =
    "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
    "\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"0\":{\"x\":[[1,2],[3]]}}";

static const struct {
    const char *pointer;
    const char *raw; // NULL: nothing
} names[] = {
    {"/foo", "[\"bar\",\"baz\"]"},
    {"/foo/0", "\"bar\""},
    {"/", "0"},
    {"/a~1b", "1"},
    {"/c%d", "2"},
    {"/e^f", "3"},
    {"/g|h", "4"},
    {"/i\\j", "5"},
    {"/k\"l", "6"},
    {"/ ", "7"},
    {"/m~0n", "8"},
    {"/0/x/0/1", "2"},
    {"/0/x/1/0", "3"},
    {"/foo/2", NULL},
    {"/foo/-", NULL},
    {"/foo/00", NULL},
    {"/foo/bar", NULL},
    {"/nope", NULL},
    {"/foo/0/0", NULL},
    {"/foo/4294967295", NULL},
    {"//", NULL},
    {"/0/x/1/1", NULL},
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static void test_find(void **state)
{
    (void)state;
    struct doc doc = doc_parse(rfc);
    assert_true(doc.ok);
    for (size_t i = 0; i < N_NAMES; i++) {
        struct pointer *pointer = compile(names[i].pointer);
        uint32_t value = pointer_find(pointer, &doc.tape, 0);
        if (names[i].raw == NULL) {
            assert_int_equal(value, TAPE_NONE);
        } else {
            assert_int_not_equal(value, TAPE_NONE);
            size_t length;
            const char *raw = tape_raw(&doc.tape, value, &length);
            assert_int_equal(length, strlen(names[i].raw));
            assert_memory_equal(raw, names[i].raw, length);
        }
        pointer_destroy(&pointer);
    }
    struct pointer *whole = compile("");
    assert_int_equal(pointer_find(whole, &doc.tape, 0), 0);
    assert_int_equal(pointer_find(whole, &doc.tape, 2), 2);
    pointer_destroy(&whole);
    struct pointer *below = compile("/1");
    assert_int_equal(pointer_find(below, &doc.tape, 2), 4);
    pointer_destroy(&below);
    doc_free(&doc);
}

static void test_of(void **state)
{
    (void)state;
    struct doc doc = doc_parse(rfc);
    struct buf text = {0};
    for (size_t i = 0; i < N_NAMES; i++) {
        struct pointer *pointer = compile(names[i].pointer);
        uint32_t value = pointer_find(pointer, &doc.tape, 0);
        if (value != TAPE_NONE) {
            buf_clear(&text);
            assert_true(pointer_of(&doc.tape, value, &text));
            assert_string_equal(buf_text(&text), names[i].pointer);
        }
        pointer_destroy(&pointer);
    }
    buf_clear(&text);
    assert_true(pointer_of(&doc.tape, 1, &text)); // a name: of the member
    assert_string_equal(buf_text(&text), "/foo");
    buf_clear(&text);
    assert_true(pointer_of(&doc.tape, 0, &text));
    assert_int_equal(text.len, 0);
    buf_deinit(&text);
    doc_free(&doc);
}

// From every token to its pointer and back.
static void test_round_trip(void **state)
{
    (void)state;
    struct doc doc =
        doc_parse("[{\"\\u007e\\/\":[0,{\"~\":[[]]},\"x\"],\"\xc3\xa4\\n\":{}},[],[1,[2]]]");
    assert_true(doc.ok);
    struct buf text = {0};
    for (uint32_t i = 0; i < doc.tape.n_tokens; i++) {
        buf_clear(&text);
        assert_true(pointer_of(&doc.tape, i, &text));
        struct pointer *pointer = compile(buf_text(&text));
        bool key = (doc.tape.tokens[i].flags & TAPE_KEY) != 0;
        assert_int_equal(pointer_find(pointer, &doc.tape, 0), i + key);
        pointer_destroy(&pointer);
    }
    buf_deinit(&text);
    struct buf small = {.max = 1};
    assert_false(pointer_of(&doc.tape, 2, &small));
    assert_false(pointer_of(&doc.tape, doc.tape.n_tokens - 1, &small));
    buf_deinit(&small);
    doc_free(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compile),    cmocka_unit_test(test_compile_faults),
        cmocka_unit_test(test_find),       cmocka_unit_test(test_of),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
