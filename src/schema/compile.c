// SPDX-License-Identifier: Apache-2.0
// Compiles a schema: parses it with the tape, queues its root, compiles queued blocks until none is
// left (references are resolved in between, as they may queue more), then links: numbers of blocks
// become addresses. All faults are collected on the way and told in the text's order.
#include "schema/compile_priv.h"

#include "core/backoff.h"
#include "core/mem.h"
#include "json/pointer.h"
#include "json/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Deeper than events may be: a schema spends several levels on one of theirs.
#define SCHEMA_DEPTH_MAX 512

void *compiler_room(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    *cap = *cap == 0 ? 16 : *cap * 2;
    return mem_realloc_array(array, *cap, size);
}

void compiler_fault(struct compiler *compiler, uint32_t token, const char *format, ...)
{
    char message[STATUS_DETAIL_MAX];
    va_list args;

    if (compiler->count_faults++ >= KEEP_FAULTS_MAX)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    struct kept_fault *fault = COMPILER_PUSH(compiler, faults);
    *fault = (struct kept_fault){
        .token = token, .order = (uint32_t)compiler->n_faults, .message = mem_strdup(message)};
}

char *compiler_text(struct compiler *compiler, uint32_t string, size_t *length_r)
{
    size_t raw;

    tape_string(compiler->tape, string, &raw);
    char *text = arena_alloc(&compiler->schema->arena, raw + 1, 1);
    *length_r = text_unescape(compiler->tape, string, text);
    return text;
}

struct name compiler_name(struct compiler *compiler, uint32_t string)
{
    size_t length;
    const char *text = compiler_text(compiler, string, &length);

    return (struct name){.text = text,
                         .length = (uint32_t)length,
                         .hash = tape_hash(text, length),
                         .first = name_word(text, length),
                         .last = name_last_word(text, length)};
}

struct regex *compiler_regex(struct compiler *compiler, uint32_t string, uint32_t token)
{
    struct schema *schema = compiler->schema;
    struct status st = {0};
    size_t length;
    const char *text = compiler_text(compiler, string, &length);
    struct regex *regex;

    if (regex_compile(text, length, &regex, &st) != STATUS_OK) {
        compiler_fault(compiler, token, "the regular expression is faulty: %s", st.detail);
        return NULL;
    }
    schema->regexes = compiler_room(schema->regexes, schema->n_regexes, &compiler->cap_regexes,
                                    sizeof(*schema->regexes));
    schema->regexes[schema->n_regexes++] = regex;
    return regex;
}

block_t compiler_block(struct compiler *compiler, uint32_t token, enum keyword keyword)
{
    if (compiler->block_of[token] == BLOCK_NONE) {
        compiler->block_of[token] = (block_t)compiler->n_blocks;
        struct block_job *job = COMPILER_PUSH(compiler, blocks);
        *job = (struct block_job){.token = token, .keyword = keyword};
    }
    return compiler->block_of[token];
}

void compiler_refer(struct compiler *compiler, block_t *where, uint32_t token, enum keyword keyword)
{
    *where = compiler_block(compiler, token, keyword);
    *COMPILER_PUSH(compiler, fixups) = where;
}

void compiler_refer_in_place(struct compiler *compiler, block_t from, block_t *where,
                             uint32_t token, uint32_t key)
{
    size_t length;
    const char *name = tape_string(compiler->tape, key, &length);

    compiler_refer(compiler, where, token, keyword_find(name, length));
    struct in_place *edge = COMPILER_PUSH(compiler, in_places);
    *edge = (struct in_place){.from = from, .to = *where, .token = key};
}

struct instruction *compiler_emit(struct compiler *compiler, const struct site *site,
                                  enum opcode op, unsigned kinds, enum keyword keyword)
{
    struct schema *schema = compiler->schema;
    struct instruction *instruction = &schema->program[schema->n_program++];

    *instruction = (struct instruction){
        .op = (uint8_t)op,
        .kinds = (uint8_t)kinds,
        .keyword = (uint16_t)keyword,
        .place = keyword < KEYWORD_COUNT && site->key[keyword] != TAPE_NONE ? site->key[keyword]
                                                                            : site->token};
    return instruction;
}

// --- one block -----------------------------------------------------------------------------------

static void fault_unknown(struct compiler *compiler, uint32_t key, enum keyword keyword)
{
    size_t length;
    const char *name = compiler_text(compiler, key, &length);
    const char *nearest = keyword_nearest(name, length, compiler->draft_bit);
    const char *draft = keyword_draft_name(compiler->draft);
    int shown = length > 64 ? 64 : (int)length;

    if (keyword == KEYWORD_COUNT)
        compiler_fault(compiler, key, "\"%.*s\" is not a keyword of JSON Schema%s%s%s", shown, name,
                       nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "\"?" : "");
    else if ((keyword_info(keyword)->drafts & compiler->draft_bit) == 0)
        compiler_fault(
            compiler, key, "\"%s\" is not a keyword of draft %s, which this schema is of%s%s%s",
            keyword_info(keyword)->name, draft, nearest != NULL ? "; the nearest one is \"" : "",
            nearest != NULL ? nearest : "", nearest != NULL ? "\"" : "");
    else
        compiler_fault(compiler, key, "\"%s\" is not supported%s%s%s", keyword_info(keyword)->name,
                       nearest != NULL ? "; the nearest supported keyword is \"" : "",
                       nearest != NULL ? nearest : "", nearest != NULL ? "\"" : "");
}

// Before 2019-09 nothing beside "$ref" counts, which surprises: refused instead of ignored.
static void check_beside_ref(struct compiler *compiler, const struct site *site)
{
    if (site->key[KEYWORD_REF] == TAPE_NONE || (compiler->draft_bit & DRAFTS_TO_7) == 0)
        return;
    for (int i = 0; i < KEYWORD_COUNT; i++)
        if (site->key[i] != TAPE_NONE && keyword_info((enum keyword)i)->role == ROLE_CHECK)
            compiler_fault(compiler, site->key[i],
                           "draft %s ignores what stands beside \"$ref\"; put both into an "
                           "\"allOf\"",
                           keyword_draft_name(compiler->draft));
}

static void collect_keywords(struct compiler *compiler, struct site *site)
{
    const struct tape *tape = compiler->tape;

    for (int i = 0; i < KEYWORD_COUNT; i++)
        site->key[i] = TAPE_NONE;
    FOR_MEMBERS(tape, key, site->token)
    {
        size_t length;
        const char *name = compiler_text(compiler, key, &length);
        enum keyword keyword = keyword_find(name, length);
        if (keyword == KEYWORD_COUNT || keyword_info(keyword)->role == ROLE_NOT_YET ||
            (keyword_info(keyword)->drafts & compiler->draft_bit) == 0)
            fault_unknown(compiler, key, keyword);
        else if (shape_check(compiler, key, keyword))
            site->key[keyword] = key;
    }
}

static void add_anchor(struct compiler *compiler, const char *name, size_t length, uint32_t token,
                       uint32_t key)
{
    for (size_t i = 0; i < compiler->n_anchors; i++)
        if (compiler->anchors[i].length == length &&
            memcmp(compiler->anchors[i].name, name, length) == 0)
            compiler_fault(compiler, key, "another schema of this file has the same anchor");
    struct anchor *anchor = COMPILER_PUSH(compiler, anchors);
    *anchor = (struct anchor){.name = name, .length = length, .token = token};
}

// $schema, $id, $anchor, $defs: what names schemas and asserts nothing.
static void core_keywords(struct compiler *compiler, const struct site *site)
{
    const struct tape *tape = compiler->tape;
    uint32_t id = site->key[KEYWORD_ID];
    size_t length;

    if (site->key[KEYWORD_SCHEMA] != TAPE_NONE && site->token != 0)
        compiler_fault(compiler, site->key[KEYWORD_SCHEMA],
                       "\"$schema\" is supported at the root of the file only");
    if (id != TAPE_NONE && site->token != 0) {
        const char *text = compiler_text(compiler, id + 1, &length);
        if ((compiler->draft_bit & DRAFTS_TO_7) != 0 && length > 1 && text[0] == '#')
            add_anchor(compiler, text + 1, length - 1, site->token, id);
        else
            compiler_fault(compiler, id,
                           "\"$id\" is supported at the root of the file only; refer to the "
                           "schema by its JSON Pointer");
    }
    if (site->key[KEYWORD_ANCHOR] != TAPE_NONE) {
        const char *text = compiler_text(compiler, site->key[KEYWORD_ANCHOR] + 1, &length);
        add_anchor(compiler, text, length, site->token, site->key[KEYWORD_ANCHOR]);
    }
    static const enum keyword holders[] = {KEYWORD_DEFS, KEYWORD_DEFINITIONS};
    for (size_t i = 0; i < 2; i++)
        if (site->key[holders[i]] != TAPE_NONE)
            FOR_MEMBERS(tape, key, site->key[holders[i]] + 1)
    compiler_block(compiler, key + 1, KEYWORD_REF);
}

static void compile_block(struct compiler *compiler, block_t number)
{
    struct block_job *job = &compiler->blocks[number];
    struct site site = {.block = number, .token = job->token};
    enum keyword keyword = job->keyword;

    job->start = compiler->schema->n_program; // `job` may move from here on
    for (int i = 0; i < KEYWORD_COUNT; i++)
        site.key[i] = TAPE_NONE;
    switch (compiler->tape->tokens[site.token].kind) {
    case TAPE_TRUE:
        break;
    case TAPE_FALSE:
        compiler_emit(compiler, &site, OP_FALSE, KIND_ANY, keyword);
        break;
    case TAPE_OBJECT:
        collect_keywords(compiler, &site);
        check_beside_ref(compiler, &site);
        core_keywords(compiler, &site);
        emit_value(compiler, &site);
        emit_object(compiler, &site);
        emit_array(compiler, &site);
        emit_apply(compiler, &site);
        break;
    default:
        compiler_fault(compiler, site.token, "a schema is an object, true or false, not %s",
                       tape_kind_name(compiler->tape->tokens[site.token].kind));
        break;
    }
    compiler_emit(compiler, &site, OP_END, KIND_ANY, KEYWORD_FALSE);
}

// --- link ----------------------------------------------------------------------------------------

static bool is_empty_block(const struct schema *schema, block_t start)
{
    return schema->program[start].op == OP_END;
}

// Takes a leading type out of a member's block, so that the common `{"type": "string"}` costs no
// call; and blocks that check nothing.
static void link_object(const struct schema *schema, struct object *object)
{
    for (uint32_t i = 0; i <= object->mask; i++) {
        struct property *property = (struct property *)&object->slots[i];
        property->kinds = KIND_ANY;
        property->rest = property->block;
        if (property->block == BLOCK_NONE)
            continue;
        const struct instruction *first = &schema->program[property->block];
        if (first->op == OP_TYPE && (first->u.word & KIND_INTEGER) == 0) {
            property->kinds = (uint8_t)first->u.word;
            property->rest++;
        }
        if (is_empty_block(schema, property->rest))
            property->rest = BLOCK_NONE;
    }
    if (object->additional != BLOCK_NONE && is_empty_block(schema, object->additional))
        object->additional = BLOCK_NONE;
}

static void keep_block_places(struct compiler *compiler)
{
    struct schema *schema = compiler->schema;
    struct block_place *places = arena_alloc(&schema->arena, compiler->n_blocks, sizeof(*places));

    for (size_t i = 0; i < compiler->n_blocks; i++)
        places[i] = (struct block_place){compiler->blocks[i].start, compiler->blocks[i].token};
    schema->block_places = places;
    schema->n_blocks = (uint32_t)compiler->n_blocks;
}

static void link_program(struct compiler *compiler)
{
    struct schema *schema = compiler->schema;

    for (size_t i = 0; i < compiler->n_fixups; i++)
        *compiler->fixups[i] = compiler->blocks[*compiler->fixups[i]].start;
    for (size_t i = 0; i < compiler->n_objects; i++)
        link_object(schema, compiler->objects[i]);
    keep_block_places(compiler);
    schema->program =
        mem_realloc_array(schema->program, schema->n_program, sizeof(*schema->program));
}

// --- the whole -----------------------------------------------------------------------------------

static const struct {
    const char *uri;
    enum schema_draft draft;
} draft_uris[] = {
    {"json-schema.org/draft/2020-12/schema", SCHEMA_DRAFT_2020_12},
    {"json-schema.org/draft/2019-09/schema", SCHEMA_DRAFT_2019_09},
    {"json-schema.org/draft-07/schema", SCHEMA_DRAFT_7},
    {"json-schema.org/draft-06/schema", SCHEMA_DRAFT_6},
    {"json-schema.org/draft-04/schema", SCHEMA_DRAFT_4},
};

static bool find_draft(const char *uri, size_t length, enum schema_draft *draft_r)
{
    size_t skip = length > 8 && memcmp(uri, "https://", 8) == 0  ? 8
                  : length > 7 && memcmp(uri, "http://", 7) == 0 ? 7
                                                                 : length;

    if (length > 0 && uri[length - 1] == '#')
        length--;
    for (size_t i = 0; i < sizeof(draft_uris) / sizeof(*draft_uris); i++)
        if (skip < length && strlen(draft_uris[i].uri) == length - skip &&
            memcmp(draft_uris[i].uri, uri + skip, length - skip) == 0) {
            *draft_r = draft_uris[i].draft;
            return true;
        }
    return false;
}

// Sets the draft from "$schema", or the option. False, with a fault, when it is not supported.
static bool choose_draft(struct compiler *compiler)
{
    const struct tape *tape = compiler->tape;
    uint32_t value = tape_member(tape, 0, "$schema", 7, tape_hash("$schema", 7));
    uint32_t token = value == TAPE_NONE ? 0 : value;
    size_t length;

    compiler->draft = compiler->options->draft;
    if (value != TAPE_NONE && tape->tokens[value].kind == TAPE_STRING) {
        const char *uri = compiler_text(compiler, value, &length);
        if (!find_draft(uri, length, &compiler->draft)) {
            compiler_fault(compiler, token,
                           "\"$schema\" names no draft of JSON Schema that is supported; write "
                           "\"https://json-schema.org/draft/2020-12/schema\" (or 2019-09, "
                           "draft-07, draft-06)");
            return false;
        }
    }
    if (compiler->draft == SCHEMA_DRAFT_4) {
        compiler_fault(compiler, token,
                       "draft 4 is not supported: its exclusiveMinimum, exclusiveMaximum, id and "
                       "integers differ; bring the schema to draft 2020-12");
        return false;
    }
    compiler->draft_bit = keyword_draft_bit(compiler->draft);
    return true;
}

static void compile_all(struct compiler *compiler)
{
    size_t done = 0;

    compiler_block(compiler, 0, KEYWORD_FALSE);
    while (done < compiler->n_blocks || compiler->n_refs > 0) {
        if (done < compiler->n_blocks)
            compile_block(compiler, (block_t)done++);
        else
            refs_resolve(compiler);
    }
    if (compiler->count_faults == 0)
        refs_check_in_place(compiler);
    if (compiler->count_faults == 0)
        link_program(compiler);
}

static void find_line(const char *text, size_t offset, struct schema_fault *fault)
{
    size_t line_start = 0;

    fault->line = 1;
    for (size_t i = 0; i < offset; i++)
        if (text[i] == '\n') {
            fault->line++;
            line_start = i + 1;
        }
    fault->column = (unsigned)(offset - line_start) + 1;
}

static int by_place(const void *a, const void *b)
{
    const struct kept_fault *x = a, *y = b;

    if (x->token != y->token)
        return x->token < y->token ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

// Hands the collected faults over, in the text's order.
static void tell_faults(struct compiler *compiler, struct schema_faults *faults)
{
    const struct tape *tape = compiler->tape;

    if (compiler->n_faults > 1)
        qsort(compiler->faults, compiler->n_faults, sizeof(*compiler->faults), by_place);
    for (size_t i = 0; i < compiler->n_faults && i < faults->max; i++) {
        const struct kept_fault *from = &compiler->faults[i];
        struct schema_fault *to = &faults->list[i];
        struct buf pointer = {.max = sizeof(to->pointer) - 1};
        *to = (struct schema_fault){0};
        pointer_of(tape, from->token, &pointer);
        snprintf(to->pointer, sizeof(to->pointer), "%.*s", (int)pointer.len,
                 pointer.len > 0 ? pointer.data : "");
        buf_deinit(&pointer);
        find_line(tape->data, tape->tokens[from->token].start, to);
        snprintf(to->message, sizeof(to->message), "%s", from->message);
    }
    faults->count = compiler->count_faults;
}

static enum status_code fail_parse(const struct schema *schema, struct schema_faults *faults)
{
    faults->count = 1;
    if (faults->max > 0) {
        struct schema_fault *fault = &faults->list[0];
        *fault = (struct schema_fault){0};
        find_line(schema->text, schema->tape.error_offset, fault);
        snprintf(fault->message, sizeof(fault->message), "not valid JSON: %s",
                 schema->tape.error_message);
    }
    return STATUS_INVALID;
}

static void compiler_deinit(struct compiler *compiler)
{
    for (size_t i = 0; i < compiler->n_faults; i++)
        free(compiler->faults[i].message);
    free(compiler->faults);
    free(compiler->blocks);
    free(compiler->block_of);
    free(compiler->fixups);
    free(compiler->objects);
    free(compiler->in_places);
    free(compiler->refs);
    free(compiler->anchors);
}

static enum status_code compile_parsed(struct schema *schema, const struct schema_options *options,
                                       struct schema_faults *faults)
{
    uint32_t n_tokens = schema->tape.n_tokens;
    struct compiler compiler = {.schema = schema, .tape = &schema->tape, .options = options};

    compiler.block_of = mem_realloc_array(NULL, n_tokens, sizeof(block_t));
    memset(compiler.block_of, 0xff, n_tokens * sizeof(block_t));
    // A token makes at most two instructions: its keyword's, and the end of its block.
    schema->program = mem_realloc_array(NULL, (size_t)n_tokens * 2 + 8, sizeof(*schema->program));
    if (choose_draft(&compiler))
        compile_all(&compiler);
    tell_faults(&compiler, faults);
    compiler_deinit(&compiler);
    return faults->count == 0 ? STATUS_OK : STATUS_INVALID;
}

enum status_code schema_compile_with(const struct schema_options *options, const char *text,
                                     size_t length, struct schema_faults *faults,
                                     struct schema **schema_r)
{
    static const struct schema_options defaults = {0};
    enum status_code code;

    *schema_r = NULL;
    faults->count = 0;
    if (length > SCHEMA_TEXT_MAX) {
        faults->count = 1;
        if (faults->max > 0) {
            faults->list[0] = (struct schema_fault){.line = 1, .column = 1};
            snprintf(faults->list[0].message, sizeof(faults->list[0].message),
                     "a schema may have %zu bytes, this one has %zu", SCHEMA_TEXT_MAX, length);
        }
        return STATUS_INVALID;
    }
    struct schema *schema = mem_zalloc(sizeof(*schema));
    schema->text = mem_alloc(length); // not a string: it may hold NUL bytes
    memcpy(schema->text, text, length);
    schema->seed = backoff_random();
    tape_init(&schema->tape, SCHEMA_DEPTH_MAX);
    if (!tape_parse(&schema->tape, schema->text, length))
        code = fail_parse(schema, faults);
    else
        code = compile_parsed(schema, options != NULL ? options : &defaults, faults);
    if (code != STATUS_OK)
        schema_destroy(&schema);
    *schema_r = schema;
    return code;
}

enum status_code schema_compile(const char *name, const char *text, size_t length,
                                struct schema **schema_r, struct schema_fault *faults_r,
                                size_t max_faults, size_t *n_faults_r, struct status *st)
{
    struct schema_fault first;
    struct schema_faults faults = {.list = max_faults > 0 ? faults_r : &first,
                                   .max = max_faults > 0 ? max_faults : 1};
    enum status_code code = schema_compile_with(NULL, text, length, &faults, schema_r);

    if (n_faults_r != NULL)
        *n_faults_r = faults.count;
    if (code == STATUS_OK)
        return code;
    const struct schema_fault *fault = &faults.list[0];
    if (faults.count > 1)
        return status_set(st, code, "%s:%u:%u: %s: %s (and %zu more)", name, fault->line,
                          fault->column, fault->pointer, fault->message, faults.count - 1);
    return status_set(st, code, "%s:%u:%u: %s: %s", name, fault->line, fault->column,
                      fault->pointer, fault->message);
}

void schema_destroy(struct schema **schema)
{
    if (*schema == NULL)
        return;
    for (size_t i = 0; i < (*schema)->n_regexes; i++)
        regex_destroy(&(*schema)->regexes[i]);
    free((*schema)->regexes);
    free((*schema)->program);
    tape_deinit(&(*schema)->tape);
    arena_deinit(&(*schema)->arena);
    free((*schema)->text);
    free(*schema);
    *schema = NULL;
}
