// SPDX-License-Identifier: Apache-2.0
// The kind "execute", through every branch, by scripted answers.
#include "kind_support.h"

#include "../../../src/jobs/payload_priv.h"

#include <sys/stat.h>
#include <unistd.h>

#define SEND_PATH "/api/v2/data-actions/e%2F1/execute"
#define DATA "'data': 'AAEC', 'encoding': 'base64', 'content_type': 'application/octet-stream'"

static char *types[] = {"application/pdf", "image/png", "image/jpeg", "application/octet-stream",
                        "text/csv"};

static struct config_action plain(void)
{
    return (struct config_action){.name = "the-action",
                                  .kind = ACTION_EXECUTE,
                                  .action_id = "e/1",
                                  .retry_max = CONFIG_RETRY_DEFAULT,
                                  .notify_url = "https://h/",
                                  .content_types = {types, 5},
                                  .max_bytes = 10485760};
}

struct fixture {
    struct drive d;
    char dir[64];
    char path[80];
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    f->d.action = plain();
    strcpy(f->dir, "/tmp/cxsink-execute-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/file", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    drive_end(&f->d);
    unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static struct drive *begin(void **state, const char *params)
{
    struct fixture *f = *state;
    drive_begin(&f->d, &job_kind_execute, params);
    return &f->d;
}

static void write_file(const struct fixture *f, const void *data, size_t length)
{
    FILE *file = fopen(f->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

// The whole body, payload and all, as it goes over the wire.
static void sends_body(struct job_op *op, const char *expected)
{
    struct buf out = {0};
    struct status st;
    struct payload *payload = payload_open(op, &st);
    assert_non_null(payload);
    assert_true(payload_write(payload, &out));
    has_json(&out, expected);
    payload_close(&payload);
    buf_deinit(&out);
}

// --- the request ---------------------------------------------------------------------------------

static void the_request_of_a_file(void **state)
{
    struct fixture *f = *state;
    char *params = mem_printf("{'file': '%s', 'content_type': 'application/pdf', 'metadata': "
                              "{'source': 'x', 'n': [1, {'a': null}]}}",
                              f->path);
    write_file(f, "%PDF-1", 6);
    struct drive *d = begin(state, params);
    struct job_op *op = drive_sends(d, "POST", SEND_PATH);
    assert_true(op->effect);
    assert_int_equal(op->payload.type, JOB_PAYLOAD_FILE);
    assert_int_equal(op->payload.max_bytes, 10485760);
    sends_body(op, "{'inputs':{'binaryPayload':{'value':'JVBERi0x','contentType':'application/pdf'}"
                   ",'metadata':{'source':'x','n':[1,{'a':null}]}}}");
    free(params);
}

static void the_request_of_base64(void **state)
{
    struct drive *d = begin(state, "{" DATA "}");
    struct job_op *op = drive_sends(d, "POST", SEND_PATH);
    sends_body(op, "{'inputs':{'binaryPayload':{'value':'AAEC','contentType':"
                   "'application/octet-stream'},'metadata':{}}}");
    assert_int_equal(op->held.len, 0); // taken from the parameters, not copied
}

// Large data do not stand in the parameters.
static struct job_data apart(const char *text)
{
    struct job_data data = {
        .length = strlen(text), .have = strlen(text), .text = (char *)(uintptr_t)text};
    base64_text_add(&data.scan, text, data.length);
    return data;
}

static void the_request_of_data_apart(void **state)
{
    struct drive *d =
        begin(state, "{'encoding': 'base64', 'content_type': 'application/octet-stream'}");
    struct job_data data = apart("AA\r\nECAw");
    d->context.data = &data;
    struct job_op *op = drive_sends(d, "POST", SEND_PATH);
    sends_body(op, "{'inputs':{'binaryPayload':{'value':'AAECAw==','contentType':"
                   "'application/octet-stream'},'metadata':{}}}");
    assert_int_equal(op->held.len, 0);
    drive_http(d, 202, "{'executionId': 'x-1'}");
    drive_ends(d, JOB_OP_SUCCEED,
               "{'executionId':'x-1','status':null,'message':null,'requestId':'" KEY
               "','mimeType':'application/octet-stream','originalSize':4,'encodedSize':8}");
}

static void checks_of_data_apart(void **state)
{
    static const struct {
        const char *data, *params, *pointer, *words;
    } cases[] = {
        {"AAECAw", "{'encoding': 'base64', 'content_type': 'text/csv'}", NULL, NULL},
        {"AAE*Aw", "{'encoding': 'base64', 'content_type': 'text/csv'}", "/data", "offset 3"},
        {"AAECA", "{'encoding': 'base64', 'content_type': 'text/csv'}", "/data", "group of four"},
        {"AAECAwQ=", "{'encoding': 'base64', 'content_type': 'text/csv'}", "/data", "5 bytes"},
        {"AAEC", "{'encoding': 'base64', 'content_type': 'image/png'}", "/content_type", "begin"},
        {"AAEC", "{'content_type': 'text/csv'}", "/encoding", "missing"},
        {"AAEC", "{'file': '/x', 'encoding': 'base64', 'content_type': 'text/csv'}", "/data",
         "already"},
    };
    struct config_action action = plain();
    (void)state;
    action.max_bytes = 4;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job_data data = apart(cases[i].data);
        check_with(&job_kind_execute, &(struct kind_context){.action = &action, .data = &data},
                   cases[i].params, cases[i].pointer, cases[i].words);
    }
}

// Queued by SQL, it may have line ends, escapes, and no padding.
static void base64_with_escapes(void **state)
{
    struct drive *d = begin(state, "{'data': 'AA\\r\\nE\\/', 'encoding': 'base64', "
                                   "'content_type': 'text/csv'}");
    sends_body(drive_sends(d, "POST", SEND_PATH),
               "{'inputs':{'binaryPayload':{'value':'AAE/','contentType':'text/csv'},'metadata':"
               "{}}}");
}

static void the_path_of_the_action(void **state)
{
    struct config_pair path = {"execute", "/run/{actionId}?v=1"};
    struct fixture *f = *state;
    f->d.action.paths = (struct config_pairs){&path, 1};
    drive_sends(begin(state, "{" DATA "}"), "POST", "/run/e%2F1?v=1");
}

// --- answers -------------------------------------------------------------------------------------

static void accepted(void **state)
{
    struct drive *d = begin(state, "{" DATA "}");
    drive_plan(d);
    drive_http(d, 202, "{'executionId': 'x-1', 'status': 'queued', 'message': 'ok', 'more': 1}");
    assert_string_equal(d->job->remote_id, "x-1");
    drive_ends(d, JOB_OP_SUCCEED,
               "{'executionId':'x-1','status':'queued','message':'ok','requestId':'" KEY
               "','mimeType':'application/octet-stream','originalSize':3,'encodedSize':4}");
    drive_notifies(d, JOB_SUCCEEDED,
                   "{'jobId':'job-1','action':'the-action','state':'succeeded','traceId':'" TRACE_ID
                   "','executionId':'x-1','status':'queued','message':'ok','requestId':'" KEY
                   "','mimeType':'application/octet-stream','originalSize':3,'encodedSize':4}");
}

static void any_2xx_is_a_success(void **state)
{
    static const struct {
        int status;
        const char *body;
    } cases[] = {{200, "{}"}, {201, "done"}, {202, ""}, {204, ""}, {200, "[1]"}};
    struct drive *d = begin(state, "{" DATA "}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strcpy(d->job->step, "send");
        drive_http(d, cases[i].status, cases[i].body);
        assert_null(d->job->remote_id);
        drive_ends(d, JOB_OP_SUCCEED,
                   "{'executionId':null,'status':null,'message':null,'requestId':'" KEY
                   "','mimeType':'application/octet-stream','originalSize':3,'encodedSize':4}");
    }
}

static void sizes_of_base64(void **state)
{
    static const struct {
        const char *data, *original, *encoded;
    } cases[] = {
        {"", "0", "0"},     {"QQ", "1", "4"},     {"QQ==", "1", "4"},         {"QUI=", "2", "4"},
        {"QUJD", "3", "4"}, {"QUJDRA", "4", "8"}, {"QU\\nJD\\r\\n", "3", "4"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *params = mem_printf(
            "{'data': '%s', 'encoding': 'base64', 'content_type': 'text/csv'}", cases[i].data);
        struct drive *d = begin(state, params);
        drive_http(d, 400, "");
        drive_fails_with(d, "originalSize", cases[i].original);
        drive_fails_with(d, "encodedSize", cases[i].encoded);
        if (i + 1 < sizeof(cases) / sizeof(cases[0]))
            drive_end(d);
        free(params);
    }
}

static void refused(void **state)
{
    static const int statuses[] = {302, 400, 403, 404, 413};
    struct drive *d = begin(state, "{" DATA "}");
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        strcpy(d->job->step, "send");
        drive_http(d, statuses[i], "{'error': {'message': 'no'}}");
        assert_int_equal(d->verdict.type, JOB_NEXT);
        drive_fails(d, "not executed: HTTP ");
        drive_fails(d, ": no");
        drive_fails_with(d, "originalSize", "3");
    }
}

static void given_up(void **state)
{
    struct drive *d = begin(state, "{" DATA "}");
    drive_plan(d);
    drive_give_up(d, 0, true, "timed out");
    drive_fails(d, "not executed: timed out (a request may have arrived all the same)");
}

static void a_file_that_is_gone(void **state)
{
    struct drive *d =
        begin(state, "{'file': '/nonexistent/file', 'content_type': 'application/pdf'}");
    drive_plan(d);
    drive_give_up(d, 0, false, "cannot open /nonexistent/file: No such file or directory");
    drive_ends(d, JOB_OP_FAIL,
               "{'message':'not executed: cannot open /nonexistent/file: No such file or directory'"
               ",'requestId':'" KEY "','mimeType':'application/pdf'}");
}

// --- storage -------------------------------------------------------------------------------------

static struct drive *executed(void **state, bool include_data)
{
    struct fixture *f = *state;
    f->d.action.storage_dir = "/somewhere";
    f->d.action.storage_include_data = include_data;
    struct drive *d = begin(state, "{" DATA ", 'metadata': {'k': 'v'}}");
    drive_plan(d);
    drive_http(d, 202, "{'executionId': 'x-1', 'status': 'queued', 'message': 'ok'}");
    return d;
}

static void the_record(void **state)
{
    struct drive *d = executed(state, false);
    struct job_op *op = drive_plan(d);
    assert_int_equal(op->type, JOB_OP_STORE);
    assert_true(op->effect);
    assert_int_equal(op->payload.type, JOB_PAYLOAD_NONE);
    has_json(&op->body, "{'requestId':'" KEY "','executionId':'x-1','metadata':{'k':'v'}}");
    drive_ok(d, JOB_ANSWER_STORED, true, "");
    assert_int_equal(drive_plan(d)->type, JOB_OP_SUCCEED);
}

static void the_record_with_data(void **state)
{
    struct drive *d = executed(state, true);
    struct job_op *op = drive_plan(d);
    assert_int_equal(op->type, JOB_OP_STORE);
    sends_body(op, "{'requestId':'" KEY "','executionId':'x-1','encodedData':'AAEC',"
                   "'metadata':{'k':'v'}}");
}

static void a_record_that_cannot_be_stored(void **state)
{
    struct drive *d = executed(state, false);
    drive_ok(d, JOB_ANSWER_STORED, false, "no space left");
    drive_ends(d, JOB_OP_FAIL,
               "{'message':'executed, but the record could not be stored: no space left',"
               "'executionId':'x-1','requestId':'" KEY
               "','mimeType':'application/octet-stream','originalSize':3,'encodedSize':4}");
}

static void a_storage_that_stays_away(void **state)
{
    struct drive *d = executed(state, false);
    drive_give_up(d, 503, true, "storage: HTTP 503");
    drive_fails(d, "executed, but the record could not be stored: storage: HTTP 503");
}

// --- checks --------------------------------------------------------------------------------------

#define OCTETS "'content_type': 'application/octet-stream'"
#define BASE64 "'encoding': 'base64'"

static void checks(void **state)
{
    struct config_action a = plain();
    const struct job_kind *kind = &job_kind_execute;
    (void)state;
    check_one(kind, &a, "{" DATA "}", NULL, NULL);
    check_one(kind, &a, "{" DATA ", 'metadata': {'a': [{}]}}", NULL, NULL);
    check_one(kind, &a, "{" DATA ", 'metadata': 'x'}", "/metadata", "expected an object");
    check_one(kind, &a, "{'data': '', " BASE64 ", " OCTETS "}", NULL, NULL);
    check_one(kind, &a, "{" OCTETS "}", "/file", "is missing; name a file, or bring \"data\"");
    check_one(kind, &a, "{" DATA ", 'file': '/x'}", "/data", "there is \"file\" already");
    check_one(kind, &a, "{'file': 5, " OCTETS "}", "/file", "expected a string");
    check_one(kind, &a, "{'file': 'x', " OCTETS "}", "/file", "is not an absolute path");
    check_one(kind, &a, "{'file': '/nonexistent/x', " OCTETS "}", "/file", "cannot open");
    check_one(kind, &a, "{'file': '/', " OCTETS "}", "/file", "is no regular file");
    check_one(kind, &a, "{'file': '/dev/null', " OCTETS "}", "/file", "is no regular file");
    check_one(kind, &a, "{'data': 'AAEC', " OCTETS "}", "/encoding", "is missing; add");
    check_one(kind, &a, "{'data': 'AAEC', 'encoding': 'hex', " OCTETS "}", "/encoding",
              "the only encoding is \"base64\"");
    check_one(kind, &a, "{'data': 'AA*C', " BASE64 ", " OCTETS "}", "/data",
              "the character at offset 2");
    check_one(kind, &a, "{'data': 'AAECA', " BASE64 ", " OCTETS "}", "/data",
              "ends within a group of four");
    check_one(kind, &a, "{'data': 'AAEC', " BASE64 "}", "/content_type", "is missing; add it");
    check_one(kind, &a, "{'data': 'AAEC', " BASE64 ", 'content_type': 5}", "/content_type",
              "expected a string");
    check_one(kind, &a, "{'data': 'AAEC', " BASE64 ", 'content_type': 'text/html'}",
              "/content_type", "does not allow \"text/html\", only application/pdf, image/png");
}

// Each beginning under each type: its own alone fits, and types without one take all.
static void signatures(void **state)
{
    static const struct {
        const char *type, *data;
    } kinds[] = {
        {"application/pdf", "JVBERi0xLjQ="},   // %PDF-1.4
        {"application/pdf", "AAAAAAAlUERGLQ"}, // not at the very beginning
        {"image/png", "iVBORw0KGgo="},         // \x89PNG\r\n\x1a\n
        {"image/jpeg", "/9j/4A"},              // \xff\xd8\xff\xe0
        {"none", "iVBORw0KGg"},                // a PNG's, cut
        {"none", ""},
    };
    struct config_action a = plain();
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (size_t t = 0; t < 5; t++) {
            bool fits = t >= 3 || strcmp(types[t], kinds[i].type) == 0;
            char *params = mem_printf("{'data': '%s', 'encoding': 'base64', 'content_type': '%s'}",
                                      kinds[i].data, types[t]);
            char *other = mem_printf("does not begin like %s%s", types[t],
                                     strcmp(kinds[i].type, "none") != 0 ? ", but like" : "");
            check_one(&job_kind_execute, &a, params, fits ? NULL : "/content_type", other);
            free(params);
            free(other);
        }
    }
    check_one(&job_kind_execute, &a,
              "{'data': 'AAEC', 'encoding': 'base64', 'content_type': 'IMAGE/PNG'}",
              "/content_type", "does not begin like IMAGE/PNG");
}

static void sizes_on_both_sides(void **state)
{
    struct config_action a = plain();
    struct fixture *f = *state;
    char *params = mem_printf("{'file': '%s', " OCTETS "}", f->path);
    begin(state, "{" DATA "}");
    a.max_bytes = 1000;
    char *text = mem_zalloc(1001);
    write_file(f, text, 1000);
    check_one(&job_kind_execute, &a, params, NULL, NULL);
    write_file(f, text, 1001);
    check_one(&job_kind_execute, &a, params, "/file", "has 1001 bytes, more than the 1000");
    a.max_bytes = 3;
    check_one(&job_kind_execute, &a, "{" DATA "}", NULL, NULL);
    a.max_bytes = 2;
    check_one(&job_kind_execute, &a, "{" DATA "}", "/data", "has 3 bytes, more than the 2");
    free(params);
    free(text);
}

static void ten_mebibytes_on_both_sides(void **state)
{
    struct config_action a = plain();
    struct fixture *f = *state;
    char *params = mem_printf("{'file': '%s', " OCTETS "}", f->path);
    begin(state, "{" DATA "}");
    write_file(f, "", 0);
    assert_int_equal(truncate(f->path, 10485760), 0);
    check_one(&job_kind_execute, &a, params, NULL, NULL);
    assert_int_equal(truncate(f->path, 10485761), 0);
    check_one(&job_kind_execute, &a, params, "/file",
              "has 10485761 bytes, more than the 10485760 of");
    free(params);
}

static void files_stay_below_their_directory(void **state)
{
    struct config_action a = plain();
    struct fixture *f = *state;
    char *params = mem_printf("{'file': '%s', " OCTETS "}", f->path);
    char *beside = mem_printf("%s-beside", f->dir);
    char *dotted = mem_printf("{'file': '%s/../..%s', " OCTETS "}", f->dir, f->path);
    char *inside = mem_printf("{'file': '%s/in/../file', " OCTETS "}", f->dir);
    char *sub = mem_printf("%s/in", f->dir);
    begin(state, "{" DATA "}");
    write_file(f, "x", 1);
    assert_int_equal(mkdir(sub, 0700), 0);
    a.file_dir = f->dir;
    check_one(&job_kind_execute, &a, params, NULL, NULL);
    check_one(&job_kind_execute, &a, inside, NULL, NULL);
    check_one(&job_kind_execute, &a, dotted, NULL, NULL); // leads back into it
    a.file_dir = sub;
    check_one(&job_kind_execute, &a, params, "/file", "is not below");
    check_one(&job_kind_execute, &a, inside, "/file", "is not below");
    a.file_dir = "/nonexistent";
    check_one(&job_kind_execute, &a, params, "/file", "is not below");
    // a link out of it, and a directory whose name only begins alike
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(symlink("/etc/hostname", f->path), 0);
    a.file_dir = f->dir;
    check_one(&job_kind_execute, &a, params, "/file", "is not below");
    assert_int_equal(mkdir(beside, 0700), 0);
    char *there = mem_printf("%s/file", beside);
    char *there_params = mem_printf("{'file': '%s', " OCTETS "}", there);
    assert_int_equal(mknod(there, S_IFREG | 0600, 0), 0);
    check_one(&job_kind_execute, &a, there_params, "/file", "is not below");
    unlink(there);
    rmdir(beside);
    rmdir(sub);
    free(there_params);
    free(there);
    free(sub);
    free(inside);
    free(dotted);
    free(beside);
    free(params);
}

#define with_files(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_files(the_request_of_a_file),
        with_files(the_request_of_base64),
        with_files(the_request_of_data_apart),
        cmocka_unit_test(checks_of_data_apart),
        with_files(base64_with_escapes),
        with_files(the_path_of_the_action),
        with_files(accepted),
        with_files(any_2xx_is_a_success),
        with_files(sizes_of_base64),
        with_files(refused),
        with_files(given_up),
        with_files(a_file_that_is_gone),
        with_files(the_record),
        with_files(the_record_with_data),
        with_files(a_record_that_cannot_be_stored),
        with_files(a_storage_that_stays_away),
        cmocka_unit_test(checks),
        cmocka_unit_test(signatures),
        with_files(sizes_on_both_sides),
        with_files(ten_mebibytes_on_both_sides),
        with_files(files_stay_below_their_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
