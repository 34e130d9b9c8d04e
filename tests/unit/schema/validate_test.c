// SPDX-License-Identifier: Apache-2.0
// Every keyword from both sides; then what failures say, and in which order.
#include "schema_fixture.h"

#include "core/buf.h"

static void test_type(void **state)
{
    (void)state;
    static const char *const types[] = {"null", "boolean", "number", "string", "array", "object"};
    static const char *const values[][2] = {{"null", "null"}, {"true", "false"},
                                            {"1", "-0.5e3"},  {"\"\"", "\"a\""},
                                            {"[]", "[1]"},    {"{}", "{\"a\":1}"}};
    char schema[64];

    for (size_t i = 0; i < 6; i++) {
        snprintf(schema, sizeof(schema), "{\"type\":\"%s\"}", types[i]);
        for (size_t k = 0; k < 6; k++)
            for (size_t v = 0; v < 2; v++)
                assert_int_equal(is_valid(schema, values[k][v]), i == k);
    }
}

static void test_type_integer(void **state)
{
    (void)state;
    const char *schema = "{\"type\":\"integer\"}";

    assert_valid(schema, "0");
    assert_valid(schema, "-12");
    assert_valid(schema, "1.0");
    assert_valid(schema, "1.50e1");
    assert_valid(schema, "123456789012345678901234567890");
    assert_valid(schema, "1e400");
    assert_invalid(schema, "1.5");
    assert_invalid(schema, "1e-1");
    assert_invalid(schema, "\"1\"");
    assert_valid("{\"type\":[\"integer\",\"null\"]}", "null");
    assert_invalid("{\"type\":[\"integer\",\"null\"]}", "0.5");
    assert_valid("{\"type\":[\"integer\",\"number\"]}", "0.5");
}

static void test_type_in_properties(void **state)
{
    (void)state;
    const char *schema = "{\"properties\":{\"a\":{\"type\":[\"string\",\"null\"],\"minLength\":1},"
                         "\"b\":{\"type\":\"integer\"},\"c\":{\"type\":\"array\"}}}";

    assert_valid(schema, "{\"a\":null,\"b\":1,\"c\":[]}");
    assert_valid(schema, "{\"a\":\"x\"}");
    assert_invalid(schema, "{\"a\":\"\"}");
    assert_invalid(schema, "{\"a\":1}");
    assert_invalid(schema, "{\"b\":1.5}");
    assert_invalid(schema, "{\"c\":{}}");
}

static void test_const(void **state)
{
    (void)state;
    assert_valid("{\"const\":1}", "1.0");
    assert_valid("{\"const\":1}", "10e-1");
    assert_invalid("{\"const\":1}", "true");
    assert_invalid("{\"const\":0}", "false");
    assert_valid("{\"const\":\"ab\"}", "\"\\u0061b\"");
    assert_valid("{\"const\":\"\\u0061b\"}", "\"ab\"");
    assert_invalid("{\"const\":\"ab\"}", "\"ab\\u0000\"");
    assert_valid("{\"const\":null}", "null");
    assert_valid("{\"const\":{\"a\":[1,2],\"b\":{}}}", "{\"b\":{},\"a\":[1.0,2]}");
    assert_invalid("{\"const\":{\"a\":1}}", "{\"a\":1,\"b\":2}");
    assert_invalid("{\"const\":{\"a\":1,\"c\":2}}", "{\"a\":1,\"b\":2}");
    assert_invalid("{\"const\":[1,2]}", "[2,1]");
    assert_invalid("{\"const\":[1,2]}", "[1]");
}

static void test_enum_strings(void **state)
{
    (void)state;
    const char *schema = "{\"enum\":[\"call\",\"chat\",\"email\",\"callback\",\"\","
                         "\"a long string of more than sixteen bytes\"]}";

    assert_valid(schema, "\"call\"");
    assert_valid(schema, "\"callback\"");
    assert_valid(schema, "\"\"");
    assert_valid(schema, "\"c\\u0068at\"");
    assert_valid(schema, "\"a long string of more than sixteen bytes\"");
    assert_invalid(schema, "\"a long string of MORE than sixteen bytes\"");
    assert_invalid(schema, "\"Call\"");
    assert_invalid(schema, "\"calls\"");
    assert_invalid(schema, "\"ca\\u006cls\"");
    assert_invalid(schema, "null");
    assert_invalid(schema, "[\"call\"]");
}

static void test_enum_mixed(void **state)
{
    (void)state;
    const char *schema = "{\"enum\":[1,null,[\"a\"],{\"b\":2},\"s\",false]}";

    assert_valid(schema, "1.00");
    assert_valid(schema, "null");
    assert_valid(schema, "[\"\\u0061\"]");
    assert_valid(schema, "{\"b\":2}");
    assert_valid(schema, "\"s\"");
    assert_valid(schema, "false");
    assert_invalid(schema, "true");
    assert_invalid(schema, "2");
    assert_invalid(schema, "[]");
    assert_invalid(schema, "{\"b\":3}");
    assert_invalid("{\"enum\":[1]}", "\"1\"");
    assert_invalid("{\"enum\":[]}", "1");
}

// All of a few hundred names of many lengths are found, and nothing else.
static void test_enum_large(void **state)
{
    (void)state;
    char *schema = malloc(1 << 16);
    char value[128];
    size_t used = (size_t)sprintf(schema, "{\"enum\":[\"x\"");

    for (unsigned i = 0; i < 400; i++)
        used += (size_t)sprintf(schema + used, ",\"n%0*u\"", (int)(i % 40), i);
    sprintf(schema + used, "]}");
    struct schema *compiled = must_compile(schema);
    for (unsigned i = 0; i < 400; i++) {
        size_t n;
        int length = snprintf(value, sizeof(value), "\"n%0*u\"", (int)(i % 40), i);
        assert_true(run_schema(compiled, value, (size_t)length, NULL, 0, &n));
        value[length - 2] = 'z';
        assert_false(run_schema(compiled, value, (size_t)length, NULL, 0, &n));
    }
    schema_destroy(&compiled);
    free(schema);
}

// Strings that are alike in length, beginning and end are told apart by a hash of the whole.
static void test_enum_alike(void **state)
{
    (void)state;
    struct buf schema = {0};

    buf_append_text(&schema, "{\"enum\":[\"x\"");
    for (int i = 0; i < 50; i++)
        buf_printf(&schema, ",\"beginning-%03d-and-end\"", i);
    buf_append_text(&schema, "]}");
    assert_valid(buf_text(&schema), "\"beginning-000-and-end\"");
    assert_valid(buf_text(&schema), "\"beginning-049-and-end\"");
    assert_valid(buf_text(&schema), "\"beginning-04\\u0039-and-end\"");
    assert_valid(buf_text(&schema), "\"x\"");
    assert_invalid(buf_text(&schema), "\"beginning-050-and-end\"");
    assert_invalid(buf_text(&schema), "\"beginning-049-and-end \"");
    assert_invalid(buf_text(&schema), "\"\"");
    assert_invalid(buf_text(&schema), "null");
    buf_deinit(&schema);
}

static void test_bounds(void **state)
{
    (void)state;
    assert_valid("{\"minimum\":1}", "1");
    assert_invalid("{\"minimum\":1}", "0");
    assert_invalid("{\"minimum\":1}", "0.999999999999999999999");
    assert_valid("{\"minimum\":-2}", "-2");
    assert_invalid("{\"minimum\":-2}", "-3");
    assert_valid("{\"minimum\":5}", "\"1\"");
    assert_valid("{\"maximum\":1.5}", "1.5");
    assert_valid("{\"maximum\":1.5}", "1");
    assert_invalid("{\"maximum\":1.5}", "2");
    assert_invalid("{\"maximum\":9007199254740992}", "9007199254740993");
    assert_invalid("{\"maximum\":18446744073709551615}", "18446744073709551616");
    assert_valid("{\"maximum\":18446744073709551615}", "18446744073709551615");
    assert_valid("{\"maximum\":1e400}", "1e399");
    assert_invalid("{\"maximum\":1e400}", "1.0000001e400");
    assert_invalid("{\"exclusiveMinimum\":0}", "0");
    assert_invalid("{\"exclusiveMinimum\":0}", "-0.0");
    assert_valid("{\"exclusiveMinimum\":0}", "1e-400");
    assert_invalid("{\"exclusiveMaximum\":10}", "10");
    assert_invalid("{\"exclusiveMaximum\":10}", "1e1");
    assert_valid("{\"exclusiveMaximum\":10}", "9.99999");
}

static void test_multiple_of(void **state)
{
    (void)state;
    assert_valid("{\"multipleOf\":2}", "10");
    assert_invalid("{\"multipleOf\":2}", "7");
    assert_valid("{\"multipleOf\":0.01}", "0.29");
    assert_invalid("{\"multipleOf\":0.01}", "0.295");
    assert_valid("{\"multipleOf\":1e-8}", "12391239123");
    assert_valid("{\"multipleOf\":0.1}", "0");
    assert_valid("{\"multipleOf\":3}", "\"no number\"");
    assert_valid("{\"multipleOf\":0.01}", "19.99");
    assert_invalid("{\"multipleOf\":1.23456789012345678901}", "2.4691357802469135780");
    assert_valid("{\"multipleOf\":1.23456789012345678901}", "2.46913578024691357802");
    assert_valid("{\"multipleOf\":0.5,\"minimum\":1e400}", "1e1000000000");
    assert_invalid("{\"multipleOf\":1}", "1e-400");
}

static void test_lengths(void **state)
{
    (void)state;
    const char *grin = "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"";

    assert_valid("{\"minLength\":2}", "\"ab\"");
    assert_invalid("{\"minLength\":2}", "\"a\"");
    assert_valid("{\"minLength\":2.0}", grin);
    assert_invalid("{\"minLength\":3}", grin);
    assert_valid("{\"maxLength\":2}", grin);
    assert_invalid("{\"maxLength\":1}", grin);
    assert_valid("{\"maxLength\":1}", "\"\\ud83d\\ude00\"");
    assert_invalid("{\"minLength\":2}", "\"\\ud83d\\ude00\"");
    assert_valid("{\"minLength\":1}", "\"\\u0041\"");
    assert_valid("{\"maxLength\":0}", "\"\"");
    assert_invalid("{\"maxLength\":0}", "\"x\"");
    assert_valid("{\"maxLength\":99999999999999999999}", "\"x\"");
    assert_invalid("{\"minLength\":99999999999999999999}", "\"x\"");
    assert_valid("{\"minLength\":5}", "1");
}

static void test_pattern(void **state)
{
    (void)state;
    const char *key = "{\"pattern\":\"^[a-zA-Z0-9_-]+$\"}";

    assert_valid(key, "\"evt-0_9\"");
    assert_valid(key, "\"\\u0061b\"");
    assert_invalid(key, "\"a:b\"");
    assert_invalid(key, "\"a b\"");
    assert_invalid(key, "\"\"");
    assert_invalid(key, "\"abc\\n\"");
    assert_invalid("{\"pattern\":\"^(abc|d)$\"}", "\"abc\\n\"");
    assert_valid("{\"pattern\":\"b\"}", "\"abc\"");
    assert_valid("{\"pattern\":\"^\\\\u0000$\"}", "\"\\u0000\"");
    assert_valid("{\"pattern\":\"x\"}", "17");
}

static void test_pattern_over_long_escaped_text(void **state)
{
    (void)state;
    size_t size = 20000;
    char *json = malloc(size + 16);
    struct schema *schema = must_compile("{\"pattern\":\"^(a|\\n)*\\n$\"}");
    size_t n;

    memset(json, 'a', size);
    json[0] = '"';
    memcpy(json + size, "\\n\"", 4);
    assert_true(run_schema(schema, json, size + 3, NULL, 0, &n));
    json[100] = 'b';
    assert_false(run_schema(schema, json, size + 3, NULL, 0, &n));
    schema_destroy(&schema);
    free(json);
}

#define RUNAWAY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"

// A pattern that runs away fails, and its failure alone says why, also where failing would be
// right.
static void test_pattern_limit(void **state)
{
    (void)state;
    const char *json = "\"" RUNAWAY "\"", *object = "{\"" RUNAWAY "\":1}";
    const char *message = "the pattern was given up after too many steps; make it simpler";

    assert_failure("{\"pattern\":\"^(a+)+$\",\"maxLength\":100}", json, 0, "", "/pattern",
                   SCHEMA_PATTERN_LIMIT, message);
    assert_int_equal(count_failures("{\"pattern\":\"^(a+)+$\"}", json), 1);
    assert_failure("{\"not\":{\"pattern\":\"^(a+)+$\"}}", json, 0, "", "/not/pattern",
                   SCHEMA_PATTERN_LIMIT, message);
    assert_failure("{\"patternProperties\":{\"^(a+)+$\":false}}", object, 0, "/" RUNAWAY,
                   "/patternProperties/^(a+)+$", SCHEMA_PATTERN_LIMIT, message);
    assert_int_equal(count_failures("{\"patternProperties\":{\"^(a+)+$\":false}}", object), 1);
    assert_failure("{\"additionalProperties\":false,\"patternProperties\":{\"^(a+)+$\":true}}",
                   object, 0, "/" RUNAWAY, "/patternProperties/^(a+)+$", SCHEMA_PATTERN_LIMIT,
                   message);
}

// What else is wrong is told when the verdict did not need the pattern.
static void test_pattern_limit_beside_others(void **state)
{
    (void)state;
    const char *schema = "{\"items\":{\"maxLength\":9,\"pattern\":\"^(a+)+$\"}}";
    const char *not = "{\"items\":{\"maxLength\":9,\"not\":{\"pattern\":\"^(a+)+$\"}}}";

    assert_failure(schema, "[\"" RUNAWAY "\"]", 0, "/0", "/items/maxLength", "maxLength", NULL);
    assert_failure(schema, "[\"" RUNAWAY "\"]", 1, "/0", "/items/pattern", SCHEMA_PATTERN_LIMIT,
                   NULL);
    assert_int_equal(count_failures(schema, "[\"" RUNAWAY "\",\"" RUNAWAY "\"]"), 3);
    assert_failure(not, "[\"" RUNAWAY "\"]", 1, "/0", "/items/not/pattern", SCHEMA_PATTERN_LIMIT,
                   NULL);
}

static void test_format(void **state)
{
    (void)state;
    assert_valid("{\"format\":\"date-time\"}", "\"2025-03-14T09:26:53.589Z\"");
    assert_valid("{\"format\":\"date-time\"}", "\"2025-03-14T09:26:53\\u002e589Z\"");
    assert_invalid("{\"format\":\"date-time\"}", "\"2025-02-30T00:00:00Z\"");
    assert_valid("{\"format\":\"date-time\"}", "12");
}

static void test_properties(void **state)
{
    (void)state;
    const char *schema = "{\"properties\":{\"a\":{\"type\":\"number\"},\"\\u0062\":true,"
                         "\"no\":false},\"required\":[\"a\",\"z\"],\"additionalProperties\":false}";

    assert_valid("{\"properties\":{\"a\":{\"type\":\"number\"}}}", "{\"a\":1,\"c\":null}");
    assert_valid("{\"properties\":{\"a\":{\"type\":\"number\"}}}", "[]");
    assert_invalid(schema, "{\"a\":1,\"b\":2,\"z\":3}"); // z is required, and not allowed
    assert_invalid(schema, "{\"b\":2}");
    assert_valid("{\"properties\":{\"ab\":{\"const\":1}},\"additionalProperties\":false}",
                 "{\"\\u0061b\":1}");
    assert_invalid("{\"properties\":{\"ab\":{\"const\":1}}}", "{\"\\u0061b\":2}");
    assert_invalid("{\"properties\":{\"no\":false}}", "{\"no\":1}");
    assert_valid("{\"properties\":{\"no\":false}}", "{}");
    assert_valid("{\"properties\":{\"__proto__\":{\"type\":\"null\"}}}", "{\"__proto__\":null}");
    assert_valid("{\"properties\":{\"\":{\"const\":1}}}", "{\"\":1}");
    assert_invalid("{\"properties\":{\"\":{\"const\":1}}}", "{\"\":2}");
}

static void test_required(void **state)
{
    (void)state;
    assert_valid("{\"required\":[\"a\",\"b\"]}", "{\"b\":1,\"a\":2}");
    assert_invalid("{\"required\":[\"a\",\"b\"]}", "{\"b\":1,\"c\":2}");
    assert_invalid("{\"required\":[\"a\",\"b\"]}", "{}");
    assert_valid("{\"required\":[\"a\"]}", "null");
    assert_valid("{\"required\":[\"ab\"]}", "{\"\\u0061b\":null}");
    assert_valid("{\"required\":[]}", "{}");
}

// Names by the hundred, so that the table has clashes to get around.
static void test_properties_many(void **state)
{
    (void)state;
    char *schema = malloc(1 << 17), *event = malloc(1 << 17);
    size_t s = (size_t)sprintf(schema, "{\"additionalProperties\":false,\"properties\":{");
    size_t e = (size_t)sprintf(event, "{"), n;

    for (unsigned i = 0; i < 1000; i++) {
        const char *comma = i > 0 ? "," : "";
        s += (size_t)sprintf(schema + s, "%s\"name%u\":{\"const\":%u}", comma, i * 7, i);
        e += (size_t)sprintf(event + e, "%s\"name%u\":%u", comma, i * 7, i);
    }
    sprintf(schema + s, "}}");
    e += (size_t)sprintf(event + e, "}");
    struct schema *compiled = must_compile(schema);
    assert_true(run_schema(compiled, event, e, NULL, 0, &n));
    event[e - 2] ^= 1; // the last value
    assert_false(run_schema(compiled, event, e, NULL, 0, &n));
    assert_false(run_schema(compiled, "{\"name1\":0}", 11, NULL, 0, &n));
    schema_destroy(&compiled);
    free(schema);
    free(event);
}

static void test_pattern_properties(void **state)
{
    (void)state;
    const char *schema = "{\"properties\":{\"x-id\":{\"type\":\"string\"}},"
                         "\"patternProperties\":{\"^x-\":{\"minLength\":2},\"n$\":{\"type\":"
                         "\"number\"}},\"additionalProperties\":{\"type\":\"boolean\"}}";

    assert_valid(schema, "{\"x-id\":\"ab\",\"x-a\":\"ab\",\"n\":1,\"other\":true}");
    assert_invalid(schema, "{\"x-id\":\"a\"}");
    assert_invalid(schema, "{\"x-a\":\"a\"}");
    assert_invalid(schema, "{\"x-n\":\"ab\"}");
    assert_valid(schema, "{\"x-n\":12}");
    assert_invalid(schema, "{\"\\u0078-a\":\"a\"}");
    assert_invalid(schema, "{\"other\":1}");
}

static void test_counts(void **state)
{
    (void)state;
    assert_valid("{\"minProperties\":1,\"maxProperties\":2}", "{\"a\":1,\"b\":{\"c\":2,\"d\":3}}");
    assert_invalid("{\"minProperties\":1}", "{}");
    assert_invalid("{\"maxProperties\":2}", "{\"a\":1,\"b\":2,\"c\":3}");
    assert_valid("{\"minItems\":1,\"maxItems\":2}", "[[1,2,3]]");
    assert_invalid("{\"minItems\":1}", "[]");
    assert_invalid("{\"maxItems\":2}", "[1,2,3]");
    assert_valid("{\"minItems\":1,\"minProperties\":1}", "\"neither\"");
}

static void test_items(void **state)
{
    (void)state;
    const char *schema =
        "{\"prefixItems\":[{\"const\":1},{\"type\":\"string\"}],\"items\":{\"type\":"
        "\"null\"}}";

    assert_valid("{\"items\":{\"type\":\"integer\"}}", "[1,2,3]");
    assert_invalid("{\"items\":{\"type\":\"integer\"}}", "[1,[2],3]");
    assert_valid("{\"items\":false}", "[]");
    assert_invalid("{\"items\":false}", "[1]");
    assert_valid("{\"items\":true}", "[1]");
    assert_valid(schema, "[1,\"\",null,null]");
    assert_valid(schema, "[1]");
    assert_invalid(schema, "[2]");
    assert_invalid(schema, "[1,\"\",3]");
    assert_valid("{\"prefixItems\":[true,false]}", "[[1,2,3]]");
    assert_invalid("{\"prefixItems\":[true,false]}", "[1,2]");
    assert_valid("{\"prefixItems\":[{\"type\":\"array\"}]}", "[[],1,2]");
}

static void test_contains(void **state)
{
    (void)state;
    const char *schema = "{\"contains\":{\"const\":1},\"minContains\":2,\"maxContains\":3}";

    assert_valid("{\"contains\":{\"const\":1}}", "[0,1]");
    assert_invalid("{\"contains\":{\"const\":1}}", "[0,2]");
    assert_invalid("{\"contains\":true}", "[]");
    assert_valid("{\"contains\":false,\"minContains\":0}", "[]");
    assert_invalid(schema, "[1]");
    assert_valid(schema, "[1,0,1]");
    assert_invalid(schema, "[1,1,1,1]");
    assert_valid("{\"minContains\":5}", "[]");
    assert_failure(schema, "[1]", 0, "", "/minContains", "minContains",
                   "expected at least 2 elements that match contains, found 1");
    assert_failure(schema, "[1,1,1,1,0]", 0, "", "/maxContains", "maxContains",
                   "expected at most 3 elements that match contains, found 4");
    assert_failure("{\"contains\":{\"const\":1}}", "[]", 0, "", "/contains", "contains",
                   "expected an element that matches contains");
}

static void test_unique_items(void **state)
{
    (void)state;
    const char *schema = "{\"uniqueItems\":true}";

    assert_valid(schema, "[1,\"1\",true,null,[1],{\"a\":1},10,100,0.1,-1]");
    assert_invalid(schema, "[1,2,1.0]");
    assert_invalid(schema, "[100,1e2]");
    assert_invalid(schema, "[0.10,1e-1]");
    assert_invalid(schema, "[0,-0.0e5]");
    assert_valid(schema, "[1001,101,11,1.01]");
    assert_invalid(schema, "[\"a\",\"\\u0061\"]");
    assert_invalid(schema, "[{\"a\":1,\"b\":[2]},{\"b\":[2.0],\"\\u0061\":1}]");
    assert_valid(schema, "[{\"a\":1},{\"a\":2},{\"b\":1}]");
    assert_valid(schema, "[0,false,\"\",[],{},null]");
    assert_valid("{\"uniqueItems\":false}", "[1,1]");
    assert_failure(schema, "[0,[7,7],2,3,2]", 0, "", "/uniqueItems", "uniqueItems",
                   "expected different elements, but those at 2 and 4 are equal");
}

static void test_unique_items_many(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    char *json = malloc(COUNT * 64), *objects = malloc(COUNT * 64);
    struct schema *schema = must_compile("{\"uniqueItems\":true}");
    size_t used = 1, n;

    json[0] = '[';
    for (int i = 0; i < COUNT; i++)
        used += (size_t)sprintf(json + used, i % 2 ? "\"\\u0061%d\"," : "1%de-2,", i);
    sprintf(json + used, "5]");
    assert_true(run_schema(schema, json, used + 2, NULL, 0, &n));
    used += (size_t)sprintf(json + used, "5,\"a2999\"]");
    assert_false(run_schema(schema, json, used, NULL, 0, &n));
    // Two large objects with the same members, one backwards.
    size_t o = (size_t)sprintf(objects, "[{");
    for (int i = 0; i < 200; i++)
        o += (size_t)sprintf(objects + o, "%s\"k%d\":%d", i ? "," : "", i, i);
    o += (size_t)sprintf(objects + o, "},{");
    for (int i = 199; i >= 0; i--)
        o += (size_t)sprintf(objects + o, "%s\"\\u006b%d\":%d.0", i < 199 ? "," : "", i, i);
    o += (size_t)sprintf(objects + o, "}]");
    assert_false(run_schema(schema, objects, o, NULL, 0, &n));
    schema_destroy(&schema);
    free(json);
    free(objects);
}

static void test_names_and_dependencies(void **state)
{
    (void)state;
    const char *draft7 =
        "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"dependencies\":"
        "{\"a\":[\"b\"],\"c\":{\"required\":[\"d\"]}}}";

    assert_valid("{\"propertyNames\":{\"maxLength\":2}}", "{\"ab\":1,\"\\u0061c\":2}");
    assert_invalid("{\"propertyNames\":{\"maxLength\":2}}", "{\"abc\":1}");
    assert_invalid("{\"propertyNames\":false}", "{\"a\":1}");
    assert_failure("{\"propertyNames\":{\"pattern\":\"^a\"}}", "{\"a\":1,\"b\":2}", 0, "/b",
                   "/propertyNames/pattern", "pattern", "expected a string that matches \"^a\"");
    assert_valid("{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"c\":1}");
    assert_failure("{\"dependentRequired\":{\"a\":[\"b\",\"c\"]}}", "{\"a\":1,\"b\":2}", 0, "",
                   "/dependentRequired/a", "dependentRequired",
                   "expected a member \"c\", because there is a \"a\"");
    assert_valid("{\"dependentSchemas\":{\"a\":{\"maxProperties\":1}}}", "{\"a\":1}");
    assert_failure("{\"dependentSchemas\":{\"a\":{\"maxProperties\":1}}}", "{\"a\":1,\"b\":1}", 0,
                   "", "/dependentSchemas/a/maxProperties", "maxProperties", NULL);
    assert_valid(draft7, "{\"a\":1,\"b\":2}");
    assert_invalid(draft7, "{\"a\":1}");
    assert_invalid(draft7, "{\"c\":1}");
    assert_valid(draft7, "{\"c\":1,\"d\":1}");
}

static void test_logic(void **state)
{
    (void)state;
    assert_valid("{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "2");
    assert_invalid("{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "4");
    assert_valid("{\"anyOf\":[{\"minimum\":3},{\"maximum\":1}]}", "4");
    assert_invalid("{\"anyOf\":[{\"minimum\":3},{\"maximum\":1}]}", "2");
    assert_valid("{\"oneOf\":[{\"minimum\":3},{\"maximum\":3}]}", "4");
    assert_invalid("{\"oneOf\":[{\"minimum\":3},{\"maximum\":3}]}", "3");
    assert_invalid("{\"oneOf\":[false,false]}", "3");
    assert_valid("{\"not\":{\"type\":\"string\"}}", "3");
    assert_invalid("{\"not\":{}}", "3");
    assert_valid("{\"if\":{\"minimum\":5},\"then\":{\"multipleOf\":2},\"else\":{\"const\":1}}",
                 "6");
    assert_invalid("{\"if\":{\"minimum\":5},\"then\":{\"multipleOf\":2},\"else\":{\"const\":1}}",
                   "7");
    assert_valid("{\"if\":{\"minimum\":5},\"then\":{\"multipleOf\":2},\"else\":{\"const\":1}}",
                 "1");
    assert_invalid("{\"if\":{\"minimum\":5},\"then\":{\"multipleOf\":2},\"else\":{\"const\":1}}",
                   "2");
    assert_valid("{\"if\":false,\"then\":false}", "1");
    assert_valid("{\"then\":false,\"else\":false}", "1");
}

static void test_booleans(void **state)
{
    (void)state;
    assert_valid("true", "[1]");
    assert_valid("{}", "[1]");
    assert_failure("false", "[1]", 0, "", "", "false", "nothing is allowed here");
    assert_failure("{\"properties\":{\"a\":false}}", "{\"a\":[1]}", 0, "/a", "/properties/a",
                   "properties", NULL);
}

static void test_refs(void **state)
{
    (void)state;
    const char *tree = "{\"type\":\"object\",\"required\":[\"v\"],\"properties\":{\"v\":{\"type\":"
                       "\"integer\"},\"kids\":{\"items\":{\"$ref\":\"#\"}}},"
                       "\"additionalProperties\":false}";

    assert_valid(tree, "{\"v\":1,\"kids\":[{\"v\":2,\"kids\":[{\"v\":3}]},{\"v\":4}]}");
    assert_invalid(tree, "{\"v\":1,\"kids\":[{\"v\":2,\"kids\":[{\"v\":\"3\"}]}]}");
    assert_failure(tree, "{\"v\":1,\"kids\":[{\"v\":2},{\"v\":1.5}]}", 0, "/kids/1/v",
                   "/properties/v/type", "type",
                   "expected integer, found a number that is not whole");
    assert_invalid("{\"$ref\":\"#/$defs/a~1b%25\",\"$defs\":{\"a/b%\":{\"type\":\"null\"}}}", "1");
    assert_valid("{\"$ref\":\"#/$defs/c/allOf/1\",\"$defs\":{\"c\":{\"allOf\":[false,true]}}}",
                 "1");
    assert_invalid("{\"$ref\":\"#n\",\"$defs\":{\"x\":{\"$anchor\":\"n\",\"type\":\"null\"}}}",
                   "1");
    assert_invalid("{\"$id\":\"http://h/s.json\",\"$ref\":\"http://h/s.json#/$defs/x\","
                   "\"$defs\":{\"x\":false}}",
                   "1");
    assert_failure("{\"$ref\":\"#/$defs/x\",\"minimum\":2,\"$defs\":{\"x\":{\"type\":\"null\"}}}",
                   "1", 0, "", "/minimum", "minimum", NULL);
    assert_failure("{\"$ref\":\"#/$defs/x\",\"minimum\":2,\"$defs\":{\"x\":{\"type\":\"null\"}}}",
                   "1", 1, "", "/$defs/x/type", "type", NULL);
}

static void test_older_drafts(void **state)
{
    (void)state;
    const char *tuple = "{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\",\"items\":"
                        "[{\"const\":1}],\"additionalItems\":{\"const\":2}}";

    assert_valid(tuple, "[1,2,2]");
    assert_invalid(tuple, "[1,1]");
    assert_invalid(tuple, "[2]");
    assert_valid("{\"$schema\":\"http://json-schema.org/draft-06/schema#\",\"items\":true,"
                 "\"additionalItems\":false}",
                 "[1,2]");
    assert_invalid("{\"$schema\":\"http://json-schema.org/draft-07/schema\",\"definitions\":{\"a\":"
                   "{\"$id\":\"#n\",\"type\":\"null\"}},\"$ref\":\"#n\"}",
                   "1");
}

// --- what failures say ---------------------------------------------------------------------------

static const char event_schema[] =
    "{\"type\":\"object\",\"required\":[\"interactionId\",\"timestamp\",\"type\"],"
    "\"additionalProperties\":false,\"minProperties\":9,\"properties\":{"
    "\"interactionId\":{\"type\":\"string\",\"minLength\":1},"
    "\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"type\":{\"type\":\"string\",\"enum\":[\"call\",\"chat\"]},"
    "\"attributes\":{\"type\":\"object\"}}}";

static void test_order(void **state)
{
    (void)state;
    const char *event = "{\"extra\":1,\"type\":\"Call\",\"timestamp\":\"now\",\"attributes\":[]}";

    assert_failure(event_schema, event, 0, "", "/required", "required",
                   "expected a member \"interactionId\"");
    assert_failure(event_schema, event, 1, "/type", "/properties/type/enum", "enum",
                   "expected one of the 2 values [\"call\",\"chat\"], found another string");
    assert_failure(event_schema, event, 2, "/timestamp", "/properties/timestamp/format", "format",
                   "expected a string of format date-time");
    assert_failure(event_schema, event, 3, "/attributes", "/properties/attributes/type", "type",
                   "expected object, found array");
    assert_failure(event_schema, event, 4, "/extra", "/additionalProperties",
                   "additionalProperties", "this member is not allowed");
    assert_failure(event_schema, event, 5, "", "/minProperties", "minProperties",
                   "expected at least 9 members, found 4");
    assert_int_equal(count_failures(event_schema, event), 6);
    assert_failure(event_schema, "[]", 0, "", "/type", "type", "expected object, found array");
}

static void test_messages(void **state)
{
    (void)state;
    assert_failure("{\"type\":[\"string\",\"null\",\"integer\"]}", "{}", 0, "", "/type", "type",
                   "expected null or integer or string, found object");
    assert_failure("{\"const\":1}", "2", 0, "", "/const", "const",
                   "expected 1, found another number");
    assert_failure("{\"enum\":[1,2]}", "\"x\"", 0, "", "/enum", "enum",
                   "expected one of the 2 values [1,2], found string");
    assert_failure("{\"minimum\":5}", "1", 0, "", "/minimum", "minimum",
                   "expected a number of at least 5");
    assert_failure("{\"maximum\":5}", "7", 0, "", "/maximum", "maximum",
                   "expected a number of at most 5");
    assert_failure("{\"exclusiveMinimum\":5}", "5", 0, "", "/exclusiveMinimum", "exclusiveMinimum",
                   "expected a number of more than 5");
    assert_failure("{\"exclusiveMaximum\":5}", "5", 0, "", "/exclusiveMaximum", "exclusiveMaximum",
                   "expected a number of less than 5");
    assert_failure("{\"multipleOf\":2}", "5", 0, "", "/multipleOf", "multipleOf",
                   "expected a multiple of 2");
    assert_failure("{\"const\": { \"a b\" : [ 1 ,\n\"c \\\" d\" ] } }", "{}", 0, "", "/const",
                   "const", "expected {\"a b\":[1,\"c \\\" d\"]}, found another object");
    assert_failure("{\"maxLength\":1}", "\"abc\"", 0, "", "/maxLength", "maxLength",
                   "expected at most 1 characters, found 3");
    assert_failure(
        "{\"anyOf\":[false]}", "5", 0, "", "/anyOf", "anyOf",
        "expected a match of at least one of 1 schemas, found none; /anyOf/0 comes closest");
    assert_failure("{\"oneOf\":[true,true]}", "5", 0, "", "/oneOf", "oneOf",
                   "expected a match of exactly one of 2 schemas, found 2, /oneOf/0 and "
                   "/oneOf/1 among them");
    assert_failure("{\"not\":true}", "5", 0, "", "/not", "not",
                   "expected no match of the schema of not");
    assert_failure("{\"allOf\":[true,{\"type\":\"null\"}]}", "5", 0, "", "/allOf/1/type", "type",
                   NULL);
    assert_failure("{\"if\":true,\"then\":{\"type\":\"null\"}}", "5", 0, "", "/then/type", "type",
                   NULL);
}

// Several failures inside one schema, elements, patterns, names: all are told.
static void test_all_failures(void **state)
{
    (void)state;
    assert_int_equal(count_failures("{\"items\":{\"type\":\"null\"}}", "[1,null,2,3]"), 3);
    assert_int_equal(count_failures("{\"prefixItems\":[false,false]}", "[1,2,3]"), 2);
    assert_int_equal(count_failures("{\"patternProperties\":{\"a\":false,\"b\":false}}",
                                    "{\"ab\":1,\"a\":1,\"c\":1}"),
                     3);
    assert_int_equal(count_failures("{\"propertyNames\":{\"maxLength\":1}}", "{\"ab\":1,\"cd\":1}"),
                     2);
    assert_int_equal(count_failures("{\"dependentRequired\":{\"a\":[\"x\",\"y\"]}}", "{\"a\":1}"),
                     2);
    assert_int_equal(
        count_failures("{\"dependentSchemas\":{\"a\":false,\"b\":false}}", "{\"a\":1,\"b\":2}"), 2);
    assert_int_equal(count_failures("{\"additionalProperties\":{\"type\":\"null\"}}",
                                    "{\"a\":1,\"b\":null,\"c\":2}"),
                     2);
    assert_int_equal(count_failures("{\"anyOf\":[{\"items\":false},{\"items\":false}]}", "[1,2]"),
                     3); // the keyword, and what its first branch says
    assert_int_equal(count_failures("{\"not\":{\"items\":true}}", "[1,2]"), 1);
    assert_int_equal(count_failures("{\"minimum\":3,\"multipleOf\":2,\"not\":{}}", "1"), 3);
}

// More failures than fit are counted, and the room given is not exceeded.
static void test_more_than_fit(void **state)
{
    (void)state;
    struct schema *schema = must_compile("{\"items\":{\"type\":\"null\"}}");
    struct schema_error errors[3];
    size_t n;

    memset(errors, 0x5a, sizeof(errors));
    assert_false(run_schema(schema, "[1,2,3,4,5]", 11, errors, 2, &n));
    assert_int_equal(n, 5);
    assert_string_equal(errors[1].instance, "/1");
    assert_int_equal(errors[2].instance[0], 0x5a);
    schema_destroy(&schema);
}

// The deepest that an event and a schema can make validation go fits the stack with room to spare.
static void test_deepest(void **state)
{
    (void)state;
    char *text = malloc(1 << 16), json[2 * TAPE_DEPTH_DEFAULT + 1];
    size_t n, used = (size_t)sprintf(text, "{\"$ref\":\"#/$defs/d33\",\"$defs\":{");

    // $ref and allOf are a step each: 64 of them, with the one at the start
    for (int i = 33; i < 64; i++)
        used += (size_t)sprintf(text + used, "\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"}]},", i,
                                i + 1);
    sprintf(text + used, "\"d64\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/d33\"}}}}");
    struct schema *schema = must_compile(text);
    memset(json, '[', TAPE_DEPTH_DEFAULT);
    memset(json + TAPE_DEPTH_DEFAULT, ']', TAPE_DEPTH_DEFAULT);
    assert_true(run_schema(schema, json, 2 * TAPE_DEPTH_DEFAULT, NULL, 0, &n));
    memset(json, '[', TAPE_DEPTH_DEFAULT);
    json[TAPE_DEPTH_DEFAULT - 1] = '7';
    memset(json + TAPE_DEPTH_DEFAULT, ']', TAPE_DEPTH_DEFAULT - 1);
    struct schema_error error;
    assert_false(run_schema(schema, json, 2 * TAPE_DEPTH_DEFAULT - 1, &error, 1, &n));
    assert_string_equal(error.schema, "/$defs/d64/type");
    schema_destroy(&schema);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type),
        cmocka_unit_test(test_type_integer),
        cmocka_unit_test(test_type_in_properties),
        cmocka_unit_test(test_const),
        cmocka_unit_test(test_enum_strings),
        cmocka_unit_test(test_enum_mixed),
        cmocka_unit_test(test_enum_large),
        cmocka_unit_test(test_enum_alike),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_multiple_of),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_pattern_over_long_escaped_text),
        cmocka_unit_test(test_pattern_limit),
        cmocka_unit_test(test_pattern_limit_beside_others),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_properties_many),
        cmocka_unit_test(test_pattern_properties),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_contains),
        cmocka_unit_test(test_unique_items),
        cmocka_unit_test(test_unique_items_many),
        cmocka_unit_test(test_names_and_dependencies),
        cmocka_unit_test(test_logic),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_refs),
        cmocka_unit_test(test_older_drafts),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_all_failures),
        cmocka_unit_test(test_more_than_fit),
        cmocka_unit_test(test_deepest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
