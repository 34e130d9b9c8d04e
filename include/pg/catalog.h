// SPDX-License-Identifier: Apache-2.0
// What a destination table really looks like: columns, types, unique indexes, privileges. One query
// over an open connection; the comparison with the mapping is pure.
#ifndef CXSINK_PG_CATALOG_H
#define CXSINK_PG_CATALOG_H

#include "core/buf.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_table;
struct pg_conn;
struct pg_result;

struct catalog_column {
    char *name;
    char *type_name; // format_type(), for messages and casts: "character varying(255)"
    uint32_t type;   // OID; of a domain: of its base type
    int32_t typmod;
    bool not_null;
    bool generated; // GENERATED ALWAYS (stored, or identity)
    bool has_default;
    bool has_equality; // there is a default btree or hash equality for it
};

struct catalog_table {
    char *quoted; // "schema"."table"
    bool partitioned;
    struct catalog_column *columns;
    size_t n_columns;
    bool key_unique; // a unique, valid, non-partial, plain-column index covers exactly the key
};

// Queues the query that describes the table (one pg_send; its one result goes to catalog_read).
// The query never fails for a table that is missing: it then has no row.
bool catalog_send(struct pg_conn *conn, const struct config_table *table);
// Reads the result. STATUS_NOT_FOUND when the table is not there or not visible.
enum status_code catalog_read(const struct pg_result *result, const struct config_table *table,
                              struct catalog_table *table_r, struct status *st) STATUS_MUST_CHECK;
void catalog_table_deinit(struct catalog_table *table);
const struct catalog_column *catalog_find(const struct catalog_table *table, const char *name);

// Everything wrong between mapping and table, one after the other, each with the SQL that mends it:
// missing table, column, unique index, touch column, privilege; a NOT NULL column without default
// that is not mapped; a generated column that is. Returns how many; calls `fault` for each.
size_t catalog_check(const struct catalog_table *table, const struct config_table *config,
                     void (*fault)(void *owner, const char *message, const char *sql), void *owner);

#endif
