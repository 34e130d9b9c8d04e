// SPDX-License-Identifier: Apache-2.0
// The sink on bad days: errors that pass, errors that need a person, servers that go away.
#include "sink/fixture.h"

#include <signal.h>

static const char plain_table[] = "CREATE TABLE t (k text PRIMARY KEY, v int)";

// A trigger on t that raises `code` while the sequence `calls` is below `times`.
static void raise_on_insert(struct fixture *f, const char *code, int times)
{
    char sql[640];
    snprintf(sql, sizeof(sql),
             "CREATE SEQUENCE calls;"
             "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
             "IF nextval('calls') <= %d THEN RAISE 'text of a trigger' USING ERRCODE = '%s'; "
             "END IF; RETURN NEW; END $$;"
             "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
             times, code);
    run_sql(f, sql);
}

static double retries(const char *sqlstate)
{
    return metric_series(METRIC_BATCH_RETRIES, sqlstate, NULL)->value;
}

// D12: what passes is tried again, and nothing is lost or dropped.
static void test_passing_errors(void **state)
{
    (void)state;
    static const char *const codes[] = {"40001", "40P01", "53100", "53200", "53300", "55P03",
                                        "57014", "57P01", "57P03", "58030", "XX000", "XX001",
                                        "25006", "08006", "08P01", "25P02"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        struct sink_stats stats;
        struct fixture *f = fixture_create(plain_table);
        f->config.postgres.connections = 1;
        raise_on_insert(f, codes[i], 3);
        for (int v = 0; v < 10; v++)
            row(f, "{\"k\":\"%d\",\"v\":%d}", v, v);
        fixture_start(f);
        wait_acked(f);
        assert_query(f, "SELECT count(*), sum(v) FROM t", "10|45");
        assert_query(f, "SELECT count(*) FROM cxsink.dead_letters", "0");
        assert_query(f, "SELECT committed_events FROM cxsink.stream_state", "10");
        sink_stat(f->sink, &stats);
        assert_int_equal(stats.retries, 3);
        assert_int_equal(retries(codes[i]), 3);
        assert_int_equal(f->blocks, 0);
        assert_int_equal(sink_trouble(f->sink)->code, STATUS_OK);
        fixture_destroy(f);
    }
}

static void test_row_errors(void **state)
{
    (void)state;
    static const char *const codes[] = {"22001", "22P02", "23502", "23514", "44000",
                                        "54000", "P0001", "27000", "ZZ999"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        char sql[512], expected[64];
        struct fixture *f = fixture_create(plain_table);
        snprintf(sql, sizeof(sql),
                 "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.v = 7 "
                 "THEN RAISE 'no' USING ERRCODE = '%s'; END IF; RETURN NEW; END $$;"
                 "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
                 codes[i]);
        run_sql(f, sql);
        for (int v = 0; v < 10; v++)
            row(f, "{\"k\":\"%d\",\"v\":%d}", v, v);
        fixture_start(f);
        wait_acked(f);
        assert_query(f, "SELECT count(*), sum(v) FROM t", "9|38");
        snprintf(expected, sizeof(expected), "8|db.%s", codes[i]);
        assert_query(f, "SELECT source_seq, reason FROM cxsink.dead_letters", expected);
        fixture_destroy(f);
    }
}

// What needs a person: blocked, the batch is kept, and written once it is mended.
static void test_blocking_errors(void **state)
{
    (void)state;
    static const char *const codes[] = {"42501", "42703", "42P10", "0A000", "3F000"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        struct fixture *f = fixture_create(plain_table);
        raise_on_insert(f, codes[i], 1000000);
        for (int v = 0; v < 10; v++)
            row(f, "{\"k\":\"%d\",\"v\":%d}", v, v);
        fixture_start(f);
        wait_until(f, sink_state(f->sink) == SINK_BLOCKED && retries(codes[i]) >= 3);
        assert_non_null(strstr(f->trouble, codes[i]));
        assert_int_equal(f->acked, 0);
        run_sql(f, "DROP TRIGGER f ON t");
        wait_acked(f);
        assert_query(f, "SELECT count(*), sum(v) FROM t", "10|45");
        assert_query(f, "SELECT count(*) FROM cxsink.dead_letters", "0");
        assert_int_equal(f->restarts, 1);
        fixture_destroy(f);
    }
}

struct mending {
    const char *before; // run on the table of the test
    const char *says;   // in the trouble
    const char *mend;
};

static void test_mended(const struct mending *mending)
{
    struct fixture *f = fixture_create(plain_table);
    run_sql(f, mending->before);
    for (int v = 0; v < 10; v++)
        row(f, "{\"k\":\"%d\",\"v\":%d}", v, v);
    fixture_start(f);
    wait_until(f, sink_state(f->sink) == SINK_BLOCKED);
    if (strstr(f->trouble, mending->says) == NULL)
        fail_msg("no \"%s\" in: %s", mending->says, f->trouble);
    assert_null(sink_mapping(f->sink, 0));
    for (int i = 0; i < 50; i++)
        loop_turn(f->loop, true);
    assert_int_equal(f->restarts, 0);
    run_sql(f, mending->mend);
    wait_acked(f);
    assert_query(f, "SELECT count(*), sum(v) FROM t", "10|45");
    assert_int_equal(f->restarts, 1);
    assert_int_equal(f->blocks, 1); // told once, however often it looked
    fixture_destroy(f);
}

static void test_found_at_start(void **state)
{
    (void)state;
    static const struct mending cases[] = {
        {"DROP TABLE t", "CREATE TABLE", "CREATE TABLE t (k text PRIMARY KEY, v int)"},
        {"ALTER TABLE t DROP CONSTRAINT t_pkey", "UNIQUE", "CREATE UNIQUE INDEX ON t (k)"},
        {"ALTER TABLE t DROP COLUMN v", "\"v\"", "ALTER TABLE t ADD COLUMN v int"},
        {"ALTER TABLE t ADD COLUMN w int NOT NULL", "\"w\"",
         "ALTER TABLE t ALTER COLUMN w SET DEFAULT 1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        test_mended(&cases[i]);
}

static void add_role(struct fixture *f)
{
    size_t used = strlen(f->dsn);
    free(query(f, "CREATE ROLE clerk LOGIN")); // by the first test that needs it
    run_sql(f, "GRANT CREATE ON DATABASE postgres TO clerk");
    char sql[128];
    snprintf(sql, sizeof(sql), "GRANT CREATE ON DATABASE test%u TO clerk", the_database);
    run_sql(f, sql);
    snprintf(f->dsn + used, sizeof(f->dsn) - used, " user=clerk");
}

static void test_privilege(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    char admin[sizeof(f->dsn)];
    memcpy(admin, f->dsn, sizeof(admin));
    add_role(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    fixture_start(f);
    wait_until(f, sink_state(f->sink) == SINK_BLOCKED);
    assert_non_null(strstr(f->trouble, "GRANT"));
    free(pg_server_query_as(admin, "GRANT SELECT, INSERT, UPDATE ON t TO clerk"));
    wait_acked(f);
    // Taken away while it runs.
    free(pg_server_query_as(admin, "REVOKE INSERT ON t FROM clerk"));
    row(f, "{\"k\":\"b\",\"v\":1}");
    wait_until(f, sink_state(f->sink) == SINK_BLOCKED);
    free(pg_server_query_as(admin, "GRANT INSERT ON t TO clerk"));
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM t", "2");
    fixture_destroy(f);
}

// D10: the table changes while the sink writes.
static void test_alter_while_running(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "ALTER TABLE t ADD COLUMN w int",
        "ALTER TABLE t ALTER COLUMN v TYPE bigint",
        "ALTER TABLE t ALTER COLUMN v TYPE text",
        "ALTER TABLE t ALTER COLUMN v TYPE numeric USING v::numeric",
        "ALTER TABLE t ALTER COLUMN v TYPE boolean USING v <> 0",
    };
    struct fixture *f = fixture_create(plain_table);
    fixture_start(f);
    int k = 0;
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        for (int n = 0; n < 50; n++, k++)
            row(f, "{\"k\":\"%d\",\"v\":%d}", k, 1);
        wait_acked(f);
        run_sql(f, changes[i]);
    }
    // A number is not a boolean: nothing is lost, and nothing stops.
    for (int n = 0; n < 50; n++, k++)
        row(f, "{\"k\":\"%d\",\"v\":1}", k);
    for (int n = 0; n < 50; n++, k++)
        row(f, "{\"k\":\"%d\",\"v\":true}", k);
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM t", "300");
    assert_query(f, "SELECT count(*), min(reason) FROM cxsink.dead_letters", "50|column.v");
    assert_true(f->restarts >= 2);
    fixture_destroy(f);
}

static void test_column_dropped_and_back(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    wait_acked(f);
    run_sql(f, "ALTER TABLE t DROP COLUMN v");
    for (int n = 0; n < 500; n++)
        row(f, "{\"k\":\"b%d\",\"v\":2}", n);
    wait_until(f, sink_state(f->sink) == SINK_BLOCKED);
    run_sql(f, "ALTER TABLE t ADD COLUMN v int");
    wait_acked(f);
    assert_query(f, "SELECT count(*), sum(v) FROM t", "501|1000");
    fixture_destroy(f);
}

// cxsink's own tables are gone: migrated once more? Only their owner may; it says so, and goes on.
static void test_internal_tables(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    wait_acked(f);
    run_sql(f, "DROP SCHEMA cxsink CASCADE");
    row(f, "{\"k\":\"b\",\"v\":1}");
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM t", "2");
    assert_query(f, "SELECT committed_events FROM cxsink.stream_state", "1");
    fixture_destroy(f);
}

static void test_migrate_modes(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    f->config.postgres.migrate = MIGRATE_CHECK;
    row(f, "{\"k\":\"a\",\"v\":1}");
    fixture_start(f);
    wait_until(f, sink_state(f->sink) == SINK_BLOCKED);
    assert_true(strlen(f->trouble) > 0);
    assert_query(f, "SELECT count(*) FROM pg_namespace WHERE nspname = 'cxsink'", "0");
    f->config.postgres.migrate = MIGRATE_AUTO;
    wait_acked(f);
    // Applied: `check` and `off` are content with it.
    for (int mode = 0; mode < 2; mode++) {
        f->config.postgres.migrate = mode == 0 ? MIGRATE_CHECK : MIGRATE_OFF;
        sink_reconfigure(f->sink, &f->config);
        row(f, "{\"k\":\"b%d\",\"v\":1}", mode);
        wait_acked(f);
    }
    assert_query(f, "SELECT count(*) FROM t", "3");
    fixture_destroy(f);
}

// D8: no server, no database at start; no password to be seen.
static void test_absent_at_start(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    snprintf(f->dsn, sizeof(f->dsn), "host=127.0.0.1 port=%d user=postgres password=hush",
             pg_server_free_port());
    row(f, "{\"k\":\"a\",\"v\":1}");
    fixture_start(f);
    wait_until(f, sink_state(f->sink) == SINK_DOWN && f->states >= 2);
    assert_true(strlen(sink_trouble(f->sink)->detail) > 0);
    assert_null(strstr(sink_trouble(f->sink)->detail, "hush"));
    snprintf(f->dsn, sizeof(f->dsn), "%s dbname=later%u", pg_server_dsn(the_server), the_database);
    sink_reconfigure(f->sink, &f->config);
    wait_until(f, sink_state(f->sink) == SINK_BLOCKED);
    assert_non_null(strstr(f->trouble, "3D000"));
    char sql[64];
    snprintf(sql, sizeof(sql), "CREATE DATABASE later%u", the_database);
    free(pg_server_query(the_server, sql));
    wait_until(f, strstr(sink_trouble(f->sink)->detail, "CREATE TABLE") != NULL);
    run_sql(f, plain_table);
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM t", "1");
    fixture_destroy(f);
}

static void test_backends_terminated(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    f->config.postgres.batch_events = 20;
    fixture_start(f);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 200; i++)
            row(f, "{\"k\":\"%d\",\"v\":%d}", round * 200 + i, round);
        uint64_t goal = f->acked + 50;
        wait_until(f, f->acked >= goal);
        run_sql(f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                   "WHERE application_name = 'cxsink' AND datname = current_database()");
    }
    wait_acked(f);
    assert_query(f, "SELECT count(*), sum(v) FROM t", "2000|9000");
    assert_query(f, "SELECT committed_events >= 2000 FROM cxsink.stream_state", "t");
    fixture_destroy(f);
}

static void test_idle_backends_terminated(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    wait_acked(f);
    unsigned states = f->states;
    run_sql(f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
               "WHERE application_name = 'cxsink' AND datname = current_database()");
    wait_until(f, f->states >= states + 2 && sink_state(f->sink) == SINK_READY);
    row(f, "{\"k\":\"b\",\"v\":1}");
    wait_acked(f);
    assert_int_equal(f->restarts, 1); // the catalog is as it was
    fixture_destroy(f);
}

static void test_server_crash(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    f->config.postgres.batch_events = 50;
    for (int i = 0; i < 5000; i++)
        row(f, "{\"k\":\"%d\",\"v\":1}", i);
    fixture_start(f);
    wait_until(f, f->acked > 500);
    pg_server_kill_immediate(the_server);
    wait_until(f, sink_state(f->sink) == SINK_DOWN);
    pg_server_restart(the_server);
    wait_acked(f);
    assert_query(f, "SELECT count(*), sum(v) FROM t", "5000|5000");
    assert_query(f, "SELECT count(*) FROM cxsink.dead_letters", "0");
    fixture_destroy(f);
}

// A lock held elsewhere: the statement times out and is repeated until the lock is gone.
static void test_locked_row(void **state)
{
    (void)state;
    static const char *const settings[] = {"lock_timeout = 0", "lock_timeout = '50ms'"};
    static const char *const codes[] = {"57014", "55P03"};
    for (size_t i = 0; i < 2; i++) {
        char sql[128];
        struct fixture *f = fixture_create(plain_table);
        f->config.postgres.statement_timeout_us = 100 * US_PER_MS;
        snprintf(sql, sizeof(sql), "ALTER DATABASE test%u SET %s", the_database, settings[i]);
        run_sql(f, sql);
        run_sql(f, "INSERT INTO t VALUES ('a', 0)");
        PGconn *other = PQconnectdb(f->dsn);
        PQclear(PQexec(other, "BEGIN; UPDATE t SET v = 1"));
        row(f, "{\"k\":\"a\",\"v\":2}");
        fixture_start(f);
        wait_until(f, retries(codes[i]) >= 2);
        assert_int_equal(sink_state(f->sink), SINK_RETRYING);
        PQclear(PQexec(other, "COMMIT"));
        PQfinish(other);
        wait_acked(f);
        assert_query(f, "SELECT v FROM t", "2");
        fixture_destroy(f);
    }
}

// D7: the server does not answer any more. Its session is stopped with the batch in hand, given up,
// and later goes on with it: the outcome is the same.
static void test_black_hole(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    f->config.postgres.connections = 1;
    f->config.postgres.statement_timeout_us = 50 * US_PER_MS; // and 5 s for the answer
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    wait_acked(f);
    char *pid = query(f, "SELECT pid FROM pg_stat_activity WHERE application_name = 'cxsink' "
                         "AND datname = current_database()");
    assert_true(atoi(pid) > 1);
    assert_int_equal(kill(atoi(pid), SIGSTOP), 0);
    row(f, "{\"k\":\"a\",\"v\":2}");
    row(f, "{\"k\":\"b\",\"v\":2}");
    wait_until(f, retries("connection") == 1);
    assert_int_equal(kill(atoi(pid), SIGCONT), 0);
    free(pid);
    wait_acked(f);
    assert_query(f, "SELECT * FROM t ORDER BY k", "a|2\nb|2");
    fixture_destroy(f);
}

// Two daemons write the same keys, in different orders.
static void test_two_writers(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    struct fixture *g = mem_zalloc(sizeof(*g));
    struct sink_stats stats[2];
    *g = (struct fixture){.loop = f->loop, .config = f->config};
    memcpy(g->dsn, f->dsn, sizeof(f->dsn));
    tape_init(&g->tape, 0);
    for (int i = 0; i < 3000; i++) {
        row(f, "{\"k\":\"%d\",\"v\":%d}", i % 500, i);
        row(g, "{\"k\":\"%d\",\"v\":%d}", (i * 7 + 250) % 500, i);
    }
    fixture_start(f);
    wait_acked(f); // the migrations are there
    f->next = 0;
    f->acked = 0;
    sink_destroy(&f->sink);
    fixture_start(f);
    fixture_start(g);
    wait_acked(f);
    wait_until(g, g->acked == g->n_records);
    sink_stat(f->sink, &stats[0]);
    sink_stat(g->sink, &stats[1]);
    assert_query(f, "SELECT count(*) FROM t", "500");
    // Each of two lanes against two others: the order of locks is the same in all of them, but for
    // keys that a batch holds more than once.
    assert_true(stats[0].retries + stats[1].retries < stats[0].batches);
    sink_destroy(&g->sink);
    loop_unpost(g->loop, g);
    for (size_t i = 0; i < g->n_records; i++)
        free(g->records[i].json);
    free(g->records);
    tape_deinit(&g->tape);
    buf_deinit(&g->cells);
    free(g);
    fixture_destroy(f);
}

// A reload in the middle of everything: other lanes, other batches, the same rows.
static void test_reconfigure(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    sink_reconfigure((fixture_start(f), f->sink), &f->config);
    for (int round = 0; round < 10; round++) {
        f->config.postgres.connections = 1 + (unsigned)round % 3;
        f->config.postgres.batch_events = 10 + (unsigned)round * 7;
        for (int i = 0; i < 300; i++)
            row(f, "{\"k\":\"%d\",\"v\":%d}", i, round);
        for (int turn = 0; turn < round; turn++)
            loop_turn(f->loop, true);
        sink_reconfigure(f->sink, &f->config);
        assert_null(sink_mapping(f->sink, 0));
        if (round % 2 == 0) {
            uint64_t goal = f->acked + 20;
            wait_until(f, f->acked > goal);
        }
        if (round == 7)
            sink_reconfigure(f->sink, &f->config); // L1: during a reload
    }
    wait_acked(f);
    assert_query(f, "SELECT count(*), min(v), max(v) FROM t", "300|9|9");
    fixture_destroy(f);
}

// The batch in flight does not end: a reload waits for it, but not for ever.
static void test_reconfigure_stuck(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    run_sql(f, "INSERT INTO t VALUES ('a', 0)");
    f->config.postgres.statement_timeout_us = 2 * PATIENCE_US;
    PGconn *other = PQconnectdb(f->dsn);
    PQclear(PQexec(other, "BEGIN; UPDATE t SET v = 1"));
    row(f, "{\"k\":\"a\",\"v\":2}");
    fixture_start(f);
    struct sink_stats stats;
    wait_until(f, (sink_stat(f->sink, &stats), stats.in_flight_events == 1));
    sink_reconfigure(f->sink, &f->config);
    wait_until(f, f->restarts == 2); // long before the statement's time is up
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    wait_acked(f);
    assert_query(f, "SELECT v FROM t", "2");
    fixture_destroy(f);
}

// At any time, whatever is going on.
static void test_destroy(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    f->config.postgres.batch_events = 10;
    raise_on_insert(f, "40001", 3);
    for (int i = 0; i < 300; i++)
        row(f, "{\"k\":\"%d\",\"v\":%d}", i, i % 4 - 1);
    for (int turns = 0; turns < 60; turns++) {
        fixture_start(f);
        for (int i = 0; i < turns; i++)
            loop_turn(f->loop, true);
        if (turns == 40)
            run_sql(f, "ALTER TABLE t ADD CHECK (v >= 0) NOT VALID");
        sink_destroy(&f->sink);
        assert_null(f->sink);
        f->next = f->acked = 0;
    }
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM cxsink.dead_letters WHERE reason = 'db.23514'", "75");
    struct sink *none = NULL;
    sink_destroy(&none);
    fixture_destroy(f);
}

// --- from within callbacks -----------------------------------------------------------------------

static unsigned destroy_at;

static void destroy_on_restart(void *owner)
{
    struct fixture *f = owner;
    f->restarts++;
    sink_destroy(&f->sink);
}

static void destroy_on_ack(void *owner, uint64_t seq)
{
    struct fixture *f = owner;
    f->acked = seq;
    if (destroy_at-- == 0)
        sink_destroy(&f->sink);
}

static void destroy_on_state(void *owner, enum sink_state from, enum sink_state to,
                             const struct status *st)
{
    struct fixture *f = owner;
    (void)from;
    (void)st;
    if (to == SINK_READY)
        sink_destroy(&f->sink);
}

static void test_destroy_in_callbacks(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct fixture *f = fixture_create(plain_table);
        for (int i = 0; i < 300; i++)
            row(f, "{\"k\":\"%d\",\"v\":1}", i);
        struct sink_settings settings = {
            .loop = f->loop,
            .config = &f->config,
            .callbacks = {.acked = fixture_acked,
                          .restarted = fixture_restarted,
                          .room = fixture_room},
            .owner = f,
        };
        destroy_at = 1;
        if (which == 0)
            settings.callbacks.restarted = destroy_on_restart;
        else if (which == 1)
            settings.callbacks.acked = destroy_on_ack;
        else
            settings.callbacks.state = destroy_on_state;
        f->sink = sink_create(&settings);
        sink_start(f->sink);
        struct mono end = mono_add(mono_read(), PATIENCE_US);
        while (f->sink != NULL && mono_diff(end, mono_read()) > 0)
            loop_turn(f->loop, true);
        assert_null(f->sink);
        for (int i = 0; i < 10; i++)
            loop_turn(f->loop, true);
        fixture_destroy(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passing_errors),
        cmocka_unit_test(test_row_errors),
        cmocka_unit_test(test_blocking_errors),
        cmocka_unit_test(test_found_at_start),
        cmocka_unit_test(test_privilege),
        cmocka_unit_test(test_alter_while_running),
        cmocka_unit_test(test_column_dropped_and_back),
        cmocka_unit_test(test_internal_tables),
        cmocka_unit_test(test_migrate_modes),
        cmocka_unit_test(test_absent_at_start),
        cmocka_unit_test(test_backends_terminated),
        cmocka_unit_test(test_idle_backends_terminated),
        cmocka_unit_test(test_server_crash),
        cmocka_unit_test(test_locked_row),
        cmocka_unit_test(test_black_hole),
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_reconfigure),
        cmocka_unit_test(test_reconfigure_stuck),
        cmocka_unit_test(test_destroy),
        cmocka_unit_test(test_destroy_in_callbacks),
    };
    return cmocka_run_group_tests(tests, fixture_server_start, fixture_server_stop);
}
