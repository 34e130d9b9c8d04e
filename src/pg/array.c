// SPDX-License-Identifier: Apache-2.0
#include "pg/array.h"

#include <endian.h>
#include <string.h>

// PostgreSQL counts from 2000-01-01, in microseconds since 1970.
#define EPOCH_2000_US INT64_C(946684800000000)

static const struct {
    uint32_t element, array;
    const char *name;
} types[] = {
    {PG_BOOL, 1000, "boolean"},
    {PG_BYTEA, 1001, "bytea"},
    {PG_INT8, 1016, "bigint"},
    {PG_INT2, 1005, "smallint"},
    {PG_INT4, 1007, "integer"},
    {PG_TEXT, 1009, "text"},
    {PG_JSON, 199, "json"},
    {PG_FLOAT4, 1021, "real"},
    {PG_FLOAT8, 1022, "double precision"},
    {PG_BPCHAR, 1014, "bpchar"},
    {PG_VARCHAR, 1015, "varchar"},
    {PG_DATE, 1182, "date"},
    {PG_TIME, 1183, "time"},
    {PG_TIMESTAMP, 1115, "timestamp"},
    {PG_TIMESTAMPTZ, 1185, "timestamptz"},
    {PG_NUMERIC, 1231, "numeric"},
    {PG_UUID, 2951, "uuid"},
    {PG_JSONB, 3807, "jsonb"},
};

const char *array_type_name(uint32_t element)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (types[i].element == element)
            return types[i].name;
    }
    return NULL;
}

uint32_t array_type(uint32_t element)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (types[i].element == element)
            return types[i].array;
    }
    return 0;
}

// Header words: dimensions, has nulls, element type, elements, lower bound.
enum { WORD_NULLS = 1, WORDS = 5 };

void array_begin(struct buf *out, uint32_t element, size_t n)
{
    uint32_t header[WORDS] = {htobe32(1), 0, htobe32(element), htobe32((uint32_t)n), htobe32(1)};
    buf_append(out, header, sizeof(header));
}

void array_mark_nulls(struct buf *out)
{
    uint32_t one = htobe32(1);
    memcpy(out->data + WORD_NULLS * sizeof(one), &one, sizeof(one));
}

void array_put(struct buf *out, const void *data, size_t length)
{
    uint32_t big = htobe32((uint32_t)length);
    buf_append(out, &big, sizeof(big));
    buf_append(out, data, length);
}

void array_put_null(struct buf *out)
{
    uint32_t minus_one = UINT32_MAX;
    buf_append(out, &minus_one, sizeof(minus_one));
    array_mark_nulls(out);
}

void array_put_int8(struct buf *out, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    array_put(out, &big, sizeof(big));
}

void array_put_time(struct buf *out, int64_t wall_us)
{
    array_put_int8(out, wall_us - EPOCH_2000_US);
}
