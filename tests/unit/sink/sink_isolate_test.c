// SPDX-License-Identifier: Apache-2.0
// Batches that the server refuses because of some of their rows.
#include "sink/fixture.h"

#define ROWS 2000

static struct fixture *create(const char *sql)
{
    struct fixture *f = fixture_create(sql);
    f->config.postgres.connections = 1;
    f->config.postgres.batch_events = ROWS;
    f->config.postgres.linger_us = 200 * US_PER_MS; // the whole in one batch
    return f;
}

// ROWS rows, of which those at `bad` violate the check.
static void push_rows(struct fixture *f, const int *bad, size_t n_bad)
{
    for (int i = 0; i < ROWS; i++) {
        bool is_bad = false;
        for (size_t b = 0; b < n_bad; b++)
            is_bad = is_bad || bad[b] == i;
        row(f, "{\"k\":\"%05d\",\"v\":%d}", i, is_bad ? -i - 1 : i);
    }
}

static void test_three_bad(void **state)
{
    (void)state;
    static const int places[][3] = {{0, 1, 2}, {0, 1000, 1999}, {1997, 1998, 1999}, {7, 8, 1234}};
    for (size_t p = 0; p < sizeof(places) / sizeof(*places); p++) {
        struct sink_stats stats;
        struct fixture *f = create("CREATE TABLE t (k text PRIMARY KEY, v int CHECK (v >= 0))");
        push_rows(f, places[p], 3);
        fixture_start(f);
        wait_acked(f);
        assert_query(f, "SELECT count(*), min(v) >= 0 FROM t", "1997|t");
        assert_query(f,
                     "SELECT count(*), count(DISTINCT source_seq), min(reason), max(reason) "
                     "FROM cxsink.dead_letters",
                     "3|3|db.23514|db.23514");
        assert_query(f,
                     "SELECT bool_and(convert_from(payload, 'UTF8')::json->>'v' = "
                     "(-source_seq)::text), bool_and(detail->0->>'sqlstate' = '23514'), "
                     "bool_and(detail->0->>'constraint' = 't_v_check'), "
                     "bool_and(length(detail->0->>'message') > 0) FROM cxsink.dead_letters",
                     "t|t|t|t");
        assert_query(f, "SELECT committed_events FROM cxsink.stream_state", "1997");
        sink_stat(f->sink, &stats);
        assert_int_equal(stats.inserted, 1997);
        assert_int_equal(stats.dead, 3);
        assert_int_equal(stats.batches, 1);
        assert_int_equal(f->dead, 3);
        assert_int_equal(metric_series(METRIC_BATCHES, "isolated", NULL)->value, 1);
        assert_int_equal(metric_series(METRIC_COMMIT_LATENCY, "first", NULL)->count, 1997);
        fixture_destroy(f);
    }
}

static void test_all_bad(void **state)
{
    (void)state;
    struct fixture *f = create("CREATE TABLE t (k text PRIMARY KEY, v int CHECK (v < 0))");
    f->config.postgres.batch_bytes = 60000; // their frames go out in portions
    f->config.postgres.batch_events = 500;
    push_rows(f, NULL, 0);
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM t", "0");
    assert_query(f, "SELECT count(*), sum(source_seq) FROM cxsink.dead_letters", "2000|2001000");
    assert_int_equal(f->dead, ROWS);
    assert_query(f, "SELECT count(*) FROM cxsink.stream_lanes", "0");
    fixture_destroy(f);
}

// Versions of a key around a bad one: the good ones are applied, in order.
static void test_bad_version(void **state)
{
    (void)state;
    struct fixture *f = create("CREATE TABLE t (k text PRIMARY KEY, v int CHECK (v <> 3))");
    for (int v = 1; v <= 5; v++) {
        row(f, "{\"k\":\"a\",\"v\":%d}", v);
        row(f, "{\"k\":\"b%d\",\"v\":%d}", v, v);
    }
    dead_letter(f, "[1,]");
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT k, v FROM t ORDER BY k", "a|5\nb1|1\nb2|2\nb4|4\nb5|5");
    assert_query(f, "SELECT source_seq, reason FROM cxsink.dead_letters ORDER BY 1",
                 "5|db.23514\n6|db.23514\n11|json.syntax");
    fixture_destroy(f);
}

// D15: a second unique constraint, which is not the conflict target.
static void test_other_unique(void **state)
{
    (void)state;
    struct fixture *f = create("CREATE TABLE t (k text PRIMARY KEY, v int UNIQUE)");
    run_sql(f, "INSERT INTO t VALUES ('x', 7)");
    row(f, "{\"k\":\"a\",\"v\":1}");
    row(f, "{\"k\":\"b\",\"v\":7}");
    row(f, "{\"k\":\"c\",\"v\":1}");
    row(f, "{\"k\":\"d\",\"v\":2}");
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT k, v FROM t ORDER BY k", "a|1\nd|2\nx|7");
    assert_query(f, "SELECT source_seq, reason FROM cxsink.dead_letters ORDER BY 1",
                 "2|db.23505\n3|db.23505");
    fixture_destroy(f);
}

static void test_foreign_keys(void **state)
{
    (void)state;
    static const char *const timing[] = {"", " DEFERRABLE INITIALLY DEFERRED"};
    for (size_t i = 0; i < 2; i++) {
        char sql[256];
        snprintf(sql, sizeof(sql),
                 "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);"
                 "CREATE TABLE t (k text PRIMARY KEY, v int REFERENCES parent%s)",
                 timing[i]);
        struct fixture *f = create(sql);
        row(f, "{\"k\":\"a\",\"v\":1}");
        row(f, "{\"k\":\"b\",\"v\":3}");
        row(f, "{\"k\":\"c\",\"v\":2}");
        row(f, "{\"k\":\"d\",\"v\":null}");
        fixture_start(f);
        wait_acked(f);
        assert_query(f, "SELECT k FROM t ORDER BY k", "a\nc\nd");
        assert_query(f, "SELECT source_seq, reason FROM cxsink.dead_letters", "2|db.23503");
        fixture_destroy(f);
    }
}

static void test_deferred_trigger(void **state)
{
    (void)state;
    struct fixture *f = create(
        "CREATE TABLE t (k text PRIMARY KEY, v int);"
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.v = 13 THEN "
        "RAISE 'secret of %', NEW.k; END IF; RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER no AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION no()");
    for (int v = 10; v < 16; v++)
        row(f, "{\"k\":\"key%d\",\"v\":%d}", v, v);
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT count(*) FROM t", "5");
    assert_query(f,
                 "SELECT source_seq, reason, detail::text LIKE '%secret%' "
                 "FROM cxsink.dead_letters",
                 "4|db.P0001|f");
    fixture_destroy(f);
}

// Keys that are one for the server and differ in their bytes (21000): in the order of arrival.
static void test_equal_keys_of_other_bytes(void **state)
{
    (void)state;
    struct fixture *f = create("CREATE TABLE t (k char(5) PRIMARY KEY, v int)");
    row(f, "{\"k\":\"a  \",\"v\":1}");
    row(f, "{\"k\":\"a\",\"v\":2}");
    row(f, "{\"k\":\"b\",\"v\":3}");
    row(f, "{\"k\":\"a \",\"v\":4}");
    row(f, "{\"k\":\"a\",\"v\":5}");
    row(f, "{\"k\":\"a   \",\"v\":6}");
    fixture_start(f);
    wait_acked(f);
    assert_query(f, "SELECT k, v FROM t ORDER BY k", "a    |6\nb    |3");
    assert_query(f, "SELECT count(*) FROM cxsink.dead_letters", "0");
    fixture_destroy(f);
}

static void test_payload_is_gone(void **state)
{
    (void)state;
    struct fixture *f = create("CREATE TABLE t (k text PRIMARY KEY, v int CHECK (v > 0))");
    row(f, "{\"k\":\"unfetchable\",\"v\":0}");
    fixture_start(f);
    wait_acked(f);
    assert_query(f,
                 "SELECT source_seq, payload IS NULL, payload_sha256 IS NULL "
                 "FROM cxsink.dead_letters",
                 "1|t|t");
    fixture_destroy(f);
}

// Something passing fails in the middle of isolation: the whole once more, nothing twice.
static void test_trouble_while_isolating(void **state)
{
    (void)state;
    struct sink_stats stats;
    struct fixture *f =
        create("CREATE TABLE t (k text PRIMARY KEY, v int CHECK (v >= 0)); CREATE SEQUENCE calls;"
               "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
               "IF NEW.k = '00700' AND nextval('calls') = 1 THEN "
               "RAISE 'no' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$;"
               "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()");
    push_rows(f, (const int[]){3, 1500}, 2);
    fixture_start(f);
    wait_acked(f);
    sink_stat(f->sink, &stats);
    assert_int_equal(stats.inserted, 1998);
    assert_int_equal(stats.dead, 2);
    assert_true(stats.retries >= 1);
    assert_query(f, "SELECT count(*) FROM t", "1998");
    assert_query(f, "SELECT count(*) FROM cxsink.dead_letters", "2");
    assert_query(f, "SELECT committed_events FROM cxsink.stream_state", "1998");
    assert_int_equal(f->dead, 2);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_bad),
        cmocka_unit_test(test_all_bad),
        cmocka_unit_test(test_bad_version),
        cmocka_unit_test(test_other_unique),
        cmocka_unit_test(test_foreign_keys),
        cmocka_unit_test(test_deferred_trigger),
        cmocka_unit_test(test_equal_keys_of_other_bytes),
        cmocka_unit_test(test_payload_is_gone),
        cmocka_unit_test(test_trouble_while_isolating),
    };
    return cmocka_run_group_tests(tests, fixture_server_start, fixture_server_stop);
}
