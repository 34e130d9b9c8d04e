// SPDX-License-Identifier: Apache-2.0
// Statements out and results in, over an established connection in pipeline mode.
//
// Results are never handed over from inside a call of the owner or of libpq: whatever may have
// brought input posts pipeline_take(). In nonblocking mode libpq reads while it writes, so that
// poll(2) may not tell of input any more after a flush.
#include "pg/conn_priv.h"

#include "core/log.h"
#include "core/mem.h"
#include "pg/error_priv.h"
#include "pg/result_priv.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

static void pipeline_take(void *owner);

static void post_take(struct pg_conn *conn)
{
    if (conn->posted)
        return;
    conn->posted = true;
    loop_post(conn->loop, pipeline_take, conn);
}

// Marks it; pipeline_take() fails it after what libpq still holds.
static void mark_broken(struct pg_conn *conn)
{
    conn->broken = true;
    post_take(conn);
}

// --- deadline of an answer ---

static void on_answer_deadline(void *owner)
{
    struct pg_conn *conn = owner;
    struct pg_error error;
    pg_error_set(&error, "", "no answer from %s within %.3g s", conn->peer,
                 (double)conn->answer_timeout_us / US_PER_S);
    conn_fail(conn, &error);
}

static void restart_deadline(struct pg_conn *conn)
{
    if (conn->open_syncs > 0 && conn->answer_timeout_us > 0)
        timer_start(&conn->answer_deadline, conn->answer_timeout_us);
    else
        timer_stop(&conn->answer_deadline);
}

// --- writing ---

static void flush(struct pg_conn *conn)
{
    int left = PQflush(conn->pg);
    if (left < 0)
        mark_broken(conn);
    else
        loop_watch_set(conn->watch, left > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void grow_params(struct pg_conn *conn, int n)
{
    if (n <= conn->params.cap)
        return;
    size_t count = (size_t)n;
    conn->params.types = mem_realloc_array(conn->params.types, count, sizeof(unsigned));
    conn->params.values = mem_realloc_array(conn->params.values, count, sizeof(char *));
    conn->params.lengths = mem_realloc_array(conn->params.lengths, count, sizeof(int));
    conn->params.formats = mem_realloc_array(conn->params.formats, count, sizeof(int));
    conn->params.cap = n;
}

bool pg_send(struct pg_conn *conn, const char *sql, const struct pg_param *params, int n)
{
    if (!pg_conn_ready(conn))
        return false;
    grow_params(conn, n);
    for (int i = 0; i < n; i++) {
        conn->params.types[i] = params[i].type;
        conn->params.values[i] = params[i].data;
        conn->params.lengths[i] = params[i].length;
        conn->params.formats[i] = params[i].format;
    }
    if (!PQsendQueryParams(conn->pg, sql, n, conn->params.types, conn->params.values,
                           conn->params.lengths, conn->params.formats, 0)) {
        mark_broken(conn);
        return false;
    }
    conn->unanswered++;
    return true;
}

bool pg_sync(struct pg_conn *conn)
{
    if (!pg_conn_ready(conn))
        return false;
    if (!PQpipelineSync(conn->pg)) {
        mark_broken(conn);
        return false;
    }
    conn->unanswered++;
    if (conn->open_syncs++ == 0)
        restart_deadline(conn);
    flush(conn);
    post_take(conn);
    return !conn->broken;
}

// --- reading ---

void pipeline_notice(void *owner, const PGresult *result)
{
    struct pg_conn *conn = owner;
    struct pg_error notice;
    pg_error_from_result(result, &notice);
    log_debug(NULL, "PostgreSQL %s says %s: %s", conn->peer, notice.sqlstate, notice.message);
    // A session that the server ends while nothing runs is told as a notice; a crash of another
    // backend (57P02) even as a warning.
    bool fatal = pg_error_is_fatal(result);
    if (fatal || strncmp(notice.sqlstate, "57P", 3) == 0)
        conn->reason = notice;
    conn->ending |= fatal;
}

// Input is there that libpq does not see: it read less than what OpenSSL had decrypted, and the
// socket will not tell (records over 8 KiB, as from a pooler).
static bool decrypted_input(PGconn *pg)
{
    SSL *ssl = PQsslStruct(pg, "OpenSSL");
    return ssl != NULL && SSL_pending(ssl) > 0;
}

static bool is_busy(struct pg_conn *conn)
{
    while (PQisBusy(conn->pg)) {
        if (!decrypted_input(conn->pg))
            return true;
        if (!PQconsumeInput(conn->pg)) {
            conn->broken = true;
            return true;
        }
    }
    return false;
}

static void hand_over_error(struct pg_conn *conn, const PGresult *result)
{
    struct pg_error error;
    pg_error_from_result(result, &error);
    if (pg_error_is_fatal(result)) { // told by `failed`
        conn->reason = error;
        conn->ending = true;
        return;
    }
    if (error.sqlstate[0] == '\0') { // libpq's own: the connection went
        conn->broken = true;
        return;
    }
    conn->callbacks.result(conn->owner, result_of(result), &error);
}

static void hand_over(struct pg_conn *conn, const PGresult *result)
{
    static const struct pg_error skipped = {.message =
                                                "skipped because an earlier statement failed"};
    ExecStatusType status = PQresultStatus(result);
    conn->unanswered--;
    conn->open_syncs -= status == PGRES_PIPELINE_SYNC;
    restart_deadline(conn);
    switch (status) {
    case PGRES_PIPELINE_SYNC:
        conn->callbacks.synced(conn->owner);
        break;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        conn->callbacks.result(conn->owner, result_of(result), NULL);
        break;
    case PGRES_PIPELINE_ABORTED:
        conn->callbacks.result(conn->owner, result_of(result), &skipped);
        break;
    default:
        hand_over_error(conn, result);
    }
}

static void fail_broken(struct pg_conn *conn)
{
    struct pg_error error = conn->reason;
    if (error.sqlstate[0] == '\0')
        pg_error_from_broken(PQerrorMessage(conn->pg), &error);
    conn_fail(conn, &error);
}

// A callback may close.
static void hand_over_notifications(struct pg_conn *conn)
{
    PGnotify *notify;
    while (conn->state == CONN_READY && (notify = PQnotifies(conn->pg)) != NULL) {
        if (conn->callbacks.notified != NULL)
            conn->callbacks.notified(conn->owner, notify->relname, notify->extra);
        PQfreemem(notify);
    }
}

// Hands over all that is there. A callback may send, sync or close.
static void pipeline_take(void *owner)
{
    struct pg_conn *conn = owner;
    conn->posted = false;
    // A statement's results end with one NULL; two in a row mean that libpq waits for nothing.
    for (int nulls = 0; conn->state == CONN_READY && !conn->ending && conn->unanswered > 0;) {
        if (is_busy(conn))
            break;
        PGresult *result = PQgetResult(conn->pg);
        nulls = result == NULL ? nulls + 1 : 0;
        if (nulls > 1)
            break;
        if (result != NULL)
            hand_over(conn, result);
        PQclear(result);
    }
    if (conn->state != CONN_READY)
        return;
    PQisBusy(conn->pg); // parses notices and notifications that came while nothing runs
    hand_over_notifications(conn);
    if (conn->state != CONN_READY)
        return;
    if (conn->ending || conn->broken || PQstatus(conn->pg) == CONNECTION_BAD)
        fail_broken(conn);
}

void pg_pipeline_ready(struct pg_conn *conn, unsigned events)
{
    if ((events & LOOP_READ) && !PQconsumeInput(conn->pg))
        conn->broken = true;
    restart_deadline(conn); // it moves
    flush(conn);
    post_take(conn);
}

// --- life ---

void pipeline_init(struct pg_conn *conn)
{
    timer_init(&conn->answer_deadline, conn->loop, "pg answer", on_answer_deadline, conn);
}

bool pipeline_start(struct pg_conn *conn)
{
    // From now on libpq's error text may hold statements' errors: only their codes.
    PQsetErrorVerbosity(conn->pg, PQERRORS_SQLSTATE);
    return PQsetnonblocking(conn->pg, 1) == 0 && PQenterPipelineMode(conn->pg) == 1 &&
           loop_watch_update(conn->watch, PQsocket(conn->pg), LOOP_READ);
}

void pipeline_free(struct pg_conn *conn)
{
    free(conn->params.types);
    free(conn->params.values);
    free(conn->params.lengths);
    free(conn->params.formats);
}
