// SPDX-License-Identifier: Apache-2.0
// One JSON value to one PostgreSQL value.
#ifndef CXSINK_EVENT_CELL_PRIV_H
#define CXSINK_EVENT_CELL_PRIV_H

#include "event/mapping.h"

#include <stddef.h>
#include <stdint.h>

struct tape;

#define CELL_MESSAGE_MAX sizeof(((struct mapping_fault *)NULL)->message)

struct cell_type;

// A column as the mapping keeps it.
struct cell_column {
    char *name;
    const struct cell_type *type;
    uint32_t max_chars; // of varchar(n) and char(n), else UINT32_MAX
    char *limit;        // numeric: least absolute value that is too large, as JSON number
    bool not_null;
};

// Sets type, max_chars and limit from a type's OID and modifier.
void cell_column_init(struct cell_column *column, uint32_t type, int32_t typmod);
void cell_column_deinit(struct cell_column *column);
uint32_t cell_wire_type(const struct cell_column *column);

// Appends the cell of the value at `token` (TAPE_NONE: missing). False, with a sentence in
// `message` (CELL_MESSAGE_MAX bytes), when the column cannot hold it; `cells` may then have grown.
bool cell_append(const struct cell_column *column, const struct tape *tape, uint32_t token,
                 struct buf *cells, char *message);

#endif
