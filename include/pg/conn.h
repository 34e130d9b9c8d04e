// SPDX-License-Identifier: Apache-2.0
// One connection to PostgreSQL on the loop: asynchronous libpq in pipeline mode, as typed events
// behind an opaque struct. It never reconnects by itself; its owner does.
//
// Names are resolved off the loop (net/resolve) and handed to libpq as hostaddr beside host, for
// every host of a multi-host DSN. The connect deadline, and the deadline of what was sent, are the
// connection's own timers. A connection works through PgBouncer in transaction mode: no prepared
// statements, no session settings.
#ifndef CXSINK_PG_CONN_H
#define CXSINK_PG_CONN_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct resolver;
struct pg_conn;
struct pg_result; // a PGresult; see the accessors below

#define PG_SQLSTATE_SIZE 6

// A statement's error, or the connection's.
struct pg_error {
    char sqlstate[PG_SQLSTATE_SIZE]; // "" when it is not the server's
    char message[STATUS_DETAIL_MAX]; // primary message, one line, no payload, no password: values
                                     // in quotes are left out, and texts of triggers (class P0)
    char detail[256];                // constraint, column and table names only (never DETAIL, which
                                     // holds values)
    char column[64];                 // PG_DIAG_COLUMN_NAME, else ""
    char constraint[64];             // PG_DIAG_CONSTRAINT_NAME, else ""
};

struct pg_callbacks {
    void (*connected)(void *owner);
    // One call for each statement sent, in order. `error` is NULL when it succeeded; with a
    // sqlstate of "" it was skipped because an earlier one of the same pipeline failed. `result`
    // is valid during the call. An error that ends the session (FATAL: terminated, shut down) is no
    // result: `failed` follows, with its sqlstate, and the outcome of what was sent is unknown.
    void (*result)(void *owner, const struct pg_result *result, const struct pg_error *error);
    // Answer to pg_sync: everything before it is finished.
    void (*synced)(void *owner);
    // It is over (or never came up). The connection is unusable; close it (allowed here). The
    // sqlstate is the server's, also for a session that it refuses (28P01, 3D000, 53300, 57P03);
    // 28000 where it asks for a password and there is none; "" for a DSN that cannot be used, a
    // name without address, the network, and a deadline.
    void (*failed)(void *owner, const struct pg_error *error);
    // A NOTIFY of a channel that this session LISTENs to (LISTEN is an ordinary statement; behind
    // PgBouncer in transaction mode none ever comes). NULL: they are dropped.
    void (*notified)(void *owner, const char *channel, const char *payload);
};

struct pg_settings {
    // Keyword/value string or URI, or "": completed from libpq's environment and service file.
    // Keepalives, tcp_user_timeout, application_name and gssencmode=disable are added where they
    // are not set; client_encoding is always UTF8.
    const char *dsn;
    const char *application_name;
    int64_t connect_timeout_us; // names, and every host of the list; 0: none
    // Longest time between a pg_sync and its answer during which nothing moves; then the
    // connection fails as black-holed. Above the server's statement_timeout; 0: none.
    int64_t answer_timeout_us;
};

// Whether a DSN can be used at all, completed from the environment and service file: nothing is
// looked up or connected. The detail repeats nothing of the text, which may hold a password.
enum status_code pg_dsn_check(const char *dsn, struct status *st) STATUS_MUST_CHECK;

// Starts to connect at once; callbacks never come before this call returns. Strings are copied.
struct pg_conn *pg_conn_open(struct loop *loop, struct resolver *resolver,
                             const struct pg_settings *settings,
                             const struct pg_callbacks *callbacks, void *owner);
// Ends it without a callback; NULL is fine. Allowed inside callbacks. No cancel request is sent:
// the server notices the closed socket.
void pg_conn_close(struct pg_conn **conn);

// A parameter; format 1 is binary, `data` NULL is NULL. Copied by libpq.
struct pg_param {
    uint32_t type;
    int format;
    const char *data;
    int length;
};

// Queues one statement (unnamed, extended protocol). False when the connection is failing (the
// `failed` callback follows in a later turn).
bool pg_send(struct pg_conn *conn, const char *sql, const struct pg_param *params, int n_params);
// Ends a group: errors skip up to here. Flushes.
bool pg_sync(struct pg_conn *conn);

bool pg_conn_ready(const struct pg_conn *conn);
int pg_conn_server_version(const struct pg_conn *conn); // 150004
// "host:port" or the socket's path, for logs. Never a password.
const char *pg_conn_peer(const struct pg_conn *conn);

int pg_result_rows(const struct pg_result *result);
int pg_result_columns(const struct pg_result *result);
// Text of a field, "" for NULL.
const char *pg_result_text(const struct pg_result *result, int row, int column);
int pg_result_length(const struct pg_result *result, int row, int column);
bool pg_result_is_null(const struct pg_result *result, int row, int column);
// Rows affected, from the command tag.
int64_t pg_result_affected(const struct pg_result *result);
// The command tag ("COMMIT", "ROLLBACK", "INSERT 0 3").
const char *pg_result_tag(const struct pg_result *result);

// What to do about an SQLSTATE; never decided by message text.
enum pg_class {
    PG_CLASS_RETRY,     // passing: 40xxx, 53xxx, 55P03, 57xxx, 58xxx, XXxxx, others of the standard
    PG_CLASS_RECONNECT, // passing, over another connection: 08, 57P, 25006, ""
    PG_CLASS_ROW,       // some row is refused: 22, 23, 44, 54, P0, codes of triggers: isolate
    PG_CLASS_BLOCKED,   // needs a person: 42, 28, 3D, 3F, 0A, F0: keep spooling, say so, try again
};
enum pg_class pg_classify(const char *sqlstate);
// What a person can do about a session that was refused or did not come up, to follow a message
// and a semicolon.
const char *pg_remedy(const char *sqlstate);

#endif
