// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/mapping.h"
#include "json/tape.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NULL_CELL UINT32_MAX

static struct mapping *compile(const struct mapping_column *columns, size_t n)
{
    unsigned key = 0;
    struct mapping *mapping;
    struct status st = {0};
    if (mapping_compile(columns, n, &key, 1, &mapping, &st) != STATUS_OK)
        fail_msg("%s", st.detail);
    return mapping;
}

// One row of one event, and access to its cells.
struct row {
    struct buf cells;
    size_t n_faults;
    struct mapping_fault faults[4];
    uint64_t hash;
};

static struct row extract(const struct mapping *mapping, const char *json)
{
    struct row row = {0};
    struct tape tape;
    tape_init(&tape, 0);
    if (!tape_parse(&tape, json, strlen(json)))
        fail_msg("%s: %s", json, tape.error_message);
    row.n_faults = mapping_extract(mapping, &tape, &row.cells, &row.hash, row.faults, 4);
    tape_deinit(&tape);
    return row;
}

static const char *cell_at(const struct row *row, size_t column, uint32_t *length_r)
{
    const char *p = row->cells.data;
    for (;; column--) {
        memcpy(length_r, p, 4);
        *length_r = be32toh(*length_r);
        if (column == 0)
            return p + 4;
        p += 4 + (*length_r == NULL_CELL ? 0 : *length_r);
    }
}

static void assert_cell(const struct row *row, size_t column, const void *bytes, size_t length)
{
    uint32_t found;
    const char *cell = cell_at(row, column, &found);
    assert_int_equal(found, length);
    assert_memory_equal(cell, bytes, length);
}

static void assert_text(const struct row *row, size_t column, const char *text)
{
    assert_cell(row, column, text, strlen(text));
}

static void assert_null_cell(const struct row *row, size_t column)
{
    uint32_t length;
    cell_at(row, column, &length);
    assert_int_equal(length, NULL_CELL);
}

// --- one column of a type
// --------------------------------------------------------------------------

struct one {
    uint32_t type;
    int32_t typmod;
    const char *json; // value of the member "v"
};

static struct row extract_one(struct one one)
{
    struct mapping_column column = {"col", "/v", one.type, one.typmod, false};
    struct mapping *mapping = compile(&column, 1);
    char *json = malloc(strlen(one.json) + 16);
    sprintf(json, "{\"v\":%s}", one.json);
    struct row row = extract(mapping, json);
    if (row.n_faults != 0) {
        assert_ptr_equal(row.cells.data != NULL && row.cells.len != 0, false);
        assert_string_equal(row.faults[0].column, "col");
        row.faults[0].column = NULL;
    }
    free(json);
    mapping_destroy(&mapping);
    return row;
}

static void assert_bytes(uint32_t type, int32_t typmod, const char *json, const void *bytes,
                         size_t length)
{
    struct row row = extract_one((struct one){type, typmod, json});
    if (row.n_faults != 0)
        fail_msg("type %u, %.80s: %s", type, json, row.faults[0].message);
    assert_cell(&row, 0, bytes, length);
    buf_deinit(&row.cells);
}

static void assert_string(uint32_t type, int32_t typmod, const char *json, const char *text)
{
    assert_bytes(type, typmod, json, text, strlen(text));
}

static void assert_fault(uint32_t type, int32_t typmod, const char *json, const char *part)
{
    struct row row = extract_one((struct one){type, typmod, json});
    if (row.n_faults != 1 || strstr(row.faults[0].message, part) == NULL)
        fail_msg("type %u, %.80s: expected \"%s\", got \"%s\"", type, json, part,
                 row.n_faults != 0 ? row.faults[0].message : "a row");
    buf_deinit(&row.cells);
}

static void assert_uint(uint32_t type, const char *json, uint64_t value, size_t size)
{
    value = htobe64(value << (8 * (8 - size)));
    assert_bytes(type, -1, json, &value, size);
}

static void test_text(void **state)
{
    (void)state;
    static const uint32_t types[] = {PG_TEXT, PG_VARCHAR, PG_BPCHAR, PG_BYTEA, 16385, 0};
    for (size_t i = 0; i < 6; i++) {
        uint32_t type = types[i];
        assert_string(type, -1, "\"\"", "");
        assert_string(type, -1, "\"a\\\\b\\\"c\\n\\t';DROP TABLE x;--\"",
                      "a\\b\"c\n\t';DROP TABLE x;--");
        assert_string(type, -1, "\"\\ud83d\\ude00 \xe4\xb8\xad e\xcc\x81\"",
                      "\xf0\x9f\x98\x80 \xe4\xb8\xad e\xcc\x81");
        assert_string(type, -1, "12.50", "12.50");
        assert_string(type, -1, "true", "true");
        assert_fault(type, -1, "\"a\\u0000\"", "without U+0000");
        if (type == 0)
            continue;
        assert_fault(type, -1, "[1]", "expected text, found array");
        assert_fault(type, -1, "{}", "expected text, found object");
    }
}

static void test_unknown_type(void **state)
{
    (void)state;
    assert_string(0, -1, "{\"a\": [1]}", "{\"a\": [1]}");
    assert_string(0, -1, "[\"x\\n\"]", "[\"x\\n\"]");
    assert_fault(0, -1, "[\"\\u0000\"]", "without U+0000");
    struct row row = extract_one((struct one){0, -1, "null"});
    assert_null_cell(&row, 0);
    buf_deinit(&row.cells);
}

static void test_varchar_length(void **state)
{
    (void)state;
    static const char emoji[] = "\xf0\x9f\x98\x80";
    char json[2048] = "\"";
    for (int i = 0; i < 255; i++)
        strcat(json, emoji);
    size_t full = strlen(json);
    strcpy(json + full, "\"");
    char text[1021];
    memcpy(text, json + 1, 1020);
    text[1020] = '\0';
    assert_string(PG_VARCHAR, 259, json, text);
    assert_string(PG_BPCHAR, 259, json, text);
    strcpy(json + full, "x\"");
    assert_fault(PG_VARCHAR, 259, json, "expected at most 255 characters, found 256");
    assert_fault(PG_BPCHAR, 259, json, "expected at most 255 characters, found 256");
    assert_string(PG_TEXT, -1, "\"abcdef\"", "abcdef");
    assert_string(PG_VARCHAR, -1, "\"abcdef\"", "abcdef");
    assert_string(PG_VARCHAR, 4 + 2, "\"\\u00e4\\ud83d\\ude00\"", "\xc3\xa4\xf0\x9f\x98\x80");
    assert_fault(PG_VARCHAR, 4 + 2, "\"\\u00e4\\ud83d\\ude00 \"", "at most 2 characters, found 3");
    assert_string(PG_VARCHAR, 4 + 3, "123", "123");
    assert_fault(PG_VARCHAR, 4 + 3, "1234", "at most 3 characters, found 4");
}

static void test_integers(void **state)
{
    (void)state;
    assert_uint(PG_INT2, "32767", 32767, 2);
    assert_uint(PG_INT2, "-32768", 0x8000, 2);
    assert_uint(PG_INT4, "12.0", 12, 4);
    assert_uint(PG_INT4, "1e2", 100, 4);
    assert_uint(PG_INT4, "-1", 0xffffffff, 4);
    assert_uint(PG_INT4, "-2147483648", 0x80000000, 4);
    assert_uint(PG_INT8, "9223372036854775807", INT64_MAX, 8);
    assert_uint(PG_INT8, "-9223372036854775808", UINT64_C(1) << 63, 8);
    assert_fault(PG_INT2, -1, "32768", "range of smallint");
    assert_fault(PG_INT2, -1, "-32769", "range of smallint");
    assert_fault(PG_INT4, -1, "2147483648", "range of integer");
    assert_fault(PG_INT4, -1, "1e300", "range of integer");
    assert_fault(PG_INT8, -1, "9223372036854775808", "range of bigint");
    assert_fault(PG_INT4, -1, "12.5", "whole number, found a fraction");
    assert_fault(PG_INT4, -1, "1e-1", "whole number, found a fraction");
    assert_fault(PG_INT4, -1, "\"12\"", "expected a whole number, found string");
    assert_fault(PG_INT8, -1, "true", "expected a whole number, found boolean");
    assert_fault(PG_INT2, -1, "[]", "expected a whole number, found array");
}

static void test_floats(void **state)
{
    (void)state;
    static const double values[] = {0, 12.5, -1, 0.1, 1e308, -0.0};
    static const char *const texts[] = {"0", "12.5", "-1", "0.1", "1e308", "-0"};
    for (size_t i = 0; i < 6; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], 8);
        assert_uint(PG_FLOAT8, texts[i], bits, 8);
        float narrow = (float)values[i];
        uint32_t narrow_bits;
        memcpy(&narrow_bits, &narrow, 4);
        if (isfinite(narrow))
            assert_uint(PG_FLOAT4, texts[i], narrow_bits, 4);
    }
    assert_fault(PG_FLOAT8, -1, "1e309", "range of double precision");
    assert_fault(PG_FLOAT8, -1, "-1e400", "range of double precision");
    assert_fault(PG_FLOAT8, -1, "\"412\"", "expected a number, found string");
    assert_fault(PG_FLOAT4, -1, "1e39", "range of real");
    assert_fault(PG_FLOAT4, -1, "1e309", "range of real");
    assert_fault(PG_FLOAT4, -1, "{}", "expected a number, found object");
}

static int32_t numeric(int precision, int scale)
{
    return ((precision << 16) | (scale & 0x7ff)) + 4;
}

static void test_numeric(void **state)
{
    (void)state;
    assert_string(PG_NUMERIC, -1, "12.50", "12.50");
    assert_string(PG_NUMERIC, -1, "-1e400", "-1e400");
    assert_string(PG_NUMERIC, -1, "9.9e131071", "9.9e131071");
    assert_fault(PG_NUMERIC, -1, "1e131072", "precision");
    assert_fault(PG_NUMERIC, -1, "-1e999999999999", "precision");
    assert_fault(PG_NUMERIC, -1, "\"1\"", "expected a number, found string");
    assert_string(PG_NUMERIC, numeric(5, 2), "999.994", "999.994");
    assert_string(PG_NUMERIC, numeric(5, 2), "-999.99", "-999.99");
    assert_fault(PG_NUMERIC, numeric(5, 2), "999.995", "precision");
    assert_fault(PG_NUMERIC, numeric(5, 2), "-1000", "precision");
    assert_string(PG_NUMERIC, numeric(3, 0), "999.4", "999.4");
    assert_fault(PG_NUMERIC, numeric(3, 0), "999.5", "precision");
    assert_string(PG_NUMERIC, numeric(2, -3), "99499", "99499");
    assert_fault(PG_NUMERIC, numeric(2, -3), "99500", "precision");
    assert_string(PG_NUMERIC, numeric(3, 5), "0.00999", "0.00999");
    assert_fault(PG_NUMERIC, numeric(3, 5), "0.01", "precision");
    assert_string(PG_NUMERIC, numeric(1000, 0), "1e999", "1e999");
    assert_fault(PG_NUMERIC, numeric(1000, 0), "1e1000", "precision");
}

static void test_bool(void **state)
{
    (void)state;
    assert_bytes(PG_BOOL, -1, "true", "\1", 1);
    assert_bytes(PG_BOOL, -1, "false", "\0", 1);
    assert_fault(PG_BOOL, -1, "1", "expected true or false, found number");
    assert_fault(PG_BOOL, -1, "\"true\"", "expected true or false, found string");
}

static void test_times(void **state)
{
    (void)state;
    assert_uint(PG_TIMESTAMPTZ, "\"2000-01-01T05:45:00.000001+05:45\"", 1, 8);
    assert_uint(PG_TIMESTAMPTZ, "\"2000-01-01T00:00:00\\u005a\"", 0, 8);
    assert_uint(PG_TIMESTAMPTZ, "\"1999-12-31T23:59:60Z\"", 0, 8);
    assert_fault(PG_TIMESTAMPTZ, -1, "\"2025-03-14 09:26:53\"", "RFC 3339");
    assert_fault(PG_TIMESTAMPTZ, -1, "\"2025-03-14T09:26:53\"", "RFC 3339");
    assert_fault(PG_TIMESTAMPTZ, -1, "1741944413", "expected a string, found number");
    assert_fault(PG_TIMESTAMPTZ, -1, "\"\"", "RFC 3339");
    assert_uint(PG_TIMESTAMP, "\"2000-01-01 00:00:01\"", 1000000, 8);
    assert_fault(PG_TIMESTAMP, -1, "\"yesterday\"", "ISO 8601");
    assert_fault(PG_TIMESTAMP, -1, "{}", "expected a string");
    assert_uint(PG_DATE, "\"1999-12-31\"", 0xffffffff, 4);
    assert_fault(PG_DATE, -1, "\"1999-12-31T00:00:00Z\"", "YYYY-MM-DD");
    assert_fault(PG_DATE, -1, "19991231", "expected a string");
    assert_uint(PG_TIME, "\"00:00:01.5\"", 1500000, 8);
    assert_fault(PG_TIME, -1, "\"1:00\"", "HH:MM:SS");
    assert_fault(PG_TIME, -1, "true", "expected a string");
    char json[700] = "\"2000-01-01T00:00:00.";
    memset(json + 21, '0', 600);
    strcpy(json + 621, "Z\"");
    assert_fault(PG_TIMESTAMPTZ, -1, json, "RFC 3339"); // longer than any timestamp
}

static void test_uuid(void **state)
{
    (void)state;
    static const char bytes[] = "\xa1\xb2\xc3\xd4\xe5\xf6\x78\x90\xab\xcd\xef\x12\x34\x56\x78\x90";
    assert_bytes(PG_UUID, -1, "\"a1b2c3d4-e5f6-7890-abcd-ef1234567890\"", bytes, 16);
    assert_bytes(PG_UUID, -1, "\"A1B2C3D4-E5F6-7890-ABCD-EF12345678\\u00390\"", bytes, 16);
    assert_fault(PG_UUID, -1, "\"a1b2c3d4e5f67890abcdef1234567890\"", "36 characters");
    assert_fault(PG_UUID, -1, "\"a1b2c3d4-e5f6-7890-abcd-ef123456789g\"", "36 characters");
    assert_fault(PG_UUID, -1, "17", "expected a string");
}

static void test_json(void **state)
{
    (void)state;
    static const char *const values[] = {"{ \"a\" : [1, 2.50, \"\\u00e4\"] }", "[]", "\"x\\n\"",
                                         "1e400", "true"};
    for (size_t i = 0; i < 5; i++) {
        char versioned[64] = "\1";
        strcat(versioned, values[i]);
        assert_string(PG_JSONB, -1, values[i], versioned);
        assert_string(PG_JSON, -1, values[i], values[i]);
    }
    static const uint32_t types[] = {PG_JSON, PG_JSONB};
    for (size_t i = 0; i < 2; i++) {
        struct row row = extract_one((struct one){types[i], -1, "null"});
        assert_null_cell(&row, 0);
        buf_deinit(&row.cells);
        assert_fault(types[i], -1, "{\"a\":[\"x\\u0000\"]}", "without U+0000");
        assert_fault(types[i], -1, "{\"\\u0000\":1}", "without U+0000");
    }
}

// U+0000 elsewhere in the event is not this column's.
static void test_nul_elsewhere(void **state)
{
    (void)state;
    struct mapping_column columns[] = {{"a", "/a", PG_TEXT, -1, false},
                                       {"b", "/b", PG_JSONB, -1, false}};
    struct mapping *mapping = compile(columns, 2);
    struct row row = extract(mapping, "{\"a\":\"x\",\"b\":[1],\"c\":\"\\u0000\"}");
    assert_int_equal(row.n_faults, 0);
    assert_text(&row, 0, "x");
    buf_deinit(&row.cells);
    mapping_destroy(&mapping);
}

// --- whole rows
// ------------------------------------------------------------------------------------

static void test_default_columns(void **state)
{
    (void)state;
    static const struct mapping_column columns[] = {
        {"interaction_id", "/interactionId", PG_VARCHAR, 259, true},
        {"timestamp", "/timestamp", PG_TIMESTAMPTZ, -1, true},
        {"duration", "/attributes/duration", PG_FLOAT8, -1, false},
        {"queue_name", "/attributes/queueName", PG_VARCHAR, 259, false},
        {"agent_id", "/attributes/agentId", PG_VARCHAR, 259, false},
        {"attributes", "/attributes", PG_JSONB, -1, false},
    };
    struct mapping *mapping = compile(columns, 6);
    assert_int_equal(mapping_columns(mapping), 6);
    struct row row =
        extract(mapping, "{\"timestamp\":\"2000-01-01T00:00:00Z\",\"interactionId\":\"i\","
                         "\"attributes\":{\"x\":1,\"queueName\":null,\"agentId\":\"\"}}");
    assert_int_equal(row.n_faults, 0);
    assert_text(&row, 0, "i");
    assert_cell(&row, 1, "\0\0\0\0\0\0\0", 8);
    assert_null_cell(&row, 2);
    assert_null_cell(&row, 3);
    assert_text(&row, 4, ""); // empty, not null
    assert_text(&row, 5, "\1{\"x\":1,\"queueName\":null,\"agentId\":\"\"}");
    buf_deinit(&row.cells);
    row = extract(mapping, "{\"timestamp\":\"2000-01-01T00:00:00Z\",\"interactionId\":\"i\"}");
    assert_int_equal(row.n_faults, 0);
    assert_null_cell(&row, 5);
    buf_deinit(&row.cells);
    mapping_destroy(&mapping);
}

static void test_not_null(void **state)
{
    (void)state;
    static const struct mapping_column columns[] = {{"a", "/a", PG_TEXT, -1, true},
                                                    {"b", "/b", PG_INT4, -1, true},
                                                    {"c", "/c", PG_JSONB, -1, true}};
    struct mapping *mapping = compile(columns, 3);
    struct row row = extract(mapping, "{\"b\":null,\"c\":1}");
    assert_int_equal(row.n_faults, 2);
    assert_string_equal(row.faults[0].column, "a");
    assert_non_null(strstr(row.faults[0].message, "NOT NULL"));
    assert_non_null(strstr(row.faults[0].message, "found none"));
    assert_string_equal(row.faults[1].column, "b");
    assert_non_null(strstr(row.faults[1].message, "found null"));
    buf_deinit(&row.cells);
    row = extract(mapping, "[]");
    assert_int_equal(row.n_faults, 3);
    buf_deinit(&row.cells);
    mapping_destroy(&mapping);
}

static void test_pointers(void **state)
{
    (void)state;
    static const struct mapping_column columns[] = {
        {"whole", "", PG_JSON, -1, false},
        {"again", "/a", PG_JSON, -1, false},
        {"a", "/a", PG_JSON, -1, false},
        {"second", "/a/1", PG_TEXT, -1, false},
        {"deep", "/a/0/x~1y/2", PG_INT4, -1, false},
        {"member0", "/o/0", PG_TEXT, -1, false},
        {"missing", "/a/7", PG_TEXT, -1, false},
        {"scalar", "/s/x", PG_TEXT, -1, false},
        {"escaped", "/\xc3\xa4", PG_TEXT, -1, false},
        {"empty", "/", PG_TEXT, -1, false},
        {"dash", "/a/-", PG_TEXT, -1, false},
    };
    static const char json[] = "{\"a\":[{\"x/y\":[1,2,3]},\"two\"],\"o\":{\"0\":\"zero\"},\"s\":1,"
                               "\"\\u00e4\":\"umlaut\",\"\":\"nameless\"}";
    struct mapping *mapping = compile(columns, 11);
    struct row row = extract(mapping, json);
    assert_int_equal(row.n_faults, 0);
    assert_text(&row, 0, json);
    assert_text(&row, 1, "[{\"x/y\":[1,2,3]},\"two\"]");
    assert_text(&row, 2, "[{\"x/y\":[1,2,3]},\"two\"]");
    assert_text(&row, 3, "two");
    assert_cell(&row, 4, "\0\0\0\3", 4);
    assert_text(&row, 5, "zero");
    assert_null_cell(&row, 6);
    assert_null_cell(&row, 7);
    assert_text(&row, 8, "umlaut");
    assert_text(&row, 9, "nameless");
    assert_null_cell(&row, 10);
    buf_deinit(&row.cells);
    mapping_destroy(&mapping);
}

// In whatever order members come, escaped or not, with others between them.
static void test_orders(void **state)
{
    (void)state;
    static const struct mapping_column columns[] = {{"a", "/first", PG_TEXT, -1, false},
                                                    {"b", "/second/x", PG_TEXT, -1, false},
                                                    {"c", "/third", PG_TEXT, -1, false}};
    static const char *const members[] = {"\"first\":\"1\"", "\"second\":{\"y\":0,\"x\":\"2\"}",
                                          "\"th\\u0069rd\":\"3\"", "\"fourth\":\"4\""};
    struct mapping *mapping = compile(columns, 3);
    char json[256];
    for (unsigned order = 0; order < 256; order++) {
        unsigned i = order & 3, j = order >> 2 & 3, k = order >> 4 & 3, l = order >> 6 & 3;
        if ((1u << i | 1u << j | 1u << k | 1u << l) != 15)
            continue; // not a permutation
        snprintf(json, sizeof(json), "{%s,%s,%s,%s}", members[i], members[j], members[k],
                 members[l]);
        struct row row = extract(mapping, json);
        assert_int_equal(row.n_faults, 0);
        assert_text(&row, 0, "1");
        assert_text(&row, 1, "2");
        assert_text(&row, 2, "3");
        buf_deinit(&row.cells);
    }
    mapping_destroy(&mapping);
}

static void test_many_columns(void **state)
{
    (void)state;
    struct mapping_column columns[MAPPING_COLUMNS_MAX];
    char names[MAPPING_COLUMNS_MAX][16];
    struct buf json = {0};
    buf_append_text(&json, "{");
    for (unsigned i = 0; i < MAPPING_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "/member%u", i);
        columns[i] = (struct mapping_column){names[i] + 1, names[i], PG_INT4, -1, true};
        buf_printf(&json, "%s\"member%u\":%u", i == 0 ? "" : ",", MAPPING_COLUMNS_MAX - 1 - i, i);
    }
    buf_append_text(&json, "}");
    struct mapping *mapping = compile(columns, MAPPING_COLUMNS_MAX);
    struct row row = extract(mapping, buf_text(&json));
    assert_int_equal(row.n_faults, 0);
    for (uint32_t i = 0; i < MAPPING_COLUMNS_MAX; i++) {
        uint32_t value = htobe32(MAPPING_COLUMNS_MAX - 1 - i);
        assert_cell(&row, i, &value, 4);
    }
    buf_deinit(&row.cells);
    row = extract(mapping, "{}");
    assert_int_equal(row.n_faults, MAPPING_COLUMNS_MAX); // of which four are described
    assert_string_equal(row.faults[3].column, "member3");
    buf_deinit(&row.cells);
    buf_deinit(&json);
    mapping_destroy(&mapping);
}

static void test_faults_leave_cells(void **state)
{
    (void)state;
    static const struct mapping_column columns[] = {{"a", "/a", PG_TEXT, -1, false},
                                                    {"b", "/b", PG_INT4, -1, false}};
    struct mapping *mapping = compile(columns, 2);
    struct tape tape;
    tape_init(&tape, 0);
    struct buf cells = {0};
    uint64_t hash;
    assert_true(tape_parse(&tape, "{\"a\":\"x\",\"b\":1}", 15));
    assert_int_equal(mapping_extract(mapping, &tape, &cells, &hash, NULL, 0), 0);
    size_t length = cells.len;
    assert_int_equal(length, 4 + 1 + 4 + 4);
    assert_true(tape_parse(&tape, "{\"a\":\"x\",\"b\":[]}", 16));
    assert_int_equal(mapping_extract(mapping, &tape, &cells, &hash, NULL, 0), 1);
    assert_int_equal(cells.len, length);
    // A buffer at its cap is a fault, too, at a text, at a number, and at a NULL.
    static const char *const texts[] = {"{\"a\":\"xxxxxxxxxx\"}", "{\"b\":1}", "{}"};
    for (size_t i = 0; i < 3; i++) {
        struct buf small = {.max = i == 1 ? 6 : 3};
        struct mapping_fault fault;
        assert_true(tape_parse(&tape, texts[i], strlen(texts[i])));
        assert_true(mapping_extract(mapping, &tape, &small, &hash, &fault, 1) >= 1);
        assert_non_null(strstr(fault.message, "smaller row"));
        assert_int_equal(small.len, 0);
        buf_deinit(&small);
    }
    buf_deinit(&cells);
    tape_deinit(&tape);
    mapping_destroy(&mapping);
}

static void test_key_hash(void **state)
{
    (void)state;
    static const struct mapping_column columns[] = {{"a", "/a", PG_TEXT, -1, false},
                                                    {"b", "/b", PG_TEXT, -1, false},
                                                    {"c", "/c", PG_TEXT, -1, false}};
    static const unsigned key[] = {2, 0};
    struct mapping *mapping;
    assert_int_equal(mapping_compile(columns, 3, key, 2, &mapping, NULL), STATUS_OK);
    static const char *const events[] = {
        "{\"a\":\"x\",\"b\":\"1\",\"c\":\"yz\"}",
        "{\"c\":\"\\u0079z\",\"a\":\"x\",\"b\":\"2\"}", // the same key
        "{\"a\":\"zx\",\"b\":\"1\",\"c\":\"y\"}",
        "{\"a\":\"yz\",\"b\":\"1\",\"c\":\"x\"}",
        "{\"b\":\"1\",\"c\":\"yz\"}",
        "{\"a\":\"\",\"b\":\"1\",\"c\":\"yz\"}",
    };
    uint64_t hashes[6];
    for (size_t i = 0; i < 6; i++) {
        struct row row = extract(mapping, events[i]);
        assert_int_equal(row.n_faults, 0);
        hashes[i] = row.hash;
        buf_deinit(&row.cells);
        for (size_t j = 0; j < i; j++)
            assert_int_equal(hashes[i] == hashes[j], i == 1 && j == 0);
    }
    mapping_destroy(&mapping);
}

static void test_wire_types(void **state)
{
    (void)state;
    static const uint32_t own[] = {PG_BOOL,   PG_INT2, PG_INT4, PG_INT8,      PG_FLOAT4,
                                   PG_FLOAT8, PG_DATE, PG_TIME, PG_TIMESTAMP, PG_TIMESTAMPTZ,
                                   PG_UUID,   PG_JSON, PG_JSONB};
    static const uint32_t text[] = {PG_TEXT, PG_VARCHAR, PG_BPCHAR, PG_NUMERIC, PG_BYTEA, 1186, 0};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        struct mapping_column column = {"c", "/c", own[i], -1, false};
        struct mapping *mapping = compile(&column, 1);
        assert_int_equal(mapping_wire_type(mapping, 0), own[i]);
        mapping_destroy(&mapping);
    }
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        struct mapping_column column = {"c", "/c", text[i], -1, false};
        struct mapping *mapping = compile(&column, 1);
        assert_int_equal(mapping_wire_type(mapping, 0), PG_TEXT);
        mapping_destroy(&mapping);
    }
}

static void test_compile_faults(void **state)
{
    (void)state;
    struct mapping_column columns[2] = {{"good", "/a", PG_TEXT, -1, false},
                                        {"bad", "a", PG_NUMERIC, -1, false}};
    unsigned key[MAPPING_KEY_MAX + 1] = {0};
    struct mapping *mapping;
    struct status st = {0};
    assert_int_equal(mapping_compile(columns, 2, key, 1, &mapping, &st), STATUS_INVALID);
    assert_null(mapping);
    assert_non_null(strstr(st.detail, "column \"bad\": "));
    assert_int_equal(mapping_compile(columns, 0, key, 1, &mapping, &st), STATUS_INVALID);
    assert_int_equal(mapping_compile(columns, MAPPING_COLUMNS_MAX + 1, key, 1, &mapping, &st),
                     STATUS_INVALID);
    assert_int_equal(mapping_compile(columns, 1, key, 0, &mapping, &st), STATUS_INVALID);
    assert_int_equal(mapping_compile(columns, 1, key, MAPPING_KEY_MAX + 1, &mapping, &st),
                     STATUS_INVALID);
    key[0] = 1;
    assert_int_equal(mapping_compile(columns, 1, key, 1, &mapping, &st), STATUS_INVALID);
    mapping_destroy(&mapping);
    assert_null(mapping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_unknown_type),
        cmocka_unit_test(test_varchar_length), cmocka_unit_test(test_integers),
        cmocka_unit_test(test_floats),         cmocka_unit_test(test_numeric),
        cmocka_unit_test(test_bool),           cmocka_unit_test(test_times),
        cmocka_unit_test(test_uuid),           cmocka_unit_test(test_json),
        cmocka_unit_test(test_nul_elsewhere),  cmocka_unit_test(test_default_columns),
        cmocka_unit_test(test_not_null),       cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_many_columns),   cmocka_unit_test(test_faults_leave_cells),
        cmocka_unit_test(test_key_hash),       cmocka_unit_test(test_wire_types),
        cmocka_unit_test(test_compile_faults), cmocka_unit_test(test_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
