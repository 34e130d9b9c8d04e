// SPDX-License-Identifier: Apache-2.0
// $dynamicRef and $recursiveRef: bound once where only one schema can be meant, through the dynamic
// scope else; scopes end with what opened them.
#include "schema_fixture.h"

#include "core/buf.h"
#include "schema/program_priv.h"

#define DRAFT_19 "\"$schema\":\"https://json-schema.org/draft/2019-09/schema\","
// A tree whose nodes are what the outermost schema with the anchor says.
#define TREE                                                                                      \
    "\"tree\":{\"$id\":\"tree\",\"$dynamicAnchor\":\"node\",\"type\":\"object\",\"properties\":{" \
    "\"data\":true,\"children\":{\"items\":{\"$dynamicRef\":\"#node\"}}}}"

static bool is_dynamic(const char *text)
{
    struct schema *schema = must_compile(text);
    bool dynamic = false;

    for (uint32_t i = 0; i < schema->n_program; i++)
        dynamic |= schema->program[i].op == OP_DYNAMIC || schema->program[i].op == OP_SCOPE ||
                   schema->program[i].op == OP_DYNAMIC_MARKED;
    schema_destroy(&schema);
    return dynamic;
}

static void test_bound_once(void **state)
{
    (void)state;
    assert_false(is_dynamic("{\"$ref\":\"#/$defs/tree\",\"$defs\":{" TREE "}}"));
    assert_false(is_dynamic("{" DRAFT_19 "\"$recursiveAnchor\":true,\"items\":{\"$recursiveRef\":"
                            "\"#\"}}"));
    // an anchor of the name, but not a dynamic one
    assert_false(is_dynamic("{\"$id\":\"http://a/\",\"$ref\":\"tree\",\"$anchor\":\"node\","
                            "\"$defs\":{" TREE "}}"));
    assert_true(is_dynamic("{\"$id\":\"http://a/\",\"$ref\":\"tree\",\"$dynamicAnchor\":\"node\","
                           "\"$defs\":{" TREE "}}"));
}

// Two schemas may be meant, and none of them is in scope: what the reference itself names counts.
static void test_none_in_scope(void **state)
{
    (void)state;
    const char *schema = "{\"$id\":\"http://r/\",\"$dynamicRef\":\"b#x\",\"$defs\":{"
                         "\"a\":{\"$id\":\"a\",\"$dynamicAnchor\":\"x\",\"type\":\"string\"},"
                         "\"b\":{\"$id\":\"b\",\"$dynamicAnchor\":\"x\",\"$anchor\":\"x\","
                         "\"type\":\"integer\"}}}";

    assert_true(is_dynamic(schema));
    assert_valid(schema, "1");
    assert_invalid(schema, "\"s\"");
}

static void test_strict_tree(void **state)
{
    (void)state;
    const char *text = "{\"$id\":\"http://a/strict\",\"$dynamicAnchor\":\"node\",\"$ref\":\"tree\","
                       "\"unevaluatedProperties\":false,\"$defs\":{" TREE "}}";

    assert_valid(text, "{\"children\":[{\"data\":1,\"children\":[{}]}]}");
    assert_failure(text, "{\"children\":[{\"data\":1,\"children\":[{\"daat\":1}]}]}", 0,
                   "/children/0/children/0/daat", "/unevaluatedProperties", "unevaluatedProperties",
                   "this member is not allowed");
    assert_valid("{\"$id\":\"http://a/loose\",\"$ref\":\"tree\",\"$defs\":{" TREE "}}",
                 "{\"children\":[{\"daat\":1}]}");
}

// The scope of a branch that failed is gone for the next one, and for the next value.
static void test_scopes_end(void **state)
{
    (void)state;
    struct schema *schema = must_compile(
        "{\"$id\":\"http://a/"
        "\",\"anyOf\":[{\"$ref\":\"numbers\"},{\"$ref\":\"strings\"}],\"$defs\":{"
        "\"numbers\":{\"$id\":\"numbers\",\"$ref\":\"list\",\"$defs\":{\"i\":{\"$dynamicAnchor\":"
        "\"item\","
        "\"type\":\"number\"}}},"
        "\"strings\":{\"$id\":\"strings\",\"$ref\":\"list\",\"$defs\":{\"i\":{\"$dynamicAnchor\":"
        "\"item\","
        "\"type\":\"string\"}}},"
        "\"list\":{\"$id\":\"list\",\"items\":{\"$dynamicRef\":\"#item\"},\"$defs\":{\"i\":{"
        "\"$dynamicAnchor\":\"item\"}}}}}");
    static const struct {
        const char *json;
        bool valid;
    } cases[] = {{"[1,2]", true}, {"[\"a\"]", true}, {"[1,\"a\"]", false},
                 {"[2]", true},   {"[null]", false}, {"[\"b\",\"c\"]", true}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct schema_error errors[FIXTURE_ERRORS];
        size_t n;
        assert_int_equal(
            run_schema(schema, cases[i].json, strlen(cases[i].json), errors, FIXTURE_ERRORS, &n),
            cases[i].valid);
    }
    schema_destroy(&schema);
}

static void test_recorded_through_scope(void **state)
{
    (void)state;
    const char *text =
        "{\"$id\":\"http://a/\",\"$ref\":\"base\",\"$defs\":{\"x\":{\"$dynamicAnchor\":\"more\","
        "\"properties\":{\"b\":true}},\"base\":{\"$id\":\"base\",\"properties\":{\"a\":true},"
        "\"$dynamicRef\":\"#more\",\"unevaluatedProperties\":false,\"$defs\":{\"none\":{"
        "\"$dynamicAnchor\":\"more\"}}}}}";

    assert_valid(text, "{\"a\":1,\"b\":2}");
    assert_failure(text, "{\"a\":1,\"c\":2}", 0, "/c", "/$defs/base/unevaluatedProperties",
                   "unevaluatedProperties", NULL);
}

static void test_endless(void **state)
{
    (void)state;
    const char *text =
        "{\"$id\":\"http://a/\",\"$dynamicAnchor\":\"n\",\"$ref\":\"b\",\"$defs\":{\"b\":"
        "{\"$id\":\"b\",\"$dynamicRef\":\"#n\",\"$defs\":{\"c\":{\"$dynamicAnchor\":"
        "\"n\"}}}}}";
    struct schema_fault faults[4];
    struct schema *schema;
    size_t n;

    assert_int_equal(schema_compile("s", text, strlen(text), &schema, faults, 4, &n, NULL),
                     STATUS_INVALID);
    assert_int_equal(n, 2);
    assert_string_equal(faults[0].pointer, "/$ref");
    assert_string_equal(faults[1].pointer, "/$defs/b/$dynamicRef");
    assert_non_null(strstr(faults[1].message, "never end"));
}

// As deep as events and schemas may be.
static void test_deep(void **state)
{
    (void)state;
    struct buf text = {0}, json = {0};
    struct schema_error errors[FIXTURE_ERRORS];
    size_t n;

    buf_append_text(&text,
                    "{\"$id\":\"http://a/0\",\"$dynamicAnchor\":\"n\",\"$ref\":\"1\",\"$defs\":{");
    for (int i = 1; i < 28; i++)
        buf_printf(&text, "\"d%d\":{\"$id\":\"%d\",\"$dynamicAnchor\":\"n\",\"$ref\":\"%d\"},", i,
                   i, i + 1);
    buf_append_text(&text, "\"e\":{\"$id\":\"28\",\"$dynamicAnchor\":\"n\",\"minimum\":0,"
                           "\"items\":{\"$dynamicRef\":\"#n\"}}}}");
    struct schema *schema = must_compile(buf_text(&text));
    for (int bad = 0; bad < 2; bad++) {
        buf_clear(&json);
        for (int i = 0; i < 127; i++)
            buf_append_text(&json, "[");
        buf_append_text(&json, bad ? "-1" : "1");
        for (int i = 0; i < 127; i++)
            buf_append_text(&json, "]");
        assert_int_equal(run_schema(schema, json.data, json.len, errors, FIXTURE_ERRORS, &n), !bad);
    }
    assert_string_equal(errors[0].keyword, "minimum");
    schema_destroy(&schema);
    buf_deinit(&text);
    buf_deinit(&json);
}

static void test_recursive(void **state)
{
    (void)state;
    const char *text =
        "{" DRAFT_19 "\"$id\":\"http://a/strict\",\"$recursiveAnchor\":true,\"$ref\":\"tree\","
        "\"unevaluatedProperties\":false,\"$defs\":{\"tree\":{\"$id\":\"tree\",\"$"
        "recursiveAnchor\":"
        "true,\"properties\":{\"children\":{\"items\":{\"$recursiveRef\":\"#\"}}}}}}";

    assert_true(is_dynamic(text));
    assert_valid(text, "{\"children\":[{\"children\":[{}]}]}");
    assert_invalid(text, "{\"children\":[{\"children\":[{\"x\":1}]}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_once),
        cmocka_unit_test(test_none_in_scope),
        cmocka_unit_test(test_strict_tree),
        cmocka_unit_test(test_scopes_end),
        cmocka_unit_test(test_recorded_through_scope),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_recursive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
