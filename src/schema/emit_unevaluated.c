// SPDX-License-Identifier: Apache-2.0
// Instructions for "unevaluatedProperties" and "unevaluatedItems", and for recording what is
// evaluated where they depend on it.
#include "schema/compile_priv.h"

static bool members_depend(const struct site *site)
{
    return site_has(site, KEYWORD_UNEVALUATED_PROPERTIES) && !site->evaluated.all_members &&
           site->evaluated.members_depend;
}

static bool elements_depend(const struct site *site)
{
    return site_has(site, KEYWORD_UNEVALUATED_ITEMS) && !site->evaluated.all_elements &&
           site->evaluated.elements_depend;
}

bool unevaluated_depends(const struct site *site)
{
    return members_depend(site) || elements_depend(site);
}

bool unevaluated_is_additional(const struct site *site)
{
    return site_has(site, KEYWORD_UNEVALUATED_PROPERTIES) && !site->evaluated.all_members &&
           !site->evaluated.members_depend;
}

// --- recording -----------------------------------------------------------------------------------

// The OP_OBJECT of the block being compiled, or NULL.
static const struct object *find_object(const struct compiler *compiler, const struct site *site)
{
    const struct schema *schema = compiler->schema;

    for (uint32_t i = compiler->blocks[site->block].start; i < schema->n_program; i++)
        if (schema->program[i].op == OP_OBJECT)
            return schema->program[i].u.object;
    return NULL;
}

static void emit_marked_members(struct compiler *compiler, const struct site *site)
{
    const struct object *object = find_object(compiler, site);

    if (site_has(site, KEYWORD_ADDITIONAL_PROPERTIES) ||
        (site_has(site, KEYWORD_UNEVALUATED_PROPERTIES) && !members_depend(site)))
        compiler_emit(compiler, site, OP_MARK, KIND_OBJECT, KEYWORD_FALSE)->u.word = UINT32_MAX;
    else if (object != NULL)
        compiler_emit(compiler, site, OP_MARK_KNOWN, KIND_OBJECT, KEYWORD_FALSE)->u.object = object;
}

static void emit_marked_elements(struct compiler *compiler, const struct site *site)
{
    const struct tape_token *tokens = compiler->tape->tokens;
    uint32_t n = 0;

    if (site_has(site, KEYWORD_PREFIX_ITEMS))
        n = tokens[site->key[KEYWORD_PREFIX_ITEMS] + 1].count;
    if (site_has(site, KEYWORD_ITEMS)) {
        const struct tape_token *items = &tokens[site->key[KEYWORD_ITEMS] + 1];
        bool is_tuple = items->kind == TAPE_ARRAY;
        n = is_tuple && !site_has(site, KEYWORD_ADDITIONAL_ITEMS) ? items->count : UINT32_MAX;
    }
    if (site_has(site, KEYWORD_UNEVALUATED_ITEMS) && !elements_depend(site))
        n = UINT32_MAX;
    if (n > 0)
        compiler_emit(compiler, site, OP_MARK, KIND_ARRAY, KEYWORD_FALSE)->u.word = n;
}

// --- the keywords --------------------------------------------------------------------------------

static void emit_rest(struct compiler *compiler, const struct site *site, enum keyword keyword,
                      unsigned kinds)
{
    struct instruction *rest = compiler_emit(compiler, site, OP_UNEVALUATED, kinds, keyword);

    compiler_refer(compiler, &rest->u.block, site->key[keyword] + 1, keyword);
}

static void emit_tail(struct compiler *compiler, const struct site *site)
{
    struct tail *tail = arena_alloc(&compiler->schema->arena, 1, sizeof(*tail));

    tail->first = site->evaluated.n_elements;
    compiler_emit(compiler, site, OP_ITEMS_FROM, KIND_ARRAY, KEYWORD_UNEVALUATED_ITEMS)->u.tail =
        tail;
    compiler_refer(compiler, &tail->block, site->key[KEYWORD_UNEVALUATED_ITEMS] + 1,
                   KEYWORD_UNEVALUATED_ITEMS);
}

// One that finds nothing left is compiled all the same, so that its faults are found.
void emit_unevaluated(struct compiler *compiler, const struct site *site)
{
    if (site->is_tracked) {
        emit_marked_members(compiler, site);
        emit_marked_elements(compiler, site);
    }
    if (members_depend(site))
        emit_rest(compiler, site, KEYWORD_UNEVALUATED_PROPERTIES, KIND_OBJECT);
    else if (site_has(site, KEYWORD_UNEVALUATED_PROPERTIES) && site->evaluated.all_members)
        compiler_unapplied(compiler, site, KEYWORD_UNEVALUATED_PROPERTIES);
    if (elements_depend(site))
        emit_rest(compiler, site, KEYWORD_UNEVALUATED_ITEMS, KIND_ARRAY);
    else if (site_has(site, KEYWORD_UNEVALUATED_ITEMS) && site->evaluated.all_elements)
        compiler_unapplied(compiler, site, KEYWORD_UNEVALUATED_ITEMS);
    else if (site_has(site, KEYWORD_UNEVALUATED_ITEMS))
        emit_tail(compiler, site);
}
