// SPDX-License-Identifier: Apache-2.0
// Schemas in several files: beside one another, registered, in trees; and what is not to be had.
#include "schema_fixture.h"

#include "schema/library.h"

#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct schema_library *library;
    struct schema_fault faults[FIXTURE_FAULTS];
    size_t n_faults;
    struct status st;
};

static const char *const names[] = {"main.json", "other.json", "sub/deep.json", "sub/a b.json",
                                    "sub/plain"};

static char *path_of(const struct fixture *f, const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", f->dir, name);
    return path;
}

static void put(const struct fixture *f, const char *name, const char *text)
{
    FILE *file = fopen(path_of(f, name), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/library-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(mkdir(path_of(f, "sub"), 0700), 0);
    f->library = schema_library_create();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(path_of(f, names[i]));
    rmdir(path_of(f, "sub"));
    assert_int_equal(rmdir(f->dir), 0);
    schema_library_destroy(&f->library);
    schema_library_destroy(&f->library);
    free(f);
    return 0;
}

// NULL when it fails.
static struct schema *compile(struct fixture *f, const char *path)
{
    struct schema_faults faults = {.list = f->faults, .max = FIXTURE_FAULTS};
    struct schema *schema;

    enum status_code code =
        schema_library_compile(f->library, path, NULL, &faults, &schema, &f->st);
    assert_int_equal(schema != NULL, code == STATUS_OK);
    f->n_faults = faults.count;
    return schema;
}

static void assert_verdict(struct fixture *f, const char *json, bool expected)
{
    struct schema *schema = compile(f, path_of(f, "main.json"));
    size_t n;

    if (schema == NULL)
        fail_msg("%s: %s", f->faults[0].pointer, f->faults[0].message);
    assert_int_equal(run_schema(schema, json, strlen(json), NULL, 0, &n), expected);
    schema_destroy(&schema);
}

static void assert_refused(struct fixture *f, const char *pointer, const char *message)
{
    assert_null(compile(f, path_of(f, "main.json")));
    assert_int_equal(f->n_faults, 1);
    assert_string_equal(f->faults[0].pointer, pointer);
    if (strstr(f->faults[0].message, message) == NULL)
        fail_msg("%s", f->faults[0].message);
}

static void add(struct fixture *f, const char *uri, const char *path)
{
    if (schema_library_add(f->library, uri, path, &f->st) != STATUS_OK)
        fail_msg("%s", f->st.detail);
}

static void test_beside(void **state)
{
    struct fixture *f = *state;

    put(f, "main.json",
        "{\"items\":{\"$ref\":\"sub/deep.json#/$defs/x\"},\"$ref\":\"sub/a%20b.json\"}");
    put(f, "sub/deep.json", "{\"$defs\":{\"x\":{\"$ref\":\"../other.json\"}}}");
    put(f, "other.json", "{\"type\":[\"integer\",\"array\"],\"items\":{\"$ref\":\"main.json\"}}");
    put(f, "sub/a b.json", "{\"maxItems\":2}");
    assert_verdict(f, "[1,2]", true);
    assert_verdict(f, "[\"1\"]", false);
    assert_verdict(f, "[1,2,3]", false);
    assert_verdict(f, "[[[1]]]", true);
    assert_verdict(f, "[[[1],2,3]]", true);
    assert_verdict(f, "[[[1,\"\"],2,3]]", false);
}

static void test_relative_path(void **state)
{
    struct fixture *f = *state;
    char *before = getcwd(NULL, 0);

    put(f, "main.json", "{\"$ref\":\"other.json\"}");
    put(f, "other.json", "{\"type\":\"null\"}");
    assert_int_equal(chdir(f->dir), 0);
    struct schema *schema = compile(f, "sub/../main.json");
    assert_int_equal(chdir(before), 0);
    assert_non_null(schema);
    schema_destroy(&schema);
    free(before);
}

static void test_registered(void **state)
{
    struct fixture *f = *state;

    put(f, "main.json", "{\"$id\":\"https://example.com/m\",\"$ref\":\"common#a\"}");
    assert_refused(f, "/$ref", "no schema is known under \"https://example.com/common\"; register");
    put(f, "other.json", "{\"$defs\":{\"a\":{\"$anchor\":\"a\",\"type\":\"null\"}}}");
    add(f, "HTTPS://example.com/x/../common#", path_of(f, "other.json"));
    assert_verdict(f, "null", true);
    assert_verdict(f, "1", false);
}

static void test_tree(void **state)
{
    struct fixture *f = *state;

    put(f, "main.json",
        "{\"properties\":{\"a\":{\"$ref\":\"http://t/deep\"},\"b\":{\"$ref\":"
        "\"http://t/plain\"},\"c\":{\"$ref\":\"http://t/only/other.json\"}}}");
    put(f, "sub/deep.json", "{\"type\":\"null\"}");
    put(f, "sub/plain", "{\"$ref\":\"deep.json\"}");
    put(f, "other.json", "{\"type\":\"boolean\"}");
    add(f, "http://t/", path_of(f, "sub"));
    add(f, "http://t/only/", f->dir);
    assert_verdict(f, "{\"a\":null,\"b\":null,\"c\":true}", true);
    assert_verdict(f, "{\"b\":1}", false);
    assert_verdict(f, "{\"c\":null}", false);
}

static void test_not_to_be_had(void **state)
{
    struct fixture *f = *state;

    put(f, "main.json", "{\"$ref\":\"none.json\"}");
    assert_refused(f, "/$ref", "/none.json: No such file");
    put(f, "main.json", "{\"$ref\":\"sub\"}");
    assert_refused(f, "/$ref", "Is a directory");
    put(f, "main.json", "{\"$ref\":\"sub/\"}");
    assert_refused(f, "/$ref", "no schema is known");
    put(f, "main.json", "{\"$ref\":\"a%00b\"}");
    assert_refused(f, "/$ref", "no schema is known");
    add(f, "http://t/", path_of(f, "sub"));
    put(f, "main.json", "{\"$ref\":\"http://t/%2e%2e%2fother.json\"}");
    put(f, "other.json", "{}");
    assert_refused(f, "/$ref", "no schema is known");
    put(f, "main.json", "{\"$ref\":\"http://t/\"}");
    assert_refused(f, "/$ref", "no schema is known");
    assert_null(compile(f, path_of(f, "missing.json")));
    assert_int_equal(f->n_faults, 0);
    assert_non_null(strstr(f->st.detail, "missing.json: No such file"));
}

// A fault is told with the file that has it.
static void test_faults_elsewhere(void **state)
{
    struct fixture *f = *state;

    put(f, "main.json", "{\"$ref\":\"other.json#/$defs/a\",\"requird\":1}");
    put(f, "other.json", "{\"$defs\":{\n  \"a\": {\"typ\": 1},\n  \"b\": {\"not looked at\": 1}}}");
    assert_null(compile(f, path_of(f, "main.json")));
    assert_int_equal(f->n_faults, 2);
    assert_string_equal(f->faults[0].file, "");
    assert_string_equal(f->faults[0].pointer, "/requird");
    assert_string_equal(f->faults[1].file, path_of(f, "other.json"));
    assert_string_equal(f->faults[1].pointer, "/$defs/a/typ");
    assert_int_equal(f->faults[1].line, 2);
    assert_int_equal(f->faults[1].column, 9);
    put(f, "main.json", "{\"$ref\":\"other.json\"}");
    put(f, "other.json", "{\n\"a\":}");
    assert_refused(f, "", "not valid JSON");
    assert_string_equal(f->faults[0].file, path_of(f, "other.json"));
    assert_int_equal(f->faults[0].line, 2);
    assert_int_equal(f->faults[0].column, 5);
    put(f, "other.json", "[]");
    assert_refused(f, "/$ref", "no schema: array");
}

// One file under two URIs is one schema; two files of one "$id" are a fault.
static void test_twice(void **state)
{
    struct fixture *f = *state;

    add(f, "http://t/o", path_of(f, "other.json"));
    put(f, "other.json",
        "{\"$id\":\"http://t/o\",\"items\":{\"$ref\":\"#/$defs/a\"},"
        "\"$defs\":{\"a\":{\"$id\":\"a\",\"type\":\"null\"}}}");
    put(f, "main.json", "{\"allOf\":[{\"$ref\":\"other.json\"},{\"$ref\":\"http://t/o\"}]}");
    assert_verdict(f, "[null]", true);
    assert_verdict(f, "[1]", false);
    put(f, "main.json", "{\"allOf\":[{\"$ref\":\"http://t/o\"},{\"$ref\":\"other.json\"}]}");
    assert_verdict(f, "[null]", true);
    assert_verdict(f, "[1]", false);
    put(f, "sub/plain", "{\"$id\":\"http://t/o\"}");
    put(f, "main.json", "{\"allOf\":[{\"$ref\":\"other.json\"},{\"$ref\":\"sub/plain\"}]}");
    assert_refused(f, "/$id", "another schema has the same URI, \"http://t/o\"");
}

// So are failures of values.
static void test_failures_elsewhere(void **state)
{
    struct fixture *f = *state;
    struct schema_error error;
    char expected[512];
    size_t n;

    put(f, "main.json", "{\"properties\":{\"a\":{\"$ref\":\"other.json\"}}}");
    put(f, "other.json", "{\"type\":\"null\"}");
    struct schema *schema = compile(f, path_of(f, "main.json"));
    assert_non_null(schema);
    assert_false(run_schema(schema, "{\"a\":1}", 7, &error, 1, &n));
    snprintf(expected, sizeof(expected), "%s#/type", path_of(f, "other.json"));
    assert_string_equal(error.schema, expected);
    assert_string_equal(error.location, "/properties/a/$ref/type");
    assert_string_equal(error.instance, "/a");
    schema_destroy(&schema);
}

static void test_registering(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(schema_library_add(f->library, "a/b", "x", &f->st), STATUS_INVALID);
    assert_non_null(strstr(f->st.detail, "not an absolute URI"));
    assert_int_equal(schema_library_add(f->library, "http://a/b#c", "x", &f->st), STATUS_INVALID);
    assert_non_null(strstr(f->st.detail, "fragment"));
    add(f, "http://a/b", "x");
    assert_int_equal(schema_library_add(f->library, "http://A/b#", "y", &f->st), STATUS_INVALID);
    assert_non_null(strstr(f->st.detail, "twice"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_beside),      TEST(test_relative_path), TEST(test_registered),
        TEST(test_tree),        TEST(test_not_to_be_had), TEST(test_faults_elsewhere),
        TEST(test_registering), TEST(test_twice),         TEST(test_failures_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
