// SPDX-License-Identifier: Apache-2.0
#include "pg/conn.h"

#include "core/log.h"
#include "core/mem.h"
#include "net/resolve.h"
#include "pg/conn_priv.h"
#include "pg/error_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
    struct pg_conn *conn;
    struct resolve_request *request;
    size_t host;
};

static void set_state(struct pg_conn *conn, enum conn_state state)
{
    static const char *const names[] = {
#define CONN_NAME(id, name) [CONN_##id] = name,
        CONN_STATES(CONN_NAME)
#undef CONN_NAME
    };
    log_debug(NULL, "PostgreSQL %s: %s -> %s", conn->peer, names[conn->state], names[state]);
    conn->state = state;
}

// Everything but the struct and the parameter arrays.
static void tear_down(struct pg_conn *conn)
{
    loop_unpost(conn->loop, conn);
    for (size_t i = 0; i < conn->n_lookups; i++)
        resolver_cancel(&conn->lookups[i].request);
    timer_stop(&conn->connect_deadline);
    timer_stop(&conn->answer_deadline);
    loop_unwatch(&conn->watch); // before libpq closes the descriptor
    PQfinish(conn->pg);
    conn->pg = NULL;
    dsn_free(&conn->dsn);
}

static void announce_failure(void *owner)
{
    struct pg_conn *conn = owner;
    conn->callbacks.failed(conn->owner, &conn->error);
}

void conn_fail(struct pg_conn *conn, const struct pg_error *error)
{
    if (conn->state == CONN_FAILED || conn->state == CONN_CLOSED)
        return;
    conn->error = *error;
    set_state(conn, CONN_FAILED);
    tear_down(conn);
    loop_post(conn->loop, announce_failure, conn);
}

// --- connecting ---

// The host that libpq got through to.
static void note_peer(struct pg_conn *conn)
{
    const char *host = PQhost(conn->pg);
    if (host != NULL && host[0] != '\0')
        dsn_format_peer(host, PQport(conn->pg), conn->peer, sizeof(conn->peer));
}

static void fail_to_connect(struct pg_conn *conn)
{
    struct pg_error error;
    pg_error_from_connect(PQerrorMessage(conn->pg), &error);
    // libpq gives up by itself where it has no password; the server never says a code then.
    if (error.sqlstate[0] == '\0' && PQconnectionNeedsPassword(conn->pg))
        memcpy(error.sqlstate, "28000", PG_SQLSTATE_SIZE);
    dsn_scrub(conn->dsn, PQpass(conn->pg), error.message);
    conn_fail(conn, &error);
}

static void establish(struct pg_conn *conn)
{
    timer_stop(&conn->connect_deadline);
    note_peer(conn);
    dsn_free(&conn->dsn);
    if (!pipeline_start(conn)) {
        struct pg_error error;
        pg_error_set(&error, "", "libpq refuses pipeline mode");
        conn_fail(conn, &error);
        return;
    }
    set_state(conn, CONN_READY);
    conn->callbacks.connected(conn->owner); // may close
}

static void wait_for(struct pg_conn *conn, unsigned events)
{
    // Another host of the list has another socket, often with the same number.
    if (!loop_watch_update(conn->watch, PQsocket(conn->pg), events)) {
        struct pg_error error;
        pg_error_set(&error, "", "cannot watch the socket: out of descriptors");
        conn_fail(conn, &error);
    }
}

static void poll_connect(struct pg_conn *conn)
{
    switch (PQconnectPoll(conn->pg)) {
    case PGRES_POLLING_READING:
        wait_for(conn, LOOP_READ);
        break;
    case PGRES_POLLING_WRITING:
        wait_for(conn, LOOP_WRITE);
        break;
    case PGRES_POLLING_OK:
        establish(conn);
        break;
    default:
        fail_to_connect(conn);
    }
}

static void on_socket(void *owner, unsigned events)
{
    struct pg_conn *conn = owner;
    if (conn->state == CONN_CONNECTING)
        poll_connect(conn);
    else if (conn->state == CONN_READY)
        pg_pipeline_ready(conn, events);
}

static void start_connecting(struct pg_conn *conn)
{
    struct pg_error error;
    conn->pg = dsn_connect(conn->dsn);
    if (conn->pg == NULL) {
        pg_error_set(&error, "", "%s", conn->lookup_failure);
        conn_fail(conn, &error);
        return;
    }
    set_state(conn, CONN_CONNECTING);
    if (PQstatus(conn->pg) == CONNECTION_BAD) {
        fail_to_connect(conn);
        return;
    }
    PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE); // for the SQLSTATE, see pg/error_priv.h
    PQsetNoticeReceiver(conn->pg, pipeline_notice, conn);
    struct status st;
    conn->watch = loop_watch(conn->loop, PQsocket(conn->pg), LOOP_WRITE, on_socket, conn, &st);
    if (conn->watch == NULL) {
        pg_error_set(&error, "", "%s", st.detail);
        conn_fail(conn, &error);
    }
}

static void on_connect_deadline(void *owner)
{
    struct pg_conn *conn = owner;
    struct pg_error error;
    pg_error_set(&error, "", "%s %s within %.3g s (connect_timeout)",
                 conn->state == CONN_RESOLVING ? "no address for" : "no connection to", conn->peer,
                 (double)conn->connect_timeout_us / US_PER_S);
    conn_fail(conn, &error);
}

// --- names ---

static void on_looked_up(void *owner, const struct resolve_result *result)
{
    struct lookup *lookup = owner;
    struct pg_conn *conn = lookup->conn;
    if (result->code == STATUS_OK) {
        for (size_t i = 0; i < result->count; i++)
            dsn_add_address(conn->dsn, lookup->host, result->addresses[i]);
    } else {
        snprintf(conn->lookup_failure, sizeof(conn->lookup_failure), "%s", result->detail);
    }
    if (--conn->lookups_open == 0)
        start_connecting(conn);
}

// All at once: the deadline is for the whole.
static void look_up(struct pg_conn *conn)
{
    conn->n_lookups = dsn_hosts(conn->dsn);
    conn->lookups = mem_zalloc(conn->n_lookups * sizeof(*conn->lookups));
    for (size_t i = 0; i < conn->n_lookups; i++) {
        struct lookup *lookup = &conn->lookups[i];
        const char *name = dsn_lookup_name(conn->dsn, i);
        *lookup = (struct lookup){.conn = conn, .host = i};
        if (name == NULL)
            continue;
        conn->lookups_open++;
        resolver_start(conn->resolver, name, on_looked_up, lookup, &lookup->request);
    }
    if (conn->lookups_open == 0)
        start_connecting(conn);
}

// --- life ---

static void begin(struct pg_conn *conn, const struct pg_settings *settings)
{
    struct status st;
    const struct dsn_settings ds = {
        .text = settings->dsn != NULL ? settings->dsn : "",
        .application_name = settings->application_name,
        .answer_timeout_us = settings->answer_timeout_us,
    };
    if (dsn_parse(&ds, &conn->dsn, &st) != STATUS_OK) {
        struct pg_error error;
        pg_error_set(&error, "F0000", "%s", st.detail); // a configuration file's error
        conn_fail(conn, &error);
        return;
    }
    dsn_describe(conn->dsn, conn->peer, sizeof(conn->peer));
    if (conn->connect_timeout_us > 0)
        timer_start(&conn->connect_deadline, conn->connect_timeout_us);
    look_up(conn);
}

struct pg_conn *pg_conn_open(struct loop *loop, struct resolver *resolver,
                             const struct pg_settings *settings,
                             const struct pg_callbacks *callbacks, void *owner)
{
    struct pg_conn *conn = mem_zalloc(sizeof(*conn));
    conn->loop = loop;
    conn->resolver = resolver;
    conn->callbacks = *callbacks;
    conn->owner = owner;
    conn->connect_timeout_us = settings->connect_timeout_us;
    conn->answer_timeout_us = settings->answer_timeout_us;
    snprintf(conn->peer, sizeof(conn->peer), "PostgreSQL");
    timer_init(&conn->connect_deadline, loop, "pg connect", on_connect_deadline, conn);
    pipeline_init(conn);
    begin(conn, settings);
    return conn;
}

static void free_conn(void *object)
{
    struct pg_conn *conn = object;
    pipeline_free(conn);
    free(conn->lookups);
    free(conn);
}

void pg_conn_close(struct pg_conn **pointer)
{
    struct pg_conn *conn = *pointer;
    if (conn == NULL)
        return;
    *pointer = NULL;
    set_state(conn, CONN_CLOSED);
    tear_down(conn);
    // A callback of it may be on the stack.
    loop_defer_free(conn->loop, conn, free_conn);
}

bool pg_conn_ready(const struct pg_conn *conn)
{
    return conn->state == CONN_READY && !conn->broken;
}

int pg_conn_server_version(const struct pg_conn *conn)
{
    return conn->pg != NULL ? PQserverVersion(conn->pg) : 0;
}

const char *pg_conn_peer(const struct pg_conn *conn)
{
    return conn->peer;
}
