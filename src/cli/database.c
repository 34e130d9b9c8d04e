// SPDX-License-Identifier: Apache-2.0
#include "database.h"

#include "app/daemon.h"
#include "core/mem.h"

#include <stdio.h>
#include <string.h>

static void on_connected(void *owner)
{
    struct database *db = owner;
    db->done = true;
}

static void on_result(void *owner, const struct pg_result *result, const struct pg_error *error)
{
    struct database *db = owner;
    if (error != NULL) {
        db->error = *error;
        db->failed = true;
        return;
    }
    db->affected = pg_result_affected(result);
    for (int i = 0; db->row != NULL && i < pg_result_rows(result); i++)
        db->row(db->owner, result, i);
}

static void on_synced(void *owner)
{
    struct database *db = owner;
    db->done = true;
}

static void on_failed(void *owner, const struct pg_error *error)
{
    struct database *db = owner;
    db->error = *error;
    db->failed = true;
    db->done = true;
    pg_conn_close(&db->conn);
}

// A table or schema that is not there.
static bool is_unmigrated(const struct pg_error *error)
{
    return strcmp(error->sqlstate, "42P01") == 0 || strcmp(error->sqlstate, "3F000") == 0;
}

// What a person can do about it; "": nothing that is known.
static const char *remedy_of(const struct database *db)
{
    if (is_unmigrated(&db->error))
        return "run `cxsink migrate` first";
    bool refused = db->conn == NULL || strcmp(db->error.sqlstate, "42501") == 0;
    return refused ? pg_remedy(db->error.sqlstate) : "";
}

static bool wait_done(struct database *db, const char *command)
{
    while (!db->done && !db->interrupted)
        loop_turn(db->loop, true);
    if (!db->failed && db->done)
        return true;
    if (command == NULL || db->interrupted)
        return false;
    const char *remedy = remedy_of(db);
    fprintf(stderr, "cxsink %s: PostgreSQL: %s%s%s%s%s%s\n", command, db->error.message,
            db->error.sqlstate[0] ? " (" : "", db->error.sqlstate, db->error.sqlstate[0] ? ")" : "",
            remedy[0] ? "; " : "", remedy);
    return false;
}

int database_exit_code(const struct database *db)
{
    if (db->conn == NULL)
        return pg_classify(db->error.sqlstate) == PG_CLASS_BLOCKED ? EXIT_CONFIG : EXIT_NO_SERVER;
    return strncmp(db->error.sqlstate, "22", 2) == 0 ? EXIT_WRONG_USAGE : EXIT_NO;
}

bool database_reopen(struct database *db, const char *command)
{
    static const struct pg_callbacks callbacks = {
        .connected = on_connected, .result = on_result, .synced = on_synced, .failed = on_failed};
    const struct config *config = db->config;
    struct pg_settings settings = {
        .dsn = config->postgres.dsn,
        .application_name = "cxsink",
        .connect_timeout_us = config->postgres.connect_timeout_us,
        .answer_timeout_us = config->postgres.statement_timeout_us + 5 * US_PER_S,
    };
    pg_conn_close(&db->conn);
    db->done = db->failed = false;
    db->conn = pg_conn_open(db->loop, db->resolver, &settings, &callbacks, db);
    return wait_done(db, command);
}

bool database_open(struct database *db, const char *command, const struct config *config)
{
    struct status st = {0};
    *db = (struct database){.config = config};
    if ((db->loop = loop_create(&st)) == NULL ||
        (db->resolver = resolver_create(db->loop, &st)) == NULL) {
        fprintf(stderr, "cxsink %s: %s\n", command, st.detail);
        return false;
    }
    return database_reopen(db, command);
}

void database_close(struct database *db)
{
    pg_conn_close(&db->conn);
    resolver_destroy(&db->resolver);
    loop_destroy(&db->loop);
}

bool database_query(struct database *db, const char *command, const char *sql,
                    const struct pg_param *params, int n_params,
                    void (*row)(void *owner, const struct pg_result *result, int row), void *owner)
{
    if (db->conn == NULL)
        return false;
    db->done = db->failed = false;
    db->row = row;
    db->owner = owner;
    if (pg_send(db->conn, sql, params, n_params))
        pg_sync(db->conn);
    return wait_done(db, command);
}

struct pg_param database_text(const char *text)
{
    return (struct pg_param){.data = text, .length = text != NULL ? (int)strlen(text) : 0};
}
