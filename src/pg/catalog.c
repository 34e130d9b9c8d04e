// SPDX-License-Identifier: Apache-2.0
#include "pg/catalog.h"

#include "config/load.h"
#include "core/mem.h"
#include "pg/catalog_priv.h"
#include "pg/conn.h"

#include <stdlib.h>
#include <string.h>

// One row a column, the table's own properties in each of them. $1 schema or NULL (search path),
// $2 table, $3 the key's columns as a JSON array.
//  - The table is found by name in pg_class: to_regclass() fails where the schema may not be used.
//  - `base` follows a domain down to its base type; each level may bring a modifier or NOT NULL.
//  - `equal` and `ordered`: a default operator class for the type, for one that it is converted to
//    without a change (varchar to text), or the one of all arrays (with that of the elements),
//    enums, ranges and multiranges. Composite types count as none, though some have.
static const char describe_sql[] =
    "WITH RECURSIVE rel AS ("
    " SELECT c.oid, c.relkind::text AS kind, n.nspname, c.relname, n.oid AS namespace"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    " AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)"
    " ELSE n.nspname = $1 END"
    "), base (attnum, type, typmod, not_null, has_default) AS ("
    " SELECT a.attnum, a.atttypid, a.atttypmod, a.attnotnull,"
    " a.atthasdef OR a.attidentity <> ''"
    " FROM rel JOIN pg_catalog.pg_attribute a ON a.attrelid = rel.oid"
    " WHERE a.attnum > 0 AND NOT a.attisdropped"
    " UNION ALL"
    " SELECT b.attnum, t.typbasetype,"
    " CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE b.typmod END,"
    " b.not_null OR t.typnotnull, b.has_default OR t.typdefault IS NOT NULL"
    " FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd'"
    "), classes AS ("
    " SELECT o.opcintype AS type, m.amname = 'btree' AS ordered"
    " FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod"
    " WHERE o.opcdefault AND m.amname IN ('btree', 'hash')"
    "), able AS ("
    " SELECT type, ordered FROM classes UNION"
    " SELECT k.castsource, c.ordered FROM pg_catalog.pg_cast k"
    " JOIN classes c ON c.type = k.casttarget"
    " WHERE k.castmethod = 'b' AND k.castcontext = 'i' UNION"
    " SELECT t.oid, c.ordered FROM pg_catalog.pg_type t JOIN classes c ON c.type ="
    " CASE t.typtype WHEN 'e' THEN 'anyenum'::regtype WHEN 'r' THEN 'anyrange'::regtype END"
    "), keys AS (SELECT array_agg(k ORDER BY k) AS names FROM"
    " (SELECT DISTINCT k COLLATE \"C\" AS k FROM json_array_elements_text($3::json) k) s)"
    " SELECT rel.nspname, rel.relname, rel.kind, current_user,"
    " pg_catalog.has_schema_privilege(rel.namespace, 'USAGE'),"
    " pg_catalog.has_table_privilege(rel.oid, 'SELECT'),"
    " EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = rel.oid AND i.indisunique"
    " AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
    " AND (SELECT array_agg(DISTINCT x.attname::text COLLATE \"C\")"
    " FROM unnest(i.indkey::int2[]) WITH ORDINALITY u (attnum, n)"
    " JOIN pg_catalog.pg_attribute x ON x.attrelid = rel.oid AND x.attnum = u.attnum"
    " WHERE u.n <= i.indnkeyatts) = (SELECT names FROM keys)),"
    " a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), t.oid, b.typmod, b.not_null,"
    " a.attgenerated <> '' OR a.attidentity = 'a', a.attidentity <> '', b.has_default,"
    " EXISTS (SELECT FROM able e WHERE e.type = t.oid) OR (t.typcategory = 'A' AND"
    " EXISTS (SELECT FROM able e WHERE e.type = t.typelem)),"
    " EXISTS (SELECT FROM able e WHERE e.type = t.oid AND e.ordered) OR (t.typcategory = 'A' AND"
    " EXISTS (SELECT FROM able e WHERE e.type = t.typelem AND e.ordered)),"
    " pg_catalog.has_column_privilege(rel.oid, a.attnum, 'INSERT'),"
    " pg_catalog.has_column_privilege(rel.oid, a.attnum, 'UPDATE'),"
    " (SELECT min(quote_ident(sn.nspname) || '.' || quote_ident(s.relname))"
    " FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_depend p"
    " ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid"
    " AND p.refclassid = 'pg_class'::regclass"
    " JOIN pg_catalog.pg_class s ON s.oid = p.refobjid"
    " JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace"
    " WHERE d.adrelid = rel.oid AND d.adnum = a.attnum"
    // Not joined by AND: the function refuses what is no sequence.
    " AND CASE WHEN s.relkind = 'S'"
    " THEN NOT pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE') END)"
    " FROM rel JOIN pg_catalog.pg_attribute a ON a.attrelid = rel.oid"
    " JOIN base b ON b.attnum = a.attnum"
    " JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd'"
    " WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

// The columns of that query.
enum {
    OUT_SCHEMA,
    OUT_TABLE,
    OUT_KIND,
    OUT_ROLE,
    OUT_USAGE,
    OUT_SELECT,
    OUT_KEY_UNIQUE,
    OUT_NAME,
    OUT_TYPE_NAME,
    OUT_TYPE,
    OUT_TYPMOD,
    OUT_NOT_NULL,
    OUT_GENERATED,
    OUT_IDENTITY,
    OUT_DEFAULT,
    OUT_EQUALITY,
    OUT_ORDER,
    OUT_INSERT,
    OUT_UPDATE,
    OUT_DENIED_SEQUENCE,
};

static struct pg_param text_param(const char *text)
{
    return (struct pg_param){.data = text, .length = text != NULL ? (int)strlen(text) : 0};
}

bool catalog_send(struct pg_conn *conn, const struct config_table *table)
{
    struct buf key = {0};
    buf_append_text(&key, "[");
    for (size_t i = 0; i < table->n_key; i++) {
        const char *name = table->columns[table->key[i]].name;
        buf_append_text(&key, i > 0 ? "," : "");
        buf_json_string(&key, name, strlen(name));
    }
    buf_append_text(&key, "]");
    const struct pg_param params[] = {text_param(table->schema), text_param(table->table),
                                      text_param(buf_text(&key))};
    bool ok = pg_send(conn, describe_sql, params, 3);
    buf_deinit(&key);
    return ok;
}

void catalog_quote(struct buf *out, const char *name)
{
    buf_append_text(out, "\"");
    for (; *name != '\0'; name++)
        buf_append(out, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
    buf_append_text(out, "\"");
}

static bool is_true(const struct pg_result *result, int row, int column)
{
    return pg_result_text(result, row, column)[0] == 't';
}

static void read_column(const struct pg_result *result, int row, struct catalog_column *column)
{
    *column = (struct catalog_column){
        .name = mem_strdup(pg_result_text(result, row, OUT_NAME)),
        .type_name = mem_strdup(pg_result_text(result, row, OUT_TYPE_NAME)),
        .type = (uint32_t)strtoul(pg_result_text(result, row, OUT_TYPE), NULL, 10),
        .typmod = (int32_t)strtol(pg_result_text(result, row, OUT_TYPMOD), NULL, 10),
        .not_null = is_true(result, row, OUT_NOT_NULL),
        .generated = is_true(result, row, OUT_GENERATED),
        .identity = is_true(result, row, OUT_IDENTITY),
        .has_default = is_true(result, row, OUT_DEFAULT),
        .has_equality = is_true(result, row, OUT_EQUALITY),
        .has_order = is_true(result, row, OUT_ORDER),
        .can_insert = is_true(result, row, OUT_INSERT),
        .can_update = is_true(result, row, OUT_UPDATE),
        .denied_sequence = pg_result_is_null(result, row, OUT_DENIED_SEQUENCE)
                               ? NULL
                               : mem_strdup(pg_result_text(result, row, OUT_DENIED_SEQUENCE)),
    };
}

static void read_table(const struct pg_result *result, struct catalog_table *table)
{
    struct buf quoted = {0}, role = {0};
    catalog_quote(&quoted, pg_result_text(result, 0, OUT_SCHEMA));
    buf_append_text(&quoted, ".");
    catalog_quote(&quoted, pg_result_text(result, 0, OUT_TABLE));
    catalog_quote(&role, pg_result_text(result, 0, OUT_ROLE));
    table->quoted = mem_strdup(buf_text(&quoted));
    table->role = mem_strdup(buf_text(&role));
    buf_deinit(&quoted);
    buf_deinit(&role);
    table->kind = pg_result_text(result, 0, OUT_KIND)[0];
    table->partitioned = table->kind == 'p';
    table->can_use_schema = is_true(result, 0, OUT_USAGE);
    table->can_select = is_true(result, 0, OUT_SELECT);
    table->key_unique = is_true(result, 0, OUT_KEY_UNIQUE);
}

static void copy_missing(void *owner, const char *message, const char *sql)
{
    status_set(owner, STATUS_NOT_FOUND, "%s; mend it with: %s", message, sql);
}

enum status_code catalog_read(const struct pg_result *result, const struct config_table *config,
                              struct catalog_table *table, struct status *st)
{
    int rows = pg_result_rows(result);
    memset(table, 0, sizeof(*table));
    if (rows == 0) {
        catalog_check(NULL, config, copy_missing, st);
        return STATUS_NOT_FOUND;
    }
    read_table(result, table);
    table->columns = mem_realloc_array(NULL, (size_t)rows, sizeof(*table->columns));
    for (int row = 0; row < rows; row++)
        read_column(result, row, &table->columns[table->n_columns++]);
    return STATUS_OK;
}

void catalog_table_deinit(struct catalog_table *table)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        free(table->columns[i].name);
        free(table->columns[i].type_name);
        free(table->columns[i].denied_sequence);
    }
    free(table->columns);
    free(table->quoted);
    free(table->role);
    memset(table, 0, sizeof(*table));
}

const struct catalog_column *catalog_find(const struct catalog_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    }
    return NULL;
}
