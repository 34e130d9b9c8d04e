// SPDX-License-Identifier: Apache-2.0
// The kind "publish", through every branch, by scripted answers.
#include "kind_support.h"

#include "core/hash.h"
#include "core/uuid.h"

#define VERSION_PATH "/api/v2/studio/data-actions/" ACTION_UUID "/versions/v2.1%2F%C3%A4"
#define CODE "exports.handler = 1;"
#define PARAMS "'version_id': 'v2.1/\xc3\xa4', 'environment': 'production', 'code': '" CODE "'"
#define BEFORE "{'published': true, 'environment': 'sandbox', 'checksum': 'abc', 'more': [1]}"

static char *environments[] = {"sandbox", "production"};
static char *blocked[] = {"debug", "devtools"};
static struct config_pair ranges[] = {{"lodash", "^4.17.21"}, {"axios", "^1.6.0"}};

static struct config_action plain(void)
{
    return (struct config_action){.name = "the-action",
                                  .kind = ACTION_PUBLISH,
                                  .action_id = ACTION_UUID,
                                  .retry_max = CONFIG_RETRY_DEFAULT,
                                  .environments = {environments, 2},
                                  .allowed_versions = {ranges, 2},
                                  .blocked_packages = {blocked, 2},
                                  .webhook_url = "https://h/"};
}

static char checksum[HASH_SHA256_HEX_SIZE];

static int setup(void **state)
{
    unsigned char digest[HASH_SHA256_SIZE];
    hash_sha256(CODE, strlen(CODE), digest);
    hash_hex(digest, sizeof(digest), checksum);
    return drive_set_up(state, plain());
}

static struct drive *begin(void **state, const char *params)
{
    drive_begin(*state, &job_kind_publish, params);
    return *state;
}

// A text with the checksum in place of "SUM".
static char *with_sum(const char *text)
{
    struct buf out = {0};
    for (const char *at = text; *at != '\0'; at++) {
        if (strncmp(at, "SUM", 3) == 0) {
            buf_append_text(&out, checksum);
            at += 2;
        } else {
            buf_append(&out, at, 1);
        }
    }
    char *copy = mem_strdup(buf_text(&out));
    buf_deinit(&out);
    return copy;
}

static void has_body(struct job_op *op, const char *expected)
{
    char *text = with_sum(expected);
    has_json(&op->body, text);
    free(text);
}

static void ends(struct drive *d, enum job_op_type type, const char *expected)
{
    char *text = with_sum(expected);
    drive_ends(d, type, text);
    free(text);
}

// Up to where the present state is asked for.
static struct drive *locked(void **state)
{
    struct drive *d = begin(state, "{" PARAMS "}");
    drive_plan(d);
    drive_ok(d, JOB_ANSWER_CODE, true, "");
    drive_plan(d);
    drive_ok(d, JOB_ANSWER_LOCK, true, "");
    return d;
}

// Up to where the PATCH is sent.
static struct drive *ready(void **state)
{
    struct drive *d = locked(state);
    drive_sends(d, "GET", VERSION_PATH);
    drive_http(d, 200, BEFORE);
    drive_sends(d, "PATCH", VERSION_PATH);
    return d;
}

// --- the way to the end --------------------------------------------------------------------------

static void the_code_is_checked(void **state)
{
    struct drive *d = begin(state, "{" PARAMS "}");
    struct job_op *op = drive_plan(d);
    assert_int_equal(op->type, JOB_OP_CHECK_CODE);
    assert_int_equal(op->code_length, strlen(CODE));
    assert_memory_equal(op->code, CODE, strlen(CODE));
    assert_false(op->module);
    assert_false(op->effect);
}

static void as_a_module(void **state)
{
    struct drive *d = begin(state, "{'version_id': 'v', 'environment': 'sandbox', 'code': "
                                   "'a\\n\\u00e4', 'source': 'module'}");
    struct job_op *op = drive_plan(d);
    assert_true(op->module);
    assert_int_equal(op->code_length, 4);
    assert_memory_equal(op->code, "a\n\xc3\xa4", 4);
}

static void the_lock_names_action_and_version(void **state)
{
    struct drive *d = begin(state, "{" PARAMS "}");
    drive_ok(d, JOB_ANSWER_CODE, true, "");
    struct job_op *op = drive_plan(d);
    assert_int_equal(op->type, JOB_OP_LOCK);
    assert_string_equal(buf_text(&op->key), ACTION_UUID ":v2.1/\xc3\xa4");
    assert_false(op->fail_if_held);
    assert_true(op->delay_us > 0);
}

static void published(void **state)
{
    static const char *const answers[] = {"{'status': 'published'}", "{'published': true}",
                                          "{'published': true, 'status': 'ok'}"};
    static const char *const statuses[] = {"'published'", "null", "'ok'"};
    struct drive *d = ready(state);
    for (size_t i = 0; i < 3; i++) {
        strcpy(d->job->step, "publish");
        struct job_op *op = drive_plan(d);
        assert_true(op->effect);
        assert_string_equal(op->idempotency_key, "");
        has_body(op, "{'published':true,'environment':'production','checksum':'SUM'}");
        drive_http(d, 200, answers[i]);
        char *expected = mem_printf(
            "{'published':true,'version':'v2.1/\xc3\xa4','environment':'production','checksum':"
            "'SUM','previous':{'published':true,'environment':'sandbox','checksum':'abc'},"
            "'status':%s}",
            statuses[i]);
        ends(d, JOB_OP_SUCCEED, expected);
        free(expected);
    }
}

static void the_path_of_the_action(void **state)
{
    struct config_pair path = {"version", "/x/{versionId}/of/{actionId}"};
    struct drive *d = *state;
    d->action.paths = (struct config_pairs){&path, 1};
    locked(state);
    drive_sends(d, "GET", "/x/v2.1%2F%C3%A4/of/" ACTION_UUID);
}

// --- before anything is sent ---------------------------------------------------------------------

static void code_that_is_none(void **state)
{
    struct drive *d = begin(state, "{" PARAMS "}");
    drive_take(
        d, &(struct job_answer){.type = JOB_ANSWER_CODE, .line = 3, .message = "Unexpected token"});
    ends(d, JOB_OP_FAIL,
         "{'message':'the code, line 3: Unexpected token; nothing was sent','line':3,"
         "'version':'v2.1/\xc3\xa4','environment':'production','checksum':'SUM'}");
    assert_false(d->kind->must_undo(d->job));
}

static void code_that_takes_too_long(void **state)
{
    struct drive *d = begin(state, "{" PARAMS "}");
    drive_ok(d, JOB_ANSWER_CODE, false, "not checked within 3 s");
    drive_fails(d, "the code: not checked within 3 s; nothing was sent");
}

static void a_lock_that_is_held_is_waited_for(void **state)
{
    struct drive *d = begin(state, "{" PARAMS ", 'on_conflict': 'wait'}");
    drive_ok(d, JOB_ANSWER_CODE, true, "");
    drive_ok(d, JOB_ANSWER_LOCK, false, "job-0");
    assert_int_equal(drive_plan(d)->type, JOB_OP_LOCK);
}

static void a_lock_that_is_held_is_a_conflict(void **state)
{
    struct drive *d = begin(state, "{" PARAMS ", 'on_conflict': 'fail'}");
    drive_ok(d, JOB_ANSWER_CODE, true, "");
    assert_true(drive_plan(d)->fail_if_held);
    drive_ok(d, JOB_ANSWER_LOCK, false, "job-0");
    drive_fails(d, "conflict: job \\\"job-0\\\" is publishing this version; nothing was sent");
    assert_false(d->kind->must_undo(d->job));
}

static void a_state_that_cannot_be_read(void **state)
{
    static const struct {
        int status;
        const char *body, *fragment;
    } cases[] = {
        {404, "{'message': 'no such version'}", "HTTP 404: no such version; nothing was sent"},
        {403, "", "HTTP 403; nothing was sent"},
        {200, "", "does not tell whether it is published"},
        {200, "[]", "does not tell whether it is published"},
        {200, "{'published': 'yes'}", "does not tell whether it is published"},
        {200, "{'status': 5}", "does not tell whether it is published"},
    };
    struct drive *d = locked(state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strcpy(d->job->step, "read");
        drive_http(d, cases[i].status, cases[i].body);
        drive_fails(d, "the present state of the version cannot be read: ");
        drive_fails(d, cases[i].fragment);
        assert_false(d->kind->must_undo(d->job));
    }
    strcpy(d->job->step, "read");
    drive_give_up(d, 503, true, "HTTP 503");
    drive_fails(d, "cannot be read: HTTP 503; nothing was sent");
}

// --- restoring -----------------------------------------------------------------------------------

// The states before, and what restores them.
static void the_state_before_is_restored(void **state)
{
    static const struct {
        const char *before, *body;
    } cases[] = {
        {BEFORE, "{'published':true,'environment':'sandbox','checksum':'abc'}"},
        {"{'published': false}", "{'published':false}"},
        {"{'published': false, 'status': 'published', 'environment': null}", "{'published':false}"},
        {"{'status': 'published', 'environment': 'sandbox'}",
         "{'published':true,'environment':'sandbox'}"},
        {"{'status': 'draft', 'checksum': 'a\\u0000b'}",
         "{'published':false,'checksum':'a\\ufffdb'}"},
    };
    struct drive *d = locked(state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strcpy(d->job->step, "read");
        drive_http(d, 200, cases[i].before);
        drive_sends(d, "PATCH", VERSION_PATH);
        drive_http(d, 500, "{'message': 'boom'}");
        struct job_op *op = drive_sends(d, "PATCH", VERSION_PATH);
        has_body(op, cases[i].body);
        assert_true(op->effect);
        assert_true(d->kind->must_undo(d->job));
        // another request than the first: the far side must not take it for its repetition
        struct uuid key;
        assert_true(uuid_parse(op->idempotency_key, strlen(op->idempotency_key), &key));
        assert_string_not_equal(op->idempotency_key, KEY);
    }
}

static void restored(void **state)
{
    struct drive *d = ready(state);
    drive_http(d, 422, "{'message': 'bad checksum'}");
    drive_plan(d);
    drive_http(d, 200, "{'published': true}");
    ends(d, JOB_OP_FAIL,
         "{'message':'not published: HTTP 422: bad checksum; the state before was restored',"
         "'restored':true,'version':'v2.1/\xc3\xa4','environment':'production','checksum':'SUM',"
         "'previous':{'published':true,'environment':'sandbox','checksum':'abc'},"
         "'cause':{'message':'not published: HTTP 422: bad checksum','status':422,"
         "'answer':{'message':'bad checksum'}}}");
}

static void what_leads_to_restoring(void **state)
{
    static const struct {
        int status;
        const char *body;
    } cases[] = {{200, ""},
                 {200, "nonsense"},
                 {200, "{'status': 'pending'}"},
                 {204, ""},
                 {302, ""},
                 {200, "{'published': false}"},
                 {400, "{}"},
                 {403, ""},
                 {404, ""},
                 {200, "{'published': 'true'}"}};
    struct drive *d = ready(state);
    char *before = mem_strdup(d->job->progress);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strcpy(d->job->step, "publish");
        free(d->job->progress);
        d->job->progress = mem_strdup(before);
        drive_http(d, cases[i].status, cases[i].body);
        assert_string_equal(d->job->step, "restore");
    }
    strcpy(d->job->step, "publish");
    drive_give_up(d, 0, true, "timed out");
    assert_string_equal(d->job->step, "restore");
    free(before);
}

static void what_does_not(void **state)
{
    struct drive *d = ready(state);
    drive_http(d, 409, "{'message': 'locked'}");
    drive_fails(d, "not published: HTTP 409: locked");
    drive_fails_with(d, "status", "409");
    assert_false(d->kind->must_undo(d->job));
    strcpy(d->job->step, "publish");
    drive_give_up(d, 0, false, "cannot connect");
    drive_fails(d, "not published: cannot connect");
    assert_false(d->kind->must_undo(d->job));
}

static void restoring_fails_too(void **state)
{
    struct drive *d = ready(state);
    drive_http(d, 400, "{'message': 'no'}");
    drive_plan(d);
    drive_give_up(d, 503, true, "HTTP 503");
    drive_fails(d, "not published: HTTP 400: no; RESTORING the state before FAILED as well (HTTP "
                   "503): see to the version by hand");
    drive_fails_with(d, "restored", "false");
}

// --- cancelling ----------------------------------------------------------------------------------

static void cancelled_while_publishing(void **state)
{
    struct drive *d = ready(state);
    assert_true(d->kind->must_undo(d->job));
    drive_take(d, &(struct job_answer){.type = JOB_ANSWER_UNDO, .message = "cancelled"});
    has_body(drive_sends(d, "PATCH", VERSION_PATH),
             "{'published':true,'environment':'sandbox','checksum':'abc'}");
    drive_http(d, 200, "");
    drive_fails(d, "cancelled; the state before was restored");
}

static void cancelled_when_it_is_published(void **state)
{
    struct drive *d = ready(state);
    drive_http(d, 200, "{'published': true}");
    assert_true(d->kind->must_undo(d->job));
    drive_take(d, &(struct job_answer){.type = JOB_ANSWER_UNDO, .message = "cancelled"});
    has_body(drive_sends(d, "PATCH", VERSION_PATH),
             "{'published':true,'environment':'sandbox','checksum':'abc'}");
}

static void cancelled_while_restoring(void **state)
{
    struct drive *d = ready(state);
    drive_http(d, 400, "{'message': 'no'}");
    assert_true(d->kind->must_undo(d->job));
    drive_take(d, &(struct job_answer){.type = JOB_ANSWER_UNDO, .message = "cancelled"});
    drive_sends(d, "PATCH", VERSION_PATH);
    drive_http(d, 200, "");
    drive_take(d, &(struct job_answer){.type = JOB_ANSWER_UNDO, .message = "cancelled"});
    drive_fails(d, "not published: HTTP 400: no; the state before was restored");
}

static void cancelled_before_nothing_is_undone(void **state)
{
    struct drive *d = begin(state, "{" PARAMS "}");
    assert_false(d->kind->must_undo(d->job));
    drive_ok(d, JOB_ANSWER_CODE, true, "");
    assert_false(d->kind->must_undo(d->job));
    drive_ok(d, JOB_ANSWER_LOCK, true, "");
    assert_false(d->kind->must_undo(d->job));
}

// --- the webhook ---------------------------------------------------------------------------------

static void webhooks(void **state)
{
    static const char *const common =
        "'jobId':'job-1','traceId':'" TRACE_ID "','dataActionId':'" ACTION_UUID
        "','versionId':'v2.1/\xc3\xa4','environment':'production','checksum':'SUM'";
    char hashed[200], hash[HASH_SHA256_HEX_SIZE];
    unsigned char digest[HASH_SHA256_SIZE];
    struct drive *d = ready(state);
    drive_http(d, 200, "{'published': true}");
    drive_plan(d);
    d->context.wall_us = START + 1500000;
    for (int success = 1; success >= 0; success--) {
        snprintf(hashed, sizeof(hashed), "%s:v2.1/\xc3\xa4:%s:1500", ACTION_UUID,
                 success ? "true" : "false");
        hash_sha256(hashed, strlen(hashed), digest);
        hash_hex(digest, sizeof(digest), hash);
        char *text = mem_printf(
            "{'type':'DEPLOYMENT_%s','metrics':{'total':1,'success':%d,'failure':%d,'attempts':1},"
            "'audit':{'timestamp':'2025-10-09T08:53:21.500Z','eventType':"
            "'DATA_ACTION_VERSION_PUBLISHED',%s,'success':%s,%s'latencyMs':1500,'auditHash':'%s'},"
            "'latencyMs':1500}",
            success ? "SUCCESS" : "FAILURE", success, !success, common, success ? "true" : "false",
            success ? "" : "'error':'so','restored':true,", hash);
        char *expected = with_sum(text);
        if (!success) {
            buf_clear(&d->op.result);
            buf_append_text(&d->op.result, "{\"message\":\"so\",\"restored\":true}");
        }
        drive_notifies(d, success ? JOB_SUCCEEDED : JOB_FAILED, expected);
        free(text);
        free(expected);
    }
}

static void without_an_address_nothing_is_told(void **state)
{
    struct buf out = {0};
    struct drive *d = begin(state, "{" PARAMS "}");
    d->action.webhook_url = NULL;
    assert_false(d->kind->notification(d->job, &d->context, "{}", &out));
    d->action.notify_url = "https://h/";
    assert_true(d->kind->notification(d->job, &d->context, "{}", &out));
    buf_deinit(&out);
}

// --- checks --------------------------------------------------------------------------------------

#define WITH(more) "{" PARAMS ", " more "}"
#define ENV "'environment': 'sandbox'"

static void checks(void **state)
{
    struct config_action a = plain();
    const struct job_kind *kind = &job_kind_publish;
    (void)state;
    check_one(kind, &a, "{" PARAMS "}", NULL, NULL);
    check_one(kind, &a, "{" ENV ", 'code': 'a'}", "/version_id", "is missing");
    check_one(kind, &a, "{" ENV ", 'code': 'a', 'version_id': ''}", "/version_id",
              "names no version");
    check_one(kind, &a, "{" ENV ", 'code': 'a', 'version_id': '..'}", "/version_id",
              "names no version");
    check_one(kind, &a, "{" ENV ", 'code': 'a', 'version_id': 2}", "/version_id",
              "expected a string");
    check_one(kind, &a, "{'version_id': 'v', 'code': 'a'}", "/environment", "is missing");
    check_one(kind, &a, "{'version_id': 'v', 'code': 'a', 'environment': 'staging'}",
              "/environment", "publishes to \"sandbox\" or \"production\" only");
    check_one(kind, &a, "{'version_id': 'v', " ENV "}", "/code", "is missing");
    check_one(kind, &a, "{'version_id': 'v', " ENV ", 'code': ''}", "/code", "is empty");
    check_one(kind, &a, "{'version_id': 'v', " ENV ", 'code': 'a\\u0000'}", "/code", "holds a NUL");
    check_one(kind, &a, "{'version_id': 'v', " ENV ", 'code': 7}", "/code", "expected a string");
    check_one(kind, &a, "{'version_id': 'v', " ENV ", 'code_file': '/x.js'}", "/code_file",
              "cxsink jobs submit reads the file");
    check_one(kind, &a, WITH("'source': 'module'"), NULL, NULL);
    check_one(kind, &a, WITH("'source': 'commonjs'"), "/source", "choose \"script\" or \"module\"");
    check_one(kind, &a, WITH("'on_conflict': 'abort'"), "/on_conflict",
              "choose \"wait\" or \"fail\"");
    check_one(kind, &a, WITH("'on_conflict': true"), "/on_conflict",
              "expected a string, not true or false");
    a.environments.count = 1;
    check_one(kind, &a, "{" PARAMS "}", "/environment", "publishes to \"sandbox\" only");
}

static void the_checksum_is_checked(void **state)
{
    struct config_action a = plain();
    char *right = mem_printf(WITH("'checksum': '%s'"), checksum);
    char *wrong = mem_printf(WITH("'checksum': '%s'"), checksum);
    (void)state;
    check_one(&job_kind_publish, &a, right, NULL, NULL);
    char *digit = strstr(wrong, checksum);
    *digit = *digit == '0' ? '1' : '0';
    check_one(&job_kind_publish, &a, wrong, "/checksum", "is not that of the code, which is");
    check_one(&job_kind_publish, &a, WITH("'checksum': 'abc'"), "/checksum",
              "is not a SHA-256 in hex");
    check_one(&job_kind_publish, &a, WITH("'checksum': 5"), "/checksum", "expected a string");
    for (char *p = strstr(right, checksum); *p != '\''; p++)
        *p = (char)(*p >= 'a' && *p <= 'f' ? *p - 32 : *p);
    check_one(&job_kind_publish, &a, right, NULL, NULL);
    free(right);
    free(wrong);
}

static void dependencies(void **state)
{
    struct config_action a = plain();
    const struct job_kind *kind = &job_kind_publish;
    (void)state;
    check_one(kind, &a,
              WITH("'dependencies': {'lodash': '4.17.21', 'axios': '1.6.2', 'x': '0.1.0'}"), NULL,
              NULL);
    check_one(kind, &a, WITH("'dependencies': {'lodash': '4.17.20'}"), "/dependencies/lodash",
              "version 4.17.20 is not in ^4.17.21, which the action allows of lodash");
    check_one(kind, &a, WITH("'dependencies': {'lodash': '5.0.0'}"), "/dependencies/lodash",
              "is not in");
    check_one(kind, &a, WITH("'dependencies': {'lodash': '^4.17.21'}"), "/dependencies/lodash", "");
    check_one(kind, &a, WITH("'dependencies': {'x': 'latest'}"), "/dependencies/x", "");
    check_one(kind, &a, WITH("'dependencies': {'x': 1}"), "/dependencies/x",
              "expected a version as a string");
    check_one(kind, &a, WITH("'dependencies': {'debug': '4.0.0'}"), "/dependencies/debug",
              "blocks this package");
    check_one(kind, &a, WITH("'dependencies': ['lodash']"), "/dependencies", "expected an object");
}

static void all_faults_at_once(void **state)
{
    static const char *const pointers[] = {"/version_id",
                                           "/environment",
                                           "/checksum",
                                           "/source",
                                           "/dependencies/lodash",
                                           "/dependencies/debug",
                                           "/dependencies/devtools"};
    char *text = quoted("{'environment': 'moon', 'code': 'a', 'checksum': 'x', 'source': 's', "
                        "'dependencies': {'lodash': '3.0.0', 'debug': '1.0.0', 'devtools': 5}}");
    struct config_action a = plain();
    struct tape tape;
    struct job_faults faults = {0};
    struct kind_context context = {&a, &tape, START, NULL};
    (void)state;
    tape_init(&tape, 0);
    assert_true(tape_parse(&tape, text, strlen(text)));
    job_kind_publish.check(&context, &faults);
    assert_int_equal(faults.count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(faults.items[i].pointer, pointers[i]);
    job_faults_free(&faults);
    tape_deinit(&tape);
    free(text);
}

static void the_size_of_the_code_on_both_sides(void **state)
{
    struct config_action a = plain();
    size_t most = 1 << 20;
    char *text = mem_alloc(most + 200);
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        int n = sprintf(text, "{'version_id': 'v', " ENV ", 'code': '");
        memset(text + n, 'a', most + more);
        strcpy(text + (size_t)n + most + more, "'}");
        check_one(&job_kind_publish, &a, text, more == 0 ? NULL : "/code",
                  "has 1048577 bytes, more than the 1048576");
    }
    free(text);
}

#define with_drive(test) cmocka_unit_test_setup_teardown(test, setup, drive_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_drive(the_code_is_checked),
        with_drive(as_a_module),
        with_drive(the_lock_names_action_and_version),
        with_drive(published),
        with_drive(the_path_of_the_action),
        with_drive(code_that_is_none),
        with_drive(code_that_takes_too_long),
        with_drive(a_lock_that_is_held_is_waited_for),
        with_drive(a_lock_that_is_held_is_a_conflict),
        with_drive(a_state_that_cannot_be_read),
        with_drive(the_state_before_is_restored),
        with_drive(restored),
        with_drive(what_leads_to_restoring),
        with_drive(what_does_not),
        with_drive(restoring_fails_too),
        with_drive(cancelled_while_publishing),
        with_drive(cancelled_when_it_is_published),
        with_drive(cancelled_while_restoring),
        with_drive(cancelled_before_nothing_is_undone),
        with_drive(webhooks),
        with_drive(without_an_address_nothing_is_told),
        cmocka_unit_test(checks),
        cmocka_unit_test(the_checksum_is_checked),
        cmocka_unit_test(dependencies),
        cmocka_unit_test(all_faults_at_once),
        cmocka_unit_test(the_size_of_the_code_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
