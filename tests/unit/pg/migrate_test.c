// SPDX-License-Identifier: Apache-2.0
// Migrations against a real server: fresh, again, two at once, without rights, altered, newer.
#include "pg/harness.h"
#include "pg/migrate.h"

// One run over a connection of its own, in database "target".
struct runner {
    struct harness *h;
    struct pg_conn *conn;
    struct migrate_run *run;
    enum migrate_mode mode;
    struct migrate_outcome outcome;
    int done;
};

static void runner_done(void *owner, const struct migrate_outcome *outcome)
{
    struct runner *r = owner;
    r->run = NULL;
    r->outcome = *outcome;
    r->done++;
}

static void runner_connected(void *owner)
{
    struct runner *r = owner;
    r->run = migrate_start(r->conn, r->mode, runner_done, r);
}

static void runner_result(void *owner, const struct pg_result *result, const struct pg_error *error)
{
    struct runner *r = owner;
    if (r->run != NULL)
        migrate_result(r->run, result, error);
}

static void runner_synced(void *owner)
{
    struct runner *r = owner;
    if (r->run != NULL)
        migrate_synced(r->run);
}

static void runner_failed(void *owner, const struct pg_error *error)
{
    struct runner *r = owner;
    migrate_cancel(&r->run);
    snprintf(r->outcome.detail, sizeof(r->outcome.detail), "%s", error->message);
    r->outcome.code = STATUS_INTERNAL;
    r->done++;
}

static void target_dsn(char dsn[256], const char *role, const char *more)
{
    snprintf(dsn, 256, "host=%s port=%d dbname=target user=%s %s", server->dir, server->port, role,
             more);
}

static void begin(struct harness *h, struct runner *r, const char *role, const char *more,
                  enum migrate_mode mode)
{
    static const struct pg_callbacks callbacks = {.connected = runner_connected,
                                                  .result = runner_result,
                                                  .synced = runner_synced,
                                                  .failed = runner_failed};
    char dsn[256];
    target_dsn(dsn, role, more);
    const struct pg_settings settings = {
        .dsn = dsn, .connect_timeout_us = PATIENCE_US, .answer_timeout_us = PATIENCE_US};
    *r = (struct runner){.h = h, .mode = mode};
    r->conn = pg_conn_open(h->loop, h->resolver, &settings, &callbacks, r);
}

static void end(struct runner *r)
{
    assert_true(turn_until(r->h, &r->done, 1));
    assert_true(r->outcome.code == STATUS_OK || r->outcome.detail[0] != '\0');
    pg_conn_close(&r->conn);
}

static enum status_code run(struct harness *h, struct runner *r, const char *role,
                            enum migrate_mode mode)
{
    begin(h, r, role, "", mode);
    end(r);
    return r->outcome.code;
}

// SQL in the target database; the text is static.
static const char *ask(const char *sql)
{
    static char answer[4096];
    char dsn[256];
    target_dsn(dsn, "postgres", "");
    char *text = pg_server_query_as(dsn, sql);
    snprintf(answer, sizeof(answer), "%s", text);
    free(text);
    return answer;
}

static void make_weak(void)
{
    admin("DROP ROLE IF EXISTS weak");
    admin("CREATE ROLE weak LOGIN");
}

static void drop_weak(void)
{
    admin("DROP DATABASE target");
    admin("DROP ROLE weak");
}

static unsigned newest(void)
{
    return migrations[n_migrations - 1].version;
}

// A fresh database for each test.
static int set_up_target(void **state)
{
    admin("DROP DATABASE IF EXISTS target WITH (FORCE)");
    admin("CREATE DATABASE target");
    return set_up(state);
}

#define COLUMNS_SQL                                                                             \
    "SELECT string_agg(column_name || ' ' || data_type || coalesce('(' || "                     \
    "character_maximum_length || ')', '') || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE " \
    "'' END, ', ' ORDER BY ordinal_position) FROM information_schema.columns "

static void test_files_are_numbered(void **state)
{
    (void)state;
    assert_true(n_migrations >= 1);
    for (size_t i = 0; i < n_migrations; i++) {
        assert_int_equal(migrations[i].version, i + 1);
        assert_true(migrations[i].name[0] != '\0');
        assert_true(strlen(migrations[i].sql) > 10);
        assert_null(strstr(migrations[i].sql, "$cxsink"));
    }
}

static void test_fresh_database(void **state)
{
    struct harness *h = *state;
    struct runner r;
    assert_int_equal(run(h, &r, "postgres", MIGRATE_VERIFY), STATUS_INVALID);
    assert_non_null(strstr(r.outcome.detail, "cxsink migrate"));
    assert_string_equal(ask("SELECT count(*) FROM pg_namespace WHERE nspname = 'cxsink'"), "0");

    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    assert_int_equal(r.outcome.applied, n_migrations);
    assert_int_equal(r.outcome.version, newest());
    assert_string_equal(
        ask(COLUMNS_SQL "WHERE table_schema = 'public' AND table_name = 'cxone_events'"),
        "id bigint not null, interaction_id character varying(255) not null, "
        "timestamp timestamp with time zone not null, type character varying(50) not null, "
        "idempotency_key character varying(255) not null, duration double precision, "
        "disposition character varying(255), queue_name character varying(255), "
        "agent_id character varying(255), attributes jsonb, "
        "created_at timestamp with time zone, updated_at timestamp with time zone");
    assert_string_equal(
        ask(COLUMNS_SQL "WHERE table_schema = 'cxsink' AND table_name = 'stream_state'"),
        "stream text, last_event_at timestamp with time zone, committed_events bigint, "
        "resume_token text");

    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    assert_int_equal(r.outcome.applied, 0);
    assert_int_equal(run(h, &r, "postgres", MIGRATE_VERIFY), STATUS_OK);
    assert_int_equal(r.outcome.version, newest());
}

static void test_lanes_add_up(void **state)
{
    struct harness *h = *state;
    struct runner r;
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    ask("INSERT INTO cxsink.stream_lanes (stream, lane, last_event_at, committed_events) VALUES"
        " ('a', 0, '2025-01-01Z', 3), ('a', 1, '2025-01-02Z', 4), ('b', 0, NULL, 1)");
    assert_string_equal(ask("SET TimeZone = 'UTC'; SELECT stream, last_event_at::date,"
                            " committed_events FROM cxsink.stream_state ORDER BY 1"),
                        "a|2025-01-02|7\nb||1");
    assert_string_equal(
        ask("INSERT INTO cxsink.dead_letters (source, source_seq, stream, received_at, reason)"
            " SELECT '00000000-0000-0000-0000-000000000001', 1, 'a', now(), 'json.syntax'"
            " FROM generate_series(1, 2) ON CONFLICT (source, source_seq) DO NOTHING"
            " RETURNING id, detail"),
        "1|[]");
}

// Neither an existing destination nor what is in it is touched.
static void test_existing_destination(void **state)
{
    struct harness *h = *state;
    struct runner r;
    ask("CREATE TABLE cxone_events (idempotency_key text PRIMARY KEY, duration integer);"
        "INSERT INTO cxone_events VALUES ('k', 1)");
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    assert_string_equal(ask("SELECT * FROM cxone_events"), "k|1");
}

static void test_two_at_once(void **state)
{
    struct harness *h = *state;
    struct runner r[4];
    unsigned applied = 0;
    for (int i = 0; i < 4; i++)
        begin(h, &r[i], "postgres", "", MIGRATE_APPLY);
    for (int i = 0; i < 4; i++) {
        end(&r[i]);
        assert_int_equal(r[i].outcome.code, STATUS_OK);
        assert_int_equal(r[i].outcome.version, newest());
        applied += r[i].outcome.applied;
    }
    assert_int_equal(applied, n_migrations);
}

static void test_without_rights(void **state)
{
    struct harness *h = *state;
    struct runner r;
    make_weak();
    ask("REVOKE CREATE ON SCHEMA public FROM public");
    assert_int_equal(run(h, &r, "weak", MIGRATE_APPLY), STATUS_DENIED);
    assert_string_equal(r.outcome.sqlstate, "42501");
    assert_non_null(strstr(r.outcome.detail, "GRANT CREATE ON DATABASE \"target\" TO \"weak\""));
    assert_non_null(strstr(r.outcome.detail, "cxsink migrate --print"));

    // A schema of somebody else's.
    ask("CREATE SCHEMA cxsink");
    assert_int_equal(run(h, &r, "weak", MIGRATE_APPLY), STATUS_DENIED);
    assert_non_null(strstr(r.outcome.detail, "GRANT USAGE, CREATE ON SCHEMA cxsink TO \"weak\""));
    // The remedy is enough; the default table is left out where public is closed.
    ask("GRANT USAGE, CREATE ON SCHEMA cxsink TO \"weak\"");
    assert_int_equal(run(h, &r, "weak", MIGRATE_APPLY), STATUS_OK);
    assert_int_equal(r.outcome.version, newest());
    assert_string_equal(ask("SELECT count(*) FROM pg_class WHERE relname = 'cxone_events'"), "0");
    drop_weak();
}

// Prepared by a DBA: the daemon's role may read and write, and create nothing.
static void test_prepared_by_a_dba(void **state)
{
    struct harness *h = *state;
    struct runner r;
    make_weak();
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    assert_int_equal(run(h, &r, "weak", MIGRATE_APPLY), STATUS_DENIED);
    assert_non_null(strstr(r.outcome.detail, "GRANT SELECT ON cxsink.migrations TO \"weak\""));
    ask("GRANT USAGE ON SCHEMA cxsink TO weak; GRANT SELECT ON cxsink.migrations TO weak");
    assert_int_equal(run(h, &r, "weak", MIGRATE_APPLY), STATUS_DENIED);
    const char *missing =
        strstr(r.outcome.detail, "GRANT INSERT, SELECT, UPDATE ON cxsink.dead_letters TO \"weak\"; "
                                 "GRANT INSERT, SELECT, UPDATE ON cxsink.stream_lanes TO \"weak\"");
    assert_non_null(missing);
    ask(missing);
    assert_int_equal(run(h, &r, "weak", MIGRATE_APPLY), STATUS_OK);
    assert_int_equal(r.outcome.applied, 0);
    // Something is pending that it may not do: the transaction leaves nothing behind.
    ask("DELETE FROM cxsink.migrations WHERE version > 1; GRANT CREATE ON SCHEMA cxsink TO weak");
    assert_int_equal(run(h, &r, "weak", MIGRATE_APPLY), STATUS_DENIED);
    assert_string_equal(r.outcome.sqlstate, "42501");
    assert_int_equal(r.outcome.applied, 0);
    assert_string_equal(ask("SELECT max(version) FROM cxsink.migrations"), "1");
    drop_weak();
}

static void test_leftover_tables(void **state)
{
    struct harness *h = *state;
    struct runner r;
    ask("CREATE SCHEMA cxsink; CREATE TABLE cxsink.stream_lanes (a int)");
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_INVALID);
    assert_string_equal(r.outcome.sqlstate, "42P07");
    assert_non_null(strstr(r.outcome.detail, "stream_lanes"));
    assert_string_equal(ask("SELECT count(*) FROM pg_class WHERE relname = 'dead_letters'"), "0");
}

static void test_altered_migration(void **state)
{
    struct harness *h = *state;
    struct runner r;
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    ask("UPDATE cxsink.migrations SET sha256 = 'x' WHERE version = 1");
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_INVALID);
    assert_int_equal(run(h, &r, "postgres", MIGRATE_VERIFY), STATUS_INVALID);
    assert_non_null(strstr(r.outcome.detail, "migration 1 (schema)"));
}

static void test_newer_database(void **state)
{
    struct harness *h = *state;
    struct runner r;
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    ask("INSERT INTO cxsink.migrations (version, name, sha256) VALUES (99, 'later', 'x')");
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    assert_int_equal(r.outcome.version, 99);
    assert_non_null(strstr(r.outcome.detail, "newer"));
}

static void test_read_only_session(void **state)
{
    struct harness *h = *state;
    struct runner r;
    // BEGIN READ WRITE overrides a default; a standby would answer 25006.
    begin(h, &r, "postgres", "options='-c default_transaction_read_only=on'", MIGRATE_APPLY);
    end(&r);
    assert_int_equal(r.outcome.code, STATUS_OK);
}

// Another isolation level as the default must not hide what the holder of the lock committed.
static void test_waits_for_the_lock(void **state)
{
    struct harness *h = *state;
    struct runner first, second;
    const char *serializable = "options='-c default_transaction_isolation=serializable'";
    begin(h, &first, "postgres", serializable, MIGRATE_APPLY);
    begin(h, &second, "postgres", serializable, MIGRATE_APPLY);
    end(&first);
    end(&second);
    assert_int_equal(first.outcome.code, STATUS_OK);
    assert_int_equal(second.outcome.code, STATUS_OK);
    assert_int_equal(first.outcome.applied + second.outcome.applied, n_migrations);
}

static void test_connection_lost(void **state)
{
    struct harness *h = *state;
    struct runner r;
    begin(h, &r, "postgres", "", MIGRATE_APPLY);
    assert_null(r.run);
    for (int i = 0; i < 10000 && r.run == NULL; i++)
        turn(h);
    assert_non_null(r.run);
    admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'target'");
    assert_true(turn_until(h, &r.done, 1));
    assert_int_equal(r.outcome.code, STATUS_INTERNAL); // the test's own, in runner_failed
    pg_conn_close(&r.conn);
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
}

static void test_print_is_the_same(void **state)
{
    struct harness *h = *state;
    struct runner r;
    struct buf script = {0};
    char dsn[256];
    migrate_print(&script);
    target_dsn(dsn, "postgres", "");
    for (int i = 0; i < 2; i++) { // twice: it looks by itself
        char *text = pg_server_query_as(dsn, buf_text(&script));
        assert_string_equal(text, "");
        free(text);
    }
    buf_deinit(&script);
    assert_int_equal(run(h, &r, "postgres", MIGRATE_VERIFY), STATUS_OK);
    assert_int_equal(run(h, &r, "postgres", MIGRATE_APPLY), STATUS_OK);
    assert_int_equal(r.outcome.applied, 0);
    assert_int_equal(r.outcome.version, newest());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_target, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_are_numbered),
        TEST(test_fresh_database),
        TEST(test_lanes_add_up),
        TEST(test_existing_destination),
        TEST(test_two_at_once),
        TEST(test_without_rights),
        TEST(test_prepared_by_a_dba),
        TEST(test_leftover_tables),
        TEST(test_altered_migration),
        TEST(test_newer_database),
        TEST(test_read_only_session),
        TEST(test_waits_for_the_lock),
        TEST(test_connection_lost),
        TEST(test_print_is_the_same),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
