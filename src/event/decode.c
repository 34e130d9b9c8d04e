// SPDX-License-Identifier: Apache-2.0
#include "event/decode.h"

#include "core/mem.h"
#include "event/mapping.h"
#include "json/pointer.h"
#include "json/tape.h"
#include "schema/validate.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_ERRORS 16 // of the schema
#define MAX_FAULTS 32 // of columns, and places of U+0000
// Bytes of a pointer in the detail; longer ones are cut.
#define POINTER_SHOWN 255
// Tokens (24 bytes each) that stay allocated after a large event.
#define KEPT_TOKENS (1u << 16)

struct decoder {
    struct tape tape;
    struct buf pointer;
    struct schema_error errors[MAX_ERRORS];
    struct mapping_fault faults[MAX_FAULTS];
};

struct decoder *decoder_create(const struct decode_limits *limits)
{
    struct decoder *decoder = mem_zalloc(sizeof(*decoder));
    tape_init(&decoder->tape, limits != NULL ? limits->depth : 0);
    return decoder;
}

void decoder_destroy(struct decoder **decoder)
{
    if (*decoder == NULL)
        return;
    tape_deinit(&(*decoder)->tape);
    buf_deinit(&(*decoder)->pointer);
    free(*decoder);
    *decoder = NULL;
}

// --- the dead letter's detail: a JSON array of flat objects
// ----------------------------------------

static void set_reason(struct decode_result *result, const char *family, const char *what)
{
    snprintf(result->reason, sizeof(result->reason), "%s.%s", family, what);
}

static void begin_entry(struct buf *detail)
{
    buf_append_text(detail, detail->len == 0 ? "[{" : ",{");
}

static void add_member(struct buf *detail, const char *name, const char *value, size_t length)
{
    if (detail->data[detail->len - 1] != '{')
        buf_append_text(detail, ",");
    buf_json_string(detail, name, strlen(name));
    buf_append_text(detail, ":");
    buf_json_string(detail, value, length);
}

static void add_text(struct buf *detail, const char *name, const char *value)
{
    add_member(detail, name, value, strlen(value));
}

static void end_entry(struct buf *detail)
{
    buf_append_text(detail, "}");
}

static void end_detail(struct buf *detail, size_t unlisted)
{
    if (unlisted != 0) {
        char text[64];
        snprintf(text, sizeof(text), "and %zu more", unlisted);
        begin_entry(detail);
        add_text(detail, "message", text);
        end_entry(detail);
    }
    buf_append_text(detail, "]");
}

static void add_message(struct buf *detail, const char *message)
{
    begin_entry(detail);
    add_text(detail, "message", message);
    end_entry(detail);
    end_detail(detail, 0);
}

// --- one function a kind of dead letter
// ------------------------------------------------------------

static void refuse_frame(enum decode_frame frame, size_t length, struct decode_result *result)
{
    char message[96];
    bool large = frame == DECODE_TOO_LARGE;
    set_reason(result, "frame", large ? "too_large" : "binary");
    if (large)
        snprintf(message, sizeof(message),
                 "expected a message of at most the stream's max_message, found a larger one");
    else
        snprintf(message, sizeof(message),
                 "expected a text message, found a binary one of %zu bytes", length);
    add_message(&result->detail, message);
}

static void refuse_json(const struct tape *tape, struct decode_result *result)
{
    char message[160];
    const char *where = tape->error_offset == tape->length ? ", where the message ends" : "";
    snprintf(message, sizeof(message), "%s at byte %zu%s", tape->error_message, tape->error_offset,
             where);
    set_reason(result, "json", tape_error_name(tape->error));
    add_message(&result->detail, message);
}

static void refuse_schema(const struct decoder *decoder, size_t n_errors,
                          struct decode_result *result)
{
    size_t listed = n_errors < MAX_ERRORS ? n_errors : MAX_ERRORS;
    set_reason(result, "schema", decoder->errors[0].keyword);
    for (size_t i = 0; i < listed; i++) {
        const struct schema_error *error = &decoder->errors[i];
        begin_entry(&result->detail);
        add_text(&result->detail, "instance", error->instance);
        add_text(&result->detail, "schema", error->schema);
        add_text(&result->detail, "keyword", error->keyword);
        add_text(&result->detail, "message", error->message);
        end_entry(&result->detail);
    }
    end_detail(&result->detail, n_errors - listed);
}

// The pointer goes into a jsonb column, which can no more hold U+0000 than the row can.
static void add_nul_entry(struct decoder *decoder, uint32_t token, struct buf *detail)
{
    struct buf *pointer = &decoder->pointer;
    buf_clear(pointer);
    pointer_of(&decoder->tape, token, pointer);
    for (size_t i = 0; i < pointer->len; i++) {
        if (pointer->data[i] == '\0')
            pointer->data[i] = '?';
    }
    bool key = (decoder->tape.tokens[token].flags & TAPE_KEY) != 0;
    begin_entry(detail);
    add_member(detail, "instance", pointer->data != NULL ? pointer->data : "",
               pointer->len < POINTER_SHOWN ? pointer->len : POINTER_SHOWN);
    add_text(detail, "message",
             key ? "expected a member's name without U+0000, which PostgreSQL cannot hold"
                 : "expected text without U+0000, which PostgreSQL cannot hold");
    end_entry(detail);
    buf_clear(pointer);
    buf_shrink(pointer, 4096);
}

static void refuse_nul(struct decoder *decoder, struct decode_result *result)
{
    const struct tape *tape = &decoder->tape;
    size_t found = 0;
    snprintf(result->reason, sizeof(result->reason), "text.nul");
    for (uint32_t i = tape->nul_token; i < tape->n_tokens; i++) {
        if ((tape->tokens[i].flags & TAPE_HAS_NUL) != 0 && found++ < MAX_FAULTS)
            add_nul_entry(decoder, i, &result->detail);
    }
    end_detail(&result->detail, found > MAX_FAULTS ? found - MAX_FAULTS : 0);
}

static void refuse_columns(const struct decoder *decoder, size_t n_faults,
                           struct decode_result *result)
{
    size_t listed = n_faults < MAX_FAULTS ? n_faults : MAX_FAULTS;
    set_reason(result, "column", decoder->faults[0].column);
    for (size_t i = 0; i < listed; i++) {
        begin_entry(&result->detail);
        add_text(&result->detail, "column", decoder->faults[i].column);
        add_text(&result->detail, "message", decoder->faults[i].message);
        end_entry(&result->detail);
    }
    end_detail(&result->detail, n_faults - listed);
}

// --- the order of the checks
// -----------------------------------------------------------------------

static bool decode_text(struct decoder *decoder, const struct schema *schema,
                        const struct mapping *mapping, struct buf *cells,
                        struct decode_result *result)
{
    const struct tape *tape = &decoder->tape;
    size_t n = 0;
    if (schema != NULL && !schema_validate(schema, tape, decoder->errors, MAX_ERRORS, &n)) {
        refuse_schema(decoder, n, result);
        return false;
    }
    if (tape->has_nul) {
        refuse_nul(decoder, result);
        return false;
    }
    n = mapping_extract(mapping, tape, cells, &result->key_hash, decoder->faults, MAX_FAULTS);
    if (n != 0)
        refuse_columns(decoder, n, result);
    return n == 0;
}

void decode_event(struct decoder *decoder, const struct schema *schema,
                  const struct mapping *mapping, enum decode_frame frame, const char *data,
                  size_t length, struct buf *cells, struct decode_result *result_r)
{
    result_r->is_row = false;
    result_r->key_hash = 0;
    result_r->reason[0] = '\0';
    buf_clear(&result_r->detail);
    if (frame != DECODE_TEXT)
        refuse_frame(frame, length, result_r);
    else if (!tape_parse(&decoder->tape, data, length))
        refuse_json(&decoder->tape, result_r);
    else
        result_r->is_row = decode_text(decoder, schema, mapping, cells, result_r);
    tape_shrink(&decoder->tape, KEPT_TOKENS);
}
