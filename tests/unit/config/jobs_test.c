// SPDX-License-Identifier: Apache-2.0
// The section "jobs": what its settings become, the defaults, and every fault it can have.
#include "config_support.h"

#define SECOND INT64_C(1000000)

#define REST                                                                          \
    "'streams': {'s': {'url': 'ws://h/x', 'table': 't'}}, "                           \
    "'tables': {'t': {'columns': {'a': '/a', 'b': '/b'}, 'key': ['a']}}, "            \
    "'auth': {'tok': {'grant': 'static', 'token': 'x'}, 'rest': {'grant': 'static', " \
    "'token': 'y'}}"
#define UUID "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define JOBS(more) "{" REST ", 'jobs': {" more "}}"
#define APIS "'apis': {'x': {'base_url': 'https://h'}, 'y': {'base_url': 'https://i'}}"
#define INVOKE "'kind': 'invoke', 'api': 'x', 'action_id': '" UUID "'"
#define EXECUTE "'kind': 'execute', 'api': 'x', 'action_id': 'e'"
#define PUBLISH "'kind': 'publish', 'api': 'x', 'action_id': '" UUID "'"
#define CONFIGURE "'kind': 'configure', 'api': 'x', 'action_id': 'c'"

// --- what it becomes -----------------------------------------------------------------------------

static void nothing_without_the_section(void **state)
{
    const struct config *c = load_good(*state, "{" REST "}");
    assert_false(c->jobs.enabled);
    assert_int_equal(c->jobs.n_apis, 0);
    assert_int_equal(c->jobs.n_actions, 0);
    assert_int_equal(c->jobs.n_queue, 0);
    assert_null(c->jobs.drop_dir);
}

static void defaults_of_the_section(void **state)
{
    const struct config_jobs *jobs = &load_good(*state, JOBS(""))->jobs;
    assert_true(jobs->enabled);
    assert_int_equal(jobs->concurrency, 8);
    assert_true(jobs->retention_us == 30 * 86400 * SECOND);
    assert_null(jobs->drop_dir);
}

static void defaults_of_an_api(void **state)
{
    const struct config_jobs *jobs = &load_good(*state, JOBS(APIS))->jobs;
    assert_int_equal(jobs->n_apis, 2);
    const struct config_api *api = &jobs->apis[0];
    assert_string_equal(api->name, "x");
    assert_string_equal(api->base_url, "https://h");
    assert_true(api->auth == CONFIG_NONE);
    assert_true(api->connect_timeout_us == 5 * SECOND);
    assert_true(api->timeout_us == 30 * SECOND);
    assert_int_equal(api->max_connections, 8);
    assert_int_equal(api->rate_limit, 0);
    assert_int_equal(api->breaker_failures, 3);
    assert_true(api->breaker_reset_us == 10 * SECOND);
    assert_int_equal(api->headers.count, 0);
    assert_null(api->tls.ca_file);
}

static void values_of_an_api(void **state)
{
    const struct config *c = load_good(
        *state, JOBS("'concurrency': 256, 'retention': '1h', 'drop_dir': 'in', 'apis': {'x': {"
                     "'base_url': 'http://[::1]:8080/v1//', 'auth': 'rest', 'timeout': '1s', "
                     "'connect_timeout': '2s', 'max_connections': 1, 'rate_limit': '1000/min', "
                     "'breaker': {'failures': 7, 'reset': '1ms'}, 'headers': {'X-A': 'b'}}}"));
    const struct fixture *f = *state;
    const struct config_api *api = c->jobs.apis;
    assert_int_equal(c->jobs.concurrency, 256);
    assert_int_equal(strncmp(c->jobs.drop_dir, f->dir, strlen(f->dir)), 0);
    assert_string_equal(api->base_url, "http://[::1]:8080/v1");
    assert_int_equal(api->auth, 1);
    assert_int_equal(api->rate_limit, 1000);
    assert_true(api->rate_period_us == 60 * SECOND);
    assert_int_equal(api->breaker_failures, 7);
    assert_true(api->breaker_reset_us == 1000);
    assert_string_equal(api->headers.items[0].value, "b");
}

static void rates(void **state)
{
    static const struct {
        const char *text;
        unsigned limit;
        int64_t period;
    } cases[] = {{"1/s", 1, SECOND}, {"1000000/h", 1000000, 3600 * SECOND}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = mem_printf(JOBS("'apis': {'x': {'base_url': 'https://h', 'rate_limit': "
                                     "'%s'}}"),
                                cases[i].text);
        const struct config_api *api = load_good(*state, text)->jobs.apis;
        assert_int_equal(api->rate_limit, cases[i].limit);
        assert_true(api->rate_period_us == cases[i].period);
        free(text);
    }
}

static void defaults_of_an_action(void **state)
{
    const struct config_jobs *jobs =
        &load_good(*state, JOBS(APIS ", 'actions': {'a': {" INVOKE "}}"))->jobs;
    const struct config_action *a = jobs->actions;
    assert_int_equal(jobs->n_actions, 1);
    assert_string_equal(a->name, "a");
    assert_int_equal(a->kind, ACTION_INVOKE);
    assert_int_equal(a->api, 0);
    assert_string_equal(a->action_id, UUID);
    assert_int_equal(a->paths.count, 0);
    assert_true(a->retry_max == CONFIG_RETRY_DEFAULT);
    assert_true(a->give_up_after_us == 86400 * SECOND);
    assert_null(a->notify_url);
    assert_null(a->notify_secret);
    assert_false(a->allow_private);
    assert_false(a->limits_inputs);
    assert_null(a->callback_url);
    assert_true(a->poll_interval_us == 5 * SECOND);
    assert_true(a->poll_timeout_us == 120 * SECOND);
    assert_true(a->max_payload == 524288);
    assert_int_equal(a->content_types.count, 4);
    assert_string_equal(a->content_types.items[3], "application/octet-stream");
    assert_true(a->max_bytes == 10485760);
    assert_null(a->file_dir);
    assert_null(a->storage_dir);
    assert_null(a->storage_url);
    assert_int_equal(a->environments.count, 2);
    assert_int_equal(a->blocked_packages.count, 0);
    assert_null(a->webhook_url);
}

static void values_of_an_action(void **state)
{
    const struct config *c = load_good(
        *state,
        JOBS(APIS ", 'actions': {"
                  "'i': {" INVOKE
                  ", 'allowed_inputs': ['k'], 'poll': {'interval': '1s', 'timeout': "
                  "'10s'}, 'callback_url': 'https://h/c', 'paths': {'status': "
                  "'/s/{invocationId}?a={actionId}'}, 'retry': {'max': 0, 'give_up_after': '1h'}},"
                  "'e': {" EXECUTE ", 'content_types': ['text/csv'], 'max_bytes': '1KiB', "
                  "'file_dir': '/f', 'storage': {'dir': 's', 'include_data': true}},"
                  "'p': {" PUBLISH ", 'environments': ['sandbox'], 'allowed_versions': "
                  "{'lodash': '^4.0.0'}, 'blocked_packages': ['debug'], 'webhook_url': "
                  "'http://127.0.0.1:1/', 'allow_private': true, 'notify_secret': 'k'},"
                  "'c': {'kind': 'configure', 'api': 'y', 'action_id': 'c'}}"));
    const struct config_action *a = c->jobs.actions;
    assert_int_equal(c->jobs.n_actions, 4);
    assert_true(a[0].limits_inputs);
    assert_string_equal(a[0].allowed_inputs.items[0], "k");
    assert_true(a[0].poll_interval_us == SECOND && a[0].poll_timeout_us == 10 * SECOND);
    assert_string_equal(a[0].callback_url, "https://h/c");
    assert_string_equal(a[0].paths.items[0].name, "status");
    assert_int_equal(a[0].retry_max, 0);
    assert_true(a[0].give_up_after_us == 3600 * SECOND);
    assert_string_equal(a[1].content_types.items[0], "text/csv");
    assert_true(a[1].max_bytes == 1024);
    assert_string_equal(a[1].file_dir, "/f");
    assert_string_equal(strrchr(a[1].storage_dir, '/'), "/s");
    assert_true(a[1].storage_include_data);
    assert_int_equal(a[2].environments.count, 1);
    assert_string_equal(a[2].allowed_versions.items[0].value, "^4.0.0");
    assert_string_equal(a[2].blocked_packages.items[0], "debug");
    assert_string_equal(a[2].webhook_url, "http://127.0.0.1:1/");
    assert_string_equal(a[2].notify_secret, "k");
    assert_int_equal(a[3].kind, ACTION_CONFIGURE);
    assert_int_equal(a[3].api, 1);
}

static void no_allowed_inputs_differ_from_any(void **state)
{
    const struct config_action *a =
        load_good(*state, JOBS(APIS ", 'actions': {'a': {" INVOKE ", 'allowed_inputs': []}, "
                                    "'b': {" INVOKE ", 'allowed_inputs': null}}"))
            ->jobs.actions;
    assert_true(a[0].limits_inputs);
    assert_int_equal(a[0].allowed_inputs.count, 0);
    assert_false(a[1].limits_inputs);
}

static void queue_entries_are_kept_as_json(void **state)
{
    setenv("CXT_VALUE", "a\"b\n", 1);
    const struct config_jobs *jobs =
        &load_good(*state, JOBS("'queue': [\n{'id': 'one', /* c */ 'action': 'a', 'x': "
                                "[1.50, true, false, null, '${CXT_VALUE}', {}], 'k\\u0022': {'y': "
                                "-1e3}},\n{'id': '2'}]"))
             ->jobs;
    assert_int_equal(jobs->n_queue, 2);
    assert_string_equal(jobs->queue[0].text,
                        "{\"id\":\"one\",\"action\":\"a\",\"x\":[1.50,true,false,null,"
                        "\"a\\\"b\\n\",{}],\"k\\\"\":{\"y\":-1e3}}");
    assert_int_equal(jobs->queue[0].line, 2);
    assert_int_equal(jobs->queue[1].line, 3);
}

static void nothing_of_it_needs_a_restart(void **state)
{
    struct fixture *f = *state;
    struct buf names = {0};
    load_good(f, JOBS(APIS));
    struct config *old = f->config;
    f->config = NULL;
    config_restart_needed(old, load_good(f, JOBS("'concurrency': 1, 'drop_dir': '/d'")), &names);
    assert_int_equal(names.len, 0);
    config_free(&old);
}

// --- faults --------------------------------------------------------------------------------------

// What is tested stands in line 2.
#define SECTION(more) "{" REST ", 'jobs': {\n" more "}}"
#define API(more) SECTION("'apis': {'x': {" more "}}")
#define HOST "'base_url': 'https://h'"
#define ACTION(more) "{" REST ", 'jobs': {" APIS ", 'actions': {\n'a': {" more "}}}}"

static const struct fault_case {
    const char *text;
    const char *pointer;
    const char *fragment;
} cases[] = {
    {SECTION("'concurrency': 0"), "/jobs/concurrency", "from 1 to 256"},
    {SECTION("'concurrency': 257"), "/jobs/concurrency", "from 1 to 256"},
    {SECTION("'retention': '1s'"), "/jobs/retention", "must be from 1m to 3650d"},
    {SECTION("'drop_dir': ''"), "/jobs/drop_dir", "this path is empty"},
    {SECTION("'apis': []"), "/jobs/apis", "expected an object, not an array"},
    {SECTION("'queue': {}"), "/jobs/queue", "expected an array of jobs, not an object"},
    {SECTION("'queue': [5]"), "/jobs/queue/0", "expected an object, not a number"},
    {SECTION("'queue': [{'action': 'a'}]"), "/jobs/queue/0/id", "every start would queue"},
    {SECTION("'queue': [{'id': 'a', 'x': [{'y': '${CXT_UNSET}'}]}]"), "/jobs/queue/0/x/0/y",
     "CXT_UNSET is not set"},

    // APIs
    {API(""), "/jobs/apis/x/base_url", "is missing; add it, for example"},
    {API("'base_url': 'http://h'"), "/jobs/apis/x/base_url", "unencrypted; write https"},
    {API("'base_url': 'http://127.0.0.1.example'"), "/jobs/apis/x/base_url", "unencrypted"},
    {API("'base_url': 'ftp://h'"), "/jobs/apis/x/base_url", "(schemes: https http;"},
    {API("'base_url': 'https://h/?a=b'"), "/jobs/apis/x/base_url", "has a query"},
    {API(HOST ", 'auth': 'tik'"), "/jobs/apis/x/auth", "did you mean \"tok\"?"},
    {API(HOST ", 'max_connections': 0"), "/jobs/apis/x/max_connections", "from 1 to 256"},
    {API(HOST ", 'rate_limit': 1000"), "/jobs/apis/x/rate_limit", "expected a rate"},
    {API(HOST ", 'rate_limit': '0/s'"), "/jobs/apis/x/rate_limit", "\"0/s\" is not a rate"},
    {API(HOST ", 'rate_limit': '1000001/s'"), "/jobs/apis/x/rate_limit", "is not a rate"},
    {API(HOST ", 'rate_limit': '99999999999999999999/s'"), "/jobs/apis/x/rate_limit",
     "is not a rate"},
    {API(HOST ", 'rate_limit': '/s'"), "/jobs/apis/x/rate_limit", "is not a rate"},
    {API(HOST ", 'rate_limit': '10'"), "/jobs/apis/x/rate_limit", "is not a rate"},
    {API(HOST ", 'rate_limit': '10/m'"), "/jobs/apis/x/rate_limit", "\"1000/min\""},
    {API(HOST ", 'rate_limit': '${CXT_UNSET}'"), "/jobs/apis/x/rate_limit", "CXT_UNSET"},
    {API(HOST ", 'breaker': {'failures': 0}"), "/jobs/apis/x/breaker/failures", "from 1 to"},
    {API(HOST ", 'headers': {'authorization': 'x'}"), "/jobs/apis/x/headers/authorization",
     "cxsink itself sends this header"},
    {API(HOST ", 'tls': {'key_file': 'k'}"), "/jobs/apis/x/tls", "go together"},

    // every action
    {ACTION("'api': 'x', 'action_id': 'c'"), "/jobs/actions/a/kind", "is missing; add it"},
    {ACTION("'kind': 'run', 'api': 'x', 'action_id': 'c'"), "/jobs/actions/a/kind",
     "choose one of \"invoke\", \"execute\", \"publish\", \"configure\""},
    {ACTION("'kind': 'configure', 'action_id': 'c'"), "/jobs/actions/a/api", "is missing"},
    {ACTION("'kind': 'configure', 'api': 'z', 'action_id': 'c'"), "/jobs/actions/a/api",
     "there is no \"z\" under \"jobs.apis\"; known here: x, y"},
    {ACTION("'kind': 'configure', 'api': 'x'"), "/jobs/actions/a/action_id", "is missing"},
    {ACTION("'kind': 'configure', 'api': 'x', 'action_id': ''"), "/jobs/actions/a/action_id",
     "names nothing"},
    {ACTION("'kind': 'execute', 'api': 'x', 'action_id': '..'"), "/jobs/actions/a/action_id",
     "names nothing"},
    {ACTION("'kind': 'invoke', 'api': 'x', 'action_id': 'c'"), "/jobs/actions/a/action_id",
     "is not a UUID"},
    {ACTION("'kind': 'publish', 'api': 'x', 'action_id': 'c'"), "/jobs/actions/a/action_id",
     "is not a UUID"},
    {ACTION(CONFIGURE ", 'paths': {'updat': '/u'}"), "/jobs/actions/a/paths/updat",
     "no such path; did you mean \"update\"?"},
    {ACTION(CONFIGURE ", 'paths': {'update': 'u'}"), "/jobs/actions/a/paths/update",
     "begins with \"/\""},
    {ACTION(CONFIGURE ", 'paths': {'update': '/u v'}"), "/jobs/actions/a/paths/update", "no blank"},
    {ACTION(CONFIGURE ", 'paths': {'read': '/{versionId}'}"), "/jobs/actions/a/paths/read",
     "\"{versionId}\" stands for nothing here; possible is {actionId}"},
    {ACTION(INVOKE ", 'paths': {'status': '/s'}"), "/jobs/actions/a/paths/status",
     "has no {invocationId}"},
    {ACTION(INVOKE ", 'paths': {'invoke': '/s/{actionId'}"), "/jobs/actions/a/paths/invoke",
     "stands for nothing"},
    {ACTION(CONFIGURE ", 'retry': {'max': -1}"), "/jobs/actions/a/retry/max", "from 0 to 1000"},
    {ACTION(CONFIGURE ", 'retry': {'give_up_after': '0s'}"), "/jobs/actions/a/retry/give_up_after",
     "from 1s to"},
    {ACTION(CONFIGURE ", 'notify_url': 'http://127.0.0.1/'"), "/jobs/actions/a/notify_url",
     "with \"allow_private\": true"},
    {ACTION(CONFIGURE ", 'notify_url': 'http://h/', 'allow_private': true"),
     "/jobs/actions/a/notify_url", "goes unencrypted"},
    {ACTION(CONFIGURE ", 'notify_secret': 'k'"), "/jobs/actions/a/notify_secret",
     "no \"notify_url\""},
    {ACTION(CONFIGURE ", 'allow_private': 'yes'"), "/jobs/actions/a/allow_private",
     "expected true or false, not a string"},

    // of another kind
    {ACTION(CONFIGURE ", 'allowed_inputs': []"), "/jobs/actions/a/allowed_inputs",
     "is a setting of kind \"invoke\", and this action is of kind \"configure\"; remove it"},
    {ACTION(EXECUTE ", 'callback_url': 'https://h/'"), "/jobs/actions/a/callback_url",
     "of kind \"invoke\""},
    {ACTION(EXECUTE ", 'poll': {}"), "/jobs/actions/a/poll", "of kind \"invoke\""},
    {ACTION(EXECUTE ", 'max_payload': '1MiB'"), "/jobs/actions/a/max_payload", "of kind"},
    {ACTION(INVOKE ", 'content_types': ['a']"), "/jobs/actions/a/content_types", "\"execute\""},
    {ACTION(INVOKE ", 'max_bytes': '1MiB'"), "/jobs/actions/a/max_bytes", "\"execute\""},
    {ACTION(INVOKE ", 'file_dir': '/f'"), "/jobs/actions/a/file_dir", "\"execute\""},
    {ACTION(PUBLISH ", 'storage': {'dir': 'd'}"), "/jobs/actions/a/storage", "\"execute\""},
    {ACTION(INVOKE ", 'environments': ['sandbox']"), "/jobs/actions/a/environments", "\"publish\""},
    {ACTION(INVOKE ", 'allowed_versions': {}"), "/jobs/actions/a/allowed_versions", "\"publish\""},
    {ACTION(INVOKE ", 'blocked_packages': []"), "/jobs/actions/a/blocked_packages", "\"publish\""},
    {ACTION(INVOKE ", 'webhook_url': 'https://h/'"), "/jobs/actions/a/webhook_url", "\"publish\""},

    // of its own kind
    {ACTION(INVOKE ", 'allowed_inputs': 'a'"), "/jobs/actions/a/allowed_inputs",
     "expected an array of strings, not a string"},
    {ACTION(INVOKE ", 'allowed_inputs': ['a', 5]"), "/jobs/actions/a/allowed_inputs/1",
     "expected a string, not a number"},
    {ACTION(INVOKE ", 'allowed_inputs': ['']"), "/jobs/actions/a/allowed_inputs/0", "is empty"},
    {ACTION(INVOKE ", 'callback_url': 'http://127.0.0.1/'"), "/jobs/actions/a/callback_url",
     "(schemes: https;"},
    {ACTION(INVOKE ", 'max_payload': '17MiB'"), "/jobs/actions/a/max_payload", "to 16MiB"},
    {ACTION(EXECUTE ", 'content_types': []"), "/jobs/actions/a/content_types",
     "so that no job could run"},
    {ACTION(EXECUTE ", 'storage': {}"), "/jobs/actions/a/storage", "names no place"},
    {ACTION(EXECUTE ", 'storage': {'dir': 'd', 'url': 'https://h/'}"),
     "/jobs/actions/a/storage/url", "there is \"dir\" already"},
    {ACTION(EXECUTE ", 'storage': {'url': 'http://h/'}"), "/jobs/actions/a/storage/url",
     "goes unencrypted"},
    {ACTION(PUBLISH ", 'environments': []"), "/jobs/actions/a/environments", "is empty"},
    {ACTION(PUBLISH ", 'environments': ['staging']"), "/jobs/actions/a/environments",
     "\"staging\" is no environment"},
    {ACTION(PUBLISH ", 'allowed_versions': {'a': 1}"), "/jobs/actions/a/allowed_versions/a",
     "expected a string, not a number"},
    {ACTION(PUBLISH ", 'webhook_url': 'http://h/'"), "/jobs/actions/a/webhook_url",
     "goes unencrypted"},
};

static void each_fault(void **state)
{
    struct fixture *f = *state;
    unsetenv("CXT_UNSET");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        load_text(f, cases[i].text);
        if (f->faults.count != 1 || strcmp(f->faults.items[0].pointer, cases[i].pointer) != 0 ||
            strstr(f->faults.items[0].message, cases[i].fragment) == NULL) {
            print_faults(&f->faults);
            fail_msg("case %zu: %s %s", i, cases[i].pointer, cases[i].fragment);
        }
        assert_int_equal(f->faults.items[0].line, 2);
    }
}

static void all_faults_at_once(void **state)
{
    struct fixture *f = *state;
    load_text(f, SECTION("'concurrency': 0, 'apis': {'x': {'base_url': 'http://h'}}, 'actions': "
                         "{'a': {" INVOKE ", 'storage': {}, 'paths': {'x': '/'}}}, 'queue': [1]"));
    assert_int_equal(f->faults.count, 5);
}

#define with_files(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_files(nothing_without_the_section),
        with_files(defaults_of_the_section),
        with_files(defaults_of_an_api),
        with_files(values_of_an_api),
        with_files(rates),
        with_files(defaults_of_an_action),
        with_files(values_of_an_action),
        with_files(no_allowed_inputs_differ_from_any),
        with_files(queue_entries_are_kept_as_json),
        with_files(nothing_of_it_needs_a_restart),
        with_files(each_fault),
        with_files(all_faults_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
