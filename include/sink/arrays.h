// SPDX-License-Identifier: Apache-2.0
// Rows of a batch as the array parameters of its statement (pg/array.h), whose elements are the
// cells as the mapping writes them. Pure.
#ifndef CXSINK_SINK_ARRAYS_H
#define CXSINK_SINK_ARRAYS_H

#include "core/buf.h"
#include "sink/batch.h"

#include <stddef.h>
#include <stdint.h>

// Rows to columns: reads the cells of the rows that order[0..n) names, and fills out[column] with
// an array of the element type wire[column], for all of the shape's columns.
void array_columns(struct buf *out, const uint32_t *wire, size_t n_columns,
                   const struct batch *batch, const struct batch_run *rows);

#endif
