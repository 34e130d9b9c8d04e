// SPDX-License-Identifier: Apache-2.0
// The sink on a good day: what is written, in which order, and what it counts and tells.
#include "sink/fixture.h"

static const char plain_table[] = "CREATE TABLE t (k text PRIMARY KEY, v int)";

static void test_inserts_and_updates(void **state)
{
    (void)state;
    struct sink_stats stats;
    struct fixture *f = fixture_create(plain_table);
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    row(f, "{\"k\":\"b\",\"v\":2}");
    row(f, "{\"k\":\"c\"}");
    wait_acked(f);
    assert_query(f, "SELECT * FROM t ORDER BY k", "a|1\nb|2\nc|");
    row(f, "{\"k\":\"a\",\"v\":1}");
    row(f, "{\"k\":\"b\",\"v\":3}");
    wait_acked(f);
    assert_query(f, "SELECT * FROM t ORDER BY k", "a|1\nb|3\nc|");
    sink_stat(f->sink, &stats);
    assert_int_equal(stats.inserted, 3);
    assert_int_equal(stats.updated, 1);
    assert_int_equal(stats.unchanged, 1);
    assert_int_equal(stats.dead, 0);
    assert_int_equal(stats.retries, 0);
    assert_int_equal(stats.connections_ready, 2);
    assert_int_equal(stats.open_events + stats.in_flight_events, 0);
    assert_int_equal(f->restarts, 1);
    assert_query(f, "SELECT stream, committed_events FROM cxsink.stream_state", "first|5");
    assert_query(f,
                 "SELECT last_event_at BETWEEN now() - interval '1 minute' AND now() "
                 "FROM cxsink.stream_state",
                 "t");
    fixture_destroy(f);
}

static double value(enum metric metric, const char *a, const char *b)
{
    return metric_series(metric, a, b)->value;
}

static void test_metrics(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    row(f, "{\"k\":\"b\",\"v\":1}")->stream = "second";
    row(f, "{\"k\":\"a\",\"v\":2}")->stream = "second";
    row(f, "{\"k\":\"c\",\"v\":1}")->received_us += US_PER_S * 3600; // the clock was set back
    dead_letter(f, "{,}");
    wait_acked(f);
    assert_int_equal(value(METRIC_EVENTS_COMMITTED, "first", "inserted"), 2);
    assert_int_equal(value(METRIC_EVENTS_COMMITTED, "second", "inserted"), 1);
    assert_int_equal(value(METRIC_EVENTS_COMMITTED, "second", "updated"), 1);
    assert_int_equal(value(METRIC_EVENTS_COMMITTED, "second", "unchanged"), 0);
    assert_int_equal(metric_series(METRIC_COMMIT_LATENCY, "first", NULL)->count, 2);
    assert_int_equal(metric_series(METRIC_COMMIT_LATENCY, "second", NULL)->count, 2);
    struct metric_series *events = metric_series(METRIC_BATCH_EVENTS, NULL, NULL);
    assert_int_equal(events->sum, 5);
    assert_int_equal(value(METRIC_BATCHES, "committed", NULL), events->count);
    assert_int_equal(metric_series(METRIC_BATCH_SECONDS, NULL, NULL)->count, events->count);
    assert_int_equal(value(METRIC_PG_CONNECTIONS, "idle", NULL), 2);
    fixture_destroy(f);
}

// D1, D2: duplicates within a batch, in the order of arrival.
static void test_duplicates(void **state)
{
    (void)state;
    struct sink_stats stats;
    struct fixture *f = fixture_create(plain_table);
    for (int v = 1; v <= 20; v++) {
        row(f, "{\"k\":\"a\",\"v\":%d}", v);
        row(f, "{\"k\":\"b%d\",\"v\":%d}", v % 4, v);
    }
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT k, v FROM t ORDER BY k", "a|20\nb0|20\nb1|17\nb2|18\nb3|19");
    sink_stat(f->sink, &stats);
    assert_int_equal(stats.inserted, 5);
    assert_int_equal(stats.updated, 35);
    assert_int_equal(stats.retries, 0);
    fixture_destroy(f);
}

static void test_newest_by(void **state)
{
    (void)state;
    static const char *const columns[] = {"*k", "at", "v", NULL};
    static const char *const keys[] = {"newer", "older", "equal", "null-then", "then-null"};
    static const char *const first[] = {"\"2025-01-02T00:00:00Z\"", "\"2025-01-02T00:00:00Z\"",
                                        "\"2025-01-02T00:00:00Z\"", "null",
                                        "\"2025-01-02T00:00:00Z\""};
    static const char *const second[] = {"\"2025-01-03T00:00:00Z\"", "\"2025-01-01T00:00:00Z\"",
                                         "\"2025-01-02T00:00:00Z\"", "\"2025-01-01T00:00:00Z\"",
                                         "null"};
    static const char expected[] = "equal|2\nnewer|2\nnull-then|2\nolder|1\nthen-null|1";
    // In one batch, and in two.
    for (int batches = 1; batches <= 2; batches++) {
        struct fixture *f = fixture_create(
            "CREATE TABLE t (k text PRIMARY KEY, at timestamptz, v int, touched timestamptz)");
        fixture_table(f, 0, "t", columns);
        f->tables[0].newest_by = 1;
        f->tables[0].touch = (char *)(uintptr_t) "touched";
        fixture_start(f);
        for (size_t i = 0; i < 5; i++)
            row(f, "{\"k\":\"%s\",\"at\":%s,\"v\":1}", keys[i], first[i]);
        if (batches == 2)
            wait_acked(f);
        for (size_t i = 0; i < 5; i++)
            row(f, "{\"k\":\"%s\",\"at\":%s,\"v\":2}", keys[i], second[i]);
        wait_acked(f);
        assert_query(f, "SELECT k, v FROM t ORDER BY k", expected);
        assert_query(f, "SELECT count(touched) FROM t WHERE (touched IS NULL) = (v = 1)", "3");
        fixture_destroy(f);
    }
}

// D3: every column is in the key, nothing to update.
static void test_only_a_key(void **state)
{
    (void)state;
    struct sink_stats stats;
    struct fixture *f = fixture_create("CREATE TABLE t (k text, v int, PRIMARY KEY (k, v))");
    f->keys[0][1] = 1;
    f->tables[0].n_key = 2;
    f->tables[0].n_update = 0;
    fixture_start(f);
    for (int i = 0; i < 6; i++)
        row(f, "{\"k\":\"a\",\"v\":%d}", i % 3);
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM t", "3");
    sink_stat(f->sink, &stats);
    assert_int_equal(stats.inserted, 3);
    assert_int_equal(stats.unchanged, 3);
    fixture_destroy(f);
}

static void test_awkward_names(void **state)
{
    (void)state;
    static const char *const columns[] = {"*Key Of", "say \"hi\"", "select", "t", "EXCLUDED", NULL};
    struct fixture *f = fixture_create(
        "CREATE SCHEMA \"My Schema\"; CREATE TABLE \"My Schema\".\"ta\"\"ble\" (\"Key Of\" text "
        "PRIMARY KEY, \"say \"\"hi\"\"\" int, \"select\" int, t int, \"EXCLUDED\" int, "
        "\"When Touched\" timestamptz)");
    fixture_table(f, 0, "ta\"ble", columns);
    f->tables[0].schema = (char *)(uintptr_t) "My Schema";
    f->tables[0].newest_by = 2;
    f->tables[0].touch = (char *)(uintptr_t) "When Touched";
    fixture_start(f);
    row(f, "{\"Key Of\":\"a\",\"say \\\"hi\\\"\":1,\"select\":2,\"t\":3,\"EXCLUDED\":4}");
    row(f, "{\"Key Of\":\"a\",\"say \\\"hi\\\"\":5,\"select\":6,\"t\":7,\"EXCLUDED\":8}");
    wait_acked(f);
    assert_query(f,
                 "SELECT \"Key Of\", \"say \"\"hi\"\"\", \"select\", t, \"EXCLUDED\", "
                 "\"When Touched\" IS NOT NULL FROM \"My Schema\".\"ta\"\"ble\"",
                 "a|5|6|7|8|t");
    fixture_destroy(f);
}

static void test_partitioned(void **state)
{
    (void)state;
    struct sink_stats stats;
    struct fixture *f =
        fixture_create("CREATE TABLE t (k text PRIMARY KEY, v int) PARTITION BY HASH (k);"
                       "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
                       "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)");
    fixture_start(f);
    for (int i = 0; i < 30; i++)
        row(f, "{\"k\":\"%d\",\"v\":%d}", i % 10, i / 20);
    wait_acked(f);
    assert_query(f, "SELECT count(*), sum(v) FROM t", "10|10");
    sink_stat(f->sink, &stats);
    assert_int_equal(stats.updated, 20); // the server does not tell which were new
    assert_int_equal(stats.unchanged, 10);
    assert_int_equal(stats.retries, 0);
    fixture_destroy(f);
}

// Types that travel as text, modifiers and domains that must not cut anything off, and json, which
// has no equality.
static void test_types(void **state)
{
    (void)state;
    static const char *const columns[] = {"*k", "n", "b", "e", "l", "d", "i", "j", NULL};
    struct fixture *f = fixture_create(
        "CREATE TYPE mood AS ENUM ('good', 'bad');"
        "CREATE DOMAIN short AS varchar(3);"
        "CREATE TABLE t (k char(4) PRIMARY KEY, n numeric(6,2), b bit(3), e mood, l text[], "
        "d short, i interval, j json)");
    fixture_table(f, 0, "t", columns);
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"n\":12.345,\"b\":\"101\",\"e\":\"good\",\"l\":\"{x,y}\",\"d\":\"abc\","
           "\"i\":\"1 day\",\"j\":{\"x\":[1,2]}}");
    row(f, "{\"k\":\"a\",\"n\":-1,\"b\":\"001\",\"e\":\"bad\",\"l\":\"{}\",\"d\":\"a\","
           "\"i\":\"00:00:01\",\"j\":null}");
    row(f, "{\"k\":\"bits\",\"b\":\"1010\"}"); // too long for bit(3)
    row(f, "{\"k\":\"mood\",\"e\":\"ugly\"}");
    row(f, "{\"k\":\"long\",\"d\":\"abcd\"}"); // too long for the domain
    row(f, "{\"k\":\"fine\"}");
    wait_acked(f);
    assert_query(f, "SELECT k, n, b, e, l, d, i FROM t ORDER BY k",
                 "a   |-1.00|001|bad|{}|a|00:00:01\nfine||||||");
    assert_query(f,
                 "SELECT json(payload)->>'k' FROM (SELECT convert_from(payload, 'UTF8')::json "
                 "AS payload FROM cxsink.dead_letters) d ORDER BY 1",
                 "bits\nlong\nmood");
    fixture_destroy(f);
}

static void test_two_tables(void **state)
{
    (void)state;
    static const char *const columns[] = {"*k", "w", NULL};
    struct fixture *f = fixture_create("CREATE TABLE t (k text PRIMARY KEY, v int);"
                                       "CREATE TABLE u (k text PRIMARY KEY, w jsonb)");
    fixture_table(f, 1, "u", columns);
    f->config.n_tables = 2;
    f->streams[1].table = 1;
    fixture_start(f);
    for (int i = 0; i < 100; i++) {
        row(f, "{\"k\":\"%d\",\"v\":%d}", i, i);
        row(f, "{\"k\":\"%d\",\"w\":{\"n\":%d}}", i, i)->stream = "second";
    }
    wait_acked(f);
    assert_query(f, "SELECT count(*), sum(v) FROM t", "100|4950");
    assert_query(f, "SELECT count(*), sum((w->>'n')::int) FROM u", "100|4950");
    assert_query(f, "SELECT stream, committed_events FROM cxsink.stream_state ORDER BY 1",
                 "first|100\nsecond|100");
    fixture_destroy(f);
}

static void test_dead_letters(void **state)
{
    (void)state;
    struct sink_stats stats;
    struct fixture *f = fixture_create(plain_table);
    dead_letter(f, "[1,]");
    row(f, "{\"k\":\"a\",\"v\":1}");
    dead_letter(f, "")->detail = "";          // an empty message
    dead_letter(f, "x")->detail = "not JSON"; // cannot be stored as it is, and stops nothing
    fixture_start(f);
    wait_acked(f);
    assert_query(f,
                 "SELECT source, source_seq, stream, reason, convert_from(payload, 'UTF8'), "
                 "payload_sha256 = sha256(payload) FROM cxsink.dead_letters ORDER BY source_seq",
                 "01020300-0000-0000-0000-000000000000|1|first|json.syntax|[1,]|t\n"
                 "01020300-0000-0000-0000-000000000000|3|first|json.syntax||t\n"
                 "01020300-0000-0000-0000-000000000000|4|first|json.syntax|x|t");
    assert_query(f, "SELECT detail FROM cxsink.dead_letters WHERE source_seq = 4", "[]");
    assert_query(f,
                 "SELECT count(*) FROM cxsink.dead_letters WHERE abs(extract(epoch FROM now() - "
                 "received_at)) < 60",
                 "3");
    sink_stat(f->sink, &stats);
    assert_int_equal(stats.dead, 3);
    assert_int_equal(f->dead, 3);
    assert_true(f->dead_id > 0);
    assert_string_equal(f->dead_reason, "json.syntax");
    fixture_destroy(f);
}

static void test_replay(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    for (int i = 0; i < 3; i++)
        dead_letter(f, "[1,]");
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT min(id), max(id) FROM cxsink.dead_letters", "1|3");
    // 1 becomes a row, 2 is as bad as before, 3 is refused by the database now.
    run_sql(f, "ALTER TABLE t ADD CHECK (v < 10)");
    row(f, "{\"k\":\"a\",\"v\":1}")->dead_id = 1;
    dead_letter(f, "[1,]")->dead_id = 2;
    row(f, "{\"k\":\"b\",\"v\":10}")->dead_id = 3;
    wait_acked(f);
    assert_query(f,
                 "SELECT id, replayed_at IS NOT NULL, reason FROM cxsink.dead_letters ORDER BY 1",
                 "1|t|json.syntax\n2|f|json.syntax\n3|f|db.23514");
    assert_query(f, "SELECT * FROM t", "a|1");
    assert_int_equal(f->dead, 5);
    fixture_destroy(f);
}

// Written again after an unknown outcome: the same dead letter, once.
static void test_dead_letter_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    dead_letter(f, "[1,]");
    fixture_start(f);
    wait_acked(f);
    sink_reconfigure(f->sink, &f->config);
    f->acked = 0; // as after a restart of the daemon whose ack was lost
    sink_destroy(&f->sink);
    fixture_start(f);
    f->next = 0;
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM cxsink.dead_letters", "1");
    assert_int_equal(f->dead, 1);
    fixture_destroy(f);
}

// Bounds: a full lane says busy, and says when there is room.
static void test_many(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    f->config.postgres.connections = 3;
    for (int i = 0; i < 5000; i++)
        row(f, "{\"k\":\"%d\",\"v\":%d}", i % 3000, i);
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT count(*), sum(v) FROM t", "3000|10498500");
    assert_true(f->acks > 5);
    fixture_destroy(f);
}

static void test_bytes_close_a_batch(void **state)
{
    (void)state;
    char filler[10001];
    struct fixture *f = fixture_create("CREATE TABLE t (k text PRIMARY KEY, v text)");
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    f->config.postgres.connections = 1;
    f->config.postgres.batch_bytes = 50000;
    f->config.postgres.linger_us = 60 * US_PER_S;
    for (int i = 0; i < 15; i++)
        row(f, "{\"k\":\"%d\",\"v\":\"%s\"}", i, filler);
    fixture_start(f);
    wait_acked(f); // three times five; linger would be too late
    assert_int_equal(metric_series(METRIC_BATCH_EVENTS, NULL, NULL)->count, 3);
    fixture_destroy(f);
}

static void test_flush(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    f->config.postgres.linger_us = 3600 * US_PER_S;
    row(f, "{\"k\":\"a\",\"v\":1}");
    fixture_start(f);
    wait_until(f, f->next == 1 && sink_state(f->sink) == SINK_READY);
    assert_false(sink_idle(f->sink));
    sink_flush(f->sink);
    wait_acked(f);
    sink_flush(f->sink); // nothing to send
    assert_true(sink_idle(f->sink));
    fixture_destroy(f);
}

static void test_linger(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    f->config.postgres.linger_us = 0;
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    wait_acked(f);
    for (int i = 0; i < 20; i++) {
        row(f, "{\"k\":\"a\",\"v\":%d}", i);
        wait_acked(f);
    }
    fixture_destroy(f);
}

// A row of another shape than the table's cannot come; should it, it takes nothing down.
static void test_misshapen_row(void **state)
{
    (void)state;
    struct fixture *f = fixture_create(plain_table);
    struct buf cells = {0};
    fixture_start(f);
    row(f, "{\"k\":\"a\",\"v\":1}");
    wait_acked(f);
    f->paused = true;
    row(f, "{\"k\":\"b\",\"v\":1}"); // only for its payload
    buf_append(&cells, "\0\0\0\1x", 5);
    struct sink_origin origin = {.seq = 2, .stream = "first"};
    assert_int_equal(sink_push_row(f->sink, 0, &origin, 1, &cells), SINK_TAKEN);
    assert_int_equal(sink_push_row(f->sink, 9, &origin, 1, &cells), SINK_BUSY); // no such table
    wait_acked(f);
    assert_query(f, "SELECT reason, convert_from(payload, 'UTF8') FROM cxsink.dead_letters",
                 "db.XX000|{\"k\":\"b\",\"v\":1}");
    buf_deinit(&cells);
    fixture_destroy(f);
}

// Lane 1 cannot commit: what lane 0 committed behind it is not acknowledged.
static void test_ack_order(void **state)
{
    (void)state;
    struct sink_stats stats;
    struct fixture *f = fixture_create(plain_table);
    run_sql(f, "INSERT INTO t VALUES ('held', 0)");
    PGconn *other = PQconnectdb(f->dsn);
    PQclear(PQexec(other, "BEGIN; UPDATE t SET v = 1 WHERE k = 'held'"));
    row(f, "{\"k\":\"0\",\"v\":1}");
    row(f, "{\"k\":\"held\",\"v\":2}");
    for (int i = 1; i < 50; i++)
        row(f, "{\"k\":\"%d\",\"v\":1}", i);
    fixture_start(f);
    wait_until(f, sink_state(f->sink) == SINK_READY && f->next == 51);
    sink_flush(f->sink);
    sink_stat(f->sink, &stats);
    wait_until(f, (sink_stat(f->sink, &stats), stats.batches == 1));
    for (int i = 0; i < 20; i++)
        loop_turn(f->loop, true);
    assert_true(f->acked <= 1);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    wait_acked(f);
    assert_query(f, "SELECT v FROM t WHERE k = 'held'", "2");
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inserts_and_updates),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_newest_by),
        cmocka_unit_test(test_only_a_key),
        cmocka_unit_test(test_awkward_names),
        cmocka_unit_test(test_partitioned),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_two_tables),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_dead_letter_once),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_bytes_close_a_batch),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_misshapen_row),
        cmocka_unit_test(test_ack_order),
    };
    return cmocka_run_group_tests(tests, fixture_server_start, fixture_server_stop);
}
