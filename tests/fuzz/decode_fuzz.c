// SPDX-License-Identifier: Apache-2.0
// event/decode over any bytes, with the product's schema or none (the first byte), and a table of
// every type: a row whose cells add up, or a dead letter whose detail jsonb can hold.
#include "fuzz.h"

#include "core/fsio.h"
#include "event/decode.h"
#include "event/mapping.h"
#include "json/tape.h"
#include "schema/compile.h"

#include <endian.h>

static const struct mapping_column columns[] = {
    {"id", "/idempotencyKey", PG_VARCHAR, 259, true},
    {"timestamp", "/timestamp", PG_TIMESTAMPTZ, -1, true},
    {"local", "/a", PG_TIMESTAMP, -1, false},
    {"day", "/a", PG_DATE, -1, false},
    {"duration", "/attributes/duration", PG_FLOAT8, -1, false},
    {"small", "/n", PG_INT2, -1, false},
    {"large", "/n", PG_INT8, -1, false},
    {"amount", "/n", PG_NUMERIC, (10 << 16 | 2) + 4, false},
    {"flag", "/b", PG_BOOL, -1, false},
    {"code", "/attributes/code", PG_BPCHAR, 9, false},
    {"uuid", "/u", PG_UUID, -1, false},
    {"attributes", "/attributes", PG_JSONB, -1, false},
    {"other", "/o", 0, -1, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(*columns))

static struct schema *schema;
static struct mapping *mapping;
static struct decoder *decoder;
static struct decode_result result;
static struct buf cells;

static void set_up(void)
{
    struct buf text = {0};
    struct status st = {0};
    unsigned key = 0;
    FUZZ_CHECK(fsio_read_file("config/schemas/cxone-event.json", 1 << 20, &text, &st) ==
                       STATUS_OK &&
                   schema_compile("event", text.data, text.len, &schema, NULL, 0, NULL, &st) ==
                       STATUS_OK &&
                   mapping_compile(columns, N_COLUMNS, &key, 1, &mapping, &st) == STATUS_OK,
               "%s (run at the top of the tree)", st.detail);
    decoder = decoder_create(NULL);
    buf_deinit(&text);
}

static void check_cells(void)
{
    size_t at = 0;
    for (size_t i = 0; i < N_COLUMNS; i++) {
        uint32_t length;
        FUZZ_CHECK(cells.len - at >= 4, "cell %zu", i);
        memcpy(&length, cells.data + at, 4);
        length = be32toh(length);
        at += 4 + (length == UINT32_MAX ? 0 : length);
        FUZZ_CHECK(at <= cells.len, "cell %zu", i);
    }
    FUZZ_CHECK(at == cells.len, "%zu of %zu bytes", at, cells.len);
}

static void check_dead_letter(void)
{
    struct tape tape;
    tape_init(&tape, 0);
    FUZZ_CHECK(strchr(result.reason, '.') != NULL, "%s", result.reason);
    FUZZ_CHECK(tape_parse(&tape, result.detail.data, result.detail.len), "%s", tape.error_message);
    FUZZ_CHECK(tape.tokens[0].kind == TAPE_ARRAY && tape.tokens[0].count > 0 && !tape.has_nul, "%s",
               result.reason);
    FUZZ_CHECK(cells.len == 0, "%zu", cells.len);
    tape_deinit(&tape);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    if (decoder == NULL)
        set_up();
    if (size == 0)
        return 0;
    const struct schema *used = data[0] % 2 == 0 ? schema : NULL;
    char *event = fuzz_copy(data + 1, size - 1);
    buf_clear(&cells);
    decode_event(decoder, used, mapping, DECODE_TEXT, event, size - 1, &cells, &result);
    bool is_row = result.is_row;
    uint64_t hash = result.key_hash;
    if (is_row)
        check_cells();
    else
        check_dead_letter();
    size_t length = cells.len;
    decode_event(decoder, used, mapping, DECODE_TEXT, event, size - 1, &cells, &result);
    FUZZ_CHECK(result.is_row == is_row && result.key_hash == hash && cells.len == 2 * length,
               "again");
    FUZZ_CHECK(length == 0 || memcmp(cells.data, cells.data + length, length) == 0, "again");
    free(event);
    return 0;
}
