// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "json/lookup.h"
#include "json/tape.h"

#include <stdlib.h>
#include <string.h>

static struct tape tape;

static void parse(const char *json)
{
    assert_true(tape_parse(&tape, json, strlen(json)));
}

static int setup(void **state)
{
    (void)state;
    tape_init(&tape, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tape_deinit(&tape);
    return 0;
}

static void is_text(char *text, const char *expected)
{
    if (expected == NULL)
        assert_null(text);
    else
        assert_string_equal(text, expected);
    free(text);
}

static void members(void **state)
{
    (void)state;
    parse("{\"a\": \"x\\n\", \"n\": 1.5e1, \"o\": {\"b\": [1, 2]}, \"z\": \"p\\u0000q\"}");
    is_text(lookup_text(&tape, lookup_member(&tape, 0, "a")), "x\n");
    is_text(lookup_text(&tape, lookup_member(&tape, 0, "z")), "p");
    is_text(lookup_text(&tape, lookup_member(&tape, 0, "n")), NULL);
    is_text(lookup_raw(&tape, lookup_member(&tape, 0, "n")), "1.5e1");
    uint32_t o = lookup_member(&tape, 0, "o");
    is_text(lookup_raw(&tape, lookup_member(&tape, o, "b")), "[1, 2]");
    assert_true(lookup_member(&tape, 0, "missing") == TAPE_NONE);
    assert_true(lookup_member(&tape, lookup_member(&tape, 0, "a"), "b") == TAPE_NONE);
    assert_true(lookup_member(&tape, TAPE_NONE, "b") == TAPE_NONE);
    is_text(lookup_text(&tape, TAPE_NONE), NULL);
    is_text(lookup_raw(&tape, TAPE_NONE), NULL);
    assert_true(lookup_is(&tape, lookup_member(&tape, 0, "a"), "x\n"));
    assert_false(lookup_is(&tape, lookup_member(&tape, 0, "a"), "x"));
    assert_false(lookup_is(&tape, lookup_member(&tape, 0, "n"), "1.5e1"));
    assert_false(lookup_is(&tape, TAPE_NONE, ""));
}

static void integers(void **state)
{
    (void)state;
    parse("[12, -1.2e1, 1.5, 1e99, \"7\"]");
    const int64_t expected[] = {12, -12, -9, -9, -9};
    for (uint32_t i = 0; i < 5; i++)
        assert_true(lookup_integer(&tape, tape_element(&tape, 0, i), -9) == expected[i]);
    assert_true(lookup_integer(&tape, TAPE_NONE, 5) == 5);
}

static void explanations(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"{\"error\": \"e\", \"error_description\": \"d\"}", "d"},
        {"{\"message\": \"\", \"error\": \"e\"}", "e"},
        {"{\"error\": {\"message\": \"inner\"}, \"code\": 5}", "inner"},
        {"{\"code\": 17}", "17"},
        {"{\"error\": {\"error\": {\"message\": \"too deep\"}}}", NULL},
        {"{\"error\": null}", NULL},
        {"[\"message\"]", NULL},
        {"\"message\"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        parse(cases[i].json);
        is_text(lookup_explanation(&tape), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),
        cmocka_unit_test(integers),
        cmocka_unit_test(explanations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
