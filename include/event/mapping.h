// SPDX-License-Identifier: Apache-2.0
// From an event's tape to the cells of one table row: which JSON Pointer feeds which column, and
// how a JSON value becomes a PostgreSQL value of the column's type. Pure.
//
// A row is the cells of all columns, in the mapping's order, one after the other: a big-endian
// int32 length (-1: NULL) and that many bytes, exactly an element of a binary array (PostgreSQL
// chapter 55, and array_recv). The encoding of a column is either the type's binary form or text.
//
// What a column takes; a missing member and null are NULL everywhere, U+0000 is refused everywhere.
//   text, varchar(n), char(n)  strings of up to n characters; numbers, booleans as their JSON text
//   smallint, integer, bigint  whole numbers in range: 12, 12.0 and 1.2e1, not 12.5
//   real, double precision     numbers whose nearest value is finite
//   numeric(p, s)              numbers, rounded by the server, that p and s can hold
//   boolean                    true and false
//   timestamptz                RFC 3339, offset required; more than 6 fractional digits are rounded
//   timestamp                  the same, the offset may be missing (one that is there is applied:
//                              the value is UTC), a space may stand for the 'T'
//   date, time                 YYYY-MM-DD, HH:MM:SS with an optional fraction
//   uuid                       the 36-character form
//   json, jsonb                any value, as it is written in the event
//   any other type             strings, numbers, booleans as text, for the server to read
//   type 0 (not known)         any value; arrays and objects as JSON text
#ifndef CXSINK_EVENT_MAPPING_H
#define CXSINK_EVENT_MAPPING_H

#include "core/buf.h"
#include "core/status.h"
#include "pg/types.h"

#include <stdbool.h>
#include <stdint.h>

struct tape;

struct mapping_column {
    const char *name;    // of the column
    const char *pointer; // RFC 6901, into the event
    uint32_t type;       // OID from the catalog, of a domain its base type's; 0: not known
    int32_t typmod;      // pg_attribute.atttypmod: varchar(255) has 259; -1: none
    bool not_null;       // NOT NULL (whatever the default: the column is always written)
};

struct mapping;

// Compiles; `key` are indexes into `columns` (1 to MAPPING_KEY_MAX). Strings are copied.
// STATUS_INVALID for a bad pointer.
#define MAPPING_COLUMNS_MAX 256
#define MAPPING_KEY_MAX 8
enum status_code mapping_compile(const struct mapping_column *columns, size_t n_columns,
                                 const unsigned *key, size_t n_key, struct mapping **mapping_r,
                                 struct status *st) STATUS_MUST_CHECK;
void mapping_destroy(struct mapping **mapping);

// How column `i` travels: the array's element type. The column's own type in binary form for
// boolean, the integers, real, double precision, date, time, timestamp, timestamptz, uuid, json and
// jsonb; PG_TEXT for everything else, text, varchar, char and numeric too, and the statement casts.
uint32_t mapping_wire_type(const struct mapping *mapping, size_t i);
size_t mapping_columns(const struct mapping *mapping);

// Why a value cannot be held.
struct mapping_fault {
    const char *column; // of the mapping
    char message[160];  // expected and found, without the value itself
};

// Appends the row's cells to `cells` and sets the hash of its key cells. All faulty columns are
// found; `faults_r` takes the first `max_faults` of them. Returns how many there are: 0 is a row.
// On faults `cells` is left as it was; a buffer at its cap is a fault of the column that met it.
//
// The hash is that of the key cells' bytes in the key's order. Values that PostgreSQL takes for
// equal though they are written differently (numeric 1.0 and 1.00, citext) have different hashes.
size_t mapping_extract(const struct mapping *mapping, const struct tape *tape, struct buf *cells,
                       uint64_t *key_hash_r, struct mapping_fault *faults_r, size_t max_faults);

#endif
