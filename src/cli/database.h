// SPDX-License-Identifier: Apache-2.0
// PostgreSQL for commands that ask one thing after the other: a connection whose loop turns until
// the answer is there.
#ifndef CXSINK_CLI_DATABASE_H
#define CXSINK_CLI_DATABASE_H

#include "config/load.h"
#include "core/loop.h"
#include "net/resolve.h"
#include "pg/conn.h"

#include <stdbool.h>

// Without a database for this long a command gives up.
#define DATABASE_PATIENCE_US (30 * US_PER_S)

struct database {
    struct loop *loop;
    struct resolver *resolver;
    struct pg_conn *conn;
    struct pg_error error; // of the last failure
    bool failed;           // the connection is gone, or the last query failed
    bool done;
    bool interrupted; // set it in a callback of the loop: waits end as failures, untold
    const struct config *config;
    void (*row)(void *owner, const struct pg_result *result, int row);
    void *owner;
    int64_t affected;
};

// Connects. Prints what is wrong on stderr, prefixed with the command (NULL: prints nothing, here
// and below), and returns false. Close in both cases.
bool database_open(struct database *db, const char *command, const struct config *config);
// Connects once more, on the same loop, when the connection is gone.
bool database_reopen(struct database *db, const char *command);
void database_close(struct database *db);
// Runs one statement; `row` (may be NULL) is called for each row. Prints and returns false on
// failure.
bool database_query(struct database *db, const char *command, const char *sql,
                    const struct pg_param *params, int n_params,
                    void (*row)(void *owner, const struct pg_result *result, int row), void *owner);
// The exit code of the last failure: 64 for a value that PostgreSQL cannot read, 78 where it does
// not let us in, 1 where it refuses the statement, 69 where it does not answer.
int database_exit_code(const struct database *db);
// A parameter in text form; NULL is NULL.
struct pg_param database_text(const char *text);

#endif
