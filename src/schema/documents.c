// SPDX-License-Identifier: Apache-2.0
// The texts of a schema, in one buffer and one tape: a document is added by parsing it apart and
// moving its tokens behind those that are there. And faults, which are told by document.
#include "schema/compile_priv.h"

#include "core/mem.h"
#include "json/pointer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Deeper than events may be: a schema spends several levels on one of theirs.
#define SCHEMA_DEPTH_MAX 512

const struct document *schema_document(const struct schema *schema, uint32_t token)
{
    uint32_t low = 0, high = schema->n_documents;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (schema->documents[middle].token <= token)
            low = middle;
        else
            high = middle;
    }
    return &schema->documents[low];
}

uint32_t documents_number(const struct compiler *compiler, uint32_t token)
{
    return (uint32_t)(schema_document(compiler->schema, token) - compiler->schema->documents);
}

// --- adding --------------------------------------------------------------------------------------

static uint32_t enter(struct compiler *compiler, const char *name, uint32_t token, size_t start)
{
    struct schema *schema = compiler->schema;
    size_t length = strlen(name);
    char *copy = arena_alloc(&schema->arena, length + 1, 1);

    memcpy(copy, name, length);
    schema->documents = compiler_room(schema->documents, schema->n_documents,
                                      &compiler->cap_documents, sizeof(*schema->documents));
    schema->documents[schema->n_documents] =
        (struct document){.name = copy, .token = token, .start = (uint32_t)start};
    uint32_t n_tokens = schema->tape.n_tokens;
    if (n_tokens > compiler->cap_notes) {
        compiler->cap_notes = schema->n_documents == 0 ? n_tokens : (size_t)n_tokens * 2;
        compiler->notes =
            mem_realloc_array(compiler->notes, compiler->cap_notes, sizeof(*compiler->notes));
    }
    for (uint32_t i = token; i < n_tokens; i++)
        compiler->notes[i] = (struct note){.resource = RESOURCE_NONE, .target = TAPE_NONE};
    return schema->n_documents++;
}

void documents_add_root(struct compiler *compiler)
{
    enter(compiler, "", 0, 0);
}

static void move_text(struct schema *schema, size_t *cap, const char *text, size_t length)
{
    if (schema->length + length > *cap) {
        *cap = (schema->length + length) * 2;
        schema->text = mem_realloc(schema->text, *cap);
    }
    memcpy(schema->text + schema->length, text, length);
    schema->length += length;
    schema->tape.data = schema->text;
    schema->tape.length = schema->length;
}

static void move_tokens(struct schema *schema, const struct tape *from, size_t start)
{
    struct tape *tape = &schema->tape;
    uint32_t first = tape->n_tokens, n = from->n_tokens;

    if (first + n > tape->cap_tokens) {
        tape->cap_tokens = (first + n) * 2;
        tape->tokens = mem_realloc_array(tape->tokens, tape->cap_tokens, sizeof(*tape->tokens));
    }
    for (uint32_t i = 0; i < n; i++) {
        struct tape_token token = from->tokens[i];
        token.start += (uint32_t)start;
        token.end += (uint32_t)start;
        token.next += first;
        tape->tokens[first + i] = token;
    }
    tape->n_tokens += n;
}

uint32_t documents_add(struct compiler *compiler, const char *text, size_t length, const char *name)
{
    struct schema *schema = compiler->schema;
    uint32_t first = schema->tape.n_tokens;
    size_t start = schema->length;
    struct tape tape;
    struct tape_token nothing = {.kind = TAPE_NULL, .next = 1}; // of no length: refs.c knows it

    tape_init(&tape, SCHEMA_DEPTH_MAX);
    bool parsed = tape_parse(&tape, text, length);
    move_text(schema, &compiler->cap_text, text, length);
    if (parsed) {
        move_tokens(schema, &tape, start);
    } else {
        nothing.start = nothing.end = (uint32_t)tape.error_offset;
        move_tokens(schema, &(struct tape){.tokens = &nothing, .n_tokens = 1}, start);
    }
    uint32_t number = enter(compiler, name, first, start);
    if (!parsed)
        compiler_fault(compiler, first, "not valid JSON: %s", tape.error_message);
    tape_deinit(&tape);
    return number;
}

bool documents_parse_root(struct schema *schema, const char *text, size_t length)
{
    schema->text = mem_alloc(length); // not a string: it may hold NUL bytes
    memcpy(schema->text, text, length);
    schema->length = length;
    tape_init(&schema->tape, SCHEMA_DEPTH_MAX);
    return tape_parse(&schema->tape, schema->text, length);
}

// --- faults --------------------------------------------------------------------------------------

static void find_line(const char *text, size_t length, struct schema_fault *fault)
{
    size_t line_start = 0;

    fault->line = 1;
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\n') {
            fault->line++;
            line_start = i + 1;
        }
    fault->column = (unsigned)(length - line_start) + 1;
}

static int by_place(const void *a, const void *b)
{
    const struct kept_fault *x = a, *y = b;

    if (x->token != y->token)
        return x->token < y->token ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void tell_fault(const struct compiler *compiler, const struct kept_fault *from,
                       struct schema_fault *to)
{
    const struct tape *tape = compiler->tape;
    const struct document *document = schema_document(compiler->schema, from->token);
    struct buf pointer = {.max = sizeof(to->pointer) - 1};

    *to = (struct schema_fault){0};
    pointer_of_below(tape, document->token, from->token, &pointer);
    snprintf(to->file, sizeof(to->file), "%s", document->name);
    snprintf(to->pointer, sizeof(to->pointer), "%.*s", (int)pointer.len,
             pointer.len > 0 ? pointer.data : "");
    buf_deinit(&pointer);
    find_line(tape->data + document->start, tape->tokens[from->token].start - document->start, to);
    snprintf(to->message, sizeof(to->message), "%s", from->message);
}

void documents_tell_faults(struct compiler *compiler, struct schema_faults *faults)
{
    if (compiler->n_faults > 1)
        qsort(compiler->faults, compiler->n_faults, sizeof(*compiler->faults), by_place);
    for (size_t i = 0; i < compiler->n_faults && i < faults->max; i++)
        tell_fault(compiler, &compiler->faults[i], &faults->list[i]);
    faults->count = compiler->count_faults;
}

void documents_tell_syntax(const struct schema *schema, struct schema_faults *faults)
{
    faults->count = 1;
    if (faults->max == 0)
        return;
    struct schema_fault *fault = &faults->list[0];
    *fault = (struct schema_fault){0};
    find_line(schema->text, schema->tape.error_offset, fault);
    snprintf(fault->message, sizeof(fault->message), "not valid JSON: %s",
             schema->tape.error_message);
}
