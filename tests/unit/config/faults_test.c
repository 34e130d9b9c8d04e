// SPDX-License-Identifier: Apache-2.0
// Every fault a configuration can have: exactly one fault each, with line, pointer and remedy; and
// all of them at once.
#include "config_support.h"

#include "config/faults_priv.h"

#define STREAMS "'streams': {'s': {'url': 'ws://h/x', 'table': 't'}}"
#define TABLES "'tables': {'t': {'columns': {'a': '/a', 'b': '/b'}, 'key': ['a']}}"
// What is tested stands in line 2.
#define WITH(more) "{" STREAMS ", " TABLES ",\n" more "}"
#define STREAM(more) "{" TABLES ", 'streams': {'s': {'url': 'ws://h/x', 'table': 't',\n" more "}}}"
#define TABLE(more) "{" STREAMS ", 'tables': {'t': {\n" more "}}}"
#define AUTH(more) WITH("'auth': {'x': {" more "}}")
#define CLIENT "'client_id': 'i', 'client_secret': 's'"

struct fault_case {
    const char *text;
    const char *pointer;
    const char *fragment;
};

static const struct fault_case cases[] = {
    // the top
    {"{" TABLES ",\n'streams': {}}", "/streams", "no stream is configured, nor jobs; add a stream"},
    {WITH("'streems': {}"), "/streems", "unknown key \"streems\"; did you mean \"streams\"?"},
    {WITH("'zzzzzzzzzz': 1"), "/zzzzzzzzzz", "known here: $schema, state_dir"},
    {WITH("'a/b~': 1"), "/a~1b~0", "unknown key \"a/b~\""},
    {WITH("'log': 5"), "/log", "expected an object, not a number"},
    {WITH("'log': null"), "/log", "expected an object, not null"},
    {WITH("'log': {'levle': 'info'}"), "/log/levle", "did you mean \"level\"?"},
    {WITH("'log': {'level': 'loud'}"), "/log/level",
     "\"loud\" is not possible here; choose one of \"error\", \"warn\", \"info\", \"debug\""},
    {WITH("'log': {'level': 1}"), "/log/level", "expected a string, not a number"},
    {WITH("'log': {'level': 'info', 'level': 'info'}"), "/log/level", "there twice"},
    {WITH("'jobs': {'quue': []}"), "/jobs/quue", "did you mean \"queue\"?"},
    {WITH("'jobs': []"), "/jobs", "expected an object, not an array"},
    {WITH("'jobs': {'queue': [{'id': 'a', 'action': 1, 'action': 2}]}"), "/jobs/queue/0/action",
     "there twice"},
    {WITH("'schemas': ['a.json']"), "/schemas", "expected an object of URIs and paths"},
    {WITH("'schemas': {'http://h/a': 5}"), "/schemas/http:~1~1h~1a", "expected a string"},
    {WITH("'schemas': {'a.json': 'a.json'}"), "/schemas/a.json", "not an absolute URI"},
    {WITH("'schemas': {'': 'a.json'}"), "/schemas/", "not an absolute URI"},
    {WITH("'schemas': {'9p:a': 'a.json'}"), "/schemas/9p:a", "not an absolute URI"},
    {WITH("'schemas': {'http://h/ a': 'a'}"), "/schemas/http:~1~1h~1 a", "percent-encode"},
    {WITH("'schemas': {'http://h/#a': 'a'}"), "/schemas/http:~1~1h~1#a", "has a fragment"},
    {WITH("'schemas': {'urn:a': ''}"), "/schemas/urn:a", "this path is empty"},
    {WITH("'schemas': {'urn:a': '${CXT_UNSET}'}"), "/schemas/urn:a", "CXT_UNSET is not set"},
    {WITH("'state_dir': ''"), "/state_dir", "this path is empty"},
    {WITH("'runtime_dir': '/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"),
     "/runtime_dir", "name a shorter path"},

    // durations, sizes, numbers
    {WITH("'shutdown_timeout': 30"), "/shutdown_timeout",
     "expected a duration as a string with its unit, for example \"30s\", not a number"},
    {WITH("'shutdown_timeout': '30 s'"), "/shutdown_timeout", "\"30 s\" is not a duration"},
    {WITH("'shutdown_timeout': '2h'"), "/shutdown_timeout", "must be from 0s to 1h"},
    {WITH("'spool': {'max_bytes': 1024}"), "/spool/max_bytes", "for example \"512KiB\""},
    {WITH("'spool': {'max_bytes': '1 GiB'}"), "/spool/max_bytes", "\"1 GiB\" is not a size"},
    {WITH("'spool': {'max_bytes': '1KiB'}"), "/spool/max_bytes", "must be from 64KiB to 16TiB"},
    {WITH("'audit': {'max_bytes': '1KiB'}"), "/audit/max_bytes", "must be from 64KiB to 1TiB"},
    {WITH("'audit': {'key': 'fifteen bytes..'}"), "/audit/key", "shorter than 16 bytes"},
    {WITH("'audit': {'key': {'env': 'CXT_UNSET'}}"), "/audit/key", "CXT_UNSET is not set"},
    {WITH("'postgres': {'connections': 0}"), "/postgres/connections", "from 1 to 64"},
    {WITH("'postgres': {'connections': 65}"), "/postgres/connections", "from 1 to 64"},
    {WITH("'postgres': {'connections': 2.5}"), "/postgres/connections", "a whole number"},
    {WITH("'postgres': {'connections': -1}"), "/postgres/connections", "a whole number"},
    {WITH("'postgres': {'connections': 1e400}"), "/postgres/connections", "a whole number"},
    {WITH("'postgres': {'connections': '2'}"), "/postgres/connections",
     "expected a whole number, not a string"},
    {WITH("'postgres': {'retry': {'base': '1m'}}"), "/postgres/retry/cap", "below \"base\""},
    {WITH("'spool': {'when_full': 'drop'}"), "/spool/when_full", "\"drop_newest\""},
    {WITH("'spool': {'sync': 'never'}"), "/spool/sync", "\"interval:50ms\""},
    {WITH("'spool': {'sync': 'interval:5'}"), "/spool/sync", "the interval is not a duration"},
    {WITH("'spool': {'sync': 'interval:2m'}"), "/spool/sync", "must be from 1ms to 1m"},

    // the environment and secrets
    {WITH("'state_dir': '${CXT_UNSET}/x'"), "/state_dir", "environment variable CXT_UNSET"},
    {WITH("'state_dir': '${CXT_UNSET'"), "/state_dir", "\"${\" is not closed"},
    {WITH("'state_dir': '${}'"), "/state_dir", "${NAME:-default}"},
    {WITH("'postgres': {'dsn': {'env': 'CXT_UNSET'}}"), "/postgres/dsn", "CXT_UNSET is not set"},
    {WITH("'postgres': {'dsn': {'file': '/nonexistent/dsn'}}"), "/postgres/dsn",
     "cannot open /nonexistent/dsn"},
    {WITH("'postgres': {'dsn': {'credential': 'dsn'}}"), "/postgres/dsn", "LoadCredential=dsn"},
    {WITH("'postgres': {'dsn': {'envv': 'X'}}"), "/postgres/dsn", "expected a secret"},
    {WITH("'postgres': {'dsn': {'env': 5}}"), "/postgres/dsn", "expected a secret"},
    {WITH("'postgres': {'dsn': {'env': 'A', 'file': 'B'}}"), "/postgres/dsn", "expected a secret"},
    {WITH("'postgres': {'dsn': {}}"), "/postgres/dsn", "expected a secret"},
    {WITH("'postgres': {'dsn': 5}"), "/postgres/dsn", "{\"env\": \"NAME\"}"},
    {WITH("'postgres': {'dsn': null}"), "/postgres/dsn", "not null"},

    // credentials
    {WITH("'auth': {'x': 'token'}"), "/auth/x", "expected an object, not a string"},
    {AUTH("'client_id': 'i', 'client_secret': ''"), "/auth/x/client_secret", "is empty"},
    {AUTH("'client_secret': 's'"), "/auth/x/client_id", "grant client_credentials needs"},
    {AUTH("'client_id': 'i'"), "/auth/x/client_secret", "{\"env\": \"CXONE_CLIENT_SECRET\"}"},
    {AUTH(CLIENT ", 'token_url': null"), "/auth/x/token_url", "grant client_credentials needs"},
    {AUTH(CLIENT ", 'token_url': 'wss://h/'"), "/auth/x/token_url", "(schemes: https http;"},
    {AUTH(CLIENT ", 'token_url': 'https:/h'"), "/auth/x/token_url", "schemes possible"},
    {AUTH(CLIENT ", 'token_url': 'https:///t'"), "/auth/x/token_url", "needs HOST"},
    {AUTH(CLIENT ", 'token_url': 'https://h:0/'"), "/auth/x/token_url", "needs HOST"},
    {AUTH(CLIENT ", 'token_url': 'https://h:/'"), "/auth/x/token_url", "needs HOST"},
    {AUTH(CLIENT ", 'token_url': 'https://[::1/'"), "/auth/x/token_url", "needs HOST"},
    {AUTH(CLIENT ", 'token_url': 'https://[::1]8/'"), "/auth/x/token_url", "needs HOST"},
    {AUTH(CLIENT ", 'client_auth': 'post'"), "/auth/x/client_auth", "\"basic_raw\""},
    {AUTH(CLIENT ", 'params_in': 'body'"), "/auth/x/params_in", "\"query\""},
    {AUTH(CLIENT ", 'params': []"), "/auth/x/params", "expected an object of strings"},
    {AUTH(CLIENT ", 'params': {'a': 1}"), "/auth/x/params/a", "expected a string, not a number"},
    {AUTH(CLIENT ", 'headers': {'a b': ''}"), "/auth/x/headers/a b", "not the name of a header"},
    {AUTH(CLIENT ", 'headers': {'': ''}"), "/auth/x/headers/", "not the name of a header"},
    {AUTH(CLIENT ", 'headers': {'a': 'x\\r\\ny: z'}"), "/auth/x/headers/a", "control character"},
    {AUTH(CLIENT ", 'timeout': '0s'"), "/auth/x/timeout", "must be from 10ms to 10m"},
    {AUTH("'grant': 'password', 'username': 'u', 'password': 'p'"), "/auth/x/token_url",
     "grant password needs \"token_url\""},
    {AUTH("'grant': 'password', 'token_url': 'https://h', 'password': 'p'"), "/auth/x/username",
     "grant password needs"},
    {AUTH("'grant': 'password', 'token_url': 'https://h', 'username': 'u'"), "/auth/x/password",
     "grant password needs"},
    {AUTH("'grant': 'password', 'token_url': 'https://h', 'username': 'u', 'password': 'p', "
          "'client_auth': 'basic'"),
     "/auth/x/client_id", "client_auth basic needs"},
    {AUTH("'grant': 'access_key', 'token_url': 'https://h', 'username': 'u'"), "/auth/x/password",
     "grant access_key needs"},
    {AUTH("'grant': 'access_key', 'token_url': 'https://h', 'username': 'u', 'password': 'p', "
          "'client_auth': 'form'"),
     "/auth/x/client_auth", "write \"none\""},
    {AUTH("'grant': 'access_key', 'token_url': 'https://h', 'username': 'u', 'password': 'p', "
          "'params_in': 'form'"),
     "/auth/x/params_in", "write \"json\""},
    {AUTH("'grant': 'static'"), "/auth/x/token", "grant static needs"},
    {AUTH("'grant': 'static', 'token': 't', 'tls': {'key_file': 'k'}"), "/auth/x/tls",
     "go together"},

    // streams
    {"{" TABLES ", 'streams': {\n's': 5}}", "/streams/s", "expected an object"},
    {"{" TABLES ", 'streams': {\n's': {'table': 't'}}}", "/streams/s/url", "\"url\" is missing"},
    {"{" TABLES ", 'streams': {\n's': {'url': 'ws://h'}}}", "/streams/s/table",
     "\"table\" is missing; add it, for example \"table\": \"cxone_events\""},
    {"{" TABLES ", 'streams': {\n'a b': {'url': 'ws://h', 'table': 't'}}}", "/streams/a b",
     "1 to 63 letters"},
    {"{" TABLES ", 'streams': {\n'': {'url': 'ws://h', 'table': 't'}}}", "/streams/",
     "1 to 63 letters"},
    {"{" TABLES ", 'streams': {'s': {'url': 'ws://h', 'table': 't'},\n"
     "'s': {'url': 'ws://h', 'table': 't'}}}",
     "/streams/s", "there twice, first in line 1"},
    {STREAM("'schema_draft': '3'"), "/streams/s/schema_draft", "\"2020-12\", \"2019-09\", \"7\""},
    {STREAM("'schema_draft': 7"), "/streams/s/schema_draft", "expected a string, not a number"},
    {STREAM("'schema_strict': 'on'"), "/streams/s/schema_strict", "\"typos\", \"all\", \"off\""},
    {STREAM("'formats': 'off'"), "/streams/s/formats", "\"assert\", \"annotate\""},
    {"{" TABLES ", 'streams': {\n's': {'url': 'https://h', 'table': 't'}}}", "/streams/s/url",
     "(schemes: wss ws;"},
    {"{" TABLES ", 'streams': {\n's': {'url': 'ws://u:p@h', 'table': 't'}}}", "/streams/s/url",
     "no user name"},
    {"{" TABLES ", 'streams': {\n's': {'url': 'ws://h/a b', 'table': 't'}}}", "/streams/s/url",
     "percent-encode"},
    {"{" TABLES ", 'streams': {\n's': {'url': 'ws://h/#x', 'table': 't'}}}", "/streams/s/url",
     "fragment"},
    {"{" TABLES ", 'streams': {\n's': {'url': null, 'table': 't'}}}", "/streams/s/url",
     "expected a URL as a string, not null"},
    {"{" TABLES ", 'streams': {\n's': {'url': 'ws://h', 'table': 'u'}}}", "/streams/s/table",
     "there is no \"u\" under \"tables\"; known here: t"},
    {"{'streams': {\n's': {'url': 'ws://h', 'table': 'u'}}}", "/streams/s/table", "add it"},
    {STREAM("'auth': 'x'"), "/streams/s/auth", "there is no \"x\" under \"auth\"; add it"},
    {STREAM("'auth': 5"), "/streams/s/auth", "expected the name of an entry of \"auth\""},
    {STREAM("'schema': {}"), "/streams/s/schema", "expected a path as a string, not an object"},
    {STREAM("'max_message': '0B'"), "/streams/s/max_message", "must be from 1B to 64MiB"},
    {STREAM("'ping': {'timeout': '0s'}"), "/streams/s/ping/timeout", "must be from 1ms to 10m"},
    {STREAM("'ping': {'intervall': '0s'}"), "/streams/s/ping/intervall", "\"interval\"?"},
    {STREAM("'reconnect': {'base': '31s'}"), "/streams/s/reconnect/cap", "below \"base\""},
    {STREAM("'token_close_codes': 1008"), "/streams/s/token_close_codes", "an array of close"},
    {STREAM("'token_close_codes': [1008, 999]"), "/streams/s/token_close_codes/1", "1000 to 4999"},
    {STREAM("'token_close_codes': [5000]"), "/streams/s/token_close_codes/0", "1000 to 4999"},
    {STREAM("'token_close_codes': ['1008']"), "/streams/s/token_close_codes/0", "1000 to 4999"},
    {STREAM("'on_normal_close': 'exit'"), "/streams/s/on_normal_close", "\"reconnect\", \"stop\""},
    {STREAM("'reject_guard': {'share': 0}"), "/streams/s/reject_guard/share", "above 0"},
    {STREAM("'reject_guard': {'share': 1.01}"), "/streams/s/reject_guard/share", "at most 1"},
    {STREAM("'reject_guard': {'share': '0.5'}"), "/streams/s/reject_guard/share", "a number"},
    {STREAM("'reject_guard': {'events': 0}"), "/streams/s/reject_guard/events", "1 to 1000000"},
    {STREAM("'reject_guard': false"), "/streams/s/reject_guard", "an object"},
    {STREAM("'tls': {'cert_file': 'c'}"), "/streams/s/tls", "go together"},
    {STREAM("'tls': {'verify': false}"), "/streams/s/tls/verify", "unknown key"},

    // tables
    {TABLE("'columns': {}, 'key': ['a']"), "/tables/t/columns", "no column is mapped"},
    {TABLE("'columns': ['a'], 'key': ['a']"), "/tables/t/columns", "an object of columns"},
    {TABLE("'columns': {'a': 'a'}, 'key': ['a']"), "/tables/t/columns/a", "RFC 6901"},
    {TABLE("'columns': {'a': '/~'}, 'key': ['a']"), "/tables/t/columns/a", "RFC 6901"},
    {TABLE("'columns': {'a': '/~2'}, 'key': ['a']"), "/tables/t/columns/a", "RFC 6901"},
    {TABLE("'columns': {'a': null}, 'key': ['a']"), "/tables/t/columns/a", "expected a JSON P"},
    {TABLE("'columns': {'a': '/a', '': '/b'}, 'key': ['a']"), "/tables/t/columns/", "is empty"},
    {TABLE("'columns': {'a': '/a', 'a': '/b'}, 'key': ['a']"), "/tables/t/columns/a", "twice"},
    {TABLE("'columns': {'a': '/a', "
           "'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc': '/b'}, "
           "'key': ['a']"),
     "/tables/t/columns/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
     "63 bytes"},
    {TABLE("'columns': {'a': '/a'}, 'key': []"), "/tables/t/key", "the key has no column"},
    {TABLE("'columns': {'a': '/a'}, 'key': 'a'"), "/tables/t/key", "expected an array"},
    {TABLE("'columns': {'aa': '/a'}, 'key': ['aaa']"), "/tables/t/key/0",
     "column \"aaa\" is not under \"columns\"; did you mean \"aa\"?"},
    {TABLE("'columns': {'a': '/a'}, 'key': ['a', 'a']"), "/tables/t/key/1", "named twice"},
    {TABLE("'columns': {'a': '/a'}, 'key': ['a', 5]"), "/tables/t/key/1", "a column's name"},
    {TABLE("'columns': {'a': '/a'}, 'key': ['a','a','a','a','a','a','a','a','a']"), "/tables/t/key",
     "more than 8"},
    {TABLE("'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'update': ['b', 'c']"),
     "/tables/t/update/1", "not under \"columns\""},
    {TABLE("'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'update': ['b', 'a']"),
     "/tables/t/update", "\"a\" is in the key"},
    {TABLE("'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'update': 'b'"), "/tables/t/update",
     "an array"},
    {TABLE("'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'newest_by': 'c'"),
     "/tables/t/newest_by", "not under \"columns\""},
    {TABLE("'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'update': [], 'newest_by': 'b'"),
     "/tables/t/newest_by", "is not in \"update\", so"},
    {TABLE("'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'newest_by': 'a'"),
     "/tables/t/newest_by", "in the key"},
    {TABLE("'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'newest_by': 'b', 'update': ['x']"),
     "/tables/t/update/0", "not under \"columns\""},
    {TABLE("'columns': {'a': '/a', 'b': '/b'}, 'key': ['a'], 'touch': 'b'"), "/tables/t/touch",
     "is mapped from the event"},
    {TABLE("'columns': {'a': '/a'}, 'key': ['a'], 'touch': ''"), "/tables/t/touch", "is empty"},
    {"{" STREAMS ", " TABLES ", \n'tables': {}}", "/tables", "there twice"},
    {"{'streams': {'s': {'url': 'ws://h', 'table': 'a.b.c'}}, 'tables': {\n'a.b.c': {'columns': "
     "{'a': '/a'}, 'key': ['a']}}}",
     "/tables/a.b.c", "\"table\" or \"schema.table\""},
    {"{'streams': {'s': {'url': 'ws://h', 'table': 'a.'}}, 'tables': {\n'a.': {'columns': "
     "{'a': '/a'}, 'key': ['a']}}}",
     "/tables/a.", "is empty"},
    {"{'streams': {'s': {'url': 'ws://h', 'table': '.a'}}, 'tables': {\n'.a': {'columns': "
     "{'a': '/a'}, 'key': ['a']}}}",
     "/tables/.a", "is empty"},

    // admin
    {WITH("'admin': {'listen': '9464'}"), "/admin/listen", "\"9464\" is not ADDRESS:PORT"},
    {WITH("'admin': {'listen': 9464}"), "/admin/listen", "not a number"},
    {WITH("'admin': {'listen': '0.0.0.0:80'}"), "/admin/listen", "needs \"token\""},
    {WITH("'admin': {'listen': '[::]:80', 'token': null}"), "/admin/listen", "needs \"token\""},
    {WITH("'admin': {'listen': '[::]:80', 'token': ''}"), "/admin/listen", "needs \"token\""},
};

// The same, told in line 1.
static const struct fault_case cases_of_line_1[] = {
    {"[]", "", "expected an object at the top of the file, not an array"},
    {"{\n" TABLES "}", "/streams", "no stream is configured, nor jobs"},
    {TABLE("'key': ['a']"), "/tables/t/columns", "\"columns\" is missing"},
    {TABLE("'columns': {'a': '/a'}"), "/tables/t/key", "\"key\" is missing"},
};

static void expect_one_fault(struct fixture *f, const struct fault_case *c, unsigned line)
{
    load_text(f, c->text);
    const struct config_fault *fault = f->faults.items;
    if (f->faults.count == 1 && fault->line == line && strcmp(fault->pointer, c->pointer) == 0 &&
        strstr(fault->message, c->fragment) != NULL)
        return;
    print_faults(&f->faults);
    fail_msg("expected %u %s: %s\n in %s", line, c->pointer, c->fragment, c->text);
}

static void one_fault_each(void **state)
{
    unsetenv("CXT_UNSET");
    unsetenv("CREDENTIALS_DIRECTORY");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_one_fault(*state, &cases[i], 2);
    for (size_t i = 0; i < sizeof(cases_of_line_1) / sizeof(cases_of_line_1[0]); i++)
        expect_one_fault(*state, &cases_of_line_1[i], 1);
}

// A fault does not bring others that follow from it.
static void no_fault_follows_from_another(void **state)
{
    struct fixture *f = *state;
    load_text(f, AUTH("'grant': 'implicit'"));
    assert_int_equal(f->faults.count, 1);
    assert_string_equal(f->faults.items[0].pointer, "/auth/x/grant");
    load_text(f, STREAM("'reconnect': {'base': '1x', 'cap': '500ms'}"));
    assert_int_equal(f->faults.count, 1);
    load_text(f, "{'streams': {'s': {'url': 'ws://h', 'table': 't'}}, 'tables': {'t': {'columns': "
                 "{'a': 'x', 'b': 'y'}, 'key': ['a'], 'newest_by': 'b'}}}");
    assert_int_equal(f->faults.count, 2);
    load_text(f, "{" TABLES ", 'streams': 5}");
    assert_int_equal(f->faults.count, 1);
}

static void all_faults_at_once_in_the_order_of_lines(void **state)
{
    static const struct {
        unsigned line;
        const char *pointer;
    } expected[] = {
        {2, "/shutdown_timeout"},       {3, "/log/level"},       {3, "/log/targt"},
        {5, "/auth/a/token_url"},       {6, "/auth/b/token"},    {10, "/streams/s/auth"},
        {11, "/streams/s/max_message"}, {14, "/streams/s"},      {18, "/tables/t/columns/b"},
        {19, "/tables/t/key/1"},        {20, "/tables/t/touch"}, {22, "/spool/sync"},
        {23, "/postgres/dsn"},          {24, "/admin/listen"},
    };
    struct fixture *f = *state;
    unsetenv("CXT_UNSET");
    load_text(f, "{ // all of it\n"
                 "'shutdown_timeout': 30,\n"
                 "'log': {'level': 'loud', 'targt': 'text'},\n"
                 "'auth': {\n"
                 "  'a': {'token_url': 'ftp://h', 'client_id': 'x', 'client_secret': 'y'},\n"
                 "  'b': {'grant': 'static'}\n"
                 "},\n"
                 "'streams': {\n"
                 "  's': {'url': 'wss://h', 'table': 't',\n"
                 "        'auth': 'c',\n"
                 "        'max_message': '1 MB' },\n"
                 "  /* two\n"
                 "     lines */\n"
                 "  's': {}\n"
                 "},\n"
                 "'tables': { 't': {\n"
                 "  'columns': {'a': '/a',\n"
                 "              'b': 'b'},\n"
                 "  'key': ['a', 'z'],\n"
                 "  'touch': 'a'\n"
                 "}},\n"
                 "'spool': {'sync': 'sometimes'},\n"
                 "'postgres': {'dsn': {'env': 'CXT_UNSET'}},\n"
                 "'admin': {'listen': '0.0.0.0:1'}\n"
                 "}\n");
    print_faults(&f->faults);
    assert_int_equal(f->faults.count, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < f->faults.count; i++) {
        assert_int_equal(f->faults.items[i].line, expected[i].line);
        assert_string_equal(f->faults.items[i].pointer, expected[i].pointer);
    }
}

static void too_many_columns(void **state)
{
    struct buf text = {0};
    buf_printf(&text, "{" STREAMS ", 'tables': {'t': {'key': ['c0'], 'columns': {");
    for (int i = 0; i < 257; i++)
        buf_printf(&text, "%s'c%d': '/c'", i > 0 ? "," : "", i);
    buf_printf(&text, "}}}}");
    struct fixture *f = *state;
    load_text(f, buf_text(&text));
    assert_int_equal(f->faults.count, 1);
    assert_non_null(strstr(f->faults.items[0].message, "more than 256 columns"));
    buf_deinit(&text);
}

static void expect_no_leak(const struct fixture *f, const char *secret)
{
    assert_true(f->faults.count > 0);
    for (size_t i = 0; i < f->faults.count; i++) {
        assert_null(strstr(f->faults.items[i].message, secret));
        assert_null(strstr(f->faults.items[i].pointer, secret));
    }
}

// Field failure D16.
static void no_fault_holds_a_secret(void **state)
{
    struct fixture *f = *state;
    setenv("CXT_SECRET", "hunter2", 1);
    static const char *const texts[] = {
        WITH("'postgres': {'dsn': ['postgres://u:hunter2@h/d']}"),
        WITH("'postgres': {'dsn': {'value': 'postgres://u:hunter2@h/d'}}"),
        WITH("'postgres': {'dsn': 'password=hunter2 ${CXT_UNSET}', 'connections': 0}"),
        WITH("'postgres': {'dsn': 'password=hunter2 ${CXT_SECRET', 'connections': 0}"),
        STREAM("'schema': 5, 'headers': {'X-Key': 'hunter2\\n'}"),
        "{" TABLES ", 'streams': {'s': {'url': 'wss://u:hunter2@h/?t=hunter2', 'table': 't'}}}",
        "{" TABLES ", 'streams': {'s': {'url': 'http://h/?token=${CXT_SECRET}', 'table': 't'}}}",
        AUTH("'client_id': 'hunter2', 'password': {'hunter2': 1}, 'timeout': '${CXT_SECRET}'"),
        AUTH("'client_id': {'env': 'hunter2', 'file': 'hunter2'}"),
        WITH("'log': {'level': '${CXT_SECRET}'}, 'spool': {'sync': '${CXT_SECRET}'}"),
        "{'postgres': {'dsn': 'hunter2",
        "{'postgres': {'dsn': 'hunter2' 'x'",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        load_text(f, texts[i]);
        expect_no_leak(f, "hunter2");
    }
}

static void a_syntax_fault_stands_alone(void **state)
{
    struct fixture *f = *state;
    load_text(f, "{'log': {'level': 'loud'},\n 'spool': {,}\n}");
    assert_int_equal(f->faults.count, 1);
    assert_int_equal(f->faults.items[0].line, 2);
    assert_non_null(strstr(f->faults.items[0].message, "column 12: "));
}

static void the_file_must_be_there_and_of_sensible_size(void **state)
{
    struct fixture *f = *state;
    struct config_faults faults;
    assert_null(config_load("/nonexistent/cxsink.json", &faults));
    assert_int_equal(faults.count, 1);
    assert_int_equal(faults.items[0].line, 0);
    assert_non_null(strstr(faults.items[0].message, "/nonexistent/cxsink.json"));
    config_faults_free(&faults);

    size_t size = 1024 * 1024 + 1;
    char *large = mem_alloc(size);
    char *json = quoted("{" STREAMS "," TABLES "}");
    memset(large, ' ', size);
    memcpy(large, json, strlen(json));
    load_bytes(f, large, size);
    assert_int_equal(f->faults.count, 1);
    assert_non_null(strstr(f->faults.items[0].message, "larger than 1048576 bytes"));
    load_bytes(f, large, size - 1);
    assert_non_null(f->config);
    free(large);
    free(json);
}

static void many_faults_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct buf text = {0};
    buf_printf(&text, "{");
    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "'x%d':%d,", i / 2, i); // duplicates too
    buf_printf(&text, "'y':1}");
    load_text(f, buf_text(&text));
    assert_int_equal(f->faults.count, CONFIG_FAULTS_MAX);
    buf_deinit(&text);
}

static void long_messages_and_pointers_are_cut_between_characters(void **state)
{
    (void)state;
    struct config_faults faults = {0};
    char text[STATUS_DETAIL_MAX + 500];
    for (size_t i = 0; i + 4 <= sizeof(text); i += 3)
        memcpy(text + i, "\xe6\x97\xa5", 4);
    config_faults_add(&faults, 7, text, "%s", text);
    size_t length = strlen(faults.items[0].message);
    assert_true(length < STATUS_DETAIL_MAX);
    assert_string_equal(faults.items[0].message + length - 3, "...");
    assert_int_equal((length - 3) % 3, 0);
    assert_int_equal(strlen(faults.items[0].pointer), 255);
    config_faults_add(&faults, 3, "/a\x1b[2J", "b\n\x7f");
    assert_string_equal(faults.items[1].pointer, "/a?[2J");
    assert_string_equal(faults.items[1].message, "b??");
    config_faults_sort(&faults);
    assert_int_equal(faults.items[0].line, 3);
    config_faults_free(&faults);
    assert_null(faults.items);
    config_faults_free(&faults); // harmless
    // The SQL that mends a fault is kept whole.
    config_faults_add_sql(&faults, "/b", "b", text);
    config_faults_add_sql(&faults, "/a", "a", NULL);
    assert_string_equal(faults.items[0].sql, text);
    assert_string_equal(faults.items[0].message, "b");
    assert_null(faults.items[1].sql);
    config_faults_free(&faults);
}

#define with_files(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_files(one_fault_each),
        with_files(no_fault_follows_from_another),
        with_files(all_faults_at_once_in_the_order_of_lines),
        with_files(too_many_columns),
        with_files(no_fault_holds_a_secret),
        with_files(a_syntax_fault_stands_alone),
        with_files(the_file_must_be_there_and_of_sensible_size),
        with_files(many_faults_are_bounded),
        cmocka_unit_test(long_messages_and_pointers_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
