// SPDX-License-Identifier: Apache-2.0
// The database schema `cxsink` and, when it is missing, the default destination table: numbered
// migrations from sql/, embedded at build, applied in one transaction under an advisory lock.
#ifndef CXSINK_PG_MIGRATE_H
#define CXSINK_PG_MIGRATE_H

#include "core/buf.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>

struct pg_conn;
struct pg_error;
struct pg_result;
struct migrate_run;

// One file of sql/: NNNN_name.sql.
struct migration {
    unsigned version;
    const char *name;
    const char *sql;
};
extern const struct migration migrations[];
extern const size_t n_migrations;

enum migrate_mode { MIGRATE_APPLY, MIGRATE_VERIFY };

struct migrate_outcome {
    enum status_code code; // STATUS_OK: up to date (now). STATUS_INVALID: an applied migration was
                           // altered, or migrations are pending in MIGRATE_VERIFY. STATUS_DENIED,
                           // STATUS_UNAVAILABLE...: the server's answer
    char detail[STATUS_DETAIL_MAX]; // why; with STATUS_OK a note (the database is newer), or ""
    char sqlstate[6];
    unsigned applied; // in this run
    unsigned version; // the newest in the database
};
typedef void (*migrate_fn)(void *owner, const struct migrate_outcome *outcome);

// Runs over a connection that is ready and idle. The owner of the connection passes its results,
// syncs and failures on with the three functions below until `fn` was called; the run then frees
// itself. migrate_cancel ends it without a call (the connection has failed, or is being closed).
struct migrate_run *migrate_start(struct pg_conn *conn, enum migrate_mode mode, migrate_fn fn,
                                  void *owner);
void migrate_result(struct migrate_run *run, const struct pg_result *result,
                    const struct pg_error *error);
void migrate_synced(struct migrate_run *run);
void migrate_cancel(struct migrate_run **run);

// All migrations as one script for a DBA, with the bookkeeping.
void migrate_print(struct buf *out);

#endif
