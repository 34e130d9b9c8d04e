// SPDX-License-Identifier: Apache-2.0
#include "sink/arrays.h"

#include "pg/array.h"

#include <endian.h>

// Copies one cell; returns the next. `nulls` is set when it is NULL.
static inline const char *copy_cell(struct buf *out, const char *cell, uint32_t *nulls)
{
    uint32_t big;
    memcpy(&big, cell, sizeof(big));
    uint32_t length = be32toh(big);
    uint32_t is_null = length >> 31;
    size_t bytes = sizeof(big) + (is_null ? 0 : length);
    *nulls |= is_null;
    buf_append(out, cell, bytes);
    return cell + bytes;
}

void array_columns(struct buf *out, const uint32_t *wire, size_t n_columns,
                   const struct batch *batch, const struct batch_run *rows)
{
    uint32_t nulls[BATCH_COLUMNS_MAX] = {0};
    const uint32_t *order = batch->order + rows->first;
    for (size_t column = 0; column < n_columns; column++) {
        buf_clear(&out[column]);
        array_begin(&out[column], wire[column], rows->count);
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        const char *cell = batch->cells.data + batch->rows[order[i]].cells;
        for (size_t column = 0; column < n_columns; column++)
            cell = copy_cell(&out[column], cell, &nulls[column]);
    }
    for (size_t column = 0; column < n_columns; column++) {
        if (nulls[column] != 0)
            array_mark_nulls(&out[column]);
    }
}
