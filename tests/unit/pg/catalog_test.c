// SPDX-License-Identifier: Apache-2.0
// What the catalog tells of real tables, and every fault between mapping and table.
#include "config/load.h"
#include "pg/catalog.h"
#include "pg/harness.h"

#define TABLE_COLUMNS 8

// A mapping written in one line: columns by name, key and update by index.
struct mapped {
    struct config_table table;
    struct config_column columns[TABLE_COLUMNS];
    size_t key[TABLE_COLUMNS], update[TABLE_COLUMNS];
};

static void map(struct mapped *m, const char *schema, const char *table, const char *columns)
{
    memset(m, 0, sizeof(*m));
    m->table = (struct config_table){.name = (char *)(uintptr_t)table,
                                     .schema = (char *)(uintptr_t)schema,
                                     .table = (char *)(uintptr_t)table,
                                     .columns = m->columns,
                                     .key = m->key,
                                     .n_key = 1,
                                     .update = m->update,
                                     .newest_by = CONFIG_NONE};
    while (*columns != '\0') {
        size_t length = strcspn(columns, ",");
        m->columns[m->table.n_columns++].name = mem_strndup(columns, length);
        columns += length + (columns[length] == ',');
    }
    for (size_t i = 1; i < m->table.n_columns; i++)
        m->update[m->table.n_update++] = i;
}

static void unmap(struct mapped *m)
{
    for (size_t i = 0; i < m->table.n_columns; i++)
        free(m->columns[i].name);
}

// --- reading, with the connection's owner as it is in the product ---

struct reader {
    struct harness *h;
    struct pg_conn *conn;
    const struct config_table *config;
    struct catalog_table table;
    struct status st;
    enum status_code code;
    int done;
};

static void reader_connected(void *owner)
{
    struct reader *r = owner;
    assert_true(catalog_send(r->conn, r->config));
    assert_true(pg_sync(r->conn));
}

static void reader_result(void *owner, const struct pg_result *result, const struct pg_error *error)
{
    struct reader *r = owner;
    if (error != NULL)
        fail_msg("%s %s", error->sqlstate, error->message);
    r->code = catalog_read(result, r->config, &r->table, &r->st);
}

static void reader_synced(void *owner)
{
    struct reader *r = owner;
    r->done++;
}

static void reader_failed(void *owner, const struct pg_error *error)
{
    (void)owner;
    fail_msg("%s", error->message);
}

// Reads as `role` (NULL: the superuser).
static void read_as(struct harness *h, const char *role, const struct mapped *m, struct reader *r)
{
    static const struct pg_callbacks callbacks = {.connected = reader_connected,
                                                  .result = reader_result,
                                                  .synced = reader_synced,
                                                  .failed = reader_failed};
    char dsn[256];
    snprintf(dsn, sizeof(dsn), "host=%s port=%d dbname=postgres user=%s", server->dir, server->port,
             role != NULL ? role : "postgres");
    const struct pg_settings settings = {
        .dsn = dsn, .connect_timeout_us = PATIENCE_US, .answer_timeout_us = PATIENCE_US};
    *r = (struct reader){.h = h, .config = &m->table, .code = STATUS_INTERNAL};
    r->conn = pg_conn_open(h->loop, h->resolver, &settings, &callbacks, r);
    assert_true(turn_until(h, &r->done, 1));
    pg_conn_close(&r->conn);
}

static void read_table(struct harness *h, const struct mapped *m, struct reader *r)
{
    read_as(h, NULL, m, r);
}

// --- faults ---

struct faults {
    size_t count;
    char message[16][STATUS_DETAIL_MAX];
    char sql[16][STATUS_DETAIL_MAX];
};

static void add_fault(void *owner, const char *message, const char *sql)
{
    struct faults *f = owner;
    assert_in_range(f->count, 0, 15);
    snprintf(f->message[f->count], STATUS_DETAIL_MAX, "%s", message);
    snprintf(f->sql[f->count], STATUS_DETAIL_MAX, "%s", sql != NULL ? sql : "");
    f->count++;
}

static void check(const struct reader *r, struct faults *f)
{
    f->count = 0;
    size_t told = catalog_check(&r->table, r->config, add_fault, f);
    assert_int_equal(told, f->count);
}

// The one fault, whose SQL mends it: runs it, reads again, and finds none.
static void assert_mends(struct harness *h, const struct mapped *m, const char *word,
                         const char *sql)
{
    struct reader r;
    struct faults f;
    read_table(h, m, &r);
    check(&r, &f);
    catalog_table_deinit(&r.table);
    if (f.count != 1 || strstr(f.message[0], word) == NULL)
        fail_msg("%zu faults, first: %s", f.count, f.count > 0 ? f.message[0] : "");
    assert_string_equal(f.sql[0], sql);
    admin(f.sql[0]);
    read_table(h, m, &r);
    check(&r, &f);
    catalog_table_deinit(&r.table);
    assert_int_equal(f.count, 0);
}

static void test_reads_columns(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    struct reader r;
    admin("CREATE DOMAIN short AS varchar(10) NOT NULL DEFAULT 'x'; CREATE DOMAIN shorter AS short;"
          "CREATE TYPE mood AS ENUM ('a'); CREATE TYPE pair AS (a int, b json);"
          "CREATE TABLE kinds (id bigint GENERATED ALWAYS AS IDENTITY, v varchar(255), n "
          "numeric(10,2), s shorter, e mood, j json, jb jsonb, ta text[], ja json[], r int4range,"
          " p point, c pair, x xml, u uuid NOT NULL, g int GENERATED ALWAYS AS (1) STORED,"
          " d int DEFAULT 1, gone int, i2 int GENERATED BY DEFAULT AS IDENTITY);"
          "ALTER TABLE kinds DROP COLUMN gone");
    map(&m, NULL, "kinds", "u");
    read_table(h, &m, &r);
    assert_int_equal(r.code, STATUS_OK);
    assert_string_equal(r.table.quoted, "\"public\".\"kinds\"");
    assert_string_equal(r.table.role, "\"postgres\"");
    assert_int_equal(r.table.kind, 'r');
    assert_false(r.table.partitioned);
    assert_false(r.table.key_unique);
    assert_int_equal(r.table.n_columns, 17);
    assert_null(catalog_find(&r.table, "gone"));
    static const struct {
        const char *name, *type_name;
        unsigned type;
        int typmod;
        bool not_null, generated, identity, has_default, equality, order;
    } columns[] = {
        {"id", "bigint", 20, -1, true, true, true, true, true, true},
        {"v", "character varying(255)", 1043, 259, false, false, false, false, true, true},
        {"n", "numeric(10,2)", 1700, 655366, false, false, false, false, true, true},
        {"s", "shorter", 1043, 14, true, false, false, true, true, true},
        {"e", "mood", 0, -1, false, false, false, false, true, true},
        {"j", "json", 114, -1, false, false, false, false, false, false},
        {"jb", "jsonb", 3802, -1, false, false, false, false, true, true},
        {"ta", "text[]", 1009, -1, false, false, false, false, true, true},
        {"ja", "json[]", 199, -1, false, false, false, false, false, false},
        {"r", "int4range", 3904, -1, false, false, false, false, true, true},
        {"p", "point", 600, -1, false, false, false, false, false, false},
        {"c", "pair", 0, -1, false, false, false, false, false, false},
        {"x", "xml", 142, -1, false, false, false, false, false, false},
        {"u", "uuid", 2950, -1, true, false, false, false, true, true},
        {"g", "integer", 23, -1, false, true, false, true, true, true},
        {"d", "integer", 23, -1, false, false, false, true, true, true},
        {"i2", "integer", 23, -1, true, false, true, true, true, true},
    };
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        const struct catalog_column *c = catalog_find(&r.table, columns[i].name);
        assert_non_null(c);
        assert_string_equal(c->type_name, columns[i].type_name);
        if (columns[i].type != 0)
            assert_int_equal(c->type, columns[i].type);
        assert_int_equal(c->typmod, columns[i].typmod);
        assert_int_equal(c->not_null, columns[i].not_null);
        assert_int_equal(c->generated, columns[i].generated);
        assert_int_equal(c->identity, columns[i].identity);
        assert_int_equal(c->has_default, columns[i].has_default);
        if (c->has_equality != columns[i].equality || c->has_order != columns[i].order)
            fail_msg("equality or order of %s", columns[i].name);
    }
    catalog_table_deinit(&r.table);
    assert_null(r.table.columns);
    unmap(&m);
    admin(
        "DROP TABLE kinds; DROP TYPE mood; DROP TYPE pair; DROP DOMAIN shorter; DROP DOMAIN short");
}

static bool key_unique(struct harness *h, const struct mapped *m)
{
    struct reader r;
    read_table(h, m, &r);
    assert_int_equal(r.code, STATUS_OK);
    bool unique = r.table.key_unique;
    catalog_table_deinit(&r.table);
    return unique;
}

static void test_finds_unique_index(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    map(&m, "public", "uniques", "b,a");
    m.key[1] = 1;
    m.table.n_key = 2;
    static const struct {
        const char *sql;
        bool unique;
    } cases[] = {
        {"CREATE INDEX ON uniques (a, b)", false},
        {"CREATE UNIQUE INDEX ON uniques (a)", false},
        {"CREATE UNIQUE INDEX ON uniques (a, b, c)", false},
        {"CREATE UNIQUE INDEX ON uniques (a) INCLUDE (b)", false},
        {"CREATE UNIQUE INDEX ON uniques (a, b) WHERE c > 0", false},
        {"CREATE UNIQUE INDEX ON uniques (a, lower(b))", false},
        {"ALTER TABLE uniques ADD UNIQUE (a, b) DEFERRABLE", false},
        {"CREATE UNIQUE INDEX ON uniques (a, b) INCLUDE (c)", true},
        {"ALTER TABLE uniques ADD PRIMARY KEY (a, b)", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        admin("CREATE TABLE uniques (a text, b text, c int)");
        admin(cases[i].sql);
        assert_int_equal(key_unique(h, &m), cases[i].unique);
        admin("DROP TABLE uniques");
    }
    admin("CREATE TABLE uniques (a text, b text) PARTITION BY LIST (a)");
    admin("CREATE UNIQUE INDEX ON uniques (a, b)");
    assert_true(key_unique(h, &m));
    // An index that failed to build is there, and not valid.
    admin("DROP TABLE uniques; CREATE TABLE uniques (a text, b text);"
          "INSERT INTO uniques VALUES ('1', '1'), ('1', '1')");
    char *text = pg_server_query(server, "CREATE UNIQUE INDEX CONCURRENTLY ON uniques (a, b)");
    assert_string_equal(text, "ERROR 23505");
    free(text);
    assert_false(key_unique(h, &m));
    admin("DROP TABLE uniques");
    unmap(&m);
}

static void test_missing_table(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    struct reader r;
    struct faults f = {0};
    map(&m, "else where", "ev\"ents", "k,ts");
    m.table.newest_by = 1;
    m.table.touch = (char *)(uintptr_t) "at";
    read_table(h, &m, &r);
    assert_int_equal(r.code, STATUS_NOT_FOUND);
    assert_non_null(strstr(r.st.detail, "CREATE TABLE"));
    assert_null(r.table.quoted);
    check(&r, &f);
    assert_int_equal(f.count, 1);
    assert_string_equal(f.sql[0],
                        "CREATE TABLE \"else where\".\"ev\"\"ents\" (\"k\" text NOT NULL, "
                        "\"ts\" timestamptz, \"at\" timestamptz DEFAULT now(), UNIQUE (\"k\"))");
    admin("CREATE SCHEMA \"else where\"");
    assert_mends(h, &m, "missing", f.sql[0]);
    admin("DROP SCHEMA \"else where\" CASCADE");
    unmap(&m);
}

static void test_missing_default_table(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    struct reader r;
    struct faults f = {0};
    map(&m, NULL, "cxone_events", "idempotency_key,interaction_id,type,timestamp");
    m.table.newest_by = 3;
    m.table.touch = (char *)(uintptr_t) "updated_at";
    read_table(h, &m, &r);
    check(&r, &f);
    assert_non_null(strstr(f.message[0], "cxsink migrate"));
    assert_mends(h, &m, "missing", f.sql[0]);
    admin("DROP TABLE cxone_events");
    unmap(&m);
}

static void test_faults_and_remedies(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    admin("CREATE TABLE t (k text UNIQUE, v int)");
    map(&m, NULL, "t", "k,v,new\"col");
    assert_mends(h, &m, "no column", "ALTER TABLE \"public\".\"t\" ADD COLUMN \"new\"\"col\" text");
    m.table.touch = (char *)(uintptr_t) "updated_at";
    assert_mends(h, &m, "updated_at",
                 "ALTER TABLE \"public\".\"t\" ADD COLUMN \"updated_at\" timestamptz");
    admin("ALTER TABLE t ADD COLUMN must int NOT NULL");
    assert_mends(h, &m, "NOT NULL",
                 "ALTER TABLE \"public\".\"t\" ALTER COLUMN \"must\" DROP NOT NULL");
    admin("ALTER TABLE t DROP CONSTRAINT t_k_key");
    assert_mends(h, &m, "unique index", "CREATE UNIQUE INDEX ON \"public\".\"t\" (\"k\")");
    admin("ALTER TABLE t ALTER v SET NOT NULL; ALTER TABLE t ALTER v ADD GENERATED ALWAYS AS "
          "IDENTITY");
    assert_mends(h, &m, "GENERATED ALWAYS",
                 "ALTER TABLE \"public\".\"t\" ALTER COLUMN \"v\" SET GENERATED BY DEFAULT");
    admin("ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD v int GENERATED ALWAYS AS (1) STORED");
    assert_mends(h, &m, "GENERATED ALWAYS",
                 "ALTER TABLE \"public\".\"t\" ALTER COLUMN \"v\" DROP EXPRESSION");
    admin("ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD v json");
    m.table.newest_by = 1;
    assert_mends(h, &m, "no order",
                 "ALTER TABLE \"public\".\"t\" ALTER COLUMN \"v\" TYPE timestamptz USING "
                 "\"v\"::text::timestamptz");
    admin("DROP TABLE t");
    unmap(&m);
}

static void test_tells_all_at_once(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    struct reader r;
    struct faults f;
    admin("CREATE TABLE t (k text, other int NOT NULL)");
    map(&m, NULL, "t", "k,a,b");
    m.table.touch = (char *)(uintptr_t) "at";
    read_table(h, &m, &r);
    check(&r, &f);
    assert_int_equal(f.count, 5); // a, b, at, index, NOT NULL
    catalog_table_deinit(&r.table);
    admin("DROP TABLE t");
    unmap(&m);
}

static void test_refuses_views(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    struct reader r;
    struct faults f;
    admin("CREATE VIEW w AS SELECT 1 AS k; CREATE MATERIALIZED VIEW mw AS SELECT 1 AS k");
    map(&m, NULL, "w", "k");
    read_table(h, &m, &r);
    check(&r, &f);
    assert_int_equal(f.count, 1);
    assert_non_null(strstr(f.message[0], "is a view"));
    catalog_table_deinit(&r.table);
    m.table.table = (char *)(uintptr_t) "mw";
    read_table(h, &m, &r);
    check(&r, &f);
    assert_non_null(strstr(f.message[0], "is a materialized view"));
    catalog_table_deinit(&r.table);
    admin("DROP VIEW w; DROP MATERIALIZED VIEW mw");
    unmap(&m);
}

static void test_privileges(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    struct reader r;
    struct faults f;
    admin("CREATE ROLE \"we ak\" LOGIN; CREATE SCHEMA s;"
          "CREATE TABLE s.t (k text UNIQUE, v int, other int)");
    map(&m, "s", "t", "k,v");
    char dsn[160];
    snprintf(dsn, sizeof(dsn), "'we ak'");
    read_as(h, dsn, &m, &r);
    assert_int_equal(r.code, STATUS_OK); // the catalog is readable for everybody
    check(&r, &f);
    catalog_table_deinit(&r.table);
    assert_int_equal(f.count, 2);
    assert_string_equal(f.sql[0], "GRANT SELECT, INSERT, UPDATE ON \"s\".\"t\" TO \"we ak\"");
    assert_string_equal(f.sql[1], "GRANT USAGE ON SCHEMA \"s\" TO \"we ak\"");
    // Privileges on the columns that are written are enough.
    admin("GRANT USAGE ON SCHEMA s TO \"we ak\"; GRANT SELECT, INSERT (k, v), UPDATE (v) ON s.t TO "
          "\"we ak\"");
    read_as(h, dsn, &m, &r);
    check(&r, &f);
    catalog_table_deinit(&r.table);
    assert_int_equal(f.count, 0);
    // A default that counts, in a column that is not mapped; an identity needs no privilege.
    admin("ALTER TABLE s.t ADD COLUMN \"Id\" bigserial, ADD COLUMN n bigint GENERATED ALWAYS AS "
          "IDENTITY");
    read_as(h, dsn, &m, &r);
    check(&r, &f);
    catalog_table_deinit(&r.table);
    assert_int_equal(f.count, 1);
    assert_string_equal(f.sql[0], "GRANT USAGE ON SEQUENCE s.\"t_Id_seq\" TO \"we ak\"");
    admin(f.sql[0]);
    read_as(h, dsn, &m, &r);
    check(&r, &f);
    catalog_table_deinit(&r.table);
    assert_int_equal(f.count, 0);
    admin("DROP SCHEMA s CASCADE; DROP ROLE \"we ak\"");
    unmap(&m);
}

// Without a schema the search path decides; a table elsewhere is not seen.
static void test_search_path(void **state)
{
    struct harness *h = *state;
    struct mapped m;
    struct reader r;
    admin("CREATE SCHEMA hidden; CREATE TABLE hidden.t (k text UNIQUE)");
    map(&m, NULL, "t", "k");
    read_table(h, &m, &r);
    assert_int_equal(r.code, STATUS_NOT_FOUND);
    admin("ALTER ROLE postgres SET search_path = hidden, public");
    read_table(h, &m, &r);
    assert_int_equal(r.code, STATUS_OK);
    assert_string_equal(r.table.quoted, "\"hidden\".\"t\"");
    catalog_table_deinit(&r.table);
    admin("ALTER ROLE postgres RESET search_path; DROP SCHEMA hidden CASCADE");
    unmap(&m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_columns),       TEST(test_finds_unique_index),
        TEST(test_missing_table),       TEST(test_missing_default_table),
        TEST(test_faults_and_remedies), TEST(test_tells_all_at_once),
        TEST(test_refuses_views),       TEST(test_privileges),
        TEST(test_search_path),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
