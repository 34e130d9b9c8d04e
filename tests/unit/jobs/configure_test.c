// SPDX-License-Identifier: Apache-2.0
// The kind "configure", through every branch, by scripted answers.
#include "kind_support.h"

#define HEALTH "/api/v2/health"
#define UPDATE "/api/v2/integrations/actions"
#define READ UPDATE "/act%20ion"
#define METADATA                                                                               \
    "'metadata':{'requestId':'" KEY "','configurationVersion':'2.1','auditTraceId':'" TRACE_ID \
    "','generatedAt':'2025-10-09T08:53:20.000Z'}"
#define CONFIGURATION                                                                       \
    "'configuration':{'requestTimeout':15000,'connectionTimeout':5000,'idleTimeout':30000," \
    "'retryPolicy':{'enabled':true,'maxRetries':3,'backoffStrategy':'exponential',"         \
    "'retryOnStatus':[429,500,502,503,504]},'connectionPoolLimits':{'maxSockets':30,"       \
    "'keepAlive':true}}"
#define BODY "{'id':'act ion'," METADATA "," CONFIGURATION "}"

static struct config_action plain(void)
{
    return (struct config_action){.name = "the-action",
                                  .kind = ACTION_CONFIGURE,
                                  .action_id = "act ion",
                                  .retry_max = CONFIG_RETRY_DEFAULT,
                                  .notify_url = "https://h/"};
}

static int setup(void **state)
{
    return drive_set_up(state, plain());
}

static struct drive *begin(void **state, const char *params)
{
    drive_begin(*state, &job_kind_configure, params);
    drive_plan(*state);
    drive_ok(*state, JOB_ANSWER_LOCK, true, "");
    return *state;
}

static struct drive *healthy(void **state)
{
    struct drive *d = begin(state, "{'timeout_ms': 15000}");
    drive_sends(d, "GET", HEALTH);
    drive_http(d, 200, "");
    return d;
}

static struct drive *sent(void **state)
{
    struct drive *d = healthy(state);
    drive_sends(d, "PUT", UPDATE);
    drive_http(d, 200, "{'id': 'act ion', 'ok': true}");
    return d;
}

// --- requests ------------------------------------------------------------------------------------

static void one_job_of_an_action_at_a_time(void **state)
{
    struct drive *d = *state;
    drive_begin(d, &job_kind_configure, "{'timeout_ms': 1}");
    for (int i = 0; i < 2; i++) {
        struct job_op *op = drive_plan(d);
        assert_int_equal(op->type, JOB_OP_LOCK);
        assert_string_equal(buf_text(&op->key), "configure:act ion");
        assert_false(op->fail_if_held);
        assert_true(op->delay_us > 0);
        drive_ok(d, JOB_ANSWER_LOCK, false, "job-0");
    }
    drive_ok(d, JOB_ANSWER_LOCK, true, "");
    drive_sends(d, "GET", HEALTH);
}

static void health_comes_first(void **state)
{
    struct drive *d = begin(state, "{'timeout_ms': 1}");
    struct job_op *op = drive_sends(d, "GET", HEALTH);
    assert_true(op->timeout_us == 5 * SECOND);
    assert_false(op->effect);
    assert_int_equal(op->body.len, 0);
}

static void the_body_with_defaults(void **state)
{
    struct drive *d = healthy(state);
    d->context.wall_us += 60 * SECOND; // a later try sends the same
    struct job_op *op = drive_sends(d, "PUT", UPDATE);
    assert_true(op->effect);
    assert_int_equal(op->timeout_us, 0);
    has_json(&op->body, BODY);
}

static void the_body_with_everything(void **state)
{
    struct drive *d = begin(
        state, "{'timeout_ms': 30000, 'connection_timeout_ms': 1, 'idle_timeout_ms': 2, 'retry': "
               "{'enabled': false, 'max_retries': 5, 'backoff': 'linear', 'retry_on_status': "
               "[503]}}");
    drive_http(d, 200, "ok");
    has_json(&drive_sends(d, "PUT", UPDATE)->body,
             "{'id':'act ion'," METADATA ",'configuration':{'requestTimeout':30000,"
             "'connectionTimeout':1,'idleTimeout':2,'retryPolicy':{'enabled':false,'maxRetries':5,"
             "'backoffStrategy':'linear','retryOnStatus':[503]},'connectionPoolLimits':"
             "{'maxSockets':50,'keepAlive':true}}}");
}

static void paths_of_the_action(void **state)
{
    struct config_pair paths[] = {
        {"health", "/h"}, {"update", "/u/{actionId}"}, {"read", "/r?id={actionId}"}};
    struct drive *d = *state;
    d->action.paths = (struct config_pairs){paths, 3};
    begin(state, "{'timeout_ms': 1}");
    drive_sends(d, "GET", "/h");
    drive_http(d, 200, "");
    drive_sends(d, "PUT", "/u/act%20ion");
    drive_http(d, 200, "");
    drive_sends(d, "GET", "/r?id=act%20ion");
}

// --- health --------------------------------------------------------------------------------------

static void not_exactly_200(void **state)
{
    static const int statuses[] = {201, 204, 302, 400, 403, 404};
    struct drive *d = begin(state, "{'timeout_ms': 1}");
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        strcpy(d->job->step, "health");
        drive_http(d, statuses[i], "");
        drive_fails(d, "the API is not healthy, so nothing was sent: HTTP ");
    }
    strcpy(d->job->step, "health");
    drive_give_up(d, 0, true, "no answer within 5 s");
    drive_fails(d, "nothing was sent: no answer within 5 s");
}

// --- the PUT -------------------------------------------------------------------------------------

static void refused(void **state)
{
    struct drive *d = healthy(state);
    drive_http(d, 400, "{'message': 'too long'}");
    drive_ends(d, JOB_OP_FAIL,
               "{'message':'not configured: HTTP 400: too long','status':400,"
               "'answer':{'message':'too long'}}");
    drive_notifies(d, JOB_FAILED,
                   "{'type':'CONFIG_SYNC_FAILURE','traceId':'" TRACE_ID
                   "','error':'not configured: HTTP 400: too long'}");
    strcpy(d->job->step, "put");
    drive_give_up(d, 503, true, "HTTP 503");
    drive_fails(d, "not configured: HTTP 503");
}

// --- reading back --------------------------------------------------------------------------------

static void verified(void **state)
{
    struct drive *d = sent(state);
    struct job_op *op = drive_sends(d, "GET", READ);
    assert_false(op->effect);
    drive_http(d, 200, "{'id':'act ion','more':1," METADATA "," CONFIGURATION "}");
    drive_ends(d, JOB_OP_SUCCEED,
               "{'generatedAt':'2025-10-09T08:53:20.000Z','answer':{'id':'act ion','ok':true},"
               "'verified':true}");
    drive_notifies(d, JOB_SUCCEEDED,
                   "{'type':'CONFIG_SYNC_SUCCESS','traceId':'" TRACE_ID "','payload':" BODY
                   ",'result':{'id':'act ion','ok':true}}");
}

static void without_a_body_of_the_put(void **state)
{
    struct drive *d = healthy(state);
    drive_http(d, 204, "");
    drive_http(d, 200, "{'id':'act ion'," CONFIGURATION "}");
    drive_ends(d, JOB_OP_SUCCEED,
               "{'generatedAt':'2025-10-09T08:53:20.000Z','answer':null,"
               "'verified':true}");
}

static void differences_are_read_again_and_named(void **state)
{
    struct drive *d = sent(state);
    drive_http(d, 200,
               "{'id':'other','configuration':{'requestTimeout':15000.5,'connectionTimeout':5e3,"
               "'idleTimeout':'30000','retryPolicy':{'enabled':false,'maxRetries':3.0,"
               "'retryOnStatus':[500,429,502,503,504]},'connectionPoolLimits':5}}");
    assert_int_equal(d->verdict.type, JOB_RETRY);
    drive_sends(d, "GET", READ);
    drive_give_up(d, 200, true, "what was sent does not read back");
    drive_ends(
        d, JOB_OP_FAIL,
        "{'message':'sent, but it does not read back equal: /id (sent \\'act ion\\', read "
        "\\'other\\'), /configuration/requestTimeout (sent 15000, read 15000.5), "
        "/configuration/idleTimeout (sent 30000, read \\'30000\\'), "
        "/configuration/retryPolicy/enabled (sent true, read false), "
        "/configuration/retryPolicy/backoffStrategy (sent \\'exponential\\', read nothing), "
        "/configuration/retryPolicy/retryOnStatus (sent [429,500,502,503,504], read "
        "[500,429,502,503,504]), /configuration/connectionPoolLimits (sent "
        "{\\'maxSockets\\':30,\\'keepAlive\\':true}, read 5)','differences':["
        "{'pointer':'/id','sent':'act ion','read':'other'},"
        "{'pointer':'/configuration/requestTimeout','sent':15000,'read':15000.5},"
        "{'pointer':'/configuration/idleTimeout','sent':30000,'read':'30000'},"
        "{'pointer':'/configuration/retryPolicy/enabled','sent':true,'read':false},"
        "{'pointer':'/configuration/retryPolicy/backoffStrategy','sent':'exponential'},"
        "{'pointer':'/configuration/retryPolicy/retryOnStatus','sent':[429,500,502,503,504],"
        "'read':[500,429,502,503,504]},"
        "{'pointer':'/configuration/connectionPoolLimits','sent':{'maxSockets':30,'keepAlive':true}"
        ",'read':5}]}");
}

static void a_difference_that_goes_away(void **state)
{
    struct drive *d = sent(state);
    drive_http(d, 200, "{'id':'act ion'}");
    assert_int_equal(d->verdict.type, JOB_RETRY);
    drive_http(d, 200, "{'id':'act ion'," CONFIGURATION "}");
    assert_int_equal(drive_plan(d)->type, JOB_OP_SUCCEED);
    assert_non_null(strstr(buf_text(&d->op.result), "\"ok\":true"));
}

// Metadata that is told is somebody else's when it differs.
static void metadata_of_another_request(void **state)
{
    struct drive *d = sent(state);
    drive_http(d, 200, "{'id':'act ion','metadata':{'requestId':'x'}," CONFIGURATION "}");
    assert_int_equal(d->verdict.type, JOB_RETRY);
    drive_give_up(d, 200, true, "does not read back");
    drive_fails(d, "/metadata/requestId (sent \\\"" KEY "\\\", read \\\"x\\\")");
}

static void what_cannot_be_read(void **state)
{
    static const char *const bodies[] = {"", "nonsense", "[]", "null"};
    struct drive *d = sent(state);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        drive_http(d, 200, bodies[i]);
        assert_int_equal(d->verdict.type, JOB_RETRY);
        drive_sends(d, "GET", READ);
    }
    drive_http(d, 404, "{'message': 'gone'}");
    drive_fails(d, "sent, but it cannot be read back: HTTP 404: gone");
    strcpy(d->job->step, "read");
    drive_give_up(d, 0, true, "timed out");
    drive_fails(d, "sent, but it cannot be read back: timed out");
}

// --- checks --------------------------------------------------------------------------------------

#define WITH(more) "{'timeout_ms': 15000, " more "}"

static void checks(void **state)
{
    struct config_action a = plain();
    const struct job_kind *kind = &job_kind_configure;
    (void)state;
    check_one(kind, &a, "{'timeout_ms': 1}", NULL, NULL);
    check_one(kind, &a, "{'timeout_ms': 30000}", NULL, NULL);
    check_one(kind, &a, "{'timeout_ms': 3e4}", NULL, NULL);
    check_one(kind, &a, "{}", "/timeout_ms", "is missing; add it");
    check_one(kind, &a, "{'timeout_ms': 30001}", "/timeout_ms", "from 1 to 30000");
    check_one(kind, &a, "{'timeout_ms': 0}", "/timeout_ms", "from 1 to 30000");
    check_one(kind, &a, "{'timeout_ms': 1.5}", "/timeout_ms", "a whole number");
    check_one(kind, &a, "{'timeout_ms': '1'}", "/timeout_ms", "a whole number");
    check_one(kind, &a, WITH("'connection_timeout_ms': 0"), "/connection_timeout_ms", "from 1");
    check_one(kind, &a, WITH("'idle_timeout_ms': -1"), "/idle_timeout_ms", "from 1");
    check_one(kind, &a, WITH("'retry': 5"), "/retry", "expected an object");
    check_one(kind, &a, WITH("'retry': {}"), NULL, NULL);
    check_one(kind, &a, WITH("'retry': {'enabled': 1}"), "/retry/enabled",
              "expected true or false, not a number");
    check_one(kind, &a, WITH("'retry': {'max_retries': 0}"), NULL, NULL);
    check_one(kind, &a, WITH("'retry': {'max_retries': 5}"), NULL, NULL);
    check_one(kind, &a, WITH("'retry': {'max_retries': 6}"), "/retry/max_retries", "from 0 to 5");
    check_one(kind, &a, WITH("'retry': {'backoff': 'fixed'}"), NULL, NULL);
    check_one(kind, &a, WITH("'retry': {'backoff': 'random'}"), "/retry/backoff",
              "choose \"exponential\", \"linear\" or \"fixed\"");
    check_one(kind, &a, WITH("'retry': {'backoff': 2}"), "/retry/backoff", "expected a string");
    check_one(kind, &a, WITH("'retry': {'retry_on_status': [429, 599]}"), NULL, NULL);
    check_one(kind, &a, WITH("'retry': {'retry_on_status': []}"), NULL, NULL);
    check_one(kind, &a, WITH("'retry': {'retry_on_status': 429}"), "/retry/retry_on_status",
              "expected an array");
    check_one(kind, &a, WITH("'retry': {'retry_on_status': [429, 600]}"),
              "/retry/retry_on_status/1", "from 100 to 599");
    check_one(kind, &a, WITH("'retry': {'max_retry': 1}"), "/retry/max_retry",
              "did you mean \"max_retries\"?");
}

#define with_drive(test) cmocka_unit_test_setup_teardown(test, setup, drive_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_drive(one_job_of_an_action_at_a_time),
        with_drive(health_comes_first),
        with_drive(the_body_with_defaults),
        with_drive(the_body_with_everything),
        with_drive(paths_of_the_action),
        with_drive(not_exactly_200),
        with_drive(refused),
        with_drive(verified),
        with_drive(without_a_body_of_the_put),
        with_drive(differences_are_read_again_and_named),
        with_drive(a_difference_that_goes_away),
        with_drive(metadata_of_another_request),
        with_drive(what_cannot_be_read),
        cmocka_unit_test(checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
