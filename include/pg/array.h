// SPDX-License-Identifier: Apache-2.0
// One-dimensional arrays in PostgreSQL's binary form (array_recv; chapter 55.7): a header, then
// elements as big-endian int32 length and bytes. Pure.
#ifndef CXSINK_PG_ARRAY_H
#define CXSINK_PG_ARRAY_H

#include "core/buf.h"
#include "pg/types.h"

#include <stddef.h>
#include <stdint.h>

// "text", "timestamp with time zone", ... of an element type; NULL when unknown here.
const char *array_type_name(uint32_t element);
// OID of the array of an element type; 0 when unknown here.
uint32_t array_type(uint32_t element);

// Starts an array of `n` elements (not 0) in an empty buffer; exactly `n` elements must follow.
void array_begin(struct buf *out, uint32_t element, size_t n);
void array_put(struct buf *out, const void *data, size_t length);
void array_put_null(struct buf *out);
void array_put_int8(struct buf *out, int64_t value);
// A timestamptz, from microseconds since 1970.
void array_put_time(struct buf *out, int64_t wall_us);

// Tells an array that has begun that an element of it is NULL.
void array_mark_nulls(struct buf *out);

#endif
