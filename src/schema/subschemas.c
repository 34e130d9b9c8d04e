// SPDX-License-Identifier: Apache-2.0
// Where schemas stand within a schema, told from the shapes of keywords.
#include "schema/compile_priv.h"

static void visit_one(struct compiler *compiler, uint32_t token, subschema_fn visit,
                      uint32_t resource)
{
    enum tape_kind kind = (enum tape_kind)compiler->tape->tokens[token].kind;

    if (kind == TAPE_OBJECT || kind == TAPE_TRUE || kind == TAPE_FALSE)
        visit(compiler, token, resource);
}

static void visit_members(struct compiler *compiler, uint32_t holder, subschema_fn visit,
                          uint32_t resource)
{
    const struct tape *tape = compiler->tape;

    if (tape->tokens[holder].kind == TAPE_OBJECT)
        FOR_MEMBERS(tape, key, holder)
    visit_one(compiler, key + 1, visit, resource);
}

static void visit_elements(struct compiler *compiler, uint32_t array, subschema_fn visit,
                           uint32_t resource)
{
    const struct tape *tape = compiler->tape;

    if (tape->tokens[array].kind == TAPE_ARRAY)
        FOR_ELEMENTS(tape, element, array)
    visit_one(compiler, element, visit, resource);
}

void subschemas_each(struct compiler *compiler, uint32_t key, enum keyword keyword,
                     subschema_fn visit, uint32_t resource)
{
    switch (keyword_info(keyword)->shape) {
    case SHAPE_SCHEMA:
    case SHAPE_ADDITIONAL:
        visit_one(compiler, key + 1, visit, resource);
        return;
    case SHAPE_ITEMS:
        visit_one(compiler, key + 1, visit, resource);
        visit_elements(compiler, key + 1, visit, resource);
        return;
    case SHAPE_SCHEMAS:
        visit_elements(compiler, key + 1, visit, resource);
        return;
    case SHAPE_SCHEMA_MAP:
    case SHAPE_PATTERN_MAP:
    case SHAPE_DEPENDENCIES:
        visit_members(compiler, key + 1, visit, resource);
        return;
    default:
        return;
    }
}
