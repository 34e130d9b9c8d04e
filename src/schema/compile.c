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

static void refer(struct compiler *compiler, block_t *where, uint32_t token, enum keyword keyword,
                  enum variant variant)
{
    *where = compiler_block(compiler, token, keyword, variant);
    *COMPILER_PUSH(compiler, fixups) = where;
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
    refer(compiler, where, token, keyword, entry_form(compiler, token, false));
}

static void refer_in_place(struct compiler *compiler, const struct site *site, block_t *where,
                           uint32_t token, uint32_t key, bool is_tracked)
{
    refer(compiler, where, token, keyword_of_token(compiler->tape, key),
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

// --- one block -----------------------------------------------------------------------------------

static void fault_unknown(struct compiler *compiler, uint32_t key)
{
    size_t length;
    const char *name = compiler_name_text(compiler, key, &length);
    const char *nearest = keyword_nearest(name, length, compiler->dialect->draft_bit);
    int shown = length > 64 ? 64 : (int)length;

    if (nearest == NULL && compiler->options->strict == SCHEMA_STRICT_TYPOS)
        return;
    compiler_fault(compiler, key, "\"%.*s\" is not a keyword of JSON Schema%s%s%s", shown, name,
                   nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?" : "");
}

// A keyword that the resource's draft, or its meta-schema, does not have.
static void fault_foreign(struct compiler *compiler, uint32_t key, enum keyword keyword)
{
    const struct keyword_info *info = keyword_info(keyword);
    const char *draft = keyword_draft_name(compiler->dialect->draft);
    bool asserts = info->role == ROLE_CHECK || info->shape == SHAPE_URI_REFERENCE;

    if (compiler->options->strict == SCHEMA_STRICT_TYPOS && !asserts)
        return;
    if ((info->drafts & compiler->dialect->draft_bit) == 0)
        compiler_fault(compiler, key,
                       "\"%s\" is not a keyword of draft %s, which this schema is of: it would be "
                       "ignored",
                       info->name, draft);
    else if (compiler->options->strict == SCHEMA_STRICT_ALL)
        compiler_fault(compiler, key,
                       "\"%s\" is of a vocabulary that the schema's meta-schema leaves out",
                       info->name);
}

// Before 2019-09 nothing beside "$ref" counts but what can be referred to.
static bool is_ignored(struct compiler *compiler, uint32_t key, enum keyword keyword)
{
    if (keyword == KEYWORD_REF || keyword == KEYWORD_DEFS || keyword == KEYWORD_DEFINITIONS)
        return false;
    if (compiler->options->strict == SCHEMA_STRICT_ALL && keyword_info(keyword)->role == ROLE_CHECK)
        compiler_fault(compiler, key,
                       "draft %s ignores what stands beside \"$ref\"; put both into an \"allOf\"",
                       keyword_draft_name(compiler->dialect->draft));
    return true;
}

static void collect_keywords(struct compiler *compiler, struct site *site)
{
    const struct tape *tape = compiler->tape;
    const struct dialect *dialect = compiler->dialect;
    bool strict = compiler->options->strict != SCHEMA_STRICT_OFF;
    bool ref_alone = dialect_ref_alone(compiler, dialect, site->token);

    FOR_MEMBERS(tape, key, site->token)
    {
        enum keyword keyword = keyword_of_token(tape, key);
        if (keyword == KEYWORD_COUNT) {
            if (strict)
                fault_unknown(compiler, key);
        } else if (!keyword_is_known(keyword, dialect->draft_bit, dialect->vocabularies)) {
            if (strict)
                fault_foreign(compiler, key, keyword);
        } else if (shape_check(compiler, key, keyword) &&
                   !(ref_alone && is_ignored(compiler, key, keyword))) {
            site->key[keyword] = key;
        }
    }
}

// Definitions in the root's text are compiled in any case, so that their faults are found.
static void compile_definitions(struct compiler *compiler, const struct site *site)
{
    static const enum keyword holders[] = {KEYWORD_DEFS, KEYWORD_DEFINITIONS};
    const struct tape *tape = compiler->tape;

    if (documents_number(compiler, site->token) != 0)
        return;
    for (size_t i = 0; i < 2; i++)
        if (site_has(site, holders[i]))
            FOR_MEMBERS(tape, key, site->key[holders[i]] + 1)
    compiler_block(compiler, key + 1, KEYWORD_REF, VARIANT_PLAIN);
}

// A form of the schema that only leads to another one.
static void compile_lead(struct compiler *compiler, const struct site *site, block_t *where,
                         enum keyword keyword, enum variant variant)
{
    refer(compiler, where, site->token, keyword, variant);
    *COMPILER_PUSH(compiler, in_places) =
        (struct in_place){.from = site->block, .to = *where, .token = TAPE_NONE};
}

static void compile_scope(struct compiler *compiler, const struct site *site, enum keyword keyword,
                          enum variant variant)
{
    const struct resource *resource = &compiler->resources[compiler->resource];
    struct scope *scope = arena_alloc(&compiler->schema->arena, 1, sizeof(*scope));

    scope->n = resource->n_bindings;
    scope->bindings = resource->bindings;
    compile_lead(compiler, site, &scope->block, keyword,
                 variant == VARIANT_ENTRY ? VARIANT_PLAIN : VARIANT_TRACKED);
    compiler_emit(compiler, site, OP_SCOPE, KIND_ANY, KEYWORD_FALSE)->u.scope = scope;
}

static void compile_object(struct compiler *compiler, struct site *site, enum keyword keyword,
                           enum variant variant)
{
    collect_keywords(compiler, site);
    compile_definitions(compiler, site);
    if (site_has(site, KEYWORD_UNEVALUATED_PROPERTIES) || site_has(site, KEYWORD_UNEVALUATED_ITEMS))
        evaluated_find(compiler, site->token, &site->evaluated);
    if (variant != VARIANT_BODY && unevaluated_depends(site)) {
        struct instruction *track = compiler_emit(
            compiler, site, site->is_tracked ? OP_TRACK_INSIDE : OP_TRACK, KIND_ANY, KEYWORD_FALSE);
        compile_lead(compiler, site, &track->u.block, keyword, VARIANT_BODY);
        return;
    }
    emit_value(compiler, site);
    emit_object(compiler, site);
    emit_array(compiler, site);
    emit_apply(compiler, site);
    emit_unevaluated(compiler, site);
}

static void compile_block(struct compiler *compiler, block_t number)
{
    struct block_job *job = &compiler->blocks[number];
    struct site site = {.block = number, .token = job->token};
    enum keyword keyword = job->keyword;
    enum variant variant = job->variant;

    job->start = compiler->schema->n_program; // `job` may move from here on
    compiler->resource = compiler->notes[site.token].resource;
    compiler->dialect = &compiler->resources[compiler->resource].dialect;
    compiler->is_repeat = compiler->notes[site.token].is_compiled;
    site.is_tracked = variant == VARIANT_TRACKED || variant == VARIANT_BODY;
    memset(site.key, 0xff, sizeof(site.key)); // TAPE_NONE
    if (variant == VARIANT_ENTRY || variant == VARIANT_ENTRY_TRACKED) {
        compile_scope(compiler, &site, keyword, variant);
    } else {
        enum tape_kind kind = (enum tape_kind)compiler->tape->tokens[site.token].kind;
        compiler->notes[site.token].is_compiled = true;
        if (kind == TAPE_OBJECT)
            compile_object(compiler, &site, keyword, variant);
        else if (kind == TAPE_FALSE)
            compiler_emit(compiler, &site, OP_FALSE, KIND_ANY, keyword);
        else if (kind != TAPE_TRUE)
            compiler_fault(compiler, site.token, "a schema is an object, true or false, not %s",
                           tape_kind_name(kind));
    }
    compiler_emit(compiler, &site, OP_END, KIND_ANY, KEYWORD_FALSE);
    evaluated_deinit(&site.evaluated);
    compiler->is_repeat = false;
}

// Compiles what the anchors of dynamic references stand for, in the forms that are asked for.
static void compile_targets(struct compiler *compiler)
{
    for (size_t i = 0; i < compiler->n_bound_targets; i++) {
        const struct bound_target *bound = &compiler->bound_targets[i];
        const struct slot *slot = &compiler->slots[bound->slot];
        if (slot->is_used && bound->binding->block == BLOCK_NONE)
            refer(compiler, &bound->binding->block, bound->token, KEYWORD_DYNAMIC_REF,
                  VARIANT_PLAIN);
        if (slot->is_tracked && bound->binding->tracked == BLOCK_NONE)
            refer(compiler, &bound->binding->tracked, bound->token, KEYWORD_DYNAMIC_REF,
                  VARIANT_TRACKED);
    }
}

static void compile_blocks(struct compiler *compiler)
{
    const struct resource *root = &compiler->resources[compiler->notes[0].resource];
    struct schema *schema = compiler->schema;
    bool has_forms = compiler->has_unevaluated || compiler->n_bound_targets > 0;
    size_t done = 0;

    // A token makes at most two instructions in each form, its keyword's and the end of its block.
    compiler->room_program = (size_t)schema->tape.n_tokens * (has_forms ? 7 : 2) + 8;
    schema->program = mem_realloc_array(NULL, compiler->room_program, sizeof(*schema->program));
    compiler_block(compiler, 0, KEYWORD_FALSE,
                   root->bindings != NULL ? VARIANT_ENTRY : VARIANT_PLAIN);
    do {
        while (done < compiler->n_blocks)
            compile_block(compiler, (block_t)done++);
        compile_targets(compiler);
    } while (done < compiler->n_blocks);
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
    compile_blocks(compiler);
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
    if (fault->file[0] != '\0')
        name = fault->file;
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
