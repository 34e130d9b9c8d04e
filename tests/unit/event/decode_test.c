// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/fsio.h"
#include "event/decode.h"
#include "event/mapping.h"
#include "json/tape.h"
#include "json/text.h"
#include "schema/compile.h"
#include "support/default_event.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_FILE "config/schemas/cxone-event.json"

enum {
    TIMESTAMP = 1,
    KEY = DEFAULT_KEY,
    DURATION,
    DISPOSITION,
    QUEUE,
    AGENT,
    ATTRIBUTES,
    N_COLUMNS
};

struct fixture {
    struct decoder *decoder;
    struct mapping *mapping;
    struct schema *schema;
    struct buf cells;
    struct decode_result result;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct buf text = {0};
    struct status st = {0};
    struct schema_fault faults[4];
    size_t n;
    unsigned key = KEY;
    f->decoder = decoder_create(NULL);
    if (fsio_read_file(SCHEMA_FILE, 1 << 20, &text, &st) != STATUS_OK ||
        schema_compile(SCHEMA_FILE, text.data, text.len, &f->schema, faults, 4, &n, &st) !=
            STATUS_OK ||
        mapping_compile(default_columns, DEFAULT_COLUMNS, &key, 1, &f->mapping, &st) != STATUS_OK) {
        print_error("%s (run from the repository's root)\n", st.detail);
        return -1;
    }
    buf_deinit(&text);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    schema_destroy(&f->schema);
    mapping_destroy(&f->mapping);
    decoder_destroy(&f->decoder);
    decoder_destroy(&f->decoder);
    buf_deinit(&f->cells);
    buf_deinit(&f->result.detail);
    free(f);
    return 0;
}

// Decodes from an allocation of exactly the event's size.
static void decode_bytes(struct fixture *f, const char *data, size_t length)
{
    char *copy = malloc(length != 0 ? length : 1);
    memcpy(copy, data, length);
    buf_clear(&f->cells);
    decode_event(f->decoder, f->schema, f->mapping, DECODE_TEXT, copy, length, &f->cells,
                 &f->result);
    free(copy);
}

// The detail is a JSON array of objects with a message each; returns how many.
static uint32_t check_detail(struct fixture *f)
{
    struct tape tape;
    tape_init(&tape, 0);
    if (!tape_parse(&tape, f->result.detail.data, f->result.detail.len))
        fail_msg("detail is no JSON: %s: %s", buf_text(&f->result.detail), tape.error_message);
    assert_false(tape.has_nul); // jsonb could not hold it
    assert_int_equal(tape.tokens[0].kind, TAPE_ARRAY);
    uint32_t n = tape.tokens[0].count;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t entry = tape_element(&tape, 0, i);
        assert_int_not_equal(tape_member(&tape, entry, "message", 7, tape_hash("message", 7)),
                             TAPE_NONE);
    }
    tape_deinit(&tape);
    return n;
}

static void assert_refused(struct fixture *f, const char *what, const char *reason)
{
    if (f->result.is_row || strcmp(f->result.reason, reason) != 0)
        fail_msg("%.200s: expected %s, got %s %s", what, reason,
                 f->result.is_row ? "a row" : f->result.reason, buf_text(&f->result.detail));
    assert_int_equal(f->cells.len, 0);
    assert_true(check_detail(f) > 0);
}

static void assert_row(struct fixture *f, const char *what)
{
    if (!f->result.is_row)
        fail_msg("%.200s: %s %s", what, f->result.reason, buf_text(&f->result.detail));
    assert_string_equal(f->result.reason, "");
    assert_int_equal(f->result.detail.len, 0);
}

static const char *cell(struct fixture *f, size_t column, uint32_t *length_r)
{
    const char *p = f->cells.data;
    for (;; column--) {
        memcpy(length_r, p, 4);
        *length_r = be32toh(*length_r);
        if (column == 0)
            return p + 4;
        p += 4 + (*length_r == UINT32_MAX ? 0 : *length_r);
    }
}

static void assert_cell(struct fixture *f, size_t column, const char *text)
{
    uint32_t length;
    const char *found = cell(f, column, &length);
    if (text == NULL) {
        assert_int_equal(length, UINT32_MAX);
        return;
    }
    assert_int_equal(length, strlen(text));
    assert_memory_equal(found, text, length);
}

// An event whose members can be replaced one by one; NULL leaves the default, "" the member out.
struct members {
    const char *interaction, *timestamp, *type, *key, *attributes, *further;
};

static void add_member(char *json, const char *name, const char *value, const char *otherwise)
{
    if (value == NULL)
        value = otherwise;
    if (value == NULL || *value == '\0')
        return;
    sprintf(json + strlen(json), "%s\"%s\":%s", strlen(json) > 1 ? "," : "", name, value);
}

static void decode_members(struct fixture *f, const struct members *m)
{
    char *json = calloc(1, 8192);
    strcpy(json, "{");
    add_member(json, "interactionId", m->interaction, "\"int-1\"");
    add_member(json, "timestamp", m->timestamp, "\"2025-03-14T09:26:53Z\"");
    add_member(json, "type", m->type, "\"call\"");
    add_member(json, "idempotencyKey", m->key, "\"key-1\"");
    add_member(json, "attributes", m->attributes, NULL);
    if (m->further != NULL)
        strcat(json, m->further);
    strcat(json, "}");
    decode_bytes(f, json, strlen(json));
    free(json);
}

static void refuse_members(struct fixture *f, const char *reason, struct members m)
{
    decode_members(f, &m);
    assert_refused(f, m.attributes != NULL ? m.attributes : reason, reason);
}

static void accept_members(struct fixture *f, struct members m)
{
    decode_members(f, &m);
    assert_row(f, m.attributes != NULL ? m.attributes : "event");
}

// --- accepted
// --------------------------------------------------------------------------------------

static void test_accept_durations(void **state)
{
    static const char *const texts[] = {"null", "12.5", "0", "-1"};
    static const double values[] = {0, 12.5, 0, -1};
    for (size_t i = 0; i < 4; i++) {
        char attributes[64];
        snprintf(attributes, sizeof(attributes), "{\"duration\":%s}", texts[i]);
        accept_members(*state, (struct members){.attributes = attributes});
        uint32_t length;
        const char *found = cell(*state, DURATION, &length);
        uint64_t bits;
        memcpy(&bits, &values[i], 8);
        bits = htobe64(bits);
        assert_int_equal(length, i == 0 ? UINT32_MAX : 8);
        if (i != 0)
            assert_memory_equal(found, &bits, 8);
    }
}

static void test_accept_attributes(void **state)
{
    struct fixture *f = *state;
    accept_members(f, (struct members){0});
    assert_cell(f, ATTRIBUTES, NULL);
    assert_cell(f, AGENT, NULL);
    accept_members(f, (struct members){.attributes = "{\"agentId\":\"\"}"});
    assert_cell(f, AGENT, ""); // empty, not null
    assert_cell(f, QUEUE, NULL);
    static const char unicode[] =
        "{\"agentId\":\"\xf0\x9f\x98\x80\",\"queueName\":\"\xe4\xb8\xad\xe6\x96\x87\","
        "\"disposition\":\"e\xcc\x81\"}";
    accept_members(f, (struct members){.attributes = unicode});
    assert_cell(f, AGENT, "\xf0\x9f\x98\x80");
    assert_cell(f, QUEUE, "\xe4\xb8\xad\xe6\x96\x87");
    assert_cell(f, DISPOSITION, "e\xcc\x81");
    accept_members(f,
                   (struct members){.attributes = "{\"__proto__\":{\"x\":[1]},\"constructor\":0}"});
    assert_cell(f, ATTRIBUTES, "\1{\"__proto__\":{\"x\":[1]},\"constructor\":0}");
    accept_members(
        f, (struct members){.attributes = "{\"agentId\":\"a\\\\b\\\"c\\n\\t';DROP TABLE x;--\"}"});
    assert_cell(f, AGENT, "a\\b\"c\n\t';DROP TABLE x;--");
}

static void test_accept_timestamps(void **state)
{
    struct fixture *f = *state;
    accept_members(f, (struct members){.timestamp = "\"2000-01-01T05:45:00.000001+05:45\""});
    uint32_t length;
    assert_memory_equal(cell(f, TIMESTAMP, &length), "\0\0\0\0\0\0\0\1", 8);
    accept_members(f, (struct members){.timestamp = "\"1999-12-31T23:59:60Z\""});
    assert_memory_equal(cell(f, TIMESTAMP, &length), "\0\0\0\0\0\0\0\0", 8);
}

static void test_accept_wide_agent(void **state)
{
    struct fixture *f = *state;
    char attributes[1200] = "{\"agentId\":\"";
    for (int i = 0; i < 255; i++)
        strcat(attributes, "\xf0\x9f\x98\x80");
    size_t full = strlen(attributes);
    strcat(attributes, "\"}");
    accept_members(f, (struct members){.attributes = attributes});
    uint32_t length;
    cell(f, AGENT, &length);
    assert_int_equal(length, 1020);
    strcpy(attributes + full, "x\"}");
    refuse_members(f, "column.agent_id", (struct members){.attributes = attributes});
    assert_non_null(strstr(buf_text(&f->result.detail),
                           "{\"column\":\"agent_id\",\"message\":\"expected at most 255 "
                           "characters, found 256\"}"));
}

static void test_accept_transcript(void **state)
{
    struct fixture *f = *state;
    size_t size = 200 * 1024;
    char *json = malloc(size + 512);
    int at =
        sprintf(json, "{\"interactionId\":\"i\",\"timestamp\":\"2025-03-14T09:26:53Z\",\"type\":"
                      "\"chat\",\"idempotencyKey\":\"k\",\"attributes\":{\"transcript\":\"");
    for (size_t i = 0; i < size; i++)
        json[(size_t)at + i] = "Hello, \xe4\xb8\xad\xe6\x96\x87! "[i % 15];
    size_t cut = size - size % 15;
    strcpy(json + (size_t)at + cut, "\"}}");
    decode_bytes(f, json, strlen(json));
    assert_row(f, "transcript");
    uint32_t length;
    cell(f, ATTRIBUTES, &length);
    assert_int_equal(length, 1 + 15 + cut + 2);
    free(json);
}

// --- refused
// ---------------------------------------------------------------------------------------

static void test_refuse_members(void **state)
{
    struct fixture *f = *state;
    refuse_members(f, "schema.required", (struct members){.interaction = ""});
    refuse_members(f, "schema.minLength", (struct members){.interaction = "\"\""});
    refuse_members(f, "schema.type", (struct members){.interaction = "17"});
    refuse_members(f, "schema.required", (struct members){.timestamp = ""});
    refuse_members(f, "schema.enum", (struct members){.type = "\"Call\""});
    refuse_members(f, "schema.enum", (struct members){.type = "\"voice\""});
    refuse_members(f, "schema.type", (struct members){.type = "null"});
    refuse_members(f, "schema.pattern", (struct members){.key = "\"a:b\""});
    refuse_members(f, "schema.pattern", (struct members){.key = "\"a b\""});
    refuse_members(f, "schema.pattern", (struct members){.key = "\"\""});
    refuse_members(f, "schema.pattern", (struct members){.key = "\"abc\\n\""});
    refuse_members(f, "schema.additionalProperties", (struct members){.further = ",\"extra\":1"});
    refuse_members(f, "schema.type", (struct members){.attributes = "[]"});
    refuse_members(f, "schema.type", (struct members){.attributes = "\"x\""});
    refuse_members(f, "schema.type", (struct members){.attributes = "{\"duration\":\"412\"}"});
    refuse_members(f, "column.duration", (struct members){.attributes = "{\"duration\":1e309}"});
    char key[300] = "\"";
    memset(key + 1, 'k', 256);
    strcpy(key + 257, "\"");
    refuse_members(f, "column.idempotency_key", (struct members){.key = key});
    strcpy(key + 256, "\"");
    accept_members(f, (struct members){.key = key});
}

static void test_refuse_timestamps(void **state)
{
    static const char *const bad[] = {"\"2025-03-14 09:26:53\"", "\"2025-02-30T00:00:00Z\"",
                                      "\"2025-03-14T25:00:00Z\"", "\"2025-03-14T09:26:53\"",
                                      "\"\""};
    for (size_t i = 0; i < 5; i++)
        refuse_members(*state, "schema.format", (struct members){.timestamp = bad[i]});
    refuse_members(*state, "schema.type", (struct members){.timestamp = "1741944413"});
}

static void test_refuse_messages(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        const char *reason;
    } messages[] = {
        {"[]", "schema.type"},
        {"\"ping\"", "schema.type"},
        {"42", "schema.type"},
        {"", "json.syntax"},
        {"{}{}", "json.syntax"},
        {"{\"a\":1,}", "json.syntax"},
        {"{\"a\":NaN}", "json.syntax"},
        {"\xef\xbb\xbf{}", "json.syntax"},
        {"{\"a\":\"\xff\"}", "json.encoding"},
        {"{\"a\":\"\\ud800\"}", "json.encoding"},
        {"{\"a\":1,\"a\":2}", "json.duplicate_member"},
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        decode_bytes(f, messages[i].text, strlen(messages[i].text));
        assert_refused(f, messages[i].text, messages[i].reason);
    }
    char deep[20000];
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    decode_bytes(f, deep, sizeof(deep));
    assert_refused(f, "nesting", "json.depth");
    assert_string_equal(buf_text(&f->result.detail),
                        "[{\"message\":\"expected less nesting at byte 128\"}]");
    decode_bytes(f, "{\"a\":[1", 7);
    assert_string_equal(
        buf_text(&f->result.detail),
        "[{\"message\":\"expected ',' or ']' at byte 7, where the message ends\"}]");
}

static void test_refuse_frames(void **state)
{
    struct fixture *f = *state;
    decode_event(f->decoder, f->schema, f->mapping, DECODE_BINARY, "\1\2\3", 3, &f->cells,
                 &f->result);
    assert_refused(f, "binary", "frame.binary");
    decode_event(f->decoder, f->schema, f->mapping, DECODE_TOO_LARGE, NULL, 0, &f->cells,
                 &f->result);
    assert_refused(f, "large", "frame.too_large");
}

static void test_refuse_nul(void **state)
{
    struct fixture *f = *state;
    refuse_members(f, "text.nul", (struct members){.attributes = "{\"agentId\":\"a\\u0000b\"}"});
    assert_non_null(strstr(buf_text(&f->result.detail), "\"instance\":\"/attributes/agentId\""));
    refuse_members(f, "text.nul", (struct members){.attributes = "{\"x\":[{\"y\":\"\\u0000\"}]}"});
    assert_non_null(strstr(buf_text(&f->result.detail), "\"instance\":\"/attributes/x/0/y\""));
    refuse_members(f, "text.nul", (struct members){.attributes = "{\"k\\u0000\":\"\\u0000\"}"});
    assert_int_equal(check_detail(f), 2);
    refuse_members(f, "text.nul", (struct members){.interaction = "\"\\u0000\""});
    // The schema comes first.
    refuse_members(f, "schema.pattern", (struct members){.key = "\"a\\u0000\""});
    // A backslash followed by u0000 is plain text.
    accept_members(f, (struct members){.attributes = "{\"agentId\":\"\\\\u0000\"}"});
    assert_cell(f, AGENT, "\\u0000");
    // A long name is cut in the detail, many places are counted.
    char attributes[6000] = "{\"";
    memset(attributes + 2, 'n', 1000);
    strcat(attributes, "\\u0000\":[");
    for (int i = 0; i < 40; i++)
        strcat(attributes, i == 0 ? "\"\\u0000\"" : ",\"\\u0000\"");
    strcat(attributes, "]}");
    refuse_members(f, "text.nul", (struct members){.attributes = attributes});
    assert_int_equal(check_detail(f), 33);
    assert_non_null(strstr(buf_text(&f->result.detail), "\"and 9 more\""));
    assert_true(f->result.detail.len < 33 * 400);
}

static void test_schema_detail(void **state)
{
    struct fixture *f = *state;
    refuse_members(f, "schema.minLength",
                   (struct members){.interaction = "\"\"", .type = "\"voice\"", .key = "\"a b\""});
    assert_int_equal(check_detail(f), 3);
    const char *detail = buf_text(&f->result.detail);
    assert_non_null(strstr(detail, "{\"instance\":\"/interactionId\",\"schema\":"
                                   "\"/properties/interactionId/minLength\",\"keyword\":"
                                   "\"minLength\",\"message\":\""));
    // More failures than are listed.
    char further[2000] = "";
    for (int i = 0; i < 40; i++)
        sprintf(further + strlen(further), ",\"extra%d\":1", i);
    refuse_members(f, "schema.additionalProperties", (struct members){.further = further});
    assert_true(check_detail(f) <= 17);
}

static void test_nothing_of_the_payload(void **state)
{
    struct fixture *f = *state;
    static const struct members events[] = {
        {.interaction = "\"\"", .type = "\"SENSITIVE\"", .key = "\"SENSITIVE SENSITIVE\""},
        {.timestamp = "\"SENSITIVE\""},
        {.interaction = "\"SENSITIVE\"", .attributes = "{\"duration\":\"SENSITIVE\"}"},
        {.interaction = "\"SENSITIVE\"", .attributes = "\"SENSITIVE\""},
        {.interaction = "\"SENSITIVE\"", .attributes = "{\"x\":\"SENSITIVE\\u0000\"}"},
        {.interaction = "\"SENSITIVE\"", .attributes = "{\"duration\":1e309}"},
        {.interaction = "\"SENSITIVE\"", .attributes = "{\"x\":SENSITIVE}"},
        {.interaction = "\"SENSITIVE\"", .attributes = "{\"x\":1,\"x\":\"SENSITIVE\"}"},
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        decode_members(f, &events[i]);
        assert_false(f->result.is_row);
        assert_null(strstr(buf_text(&f->result.detail), "SENSITIVE"));
    }
}

// --- without a schema, and other tables
// ------------------------------------------------------------

static void test_without_schema(void **state)
{
    struct fixture *f = *state;
    struct schema *schema = f->schema;
    f->schema = NULL;
    accept_members(f,
                   (struct members){.type = "\"voice\"", .key = "\"a:b\"", .further = ",\"x\":1"});
    refuse_members(f, "column.interaction_id", (struct members){.interaction = "", .type = "[]"});
    assert_int_equal(check_detail(f), 2);
    refuse_members(f, "column.timestamp", (struct members){.timestamp = "\"2025-03-14 09:26:53\""});
    refuse_members(f, "column.duration", (struct members){.attributes = "{\"duration\":\"412\"}"});
    refuse_members(f, "text.nul", (struct members){.further = ",\"\\u0000\":1"});
    decode_bytes(f, "[]", 2);
    assert_refused(f, "[]", "column.interaction_id");
    f->schema = schema;
}

static void test_integer_duration(void **state)
{
    struct fixture *f = *state;
    struct mapping_column changed[DURATION + 1];
    memcpy(changed, default_columns, sizeof(changed));
    changed[DURATION].type = PG_INT4;
    struct mapping *mapping = f->mapping;
    unsigned key = KEY;
    assert_int_equal(mapping_compile(changed, DURATION + 1, &key, 1, &f->mapping, NULL), STATUS_OK);
    refuse_members(f, "column.duration", (struct members){.attributes = "{\"duration\":12.5}"});
    accept_members(f, (struct members){.attributes = "{\"duration\":12.0}"});
    mapping_destroy(&f->mapping);
    f->mapping = mapping;
}

static void test_many_columns(void **state)
{
    struct fixture *f = *state;
    struct mapping_column many[40];
    char name[70]; // a name of 63 bytes fits the reason code
    memset(name, 'c', 63);
    name[63] = '\0';
    for (size_t i = 0; i < 40; i++)
        many[i] = (struct mapping_column){name, "/missing", PG_TEXT, -1, true};
    struct mapping *mapping;
    unsigned key = 0;
    assert_int_equal(mapping_compile(many, 40, &key, 1, &mapping, NULL), STATUS_OK);
    buf_clear(&f->cells);
    decode_event(f->decoder, NULL, mapping, DECODE_TEXT, "{}", 2, &f->cells, &f->result);
    assert_false(f->result.is_row);
    assert_int_equal(strlen(f->result.reason), 7 + 63);
    assert_int_equal(check_detail(f), 33);
    assert_non_null(strstr(buf_text(&f->result.detail), "and 8 more"));
    mapping_destroy(&mapping);
}

static void test_depth_limit(void **state)
{
    struct fixture *f = *state;
    struct decoder *decoder = f->decoder;
    f->decoder = decoder_create(&(struct decode_limits){.depth = 2});
    accept_members(f, (struct members){.attributes = "{}"});
    refuse_members(f, "json.depth", (struct members){.attributes = "{\"x\":[]}"});
    decoder_destroy(&f->decoder);
    f->decoder = decoder;
}

// Rows follow one another in the buffer, and the same key has the same hash.
static void test_rows_append(void **state)
{
    struct fixture *f = *state;
    static const char *const events[] = {
        "{\"interactionId\":\"i\",\"timestamp\":\"2025-03-14T09:26:53Z\",\"type\":\"call\","
        "\"idempotencyKey\":\"k\"}",
        "{\"idempotencyKey\":\"\\u006b\",\"interactionId\":\"j\",\"type\":\"chat\","
        "\"timestamp\":\"2025-03-14T09:26:54Z\"}"};
    buf_clear(&f->cells);
    uint64_t hash = 0;
    size_t length = 0;
    for (size_t i = 0; i < 2; i++) {
        decode_event(f->decoder, f->schema, f->mapping, DECODE_TEXT, events[i], strlen(events[i]),
                     &f->cells, &f->result);
        assert_row(f, events[i]);
        assert_int_equal(f->cells.len, length * 2 + (i == 0 ? f->cells.len : 0));
        length = f->cells.len;
        assert_true(i == 0 || f->result.key_hash == hash);
        hash = f->result.key_hash;
    }
}

// A large event between small ones: the scratch memory is given back, the next event decodes.
static void test_large_then_small(void **state)
{
    struct fixture *f = *state;
    size_t n = 200000;
    char *json = malloc(2 * n + 512);
    int at =
        sprintf(json, "{\"interactionId\":\"i\",\"timestamp\":\"2025-03-14T09:26:53Z\",\"type\":"
                      "\"chat\",\"idempotencyKey\":\"k\",\"attributes\":{\"x\":[");
    for (size_t i = 0; i < n; i++)
        memcpy(json + (size_t)at + 2 * i, "1,", 2);
    strcpy(json + (size_t)at + 2 * n - 1, "]}}");
    decode_bytes(f, json, strlen(json));
    assert_row(f, "large");
    free(json);
    accept_members(f, (struct members){0});
}

// Refused by another schema, with that reason, of the schema at `place`.
static void assert_refused_by(struct fixture *f, const char *schema, const char *event,
                              const char *reason, const char *place)
{
    struct schema *kept = f->schema;
    struct schema_fault fault;
    struct status st = {0};

    assert_int_equal(
        schema_compile("test", schema, strlen(schema), &f->schema, &fault, 1, NULL, &st),
        STATUS_OK);
    decode_bytes(f, event, strlen(event));
    assert_refused(f, event, reason);
    assert_non_null(strstr(buf_text(&f->result.detail), place));
    schema_destroy(&f->schema);
    f->schema = kept;
}

// A pattern that runs away has a reason of its own: mend the pattern, not the event.
static void test_pattern_limit(void **state)
{
    assert_refused_by(*state, "{\"properties\":{\"key\":{\"pattern\":\"^(a+)+$\"}}}",
                      "{\"key\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}",
                      "schema.pattern_limit", "\"/properties/key/pattern\"");
}

// So have schemas that multiply: here two evaluations a level of nesting.
static void test_limit(void **state)
{
    char event[201] = {0};

    memset(event, '[', 100);
    memset(event + 100, ']', 100);
    assert_refused_by(*state,
                      "{\"if\":{\"items\":{\"$ref\":\"#\"}},\"then\":{\"items\":{\"$ref\":\"#\"}}}",
                      event, "schema.limit", "too many steps");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_durations),  cmocka_unit_test(test_accept_attributes),
        cmocka_unit_test(test_accept_timestamps), cmocka_unit_test(test_accept_wide_agent),
        cmocka_unit_test(test_accept_transcript), cmocka_unit_test(test_refuse_members),
        cmocka_unit_test(test_refuse_timestamps), cmocka_unit_test(test_refuse_messages),
        cmocka_unit_test(test_refuse_frames),     cmocka_unit_test(test_refuse_nul),
        cmocka_unit_test(test_schema_detail),     cmocka_unit_test(test_nothing_of_the_payload),
        cmocka_unit_test(test_without_schema),    cmocka_unit_test(test_integer_duration),
        cmocka_unit_test(test_many_columns),      cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_rows_append),       cmocka_unit_test(test_large_then_small),
        cmocka_unit_test(test_pattern_limit),     cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
