// SPDX-License-Identifier: Apache-2.0
// The upsert of one table, built from the configuration and the catalog: its SQL text, how each
// column travels, and the compiled mapping. Built anew whenever the catalog was read; pure.
//
// The statement takes one array parameter a column and answers one row: rows inserted, and rows
// written (inserted or updated); the others were unchanged or older. It is refused (42883) when a
// column's type was changed since to one that would take its values only rounded.
#ifndef CXSINK_SINK_UPSERT_H
#define CXSINK_SINK_UPSERT_H

#include "core/buf.h"
#include "core/status.h"
#include "sink/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalog_table;
struct config_table;
struct mapping;

struct upsert {
    char *sql;               // owned; NULL in an upsert that was never built
    char *check;             // owned: fails (42P01) when a column's type is not the catalog's now
    struct mapping *mapping; // owned
    uint32_t *wire;          // owned: element type of each column's array
    size_t *key;             // owned: what shape.key points to
    struct batch_shape shape;
    // False where the server does not say which rows were inserted (partitioned tables have no
    // xmax to return): the first number is then 0, and all that was written counts as updated.
    bool splits;
    char *signature; // owned: two upserts with equal signatures are interchangeable
};

// Fails with STATUS_INVALID when a column is not in the catalog, a pointer is bad or a type cannot
// travel; `upsert_r` is then empty.
enum status_code upsert_build(const struct config_table *config, const struct catalog_table *table,
                              struct upsert *upsert_r, struct status *st) STATUS_MUST_CHECK;
void upsert_deinit(struct upsert *upsert);
bool upsert_equal(const struct upsert *a, const struct upsert *b);

// Appends "name" with its quotes doubled.
void upsert_quote(struct buf *out, const char *name);

#endif
