// SPDX-License-Identifier: Apache-2.0
// What "unevaluatedProperties" and "unevaluatedItems" need not look at, told before any value is
// seen: what the schema itself, "allOf" and references name is evaluated whenever the value passes.
// What "anyOf", "oneOf", "if" and "dependentSchemas" add depends on the value, unless it is named
// already.
#include "schema/compile_priv.h"

#include "core/mem.h"
#include "json/text.h"

#include <stdlib.h>

// An analysis under way.
struct analysis {
    struct compiler *compiler;
    struct evaluated *out;
    uint32_t origin;   // the schema whose "unevaluated..." asks
    uint32_t *perhaps; // keys of `properties` in what may not apply
    size_t n_perhaps, cap_perhaps;
    uint32_t n_elements; // the same of elements
};

static void push(uint32_t **list, size_t *n, size_t *cap, uint32_t value)
{
    *list = compiler_room(*list, *n, cap, sizeof(**list));
    (*list)[(*n)++] = value;
}

static void gather(struct analysis *analysis, uint32_t token, bool sure);

static void gather_names(struct analysis *analysis, uint32_t holder, bool sure)
{
    const struct tape *tape = analysis->compiler->tape;
    struct evaluated *out = analysis->out;

    if (tape->tokens[holder].kind == TAPE_OBJECT)
        FOR_MEMBERS(tape, key, holder)
        {
            if (sure)
                push(&out->names, &out->n_names, &out->cap_names, key);
            else
                push(&analysis->perhaps, &analysis->n_perhaps, &analysis->cap_perhaps, key);
        }
}

static void gather_patterns(struct analysis *analysis, uint32_t holder, bool sure)
{
    const struct tape *tape = analysis->compiler->tape;
    struct evaluated *out = analysis->out;

    if (tape->tokens[holder].kind != TAPE_OBJECT || tape->tokens[holder].count == 0)
        return;
    if (!sure) {
        out->members_depend = true;
        return;
    }
    FOR_MEMBERS(tape, key, holder)
    push(&out->patterns, &out->n_patterns, &out->cap_patterns, key);
}

static void gather_all_members(struct analysis *analysis, bool sure)
{
    analysis->out->all_members |= sure;
    analysis->out->members_depend |= !sure;
}

// `n` UINT32_MAX: all of them.
static void gather_elements(struct analysis *analysis, uint32_t n, bool sure)
{
    uint32_t *most = sure ? &analysis->out->n_elements : &analysis->n_elements;

    *most = *most > n ? *most : n;
}

static void gather_list(struct analysis *analysis, uint32_t holder, bool sure)
{
    const struct tape *tape = analysis->compiler->tape;
    enum tape_kind kind = (enum tape_kind)tape->tokens[holder].kind;

    if (kind == TAPE_ARRAY)
        FOR_ELEMENTS(tape, element, holder)
    gather(analysis, element, sure);
    if (kind == TAPE_OBJECT)
        FOR_MEMBERS(tape, key, holder)
    gather(analysis, key + 1, sure);
}

static void gather_target(struct analysis *analysis, uint32_t key, bool sure)
{
    struct compiler *compiler = analysis->compiler;

    if (ref_is_dynamic(compiler, key))
        analysis->out->members_depend = analysis->out->elements_depend = true;
    else if (compiler->notes[key].target != TAPE_NONE)
        gather(analysis, compiler->notes[key].target, sure);
}

static void gather_array(struct analysis *analysis, uint32_t key, enum keyword keyword, bool sure)
{
    const struct tape_token *value = &analysis->compiler->tape->tokens[key + 1];
    bool is_tuple = value->kind == TAPE_ARRAY;

    if (keyword == KEYWORD_ADDITIONAL_ITEMS || (keyword == KEYWORD_ITEMS && !is_tuple))
        gather_elements(analysis, UINT32_MAX, sure);
    else
        gather_elements(analysis, is_tuple ? value->count : 0, sure);
}

static void gather_keyword(struct analysis *analysis, uint32_t key, enum keyword keyword, bool sure)
{
    switch (keyword) {
    case KEYWORD_PROPERTIES:
        gather_names(analysis, key + 1, sure);
        return;
    case KEYWORD_PATTERN_PROPERTIES:
        gather_patterns(analysis, key + 1, sure);
        return;
    case KEYWORD_ADDITIONAL_PROPERTIES:
    case KEYWORD_UNEVALUATED_PROPERTIES:
        gather_all_members(analysis, sure);
        return;
    case KEYWORD_UNEVALUATED_ITEMS:
        gather_elements(analysis, UINT32_MAX, sure);
        return;
    case KEYWORD_PREFIX_ITEMS:
    case KEYWORD_ITEMS:
    case KEYWORD_ADDITIONAL_ITEMS:
        gather_array(analysis, key, keyword, sure);
        return;
    case KEYWORD_REF:
    case KEYWORD_DYNAMIC_REF:
    case KEYWORD_RECURSIVE_REF:
        gather_target(analysis, key, sure);
        return;
    case KEYWORD_ALL_OF:
        gather_list(analysis, key + 1, sure);
        return;
    case KEYWORD_ANY_OF:
    case KEYWORD_ONE_OF:
    case KEYWORD_DEPENDENT_SCHEMAS:
    case KEYWORD_DEPENDENCIES:
        gather_list(analysis, key + 1, false);
        return;
    case KEYWORD_IF:
    case KEYWORD_THEN:
    case KEYWORD_ELSE:
        gather(analysis, key + 1, false);
        return;
    default:
        return;
    }
}

// Marks the schema as seen by this analysis; false when it was already, as surely as now.
static bool stamp(struct analysis *analysis, uint32_t token, bool sure)
{
    struct compiler *compiler = analysis->compiler;
    uint32_t now = compiler->n_analyses * 2 + sure;

    if (compiler->stamps[token] >= now)
        return false;
    compiler->stamps[token] = now;
    return true;
}

// Has the schema a keyword that only counts beside it?
static bool has_tuple(const struct compiler *compiler, uint32_t token)
{
    uint32_t items = tape_member(compiler->tape, token, "items", 5, tape_hash("items", 5));

    return items != TAPE_NONE && compiler->tape->tokens[items].kind == TAPE_ARRAY;
}

static void gather(struct analysis *analysis, uint32_t token, bool sure)
{
    struct compiler *compiler = analysis->compiler;
    const struct tape *tape = compiler->tape;

    uint32_t resource = compiler->notes[token].resource;

    // What is no schema stands there in a faulty keyword only.
    if (tape->tokens[token].kind != TAPE_OBJECT || resource == RESOURCE_NONE ||
        !stamp(analysis, token, sure))
        return;
    const struct dialect *dialect = &compiler->resources[resource].dialect;
    bool ref_alone = dialect_ref_alone(compiler, dialect, token);
    FOR_MEMBERS(tape, key, token)
    {
        enum keyword keyword = dialect_keyword(compiler, dialect, key);
        bool own = token == analysis->origin && (keyword == KEYWORD_UNEVALUATED_PROPERTIES ||
                                                 keyword == KEYWORD_UNEVALUATED_ITEMS);
        if (own || (ref_alone && keyword != KEYWORD_REF) ||
            (keyword == KEYWORD_ADDITIONAL_ITEMS && !has_tuple(compiler, token)))
            continue;
        if (keyword == KEYWORD_CONTAINS && (dialect->draft_bit & DRAFT_20) != 0)
            analysis->out->elements_depend = true;
        gather_keyword(analysis, key, keyword, sure);
    }
}

// Is a name that may be evaluated not one of those that are?
static bool has_other_name(const struct analysis *analysis)
{
    const struct tape *tape = analysis->compiler->tape;
    const struct evaluated *out = analysis->out;
    struct index sure = {0};
    bool other = false;

    for (uint32_t i = 0; i < out->n_names; i++)
        index_put(&sure, tape->tokens[out->names[i]].hash, i);
    for (size_t i = 0; i < analysis->n_perhaps && !other; i++) {
        uint32_t hash = tape->tokens[analysis->perhaps[i]].hash, k;
        size_t at = hash;
        while ((k = index_next(&sure, hash, &at)) != INDEX_NONE &&
               !text_strings_equal(tape, out->names[k], tape, analysis->perhaps[i])) {
        }
        other = k == INDEX_NONE;
    }
    index_deinit(&sure);
    return other;
}

void evaluated_find(struct compiler *compiler, uint32_t token, struct evaluated *evaluated_r)
{
    struct analysis analysis = {.compiler = compiler, .out = evaluated_r, .origin = token};

    *evaluated_r = (struct evaluated){0};
    if (compiler->stamps == NULL)
        compiler->stamps = mem_zalloc(compiler->tape->n_tokens * sizeof(*compiler->stamps));
    compiler->n_analyses++;
    gather(&analysis, token, true);
    evaluated_r->all_elements = evaluated_r->n_elements == UINT32_MAX;
    evaluated_r->elements_depend |= analysis.n_elements > evaluated_r->n_elements;
    evaluated_r->members_depend |= has_other_name(&analysis);
    free(analysis.perhaps);
}

void evaluated_deinit(struct evaluated *evaluated)
{
    free(evaluated->names);
    free(evaluated->patterns);
}
