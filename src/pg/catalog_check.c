// SPDX-License-Identifier: Apache-2.0
// Mapping against table: pure.
#include "pg/catalog.h"

#include "config/load.h"
#include "pg/catalog_priv.h"
#include "pg/migrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct check {
    const struct catalog_table *table;
    const struct config_table *config;
    void (*fault)(void *owner, const char *message, const char *sql);
    void *owner;
    size_t faults;
    struct buf message, sql; // of the fault at hand
};

static void set_message(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set_message(struct check *check, const char *format, ...)
{
    char text[STATUS_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_clear(&check->message);
    buf_clear(&check->sql);
    buf_append_text(&check->message, text);
}

static void tell(struct check *check)
{
    check->faults++;
    check->fault(check->owner, buf_text(&check->message),
                 check->sql.len > 0 ? buf_text(&check->sql) : NULL);
}

// Begins the SQL that mends it: "ALTER TABLE "s"."t" ALTER COLUMN "c" ".
static void alter(struct check *check, const char *what, const char *column)
{
    buf_printf(&check->sql, "ALTER TABLE %s %s ", check->table->quoted, what);
    catalog_quote(&check->sql, column);
}

static void end_sql(struct check *check, const char *rest)
{
    buf_append_text(&check->sql, rest);
    tell(check);
}

// --- a table that is not there ---

static bool is_default_table(const struct config_table *config)
{
    return strcmp(config->table, "cxone_events") == 0 &&
           (config->schema == NULL || strcmp(config->schema, "public") == 0);
}

// The statement of sql/0002_default_table.sql, on one line.
static void put_default_table(struct buf *out)
{
    const char *at = NULL;
    for (size_t i = 0; i < n_migrations && at == NULL; i++)
        at = strstr(migrations[i].sql, "CREATE TABLE public.cxone_events");
    for (bool space = false; at != NULL && *at != ';' && *at != '\0'; at++) {
        bool blank = *at == ' ' || *at == '\n';
        if (!blank || !space)
            buf_append(out, blank ? " " : at, 1);
        space = blank;
    }
}

static bool is_key(const struct config_table *config, size_t column)
{
    for (size_t i = 0; i < config->n_key; i++) {
        if (config->key[i] == column)
            return true;
    }
    return false;
}

static void put_key(struct check *check)
{
    const struct config_table *config = check->config;
    buf_append_text(&check->sql, "(");
    for (size_t i = 0; i < config->n_key; i++) {
        buf_append_text(&check->sql, i > 0 ? ", " : "");
        catalog_quote(&check->sql, config->columns[config->key[i]].name);
    }
    buf_append_text(&check->sql, ")");
}

// A table that the mapping can write; the types are a proposal.
static void put_create_table(struct check *check)
{
    const struct config_table *config = check->config;
    struct buf *out = &check->sql;
    buf_append_text(out, "CREATE TABLE ");
    if (config->schema != NULL) {
        catalog_quote(out, config->schema);
        buf_append_text(out, ".");
    }
    catalog_quote(out, config->table);
    buf_append_text(out, " (");
    for (size_t i = 0; i < config->n_columns; i++) {
        catalog_quote(out, config->columns[i].name);
        buf_append_text(out, i == config->newest_by ? " timestamptz" : " text");
        buf_append_text(out, is_key(config, i) ? " NOT NULL, " : ", ");
    }
    if (config->touch != NULL) {
        catalog_quote(out, config->touch);
        buf_append_text(out, " timestamptz DEFAULT now(), ");
    }
    buf_append_text(out, "UNIQUE ");
    put_key(check);
    buf_append_text(out, ")");
}

static void check_missing(struct check *check)
{
    const char *name = check->config->name;
    if (is_default_table(check->config)) {
        set_message(check,
                    "table %s is missing or not visible (`cxsink migrate` creates it "
                    "where the role may create in schema public)",
                    name);
        put_default_table(&check->sql);
    } else {
        set_message(check, "table %s is missing or not visible", name);
        put_create_table(check);
    }
    tell(check);
}

// --- the table ---

static bool check_kind(struct check *check)
{
    char kind = check->table->kind;
    if (kind == 'r' || kind == 'p')
        return true;
    set_message(check, "%s is a %s, which cannot be the target of an upsert: name the table itself",
                check->table->quoted,
                kind == 'f'   ? "foreign table"
                : kind == 'm' ? "materialized view"
                              : "view");
    tell(check);
    return false;
}

static void check_key(struct check *check)
{
    if (check->table->key_unique)
        return;
    for (size_t i = 0; i < check->config->n_key; i++) {
        if (catalog_find(check->table, check->config->columns[check->config->key[i]].name) == NULL)
            return; // that is told already
    }
    set_message(check,
                "%s has no unique index over exactly the key's columns (valid, not partial, not "
                "deferrable, no expressions)%s",
                check->table->quoted,
                check->table->partitioned ? "; the key must contain the partition's columns" : "");
    buf_printf(&check->sql, "CREATE UNIQUE INDEX ON %s ", check->table->quoted);
    put_key(check);
    tell(check);
}

// --- its columns ---

static void check_generated(struct check *check, const struct catalog_column *column)
{
    if (!column->generated)
        return;
    set_message(check, "column \"%s\" of %s is GENERATED ALWAYS and cannot be written",
                column->name, check->table->quoted);
    alter(check, "ALTER COLUMN", column->name);
    end_sql(check, column->identity ? " SET GENERATED BY DEFAULT" : " DROP EXPRESSION");
}

static void check_column(struct check *check, const char *name, const char *type)
{
    const struct catalog_column *column = catalog_find(check->table, name);
    if (column != NULL) {
        check_generated(check, column);
        return;
    }
    set_message(check, "%s has no column \"%s\"", check->table->quoted, name);
    alter(check, "ADD COLUMN", name);
    end_sql(check, type);
}

static bool is_mapped(const struct config_table *config, const char *name)
{
    for (size_t i = 0; i < config->n_columns; i++) {
        if (strcmp(config->columns[i].name, name) == 0)
            return true;
    }
    return false;
}

static void check_not_null(struct check *check)
{
    for (size_t i = 0; i < check->table->n_columns; i++) {
        const struct catalog_column *column = &check->table->columns[i];
        if (!column->not_null || column->has_default || is_mapped(check->config, column->name))
            continue;
        set_message(check,
                    "column \"%s\" of %s is NOT NULL, has no default and is not mapped: map it, or "
                    "let it be NULL",
                    column->name, check->table->quoted);
        alter(check, "ALTER COLUMN", column->name);
        end_sql(check, " DROP NOT NULL");
    }
}

static void check_newest_by(struct check *check)
{
    const struct config_table *config = check->config;
    if (config->newest_by == CONFIG_NONE)
        return;
    const struct catalog_column *column =
        catalog_find(check->table, config->columns[config->newest_by].name);
    if (column == NULL || column->has_order)
        return;
    set_message(check, "newest_by: column \"%s\" of %s is of type %s, which has no order",
                column->name, check->table->quoted, column->type_name);
    alter(check, "ALTER COLUMN", column->name);
    buf_append_text(&check->sql, " TYPE timestamptz USING ");
    catalog_quote(&check->sql, column->name);
    end_sql(check, "::text::timestamptz");
}

// --- privileges ---

static bool may(const struct check *check, const char *name, bool update)
{
    const struct catalog_column *column = catalog_find(check->table, name);
    return column == NULL || (update ? column->can_update : column->can_insert);
}

static bool may_insert(const struct check *check)
{
    bool ok = true;
    for (size_t i = 0; i < check->config->n_columns; i++)
        ok = ok && may(check, check->config->columns[i].name, false);
    return ok;
}

static bool may_update(const struct check *check)
{
    const struct config_table *config = check->config;
    bool ok = config->touch == NULL || config->n_update == 0 || may(check, config->touch, true);
    for (size_t i = 0; i < config->n_update; i++)
        ok = ok && may(check, config->columns[config->update[i]].name, true);
    return ok;
}

// The default of a column that is not mapped runs with the privileges of the role that inserts.
static void check_sequences(struct check *check)
{
    for (size_t i = 0; i < check->table->n_columns; i++) {
        const struct catalog_column *column = &check->table->columns[i];
        if (column->denied_sequence == NULL || is_mapped(check->config, column->name))
            continue;
        set_message(
            check, "role %s may not use the sequence %s, which column \"%s\" of %s counts with",
            check->table->role, column->denied_sequence, column->name, check->table->quoted);
        buf_printf(&check->sql, "GRANT USAGE ON SEQUENCE %s TO %s", column->denied_sequence,
                   check->table->role);
        tell(check);
    }
}

static void check_privileges(struct check *check)
{
    const struct catalog_table *table = check->table;
    struct buf list = {0};
    buf_append_text(&list, table->can_select ? "" : ", SELECT");
    buf_append_text(&list, may_insert(check) ? "" : ", INSERT");
    buf_append_text(&list, may_update(check) ? "" : ", UPDATE");
    if (list.len > 0) {
        const char *missing = buf_text(&list) + 2;
        set_message(check, "role %s lacks %s on %s", table->role, missing, table->quoted);
        buf_printf(&check->sql, "GRANT %s ON %s TO %s", missing, table->quoted, table->role);
        tell(check);
    }
    buf_deinit(&list);
    if (!table->can_use_schema) {
        size_t schema = (size_t)(strstr(table->quoted, "\".\"") - table->quoted) + 1;
        set_message(check, "role %s may not use the schema of %s", table->role, table->quoted);
        buf_printf(&check->sql, "GRANT USAGE ON SCHEMA %.*s TO %s", (int)schema, table->quoted,
                   table->role);
        tell(check);
    }
}

static void check_present(struct check *check)
{
    const struct config_table *config = check->config;
    if (!check_kind(check))
        return;
    for (size_t i = 0; i < config->n_columns; i++)
        check_column(check, config->columns[i].name,
                     i == config->newest_by ? " timestamptz" : " text");
    if (config->touch != NULL)
        check_column(check, config->touch, " timestamptz");
    check_key(check);
    check_not_null(check);
    check_newest_by(check);
    check_privileges(check);
    check_sequences(check);
}

size_t catalog_check(const struct catalog_table *table, const struct config_table *config,
                     void (*fault)(void *owner, const char *message, const char *sql), void *owner)
{
    struct check check = {.table = table, .config = config, .fault = fault, .owner = owner};
    if (table == NULL || table->quoted == NULL)
        check_missing(&check);
    else
        check_present(&check);
    buf_deinit(&check.message);
    buf_deinit(&check.sql);
    return check.faults;
}
