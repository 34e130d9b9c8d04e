// SPDX-License-Identifier: Apache-2.0
// Cells for tests, in the form that event/mapping writes.
#ifndef CXSINK_TESTS_SINK_CELLS_H
#define CXSINK_TESTS_SINK_CELLS_H

#include "core/buf.h"

#include <endian.h>
#include <string.h>

#define CELLS_UNUSED __attribute__((unused))

static CELLS_UNUSED void cell_bytes(struct buf *out, const void *data, size_t length)
{
    uint32_t big = htobe32((uint32_t)length);
    buf_append(out, &big, sizeof(big));
    buf_append(out, data, length);
}

// NULL is NULL.
static CELLS_UNUSED void cell_text(struct buf *out, const char *text)
{
    uint32_t minus_one = UINT32_MAX;
    if (text == NULL)
        buf_append(out, &minus_one, sizeof(minus_one));
    else
        cell_bytes(out, text, strlen(text));
}

static CELLS_UNUSED void cell_int4(struct buf *out, int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    cell_bytes(out, &big, sizeof(big));
}

static CELLS_UNUSED void cell_int8(struct buf *out, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    cell_bytes(out, &big, sizeof(big));
}

// Microseconds since 1970.
static CELLS_UNUSED void cell_time(struct buf *out, int64_t wall_us)
{
    cell_int8(out, wall_us - INT64_C(946684800000000));
}

static CELLS_UNUSED void cell_float8(struct buf *out, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    cell_int8(out, bits);
}

#endif
