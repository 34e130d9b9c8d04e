// SPDX-License-Identifier: Apache-2.0
// The second step of compiling: each schema, in the forms that are asked for, becomes a block.
#include "schema/compile_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

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
    compiler_refer_form(compiler, where, site->token, keyword, variant);
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
            compiler_refer_form(compiler, &bound->binding->block, bound->token, KEYWORD_DYNAMIC_REF,
                                VARIANT_PLAIN);
        if (slot->is_tracked && bound->binding->tracked == BLOCK_NONE)
            compiler_refer_form(compiler, &bound->binding->tracked, bound->token,
                                KEYWORD_DYNAMIC_REF, VARIANT_TRACKED);
    }
}

void blocks_compile(struct compiler *compiler)
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
