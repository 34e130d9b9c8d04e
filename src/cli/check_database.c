// SPDX-License-Identifier: Apache-2.0
// PostgreSQL: the login, its clock, what the role may, the tables, the migrations.
#include "check_priv.h"
#include "core/clock.h"
#include "core/mem.h"
#include "jobs/queue.h"
#include "pg/catalog.h"
#include "pg/conn.h"
#include "pg/migrate.h"

#include <stdlib.h>
#include <string.h>

// Longer than this nothing is waited for, whatever the configuration allows the daemon.
#define PATIENCE_US (30 * US_PER_S)

// What is asked at once, in this order; then each table.
enum question { ASK_CLOCK, ASK_RIGHTS, ASK_TABLES };

struct check_database {
    struct check_task task;
    struct pg_conn *conn;
    struct migrate_run *migrate;
    size_t answers;
    bool denied; // the role lacks something of schema cxsink, which is told
};

static const char clock_sql[] =
    "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint";

// What the role lacks of schema cxsink, a row for each thing: what the daemon and its commands read
// and write, $1 with jobs. Found by name, as to_regclass() fails where the schema may not be used.
static const char rights_sql[] =
    "WITH needed (name, privileges, of_jobs) AS (VALUES"
    " ('migrations', '{SELECT}'::text[], false),"
    " ('dead_letters', '{SELECT,INSERT,UPDATE}', false),"
    " ('stream_lanes', '{SELECT,INSERT,UPDATE}', false),"
    " ('jobs', '{SELECT,INSERT,UPDATE,DELETE}', true),"
    " ('job_locks', '{SELECT,INSERT,UPDATE,DELETE}', true),"
    " ('job_notifications', '{SELECT,INSERT,UPDATE}', true),"
    " ('job_schedules', '{SELECT,INSERT,UPDATE,DELETE}', true))"
    " SELECT 'SCHEMA cxsink', 'USAGE', pg_catalog.quote_ident(current_user)"
    " FROM pg_catalog.pg_namespace s WHERE s.nspname = 'cxsink'"
    " AND NOT pg_catalog.has_schema_privilege(s.oid, 'USAGE')"
    " UNION ALL"
    " SELECT 'cxsink.' || n.name, string_agg(p, ', ' ORDER BY u.at),"
    " pg_catalog.quote_ident(current_user)"
    " FROM needed n CROSS JOIN unnest(n.privileges) WITH ORDINALITY u (p, at)"
    " JOIN pg_catalog.pg_namespace s ON s.nspname = 'cxsink'"
    " JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = n.name"
    " WHERE (NOT n.of_jobs OR $1::boolean) AND NOT pg_catalog.has_table_privilege(c.oid, u.p)"
    " GROUP BY n.name ORDER BY 1";

static void finish(struct check_database *db)
{
    pg_conn_close(&db->conn);
    check_end(&db->task);
}

// --- answers ---

static const struct config_table *table_at(const struct check_database *db)
{
    return &db->task.probe->config->tables[db->answers - ASK_TABLES];
}

static void add_table_fault(void *owner, const char *message, const char *sql)
{
    struct check_database *db = owner;
    char *pointer = mem_printf("/tables/%s", table_at(db)->name);
    config_faults_add_sql(db->task.probe->faults, pointer, message, sql);
    free(pointer);
}

static void on_table(struct check_database *db, const struct pg_result *result)
{
    struct catalog_table table = {0};
    struct status st = {0};
    if (catalog_read(result, table_at(db), &table, &st) != STATUS_OK)
        add_table_fault(db, st.detail, NULL);
    else
        catalog_check(&table, table_at(db), add_table_fault, db);
    catalog_table_deinit(&table);
}

static void on_clock(struct check_database *db, const struct pg_result *result)
{
    int64_t theirs = strtoll(pg_result_text(result, 0, 0), NULL, 10);
    char *whose = mem_printf("the database server at %s", pg_conn_peer(db->conn));
    check_clock(db->task.probe, "/postgres", wall_read_us() - theirs, whose);
    free(whose);
}

static void on_rights(struct check_database *db, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++) {
        const char *what = pg_result_text(result, row, 0), *lacks = pg_result_text(result, row, 1);
        const char *role = pg_result_text(result, row, 2);
        char *message = mem_printf("role %s lacks %s on %s", role, lacks, what);
        char *sql = mem_printf("GRANT %s ON %s TO %s", lacks, what, role);
        config_faults_add_sql(db->task.probe->faults, "/postgres/dsn", message, sql);
        db->denied = true;
        free(message);
        free(sql);
    }
}

static void on_error(struct check_database *db, const struct pg_error *error)
{
    if (db->answers >= ASK_TABLES)
        add_table_fault(db, error->message, NULL);
    else
        check_add(db->task.probe, STATUS_INVALID, "/postgres/dsn",
                  "cannot ask PostgreSQL what is there: %s (%s)", error->message, error->sqlstate);
}

static void on_result(void *owner, const struct pg_result *result, const struct pg_error *error)
{
    static void (*const take[])(struct check_database *, const struct pg_result *) = {
        [ASK_CLOCK] = on_clock, [ASK_RIGHTS] = on_rights, [ASK_TABLES] = on_table};
    struct check_database *db = owner;
    if (db->migrate != NULL) {
        migrate_result(db->migrate, result, error);
        return;
    }
    if (error != NULL)
        on_error(db, error);
    else
        take[db->answers < ASK_TABLES ? db->answers : ASK_TABLES](db, result);
    db->answers++;
}

static void on_migrated(void *owner, const struct migrate_outcome *outcome)
{
    struct check_database *db = owner;
    db->migrate = NULL;
    bool told = outcome->code == STATUS_DENIED && db->denied;
    if (outcome->code != STATUS_OK && !told)
        check_add(db->task.probe, outcome->code, "/postgres/migrate", "%s", outcome->detail);
    finish(db);
}

static void on_synced(void *owner)
{
    struct check_database *db = owner;
    if (db->migrate != NULL)
        migrate_synced(db->migrate);
    else if (db->task.probe->config->postgres.migrate == MIGRATE_OFF)
        finish(db);
    else
        db->migrate = migrate_start(db->conn, MIGRATE_VERIFY, on_migrated, db);
}

// --- the connection ---

static void on_connected(void *owner)
{
    struct check_database *db = owner;
    const struct config *config = db->task.probe->config;
    const char *jobs = config->jobs.enabled ? "t" : "f";
    struct status st;
    if (config->jobs.enabled &&
        queue_check_server(pg_conn_server_version(db->conn), &st) != STATUS_OK)
        check_add(db->task.probe, st.code, "/jobs", "%s", st.detail);
    db->task.doing = "asking PostgreSQL what is there";
    // When they cannot be sent, on_failed comes.
    bool ok = pg_send(db->conn, clock_sql, NULL, 0) &&
              pg_send(db->conn, rights_sql, &(struct pg_param){.data = jobs, .length = 1}, 1);
    for (size_t i = 0; ok && i < config->n_tables; i++)
        ok = catalog_send(db->conn, &config->tables[i]);
    if (ok)
        pg_sync(db->conn);
}

static void on_failed(void *owner, const struct pg_error *error)
{
    struct check_database *db = owner;
    bool blocked = pg_classify(error->sqlstate) == PG_CLASS_BLOCKED;
    migrate_cancel(&db->migrate);
    check_add(db->task.probe, blocked ? STATUS_DENIED : STATUS_UNAVAILABLE, "/postgres/dsn",
              "cannot use PostgreSQL: %s%s%s%s; %s", error->message, error->sqlstate[0] ? " (" : "",
              error->sqlstate, error->sqlstate[0] ? ")" : "", pg_remedy(error->sqlstate));
    finish(db);
}

static int64_t at_most(int64_t us)
{
    return us > 0 && us < PATIENCE_US ? us : PATIENCE_US;
}

void check_database_start(struct probe *probe)
{
    static const struct pg_callbacks callbacks = {
        .connected = on_connected, .result = on_result, .synced = on_synced, .failed = on_failed};
    const struct config_postgres *config = &probe->config->postgres;
    struct pg_settings settings = {
        .dsn = config->dsn,
        .application_name = "cxsink check",
        .connect_timeout_us = at_most(config->connect_timeout_us),
        .answer_timeout_us = at_most(config->statement_timeout_us),
    };
    struct check_database *db = probe->database = mem_zalloc(sizeof(*db));
    check_begin(probe, &db->task, mem_strdup("/postgres/dsn"), "logging in to PostgreSQL");
    db->conn = pg_conn_open(probe->loop, probe->resolver, &settings, &callbacks, db);
}

void check_database_stop(struct probe *probe)
{
    struct check_database *db = probe->database;
    migrate_cancel(&db->migrate);
    pg_conn_close(&db->conn);
    free(db);
    probe->database = NULL;
}
