// SPDX-License-Identifier: Apache-2.0
// The official JSON Schema test suite, where it is at hand ($CXSINK_SHARED_DATA, else
// ../shared/data as seen from the repository): every verdict of every draft must be right, except
// those of optional tests that suite_exceptions.h lists with a reason.
#include "schema_fixture.h"

#include "core/buf.h"
#include "core/fsio.h"
#include "suite_exceptions.h"

#include <dirent.h>

#define REMOTES_URI "http://localhost:1234/"

struct tally {
    unsigned right, wrong, unsupported, listed;
};

// A folder of the suite being run.
struct suite {
    const char *folder;
    struct schema_options options;
    struct tally tally;
    struct buf remotes[64]; // texts given to the compiler, until it ends
    size_t n_remotes;
    bool met[N_EXCEPTIONS]; // exceptions that were needed
};

static const char *suite_dir(void)
{
    const char *data = getenv("CXSINK_SHARED_DATA");
    static char path[4096];

    snprintf(path, sizeof(path), "%s/json-schema-test-suite",
             data != NULL ? data : "../shared/data");
    return path;
}

// The suite's remotes are served from its files.
static enum status_code lookup(void *data, const char *uri, struct schema_source *source_r,
                               struct status *st)
{
    struct suite *suite = data;
    size_t skip = strlen(REMOTES_URI);
    char path[8192];

    if (strncmp(uri, REMOTES_URI, skip) != 0)
        return STATUS_NOT_FOUND;
    assert_true(suite->n_remotes < sizeof(suite->remotes) / sizeof(*suite->remotes));
    struct buf *text = &suite->remotes[suite->n_remotes++];
    snprintf(path, sizeof(path), "%s/remotes/%s", suite_dir(), uri + skip);
    enum status_code code = fsio_read_file(path, SCHEMA_TEXT_MAX, text, st);
    *source_r = (struct schema_source){.text = text->data, .length = text->len, .name = uri};
    return code;
}

static uint32_t member(const struct tape *tape, uint32_t object, const char *name)
{
    return tape_member(tape, object, name, strlen(name), tape_hash(name, strlen(name)));
}

static bool is_listed(struct suite *suite, const char *file, const char *group, const char *test)
{
    for (size_t i = 0; i < N_EXCEPTIONS; i++) {
        const struct exception *e = &exceptions[i];
        if (strcmp(e->folder, suite->folder) != 0 || strcmp(e->file, file) != 0 ||
            strcmp(e->group, group) != 0 || strcmp(e->test, test) != 0)
            continue;
        suite->met[i] = true;
        return true;
    }
    return false;
}

static struct schema *compile_group(struct suite *suite, const char *file, const char *text,
                                    size_t length, unsigned n_tests)
{
    struct schema_fault fault;
    struct schema_faults faults = {.list = &fault, .max = 1};
    struct schema *schema;

    enum status_code code = schema_compile_with(&suite->options, text, length, &faults, &schema);
    while (suite->n_remotes > 0)
        buf_deinit(&suite->remotes[--suite->n_remotes]);
    if (code == STATUS_OK)
        return schema;
    suite->tally.unsupported += n_tests;
    print_error("%s/%s: refused: %s%s: %s\n", suite->folder, file, fault.file, fault.pointer,
                fault.message);
    return NULL;
}

static void judge(struct suite *suite, const char *file, const char *group,
                  const struct schema *schema, const struct tape *tape, uint32_t test)
{
    struct schema_error errors[4];
    size_t length, n_errors;
    char name[1024] = "";
    const char *data = tape_raw(tape, member(tape, test, "data"), &length);
    bool expected = tape->tokens[member(tape, test, "valid")].kind == TAPE_TRUE;
    bool valid = run_schema(schema, data, length, errors, 4, &n_errors);
    size_t n;
    const char *text = tape_string(tape, member(tape, test, "description"), &n);

    snprintf(name, sizeof(name), "%.*s", (int)n, text);
    if (valid == expected) {
        suite->tally.right++;
    } else if (is_listed(suite, file, group, name)) {
        suite->tally.listed++;
    } else {
        suite->tally.wrong++;
        print_error("%s/%s: %s: %s: %.*s should be %s\n", suite->folder, file, group, name,
                    (int)length, data, expected ? "valid" : "invalid");
    }
}

static void run_group(struct suite *suite, const char *file, const struct tape *tape,
                      uint32_t group)
{
    uint32_t tests = member(tape, group, "tests");
    char name[1024];
    size_t length, n;
    const char *text = tape_string(tape, member(tape, group, "description"), &n);

    snprintf(name, sizeof(name), "%.*s", (int)n, text);
    text = tape_raw(tape, member(tape, group, "schema"), &length);
    struct schema *schema = compile_group(suite, file, text, length, tape->tokens[tests].count);
    for (uint32_t test = tests + 1; schema != NULL && test != tape->tokens[tests].next;
         test = tape->tokens[test].next)
        judge(suite, file, name, schema, tape, test);
    schema_destroy(&schema);
}

static void run_file(struct suite *suite, const char *path, const char *file)
{
    struct buf content = {0};
    struct status st = {0};
    struct tape tape;

    if (fsio_read_file(path, 64u << 20, &content, &st) != STATUS_OK)
        fail_msg("%s", st.detail);
    tape_init(&tape, 0);
    assert_true(tape_parse(&tape, content.data, content.len));
    for (uint32_t group = 1; group != tape.tokens[0].next; group = tape.tokens[group].next)
        run_group(suite, file, &tape, group);
    tape_deinit(&tape);
    buf_deinit(&content);
}

// All files of a folder of the suite; false when it is not there.
static bool run_files(struct suite *suite)
{
    char path[8192];

    snprintf(path, sizeof(path), "%s/tests/%s", suite_dir(), suite->folder);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof(path), "%s/tests/%s/%s", suite_dir(), suite->folder, entry->d_name);
        run_file(suite, path, entry->d_name);
    }
    closedir(dir);
    return true;
}

static void run_folder(const char *folder, enum schema_draft draft, bool annotate, unsigned must)
{
    struct suite suite = {.folder = folder};
    struct tally *tally = &suite.tally;

    suite.options = (struct schema_options){.draft = draft,
                                            .annotate_formats = annotate,
                                            .strict = SCHEMA_STRICT_OFF,
                                            .lookup = lookup,
                                            .lookup_data = &suite};
    if (!run_files(&suite)) {
        print_message("skipped: %s/tests/%s is not there\n", suite_dir(), folder);
        skip();
    }
    print_message("%s: %u right, %u wrong, %u unsupported, %u listed\n", folder, tally->right,
                  tally->wrong, tally->unsupported, tally->listed);
    assert_int_equal(tally->wrong, 0);
    assert_int_equal(tally->unsupported, 0);
    assert_true(tally->right >= must);
    for (size_t i = 0; i < N_EXCEPTIONS; i++)
        if (strcmp(exceptions[i].folder, folder) == 0 && !suite.met[i])
            fail_msg("no exception any more: %s: %s", exceptions[i].file, exceptions[i].test);
}

#define DRAFT_TESTS(name, folder, draft, must, must_optional, must_formats) \
    static void test_##name(void **state)                                   \
    {                                                                       \
        (void)state;                                                        \
        run_folder(folder, draft, true, must);                              \
    }                                                                       \
    static void test_##name##_optional(void **state)                        \
    {                                                                       \
        (void)state;                                                        \
        run_folder(folder "/optional", draft, true, must_optional);         \
    }                                                                       \
    static void test_##name##_formats(void **state)                         \
    {                                                                       \
        (void)state;                                                        \
        run_folder(folder "/optional/format", draft, false, must_formats);  \
    }

DRAFT_TESTS(2020_12, "draft2020-12", SCHEMA_DRAFT_2020_12, 1290, 160, 700)
DRAFT_TESTS(2019_09, "draft2019-09", SCHEMA_DRAFT_2019_09, 1250, 150, 700)
DRAFT_TESTS(draft_7, "draft7", SCHEMA_DRAFT_7, 920, 100, 600)
DRAFT_TESTS(draft_6, "draft6", SCHEMA_DRAFT_6, 830, 100, 320)
DRAFT_TESTS(draft_4, "draft4", SCHEMA_DRAFT_4, 610, 95, 210)

#define DRAFT_RUNS(name)                                                     \
    cmocka_unit_test(test_##name), cmocka_unit_test(test_##name##_optional), \
        cmocka_unit_test(test_##name##_formats)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DRAFT_RUNS(2020_12), DRAFT_RUNS(2019_09), DRAFT_RUNS(draft_7),
        DRAFT_RUNS(draft_6), DRAFT_RUNS(draft_4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
