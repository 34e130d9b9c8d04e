// SPDX-License-Identifier: Apache-2.0
// What a reload takes for changed: each setting of a credential and of a stream, one by one. A
// setting that the table has and no case here knows fails the test, so that a new one cannot be
// forgotten in the comparison.
#include "config_support.h"

#include "config/equal.h"
#include "config/settings_priv.h"

// A setting, and members that give it other values than `base_members` or the default do. Members
// that name one of the base replace it.
struct change {
    const char *path;
    const char *members[4];
};

struct subject {
    const char *prefix;  // of the paths
    const char *base[8]; // members that every configuration has
    const struct change *changes;
    size_t n_changes;
    bool (*equal)(const struct config *a, const struct config *b);
};

static bool named_alike(const char *a, const char *b)
{
    size_t n = strcspn(a, ":");
    return strncmp(a, b, n + 1) == 0;
}

// "member, member": the base, with `extra` (NULL: nothing) added or in its place.
static char *members(const struct subject *subject, const char *extra)
{
    struct buf text = {0};
    for (size_t i = 0; subject->base[i] != NULL; i++) {
        if (extra == NULL || !named_alike(extra, subject->base[i]))
            buf_printf(&text, "%s%s", text.len > 0 ? ", " : "", subject->base[i]);
    }
    if (extra != NULL)
        buf_printf(&text, "%s%s", text.len > 0 ? ", " : "", extra);
    char *copy = mem_strdup(buf_text(&text));
    buf_deinit(&text);
    return copy;
}

// The configuration with these members in the credential and the stream that are compared.
static struct config *load_with(struct fixture *f, const struct subject *subject, const char *extra)
{
    bool auth = strcmp(subject->prefix, "auth.*.") == 0;
    char *own = members(subject, extra);
    char *text = mem_printf("{'auth': {'a': {%s}, 'other': {'grant': 'static', 'token': 't'}},"
                            " 'streams': {'s': {%s}},"
                            " 'tables': {'t': {'columns': {'id': '/id'}, 'key': ['id']},"
                            "            'u': {'columns': {'id': '/id'}, 'key': ['id']}}}",
                            auth ? own : "'grant': 'static', 'token': 't'",
                            auth ? "'url': 'ws://host/', 'table': 't'" : own);
    load_good(f, text);
    struct config *config = f->config;
    f->config = NULL;
    free(text);
    free(own);
    return config;
}

static void compare(struct fixture *f, const struct subject *subject, const char *one,
                    const char *two, bool equal)
{
    struct config *a = load_with(f, subject, one);
    struct config *b = load_with(f, subject, two);
    if (subject->equal(a, b) != equal || subject->equal(b, a) != equal)
        fail_msg("%s and %s should be %s", one != NULL ? one : "the base",
                 two != NULL ? two : "the base", equal ? "equal" : "unequal");
    config_free(&a);
    config_free(&b);
}

// Each value differs from the base and from the other values, and equals itself.
static void check_change(struct fixture *f, const struct subject *subject,
                         const struct change *change)
{
    for (size_t i = 0; change->members[i] != NULL; i++) {
        compare(f, subject, NULL, change->members[i], false);
        compare(f, subject, change->members[i], change->members[i], true);
        for (size_t j = 0; j < i; j++)
            compare(f, subject, change->members[j], change->members[i], false);
    }
}

static void check_subject(struct fixture *f, const struct subject *subject)
{
    compare(f, subject, NULL, NULL, true);
    for (size_t i = 0; i < subject->n_changes; i++)
        check_change(f, subject, &subject->changes[i]);
}

// Every setting of the table below the prefix has its case.
static void check_complete(const struct subject *subject)
{
    size_t n = strlen(subject->prefix);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings_table[i];
        bool known = s->type == SETTING_OBJECT || strncmp(s->path, subject->prefix, n) != 0;
        for (size_t j = 0; j < subject->n_changes && !known; j++)
            known = strcmp(subject->changes[j].path, s->path) == 0;
        if (!known)
            fail_msg("%s has no case here; is it compared in config/equal.c?", s->path);
    }
}

// --- credentials ---

static const struct change auth_changes[] = {
    {"auth.*.grant", {"'grant': 'client_credentials'", "'grant': 'static'"}},
    {"auth.*.token_url", {"'token_url': 'https://other/'", "'token_url': 'https://host/t?x=1'"}},
    {"auth.*.client_auth", {"'client_auth': 'basic'", "'client_auth': 'none'"}},
    {"auth.*.params_in", {"'params_in': 'json'"}},
    {"auth.*.client_id", {"'client_id': 'id2'", "'client_id': null"}},
    {"auth.*.client_secret", {"'client_secret': 'secret2'", "'client_secret': null"}},
    {"auth.*.username", {"'username': 'user2'"}},
    {"auth.*.password", {"'password': 'word2'"}},
    {"auth.*.token", {"'token': 'token2'", "'token': null"}},
    {"auth.*.scope", {"'scope': 'a'", "'scope': 'a b'"}},
    {"auth.*.params",
     {"'params': {'a': 'b'}", "'params': {'a': 'c'}", "'params': {'a': 'b', 'd': 'e'}"}},
    {"auth.*.headers",
     {"'headers': {'A': 'b'}", "'headers': {'B': 'b'}", "'headers': {'A': 'b', 'B': 'b'}"}},
    {"auth.*.refresh_margin", {"'refresh_margin': '31s'"}},
    {"auth.*.default_expires_in", {"'default_expires_in': '61s'"}},
    {"auth.*.timeout", {"'timeout': '11s'"}},
    {"auth.*.tls.ca_file", {"'tls': {'ca_file': 'a'}", "'tls': {'ca_file': 'b'}"}},
    {"auth.*.tls.cert_file",
     {"'tls': {'cert_file': 'a', 'key_file': 'k'}", "'tls': {'cert_file': 'b', 'key_file': 'k'}"}},
    {"auth.*.tls.key_file",
     {"'tls': {'cert_file': 'a', 'key_file': 'k'}", "'tls': {'cert_file': 'a', 'key_file': 'l'}"}},
};

static bool auths_equal(const struct config *a, const struct config *b)
{
    return config_auth_equal(&a->auth[0], &b->auth[0]);
}

static const struct subject auths = {
    .prefix = "auth.*.",
    .base = {"'grant': 'password'", "'token_url': 'https://host/t'", "'client_id': 'id'",
             "'client_secret': 'secret'", "'username': 'user'", "'password': 'word'",
             "'token': 'token'"},
    .changes = auth_changes,
    .n_changes = sizeof(auth_changes) / sizeof(auth_changes[0]),
    .equal = auths_equal,
};

static void every_setting_of_a_credential(void **state)
{
    check_complete(&auths);
    check_subject(*state, &auths);
}

static void a_credential_of_another_name(void **state)
{
    struct fixture *f = *state;
    const struct config *config =
        load_good(f, "{'auth': {'a': {'grant': 'static', 'token': 't'}, 'b': {'grant': 'static',"
                     " 'token': 't'}}, 'streams': {'s': {'url': 'ws://host/', 'table': 't'}},"
                     " 'tables': {'t': {'columns': {'id': '/id'}, 'key': ['id']}}}");
    assert_false(config_auth_equal(&config->auth[0], &config->auth[1]));
    assert_true(config_auth_equal(&config->auth[0], &config->auth[0]));
}

// A secret is its value, wherever it comes from.
static void secrets_by_value(void **state)
{
    struct fixture *f = *state;
    char *path = write_beside(f, "secret", "secret\n");
    const char *from_file = "'client_secret': {'file': 'secret'}";
    compare(f, &auths, NULL, from_file, true);
    struct config *before = load_with(f, &auths, from_file);
    write_bytes(path, "other\n", 6);
    struct config *after = load_with(f, &auths, from_file);
    assert_false(auths_equal(before, after));
    config_free(&before);
    config_free(&after);
    unlink(path);
    free(path);
}

// --- streams ---

static const struct change stream_changes[] = {
    {"streams.*.url", {"'url': 'ws://host/b'", "'url': 'wss://host/a'"}},
    {"streams.*.headers",
     {"'headers': {'A': 'b'}", "'headers': {'A': 'c'}", "'headers': {'A': 'b', 'B': 'b'}"}},
    {"streams.*.max_message", {"'max_message': '2MiB'"}},
    {"streams.*.ping.interval", {"'ping': {'interval': '31s'}", "'ping': {'interval': '0s'}"}},
    {"streams.*.ping.timeout", {"'ping': {'timeout': '11s'}"}},
    {"streams.*.idle_timeout", {"'idle_timeout': '61s'"}},
    {"streams.*.reconnect.base", {"'reconnect': {'base': '2s'}"}},
    {"streams.*.reconnect.cap", {"'reconnect': {'cap': '31s'}"}},
    {"streams.*.reconnect.stable", {"'reconnect': {'stable': '61s'}"}},
    {"streams.*.connect_timeout", {"'connect_timeout': '21s'"}},
    {"streams.*.token_close_codes",
     {"'token_close_codes': []", "'token_close_codes': [1008]",
      "'token_close_codes': [1008, 4002]"}},
    {"streams.*.on_normal_close", {"'on_normal_close': 'stop'"}},
    {"streams.*.tls.ca_file", {"'tls': {'ca_file': 'a'}", "'tls': {'ca_file': 'b'}"}},
    {"streams.*.tls.cert_file",
     {"'tls': {'cert_file': 'a', 'key_file': 'k'}", "'tls': {'cert_file': 'b', 'key_file': 'k'}"}},
    {"streams.*.tls.key_file",
     {"'tls': {'cert_file': 'a', 'key_file': 'k'}", "'tls': {'cert_file': 'a', 'key_file': 'l'}"}},
    // Not of the connection: no other value is a change. The owner compares the credential.
    {"streams.*.reject_guard.share", {NULL}},
    {"streams.*.reject_guard.events", {NULL}},
    {"streams.*.auth", {NULL}},
    {"streams.*.schema", {NULL}},
    {"streams.*.schema_draft", {NULL}},
    {"streams.*.schema_strict", {NULL}},
    {"streams.*.formats", {NULL}},
    {"streams.*.table", {NULL}},
};

static bool streams_equal(const struct config *a, const struct config *b)
{
    return config_stream_equal(&a->streams[0], &b->streams[0]);
}

static const struct subject streams = {
    .prefix = "streams.*.",
    .base = {"'url': 'ws://host/a'", "'table': 't'", "'auth': 'a'"},
    .changes = stream_changes,
    .n_changes = sizeof(stream_changes) / sizeof(stream_changes[0]),
    .equal = streams_equal,
};

static void every_setting_of_a_stream(void **state)
{
    check_complete(&streams);
    check_subject(*state, &streams);
}

static void what_does_not_concern_the_connection(void **state)
{
    static const char *const same[] = {"'auth': 'other'",      "'auth': null",
                                       "'table': 'u'",         "'schema': 'other.json'",
                                       "'schema_draft': '7'",  "'schema_strict': 'off'",
                                       "'formats': 'annotate'"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        compare(*state, &streams, NULL, same[i], true);
}

static void a_stream_of_another_name(void **state)
{
    struct fixture *f = *state;
    const struct config *config = load_good(
        f, "{'streams': {'s': {'url': 'ws://host/', 'table': 't'}, 'r': {'url': 'ws://host/',"
           " 'table': 't'}}, 'tables': {'t': {'columns': {'id': '/id'}, 'key': ['id']}}}");
    assert_false(config_stream_equal(&config->streams[0], &config->streams[1]));
    assert_true(config_stream_equal(&config->streams[1], &config->streams[1]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_setting_of_a_credential),
        TEST(a_credential_of_another_name),
        TEST(secrets_by_value),
        TEST(every_setting_of_a_stream),
        TEST(what_does_not_concern_the_connection),
        TEST(a_stream_of_another_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
