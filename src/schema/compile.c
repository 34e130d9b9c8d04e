// SPDX-License-Identifier: Apache-2.0
// The second and third step of compiling (see compile_priv.h), and what holds all together. Faults
// are collected on the way and told in the text's order.
#include "schema/compile_priv.h"

#include "core/backoff.h"
#include "core/mem.h"
#include "json/text.h"
#include "schema/track_priv.h"
#include "schema/uri_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

    if (compiler->is_repeat || compiler->count_faults++ >= KEEP_FAULTS_MAX)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    struct kept_fault *fault = COMPILER_PUSH(compiler, faults);
    *fault = (struct kept_fault){
        .token = token, .order = (uint32_t)compiler->n_faults, .message = mem_strdup(message)};
}

static char *unescape_to(struct arena *arena, const struct tape *tape, uint32_t string,
                         size_t *length_r)
{
    size_t raw;

    tape_string(tape, string, &raw);
    char *text = arena_alloc(arena, raw + 1, 1);
    *length_r = text_unescape(tape, string, text);
    return text;
}

char *compiler_text(struct compiler *compiler, uint32_t string, size_t *length_r)
{
    return unescape_to(&compiler->schema->arena, compiler->tape, string, length_r);
}

char *compiler_name_text(struct compiler *compiler, uint32_t string, size_t *length_r)
{
    return unescape_to(&compiler->names, compiler->tape, string, length_r);
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
    struct regex *regex;

    if (compiler->regex_of == NULL)
        compiler->regex_of = mem_zalloc(compiler->tape->n_tokens * sizeof(*compiler->regex_of));
    if (compiler->regex_of[string] != 0)
        return schema->regexes[compiler->regex_of[string] - 1];
    const char *text = compiler_name_text(compiler, string, &length);
    if (regex_compile(text, length, &regex, &st) != STATUS_OK) {
        compiler_fault(compiler, token, "the regular expression is faulty: %s", st.detail);
        return NULL;
    }
    schema->regexes = compiler_room(schema->regexes, schema->n_regexes, &compiler->cap_regexes,
                                    sizeof(*schema->regexes));
    schema->regexes[schema->n_regexes++] = regex;
    compiler->regex_of[string] = (uint32_t)schema->n_regexes;
    return regex;
}

// --- blocks --------------------------------------------------------------------------------------

block_t compiler_block(struct compiler *compiler, uint32_t token, enum keyword keyword,
                       enum variant variant)
{
    block_t **block_of = &compiler->block_of[variant];
    size_t size = compiler->tape->n_tokens * sizeof(**block_of);

    if (*block_of == NULL) {
        *block_of = mem_alloc(size);
        memset(*block_of, 0xff, size);
    }
    if ((*block_of)[token] == BLOCK_NONE) {
        (*block_of)[token] = (block_t)compiler->n_blocks;
        struct block_job *job = COMPILER_PUSH(compiler, blocks);
        *job = (struct block_job){.token = token, .keyword = keyword, .variant = variant};
    }
    return (*block_of)[token];
}

void compiler_refer_form(struct compiler *compiler, block_t *where, uint32_t token,
                         enum keyword keyword, enum variant variant)
{
    *where = compiler_block(compiler, token, keyword, variant);
    *COMPILER_PUSH(compiler, fixups) = where;
}

void compiler_unapplied(struct compiler *compiler, const struct site *site, enum keyword keyword)
{
    compiler_block(compiler, site->key[keyword] + 1, keyword, VARIANT_PLAIN);
}

// The form in which the block being compiled calls a schema: where it belongs to another resource,
// whose dynamic anchors it brings into scope, those are bound.
static enum variant entry_form(const struct compiler *compiler, uint32_t token, bool is_tracked)
{
    uint32_t resource = compiler->notes[token].resource;

    if (resource == compiler->resource || compiler->resources[resource].bindings == NULL)
        return is_tracked ? VARIANT_TRACKED : VARIANT_PLAIN;
    return is_tracked ? VARIANT_ENTRY_TRACKED : VARIANT_ENTRY;
}

void compiler_refer(struct compiler *compiler, block_t *where, uint32_t token, enum keyword keyword)
{
    compiler_refer_form(compiler, where, token, keyword, entry_form(compiler, token, false));
}

static void refer_in_place(struct compiler *compiler, const struct site *site, block_t *where,
                           uint32_t token, uint32_t key, bool is_tracked)
{
    compiler_refer_form(compiler, where, token, keyword_of_token(compiler->tape, key),
                        entry_form(compiler, token, is_tracked));
    struct in_place *edge = COMPILER_PUSH(compiler, in_places);
    *edge = (struct in_place){.from = site->block, .to = *where, .token = key};
}

void compiler_refer_in_place(struct compiler *compiler, const struct site *site, block_t *where,
                             uint32_t token, uint32_t key)
{
    refer_in_place(compiler, site, where, token, key, site->is_tracked);
}

void compiler_refer_apart(struct compiler *compiler, const struct site *site, block_t *where,
                          uint32_t token, uint32_t key)
{
    refer_in_place(compiler, site, where, token, key, false);
}

struct instruction *compiler_emit(struct compiler *compiler, const struct site *site,
                                  enum opcode op, unsigned kinds, enum keyword keyword)
{
    struct schema *schema = compiler->schema;
    struct instruction *instruction = &schema->program[schema->n_program++];

    if (schema->n_program > compiler->room_program)
        abort(); // room is for more than all tokens can make: never
    *instruction = (struct instruction){
        .op = (uint8_t)op,
        .kinds = (uint8_t)kinds,
        .keyword = (uint16_t)keyword,
        .place = keyword < KEYWORD_COUNT && site->key[keyword] != TAPE_NONE ? site->key[keyword]
                                                                            : site->token};
    return instruction;
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
    object->names_only = true;
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
        object->names_only &= property->kinds == KIND_ANY && property->rest == BLOCK_NONE;
    }
    if (object->additional != BLOCK_NONE && is_empty_block(schema, object->additional))
        object->additional = BLOCK_NONE;
    object->looks_at_undeclared = object->n_patterns > 0 || object->additional_false ||
                                  (object->has_additional && object->additional != BLOCK_NONE);
    object->names_only &= !object->looks_at_undeclared;
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
    for (uint32_t i = 0; i < schema->n_program; i++)
        if (schema->program[i].op == OP_ANY_OF || schema->program[i].op == OP_ONE_OF)
            choice_make(compiler, (struct block_list *)schema->program[i].u.list);
    keep_block_places(compiler);
    resources_keep(compiler);
    schema->program =
        mem_realloc_array(schema->program, schema->n_program, sizeof(*schema->program));
}

// --- the whole -----------------------------------------------------------------------------------

bool schema_strict_parse(const char *name, enum schema_strict *strict_r)
{
    static const char *const names[] = {
        [SCHEMA_STRICT_TYPOS] = "typos",
        [SCHEMA_STRICT_OFF] = "off",
        [SCHEMA_STRICT_ALL] = "all",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(names[i], name) == 0) {
            *strict_r = (enum schema_strict)i;
            return true;
        }
    return false;
}

// The URI of the root's text, without fragment and normalised.
static void enter_root(struct compiler *compiler)
{
    const char *given = compiler->options->base_uri;
    struct buf target = {0};
    struct uri none = {0}, uri;

    documents_add_root(compiler);
    if (given != NULL) {
        uri_split(given, strlen(given), &uri);
        uri_resolve(&none, &uri, &target);
    }
    char *base = arena_alloc(&compiler->names, target.len + 1, 1);
    if (target.len > 0)
        memcpy(base, target.data, target.len);
    resources_enter(compiler, 0, base, target.len);
    buf_deinit(&target);
}

static void compile_all(struct compiler *compiler)
{
    enter_root(compiler);
    if (compiler->has_no_dialect)
        return;
    refs_reach(compiler);
    resources_bind(compiler);
    blocks_compile(compiler);
    if (compiler->count_faults == 0)
        in_place_check(compiler);
    if (compiler->count_faults == 0)
        link_program(compiler);
}

static void compiler_deinit(struct compiler *compiler)
{
    for (size_t i = 0; i < compiler->n_faults; i++)
        free(compiler->faults[i].message);
    for (size_t i = 0; i < VARIANT_COUNT; i++)
        free(compiler->block_of[i]);
    free(compiler->faults);
    free(compiler->notes);
    free(compiler->resources);
    free(compiler->resource_names);
    index_deinit(&compiler->resources_by_uri);
    free(compiler->anchors);
    index_deinit(&compiler->anchors_by_name);
    free(compiler->metaschemas);
    free(compiler->reached);
    free(compiler->refs);
    free(compiler->slots);
    free(compiler->blocks);
    free(compiler->fixups);
    free(compiler->objects);
    free(compiler->in_places);
    free(compiler->dynamic_uses);
    free(compiler->bound_targets);
    free(compiler->stamps);
    free(compiler->regex_of);
    arena_deinit(&compiler->names);
}

static enum status_code compile_parsed(struct schema *schema, const struct schema_options *options,
                                       struct schema_faults *faults)
{
    struct compiler compiler = {.schema = schema, .tape = &schema->tape, .options = options};

    compiler.cap_text = schema->length;
    dialect_of_draft(options->draft, &compiler.root_dialect);
    compile_all(&compiler);
    if (compiler.has_unevaluated || compiler.n_slots > 0)
        schema->tracker = tracker_create(compiler.n_slots);
    documents_tell_faults(&compiler, faults);
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
    schema->seed = backoff_random();
    code = STATUS_INVALID;
    if (!documents_parse_root(schema, text, length))
        documents_tell_syntax(schema, faults);
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
    free((*schema)->documents);
    tracker_destroy(&(*schema)->tracker);
    tape_deinit(&(*schema)->tape);
    arena_deinit(&(*schema)->arena);
    free((*schema)->text);
    free(*schema);
    *schema = NULL;
}
