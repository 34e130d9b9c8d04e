// SPDX-License-Identifier: Apache-2.0
// The kind "invoke", through every branch, by scripted answers.
#include "kind_support.h"

#define SEND_PATH "/api/v2/integrations/actions/invocations"
#define POLL_PATH SEND_PATH "/i%20%2F1"
#define ACCEPTED "{'invocationId': 'i /1', 'status': 'QUEUED'}"

static struct config_action plain(void)
{
    return (struct config_action){.name = "the-action",
                                  .kind = ACTION_INVOKE,
                                  .action_id = ACTION_UUID,
                                  .retry_max = CONFIG_RETRY_DEFAULT,
                                  .notify_url = "https://h/",
                                  .poll_interval_us = 5 * SECOND,
                                  .poll_timeout_us = 120 * SECOND,
                                  .max_payload = 524288};
}

static int setup(void **state)
{
    return drive_set_up(state, plain());
}

static void begin(struct drive *d, const char *params)
{
    drive_begin(d, &job_kind_invoke, params);
}

// Sent and accepted.
static struct drive *accepted(void **state)
{
    struct drive *d = *state;
    begin(d, "{}");
    drive_sends(d, "POST", SEND_PATH);
    drive_http(d, 202, ACCEPTED);
    assert_string_equal(d->job->remote_id, "i /1");
    return d;
}

// --- the request ---------------------------------------------------------------------------------

static void the_request(void **state)
{
    struct drive *d = *state;
    d->action.callback_url = "https://hooks.example.com/c";
    begin(d, "{'inputs': { 'customerId': 'c \\u00e4', 'n': 1.50, 'b': true, 'z': null }, "
             "'correlation_id': '" KEY "'}");
    struct job_op *op = drive_sends(d, "POST", SEND_PATH);
    assert_true(op->effect);
    assert_int_equal(op->timeout_us, 0);
    has_json(&op->body, "{'actionId':'" ACTION_UUID "','inputs':{'customerId':'c \\u00e4','n':1.50,"
                        "'b':true,'z':null},'correlationId':'" KEY
                        "','callbackUrl':'https://hooks.example.com/c'}");
}

static void a_missing_correlation_id_is_the_trace_id(void **state)
{
    struct drive *d = *state;
    begin(d, "{}");
    struct job_op *op = drive_sends(d, "POST", SEND_PATH);
    has_json(&op->body,
             "{'actionId':'" ACTION_UUID "','inputs':{},'correlationId':'" TRACE_ID "'}");
}

static void paths_of_the_action(void **state)
{
    struct config_pair paths[] = {{"invoke", "/x/{actionId}/run"},
                                  {"status", "/x/{actionId}/{invocationId}?full=1"}};
    struct drive *d = *state;
    d->action.paths = (struct config_pairs){paths, 2};
    begin(d, "{}");
    drive_sends(d, "POST", "/x/" ACTION_UUID "/run");
    drive_http(d, 200, ACCEPTED);
    drive_sends(d, "GET", "/x/" ACTION_UUID "/i%20%2F1?full=1");
}

// --- sending -------------------------------------------------------------------------------------

static void refused(void **state)
{
    struct drive *d = *state;
    begin(d, "{}");
    drive_sends(d, "POST", SEND_PATH);
    drive_http(d, 400, "{'message': 'no such\\naction'}");
    drive_ends(d, JOB_OP_FAIL,
               "{'message':'the action was not invoked: HTTP 400: no such action','status':400,"
               "'answer':{'message':'no such\\naction'},'correlationId':'" TRACE_ID
               "','invocationId':null}");
}

static void given_up(void **state)
{
    struct drive *d = *state;
    begin(d, "{}");
    drive_plan(d);
    drive_give_up(d, 503, true, "HTTP 503");
    drive_fails(d, "not invoked: HTTP 503 (a request may have arrived all the same)");
    drive_fails_with(d, "status", "503");
}

static void given_up_before_sending(void **state)
{
    struct drive *d = *state;
    begin(d, "{}");
    drive_plan(d);
    drive_give_up(d, 0, false, "cannot connect");
    drive_ends(d, JOB_OP_FAIL,
               "{'message':'the action was not invoked: cannot connect',"
               "'correlationId':'" TRACE_ID "','invocationId':null}");
}

static void accepted_without_an_invocation(void **state)
{
    static const char *const bodies[] = {
        "",
        "not JSON",
        "[]",
        "{}",
        "{'invocationId': null}",
        "{'invocationId': ''}",
        "{'invocationId': 5}",
        "{'invocationId': '..'}",
    };
    struct drive *d = *state;
    begin(d, "{}");
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        strcpy(d->job->step, "send");
        drive_http(d, 200, bodies[i]);
        assert_int_equal(d->verdict.type, JOB_NEXT);
        drive_fails(d, "HTTP 200 came without an invocationId");
        assert_null(d->job->remote_id);
    }
}

// --- polling -------------------------------------------------------------------------------------

static void the_first_question_is_asked_at_once(void **state)
{
    struct drive *d = accepted(state);
    struct job_op *op = drive_sends(d, "GET", POLL_PATH);
    assert_false(op->effect);
    assert_int_equal(op->body.len, 0);
    drive_http(d, 200, "{'status': 'RUNNING'}");
    op = drive_plan(d);
    assert_int_equal(op->type, JOB_OP_WAIT);
    assert_true(op->delay_us == 5 * SECOND);
    d->context.wall_us += 4 * SECOND;
    assert_true(drive_plan(d)->delay_us == SECOND);
    d->context.wall_us += SECOND;
    drive_sends(d, "GET", POLL_PATH);
}

static void completed(void **state)
{
    struct drive *d = accepted(state);
    drive_plan(d);
    drive_http(d, 200, "{'status': 'SOMETHING_NEW'}");
    assert_non_null(strstr(d->job->progress, "\"status\":\"SOMETHING_NEW\""));
    d->context.wall_us += 5 * SECOND;
    drive_sends(d, "GET", POLL_PATH);
    drive_http(d, 200, "{'status': 'COMPLETED', 'outputs': {'a': [1, {'b': null}]}}");
    drive_ends(d, JOB_OP_SUCCEED,
               "{'correlationId':'" TRACE_ID "','invocationId':'i /1','status':'COMPLETED',"
               "'outputs':{'a':[1,{'b':null}]},'errorMessage':null,'durationMs':5000}");
    drive_notifies(d, JOB_SUCCEEDED,
                   "{'jobId':'job-1','action':'the-action','state':'succeeded','traceId':'" TRACE_ID
                   "','correlationId':'" TRACE_ID "','invocationId':'i /1','status':'COMPLETED',"
                   "'outputs':{'a':[1,{'b':null}]},'errorMessage':null,'durationMs':5000}");
}

// Of what PostgreSQL cannot keep.
static void outputs_that_jsonb_cannot_hold(void **state)
{
    struct drive *d = accepted(state);
    drive_plan(d);
    drive_http(d, 200,
               "{'status': 'completed', 'outputs': {'a\\u0000b': 'x\\\\u0000\\u0000y', "
               "'n': [1e9999, 1E-999, -0.5]}}");
    drive_ends(d, JOB_OP_SUCCEED,
               "{'correlationId':'" TRACE_ID "','invocationId':'i /1','status':'completed',"
               "'outputs':{'a\\ufffdb':'x\\\\u0000\\ufffdy','n':['1e9999',1E-999,-0.5]},"
               "'errorMessage':null,'durationMs':0}");
}

static void failed(void **state)
{
    struct drive *d = accepted(state);
    drive_plan(d);
    drive_http(d, 200, "{'status': 'FAILED', 'errorMessage': 'CRM is down'}");
    drive_ends(d, JOB_OP_FAIL,
               "{'message':'the invocation failed: CRM is down','correlationId':'" TRACE_ID
               "','invocationId':'i /1','status':'FAILED','outputs':{},'errorMessage':'CRM is down'"
               ",'durationMs':0}");
}

static void cancelled_by_the_far_side(void **state)
{
    struct drive *d = accepted(state);
    drive_plan(d);
    drive_http(d, 200, "{'status': 'CANCELLED', 'outputs': null}");
    drive_fails(d, "the invocation was cancelled by the far side");
}

static void without_an_address_nothing_is_notified(void **state)
{
    struct buf out = {0};
    struct drive *d = accepted(state);
    d->action.notify_url = NULL;
    assert_false(d->kind->notification(d->job, &d->context, "{}", &out));
    assert_int_equal(out.len, 0);
}

// Answers that are none: asked again.
static void unreadable_answers(void **state)
{
    static const struct {
        int status;
        const char *body;
    } cases[] = {{200, ""},
                 {200, "<html>"},
                 {200, "[]"},
                 {200, "{}"},
                 {204, ""},
                 {200, "{'status': 3}"},
                 {404, "{'message': 'unknown'}"}};
    struct drive *d = accepted(state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        drive_http(d, cases[i].status, cases[i].body);
        assert_int_equal(d->verdict.type, JOB_RETRY);
        assert_true(d->verdict.message[0] != '\0');
        drive_sends(d, "GET", POLL_PATH);
    }
}

static void refused_questions(void **state)
{
    struct drive *d = accepted(state);
    drive_http(d, 403, "{'error': 'forbidden'}");
    drive_fails(d, "was invoked, and its result cannot be asked for: HTTP 403: forbidden");
    strcpy(d->job->step, "poll");
    drive_give_up(d, 0, true, "timed out");
    drive_fails(d, "cannot be asked for: timed out");
    drive_fails_with(d, "invocationId", "i /1");
}

static void a_question_that_is_answered_has_its_tries_anew(void **state)
{
    struct drive *d = accepted(state);
    d->job->failures = 3;
    drive_http(d, 200, "{'status': 'RUNNING'}");
    assert_int_equal(d->job->failures, 0);
}

// --- the deadline --------------------------------------------------------------------------------

static void the_deadline_counts_from_the_answer_to_the_send(void **state)
{
    struct drive *d = accepted(state);
    d->context.wall_us = START + 118 * SECOND;
    drive_sends(d, "GET", POLL_PATH);
    drive_http(d, 200, "{'status': 'RUNNING'}");
    assert_true(drive_plan(d)->delay_us == 2 * SECOND); // the last one at the deadline
    d->context.wall_us = START + 120 * SECOND;
    drive_sends(d, "GET", POLL_PATH);
    drive_http(d, 200, "{'status': 'RUNNING', 'outputs': {'so': 'far'}}");
    drive_fails(d, "still \\\"RUNNING\\\" after 120 s");
    drive_fails_with(d, "outputs", "far");
    drive_fails_with(d, "durationMs", "120000");
}

// Nobody looked for an hour, and the result is there.
static void a_result_behind_the_deadline_counts(void **state)
{
    struct drive *d = accepted(state);
    d->context.wall_us = START + 3600 * SECOND;
    drive_sends(d, "GET", POLL_PATH);
    drive_http(d, 200, "{'status': 'COMPLETED'}");
    assert_int_equal(drive_plan(d)->type, JOB_OP_SUCCEED);
}

static void a_clock_set_back_delays_one_interval(void **state)
{
    struct drive *d = accepted(state);
    drive_http(d, 200, "{'status': 'RUNNING'}");
    d->context.wall_us = START - 3600 * SECOND;
    assert_true(drive_plan(d)->delay_us == 5 * SECOND);
}

// --- checks --------------------------------------------------------------------------------------

static void checks(void **state)
{
    static char *names[] = {"a", "b/c"};
    struct config_action any = plain();
    struct config_action some = plain();
    const struct job_kind *kind = &job_kind_invoke;
    (void)state;
    some.limits_inputs = true;
    some.allowed_inputs = (struct config_strings){names, 2};
    check_one(kind, &any, "{}", NULL, NULL);
    check_one(kind, &any, "{'inputs': {'x': 's', 'y': -1, 'z': false, 'n': null}}", NULL, NULL);
    check_one(kind, &any, "{'inputs': {'x': [1]}}", "/inputs/x", "not an array");
    check_one(kind, &any, "{'inputs': {'x': {}}}", "/inputs/x", "not an object");
    check_one(kind, &any, "{'inputs': []}", "/inputs", "expected an object, not an array");
    check_one(kind, &any, "{'inputs': null}", "/inputs", "expected an object, not null");
    check_one(kind, &any, "{'correlation_id': '" KEY "'}", NULL, NULL);
    check_one(kind, &any, "{'correlation_id': 'corr-001'}", "/correlation_id", "is not a UUID");
    check_one(kind, &any, "{'correlation_id': 7}", "/correlation_id", "expected a string");
    check_one(kind, &some, "{'inputs': {'a': 1, 'b/c': 2}}", NULL, NULL);
    check_one(kind, &some, "{'inputs': {'b/d': 1}}", "/inputs/b~1d", "allowed_inputs");
    some.allowed_inputs.count = 0;
    check_one(kind, &some, "{'inputs': {}}", NULL, NULL);
    check_one(kind, &some, "{'inputs': {'a': 1}}", "/inputs/a", "allowed_inputs");
}

static void the_size_of_the_body_on_both_sides(void **state)
{
    struct config_action action = plain();
    struct drive *d = *state;
    begin(d, "{'inputs':{'a':''}}");
    size_t empty = drive_plan(d)->body.len;
    size_t room = action.max_payload - empty;
    char *text = mem_alloc(room + 64);
    for (size_t more = 0; more < 2; more++) {
        memcpy(text, "{'inputs':{'a':'", 16);
        memset(text + 16, 'x', room + more);
        strcpy(text + 16 + room + more, "'}}");
        check_one(&job_kind_invoke, &action, text, more == 0 ? NULL : "/inputs",
                  "has 524289 bytes, more than the 524288 of");
    }
    free(text);
}

#define with_drive(test) cmocka_unit_test_setup_teardown(test, setup, drive_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_drive(the_request),
        with_drive(a_missing_correlation_id_is_the_trace_id),
        with_drive(paths_of_the_action),
        with_drive(refused),
        with_drive(given_up),
        with_drive(given_up_before_sending),
        with_drive(accepted_without_an_invocation),
        with_drive(the_first_question_is_asked_at_once),
        with_drive(completed),
        with_drive(outputs_that_jsonb_cannot_hold),
        with_drive(failed),
        with_drive(cancelled_by_the_far_side),
        with_drive(without_an_address_nothing_is_notified),
        with_drive(unreadable_answers),
        with_drive(refused_questions),
        with_drive(a_question_that_is_answered_has_its_tries_anew),
        with_drive(the_deadline_counts_from_the_answer_to_the_send),
        with_drive(a_result_behind_the_deadline_counts),
        with_drive(a_clock_set_back_delays_one_interval),
        cmocka_unit_test(checks),
        with_drive(the_size_of_the_body_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
