// SPDX-License-Identifier: Apache-2.0
#include "sink/upsert.h"

#include "config/load.h"
#include "core/mem.h"
#include "event/mapping.h"
#include "pg/catalog.h"
#include "pg/array.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// What the parts of the text are made from.
struct source {
    const struct config_table *config;
    const struct catalog_table *table;
    const struct catalog_column **columns; // of the catalog, in the mapping's order
};

void upsert_quote(struct buf *out, const char *name)
{
    buf_append(out, "\"", 1);
    for (; *name != '\0'; name++) {
        if (*name == '"')
            buf_append(out, "\"", 1);
        buf_append(out, name, 1);
    }
    buf_append(out, "\"", 1);
}

// Appends PREFIX"column".
static void put_column(struct buf *out, const char *prefix, const char *name)
{
    buf_append_text(out, prefix);
    upsert_quote(out, name);
}

// Appends a type's name without its modifier: the modifier is left to the assignment, which
// refuses what does not fit, where an explicit cast would cut it off silently.
static void put_plain_type(struct buf *out, const char *name)
{
    bool quoted = false;
    unsigned depth = 0;
    for (; *name != '\0'; name++) {
        if (*name == '"' && depth == 0)
            quoted = !quoted;
        depth += !quoted && *name == '(';
        if (depth == 0)
            buf_append(out, name, 1);
        depth -= !quoted && *name == ')' && depth != 0;
    }
}

// Appends column i as it comes out of unnest, cast to the column's type where it came as text.
static void put_value(struct buf *out, const struct catalog_column *column, size_t i, uint32_t wire)
{
    enum { BIT = 1560 };
    buf_printf(out, "s.c%zu", i + 1);
    if (wire != PG_TEXT || column->type == PG_TEXT || column->type == PG_VARCHAR ||
        column->type == PG_BPCHAR)
        return;
    buf_append_text(out, "::");
    if (column->type == BIT) // "bit" alone is bit(1)
        buf_append_text(out, "pg_catalog.\"bit\"");
    else
        put_plain_type(out, column->type_name);
}

static void put_insert(struct buf *out, const struct source *from, const uint32_t *wire)
{
    const struct config_table *config = from->config;
    buf_printf(out, "WITH u AS (INSERT INTO %s AS t (", from->table->quoted);
    for (size_t i = 0; i < config->n_columns; i++)
        put_column(out, i == 0 ? "" : ", ", config->columns[i].name);
    buf_append_text(out, ") SELECT ");
    for (size_t i = 0; i < config->n_columns; i++) {
        buf_append_text(out, i == 0 ? "" : ", ");
        put_value(out, from->columns[i], i, wire[i]);
    }
    buf_append_text(out, " FROM unnest(");
    for (size_t i = 0; i < config->n_columns; i++)
        buf_printf(out, "%s$%zu::%s[]", i == 0 ? "" : ", ", i + 1, array_type_name(wire[i]));
    buf_append_text(out, ") AS s(");
    for (size_t i = 0; i < config->n_columns; i++)
        buf_printf(out, "%sc%zu", i == 0 ? "" : ", ", i + 1);
    buf_append_text(out, ") ON CONFLICT (");
    for (size_t i = 0; i < config->n_key; i++)
        put_column(out, i == 0 ? "" : ", ", config->columns[config->key[i]].name);
    buf_append_text(out, ") ");
}

static void put_row(struct buf *out, const struct config_table *config, const char *prefix)
{
    for (size_t i = 0; i < config->n_update; i++) {
        buf_append_text(out, i == 0 ? "(" : ", ");
        put_column(out, prefix, config->columns[config->update[i]].name);
    }
    buf_append_text(out, ")");
}

static bool comparable(const struct source *from)
{
    for (size_t i = 0; i < from->config->n_update; i++) {
        if (!from->columns[from->config->update[i]]->has_equality)
            return false;
    }
    return true;
}

// Which conflicts update: a row that is not older, and differs in something.
static void put_where(struct buf *out, const struct source *from)
{
    const struct config_table *config = from->config;
    const char *glue = " WHERE ";
    if (config->newest_by != CONFIG_NONE) {
        const char *name = config->columns[config->newest_by].name;
        put_column(out, " WHERE (t.", name);
        put_column(out, " IS NULL OR EXCLUDED.", name);
        put_column(out, " >= t.", name);
        buf_append_text(out, ")");
        glue = " AND ";
    }
    if (!comparable(from))
        return;
    buf_append_text(out, glue);
    put_row(out, config, "t.");
    buf_append_text(out, " IS DISTINCT FROM ");
    put_row(out, config, "EXCLUDED.");
}

static void put_conflict(struct buf *out, const struct source *from)
{
    const struct config_table *config = from->config;
    if (config->n_update == 0) {
        buf_append_text(out, "DO NOTHING");
        return;
    }
    buf_append_text(out, "DO UPDATE SET ");
    for (size_t i = 0; i < config->n_update; i++) {
        const char *name = config->columns[config->update[i]].name;
        put_column(out, i == 0 ? "" : ", ", name);
        put_column(out, " = EXCLUDED.", name);
    }
    if (config->touch != NULL) {
        put_column(out, ", ", config->touch);
        buf_append_text(out, " = now()");
    }
    put_where(out, from);
}

// Whether a value of another type is silently made into one of this type when it is stored:
// 12.5 into an integer becomes 13 (rounded), a time into a date loses its hours.
static bool assigns_with_loss(uint32_t type)
{
    static const uint32_t types[] = {PG_INT2,    PG_INT4, PG_INT8, PG_FLOAT4,    PG_FLOAT8,
                                     PG_NUMERIC, PG_DATE, PG_TIME, PG_TIMESTAMP, PG_TIMESTAMPTZ};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (types[i] == type)
            return true;
    }
    return false;
}

// The table may be altered while we run. Arrays of two types have no "=" between them, so the
// statement is refused (42883) when a column has not the type any more that cells are encoded for;
// the catalog is then read again. Folded away by the planner: it costs some parsing alone.
static void put_guard(struct buf *out, const struct source *from)
{
    const char *glue = " WHERE ";
    for (size_t i = 0; i < from->config->n_columns; i++) {
        const struct catalog_column *column = from->columns[i];
        if (!assigns_with_loss(column->type))
            continue;
        buf_printf(out, "%s(NULL::%s[] = ARRAY[(NULL::%s)", glue, column->type_name,
                   from->table->quoted);
        put_column(out, ".", column->name);
        buf_append_text(out, "]) IS NULL");
        glue = " AND ";
    }
}

static void put_literal(struct buf *out, const char *text)
{
    buf_append_text(out, "E'");
    for (; *text != '\0'; text++)
        buf_append(out, *text == '\'' || *text == '\\' ? (char[]){*text, *text} : text,
                   *text == '\'' || *text == '\\' ? 2 : 1);
    buf_append_text(out, "'");
}

// A column that differs is named as a relation that does not exist. A column that is gone is left
// to the upsert.
static char *build_check(const struct source *from)
{
    struct buf out = {0};
    buf_append_text(&out, "SELECT pg_catalog.quote_ident('the former type of column ' || "
                          "a.attname)::pg_catalog.regclass FROM (VALUES ");
    for (size_t i = 0; i < from->config->n_columns; i++) {
        buf_append_text(&out, i == 0 ? "(" : ", (");
        put_literal(&out, from->columns[i]->name);
        buf_append_text(&out, ", ");
        put_literal(&out, from->columns[i]->type_name);
        buf_append_text(&out, ")");
    }
    buf_append_text(&out, ") s(name, type) JOIN pg_catalog.pg_attribute a ON a.attname = s.name "
                          "WHERE NOT a.attisdropped AND a.attrelid = ");
    put_literal(&out, from->table->quoted);
    buf_append_text(&out, "::pg_catalog.regclass AND "
                          "pg_catalog.format_type(a.atttypid, a.atttypmod) <> s.type");
    buf_text(&out);
    return out.data;
}

static char *build_sql(const struct source *from, const uint32_t *wire, bool splits)
{
    struct buf out = {0};
    put_insert(&out, from, wire);
    put_conflict(&out, from);
    buf_append_text(&out, splits ? " RETURNING t.xmax = 0 AS i) SELECT count(*) FILTER (WHERE i), "
                                   "count(*) FROM u"
                                 : " RETURNING 1) SELECT 0, count(*) FROM u");
    put_guard(&out, from);
    buf_text(&out);
    return out.data;
}

// What the cells of a row depend on, and the statement.
static char *build_signature(const struct source *from, const char *sql)
{
    struct buf out = {0};
    for (size_t i = 0; i < from->config->n_columns; i++) {
        const struct catalog_column *column = from->columns[i];
        buf_printf(&out, "%s %" PRIu32 " %" PRId32 " %d\n", from->config->columns[i].pointer,
                   column->type, column->typmod, column->not_null);
    }
    buf_append_text(&out, sql);
    buf_text(&out);
    return out.data;
}

static enum status_code find_columns(struct source *from, struct status *st)
{
    for (size_t i = 0; i < from->config->n_columns; i++) {
        const char *name = from->config->columns[i].name;
        from->columns[i] = catalog_find(from->table, name);
        if (from->columns[i] == NULL)
            return status_set(st, STATUS_INVALID, "table %s has no column \"%s\"",
                              from->config->name, name);
    }
    return STATUS_OK;
}

static enum status_code compile_mapping(const struct source *from, struct mapping **mapping_r,
                                        struct status *st)
{
    const struct config_table *config = from->config;
    unsigned key[MAPPING_KEY_MAX];
    if (config->n_key > MAPPING_KEY_MAX)
        return status_set(st, STATUS_INVALID, "table %s has a key of more than %d columns",
                          config->name, MAPPING_KEY_MAX);
    struct mapping_column *columns = mem_realloc_array(NULL, config->n_columns, sizeof(*columns));
    for (size_t i = 0; i < config->n_columns; i++) {
        columns[i] = (struct mapping_column){
            .name = config->columns[i].name,
            .pointer = config->columns[i].pointer,
            .type = from->columns[i]->type,
            .typmod = from->columns[i]->typmod,
            .not_null = from->columns[i]->not_null,
        };
    }
    for (size_t i = 0; i < config->n_key; i++)
        key[i] = (unsigned)config->key[i];
    enum status_code code =
        mapping_compile(columns, config->n_columns, key, config->n_key, mapping_r, st);
    free(columns);
    return code;
}

static enum status_code read_wire(const struct source *from, struct upsert *upsert,
                                  struct status *st)
{
    size_t n = from->config->n_columns;
    upsert->wire = mem_realloc_array(NULL, n, sizeof(*upsert->wire));
    for (size_t i = 0; i < n; i++) {
        upsert->wire[i] = mapping_wire_type(upsert->mapping, i);
        if (array_type_name(upsert->wire[i]) == NULL)
            return status_set(st, STATUS_INTERNAL,
                              "column \"%s\" travels as type %" PRIu32
                              ", of which no array is known",
                              from->config->columns[i].name, upsert->wire[i]);
    }
    upsert->key = mem_realloc_array(NULL, from->config->n_key, sizeof(*upsert->key));
    memcpy(upsert->key, from->config->key, from->config->n_key * sizeof(*upsert->key));
    upsert->shape =
        (struct batch_shape){.n_columns = n, .key = upsert->key, .n_key = from->config->n_key};
    return STATUS_OK;
}

enum status_code upsert_build(const struct config_table *config, const struct catalog_table *table,
                              struct upsert *upsert_r, struct status *st)
{
    struct source from = {.config = config, .table = table};
    *upsert_r = (struct upsert){.splits = !table->partitioned};
    from.columns = mem_realloc_array(NULL, config->n_columns, sizeof(*from.columns));
    enum status_code code = find_columns(&from, st);
    if (code == STATUS_OK)
        code = compile_mapping(&from, &upsert_r->mapping, st);
    if (code == STATUS_OK)
        code = read_wire(&from, upsert_r, st);
    if (code == STATUS_OK) {
        upsert_r->sql = build_sql(&from, upsert_r->wire, upsert_r->splits);
        upsert_r->check = build_check(&from);
        upsert_r->signature = build_signature(&from, upsert_r->sql);
    } else {
        upsert_deinit(upsert_r);
    }
    free(from.columns);
    return code;
}

void upsert_deinit(struct upsert *upsert)
{
    mapping_destroy(&upsert->mapping);
    free(upsert->sql);
    free(upsert->check);
    free(upsert->wire);
    free(upsert->key);
    free(upsert->signature);
    *upsert = (struct upsert){0};
}

bool upsert_equal(const struct upsert *a, const struct upsert *b)
{
    if (a->signature == NULL || b->signature == NULL)
        return a->signature == b->signature;
    return strcmp(a->signature, b->signature) == 0;
}
