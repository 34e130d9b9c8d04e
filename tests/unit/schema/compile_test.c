// SPDX-License-Identifier: Apache-2.0
// Faults of schemas: all at once, each at its place, none let through.
#include "schema_fixture.h"

#include "core/buf.h"

struct outcome {
    struct schema_fault faults[FIXTURE_FAULTS];
    size_t count;
};

static struct outcome compile_as(const struct schema_options *options, const char *text)
{
    struct outcome outcome = {0};
    struct schema_faults faults = {.list = outcome.faults, .max = FIXTURE_FAULTS};
    struct schema *schema;

    enum status_code code = schema_compile_with(options, text, strlen(text), &faults, &schema);
    assert_int_equal(code == STATUS_OK, faults.count == 0);
    assert_int_equal(schema != NULL, code == STATUS_OK);
    schema_destroy(&schema);
    outcome.count = faults.count;
    return outcome;
}

// The schema has one fault: there, and with this in its message.
static void assert_fault(const char *text, const char *pointer, const char *message)
{
    struct outcome outcome = compile_as(NULL, text);

    if (outcome.count != 1)
        fail_msg("%s: %zu faults", text, outcome.count);
    assert_string_equal(outcome.faults[0].pointer, pointer);
    if (strstr(outcome.faults[0].message, message) == NULL)
        fail_msg("%s: %s", text, outcome.faults[0].message);
}

static void test_syntax(void **state)
{
    (void)state;
    struct outcome outcome = compile_as(NULL, "{\n  \"type\": \"string\",\n  \"x\" 1\n}");

    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.faults[0].line, 3);
    assert_int_equal(outcome.faults[0].column, 7);
    assert_non_null(strstr(outcome.faults[0].message, "not valid JSON"));
    assert_fault("", "", "not valid JSON");
    assert_fault("{\"type\":\"null\",\"type\":\"null\"}", "", "not valid JSON");
    assert_fault("{} {}", "", "not valid JSON");
}

static void test_zero_byte(void **state)
{
    (void)state;
    struct schema_fault fault;
    struct schema *schema;
    struct status st;
    size_t n;

    assert_int_equal(schema_compile("f", "{\0}", 3, &schema, &fault, 1, &n, &st), STATUS_INVALID);
    assert_null(schema);
    assert_int_equal(n, 1);
    assert_int_equal(fault.column, 2);
}

static void test_root(void **state)
{
    (void)state;
    assert_fault("[]", "", "a schema is an object, true or false, not array");
    assert_fault("1", "", "not number");
    assert_int_equal(compile_as(NULL, "true").count, 0);
    assert_int_equal(compile_as(NULL, " {} ").count, 0);
}

static void test_typos(void **state)
{
    (void)state;
    assert_fault("{\"requierd\":[]}", "/requierd", "did you mean \"required\"?");
    assert_fault("{\"additionalProperites\":false}", "/additionalProperites",
                 "did you mean \"additionalProperties\"?");
    assert_fault("{\"minlength\":1}", "/minlength", "did you mean \"minLength\"?");
    assert_fault("{\"properties\":{\"a/b\":{\"tpye\":1}}}", "/properties/a~1b/tpye",
                 "did you mean \"type\"?");
    assert_fault("{\"$defs\":{\"unused\":{\"patern\":\"\"}}}", "/$defs/unused/patern",
                 "did you mean \"pattern\"?");
    assert_fault("{\"prop\\u0065rtie\":{}}", "/propertie", "did you mean \"properties\"?");
    // As far from "$ref", but not as much like it.
    assert_fault("{\"$def\":{}}", "/$def", "did you mean \"$defs\"?");
    assert_int_equal(compile_as(NULL, "{\"x-type\":1,\"example\":{},\"note\":\"\",\"id\":3}").count,
                     0);
    assert_int_equal(compile_as(NULL, "{\"format\":\"int64\"}").count, 0);
    assert_valid("{\"utterlyDifferent\":1}", "1");
    // Longer than any keyword, also when it is written in escapes.
    struct buf text = {0};
    buf_append_text(&text, "{\"");
    for (int i = 0; i < 50; i++)
        buf_append_text(&text, "\\u0061");
    buf_append_text(&text,
                    "\":1,\"additionalPropertiesadditionalPropertiesadditionalPropertiesadditional"
                    "\":1,\"maxProperties\":1e30}");
    assert_valid(buf_text(&text), "{}");
    buf_deinit(&text);
}

static void test_strict(void **state)
{
    (void)state;
    struct schema_options all = {.strict = SCHEMA_STRICT_ALL}, off = {.strict = SCHEMA_STRICT_OFF};
    enum schema_strict strict;

    struct outcome outcome = compile_as(&all, "{\"utterlyDifferent\":1,\"format\":\"int64\"}");
    assert_int_equal(outcome.count, 2);
    assert_string_equal(outcome.faults[0].message,
                        "\"utterlyDifferent\" is not a keyword of JSON Schema");
    assert_string_equal(outcome.faults[1].message, "there is no such format");
    assert_int_equal(compile_as(&off, "{\"requierd\":[],\"format\":\"datetime\"}").count, 0);
    assert_int_equal(compile_as(&off, "{\"additionalItems\":false}").count, 0);
    assert_int_equal(compile_as(&off, "{\"required\":1}").count, 1);
    all.draft = SCHEMA_DRAFT_7;
    outcome = compile_as(&all, "{\"$ref\":\"#/definitions/a\",\"minimum\":1,\"title\":\"\","
                               "\"definitions\":{\"a\":{}}}");
    assert_int_equal(outcome.count, 1);
    assert_string_equal(outcome.faults[0].pointer, "/minimum");
    assert_non_null(strstr(outcome.faults[0].message, "ignores what stands beside"));
    assert_int_equal(compile_as(&all, "{\"id\":\"x\"}").count, 1);
    assert_true(schema_strict_parse("all", &strict));
    assert_int_equal(strict, SCHEMA_STRICT_ALL);
    assert_true(schema_strict_parse("off", &strict));
    assert_int_equal(strict, SCHEMA_STRICT_OFF);
    assert_true(schema_strict_parse("typos", &strict));
    assert_int_equal(strict, SCHEMA_STRICT_TYPOS);
    assert_false(schema_strict_parse("on", &strict));
}

static void test_drafts(void **state)
{
    (void)state;
    struct schema_options options = {.draft = SCHEMA_DRAFT_7};
    enum schema_draft draft;

    assert_fault("{\"$schema\":\"http://example.com/meta\"}", "/$schema", "names neither a draft");
    assert_fault("{\"$schema\":1}", "/$schema", "expected a string");
    assert_fault("{\"additionalItems\":{}}", "/additionalItems",
                 "not a keyword of draft 2020-12, which this schema is of");
    assert_fault("{\"$recursiveRef\":\"#\"}", "/$recursiveRef", "not a keyword of draft 2020-12");
    assert_fault("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"prefixItems\":[]}",
                 "/prefixItems", "not a keyword of draft 7");
    assert_fault("{\"items\":{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"}}",
                 "/items/$schema", "beside an \"$id\" only");
    assert_fault("{\"items\":[{}]}", "/items", "prefixItems");
    assert_int_equal(compile_as(&options, "{\"items\":[{}],\"dependencies\":{}}").count, 0);
    options.draft = SCHEMA_DRAFT_6;
    assert_int_equal(compile_as(&options, "{\"if\":{}}").count, 1);
    assert_true(schema_draft_parse("2019-09", &draft));
    assert_int_equal(draft, SCHEMA_DRAFT_2019_09);
    assert_true(schema_draft_parse("4", &draft));
    assert_int_equal(draft, SCHEMA_DRAFT_4);
    assert_false(schema_draft_parse("5", &draft));
}

static void test_draft_4(void **state)
{
    (void)state;
    struct schema_options options = {.draft = SCHEMA_DRAFT_4};
    struct outcome outcome = compile_as(
        &options, "{\"minimum\":1,\"exclusiveMinimum\":true,\"id\":\"http://a/b\",\"items\":{"
                  "\"id\":\"c\",\"required\":[\"a\"]},\"additionalItems\":false}");

    assert_int_equal(outcome.count, 0);
    outcome = compile_as(&options, "{\"exclusiveMaximum\":3}");
    assert_int_equal(outcome.count, 1);
    assert_non_null(strstr(outcome.faults[0].message, "expected true or false"));
    outcome = compile_as(&options, "{\"not\":true}");
    assert_int_equal(outcome.count, 1);
    assert_non_null(strstr(outcome.faults[0].message, "in draft 4 an object"));
    assert_int_equal(compile_as(&options, "{\"const\":1}").count, 1);
    assert_failure("{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"minimum\":1,"
                   "\"exclusiveMinimum\":true}",
                   "1", 0, "", "/exclusiveMinimum", "exclusiveMinimum",
                   "expected a number of more than 1");
    assert_invalid("{\"$schema\":\"http://json-schema.org/draft-04/schema\",\"type\":\"integer\"}",
                   "1.0");
}

static void test_shapes(void **state)
{
    (void)state;
    assert_fault("{\"type\":1}", "/type", "expected the name of a type, found number");
    assert_fault("{\"type\":\"strnig\"}", "/type", "did you mean \"string\"");
    assert_fault("{\"type\":\"something\"}", "/type", "there is no such type; types are");
    assert_fault("{\"type\":[]}", "/type", "at least one type");
    assert_fault("{\"type\":[\"null\",\"null\"]}", "/type/1", "twice");
    assert_fault("{\"type\":[\"null\",7]}", "/type/1", "found number");
    assert_fault("{\"enum\":{}}", "/enum", "expected an array");
    assert_fault("{\"required\":\"a\"}", "/required", "expected an array of names, found string");
    assert_fault("{\"required\":[\"a\",1]}", "/required/1", "expected a name, found number");
    assert_fault("{\"required\":[\"a\",\"\\u0061\"]}", "/required/1", "twice");
    assert_fault("{\"properties\":[]}", "/properties", "an object of schemas");
    assert_fault("{\"properties\":{\"a\":1}}", "/properties/a", "expected a schema");
    assert_fault("{\"additionalProperties\":\"no\"}", "/additionalProperties", "a schema");
    assert_fault("{\"items\":1}", "/items", "expected a schema");
    assert_fault("{\"prefixItems\":{}}", "/prefixItems", "an array of schemas");
    assert_fault("{\"allOf\":[]}", "/allOf", "at least one schema");
    assert_fault("{\"anyOf\":[1]}", "/anyOf/0", "expected a schema");
    assert_fault("{\"minLength\":-1}", "/minLength", "a whole number from 0");
    assert_fault("{\"minLength\":1.5}", "/minLength", "a whole number from 0");
    assert_fault("{\"minLength\":\"1\"}", "/minLength", "a whole number from 0, found string");
    assert_fault("{\"minimum\":\"1\"}", "/minimum", "expected a number");
    assert_fault("{\"multipleOf\":0}", "/multipleOf", "a number above 0");
    assert_fault("{\"multipleOf\":null}", "/multipleOf", "a number above 0, found null");
    char longest[512] = "{\"multipleOf\":";
    memset(longest + 14, '1', 401);
    strcpy(longest + 14 + 401, "}");
    assert_fault(longest, "/multipleOf", "more than 400 digits");
    assert_fault("{\"uniqueItems\":1}", "/uniqueItems", "true or false");
    assert_fault("{\"pattern\":1}", "/pattern", "expected a string");
    assert_fault("{\"dependentRequired\":[]}", "/dependentRequired", "an object of arrays");
    assert_fault("{\"dependentRequired\":{\"a\":[1]}}", "/dependentRequired/a/0", "a name");
    assert_fault("{\"title\":1}", "/title", "expected a string");
}

static void test_dependencies_shape(void **state)
{
    (void)state;
    struct schema_options options = {.draft = SCHEMA_DRAFT_7};
    struct outcome outcome =
        compile_as(&options, "{\"dependencies\":{\"a\":1,\"b\":[2],\"c\":true}}");

    assert_int_equal(outcome.count, 2);
    assert_string_equal(outcome.faults[0].pointer, "/dependencies/a");
    assert_string_equal(outcome.faults[1].pointer, "/dependencies/b/0");
    assert_int_equal(compile_as(&options, "{\"dependencies\":[]}").count, 1);
    assert_int_equal(compile_as(&options, "{\"items\":[1]}").count, 1);
}

static void test_patterns_and_formats(void **state)
{
    (void)state;
    struct schema_options annotate = {.annotate_formats = true};

    assert_fault("{\"pattern\":\"a(\"}", "/pattern", "a ( without its )");
    assert_fault("{\"patternProperties\":{\"[\":true}}", "/patternProperties/[", "a [ without");
    assert_fault("{\"format\":\"datetime\"}", "/format",
                 "there is no such format; did you mean \"date-time\"?");
    assert_int_equal(compile_as(&annotate, "{\"format\":\"datetime\"}").count, 0);
    assert_valid("{\"format\":\"int64\"}", "\"not known, so ignored\"");
    assert_int_equal(compile_as(&annotate, "{\"format\":1}").count, 1);
}

static void test_refs(void **state)
{
    (void)state;
    assert_fault("{\"$ref\":\"#/$defs/none\"}", "/$ref", "does not have");
    assert_fault("{\"$ref\":\"#none\"}", "/$ref", "anchor");
    assert_fault("{\"$ref\":\"other.json\"}", "/$ref", "no URI that it would be relative to");
    assert_fault("{\"$id\":\"http://a/b\",\"$ref\":\"http://a/bc\"}", "/$ref",
                 "no schema is known under \"http://a/bc\"; register it with --ref URI=FILE");
    assert_fault("{\"$ref\":\"#/a%2\"}", "/$ref", "two hex digits");
    assert_fault("{\"$ref\":\"#/a~2\"}", "/$ref", "JSON Pointer");
    assert_fault("{\"$ref\":\"#/required\",\"required\":[]}", "/$ref", "no schema: array");
    assert_fault("{\"$defs\":{\"a\":{\"$anchor\":\"x\"},\"b\":{\"$anchor\":\"x\"}}}",
                 "/$defs/b/$anchor", "the same anchor");
    assert_fault("{\"$anchor\":\"1x\"}", "/$anchor", "an anchor is a letter");
    assert_fault("{\"$id\":\"http://a/b#c\"}", "/$id", "write \"$anchor\" instead");
    assert_fault("{\"$defs\":{\"a\":{\"$id\":\"http://a/\"},\"b\":{\"$id\":\"http://a/\"}}}",
                 "/$defs/b/$id", "another schema has the same URI");
    assert_fault("{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\","
                 "\"properties\":{\"a\":{\"$recursiveRef\":\"#/$defs\"}},\"$defs\":{}}",
                 "/properties/a/$recursiveRef", "always \"#\"");
}

static void test_endless(void **state)
{
    (void)state;
    assert_fault("{\"$ref\":\"#\"}", "/$ref", "validation would never end");
    assert_fault("{\"allOf\":[{\"not\":{\"$ref\":\"#\"}}]}", "/allOf/0/not/$ref", "never end");
    assert_int_equal(compile_as(NULL, "{\"properties\":{\"a\":{\"$ref\":\"#\"}}}").count, 0);
    assert_int_equal(compile_as(NULL, "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":"
                                      "\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}}}")
                         .count,
                     2);
}

static void test_in_place_depth(void **state)
{
    (void)state;
    char text[8192];

    for (int deep = 0; deep < 2; deep++) {
        int n = deep ? 66 : 64;
        size_t used = (size_t)sprintf(text, "{\"$ref\":\"#/$defs/d1\",\"$defs\":{");
        for (int i = 1; i < n; i++)
            used += (size_t)sprintf(text + used, "\"d%d\":{\"$ref\":\"#/$defs/d%d\"},", i, i + 1);
        sprintf(text + used, "\"d%d\":true}}", n);
        assert_int_equal(compile_as(NULL, text).count, deep);
    }
}

// Faults of all kinds at once, in the text's order, each with its line.
static void test_all_at_once(void **state)
{
    (void)state;
    const char *text = "{\n"
                       "  \"properties\": {\n"
                       "    \"a\": { \"typ\": \"string\" },\n"
                       "    \"b\": { \"pattern\": \"(\", \"minLength\": -1 }\n"
                       "  },\n"
                       "  \"$ref\": \"#/nowhere\",\n"
                       "  \"requird\": []\n"
                       "}\n";
    static const char *const pointers[] = {"/properties/a/typ", "/properties/b/pattern",
                                           "/properties/b/minLength", "/$ref", "/requird"};
    static const unsigned lines[] = {3, 4, 4, 6, 7}, columns[] = {12, 12, 28, 3, 3};
    struct outcome outcome = compile_as(NULL, text);

    assert_int_equal(outcome.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(outcome.faults[i].pointer, pointers[i]);
        assert_int_equal(outcome.faults[i].line, lines[i]);
        assert_int_equal(outcome.faults[i].column, columns[i]);
    }
}

static void test_status_sentence(void **state)
{
    (void)state;
    struct schema *schema;
    struct status st = {0};
    const char *text = "{\"typ\":1,\"requird\":1}";
    size_t n;

    assert_int_equal(schema_compile("s.json", text, strlen(text), &schema, NULL, 0, &n, &st),
                     STATUS_INVALID);
    assert_int_equal(n, 2);
    assert_non_null(strstr(st.detail, "s.json:1:2: /typ: "));
    assert_non_null(strstr(st.detail, "(and 1 more)"));
    assert_int_equal(schema_compile("s.json", "{}", 2, &schema, NULL, 0, NULL, NULL), STATUS_OK);
    schema_destroy(&schema);
    assert_null(schema);
    schema_destroy(&schema);
}

// Far more faults than are kept are counted still.
static void test_many_faults(void **state)
{
    (void)state;
    char *text = malloc(1 << 16);
    size_t used = (size_t)sprintf(text, "{");

    for (int i = 0; i < 1500; i++)
        used += (size_t)sprintf(text + used, "%s\"?%d\":0", i ? "," : "", i);
    sprintf(text + used, "}");
    struct schema_options all = {.strict = SCHEMA_STRICT_ALL};
    assert_int_equal(compile_as(&all, text).count, 1500);
    free(text);
}

static void test_too_long(void **state)
{
    (void)state;
    struct schema_fault fault;
    struct schema_faults faults = {.list = &fault, .max = 1};
    struct schema *schema;

    assert_int_equal(schema_compile_with(NULL, "", SCHEMA_TEXT_MAX + 1, &faults, &schema),
                     STATUS_INVALID);
    assert_non_null(strstr(fault.message, "16777216 bytes"));
    faults.max = 0;
    assert_int_equal(schema_compile_with(NULL, "", SCHEMA_TEXT_MAX + 1, &faults, &schema),
                     STATUS_INVALID);
    assert_int_equal(schema_compile_with(NULL, "{", 1, &faults, &schema), STATUS_INVALID);
    assert_int_equal(schema_compile_with(NULL, "1", 1, &faults, &schema), STATUS_INVALID);
    assert_int_equal(faults.count, 1);
}

static void test_annotations(void **state)
{
    (void)state;
    assert_valid("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":\"urn:x\","
                 "\"$comment\":\"\",\"title\":\"\",\"description\":\"\",\"default\":1,\"examples\":"
                 "[1],\"deprecated\":true,\"readOnly\":true,\"writeOnly\":false,"
                 "\"contentEncoding\":\"base64\",\"contentMediaType\":\"text/plain\"}",
                 "\"anything\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_zero_byte),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_typos),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_drafts),
        cmocka_unit_test(test_draft_4),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_dependencies_shape),
        cmocka_unit_test(test_patterns_and_formats),
        cmocka_unit_test(test_refs),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_in_place_depth),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_status_sentence),
        cmocka_unit_test(test_many_faults),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_annotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
