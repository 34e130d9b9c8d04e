// SPDX-License-Identifier: Apache-2.0
// Instructions for objects.
#include "schema/compile_priv.h"

#include "json/number.h"

#include <string.h>

static bool has(const struct site *site, enum keyword keyword)
{
    return site->key[keyword] != TAPE_NONE;
}

static uint32_t count_members(const struct compiler *compiler, const struct site *site,
                              enum keyword keyword)
{
    return has(site, keyword) ? compiler->tape->tokens[site->key[keyword] + 1].count : 0;
}

static struct property property_of(const struct name *name)
{
    return (struct property){
        .text = name->text, .length = name->length, .hash = name->hash, .block = BLOCK_NONE};
}

static struct property *find_property(struct property *list, uint32_t n, const struct name *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i].hash == name->hash && list[i].length == name->length &&
            memcmp(list[i].text, name->text, name->length) == 0)
            return &list[i];
    return NULL;
}

// Names of "properties" and "required" together; returns how many.
static uint32_t gather_properties(struct compiler *compiler, const struct site *site,
                                  struct property *list, struct object *object)
{
    const struct tape *tape = compiler->tape;
    uint32_t n = 0;

    if (has(site, KEYWORD_PROPERTIES))
        FOR_MEMBERS(tape, key, site->key[KEYWORD_PROPERTIES] + 1)
        {
            struct name name = compiler_name(compiler, key);
            list[n] = property_of(&name);
            list[n].declared = true;
            n++;
        }
    if (!has(site, KEYWORD_REQUIRED))
        return n;
    uint32_t n_declared = n;
    uint32_t array = site->key[KEYWORD_REQUIRED] + 1;
    struct name *required =
        arena_alloc(&compiler->schema->arena, tape->tokens[array].count, sizeof(*required));
    FOR_ELEMENTS(tape, element, array)
    {
        struct name name = compiler_name(compiler, element);
        required[object->n_required++] = name;
        struct property *property = find_property(list, n_declared, &name);
        if (property == NULL) {
            property = &list[n++];
            *property = property_of(&name);
        }
        property->required = true;
    }
    object->required = required;
    object->required_place = site->key[KEYWORD_REQUIRED];
    return n;
}

// Gives the slots of "properties" their blocks; only now do they stay where they are.
static void refer_properties(struct compiler *compiler, const struct site *site,
                             struct object *object)
{
    const struct tape *tape = compiler->tape;

    FOR_MEMBERS(tape, key, site->key[KEYWORD_PROPERTIES] + 1)
    {
        struct name name = compiler_name(compiler, key);
        struct property *property =
            find_property((struct property *)object->slots, object->mask + 1, &name);
        compiler_refer(compiler, &property->block, key + 1, KEYWORD_PROPERTIES);
    }
}

static void fill_patterns(struct compiler *compiler, const struct site *site, struct object *object)
{
    const struct tape *tape = compiler->tape;
    uint32_t n = count_members(compiler, site, KEYWORD_PATTERN_PROPERTIES);
    struct pattern_property *patterns = arena_alloc(&compiler->schema->arena, n, sizeof(*patterns));

    FOR_MEMBERS(tape, key, site->key[KEYWORD_PATTERN_PROPERTIES] + 1)
    {
        struct pattern_property *pattern = &patterns[object->n_patterns];
        pattern->regex = compiler_regex(compiler, key, key);
        pattern->place = key;
        object->n_patterns += pattern->regex != NULL;
        compiler_refer(compiler, &pattern->block, key + 1, KEYWORD_PATTERN_PROPERTIES);
    }
    object->patterns = patterns;
}

static void fill_additional(struct compiler *compiler, const struct site *site,
                            struct object *object)
{
    uint32_t key = site->key[KEYWORD_ADDITIONAL_PROPERTIES];

    object->has_additional = compiler->tape->tokens[key + 1].kind != TAPE_TRUE;
    object->additional_false = compiler->tape->tokens[key + 1].kind == TAPE_FALSE;
    object->additional_place = key;
    compiler_refer(compiler, &object->additional, key + 1, KEYWORD_ADDITIONAL_PROPERTIES);
}

static void emit_members(struct compiler *compiler, const struct site *site)
{
    struct arena *arena = &compiler->schema->arena;
    uint32_t n = count_members(compiler, site, KEYWORD_PROPERTIES) +
                 count_members(compiler, site, KEYWORD_REQUIRED);
    bool additional = has(site, KEYWORD_ADDITIONAL_PROPERTIES);

    if (n == 0 && count_members(compiler, site, KEYWORD_PATTERN_PROPERTIES) == 0 && !additional)
        return;
    struct object *object = arena_alloc(arena, 1, sizeof(*object));
    object->additional = BLOCK_NONE;
    struct property *list = arena_alloc(arena, n, sizeof(*list));
    n = gather_properties(compiler, site, list, object);
    names_make_properties(arena, list, n, object);
    if (has(site, KEYWORD_PROPERTIES))
        refer_properties(compiler, site, object);
    if (has(site, KEYWORD_PATTERN_PROPERTIES))
        fill_patterns(compiler, site, object);
    if (additional)
        fill_additional(compiler, site, object);
    *COMPILER_PUSH(compiler, objects) = object;
    compiler_emit(compiler, site, OP_OBJECT, KIND_OBJECT, KEYWORD_REQUIRED)->u.object = object;
}

static void emit_count(struct compiler *compiler, const struct site *site, enum opcode op,
                       enum keyword keyword)
{
    size_t length;
    int64_t value;

    if (!has(site, keyword))
        return;
    const char *text = tape_raw(compiler->tape, site->key[keyword] + 1, &length);
    if (number_to_int64(text, length, &value) != NUMBER_OK || value > UINT32_MAX)
        value = UINT32_MAX;
    compiler_emit(compiler, site, op, KIND_OBJECT, keyword)->u.word = (uint32_t)value;
}

// --- dependencies --------------------------------------------------------------------------------

static void fill_names(struct compiler *compiler, uint32_t key, struct dependent *dependent)
{
    const struct tape *tape = compiler->tape;
    struct name *names =
        arena_alloc(&compiler->schema->arena, tape->tokens[key + 1].count, sizeof(*names));

    FOR_ELEMENTS(tape, element, key + 1)
    names[dependent->n_names++] = compiler_name(compiler, element);
    dependent->names = names;
}

// The members of `keyword` whose values are arrays of names, or those that are schemas. NULL when
// there are none.
static const struct dependents *make_dependents(struct compiler *compiler, const struct site *site,
                                                enum keyword keyword, bool names)
{
    const struct tape *tape = compiler->tape;
    struct arena *arena = &compiler->schema->arena;
    uint32_t holder = site->key[keyword] + 1;
    struct dependents *dependents = arena_alloc(arena, 1, sizeof(*dependents));
    struct dependent *list = arena_alloc(arena, tape->tokens[holder].count, sizeof(*list));

    FOR_MEMBERS(tape, key, holder)
    {
        if ((tape->tokens[key + 1].kind == TAPE_ARRAY) != names)
            continue;
        struct dependent *dependent = &list[dependents->n++];
        dependent->trigger = compiler_name(compiler, key);
        dependent->place = key;
        if (names)
            fill_names(compiler, key, dependent);
        else
            compiler_refer_in_place(compiler, site->block, &dependent->block, key + 1,
                                    site->key[keyword]);
    }
    dependents->list = list;
    return dependents->n > 0 ? dependents : NULL;
}

static void emit_dependents(struct compiler *compiler, const struct site *site,
                            enum keyword keyword, bool names)
{
    const struct dependents *dependents =
        has(site, keyword) ? make_dependents(compiler, site, keyword, names) : NULL;

    if (dependents != NULL)
        compiler_emit(compiler, site, names ? OP_DEPENDENT_REQUIRED : OP_DEPENDENT_SCHEMAS,
                      KIND_OBJECT, keyword)
            ->u.dependents = dependents;
}

void emit_object(struct compiler *compiler, const struct site *site)
{
    emit_members(compiler, site);
    emit_count(compiler, site, OP_MIN_PROPERTIES, KEYWORD_MIN_PROPERTIES);
    emit_count(compiler, site, OP_MAX_PROPERTIES, KEYWORD_MAX_PROPERTIES);
    if (has(site, KEYWORD_PROPERTY_NAMES)) {
        struct instruction *names =
            compiler_emit(compiler, site, OP_PROPERTY_NAMES, KIND_OBJECT, KEYWORD_PROPERTY_NAMES);
        compiler_refer(compiler, &names->u.block, site->key[KEYWORD_PROPERTY_NAMES] + 1,
                       KEYWORD_PROPERTY_NAMES);
    }
    emit_dependents(compiler, site, KEYWORD_DEPENDENT_REQUIRED, true);
    emit_dependents(compiler, site, KEYWORD_DEPENDENCIES, true);
}

// --- schemas for the same value ------------------------------------------------------------------

static void emit_all_of(struct compiler *compiler, const struct site *site)
{
    const struct tape *tape = compiler->tape;

    FOR_ELEMENTS(tape, element, site->key[KEYWORD_ALL_OF] + 1)
    {
        struct instruction *call = compiler_emit(compiler, site, OP_CALL, KIND_ANY, KEYWORD_ALL_OF);
        compiler_refer_in_place(compiler, site->block, &call->u.block, element,
                                site->key[KEYWORD_ALL_OF]);
    }
}

static void emit_list(struct compiler *compiler, const struct site *site, enum opcode op,
                      enum keyword keyword)
{
    const struct tape *tape = compiler->tape;
    struct arena *arena = &compiler->schema->arena;
    uint32_t key = site->key[keyword];

    if (key == TAPE_NONE)
        return;
    struct block_list *list = arena_alloc(arena, 1, sizeof(*list));
    block_t *blocks = arena_alloc(arena, tape->tokens[key + 1].count, sizeof(*blocks));
    FOR_ELEMENTS(tape, element, key + 1)
    compiler_refer_in_place(compiler, site->block, &blocks[list->n++], element, key);
    list->blocks = blocks;
    compiler_emit(compiler, site, op, KIND_ANY, keyword)->u.list = list;
}

static void emit_if(struct compiler *compiler, const struct site *site)
{
    static const enum keyword parts[] = {KEYWORD_IF, KEYWORD_THEN, KEYWORD_ELSE};
    struct branch *branch = arena_alloc(&compiler->schema->arena, 1, sizeof(*branch));
    block_t *operands[] = {&branch->condition, &branch->then, &branch->otherwise};

    for (size_t i = 0; i < 3; i++) {
        uint32_t key = site->key[parts[i]];
        *operands[i] = BLOCK_NONE;
        if (key == TAPE_NONE)
            continue;
        if (has(site, KEYWORD_IF))
            compiler_refer_in_place(compiler, site->block, operands[i], key + 1, key);
        else // means nothing then, but may be referred to
            compiler_block(compiler, key + 1, parts[i]);
    }
    if (branch->then != BLOCK_NONE || branch->otherwise != BLOCK_NONE)
        compiler_emit(compiler, site, OP_IF, KIND_ANY, KEYWORD_IF)->u.branch = branch;
}

void emit_apply(struct compiler *compiler, const struct site *site)
{
    if (has(site, KEYWORD_REF)) {
        struct instruction *call = compiler_emit(compiler, site, OP_CALL, KIND_ANY, KEYWORD_REF);
        struct pending_ref *ref = COMPILER_PUSH(compiler, refs);
        *ref = (struct pending_ref){
            .where = &call->u.block, .from = site->block, .token = site->key[KEYWORD_REF]};
    }
    if (has(site, KEYWORD_ALL_OF))
        emit_all_of(compiler, site);
    emit_list(compiler, site, OP_ANY_OF, KEYWORD_ANY_OF);
    emit_list(compiler, site, OP_ONE_OF, KEYWORD_ONE_OF);
    if (has(site, KEYWORD_NOT)) {
        struct instruction *not_ = compiler_emit(compiler, site, OP_NOT, KIND_ANY, KEYWORD_NOT);
        compiler_refer_in_place(compiler, site->block, &not_->u.block, site->key[KEYWORD_NOT] + 1,
                                site->key[KEYWORD_NOT]);
    }
    emit_if(compiler, site);
    emit_dependents(compiler, site, KEYWORD_DEPENDENT_SCHEMAS, false);
    emit_dependents(compiler, site, KEYWORD_DEPENDENCIES, false);
}
