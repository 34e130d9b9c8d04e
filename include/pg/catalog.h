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
    bool generated;    // GENERATED ALWAYS (stored, or identity): cannot be written
    bool identity;     // an identity column, of either kind
    bool has_default;  // or is filled in by itself: DEFAULT, identity, generated, of its domain
    bool has_equality; // there is a default btree or hash equality for it
    bool has_order;    // there is a default btree order for it
    bool can_insert;   // privileges of the connected role
    bool can_update;
    char *denied_sequence; // quoted: that its default counts with, and may not; NULL: none
};

struct catalog_table {
    char *quoted; // "schema"."table"; NULL in a table of zeros: it is not there
    char *role;   // quoted: who is connected, for GRANT
    char kind;    // pg_class.relkind: r, p; v, m and f are refused by catalog_check
    bool partitioned;
    bool can_use_schema;
    bool can_select; // the whole table: the upsert returns a system column
    struct catalog_column *columns;
    size_t n_columns;
    // A unique, valid, immediate, non-partial, plain-column index covers exactly the key.
    bool key_unique;
};

// Queues the query that describes the table (one pg_send; its one result goes to catalog_read).
// The query never fails for a table that is missing: it then has no row. PostgreSQL 12 or newer.
bool catalog_send(struct pg_conn *conn, const struct config_table *table);
// Reads the result. STATUS_NOT_FOUND when the table is not there or not visible; table_r is then
// zeros, and the sentence ends in the SQL that mends it.
enum status_code catalog_read(const struct pg_result *result, const struct config_table *table,
                              struct catalog_table *table_r, struct status *st) STATUS_MUST_CHECK;
void catalog_table_deinit(struct catalog_table *table);
const struct catalog_column *catalog_find(const struct catalog_table *table, const char *name);

// Everything wrong between mapping and table, one after the other, each with the SQL that mends it:
// missing table (NULL, or zeros), column, unique index, touch column, privilege; a view; a NOT NULL
// column without default that is not mapped; a generated column that is; a newest_by that has no
// order; a default that may not use its sequence. Returns how many; calls `fault` for each. `sql`
// is one line; NULL where there is none.
size_t catalog_check(const struct catalog_table *table, const struct config_table *config,
                     void (*fault)(void *owner, const char *message, const char *sql), void *owner);

#endif
