// SPDX-License-Identifier: Apache-2.0
// The drafts' meta-schemas, and schemas that follow a meta-schema of their own.
#include "schema_fixture.h"

#include "schema/compile_priv.h"

static const char *const uris[] = {
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
    "https://json-schema.org/draft/2020-12/meta/core",
    "https://json-schema.org/draft/2020-12/meta/applicator",
    "https://json-schema.org/draft/2020-12/meta/unevaluated",
    "https://json-schema.org/draft/2020-12/meta/validation",
    "https://json-schema.org/draft/2020-12/meta/meta-data",
    "https://json-schema.org/draft/2020-12/meta/format-annotation",
    "https://json-schema.org/draft/2020-12/meta/format-assertion",
    "https://json-schema.org/draft/2020-12/meta/content",
    "https://json-schema.org/draft/2019-09/meta/core",
    "https://json-schema.org/draft/2019-09/meta/applicator",
    "https://json-schema.org/draft/2019-09/meta/validation",
    "https://json-schema.org/draft/2019-09/meta/meta-data",
    "https://json-schema.org/draft/2019-09/meta/format",
    "https://json-schema.org/draft/2019-09/meta/content",
};

// Each is a schema of its own draft, in which nothing is unknown.
static void test_of_themselves(void **state)
{
    (void)state;
    struct schema_options options = {.strict = SCHEMA_STRICT_ALL};
    char reference[256];

    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        struct schema_fault fault;
        struct schema_faults faults = {.list = &fault, .max = 1};
        struct schema *schema;
        struct buf text = {0};
        assert_true(metaschema_write(uris[i], strlen(uris[i]), &text));
        if (schema_compile_with(&options, text.data, text.len, &faults, &schema) != STATUS_OK)
            fail_msg("%s: %s: %s", uris[i], fault.pointer, fault.message);
        size_t n;
        struct schema_error error;
        if (!run_schema(schema, text.data, text.len, &error, 1, &n))
            fail_msg("%s: %s: %s", uris[i], error.instance, error.message);
        schema_destroy(&schema);
        snprintf(reference, sizeof(reference), "{\"$ref\":\"%s\"}", uris[i % 5]);
        if (i < 5 || i % 5 == 0)
            assert_valid(reference, buf_text(&text));
        buf_deinit(&text);
    }
}

static void test_unknown(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "https://json-schema.org/draft/2020-12/meta/format",
        "https://json-schema.org/draft/2019-09/meta/unevaluated",
        "https://json-schema.org/draft/2020-12/meta/",
        "https://json-schema.org/draft/2020-12/meta/core/",
        "https://json-schema.org/draft-05/schema",
        "ftp://json-schema.org/draft-07/schema",
        "",
    };
    struct buf text = {0};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_false(metaschema_write(unknown[i], strlen(unknown[i]), &text));
    assert_int_equal(text.len, 0);
}

// What each draft's meta-schema refuses.
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        size_t uri;
        const char *schema;
        bool valid;
    } cases[] = {
        {0, "{\"properties\":{\"a\":{\"type\":\"strin\"}}}", false},
        {0, "{\"$defs\":{\"a\":{\"allOf\":[]}}}", false},
        {0, "{\"$id\":\"http://a/#b\"}", false},
        {0, "{\"$anchor\":\"1\"}", false},
        {0, "{\"prefixItems\":[{\"minLength\":-1}]}", false},
        {0, "{\"items\":[]}", false},
        {0, "{\"dependencies\":{\"a\":[1]}}", false},
        {0, "{\"dependencies\":{\"a\":[\"b\"]},\"definitions\":{\"x\":true}}", true},
        {0, "{\"unevaluatedItems\":1}", false},
        {0, "{\"$vocabulary\":{\"http://a\":1}}", false},
        {0, "{\"contentSchema\":3}", false},
        {1, "{\"items\":[{\"minimum\":\"\"}]}", false},
        {1, "{\"items\":[{\"minimum\":1}],\"$recursiveAnchor\":true}", true},
        {1, "{\"not\":{\"contains\":[]}}", false},
        {2, "{\"if\":{\"multipleOf\":0}}", false},
        {2, "{\"if\":{\"multipleOf\":0.1},\"then\":false}", true},
        {2, "{\"pattern\":\"[\"}", false},
        {3, "{\"exclusiveMinimum\":true}", false},
        {3, "{\"required\":[]}", true},
        {4, "{\"exclusiveMinimum\":true,\"minimum\":1}", true},
        {4, "{\"exclusiveMinimum\":true}", false},
        {4, "{\"required\":[]}", false},
        {4, "{\"not\":true}", false},
        {4, "{\"additionalProperties\":false,\"enum\":[1]}", true},
        {4, "{\"enum\":[]}", false},
    };
    char reference[256];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(reference, sizeof(reference), "{\"$ref\":\"%s\"}", uris[cases[i].uri]);
        if (is_valid(reference, cases[i].schema) != cases[i].valid)
            fail_msg("%s should be %s", cases[i].schema, cases[i].valid ? "valid" : "invalid");
    }
}

// --- meta-schemas of others ----------------------------------------------------------------------

static enum status_code lookup(void *data, const char *uri, struct schema_source *source_r,
                               struct status *st)
{
    if (strcmp(uri, "http://m/locked") == 0)
        return status_set(st, STATUS_DENIED, "it is locked");
    if (strcmp(uri, "http://m/") != 0 && strcmp(uri, "http://m/large") != 0)
        return STATUS_NOT_FOUND;
    *source_r = (struct schema_source){.text = data, .length = strlen(data), .name = "m.json"};
    if (strcmp(uri, "http://m/large") == 0)
        source_r->length = SCHEMA_TEXTS_MAX; // looked at by nobody
    return STATUS_OK;
}

struct outcome {
    struct schema_fault fault;
    size_t count;
    bool valid; // of the number 1
};

static struct outcome compile_strict(enum schema_strict strict, const char *metaschema,
                                     const char *text)
{
    struct schema_options options = {
        .strict = strict, .lookup = lookup, .lookup_data = (void *)metaschema};
    struct outcome outcome = {0};
    struct schema_faults faults = {.list = &outcome.fault, .max = 1};
    struct schema *schema;

    if (schema_compile_with(&options, text, strlen(text), &faults, &schema) == STATUS_OK) {
        size_t n;
        outcome.valid = run_schema(schema, "1", 1, NULL, 0, &n);
    }
    schema_destroy(&schema);
    outcome.count = faults.count;
    return outcome;
}

static struct outcome compile_with(const char *metaschema, const char *text)
{
    return compile_strict(SCHEMA_STRICT_TYPOS, metaschema, text);
}

static void assert_refused(const char *metaschema, const char *text, const char *message)
{
    struct outcome outcome = compile_with(metaschema, text);

    assert_int_equal(outcome.count, 1);
    assert_string_equal(outcome.fault.pointer, "/$schema");
    if (strstr(outcome.fault.message, message) == NULL)
        fail_msg("%s", outcome.fault.message);
}

#define MINE "{\"$schema\":\"http://m/#\",\"type\":\"string\",\"minimum\":5}"
#define VOCABULARY "https://json-schema.org/draft/2020-12/vocab/"

static void test_custom(void **state)
{
    (void)state;
    struct outcome outcome;

    outcome = compile_with("{\"$schema\":\"http://json-schema.org/draft-04/schema#\"}",
                           "{\"$schema\":\"http://m/\",\"minimum\":1,\"exclusiveMinimum\":true}");
    assert_int_equal(outcome.count, 0);
    assert_false(outcome.valid);
    outcome = compile_with("{\"$vocabulary\":{\"" VOCABULARY "core\":true,\"http://x\":false}}",
                           "{\"$schema\":\"http://m/\",\"title\":1}");
    assert_int_equal(outcome.count, 0);
    assert_true(outcome.valid);
    outcome = compile_with("{\"$vocabulary\":{\"" VOCABULARY "validation\":true}}", MINE);
    assert_int_equal(outcome.count, 0);
    assert_false(outcome.valid);
    assert_refused("{\"$vocabulary\":{\"http://x\":true}}", MINE,
                   "asks for the vocabulary \"http://x\"");
    assert_refused("{\"$schema\":1", MINE, "the meta-schema m.json is not valid JSON");
    assert_refused("{\"$schema\":\"http://m/\"}", MINE, "leads from one meta-schema to another");
    assert_refused("", "{\"$schema\":\"http://m/locked\"}", "it is locked");
    assert_refused("", "{\"$schema\":\"http://m/none\"}", "names neither a draft");
}

// What the meta-schema leaves out is ignored, or a fault of the strictest; it is asked for once.
static void test_left_out(void **state)
{
    (void)state;
    static const char *const core = "{\"$vocabulary\":{\"" VOCABULARY "core\":true}}";
    struct outcome outcome = compile_strict(SCHEMA_STRICT_ALL, core, MINE);

    assert_int_equal(outcome.count, 2);
    assert_string_equal(outcome.fault.pointer, "/type");
    assert_non_null(strstr(outcome.fault.message, "that the schema's meta-schema leaves out"));
    outcome =
        compile_with(core, "{\"$schema\":\"http://m/\",\"$defs\":{\"a\":{\"$id\":\"http://b\","
                           "\"$schema\":\"http://m/\",\"type\":\"string\"}},"
                           "\"$ref\":\"http://b\"}");
    assert_int_equal(outcome.count, 0);
    assert_true(outcome.valid);
}

static void test_too_large(void **state)
{
    (void)state;
    struct outcome outcome = compile_with("{}", "{\"$ref\":\"http://m/large\"}");

    assert_int_equal(outcome.count, 1);
    assert_string_equal(outcome.fault.pointer, "/$ref");
    assert_non_null(strstr(outcome.fault.message, "the schemas are more than 67108864 bytes"));
}

// A meta-schema that is its own.
static void test_own(void **state)
{
    (void)state;
    struct outcome outcome = compile_with(
        "", "{\"$schema\":\"http://self/\",\"$id\":\"http://self/\",\"$vocabulary\":{\"" VOCABULARY
            "applicator\":true},\"minimum\":5,\"not\":false}");

    assert_int_equal(outcome.count, 0);
    assert_true(outcome.valid);
}

// Embedded resources follow their own.
static void test_embedded(void **state)
{
    (void)state;
    assert_invalid(
        "{\"allOf\":[{\"id\":\"http://a/\",\"$schema\":\"http://json-schema.org/draft-04/"
        "schema#\",\"minimum\":1,\"exclusiveMinimum\":true}]}",
        "1");
    assert_valid("{\"allOf\":[{\"$id\":\"http://a/\",\"minimum\":1}]}", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_themselves), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_custom),
        cmocka_unit_test(test_left_out),      cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_own),           cmocka_unit_test(test_embedded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
