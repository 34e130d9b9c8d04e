// SPDX-License-Identifier: Apache-2.0
// Jobs as they are handed in: forms of texts, members common to every job, what becomes of the
// rest, and every fault.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/load.h"
#include "core/fsio.h"
#include "core/mem.h"
#include "core/uuid.h"
#include "jobs/submission.h"
#include "json/tape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACTION_UUID "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define SECOND INT64_C(1000000)

static char *types[] = {"application/pdf", "application/octet-stream"};
static char *environments[] = {"sandbox", "production"};
static struct config_action actions[] = {
    {.name = "ticket", .kind = ACTION_INVOKE, .action_id = ACTION_UUID, .max_payload = 524288},
    {.name = "scan",
     .kind = ACTION_EXECUTE,
     .action_id = "e",
     .content_types = {types, 2},
     .max_bytes = 1000},
    {.name = "deploy",
     .kind = ACTION_PUBLISH,
     .action_id = ACTION_UUID,
     .environments = {environments, 2}},
    {.name = "timeouts", .kind = ACTION_CONFIGURE, .action_id = "c"},
};
static const struct config config = {.jobs = {.enabled = true, .actions = actions, .n_actions = 4}};

static char dir[64];
static struct submissions jobs;
static struct job_faults faults;

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/cxsink-submission-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    submissions_free(&jobs);
    job_faults_free(&faults);
    return rmdir(dir); // a test removes what else it wrote
}

static char *quoted(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *p = copy; *p != '\0'; p++) {
        if (*p == '\'')
            *p = '"';
    }
    return copy;
}

static void write_beside(const char *name, const void *data, size_t length)
{
    char *path = mem_printf("%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, length, f), length);
    assert_int_equal(fclose(f), 0);
    free(path);
}

static void remove_beside(const char *name)
{
    char *path = mem_printf("%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static bool parse_bytes(const char *from, const char *text, size_t length)
{
    submissions_free(&jobs);
    job_faults_free(&faults);
    bool ok = submissions_parse(&config, from, text, length, &jobs, &faults);
    assert_int_equal(ok, faults.count == 0);
    if (!ok)
        assert_int_equal(jobs.count, 0);
    return ok;
}

// So many jobs as were asked for each time, and the outcome is that of the whole.
static void in_steps(void **state)
{
    static const struct {
        const char *open, *between, *close;
        bool faulty;
    } cases[] = {{"[", ",", "]", false}, {"", "\n", "\n\n", false}, {"[", ",", ", 7]", true}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = {0};
        buf_append_text(&text, cases[i].open);
        for (unsigned n = 0; n < 10; n++)
            buf_printf(&text, "%s{\"action\": \"%s\"}", n > 0 ? cases[i].between : "",
                       actions[0].name);
        buf_append_text(&text, cases[i].close);
        const struct submissions_source source = {&config, dir, text.data, text.len};
        struct submissions_reader *reader = submissions_open(&source, &jobs, &faults);
        assert_int_equal(jobs.count, 0);
        assert_true(submissions_read(reader, 4));
        assert_int_equal(jobs.count, 4);
        assert_true(submissions_read(reader, 4));
        assert_int_equal(jobs.count, 8);
        while (submissions_read(reader, 4))
            ;
        assert_int_equal(jobs.count, 10);
        assert_int_equal(submissions_close(&reader), !cases[i].faulty);
        assert_null(reader);
        assert_int_equal(jobs.count, cases[i].faulty ? 0 : 10);
        assert_int_equal(faults.count, cases[i].faulty);
        submissions_free(&jobs);
        buf_deinit(&text);
    }
    assert_string_equal(faults.items[0].pointer, "/10");
    job_faults_free(&faults);
}

static bool parse(const char *text)
{
    char *json = quoted(text);
    bool ok = parse_bytes(dir, json, strlen(json));
    free(json);
    return ok;
}

static void print_faults(void)
{
    for (size_t i = 0; i < faults.count; i++)
        print_message("  %s: %s\n", faults.items[i].pointer, faults.items[i].message);
}

static const struct submission *good(const char *text)
{
    if (!parse(text)) {
        print_faults();
        fail_msg("%s", text);
    }
    return jobs.items;
}

static void has_params(const struct submission *s, const char *expected)
{
    char *json = quoted(expected);
    assert_string_equal(s->params, json);
    free(json);
}

// --- what is taken -------------------------------------------------------------------------------

static void one_job(void **state)
{
    (void)state;
    const struct submission *s =
        good("{'id': 'j-1', 'action': 'ticket', 'inputs': {'a': 1.0}, 'priority': -3}");
    assert_int_equal(jobs.count, 1);
    assert_string_equal(s->id, "j-1");
    assert_true(s->has_id);
    assert_int_equal(s->action, 0);
    assert_int_equal(s->priority, -3);
    assert_true(s->run_at_us == 0 && s->every_us == 0);
    assert_null(s->cron);
    assert_null(s->time_zone);
    has_params(s, "{'inputs':{'a':1.0}}");
}

static void an_id_is_made(void **state)
{
    (void)state;
    struct uuid id;
    char first[UUID_TEXT_SIZE];
    const struct submission *s = good("{'action': 'ticket'}");
    assert_false(s->has_id);
    assert_true(uuid_parse(s->id, strlen(s->id), &id));
    strcpy(first, s->id);
    assert_string_not_equal(good("{'action': 'ticket'}")->id, first);
    has_params(jobs.items, "{}");
}

static void times(void **state)
{
    (void)state;
    const struct submission *s =
        good("{'action': 'ticket', 'run_at': '2026-05-01T08:00:00.5+02:00'}");
    assert_true(s->run_at_us == INT64_C(1777615200) * SECOND + SECOND / 2);
    s = good("{'action': 'ticket', 'every': '15m'}");
    assert_true(s->every_us == 900 * SECOND);
    s = good("{'action': 'ticket', 'cron': '0 6 * * mon-fri', 'time_zone': 'Europe/Berlin'}");
    assert_string_equal(s->cron, "0 6 * * mon-fri");
    assert_string_equal(s->time_zone, "Europe/Berlin");
}

static void several_jobs(void **state)
{
    (void)state;
    good(
        " [{'id': 'a', 'action': 'ticket'}, {'id': 'b', 'action': 'timeouts', 'timeout_ms': 5}]\n");
    assert_int_equal(jobs.count, 2);
    assert_string_equal(jobs.items[1].id, "b");
    assert_int_equal(jobs.items[1].place, 1);
    good("[]");
    assert_int_equal(jobs.count, 0);
}

static void lines(void **state)
{
    (void)state;
    good("{'id': 'a', 'action': 'ticket'}\r\n\n  {'id': 'b', 'action': 'ticket'}\n");
    assert_int_equal(jobs.count, 2);
    assert_string_equal(jobs.items[1].id, "b");
    assert_int_equal(jobs.items[1].place, 2);
    // one job over several lines is no such text
    good("{'id': 'a',\n'action': 'ticket'}\n");
    assert_int_equal(jobs.count, 1);
}

static void paths_become_absolute(void **state)
{
    (void)state;
    write_beside("a.pdf", "%PDF-1.7", 8);
    const struct submission *s = good(
        "{'action': 'scan', 'file': 'a.pdf', 'content_type': 'application/pdf', 'metadata': {}}");
    char *expected = mem_printf("{'file':'%s/a.pdf','content_type':'application/pdf',"
                                "'metadata':{}}",
                                dir);
    has_params(s, expected);
    char *absolute = mem_printf("{\"action\": \"scan\", \"file\": \"%s/a.pdf\", "
                                "\"content_type\": \"application/pdf\"}",
                                dir);
    assert_true(parse_bytes(NULL, absolute, strlen(absolute)));
    free(absolute);
    free(expected);
    remove_beside("a.pdf");
}

static void base64_loses_its_line_ends(void **state)
{
    (void)state;
    has_params(good("{'action': 'scan', 'data': 'AAEC\\r\\nAwQ\\n', 'encoding': 'base64', "
                    "'content_type': 'application/octet-stream'}"),
               "{'data':'AAECAwQ','encoding':'base64','content_type':'application/octet-stream'}");
}

static void code_is_read_from_its_file(void **state)
{
    (void)state;
    write_beside("a.js", "let a = \"\xc3\xa4\";\n", 14);
    const struct submission *s = good("{'action': 'deploy', 'version_id': 'v', 'environment': "
                                      "'sandbox', 'code_file': 'a.js', 'source': 'module'}");
    assert_string_equal(s->params, "{\"version_id\":\"v\",\"environment\":\"sandbox\","
                                   "\"code\":\"let a = \\\"\xc3\xa4\\\";\\n\","
                                   "\"source\":\"module\"}");
    remove_beside("a.js");
}

// --- faults --------------------------------------------------------------------------------------

#define CODE "'action': 'deploy', 'version_id': 'v', 'environment': 'sandbox'"
#define SCAN "'action': 'scan', 'content_type': 'application/octet-stream'"

static const struct fault_case {
    const char *text;
    const char *pointer;
    const char *fragment;
} cases[] = {
    // the text
    {"", "", "holds no job"},
    {" \n\t", "", "holds no job"},
    {"nonsense", "", "is not JSON: line 1, column 1"},
    {"{'action': 'ticket',\n  }", "", "is not JSON: line 2, column 3"},
    {"[{'action': 'ticket'}", "", "is not JSON: line 1, column 22"},
    {"5", "", "expected a job as an object, not number"},
    {"[{'action': 'ticket'}, 'x']", "/1", "expected a job as an object, not string"},
    {"{'action': 'ticket'}\n[]\n", "/1", "expected a job as an object, not array"},
    {"{'action': 'ticket'}\n\n{'action'}\n", "/2", "line 3 is not JSON: column 10"},
    {"{'action': 'ticket', 'action': 'ticket'}", "", "is not JSON: line 1, column"},
    {"\xef\xbb\xbf{'action': 'ticket'}", "", "is not JSON: line 1, column 1"},
    {"{'action': 'ticket', 'inputs': {'a': '\\u0000'}}", "/inputs/a", "U+0000"},
    {"{'action': 'ticket', 'inputs': {'a\\u0000': 1}}", "/inputs/a", "U+0000"},
    {"[{'action': 'ticket', 'inputs': {'a': 1e9999}}]", "/0/inputs/a", "write it as a string"},

    // members of every job
    {"{}", "", "\"action\" is missing"},
    {"{'action': 'tikcet'}", "/action", "allows no action \"tikcet\"; did you mean \"ticket\"?"},
    {"{'action': null}", "/action", "expected a string, not null"},
    {"{'action': 'ticket', 'id': 5}", "/id", "expected a string, not a number"},
    {"{'action': 'ticket', 'id': ''}", "/id", "an id has 1 to 255 bytes"},
    {"{'action': 'ticket', 'id': 'a\\nb'}", "/id", "no control characters"},
    {"{'action': 'ticket', 'priority': 1.5}", "/priority", "a whole number from"},
    {"{'action': 'ticket', 'priority': 2147483648}", "/priority", "to 2147483647"},
    {"{'action': 'ticket', 'priority': '1'}", "/priority", "a whole number"},
    {"{'action': 'ticket', 'run_at': '2026-05-01 08:00:00Z'}", "/run_at", "RFC 3339"},
    {"{'action': 'ticket', 'run_at': '2026-05-01T08:00:00'}", "/run_at", "RFC 3339"},
    {"{'action': 'ticket', 'run_at': 5}", "/run_at", "expected a string"},
    {"{'action': 'ticket', 'every': '15'}", "/every", "is not a duration"},
    {"{'action': 'ticket', 'every': '1ms'}", "/every", "must be from 1s"},
    {"{'action': 'ticket', 'cron': '61 * * * *'}", "/cron", "minute"},
    {"{'action': 'ticket', 'cron': '0 * * * *', 'every': '1h'}", "/cron", "\"every\" already"},
    {"{'action': 'ticket', 'cron': '0 * * * *', 'time_zone': 'a b'}", "/time_zone",
     "no time zone's name"},
    {"{'action': 'ticket', 'time_zone': 'UTC'}", "/time_zone", "goes with \"cron\" only"},

    // of the action
    {"{'action': 'ticket', 'imputs': {}}", "/imputs",
     "unknown member \"imputs\"; did you mean "
     "\"inputs\"?"},
    {"{'action': 'ticket', 'priorty': 1}", "/priorty", "did you mean \"priority\"?"},
    {"{'action': 'ticket', 'timeout_ms': 1}", "/timeout_ms", "unknown member"},
    {"[{'action': 'ticket'}, {'action': 'ticket', 'inputs': {'a': []}}]", "/1/inputs/a",
     "not an array"},
    {"{'action': 'ticket'}\n{'action': 'ticket', 'inputs': {'a': []}}", "/1/inputs/a",
     "not an array"},
    {"{" SCAN ", 'file': ''}", "/file", "is not an absolute path"},
    {"{" SCAN ", 'file': 'none.bin'}", "/file", "cannot open"},
    {"{" CODE ", 'code_file': 'none.js'}", "/code_file", "cannot open"},
    {"{" CODE ", 'code_file': '.'}", "/code_file", "is no regular file"},
    {"{" CODE ", 'code_file': 'none.js', 'code': 'a'}", "/code_file", "\"code\" already"},
    {"{" CODE ", 'code_file': 7}", "/code_file", "names a file"},
    {"{" CODE "}", "/code", "is missing"},

    // ids
    {"[{'id': 'a', 'action': 'ticket'}, {'id': 'b', 'action': 'ticket'}, "
     "{'id': 'a', 'action': 'ticket'}]",
     "/2/id", "another job has this id already: the one at /0"},
};

static void each_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        parse(cases[i].text);
        if (faults.count != 1 || strcmp(faults.items[0].pointer, cases[i].pointer) != 0 ||
            strstr(faults.items[0].message, cases[i].fragment) == NULL) {
            print_faults();
            fail_msg("case %zu: %s: expected %s: %s", i, cases[i].text, cases[i].pointer,
                     cases[i].fragment);
        }
    }
}

static void all_faults_at_once(void **state)
{
    (void)state;
    assert_false(
        parse("[{'id': '', 'action': 'ticket', 'run_at': 'x', 'inputs': {'a': []}, 'z': 1},"
              "{'action': 'deploy', 'code_file': 'none.js', 'environment': 'moon'}]"));
    static const char *const pointers[] = {"/0/id",         "/0/run_at",    "/0/z",
                                           "/0/inputs/a",   "/1/code_file", "/1/version_id",
                                           "/1/environment"};
    assert_int_equal(faults.count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(faults.items[i].pointer, pointers[i]);
}

static void a_relative_path_needs_a_place(void **state)
{
    static const char text[] = "{\"action\": \"scan\", \"file\": \"a.pdf\", "
                               "\"content_type\": \"application/octet-stream\"}";
    (void)state;
    assert_false(parse_bytes(NULL, text, strlen(text)));
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.items[0].pointer, "/file");
    assert_non_null(strstr(faults.items[0].message, "is not an absolute path"));
}

static void lengths_of_ids(void **state)
{
    static const struct {
        size_t length;
        const char *more;
        bool good;
    } ids[] = {{255, "", true},
               {256, "", false},
               {200, ", 'every': '1h'", true},
               {201, ", 'every': '1h'", false},
               {201, ", 'cron': '@daily'", false}};
    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char id[300];
        memset(id, 'x', ids[i].length);
        id[ids[i].length] = '\0';
        char *text = mem_printf("{'action': 'ticket', 'id': '%s'%s}", id, ids[i].more);
        assert_int_equal(parse(text), ids[i].good);
        free(text);
    }
}

// Of a file: its faults are told at code_file.
static void code_that_cannot_be(void **state)
{
    static char large[(1 << 20) + 1];
    static const struct {
        const char *bytes;
        size_t length;
        const char *fragment;
    } files[] = {{"\xff", 1, "is not UTF-8"},
                 {"a\0b", 3, "holds a NUL"},
                 {"", 0, "is empty"},
                 {large, sizeof(large), "has 1048577 bytes"},
                 {large, sizeof(large) - 1, NULL}};
    (void)state;
    memset(large, ' ', sizeof(large));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_beside("a.js", files[i].bytes, files[i].length);
        assert_int_equal(parse("{" CODE ", 'code_file': 'a.js'}"), files[i].fragment == NULL);
        if (files[i].fragment != NULL) {
            print_faults();
            assert_int_equal(faults.count, 1);
            assert_string_equal(faults.items[0].pointer, "/code_file");
            assert_non_null(strstr(faults.items[0].message, files[i].fragment));
        }
        remove_beside("a.js");
    }
}

static void faults_are_bounded(void **state)
{
    struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < 300; i++)
        buf_append_text(&text, "{\"action\": 1}\n");
    assert_false(parse_bytes(dir, text.data, text.len));
    assert_int_equal(faults.count, JOB_FAULTS_MAX);
    assert_non_null(strstr(faults.items[JOB_FAULTS_MAX - 1].message, "there are more faults"));
    buf_deinit(&text);
}

static void texts_are_bounded(void **state)
{
    (void)state;
    char *text = mem_alloc(SUBMISSION_TEXT_MAX + 1);
    memset(text, ' ', SUBMISSION_TEXT_MAX + 1);
    assert_false(parse_bytes(dir, text, SUBMISSION_TEXT_MAX + 1));
    assert_non_null(strstr(faults.items[0].message, "is larger than 32 MiB"));
    assert_false(parse_bytes(dir, text, SUBMISSION_TEXT_MAX));
    assert_non_null(strstr(faults.items[0].message, "holds no job"));
    free(text);
}

// Parameters that stand in the queue already.
static void parameters_alone(void **state)
{
    static const char text[] = "{\"inputs\": {}, \"id\": \"x\", \"every\": \"1h\"}";
    struct tape tape;
    (void)state;
    tape_init(&tape, 0);
    assert_true(tape_parse(&tape, text, strlen(text)));
    const struct kind_context context = {.action = &actions[0], .params = &tape};
    submission_check_params(&context, &faults);
    assert_int_equal(faults.count, 2);
    assert_string_equal(faults.items[0].pointer, "/id");
    assert_string_equal(faults.items[1].pointer, "/every");
    // Data that SQL brought to a kind that has none.
    const struct job_data data = {.length = 1};
    const struct kind_context with_data = {.action = &actions[0], .params = &tape, .data = &data};
    submission_check_params(&with_data, &faults);
    assert_int_equal(faults.count, 5);
    assert_string_equal(faults.items[4].pointer, "/data");
    tape_deinit(&tape);
}

// --- the configuration's own ---------------------------------------------------------------------

// One that is faulty keeps nothing else from the queue.
static void of_the_configuration(void **state)
{
    static char *const texts[] = {
        "{\"id\":\"a\",\"action\":\"ticket\"}",
        "{\"id\":\"b\",\"action\":\"ticket\",\"inputs\":{\"x\":[]}}",
        "{\"id\":\"a\",\"action\":\"timeouts\",\"timeout_ms\":5}",
        "{\"id\":\"c\",\"action\":\"scan\",\"file\":\"a.bin\",\"content_type\":"
        "\"application/octet-stream\"}",
    };
    struct config_job queue[4];
    struct config own = config;
    (void)state;
    for (size_t i = 0; i < 4; i++)
        queue[i] = (struct config_job){texts[i], 1};
    own.dir = dir;
    own.jobs.queue = queue;
    own.jobs.n_queue = 4;
    write_beside("a.bin", "x", 1);
    submissions_parse_configured(&own, &jobs, &faults);
    print_faults();
    assert_int_equal(faults.count, 2);
    assert_string_equal(faults.items[0].pointer, "/1/inputs/x");
    assert_string_equal(faults.items[1].pointer, "/2/id");
    assert_int_equal(jobs.count, 2);
    assert_true(jobs.partial);
    assert_string_equal(jobs.items[0].id, "a");
    assert_int_equal(jobs.items[0].action, 0); // the first of the two
    assert_string_equal(jobs.items[1].id, "c");
    submissions_free(&jobs);
    job_faults_free(&faults);
    own.jobs.n_queue = 1;
    submissions_parse_configured(&own, &jobs, &faults);
    assert_int_equal(faults.count, 0);
    assert_false(jobs.partial);
    remove_beside("a.bin");
}

// The examples of config/, whole. Runs at the top of the source tree.
static void the_examples(void **state)
{
    static const char *const names[] = {"invoke", "execute", "publish", "configure"};
    static const size_t counts[] = {1, 2, 1, 1};
    struct config_faults config_faults;
    (void)state;
    setenv("CXONE_CLIENT_ID", "id", 1);
    setenv("CXONE_CLIENT_SECRET", "secret", 1);
    setenv("CXSINK_PG_DSN", "", 1);
    setenv("CXSINK_NOTIFY_SECRET", "secret", 1);
    struct config *example = config_load("config/cxsink-jobs.json", &config_faults);
    for (size_t i = 0; i < config_faults.count; i++)
        print_message("  %s: %s\n", config_faults.items[i].pointer, config_faults.items[i].message);
    assert_non_null(example);
    char *place = mem_printf("%s/jobs", example->dir);
    submissions_parse_configured(example, &jobs, &faults);
    assert_int_equal(faults.count, 0);
    assert_int_equal(jobs.count, 1);
    for (size_t i = 0; i < 4; i++) {
        struct buf text = {0};
        struct status st;
        char *path = mem_printf("%s/%s.json", place, names[i]);
        assert_int_equal(fsio_read_file(path, 1 << 20, &text, &st), STATUS_OK);
        submissions_free(&jobs);
        submissions_parse(example, place, text.data, text.len, &jobs, &faults);
        print_faults();
        assert_int_equal(faults.count, 0);
        assert_int_equal(jobs.count, counts[i]);
        assert_string_equal(job_kind(example->jobs.actions[jobs.items[0].action].kind)->name,
                            names[i]);
        buf_deinit(&text);
        free(path);
    }
    free(place);
    config_free(&example);
    config_faults_free(&config_faults);
}

// Cut and broken texts: faults, and nothing else (for the sanitizers).
static void any_byte_changed(void **state)
{
    static const char others[] = "\"{}[]:,\\0\n\x80 ";
    (void)state;
    char *text = quoted("[{'id': 'a', 'action': 'ticket', 'inputs': {'k': [1, 'x']}},\n"
                        "{'action': 'timeouts', 'timeout_ms': 5, 'retry': {'enabled': true, "
                        "'retry_on_status': [429, 5e2]}, 'cron': '0 6 * * *'}]");
    size_t length = strlen(text);
    for (size_t at = 0; at < length; at++) {
        char kept = text[at];
        text[at] = others[at % (sizeof(others) - 1)];
        parse_bytes(dir, text, length);
        text[at] = kept;
        parse_bytes(dir, text, at);
    }
    free(text);
}

#define with_dir(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_dir(in_steps),
        with_dir(one_job),
        with_dir(an_id_is_made),
        with_dir(times),
        with_dir(several_jobs),
        with_dir(lines),
        with_dir(paths_become_absolute),
        with_dir(base64_loses_its_line_ends),
        with_dir(code_is_read_from_its_file),
        with_dir(each_fault),
        with_dir(all_faults_at_once),
        with_dir(a_relative_path_needs_a_place),
        with_dir(lengths_of_ids),
        with_dir(code_that_cannot_be),
        with_dir(faults_are_bounded),
        with_dir(texts_are_bounded),
        with_dir(parameters_alone),
        with_dir(of_the_configuration),
        with_dir(the_examples),
        with_dir(any_byte_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
