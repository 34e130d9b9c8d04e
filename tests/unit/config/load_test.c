// SPDX-License-Identifier: Apache-2.0
// Configurations without faults: what their settings become, and what the defaults are.
#include "config_support.h"

#include <sys/stat.h>

#define SECOND INT64_C(1000000)

// The least that has no fault.
#define STREAMS "'streams': {'s': {'url': 'ws://h/x', 'table': 't'}}"
#define TABLES "'tables': {'t': {'columns': {'a': '/a', 'b': '/b', 'c': ''}, 'key': ['a']}}"
#define WITH(more) "{" STREAMS ", " TABLES ", " more "}"
#define LEAST "{" STREAMS ", " TABLES "}"

static void clear_environment(void)
{
    unsetenv("STATE_DIRECTORY");
    unsetenv("RUNTIME_DIRECTORY");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void defaults_at_the_top(void **state)
{
    clear_environment();
    const struct config *c = load_good(*state, LEAST);
    const struct fixture *f = *state;
    assert_string_equal(c->path, f->path);
    assert_string_equal(c->dir, f->dir);
    assert_string_equal(c->state_dir, "/var/lib/cxsink");
    assert_string_equal(c->runtime_dir, "/run/cxsink");
    assert_true(c->shutdown_timeout_us == 30 * SECOND);
    assert_int_equal(c->log_level, LOG_LEVEL_INFO);
    assert_int_equal(c->log_target, LOG_TARGET_AUTO);
    assert_int_equal(c->n_auth, 0);
    assert_int_equal(c->n_streams, 1);
    assert_int_equal(c->n_tables, 1);
    assert_int_equal(c->schemas.count, 0);
    assert_false(c->jobs.enabled);
    assert_string_equal(c->admin.listen, "127.0.0.1:9464");
    assert_string_equal(c->admin.host, "127.0.0.1");
    assert_int_equal(c->admin.port, 9464);
    assert_null(c->admin.token);
}

static void defaults_of_a_stream(void **state)
{
    const struct config_stream *s = load_good(*state, LEAST)->streams;
    assert_string_equal(s->name, "s");
    assert_string_equal(s->url, "ws://h/x");
    assert_true(s->auth == CONFIG_NONE);
    assert_int_equal(s->table, 0);
    assert_int_equal(s->headers.count, 1);
    assert_string_equal(s->headers.items[0].name, "Accept");
    assert_string_equal(s->headers.items[0].value, "application/json");
    assert_null(s->schema);
    assert_int_equal(s->schema_draft, DRAFT_2020_12);
    assert_int_equal(s->schema_strict, STRICT_TYPOS);
    assert_int_equal(s->formats, FORMATS_ASSERT);
    assert_int_equal(s->max_message, 1048576);
    assert_true(s->ping_interval_us == 30 * SECOND);
    assert_true(s->ping_timeout_us == 10 * SECOND);
    assert_true(s->idle_timeout_us == 0);
    assert_true(s->reconnect_base_us == SECOND);
    assert_true(s->reconnect_cap_us == 30 * SECOND);
    assert_true(s->reconnect_stable_us == 60 * SECOND);
    assert_true(s->connect_timeout_us == 20 * SECOND);
    assert_int_equal(s->n_token_close_codes, 2);
    assert_int_equal(s->token_close_codes[0], 1008);
    assert_int_equal(s->token_close_codes[1], 4001);
    assert_int_equal(s->on_normal_close, NORMAL_CLOSE_RECONNECT);
    assert_true(s->guard_share > 0.49 && s->guard_share < 0.51);
    assert_int_equal(s->guard_events, 1000);
    assert_null(s->tls.ca_file);
    assert_null(s->tls.cert_file);
    assert_null(s->tls.key_file);
}

static void defaults_of_a_table(void **state)
{
    const struct config_table *t = load_good(*state, LEAST)->tables;
    assert_string_equal(t->name, "t");
    assert_string_equal(t->table, "t");
    assert_null(t->schema);
    assert_int_equal(t->n_columns, 3);
    assert_string_equal(t->columns[2].name, "c");
    assert_string_equal(t->columns[2].pointer, "");
    assert_int_equal(t->n_key, 1);
    assert_int_equal(t->key[0], 0);
    assert_int_equal(t->n_update, 2); // everything but the key
    assert_int_equal(t->update[0], 1);
    assert_int_equal(t->update[1], 2);
    assert_true(t->newest_by == CONFIG_NONE);
    assert_null(t->touch);
}

static void defaults_of_spool_and_postgres(void **state)
{
    const struct config *c = load_good(*state, LEAST);
    assert_true(c->audit.max_bytes == 67108864);
    assert_int_equal(c->audit.keep, 16);
    assert_null(c->audit.key);
    assert_int_equal(c->spool.max_bytes, 1073741824);
    assert_int_equal(c->spool.segment_bytes, 67108864);
    assert_int_equal(c->spool.when_full, WHEN_FULL_BLOCK);
    assert_int_equal(c->spool.sync, SYNC_ALWAYS);
    assert_string_equal(c->postgres.dsn, "");
    assert_int_equal(c->postgres.connections, 2);
    assert_int_equal(c->postgres.batch_events, 2000);
    assert_int_equal(c->postgres.batch_bytes, 1048576);
    assert_true(c->postgres.linger_us == 10000);
    assert_true(c->postgres.connect_timeout_us == 5 * SECOND);
    assert_true(c->postgres.statement_timeout_us == 30 * SECOND);
    assert_true(c->postgres.retry_base_us == SECOND / 2);
    assert_true(c->postgres.retry_cap_us == 30 * SECOND);
    assert_int_equal(c->postgres.migrate, MIGRATE_AUTO);
}

static void defaults_of_a_credential(void **state)
{
    const struct config_auth *a =
        load_good(*state, WITH("'auth': {'x': {'client_id': 'i', 'client_secret': 's'}}"))->auth;
    assert_string_equal(a->name, "x");
    assert_int_equal(a->grant, GRANT_CLIENT_CREDENTIALS);
    assert_string_equal(a->token_url, "https://api.cxp.cxone.com/oauth/token");
    assert_int_equal(a->client_auth, CLIENT_AUTH_FORM);
    assert_int_equal(a->params_in, PARAMS_IN_FORM);
    assert_string_equal(a->scope, "data-actions:read");
    assert_int_equal(a->params.count, 0);
    assert_int_equal(a->headers.count, 0);
    assert_true(a->refresh_margin_us == 30 * SECOND);
    assert_true(a->default_expires_us == 3600 * SECOND);
    assert_true(a->timeout_us == 10 * SECOND);
    assert_null(a->username);
    assert_null(a->password);
    assert_null(a->token);
}

static void every_grant(void **state)
{
    const struct config *c = load_good(
        *state,
        WITH("'auth': {"
             "'cc': {'token_url': 'https://a.example/t', 'client_auth': 'none', 'scope': null},"
             "'pw': {'grant': 'password', 'token_url': 'https://[::1]:8443/t?x=1',"
             "       'client_auth': 'basic_raw', 'client_id': 'i', 'client_secret': '',"
             "       'username': 'u', 'password': 'p', 'params_in': 'query'},"
             "'ak': {'grant': 'access_key', 'token_url': 'http://127.0.0.1:1/t', 'username': 'u',"
             "       'password': 'p'},"
             "'st': {'grant': 'static', 'token': 'tok'}}"));
    assert_int_equal(c->n_auth, 4);
    assert_int_equal(c->auth[0].client_auth, CLIENT_AUTH_NONE);
    assert_null(c->auth[0].scope);
    assert_int_equal(c->auth[1].grant, GRANT_PASSWORD);
    assert_int_equal(c->auth[1].client_auth, CLIENT_AUTH_BASIC_RAW);
    assert_int_equal(c->auth[1].params_in, PARAMS_IN_QUERY);
    assert_null(c->auth[1].scope);
    assert_string_equal(c->auth[1].client_secret, "");
    assert_int_equal(c->auth[2].client_auth, CLIENT_AUTH_NONE);
    assert_int_equal(c->auth[2].params_in, PARAMS_IN_JSON);
    assert_string_equal(c->auth[3].token, "tok");
    assert_null(c->auth[3].token_url);
}

static void values_of_a_stream(void **state)
{
    const struct config *c = load_good(
        *state,
        "{'auth': {'one': {'grant': 'static', 'token': 'x'}, 'two': {'grant': 'static', 'token': "
        "'y'}},"
        "'streams': {'a.b_c-9': {'url': 'WSS://h.example:8443/x?y=1', 'auth': 'two', 'table': 'u',"
        "  'headers': {'X-A': '1', 'X-B': 'two words'}, 'schema': 'schemas/e.json',"
        "  'max_message': '100B', 'ping': {'interval': '0s', 'timeout': '500ms'},"
        "  'idle_timeout': '5m', 'reconnect': {'base': '250ms', 'cap': '250ms', 'stable': '0s'},"
        "  'connect_timeout': '1s', 'token_close_codes': [], 'on_normal_close': 'stop',"
        "  'reject_guard': null,"
        "  'tls': {'ca_file': '/abs/ca.pem', 'cert_file': 'c.pem', 'key_file': 'k.pem'}}},"
        "'tables': {'t': {'columns': {'a': '/a'}, 'key': ['a']},"
        "           'u': {'columns': {'a': '/a'}, 'key': ['a']}}}");
    const struct config_stream *s = c->streams;
    const struct fixture *f = *state;
    char *schema = mem_printf("%s/schemas/e.json", f->dir);
    assert_string_equal(s->name, "a.b_c-9");
    assert_int_equal(s->auth, 1);
    assert_int_equal(s->table, 1);
    assert_int_equal(s->headers.count, 2);
    assert_string_equal(s->headers.items[1].value, "two words");
    assert_string_equal(s->schema, schema);
    assert_int_equal(s->max_message, 100);
    assert_true(s->ping_interval_us == 0);
    assert_true(s->ping_timeout_us == SECOND / 2);
    assert_true(s->idle_timeout_us == 300 * SECOND);
    assert_true(s->reconnect_cap_us == SECOND / 4);
    assert_true(s->reconnect_stable_us == 0);
    assert_int_equal(s->n_token_close_codes, 0);
    assert_int_equal(s->on_normal_close, NORMAL_CLOSE_STOP);
    assert_int_equal(s->guard_events, 0);
    assert_string_equal(s->tls.ca_file, "/abs/ca.pem");
    assert_int_equal(strncmp(s->tls.key_file, f->dir, strlen(f->dir)), 0);
    assert_int_equal(c->tables[1].n_update, 0); // all columns in the key
    free(schema);
}

static void how_schemas_are_read(void **state)
{
    static const char *const drafts[] = {"2020-12", "2019-09", "7", "6", "4"};
    static const char *const stricts[] = {"typos", "all", "off"};
    static const char *const formats[] = {"assert", "annotate"};
    for (unsigned i = 0; i < 5; i++) {
        char *text = mem_printf("{" TABLES ", 'streams': {'s': {'url': 'ws://h', 'table': 't',"
                                " 'schema_draft': '%s', 'schema_strict': '%s', 'formats': '%s'}}}",
                                drafts[i], stricts[i % 3], formats[i % 2]);
        const struct config_stream *s = load_good(*state, text)->streams;
        assert_int_equal(s->schema_draft, DRAFT_2020_12 + i);
        assert_int_equal(s->schema_strict, STRICT_TYPOS + i % 3);
        assert_int_equal(s->formats, FORMATS_ASSERT + i % 2);
        free(text);
    }
}

static void schemas_by_their_uris(void **state)
{
    setenv("CXT_DIR", "/abs", 1);
    const struct config *c =
        load_good(*state, WITH("'schemas': {'https://example.com/a.json': 'schemas/a.json',"
                               " 'urn:b#': '/abs/b.json', 'tag:c': '${CXT_DIR}/c'}"));
    const struct fixture *f = *state;
    char *relative = mem_printf("%s/schemas/a.json", f->dir);
    assert_int_equal(c->schemas.count, 3);
    assert_string_equal(c->schemas.items[0].name, "https://example.com/a.json");
    assert_string_equal(c->schemas.items[0].value, relative);
    assert_string_equal(c->schemas.items[1].value, "/abs/b.json");
    assert_string_equal(c->schemas.items[2].value, "/abs/c");
    free(relative);
}

static void values_of_a_table(void **state)
{
    const struct config_table *t =
        load_good(*state, "{" STREAMS ", 'tables': {'my schema.events': {'columns': {"
                          "'a': '/a~1b/0', 'b': '/~0', 'ts': '/ts'}, 'key': ['b', 'a'], "
                          "'update': ['ts'], 'newest_by': 'ts', 'touch': 'updated_at'},"
                          "'t': {'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'update': []}}}")
            ->tables;
    assert_string_equal(t[0].name, "my schema.events");
    assert_string_equal(t[0].schema, "my schema");
    assert_string_equal(t[0].table, "events");
    assert_int_equal(t[0].key[0], 1);
    assert_int_equal(t[0].key[1], 0);
    assert_int_equal(t[0].n_update, 1);
    assert_int_equal(t[0].newest_by, 2);
    assert_string_equal(t[0].touch, "updated_at");
    assert_int_equal(t[1].n_update, 0);
}

static void values_of_the_rest(void **state)
{
    const struct config *c = load_good(
        *state, WITH("'state_dir': 'state', 'runtime_dir': '/r', 'shutdown_timeout': '0s',"
                     "'log': {'level': 'debug', 'target': 'json'},"
                     "'spool': {'max_bytes': '2MB', 'segment_bytes': '65536', 'when_full': "
                     "'drop_oldest', 'sync': 'interval:50ms'},"
                     "'audit': {'max_bytes': '1MiB', 'keep': 0, 'key': 'sixteen bytes...'},"
                     "'postgres': {'connections': 64, 'batch': {'events': 1, 'bytes': '1KiB', "
                     "'linger': '0s'}, 'migrate': 'off', 'retry': {'base': '1ms', 'cap': '1ms'}},"
                     "'jobs': {'concurrency': 8, 'apis': {}, 'actions': {}, 'queue': [], "
                     "'drop_dir': '/d'},"
                     "'admin': {'listen': '[::]:80', 'token': 'x'}, '$schema': 5"));
    const struct fixture *f = *state;
    assert_int_equal(strncmp(c->state_dir, f->dir, strlen(f->dir)), 0);
    assert_string_equal(c->runtime_dir, "/r");
    assert_true(c->shutdown_timeout_us == 0);
    assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->log_target, LOG_TARGET_JSON);
    assert_true(c->audit.max_bytes == 1048576);
    assert_int_equal(c->audit.keep, 0);
    assert_string_equal(c->audit.key, "sixteen bytes...");
    assert_int_equal(c->spool.max_bytes, 2000000);
    assert_int_equal(c->spool.segment_bytes, 65536);
    assert_int_equal(c->spool.when_full, WHEN_FULL_DROP_OLDEST);
    assert_int_equal(c->spool.sync, SYNC_INTERVAL);
    assert_true(c->spool.sync_interval_us == 50000);
    assert_int_equal(c->postgres.connections, 64);
    assert_true(c->postgres.linger_us == 0);
    assert_int_equal(c->postgres.migrate, MIGRATE_OFF);
    assert_true(c->jobs.enabled);
    assert_string_equal(c->admin.listen, "[::]:80");
    assert_string_equal(c->admin.host, "::");
    assert_string_equal(c->admin.token, "x");
}

static void the_admin_endpoint_can_be_off(void **state)
{
    static const char *const cases[] = {"null", "''", "'${CXT_NONE:-}'"};
    unsetenv("CXT_NONE");
    for (size_t i = 0; i < 3; i++) {
        char *text = mem_printf(WITH("'admin': {'listen': %s}"), cases[i]);
        const struct config *c = load_good(*state, text);
        assert_null(c->admin.listen);
        assert_null(c->admin.host);
        free(text);
    }
}

static void an_empty_admin_token_is_none(void **state)
{
    const struct config *c = load_good(*state, WITH("'admin': {'token': ''}"));
    assert_null(c->admin.token);
}

static void directories_come_from_systemd(void **state)
{
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    setenv("RUNTIME_DIRECTORY", "/run/one", 1);
    const struct config *c = load_good(*state, LEAST);
    assert_string_equal(c->state_dir, "/var/lib/one");
    assert_string_equal(c->runtime_dir, "/run/one");
    c = load_good(*state, WITH("'state_dir': '/elsewhere'"));
    assert_string_equal(c->state_dir, "/elsewhere");
    setenv("STATE_DIRECTORY", "", 1);
    c = load_good(*state, LEAST);
    assert_string_equal(c->state_dir, "/var/lib/cxsink");
    clear_environment();
}

static void secrets_come_from_everywhere(void **state)
{
    struct fixture *f = *state;
    char *beside = write_beside(f, "password", "from file\n");
    char *credential = write_beside(f, "token", "from credential\n");
    assert_int_equal(chmod(beside, 0644), 0); // readable by all is taken as well
    setenv("CREDENTIALS_DIRECTORY", f->dir, 1);
    setenv("CXT_ID", "from env", 1);
    setenv("CXT_NAME", "password", 1);
    const struct config *c = load_good(
        f, WITH("'auth': {'x': {'grant': 'password', 'token_url': 'https://h/', 'client_id': "
                "{'env': 'CXT_ID'}, 'client_secret': 'pre-${CXT_ID}', 'username': 'plain $', "
                "'password': {'file': '${CXT_NAME}'}}},"
                "'postgres': {'dsn': {'credential': 'token'}}"));
    assert_string_equal(c->auth->client_id, "from env");
    assert_string_equal(c->auth->client_secret, "pre-from env");
    assert_string_equal(c->auth->username, "plain $");
    assert_string_equal(c->auth->password, "from file");
    assert_string_equal(c->postgres.dsn, "from credential");
    unlink(beside);
    unlink(credential);
    free(beside);
    free(credential);
    clear_environment();
}

static void the_environment_reaches_every_string(void **state)
{
    setenv("CXT_TIME", "45s", 1);
    setenv("CXT_LEVEL", "warn", 1);
    setenv("CXT_TABLE", "t", 1);
    setenv("CXT_COLUMN", "b", 1);
    const struct config *c = load_good(
        *state, "{'shutdown_timeout': '${CXT_TIME}', 'log': {'level': '${CXT_LEVEL}'},"
                "'streams': {'s': {'url': 'ws://${CXT_HOST:-localhost}/', 'table': "
                "'${CXT_TABLE}', 'headers': {'X': '${CXT_TIME}'}}},"
                "'tables': {'t': {'columns': {'a': '/${CXT_COLUMN}', 'b': '/b'}, 'key': ['a'], "
                "'update': ['${CXT_COLUMN}'], 'newest_by': '${CXT_COLUMN}'}},"
                "'spool': {'max_bytes': '${CXT_SIZE:-1MiB}'}}");
    assert_true(c->shutdown_timeout_us == 45 * SECOND);
    assert_int_equal(c->log_level, LOG_LEVEL_WARN);
    assert_string_equal(c->streams->url, "ws://localhost/");
    assert_string_equal(c->streams->headers.items[0].value, "45s");
    assert_string_equal(c->tables->columns[0].pointer, "/b");
    assert_int_equal(c->tables->newest_by, 1);
    assert_int_equal(c->spool.max_bytes, 1048576);
}

static void a_relative_path_is_made_absolute(void **state)
{
    struct fixture *f = *state;
    struct config_faults faults;
    load_good(f, LEAST);
    char *before = get_current_dir_name();
    assert_int_equal(chdir(f->dir), 0);
    struct config *c = config_load("cxsink.json", &faults);
    assert_int_equal(chdir(before), 0);
    assert_non_null(c);
    assert_string_equal(c->path, f->path);
    assert_string_equal(c->dir, f->dir);
    config_free(&c);
    assert_null(c);
    config_free(&c); // harmless
    config_faults_free(&faults);
    free(before);
}

// --- secrets in memory ---------------------------------------------------------------------------

static char needle[] = "xj2-needle-secret"; // made at run time: see make_needle

// What is looked for must not be in memory for another reason.
static void make_needle(char *out)
{
    for (size_t i = 0; i < sizeof(needle) - 1; i++)
        out[i] = (char)(needle[i] ^ 1);
    out[sizeof(needle) - 1] = '\0';
}

// How often the needle stands in the process's heap; -1 where there is none to look at.
static int count_in_heap(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    char *start = NULL;
    char *end = NULL;
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (strstr(line, "[heap]") != NULL)
            assert_int_equal(sscanf(line, "%p-%p", (void **)&start, (void **)&end), 2);
    }
    if (maps != NULL)
        fclose(maps);
    int count = 0;
    size_t length = sizeof(needle) - 1;
    for (char *p = start; p != NULL && p + length <= end; p++) {
        size_t i = 0;
        while (i < length && p[i] == (char)(needle[i] ^ 1))
            i++;
        count += i == length;
    }
    return start == NULL ? -1 : count;
}

static void write_unbuffered(const char *path, const char *before, const char *after)
{
    char text[sizeof(needle)];
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    make_needle(text);
    fprintf(file, "%s%s%s", before, text, after);
    mem_wipe(text, sizeof(text));
    fclose(file);
}

static void secrets_are_wiped(void **state)
{
    struct fixture *f = *state;
    char *beside = mem_printf("%s/secret", f->dir);
    write_unbuffered(beside, "", "\n");
    write_unbuffered(f->path,
                     "{\"streams\":{\"s\":{\"url\":\"ws://h\",\"table\":\"t\",\"headers\":{"
                     "\"X\":\"a${CXT_NONE:-}",
                     "\"}}},\"tables\":{\"t\":{\"columns\":{\"a\":\"/a\"},\"key\":[\"a\"]}},"
                     "\"postgres\":{\"dsn\":{\"file\":\"secret\"}}}");
    f->config = config_load(f->path, &f->faults);
    print_faults(&f->faults);
    assert_non_null(f->config);
    int before = count_in_heap();
    assert_true(before == 2 || before <= 0); // the header and the DSN; none to see with sanitizers
    config_free(&f->config);
    assert_true(count_in_heap() <= 0);
    unlink(beside);
    free(beside);
}

// --- reload --------------------------------------------------------------------------------------

static struct config *load_again(struct fixture *f, const char *text)
{
    load_good(f, text);
    struct config *config = f->config;
    f->config = NULL;
    return config;
}

static void expect_restart(struct fixture *f, const char *before, const char *after,
                           const char *expected)
{
    struct buf names = {0};
    struct config *old = load_again(f, before);
    struct config *new = load_again(f, after);
    config_restart_needed(old, new, &names);
    assert_string_equal(buf_text(&names), expected);
    buf_deinit(&names);
    config_free(&old);
    config_free(&new);
}

static void names_what_needs_a_restart(void **state)
{
    expect_restart(*state, LEAST, LEAST, "");
    expect_restart(*state, LEAST,
                   WITH("'log': {'level': 'debug'}, 'postgres': {'connections': 5}, 'spool': "
                        "{'max_bytes': '1MiB'}"),
                   "");
    expect_restart(*state, LEAST, WITH("'state_dir': '/x'"), "/state_dir");
    expect_restart(*state, WITH("'admin': {'token': 'a'}"),
                   WITH("'runtime_dir': '/x', 'admin': {'listen': null, 'token': 'b'}"),
                   "/runtime_dir, /admin/listen, /admin/token");
}

// What only the service has (secrets) does not keep other commands from finding the daemon.
static void directories_are_known_without_the_secrets(void **state)
{
    struct fixture *f = *state;
    char *state_dir = NULL, *runtime_dir = NULL;
    clear_environment();
    char *text = quoted(WITH("'state_dir': '/s', 'runtime_dir': '/r', "
                             "'postgres': {'dsn': {'env': 'NOT_SET_ANYWHERE'}}"));
    write_bytes(f->path, text, strlen(text));
    free(text);
    assert_null(config_load(f->path, &f->faults));
    config_faults_free(&f->faults);
    assert_true(config_load_dirs(f->path, &state_dir, &runtime_dir, &f->faults));
    assert_int_equal(f->faults.count, 0);
    assert_string_equal(state_dir, "/s");
    assert_string_equal(runtime_dir, "/r");
    free(state_dir);
    free(runtime_dir);
}

static void directories_of_what_is_no_configuration(void **state)
{
    struct fixture *f = *state;
    char *state_dir = NULL, *runtime_dir = NULL;
    write_bytes(f->path, "{", 1);
    assert_false(config_load_dirs(f->path, &state_dir, &runtime_dir, &f->faults));
    assert_true(f->faults.count > 0);
    assert_null(state_dir);
    assert_null(runtime_dir);
}

static void expect_names(struct fixture *f, const char *section, const char *names)
{
    struct buf found = {0};
    assert_true(config_list_names(f->path, section, &found, &f->faults));
    assert_int_equal(f->faults.count, 0);
    assert_string_equal(buf_text(&found), names);
    buf_deinit(&found);
}

// Of a configuration that could not be loaded, too.
static void names_of_a_section(void **state)
{
    struct fixture *f = *state;
    struct buf found = {0};
    char *text = quoted("{'streams': {'b': {'url': {'env': 'NOT_SET'}}, 'a': 1}, 'tables': [2], "
                        "'jobs': {'actions': {'x': {}}}, 'auth': 'none'}");
    write_bytes(f->path, text, strlen(text));
    free(text);
    expect_names(f, "streams", "b\na\n");
    expect_names(f, "jobs.actions", "x\n");
    expect_names(f, "jobs.apis", "");
    expect_names(f, "tables", "");
    expect_names(f, "auth", "");
    write_bytes(f->path, "{", 1);
    assert_false(config_list_names(f->path, "streams", &found, &f->faults));
    assert_int_equal(f->faults.count, 1);
    assert_int_equal(found.len, 0);
}

// Whatever else is faulty, but not for what is asked for.
static void the_audit_log_of_a_faulty_configuration(void **state)
{
    struct fixture *f = *state;
    unsetenv("CXT_NONE");
    char *text = quoted("{'state_dir': '/s', 'postgres': {'dsn': {'env': 'CXT_NONE'}},"
                        " 'audit': {'key': 'sixteen bytes...'}, 'typo': 1}");
    write_bytes(f->path, text, strlen(text));
    free(text);
    struct config *config = config_load_audit(f->path, &f->faults);
    assert_non_null(config);
    assert_int_equal(f->faults.count, 0);
    assert_string_equal(config->state_dir, "/s");
    assert_string_equal(config->audit.key, "sixteen bytes...");
    config_free(&config);
    text = quoted("{'state_dir': '/s', 'audit': {'key': {'env': 'CXT_NONE'}}}");
    write_bytes(f->path, text, strlen(text));
    free(text);
    assert_null(config_load_audit(f->path, &f->faults));
    assert_true(f->faults.count > 0);
}

static void faults_that_are_found_later_get_their_lines(void **state)
{
    struct fixture *f = *state;
    char *text = quoted("{\n'a': [\n1,\n{'b': 1}\n],\n'x/y~z':\n{'b':\n{\n}}}\n");
    write_bytes(f->path, text, strlen(text));
    free(text);
    static const struct {
        const char *pointer;
        unsigned line;
    } cases[] = {{"", 1},
                 {"/a", 2},
                 {"/a/0", 3},
                 {"/a/1", 4},
                 {"/a/1/b", 4},
                 {"/a/1/c", 4},
                 {"/a/2", 2},
                 {"/x~1y~0z", 6},
                 {"/x~1y~0z/b", 7},
                 {"/x~1y~0z/b/c", 7},
                 {"/nothing/at/all", 1},
                 {"/aa", 1}};
    enum { N = sizeof(cases) / sizeof(cases[0]) };
    for (size_t i = 0; i < N; i++) {
        config_faults_add(&f->faults, 0, cases[i].pointer, "late");
        config_faults_locate(f->path, &f->faults);
        assert_int_equal(f->faults.items[0].line, cases[i].line);
        config_faults_free(&f->faults);
    }
    // Those that have a line keep it, and all are in the order of lines.
    config_faults_add(&f->faults, 0, "/x~1y~0z", "late");
    config_faults_add(&f->faults, 5, "/a", "early");
    config_faults_locate(f->path, &f->faults);
    assert_int_equal(f->faults.items[0].line, 5);
    assert_int_equal(f->faults.items[1].line, 6);
    // A file that is gone, or faulty by now, tells no lines.
    config_faults_add(&f->faults, 0, "/a", "later");
    write_bytes(f->path, "{", 1);
    config_faults_locate(f->path, &f->faults);
    assert_int_equal(f->faults.count, 3);
    assert_int_equal(f->faults.items[2].line, 0);
}

#define with_files(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_files(defaults_at_the_top),
        with_files(defaults_of_a_stream),
        with_files(defaults_of_a_table),
        with_files(defaults_of_spool_and_postgres),
        with_files(defaults_of_a_credential),
        with_files(every_grant),
        with_files(values_of_a_stream),
        with_files(how_schemas_are_read),
        with_files(schemas_by_their_uris),
        with_files(values_of_a_table),
        with_files(values_of_the_rest),
        with_files(the_admin_endpoint_can_be_off),
        with_files(an_empty_admin_token_is_none),
        with_files(directories_come_from_systemd),
        with_files(secrets_come_from_everywhere),
        with_files(the_environment_reaches_every_string),
        with_files(a_relative_path_is_made_absolute),
        with_files(secrets_are_wiped),
        with_files(directories_are_known_without_the_secrets),
        with_files(directories_of_what_is_no_configuration),
        with_files(names_of_a_section),
        with_files(the_audit_log_of_a_faulty_configuration),
        with_files(faults_that_are_found_later_get_their_lines),
        with_files(names_what_needs_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
