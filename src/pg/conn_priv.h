// SPDX-License-Identifier: Apache-2.0
// What pg/conn (life of a connection) and pg/pipeline (statements and results) share.
#ifndef CXSINK_PG_CONN_PRIV_H
#define CXSINK_PG_CONN_PRIV_H

#include "pg/conn.h"

#include "core/loop.h"
#include "core/timer.h"
#include "pg/dsn_priv.h"

#include <libpq-fe.h>

// X(identifier, name): what the connection does in that state
#define CONN_STATES(X)                                                            \
    X(RESOLVING, "resolving")   /* the names of its hosts are being looked up */  \
    X(CONNECTING, "connecting") /* libpq connects, to one host after the other */ \
    X(READY, "ready")           /* statements can be sent */                      \
    X(FAILED, "failed")         /* it is over, the owner is being told */         \
    X(CLOSED, "closed")         /* the owner let go, it is about to be freed */

enum conn_state {
#define CONN_ENUM(id, name) CONN_##id,
    CONN_STATES(CONN_ENUM)
#undef CONN_ENUM
};

struct lookup; // one host's name

struct pg_conn {
    struct loop *loop;
    struct resolver *resolver;
    struct pg_callbacks callbacks;
    void *owner;
    enum conn_state state;
    int64_t connect_timeout_us, answer_timeout_us;
    char peer[256];

    // Until it is connected or failed.
    struct dsn *dsn;
    struct lookup *lookups; // one a host
    size_t n_lookups, lookups_open;
    char lookup_failure[STATUS_DETAIL_MAX];
    struct timer connect_deadline;

    PGconn *pg;
    struct loop_watch *watch;
    struct timer answer_deadline;
    unsigned unanswered;    // statements and syncs
    unsigned open_syncs;    // of them
    bool posted;            // pipeline_take() is
    bool broken;            // libpq refused to write or read
    bool ending;            // the server said that it ends the session
    struct pg_error reason; // what it said; its sqlstate is "" while it said nothing
    struct pg_error error;  // of FAILED

    // The parameters of one statement the way libpq takes them.
    struct {
        unsigned *types;
        const char **values;
        int *lengths;
        int *formats;
        int cap;
    } params;
};

// The only exit besides pg_conn_close(): tears down, and tells the owner in a later turn.
void conn_fail(struct pg_conn *conn, const struct pg_error *error);

void pipeline_init(struct pg_conn *conn);
void pipeline_free(struct pg_conn *conn);
// Takes an established connection over. False when libpq refuses.
bool pipeline_start(struct pg_conn *conn);
// The socket is ready for `events`.
void pg_pipeline_ready(struct pg_conn *conn, unsigned events);
// A PQnoticeReceiver, of a struct pg_conn.
void pipeline_notice(void *conn, const PGresult *result);

#endif
