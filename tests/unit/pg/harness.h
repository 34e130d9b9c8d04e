// SPDX-License-Identifier: Apache-2.0
// A loop, a resolver, a private server, and a connection whose events are recorded.
#ifndef CXSINK_TESTS_PG_HARNESS_H
#define CXSINK_TESTS_PG_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>

#include "core/loop.h"
#include "core/mem.h"
#include "net/resolve.h"
#include "pg/conn.h"
#include "support/pg_server.h"
#include "support/patience.h"

#define HARNESS_MAX 64

struct outcome {
    struct pg_error error; // of a statement; zeros when it succeeded
    char text[128];        // first field of the first row
    char tag[32];
    int rows;
};

enum close_in { CLOSE_NOWHERE, CLOSE_CONNECTED, CLOSE_RESULT, CLOSE_SYNCED, CLOSE_NOTIFIED };

struct harness {
    struct loop *loop;
    struct resolver *resolver;
    struct pg_conn *conn;
    int connected, results, synced, failed, notified;
    struct outcome outcomes[HARNESS_MAX];
    struct pg_error failure;
    char notices[256]; // "channel=payload;" of each notification
    enum close_in close_in;
};

static struct pg_server *server;

static PG_SERVER_UNUSED int start_server(void **state)
{
    (void)state;
    server = pg_server_start();
    return 0;
}

static PG_SERVER_UNUSED int stop_server(void **state)
{
    (void)state;
    pg_server_stop(&server);
    return 0;
}

static PG_SERVER_UNUSED int set_up(void **state)
{
    struct status st;
    struct harness *h = mem_zalloc(sizeof(*h));
    h->loop = loop_create(&st);
    assert_non_null(h->loop);
    h->resolver = resolver_create(h->loop, &st);
    assert_non_null(h->resolver);
    *state = h;
    return 0;
}

static PG_SERVER_UNUSED int tear_down(void **state)
{
    struct harness *h = *state;
    pg_conn_close(&h->conn);
    resolver_destroy(&h->resolver);
    loop_destroy(&h->loop);
    free(h);
    return 0;
}

static void harness_connected(void *owner)
{
    struct harness *h = owner;
    h->connected++;
    if (h->close_in == CLOSE_CONNECTED)
        pg_conn_close(&h->conn);
}

static void harness_result(void *owner, const struct pg_result *result,
                           const struct pg_error *error)
{
    struct harness *h = owner;
    struct outcome *o = &h->outcomes[h->results++ % HARNESS_MAX];
    *o = (struct outcome){.rows = pg_result_rows(result)};
    if (error != NULL)
        o->error = *error;
    if (o->rows > 0)
        snprintf(o->text, sizeof(o->text), "%s", pg_result_text(result, 0, 0));
    snprintf(o->tag, sizeof(o->tag), "%s", pg_result_tag(result));
    if (h->close_in == CLOSE_RESULT)
        pg_conn_close(&h->conn);
}

static void harness_synced(void *owner)
{
    struct harness *h = owner;
    h->synced++;
    if (h->close_in == CLOSE_SYNCED)
        pg_conn_close(&h->conn);
}

// Closes, as an owner does.
static void harness_failed(void *owner, const struct pg_error *error)
{
    struct harness *h = owner;
    h->failed++;
    h->failure = *error;
    assert_false(pg_conn_ready(h->conn));
    assert_false(pg_send(h->conn, "SELECT 1", NULL, 0));
    assert_false(pg_sync(h->conn));
    pg_conn_close(&h->conn);
}

static void harness_notified(void *owner, const char *channel, const char *payload)
{
    struct harness *h = owner;
    size_t used = strlen(h->notices);
    h->notified++;
    snprintf(h->notices + used, sizeof(h->notices) - used, "%s=%s;", channel, payload);
    if (h->close_in == CLOSE_NOTIFIED)
        pg_conn_close(&h->conn);
}

static PG_SERVER_UNUSED void open_with(struct harness *h, const char *dsn, int64_t connect_us,
                                       int64_t answer_us)
{
    static const struct pg_callbacks callbacks = {.connected = harness_connected,
                                                  .result = harness_result,
                                                  .synced = harness_synced,
                                                  .failed = harness_failed,
                                                  .notified = harness_notified};
    const struct pg_settings settings = {.dsn = dsn,
                                         .application_name = "cxsink-test",
                                         .connect_timeout_us = connect_us,
                                         .answer_timeout_us = answer_us};
    h->connected = h->results = h->synced = h->failed = h->notified = 0;
    h->notices[0] = '\0';
    h->conn = pg_conn_open(h->loop, h->resolver, &settings, &callbacks, h);
    assert_non_null(h->conn);
    assert_int_equal(h->connected + h->failed, 0); // never before it returns
}

static PG_SERVER_UNUSED void turn(struct harness *h)
{
    struct timespec pause = {.tv_nsec = 200 * 1000};
    loop_turn(h->loop, false);
    nanosleep(&pause, NULL);
}

// Turns until *count reaches `want`; false at the deadline.
static PG_SERVER_UNUSED bool turn_until(struct harness *h, const int *count, int want)
{
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    while (*count < want && mono_read().us < end.us)
        turn(h);
    return *count >= want;
}

static PG_SERVER_UNUSED void must_connect(struct harness *h, const char *dsn)
{
    open_with(h, dsn, PATIENCE_US, PATIENCE_US);
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    while (h->connected + h->failed == 0 && mono_read().us < end.us)
        turn(h);
    if (h->connected == 0)
        print_error("%s\n", h->failure.message);
    assert_int_equal(h->connected, 1);
}

static PG_SERVER_UNUSED void must_fail(struct harness *h, const char *dsn)
{
    open_with(h, dsn, PATIENCE_US, PATIENCE_US);
    assert_true(turn_until(h, &h->failed, 1));
    assert_int_equal(h->connected, 0);
}

// One statement and its sync; its outcome.
static PG_SERVER_UNUSED const struct outcome *query(struct harness *h, const char *sql)
{
    int result = h->results;
    assert_true(pg_send(h->conn, sql, NULL, 0));
    assert_true(pg_sync(h->conn));
    assert_true(turn_until(h, &h->synced, h->synced + 1));
    assert_int_equal(h->results, result + 1);
    return &h->outcomes[result % HARNESS_MAX];
}

// Runs SQL as the superuser, over a connection of its own.
static PG_SERVER_UNUSED void admin(const char *sql)
{
    char *text = pg_server_query(server, sql);
    assert_int_not_equal(strncmp(text, "ERROR", 5), 0);
    free(text);
}

static PG_SERVER_UNUSED int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

#endif
