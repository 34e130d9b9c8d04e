// SPDX-License-Identifier: Apache-2.0
// Where failures are told to be, and which branch of anyOf and oneOf is told.
#include "schema_fixture.h"

#include "core/buf.h"

// A pointer is a text that ends in a NUL: one within a name does not end it.
static void test_names_with_nul(void **state)
{
    (void)state;
    const char *schema = "{\"properties\":{\"a\\u0000b\":{\"type\":\"null\"}}}";

    assert_failure(schema, "{\"a\":1,\"a\\u0000b\":1}", 0, "/a?b", "/properties/a?b/type", "type",
                   NULL);
}

// Long pointers are cut, but no letter and no escape.
static void test_long_pointers(void **state)
{
    (void)state;
    char json[2000];
    struct schema *schema = must_compile("{\"additionalProperties\":{\"type\":\"null\"}}");
    struct schema_error error;
    const size_t room = sizeof(error.instance) - 1;
    size_t n;

    int length = snprintf(json, sizeof(json), "{\"a%0*d\xc3\xa4\xc3\xa4\":1}", (int)room - 4, 7);
    assert_false(run_schema(schema, json, (size_t)length, &error, 1, &n));
    assert_int_equal(strlen(error.instance), room); // "/a", digits, one of two-byte letters
    length = snprintf(json, sizeof(json), "{\"%0*d\xc3\xa4\":1}", (int)room - 2, 7);
    assert_false(run_schema(schema, json, (size_t)length, &error, 1, &n));
    assert_int_equal(strlen(error.instance), room - 1);
    length = snprintf(json, sizeof(json), "{\"%0*d~\":1}", (int)room - 2, 7);
    assert_false(run_schema(schema, json, (size_t)length, &error, 1, &n));
    assert_int_equal(strlen(error.instance), room - 1); // without the ~ of ~0
    schema_destroy(&schema);
}

// The failures as lines "beneath instance location keyword".
static void assert_failures(const char *schema_text, const char *json, const char *expected)
{
    struct schema *schema = must_compile(schema_text);
    struct schema_error errors[FIXTURE_ERRORS];
    char lines[4096] = "";
    size_t n, used = 0;

    run_schema(schema, json, strlen(json), errors, FIXTURE_ERRORS, &n);
    for (size_t i = 0; i < n && i < FIXTURE_ERRORS; i++)
        used +=
            (size_t)snprintf(lines + used, sizeof(lines) - used, "%u %s %s %s\n", errors[i].beneath,
                             errors[i].instance, errors[i].location, errors[i].keyword);
    if (strcmp(lines, expected) != 0)
        fail_msg("%s over %s tells\n%sbut should\n%s", json, schema_text, lines, expected);
    schema_destroy(&schema);
}

static void test_locations(void **state)
{
    (void)state;
    const char *tree = "{\"properties\":{\"a~/b\":{\"$ref\":\"#/$defs/n\"}},\"$defs\":{\"n\":"
                       "{\"type\":\"object\",\"properties\":{\"kids\":{\"items\":{\"$ref\":"
                       "\"#/$defs/n\"}}}}}}";

    assert_failures(tree, "{\"a~/b\":1}", "0 /a~0~1b /properties/a~0~1b/$ref/type type\n");
    assert_failures(tree, "{\"a~/b\":{\"kids\":[{\"kids\":[2]}]}}",
                    "0 /a~0~1b/kids/0/kids/0 /properties/a~0~1b/$ref/properties/kids/items/$ref/"
                    "properties/kids/items/$ref/type type\n");
    assert_failure(tree, "{\"a~/b\":1}", 0, "/a~0~1b", "/$defs/n/type", "type", NULL);
    assert_failures("{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"}", "[[1]]",
                    "0 /0/0 /items/$ref/items/$ref/type type\n");
    assert_failures("{\"allOf\":[{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":"
                    "\"#/$defs/b\"}]},\"b\":{\"required\":[\"x\"]}}}",
                    "{}", "0  /allOf/0/$ref/allOf/0/$ref/required required\n");
    assert_failures("{\"additionalProperties\":false,\"if\":true,\"then\":{\"$ref\":\"#/$defs/f\"},"
                    "\"$defs\":{\"f\":false}}",
                    "{\"a\":1}",
                    "0 /a /additionalProperties additionalProperties\n0  /then/$ref $ref\n");
}

// A way that grows too long is cut, and stays a beginning of itself.
static void test_long_location(void **state)
{
    (void)state;
    struct schema *schema =
        must_compile("{\"type\":\"array\",\"items\":{\"allOf\":[true,{\"$ref\":\"#\"}]}}");
    char json[2 * TAPE_DEPTH_DEFAULT];
    struct schema_error error;
    size_t n;

    memset(json, '[', TAPE_DEPTH_DEFAULT);
    json[TAPE_DEPTH_DEFAULT - 1] = '7';
    memset(json + TAPE_DEPTH_DEFAULT, ']', TAPE_DEPTH_DEFAULT - 1);
    assert_false(run_schema(schema, json, 2 * TAPE_DEPTH_DEFAULT - 1, &error, 1, &n));
    assert_string_equal(error.schema, "/type");
    assert_int_equal(strlen(error.location), sizeof(error.location) - 1);
    for (size_t i = 0; i < sizeof(error.location) - 1; i++)
        assert_int_equal(error.location[i], "/items/allOf/1/$ref"[i % 19]);
    schema_destroy(&schema);
}

static void assert_uri(const char *schema_text, const char *json, const char *expected)
{
    struct schema *schema = must_compile(schema_text);
    struct schema_error error;
    struct buf uri = {0}, full = {.max = 8};
    size_t n;

    assert_false(run_schema(schema, json, strlen(json), &error, 1, &n));
    assert_int_equal(schema_error_uri(schema, &error, &uri), expected != NULL);
    if (expected != NULL)
        assert_string_equal(buf_text(&uri), expected);
    assert_false(schema_error_uri(schema, &error, &full));
    buf_deinit(&uri);
    buf_deinit(&full);
    schema_destroy(&schema);
}

static void test_uris(void **state)
{
    (void)state;
    assert_uri("{\"type\":\"null\"}", "1", NULL);
    assert_uri("{\"$id\":\"https://h.example/s\",\"type\":\"null\"}", "1",
               "https://h.example/s#/type");
    assert_uri("{\"$id\":\"https://h.example/s\",\"properties\":{\"a~/b \\u00e4%^\":false}}",
               "{\"a~/b \\u00e4%^\":1}", "https://h.example/s#/properties/a~0~1b%20%C3%A4%25%5E");
    // the innermost resource counts
    const char *nested = "{\"$id\":\"https://h.example/s\",\"items\":{\"$ref\":\"t\"},\"$defs\":{"
                         "\"t\":{\"$id\":\"t\",\"allOf\":[{\"type\":\"null\"}]},\"u\":{}},"
                         "\"maxItems\":1}";
    assert_uri(nested, "[1]", "https://h.example/t#/allOf/0/type");
    assert_uri(nested, "[null,null]", "https://h.example/s#/maxItems");
}

// The branch told is the one meant: its kind is right, then it has the fewest failures, and so on.
static void test_closest_branch(void **state)
{
    (void)state;
    // the kind of the value
    assert_failures("{\"anyOf\":[{\"type\":\"string\"},{\"required\":[\"a\",\"b\"]}]}", "{}",
                    "0  /anyOf anyOf\n1  /anyOf/1/required required\n1  /anyOf/1/required "
                    "required\n");
    assert_failures("{\"anyOf\":[false,{\"minimum\":3,\"multipleOf\":2}]}", "1",
                    "0  /anyOf anyOf\n1  /anyOf/1/minimum minimum\n1  /anyOf/1/multipleOf "
                    "multipleOf\n");
    assert_failures("{\"anyOf\":[{\"enum\":[1,2]},{\"minimum\":30,\"multipleOf\":20}]}", "7",
                    "0  /anyOf anyOf\n1  /anyOf/1/minimum minimum\n1  /anyOf/1/multipleOf "
                    "multipleOf\n");
    // a member that tells the kind, also where the wrong branch has fewer failures
    const char *by_kind =
        "{\"oneOf\":[{\"properties\":{\"kind\":{\"const\":\"call\"}}},"
        "{\"properties\":{\"kind\":{\"const\":\"chat\"},\"a\":{\"type\":\"null\"},"
        "\"b\":{\"type\":\"null\"}}}]}";
    assert_failures(by_kind, "{\"a\":1,\"kind\":\"chat\",\"b\":2}",
                    "0  /oneOf oneOf\n1 /a /oneOf/1/properties/a/type type\n1 /b "
                    "/oneOf/1/properties/b/type type\n");
    // a const deeper within does not
    assert_failures("{\"anyOf\":[{\"items\":{\"items\":{\"const\":1}}},{\"items\":{\"items\":"
                    "{\"minimum\":3,\"multipleOf\":3}}}]}",
                    "[[2]]", "0  /anyOf anyOf\n1 /0/0 /anyOf/0/items/items/const const\n");
    // the fewest failures
    assert_failures("{\"anyOf\":[{\"required\":[\"a\",\"b\"]},{\"required\":[\"c\"]}]}", "{}",
                    "0  /anyOf anyOf\n1  /anyOf/1/required required\n");
    // most of the value is right
    assert_failures("{\"anyOf\":[{\"items\":{\"maximum\":2}},{\"items\":{\"maximum\":3}}]}",
                    "[1,4,4,3]",
                    "0  /anyOf anyOf\n1 /1 /anyOf/1/items/maximum maximum\n1 /2 "
                    "/anyOf/1/items/maximum maximum\n");
    assert_failures("{\"anyOf\":[{\"prefixItems\":[{\"maximum\":2}]},{\"prefixItems\":[true,"
                    "{\"maximum\":3}]}]}",
                    "[4,4]", "0  /anyOf anyOf\n1 /1 /anyOf/1/prefixItems/1/maximum maximum\n");
    // the first
    assert_failures("{\"oneOf\":[{\"minimum\":5},{\"minimum\":6}]}", "1",
                    "0  /oneOf oneOf\n1  /oneOf/0/minimum minimum\n");
}

static void test_branches_within(void **state)
{
    (void)state;
    char text[1024] = "", json[] = "[[[[[[1]]]]]]";

    assert_failures("{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/l\"}],\"$defs\":{\"l\":"
                    "{\"oneOf\":[{\"items\":{\"type\":\"string\"}},{\"minItems\":9,\"items\":"
                    "false}]}}}",
                    "[1]",
                    "0  /anyOf anyOf\n1  /anyOf/1/$ref/oneOf oneOf\n2 /0 "
                    "/anyOf/1/$ref/oneOf/0/items/type type\n");
    // four deep; what is deeper is told by its keyword alone
    for (int i = 0; i < 6; i++)
        strcat(text, "{\"anyOf\":[{\"items\":");
    strcat(text, "{\"type\":\"null\"}");
    for (int i = 0; i < 6; i++)
        strcat(text, "}]}");
    struct schema *schema = must_compile(text);
    struct schema_error errors[8];
    size_t n;
    assert_false(run_schema(schema, json, strlen(json), errors, 8, &n));
    assert_int_equal(n, 5);
    assert_int_equal(errors[4].beneath, 4);
    assert_string_equal(errors[4].keyword, "anyOf");
    assert_string_equal(errors[4].message,
                        "expected a match of at least one of 1 schemas, found none");
    schema_destroy(&schema);
    // no room is left for a branch
    schema = must_compile("{\"anyOf\":[{\"required\":[\"a\"]}]}");
    assert_false(run_schema(schema, "{}", 2, errors, 1, &n));
    assert_int_equal(n, 2);
    schema_destroy(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_with_nul),
        cmocka_unit_test(test_long_pointers),
        cmocka_unit_test(test_locations),
        cmocka_unit_test(test_long_location),
        cmocka_unit_test(test_uris),
        cmocka_unit_test(test_closest_branch),
        cmocka_unit_test(test_branches_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
