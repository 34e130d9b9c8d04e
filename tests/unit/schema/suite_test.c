// SPDX-License-Identifier: Apache-2.0
// The official JSON Schema test suite, where it is at hand ($CXSINK_SHARED_DATA, else
// ../shared/data as seen from the repository). A schema that is refused is counted as unsupported;
// one that is accepted must give every verdict of its tests.
#include "schema_fixture.h"

#include "core/buf.h"
#include "core/fsio.h"

#include <dirent.h>

struct tally {
    unsigned right, wrong, unsupported;
};

static const char *suite_dir(void)
{
    const char *data = getenv("CXSINK_SHARED_DATA");
    static char path[4096];

    snprintf(path, sizeof(path), "%s/json-schema-test-suite/tests",
             data != NULL ? data : "../shared/data");
    return path;
}

static uint32_t member(const struct tape *tape, uint32_t object, const char *name)
{
    return tape_member(tape, object, name, strlen(name), tape_hash(name, strlen(name)));
}

static void run_group(const char *path, const struct tape *tape, uint32_t group,
                      const struct schema_options *options, struct tally *tally)
{
    size_t length, n_errors;
    uint32_t tests = member(tape, group, "tests");
    const char *text = tape_raw(tape, member(tape, group, "schema"), &length);
    struct schema_fault fault;
    struct schema_faults faults = {.list = &fault, .max = 1};
    struct schema_error errors[4];
    struct schema *schema;

    if (schema_compile_with(options, text, length, &faults, &schema) != STATUS_OK) {
        tally->unsupported += tape->tokens[tests].count;
        if (getenv("CXSINK_SUITE_VERBOSE") != NULL)
            print_message("%s: unsupported: %s: %s\n", path, fault.pointer, fault.message);
        return;
    }
    for (uint32_t test = tests + 1; test != tape->tokens[tests].next;
         test = tape->tokens[test].next) {
        const char *data = tape_raw(tape, member(tape, test, "data"), &length);
        bool expected = tape->tokens[member(tape, test, "valid")].kind == TAPE_TRUE;
        bool valid = run_schema(schema, data, length, errors, 4, &n_errors);
        tally->right += valid == expected;
        tally->wrong += valid != expected;
        if (valid != expected) {
            size_t n;
            const char *name = tape_raw(tape, member(tape, test, "description"), &n);
            print_error("%s: %.*s: %.*s should be %s\n", path, (int)n, name, (int)length, data,
                        expected ? "valid" : "invalid");
        }
    }
    schema_destroy(&schema);
}

static void run_file(const char *path, const struct schema_options *options, struct tally *tally)
{
    struct buf content = {0};
    struct status st = {0};
    struct tape tape;

    if (fsio_read_file(path, 64u << 20, &content, &st) != STATUS_OK)
        fail_msg("%s", st.detail);
    tape_init(&tape, 0);
    assert_true(tape_parse(&tape, content.data, content.len));
    for (uint32_t group = 1; group != tape.tokens[0].next; group = tape.tokens[group].next)
        run_group(path, &tape, group, options, tally);
    tape_deinit(&tape);
    buf_deinit(&content);
}

// All files of a folder of the suite. `must`: how many verdicts there are at least.
static void run_folder(const char *folder, enum schema_draft draft, bool annotate, unsigned must)
{
    struct schema_options options = {.draft = draft, .annotate_formats = annotate};
    struct tally tally = {0};
    char path[8192];

    snprintf(path, sizeof(path), "%s/%s", suite_dir(), folder);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s/%s", suite_dir(), folder, entry->d_name);
        run_file(path, &options, &tally);
    }
    closedir(dir);
    print_message("%s: %u right, %u wrong, %u unsupported\n", folder, tally.right, tally.wrong,
                  tally.unsupported);
    assert_int_equal(tally.wrong, 0);
    assert_true(tally.right >= must);
}

static void test_2020_12(void **state)
{
    (void)state;
    run_folder("draft2020-12", SCHEMA_DRAFT_2020_12, true, 900);
}

static void test_2020_12_optional(void **state)
{
    (void)state;
    run_folder("draft2020-12/optional", SCHEMA_DRAFT_2020_12, false, 80);
}

static void test_2020_12_formats(void **state)
{
    (void)state;
    run_folder("draft2020-12/optional/format", SCHEMA_DRAFT_2020_12, false, 300);
}

static void test_2019_09(void **state)
{
    (void)state;
    run_folder("draft2019-09", SCHEMA_DRAFT_2019_09, true, 800);
}

static void test_2019_09_formats(void **state)
{
    (void)state;
    run_folder("draft2019-09/optional/format", SCHEMA_DRAFT_2019_09, false, 300);
}

static void test_draft_7(void **state)
{
    (void)state;
    run_folder("draft7", SCHEMA_DRAFT_7, true, 700);
}

static void test_draft_7_formats(void **state)
{
    (void)state;
    run_folder("draft7/optional/format", SCHEMA_DRAFT_7, false, 300);
}

static void test_draft_6(void **state)
{
    (void)state;
    run_folder("draft6", SCHEMA_DRAFT_6, true, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2020_12),         cmocka_unit_test(test_2020_12_optional),
        cmocka_unit_test(test_2020_12_formats), cmocka_unit_test(test_2019_09),
        cmocka_unit_test(test_2019_09_formats), cmocka_unit_test(test_draft_7),
        cmocka_unit_test(test_draft_7_formats), cmocka_unit_test(test_draft_6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
