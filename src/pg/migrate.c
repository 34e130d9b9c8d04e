// SPDX-License-Identifier: Apache-2.0
// A run looks first and changes nothing when there is nothing to do, so that a daemon whose role
// may not create starts where a DBA has prepared the schema. Then everything pending goes in one
// transaction: each migration is a DO block that looks again, under the advisory lock, whether it
// was applied, so that of two daemons that start at once the second finds the work done.
#include "pg/migrate.h"

#include "core/hash.h"
#include "core/mem.h"
#include "pg/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "cxsink" as a number: pg_advisory_xact_lock() of every cxsink, of any version.
#define LOCK_SQL "SELECT pg_catalog.pg_advisory_xact_lock(109368983514731)"
#define FOR_A_DBA "or have a DBA run what `cxsink migrate --print` prints"

enum step { STEP_LOOK, STEP_VERSIONS, STEP_PRIVILEGES, STEP_APPLY, STEP_ROLLBACK };

struct migrate_run {
    struct pg_conn *conn;
    enum migrate_mode mode;
    migrate_fn fn;
    void *owner;
    enum step step;
    struct migrate_outcome outcome;
    // What STEP_LOOK found.
    char role[64], database[64];
    bool standby, database_create, schema, schema_use, schema_create, table, table_select;
    // What STEP_VERSIONS found.
    bool *done; // by index into migrations
};

static const char look_sql[] =
    "SELECT current_user, pg_catalog.current_database(), pg_catalog.pg_is_in_recovery(),"
    " pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),"
    " n.oid IS NOT NULL, coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false),"
    " coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false),"
    " c.oid IS NOT NULL, coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT'), false)"
    " FROM (VALUES (1)) one"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'cxsink'"
    " LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'migrations'";

static const char versions_sql[] = "SELECT version, sha256 FROM cxsink.migrations ORDER BY version";

// What the role lacks of what the daemon needs, a row a table.
static const char privileges_sql[] =
    "SELECT t.name, string_agg(p.name, ', ' ORDER BY p.name)"
    " FROM (VALUES ('cxsink.dead_letters'), ('cxsink.stream_lanes')) t (name)"
    " CROSS JOIN (VALUES ('INSERT'), ('SELECT'), ('UPDATE')) p (name)"
    " WHERE NOT pg_catalog.has_table_privilege(pg_catalog.to_regclass(t.name), p.name)"
    " GROUP BY t.name ORDER BY t.name";

static const char outcome_sql[] = "SELECT count(*) FILTER (WHERE applied_at = now()), max(version)"
                                  " FROM cxsink.migrations";

// --- SQL ---

static void digest_of(const struct migration *migration, char hex[HASH_SHA256_HEX_SIZE])
{
    unsigned char digest[HASH_SHA256_SIZE];
    hash_sha256(migration->sql, strlen(migration->sql), digest);
    hash_hex(digest, sizeof(digest), hex);
}

// One statement, as the extended protocol wants it, that applies a migration unless it is there.
static void print_block(struct buf *out, const struct migration *migration)
{
    char hex[HASH_SHA256_HEX_SIZE];
    digest_of(migration, hex);
    buf_printf(
        out,
        "DO $cxsink_do$\n"
        "DECLARE\n"
        "    done boolean := false;\n"
        "BEGIN\n"
        "    IF EXISTS (SELECT FROM pg_catalog.pg_class c\n"
        "               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        "               WHERE n.nspname = 'cxsink' AND c.relname = 'migrations') THEN\n"
        "        EXECUTE 'SELECT EXISTS (SELECT FROM cxsink.migrations WHERE version = %u)'\n"
        "            INTO done;\n"
        "    END IF;\n"
        "    IF done THEN\n"
        "        RETURN;\n"
        "    END IF;\n"
        "    EXECUTE $cxsink_sql$\n",
        migration->version);
    buf_append_text(out, migration->sql);
    buf_printf(out,
               "$cxsink_sql$;\n"
               "    INSERT INTO cxsink.migrations (version, name, sha256)\n"
               "    VALUES (%u, '%s', '%s');\n"
               "END $cxsink_do$",
               migration->version, migration->name, hex);
}

void migrate_print(struct buf *out)
{
    buf_append_text(out, "-- The database schema of cxsink " CXSINK_VERSION ".\n"
                         "-- Applies what is missing; running it again changes nothing.\n"
                         "-- psql -v ON_ERROR_STOP=1 -f FILE\n"
                         "BEGIN;\n" LOCK_SQL ";\n\n");
    for (size_t i = 0; i < n_migrations; i++) {
        print_block(out, &migrations[i]);
        buf_append_text(out, ";\n\n");
    }
    buf_append_text(
        out,
        "-- Where the daemon's role is another one than the one that runs this, with its name:\n"
        "-- GRANT USAGE ON SCHEMA cxsink TO cxsink;\n"
        "-- GRANT SELECT ON cxsink.migrations, cxsink.stream_state TO cxsink;\n"
        "-- GRANT SELECT, INSERT, UPDATE, DELETE ON cxsink.dead_letters, cxsink.stream_lanes"
        " TO cxsink;\n"
        "-- GRANT SELECT, INSERT, UPDATE, DELETE ON cxsink.jobs, cxsink.job_locks,"
        " cxsink.job_notifications, cxsink.job_schedules TO cxsink;\n"
        "-- GRANT SELECT, INSERT, UPDATE ON public.cxone_events TO cxsink;\n"
        "-- And for applications that queue jobs:\n"
        "-- GRANT USAGE ON SCHEMA cxsink TO app; GRANT INSERT ON cxsink.jobs TO app;\n"
        "COMMIT;\n");
}

// --- the end of a run ---

static void finish(struct migrate_run *run)
{
    struct migrate_outcome outcome = run->outcome;
    migrate_fn fn = run->fn;
    void *owner = run->owner;
    migrate_cancel(&run);
    fn(owner, &outcome);
}

static void decide(struct migrate_run *run, enum status_code code, const char *sqlstate,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

// The first trouble stands.
static void decide(struct migrate_run *run, enum status_code code, const char *sqlstate,
                   const char *format, ...)
{
    if (run->outcome.code != STATUS_OK)
        return;
    run->outcome.code = code;
    snprintf(run->outcome.sqlstate, sizeof(run->outcome.sqlstate), "%s", sqlstate);
    va_list args;
    va_start(args, format);
    vsnprintf(run->outcome.detail, sizeof(run->outcome.detail), format, args);
    va_end(args);
}

static void decide_by_error(struct migrate_run *run, const struct pg_error *error)
{
    if (strcmp(error->sqlstate, "42501") == 0) {
        decide(run, STATUS_DENIED, error->sqlstate,
               "role \"%s\" may not apply the migrations (%s): GRANT CREATE, USAGE ON SCHEMA "
               "cxsink TO \"%s\", " FOR_A_DBA,
               run->role, error->message, run->role);
    } else if (strcmp(error->sqlstate, "42P07") == 0) {
        decide(run, STATUS_INVALID, error->sqlstate,
               "%s, but cxsink.migrations does not know of it: rename it or move it away",
               error->message);
    } else {
        enum pg_class class = pg_classify(error->sqlstate);
        bool passing = class == PG_CLASS_RETRY || class == PG_CLASS_RECONNECT;
        decide(run, passing ? STATUS_UNAVAILABLE : STATUS_INTERNAL, error->sqlstate,
               "cannot bring the database schema up to date: %s", error->message);
    }
}

// --- looking ---

static bool yes(const struct pg_result *result, int column)
{
    return pg_result_text(result, 0, column)[0] == 't';
}

static void read_look(struct migrate_run *run, const struct pg_result *result)
{
    snprintf(run->role, sizeof(run->role), "%s", pg_result_text(result, 0, 0));
    snprintf(run->database, sizeof(run->database), "%s", pg_result_text(result, 0, 1));
    run->standby = yes(result, 2);
    run->database_create = yes(result, 3);
    run->schema = yes(result, 4);
    run->schema_use = yes(result, 5);
    run->schema_create = yes(result, 6);
    run->table = yes(result, 7);
    run->table_select = yes(result, 8);
}

static void read_version(struct migrate_run *run, unsigned version, const char *sha256)
{
    char hex[HASH_SHA256_HEX_SIZE];
    run->outcome.version = version;
    for (size_t i = 0; i < n_migrations; i++) {
        if (migrations[i].version != version)
            continue;
        run->done[i] = true;
        digest_of(&migrations[i], hex);
        if (strcmp(hex, sha256) != 0)
            decide(run, STATUS_INVALID, "",
                   "migration %u (%s) in database \"%s\" is another one than this program's: the "
                   "database belongs to another build of cxsink, use that one or another database",
                   version, migrations[i].name, run->database);
    }
}

static void read_versions(struct migrate_run *run, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++)
        read_version(run, (unsigned)strtoul(pg_result_text(result, row, 0), NULL, 10),
                     pg_result_text(result, row, 1));
}

static void read_privileges(struct migrate_run *run, const struct pg_result *result)
{
    struct buf grants = {0};
    for (int row = 0; row < pg_result_rows(result); row++)
        buf_printf(&grants, "%sGRANT %s ON %s TO \"%s\"", row > 0 ? "; " : "",
                   pg_result_text(result, row, 1), pg_result_text(result, row, 0), run->role);
    if (grants.len > 0)
        decide(run, STATUS_DENIED, "42501", "role \"%s\" may not write what is cxsink's own: %s",
               run->role, buf_text(&grants));
    buf_deinit(&grants);
}

static size_t pending(const struct migrate_run *run)
{
    size_t n = 0;
    for (size_t i = 0; i < n_migrations; i++)
        n += !run->done[i];
    return n;
}

static void send_alone(struct migrate_run *run, enum step step, const char *sql)
{
    run->step = step;
    // When they cannot be sent the connection fails, and its owner cancels the run.
    (void)!pg_send(run->conn, sql, NULL, 0);
    (void)!pg_sync(run->conn);
}

// --- applying ---

// What the server would refuse, said in better words.
static bool may_apply(struct migrate_run *run)
{
    if (run->standby)
        decide(run, STATUS_UNAVAILABLE, "25006",
               "migrations are pending, and this server is a read-only standby: connect to the "
               "primary (target_session_attrs=read-write)");
    else if (!run->schema && !run->database_create)
        decide(run, STATUS_DENIED, "42501",
               "role \"%s\" may not create schema cxsink: GRANT CREATE ON DATABASE \"%s\" TO "
               "\"%s\", " FOR_A_DBA,
               run->role, run->database, run->role);
    else if (run->schema && !(run->schema_use && run->schema_create))
        decide(run, STATUS_DENIED, "42501",
               "role \"%s\" may not create in schema cxsink: GRANT USAGE, CREATE ON SCHEMA cxsink "
               "TO \"%s\", " FOR_A_DBA,
               run->role, run->role);
    return run->outcome.code == STATUS_OK;
}

static void apply(struct migrate_run *run)
{
    struct buf block = {0};
    (void)!pg_send(run->conn, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", NULL, 0);
    (void)!pg_send(run->conn, LOCK_SQL, NULL, 0);
    for (size_t i = 0; i < n_migrations; i++) {
        if (run->done[i])
            continue;
        buf_clear(&block);
        print_block(&block, &migrations[i]);
        (void)!pg_send(run->conn, buf_text(&block), NULL, 0);
    }
    (void)!pg_send(run->conn, outcome_sql, NULL, 0);
    buf_deinit(&block);
    send_alone(run, STEP_APPLY, "COMMIT");
}

// Nothing is wrong so far. True when the run is over.
static bool go_on(struct migrate_run *run)
{
    size_t n = pending(run);
    if (n == 0) {
        if (run->outcome.version > migrations[n_migrations - 1].version)
            snprintf(run->outcome.detail, sizeof(run->outcome.detail),
                     "the database schema is at version %u, newer than this program's %u",
                     run->outcome.version, migrations[n_migrations - 1].version);
        send_alone(run, STEP_PRIVILEGES, privileges_sql);
        return false;
    }
    if (run->mode == MIGRATE_VERIFY)
        decide(run, STATUS_INVALID, "",
               "%zu of %zu migrations are pending in database \"%s\": run `cxsink migrate`", n,
               n_migrations, run->database);
    else if (may_apply(run))
        apply(run);
    return run->outcome.code != STATUS_OK;
}

// --- events ---

static bool after_look(struct migrate_run *run)
{
    if (!run->table)
        return go_on(run);
    if (!run->schema_use || !run->table_select) {
        decide(run, STATUS_DENIED, "42501",
               "role \"%s\" may not read cxsink.migrations: GRANT USAGE ON SCHEMA cxsink TO "
               "\"%s\"; GRANT SELECT ON cxsink.migrations TO \"%s\"",
               run->role, run->role, run->role);
        return true;
    }
    send_alone(run, STEP_VERSIONS, versions_sql);
    return false;
}

struct migrate_run *migrate_start(struct pg_conn *conn, enum migrate_mode mode, migrate_fn fn,
                                  void *owner)
{
    struct migrate_run *run = mem_zalloc(sizeof(*run));
    *run = (struct migrate_run){.conn = conn, .mode = mode, .fn = fn, .owner = owner};
    run->done = mem_zalloc(n_migrations * sizeof(*run->done));
    send_alone(run, STEP_LOOK, look_sql);
    return run;
}

void migrate_result(struct migrate_run *run, const struct pg_result *result,
                    const struct pg_error *error)
{
    if (error != NULL) {
        if (error->sqlstate[0] != '\0' && run->step != STEP_ROLLBACK)
            decide_by_error(run, error);
    } else if (run->step == STEP_LOOK) {
        read_look(run, result);
    } else if (run->step == STEP_VERSIONS) {
        read_versions(run, result);
    } else if (run->step == STEP_PRIVILEGES) {
        read_privileges(run, result);
    } else if (run->step == STEP_APPLY && pg_result_columns(result) == 2) {
        run->outcome.applied = (unsigned)strtoul(pg_result_text(result, 0, 0), NULL, 10);
        run->outcome.version = (unsigned)strtoul(pg_result_text(result, 0, 1), NULL, 10);
    }
}

void migrate_synced(struct migrate_run *run)
{
    bool ok = run->outcome.code == STATUS_OK;
    bool over = true;
    if (run->step == STEP_LOOK && ok) {
        over = after_look(run);
    } else if (run->step == STEP_VERSIONS && ok) {
        over = go_on(run);
    } else if (run->step == STEP_APPLY && !ok) {
        // Leaves the connection as it was found.
        run->outcome.applied = 0;
        send_alone(run, STEP_ROLLBACK, "ROLLBACK");
        over = false;
    }
    if (over)
        finish(run);
}

void migrate_cancel(struct migrate_run **pointer)
{
    struct migrate_run *run = *pointer;
    if (run == NULL)
        return;
    *pointer = NULL;
    free(run->done);
    free(run);
}
