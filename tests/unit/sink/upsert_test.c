// SPDX-License-Identifier: Apache-2.0
#include "sink/upsert.h"

#include "config/load.h"
#include "event/mapping.h"
#include "pg/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// A table t(k, v, w) whose second and third columns a test may change.
struct fixture {
    struct config_column columns[3];
    size_t key[2], update[2];
    struct config_table config;
    struct catalog_column catalog_columns[3];
    struct catalog_table catalog;
    struct upsert upsert;
    struct status status;
};

static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void set_type(struct fixture *f, size_t i, uint32_t type, const char *name)
{
    f->catalog_columns[i].type = type;
    f->catalog_columns[i].type_name = literal(name);
}

static void set_up(struct fixture *f)
{
    static const char *const names[] = {"k", "v", "w"};
    static const char *const pointers[] = {"/k", "/v", "/w"};
    *f = (struct fixture){.key = {0}, .update = {1, 2}};
    for (size_t i = 0; i < 3; i++) {
        f->columns[i] = (struct config_column){literal(names[i]), literal(pointers[i])};
        f->catalog_columns[i] =
            (struct catalog_column){.name = literal(names[i]), .typmod = -1, .has_equality = true};
        set_type(f, i, PG_TEXT, "text");
    }
    f->config = (struct config_table){.name = literal("t"),
                                      .table = literal("t"),
                                      .columns = f->columns,
                                      .n_columns = 3,
                                      .key = f->key,
                                      .n_key = 1,
                                      .update = f->update,
                                      .n_update = 2,
                                      .newest_by = CONFIG_NONE};
    f->catalog = (struct catalog_table){
        .quoted = literal("\"s\".\"t\""), .columns = f->catalog_columns, .n_columns = 3};
}

static const char *sql_of(struct fixture *f)
{
    upsert_deinit(&f->upsert);
    if (upsert_build(&f->config, &f->catalog, &f->upsert, &f->status) != STATUS_OK)
        fail_msg("%s", f->status.detail);
    return f->upsert.sql;
}

static void assert_has(struct fixture *f, const char *part)
{
    const char *sql = sql_of(f);
    if (strstr(sql, part) == NULL)
        fail_msg("no '%s' in: %s", part, sql);
}

static void assert_has_not(struct fixture *f, const char *part)
{
    const char *sql = sql_of(f);
    if (strstr(sql, part) != NULL)
        fail_msg("'%s' in: %s", part, sql);
}

static void test_whole_statement(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    set_type(&f, 1, PG_TIMESTAMPTZ, "timestamp with time zone");
    set_type(&f, 2, PG_NUMERIC, "numeric(10,2)");
    f.config.newest_by = 1;
    f.config.touch = literal("updated at");
    assert_string_equal(
        sql_of(&f),
        "WITH u AS (INSERT INTO \"s\".\"t\" AS t (\"k\", \"v\", \"w\") SELECT s.c1, s.c2, "
        "s.c3::numeric FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS s(c1, c2, c3) "
        "ON CONFLICT (\"k\") DO UPDATE SET \"v\" = EXCLUDED.\"v\", \"w\" = EXCLUDED.\"w\", "
        "\"updated at\" = now() WHERE (t.\"v\" IS NULL OR EXCLUDED.\"v\" >= t.\"v\") AND "
        "(t.\"v\", t.\"w\") IS DISTINCT FROM (EXCLUDED.\"v\", EXCLUDED.\"w\") "
        "RETURNING t.xmax = 0 AS i) SELECT count(*) FILTER (WHERE i), count(*) FROM u "
        "WHERE (NULL::timestamp with time zone[] = ARRAY[(NULL::\"s\".\"t\").\"v\"]) IS NULL "
        "AND (NULL::numeric(10,2)[] = ARRAY[(NULL::\"s\".\"t\").\"w\"]) IS NULL");
    assert_true(f.upsert.splits);
    assert_int_equal(f.upsert.shape.n_columns, 3);
    assert_int_equal(f.upsert.shape.n_key, 1);
    assert_int_equal(f.upsert.shape.key[0], 0);
    assert_int_equal(f.upsert.wire[1], PG_TIMESTAMPTZ);
    assert_int_equal(mapping_columns(f.upsert.mapping), 3);
    assert_string_equal(
        f.upsert.check,
        "SELECT pg_catalog.quote_ident('the former type of column ' || a.attname)"
        "::pg_catalog.regclass FROM (VALUES (E'k', E'text'), (E'v', E'timestamp with time zone'), "
        "(E'w', E'numeric(10,2)')) s(name, type) JOIN pg_catalog.pg_attribute a "
        "ON a.attname = s.name WHERE NOT a.attisdropped AND "
        "a.attrelid = E'\"s\".\"t\"'::pg_catalog.regclass AND "
        "pg_catalog.format_type(a.atttypid, a.atttypmod) <> s.type");
    upsert_deinit(&f.upsert);
}

static void test_variants(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    assert_has(&f, " = EXCLUDED.\"w\" WHERE (t.\"v\", t.\"w\") IS DISTINCT FROM");
    f.catalog_columns[2].has_equality = false;
    assert_has_not(&f, "DISTINCT");
    assert_has_not(&f, "WHERE (t");
    f.config.newest_by = 1;
    assert_has(&f, " WHERE (t.\"v\" IS NULL OR EXCLUDED.\"v\" >= t.\"v\") RETURNING");
    f.config.n_update = 1; // the column without equality is not among them
    assert_has(&f, " AND (t.\"v\") IS DISTINCT FROM (EXCLUDED.\"v\")");
    f.config.n_update = 0;
    assert_has(&f, "ON CONFLICT (\"k\") DO NOTHING RETURNING");
    f.key[1] = 2;
    f.config.n_key = 2;
    assert_has(&f, "ON CONFLICT (\"k\", \"w\") DO NOTHING");
    f.catalog.partitioned = true;
    assert_has(&f, "RETURNING 1) SELECT 0, count(*) FROM u");
    assert_has_not(&f, "xmax");
    assert_false(f.upsert.splits);
    upsert_deinit(&f.upsert);
}

// A cast carries no modifier: an explicit one would cut off what the assignment refuses.
static void test_casts(void **state)
{
    (void)state;
    static const struct {
        uint32_t type;
        const char *name, *expected;
    } cases[] = {
        {PG_VARCHAR, "character varying(5)", "s.c2, s.c3 FROM"},
        {PG_BPCHAR, "character(5)", "s.c2, s.c3 FROM"},
        {PG_VARCHAR, "a_domain", "s.c2, s.c3 FROM"},
        {PG_NUMERIC, "numeric(10,2)", "s.c2::numeric, s.c3"},
        {1562, "bit varying(3)", "s.c2::bit varying, s.c3"},
        {1560, "bit(3)", "s.c2::pg_catalog.\"bit\", s.c3"},
        {1186, "interval(3)", "s.c2::interval, s.c3"},
        {1009, "character varying(3)[]", "s.c2::character varying[], s.c3"},
        {99999, "\"Odd (1) \"\"type\"\"\"", "s.c2::\"Odd (1) \"\"type\"\"\", s.c3"},
        {PG_INT4, "integer", "s.c2, s.c3 FROM unnest($1::text[], $2::integer[], $3::text[])"},
        {PG_JSONB, "jsonb", "s.c2, s.c3 FROM unnest($1::text[], $2::jsonb[], $3::text[])"},
    };
    struct fixture f;
    set_up(&f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        set_type(&f, 1, cases[i].type, cases[i].name);
        assert_has(&f, cases[i].expected);
    }
    upsert_deinit(&f.upsert);
}

static void test_quotes(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f);
    f.columns[1].name = f.catalog_columns[1].name = literal("a \"b\" C");
    assert_has(&f, "SET \"a \"\"b\"\" C\" = EXCLUDED.\"a \"\"b\"\" C\"");
    upsert_deinit(&f.upsert);
}

static void test_signature(void **state)
{
    (void)state;
    struct fixture f, g;
    struct upsert none = {0};
    set_up(&f);
    set_up(&g);
    sql_of(&f);
    sql_of(&g);
    assert_true(upsert_equal(&f.upsert, &g.upsert));
    assert_true(upsert_equal(&none, &none));
    assert_false(upsert_equal(&f.upsert, &none));
    // What changes cells or checks, also where the statement stays the same.
    g.catalog_columns[1].typmod = 24;
    sql_of(&g);
    assert_false(upsert_equal(&f.upsert, &g.upsert));
    g.catalog_columns[1].typmod = -1;
    g.catalog_columns[1].not_null = true;
    sql_of(&g);
    assert_false(upsert_equal(&f.upsert, &g.upsert));
    g.catalog_columns[1].not_null = false;
    g.columns[1].pointer = literal("/other");
    sql_of(&g);
    assert_false(upsert_equal(&f.upsert, &g.upsert));
    upsert_deinit(&f.upsert);
    upsert_deinit(&g.upsert);
    upsert_deinit(&g.upsert); // twice does no harm
}

static void assert_fails(struct fixture *f, const char *says)
{
    assert_int_equal(upsert_build(&f->config, &f->catalog, &f->upsert, &f->status), STATUS_INVALID);
    if (strstr(f->status.detail, says) == NULL)
        fail_msg("no '%s' in: %s", says, f->status.detail);
    assert_null(f->upsert.sql);
    assert_null(f->upsert.mapping);
}

static void test_faults(void **state)
{
    (void)state;
    struct fixture f;
    size_t many[MAPPING_KEY_MAX + 1] = {0};
    set_up(&f);
    f.columns[2].name = literal("nowhere");
    assert_fails(&f, "no column \"nowhere\"");
    set_up(&f);
    f.columns[2].pointer = literal("no slash");
    assert_fails(&f, "");
    set_up(&f);
    f.config.key = many;
    f.config.n_key = MAPPING_KEY_MAX + 1;
    assert_fails(&f, "key of more than 8 columns");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_statement), cmocka_unit_test(test_variants),
        cmocka_unit_test(test_casts),           cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_signature),       cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
