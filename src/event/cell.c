// SPDX-License-Identifier: Apache-2.0
#include "event/cell_priv.h"

#include "core/mem.h"
#include "core/uuid.h"
#include "event/time.h"
#include "json/number.h"
#include "json/tape.h"
#include "json/text.h"

#include <endian.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// Numeric holds up to 131072 digits before the point (PostgreSQL chapter 8.1.2).
#define NUMERIC_LIMIT "1e131072"
// atttypmod is the modifier plus the size of a varlena header.
#define TYPMOD_HEADER 4
// Longest string looked at as a date, time or UUID; escapes may make it longer than what it means.
#define SHORT_STRING_MAX 512

// What an encoder works on.
struct cell {
    const struct cell_column *column;
    const struct tape *tape;
    uint32_t token;
    enum tape_kind kind;
    struct buf *cells;
    char *message;
};

struct cell_type {
    uint32_t oid;
    uint32_t wire;
    bool (*append)(struct cell *cell); // not called for null and missing values
};

static __attribute__((noinline, cold, format(printf, 2, 3))) bool fault(struct cell *cell,
                                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(cell->message, CELL_MESSAGE_MAX, format, args);
    va_end(args);
    return false;
}

static bool wrong_kind(struct cell *cell, const char *expected)
{
    return fault(cell, "expected %s, found %s", expected, tape_kind_name(cell->kind));
}

// --- writing
// ---------------------------------------------------------------------------------------

// Room for a cell of at most `size` bytes behind its length, which end_cell() completes.
static inline char *begin_cell(struct cell *cell, size_t size)
{
    char *at = buf_reserve(cell->cells, size + 4);
    if (at == NULL) {
        fault(cell, "expected a smaller row, found one beyond the buffer");
        return NULL;
    }
    return at + 4;
}

static inline bool end_cell(struct cell *cell, char *content, size_t size)
{
    uint32_t length = htobe32((uint32_t)size);
    memcpy(content - 4, &length, 4);
    cell->cells->len += size + 4;
    return true;
}

static bool append_bytes(struct cell *cell, const void *bytes, size_t size)
{
    char *content = begin_cell(cell, size);
    if (content == NULL)
        return false;
    memcpy(content, bytes, size);
    return end_cell(cell, content, size);
}

static bool append_be16(struct cell *cell, uint16_t value)
{
    value = htobe16(value);
    return append_bytes(cell, &value, sizeof(value));
}

static bool append_be32(struct cell *cell, uint32_t value)
{
    value = htobe32(value);
    return append_bytes(cell, &value, sizeof(value));
}

static bool append_be64(struct cell *cell, uint64_t value)
{
    value = htobe64(value);
    return append_bytes(cell, &value, sizeof(value));
}

// --- text and JSON
// ---------------------------------------------------------------------------------

static bool holds_nul(const struct cell *cell)
{
    const struct tape_token *tokens = cell->tape->tokens;
    if (!cell->tape->has_nul)
        return false;
    for (uint32_t i = cell->token; i < tokens[cell->token].next; i++) {
        if ((tokens[i].flags & TAPE_HAS_NUL) != 0)
            return true;
    }
    return false;
}

static bool append_raw(struct cell *cell)
{
    size_t length;
    const char *raw = tape_raw(cell->tape, cell->token, &length);
    return append_bytes(cell, raw, length);
}

static bool append_string(struct cell *cell)
{
    size_t length;
    const char *string = tape_string(cell->tape, cell->token, &length);
    char *content = begin_cell(cell, length);
    if (content == NULL)
        return false;
    if ((cell->tape->tokens[cell->token].flags & TAPE_ESCAPED) != 0)
        length = text_unescape(cell->tape, cell->token, content);
    else
        memcpy(content, string, length);
    return end_cell(cell, content, length);
}

// A character is a byte at least, so most values need no counting.
static bool too_long(struct cell *cell, size_t bytes)
{
    uint32_t max = cell->column->max_chars;
    if (bytes <= max)
        return false;
    bool string = cell->kind == TAPE_STRING;
    size_t chars = string ? text_string_code_points(cell->tape, cell->token) : bytes;
    if (chars <= max)
        return false;
    fault(cell, "expected at most %u characters, found %zu", max, chars);
    return true;
}

static bool no_nul(struct cell *cell)
{
    if (!holds_nul(cell))
        return true;
    return fault(cell, "expected text without U+0000, which PostgreSQL cannot hold");
}

static bool append_text(struct cell *cell)
{
    if (cell->kind >= TAPE_ARRAY)
        return wrong_kind(cell, "text");
    size_t length;
    if (cell->kind != TAPE_STRING) {
        tape_raw(cell->tape, cell->token, &length);
        return !too_long(cell, length) && append_raw(cell);
    }
    tape_string(cell->tape, cell->token, &length);
    return no_nul(cell) && !too_long(cell, length) && append_string(cell);
}

// Whatever it is: of a column whose type is not known.
static bool append_any(struct cell *cell)
{
    if (cell->kind >= TAPE_ARRAY)
        return no_nul(cell) && append_raw(cell);
    return append_text(cell);
}

static bool append_json(struct cell *cell)
{
    return no_nul(cell) && append_raw(cell);
}

static bool append_jsonb(struct cell *cell)
{
    size_t length;
    const char *raw = tape_raw(cell->tape, cell->token, &length);
    char *content = no_nul(cell) ? begin_cell(cell, length + 1) : NULL;
    if (content == NULL)
        return false;
    content[0] = 1; // version of jsonb's binary form (jsonb_recv)
    memcpy(content + 1, raw, length);
    return end_cell(cell, content, length + 1);
}

// --- numbers
// ---------------------------------------------------------------------------------------

static bool whole_number(struct cell *cell, int64_t min, int64_t max, int64_t *value_r)
{
    if (cell->kind != TAPE_NUMBER)
        return wrong_kind(cell, "a whole number");
    size_t length;
    const char *raw = tape_raw(cell->tape, cell->token, &length);
    switch (number_to_int64(raw, length, value_r)) {
    case NUMBER_OK:
        break;
    case NUMBER_FRACTION:
        return fault(cell, "expected a whole number, found a fraction");
    case NUMBER_RANGE:
        *value_r = 0;
        min = 1; // out of any range
        break;
    }
    if (*value_r >= min && *value_r <= max)
        return true;
    static const char *const names[] = {"smallint", "integer", "bigint"};
    unsigned size = max == INT16_MAX ? 0 : max == INT32_MAX ? 1 : 2;
    return fault(cell, "expected a whole number in the range of %s, found one outside it",
                 names[size]);
}

static bool append_int2(struct cell *cell)
{
    int64_t value;
    return whole_number(cell, INT16_MIN, INT16_MAX, &value) && append_be16(cell, (uint16_t)value);
}

static bool append_int4(struct cell *cell)
{
    int64_t value;
    return whole_number(cell, INT32_MIN, INT32_MAX, &value) && append_be32(cell, (uint32_t)value);
}

static bool append_int8(struct cell *cell)
{
    int64_t value;
    return whole_number(cell, INT64_MIN, INT64_MAX, &value) && append_be64(cell, (uint64_t)value);
}

static bool floating(struct cell *cell, double *value_r)
{
    if (cell->kind != TAPE_NUMBER)
        return wrong_kind(cell, "a number");
    size_t length;
    const char *raw = tape_raw(cell->tape, cell->token, &length);
    if (number_to_double(raw, length, value_r) == NUMBER_OK)
        return true;
    return fault(cell, "expected a number in the range of %s, found one outside it",
                 cell->column->type->oid == PG_FLOAT4 ? "real" : "double precision");
}

static bool append_float4(struct cell *cell)
{
    double value;
    if (!floating(cell, &value))
        return false;
    float narrow = (float)value;
    if (isinf(narrow))
        return fault(cell, "expected a number in the range of real, found one outside it");
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof(bits));
    return append_be32(cell, bits);
}

static bool append_float8(struct cell *cell)
{
    double value;
    if (!floating(cell, &value))
        return false;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return append_be64(cell, bits);
}

static bool append_numeric(struct cell *cell)
{
    if (cell->kind != TAPE_NUMBER)
        return wrong_kind(cell, "a number");
    size_t length;
    const char *raw = tape_raw(cell->tape, cell->token, &length);
    size_t sign = *raw == '-';
    const char *limit = cell->column->limit;
    if (number_compare(raw + sign, length - sign, limit, strlen(limit)) >= 0)
        return fault(cell, "expected a number that the column's precision can hold, found a "
                           "larger one");
    return append_raw(cell);
}

static bool append_bool(struct cell *cell)
{
    if (cell->kind != TAPE_TRUE && cell->kind != TAPE_FALSE)
        return wrong_kind(cell, "true or false");
    return append_bytes(cell, cell->kind == TAPE_TRUE ? "\1" : "\0", 1);
}

// --- dates, times, UUIDs
// ---------------------------------------------------------------------------

// The text of a short string, in the event or unescaped in `scratch`; of others, "", which no
// parser takes. False, with a fault, when it is no string.
static bool short_string(struct cell *cell, char scratch[SHORT_STRING_MAX], const char **text_r,
                         size_t *length_r)
{
    if (cell->kind != TAPE_STRING)
        return wrong_kind(cell, "a string");
    *text_r = tape_string(cell->tape, cell->token, length_r);
    if (*length_r > SHORT_STRING_MAX) {
        *length_r = 0;
    } else if ((cell->tape->tokens[cell->token].flags & TAPE_ESCAPED) != 0) {
        *length_r = text_unescape(cell->tape, cell->token, scratch);
        *text_r = scratch;
    }
    return true;
}

static bool append_timestamptz(struct cell *cell)
{
    char scratch[SHORT_STRING_MAX];
    const char *text;
    size_t length;
    int64_t us;
    if (!short_string(cell, scratch, &text, &length))
        return false;
    if (!time_parse_timestamp(text, length, TIME_OFFSET_REQUIRED, &us))
        return fault(cell, "expected a date and time with offset (RFC 3339), found another string");
    return append_be64(cell, (uint64_t)us);
}

static bool append_timestamp(struct cell *cell)
{
    char scratch[SHORT_STRING_MAX];
    const char *text;
    size_t length;
    int64_t us;
    if (!short_string(cell, scratch, &text, &length))
        return false;
    if (!time_parse_timestamp(text, length, TIME_OFFSET_OPTIONAL, &us))
        return fault(cell, "expected a date and time (ISO 8601), found another string");
    return append_be64(cell, (uint64_t)us);
}

static bool append_date(struct cell *cell)
{
    char scratch[SHORT_STRING_MAX];
    const char *text;
    size_t length;
    int32_t days;
    if (!short_string(cell, scratch, &text, &length))
        return false;
    if (!time_parse_date(text, length, &days))
        return fault(cell, "expected a date (YYYY-MM-DD), found another string");
    return append_be32(cell, (uint32_t)days);
}

static bool append_time(struct cell *cell)
{
    char scratch[SHORT_STRING_MAX];
    const char *text;
    size_t length;
    int64_t us;
    if (!short_string(cell, scratch, &text, &length))
        return false;
    if (!time_parse_time(text, length, &us))
        return fault(cell, "expected a time (HH:MM:SS), found another string");
    return append_be64(cell, (uint64_t)us);
}

static bool append_uuid(struct cell *cell)
{
    char scratch[SHORT_STRING_MAX];
    const char *text;
    size_t length;
    struct uuid id;
    if (!short_string(cell, scratch, &text, &length))
        return false;
    if (!uuid_parse(text, length, &id))
        return fault(cell, "expected a UUID of 36 characters, found another string");
    return append_bytes(cell, id.bytes, sizeof(id.bytes));
}

// --- types
// -----------------------------------------------------------------------------------------

static const struct cell_type types[] = {
    {PG_TEXT, PG_TEXT, append_text},
    {PG_VARCHAR, PG_TEXT, append_text},
    {PG_BPCHAR, PG_TEXT, append_text},
    {PG_BOOL, PG_BOOL, append_bool},
    {PG_INT2, PG_INT2, append_int2},
    {PG_INT4, PG_INT4, append_int4},
    {PG_INT8, PG_INT8, append_int8},
    {PG_FLOAT4, PG_FLOAT4, append_float4},
    {PG_FLOAT8, PG_FLOAT8, append_float8},
    {PG_NUMERIC, PG_TEXT, append_numeric},
    {PG_TIMESTAMPTZ, PG_TIMESTAMPTZ, append_timestamptz},
    {PG_TIMESTAMP, PG_TIMESTAMP, append_timestamp},
    {PG_DATE, PG_DATE, append_date},
    {PG_TIME, PG_TIME, append_time},
    {PG_UUID, PG_UUID, append_uuid},
    {PG_JSON, PG_JSON, append_json},
    {PG_JSONB, PG_JSONB, append_jsonb},
    {0, PG_TEXT, append_any},
};
// Every other type: text, which the statement casts.
static const struct cell_type other_type = {UINT32_MAX, PG_TEXT, append_text};

// Least number that rounds to one beyond numeric(precision, scale): the precision's nines, then a
// 5, at the place behind the scale.
static char *numeric_limit(int32_t typmod)
{
    if (typmod < TYPMOD_HEADER)
        return mem_strdup(NUMERIC_LIMIT);
    int32_t modifier = typmod - TYPMOD_HEADER;
    int precision = modifier >> 16 & 0xffff;
    int scale = ((modifier & 0x7ff) ^ 0x400) - 0x400; // 11 bits, signed (numeric.c)
    size_t size = (size_t)precision + 16;
    char *limit = mem_alloc(size);
    memset(limit, '9', (size_t)precision);
    snprintf(limit + precision, size - (size_t)precision, "5e%d", -scale - 1);
    return limit;
}

void cell_column_init(struct cell_column *column, uint32_t type, int32_t typmod)
{
    column->type = &other_type;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].oid == type)
            column->type = &types[i];
    }
    bool counted = type == PG_VARCHAR || type == PG_BPCHAR;
    column->max_chars =
        counted && typmod >= TYPMOD_HEADER ? (uint32_t)(typmod - TYPMOD_HEADER) : UINT32_MAX;
    column->limit = type == PG_NUMERIC ? numeric_limit(typmod) : NULL;
}

void cell_column_deinit(struct cell_column *column)
{
    free(column->name);
    free(column->limit);
    column->name = column->limit = NULL;
}

uint32_t cell_wire_type(const struct cell_column *column)
{
    return column->type->wire;
}

bool cell_append(const struct cell_column *column, const struct tape *tape, uint32_t token,
                 struct buf *cells, char *message)
{
    struct cell cell = {
        .column = column, .tape = tape, .token = token, .cells = cells, .message = message};
    cell.kind = token != TAPE_NONE ? (enum tape_kind)tape->tokens[token].kind : TAPE_NULL;
    if (cell.kind != TAPE_NULL)
        return column->type->append(&cell);
    if (column->not_null)
        return fault(&cell, "expected a value (the column is NOT NULL), found %s",
                     token != TAPE_NONE ? "null" : "none");
    static const char null[4] = "\xff\xff\xff\xff";
    if (buf_append(cells, null, sizeof(null)))
        return true;
    return fault(&cell, "expected a smaller row, found one beyond the buffer");
}
