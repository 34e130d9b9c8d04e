// SPDX-License-Identifier: Apache-2.0
// Instructions for objects.
#include "schema/compile_priv.h"

#include "json/number.h"

#include <string.h>

static uint32_t count_members(const struct compiler *compiler, const struct site *site,
                              enum keyword keyword)
{
    return site_has(site, keyword) ? compiler->tape->tokens[site->key[keyword] + 1].count : 0;
}

static struct property property_of(const struct name *name)
{
    return (struct property){
        .text = name->text, .length = name->length, .hash = name->hash, .block = BLOCK_NONE};
}

// The properties being gathered, and where each name is among them.
struct gathered {
    struct property *list;
    uint32_t n;
    struct index by_name;
};

static struct property *gather(struct gathered *gathered, const struct name *name)
{
    size_t at = name->hash;
    uint32_t i;

    while ((i = index_next(&gathered->by_name, name->hash, &at)) != INDEX_NONE)
        if (gathered->list[i].length == name->length &&
            memcmp(gathered->list[i].text, name->text, name->length) == 0)
            return &gathered->list[i];
    index_put(&gathered->by_name, name->hash, gathered->n);
    gathered->list[gathered->n] = property_of(name);
    return &gathered->list[gathered->n++];
}

static void gather_required(struct compiler *compiler, const struct site *site,
                            struct gathered *gathered, struct object *object)
{
    const struct tape *tape = compiler->tape;
    uint32_t array = site->key[KEYWORD_REQUIRED] + 1;
    struct name *required =
        arena_alloc(&compiler->schema->arena, tape->tokens[array].count, sizeof(*required));

    FOR_ELEMENTS(tape, element, array)
    {
        struct name name = compiler_name(compiler, element);
        required[object->n_required++] = name;
        gather(gathered, &name)->required = true;
    }
    object->required = required;
    object->required_place = site->key[KEYWORD_REQUIRED];
}

// Names of "properties", "required", and those that make no member "unevaluated".
static void gather_properties(struct compiler *compiler, const struct site *site,
                              struct gathered *gathered, struct object *object)
{
    const struct tape *tape = compiler->tape;

    if (site_has(site, KEYWORD_PROPERTIES))
        FOR_MEMBERS(tape, key, site->key[KEYWORD_PROPERTIES] + 1)
        {
            struct name name = compiler_name(compiler, key);
            gather(gathered, &name)->declared = true;
        }
    if (site_has(site, KEYWORD_REQUIRED))
        gather_required(compiler, site, gathered, object);
    if (unevaluated_is_additional(site))
        for (size_t i = 0; i < site->evaluated.n_names; i++) {
            struct name name = compiler_name(compiler, site->evaluated.names[i]);
            gather(gathered, &name)->declared = true;
        }
}

static struct property *find_slot(const struct object *object, const struct name *name)
{
    uint32_t slot = property_slot(name->hash, object);

    while (object->slots[slot].length != name->length ||
           memcmp(object->slots[slot].text, name->text, name->length) != 0)
        slot = (slot + 1) & object->mask;
    return (struct property *)&object->slots[slot];
}

// Gives the slots of "properties" their blocks; only now do they stay where they are.
static void refer_properties(struct compiler *compiler, const struct site *site,
                             struct object *object)
{
    const struct tape *tape = compiler->tape;

    FOR_MEMBERS(tape, key, site->key[KEYWORD_PROPERTIES] + 1)
    {
        struct name name = compiler_name(compiler, key);
        compiler_refer(compiler, &find_slot(object, &name)->block, key + 1, KEYWORD_PROPERTIES);
    }
}

static void add_pattern(struct compiler *compiler, struct object *object, uint32_t key, bool own)
{
    struct pattern_property *pattern =
        (struct pattern_property *)&object->patterns[object->n_patterns];

    pattern->regex = compiler_regex(compiler, key, key);
    pattern->place = key;
    pattern->block = BLOCK_NONE;
    object->n_patterns += pattern->regex != NULL;
    if (own)
        compiler_refer(compiler, &pattern->block, key + 1, KEYWORD_PATTERN_PROPERTIES);
}

static void fill_patterns(struct compiler *compiler, const struct site *site, struct object *object)
{
    const struct tape *tape = compiler->tape;
    size_t n_others = unevaluated_is_additional(site) ? site->evaluated.n_patterns : 0;
    size_t n = count_members(compiler, site, KEYWORD_PATTERN_PROPERTIES) + n_others;

    object->patterns = arena_alloc(&compiler->schema->arena, n, sizeof(*object->patterns));
    if (site_has(site, KEYWORD_PATTERN_PROPERTIES))
        FOR_MEMBERS(tape, key, site->key[KEYWORD_PATTERN_PROPERTIES] + 1)
    add_pattern(compiler, object, key, true);
    for (size_t i = 0; i < n_others; i++)
        add_pattern(compiler, object, site->evaluated.patterns[i], false);
}

static void fill_additional(struct compiler *compiler, const struct site *site,
                            struct object *object, enum keyword keyword)
{
    uint32_t key = site->key[keyword];

    object->has_additional = compiler->tape->tokens[key + 1].kind != TAPE_TRUE;
    object->additional_false = compiler->tape->tokens[key + 1].kind == TAPE_FALSE;
    object->additional_place = key;
    object->additional_keyword = (uint16_t)keyword;
    compiler_refer(compiler, &object->additional, key + 1, keyword);
}

static void emit_members(struct compiler *compiler, const struct site *site)
{
    struct arena *arena = &compiler->schema->arena;
    bool unevaluated = unevaluated_is_additional(site);
    bool additional = site_has(site, KEYWORD_ADDITIONAL_PROPERTIES);
    size_t n = (size_t)count_members(compiler, site, KEYWORD_PROPERTIES) +
               count_members(compiler, site, KEYWORD_REQUIRED) +
               (unevaluated ? site->evaluated.n_names : 0);

    if (n == 0 && count_members(compiler, site, KEYWORD_PATTERN_PROPERTIES) == 0 && !additional &&
        !unevaluated)
        return;
    struct object *object = arena_alloc(arena, 1, sizeof(*object));
    object->additional = BLOCK_NONE;
    struct gathered gathered = {.list = arena_alloc(&compiler->names, n, sizeof(struct property))};
    gather_properties(compiler, site, &gathered, object);
    names_make_properties(arena, gathered.list, gathered.n, object);
    index_deinit(&gathered.by_name);
    if (site_has(site, KEYWORD_PROPERTIES))
        refer_properties(compiler, site, object);
    fill_patterns(compiler, site, object);
    if (additional || unevaluated)
        fill_additional(compiler, site, object,
                        additional ? KEYWORD_ADDITIONAL_PROPERTIES
                                   : KEYWORD_UNEVALUATED_PROPERTIES);
    *COMPILER_PUSH(compiler, objects) = object;
    compiler_emit(compiler, site, OP_OBJECT, KIND_OBJECT, KEYWORD_REQUIRED)->u.object = object;
}

static void emit_count(struct compiler *compiler, const struct site *site, enum opcode op,
                       enum keyword keyword)
{
    size_t length;
    int64_t value;

    if (!site_has(site, keyword))
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
            compiler_refer_in_place(compiler, site, &dependent->block, key + 1, site->key[keyword]);
    }
    dependents->list = list;
    return dependents->n > 0 ? dependents : NULL;
}

static void emit_dependents(struct compiler *compiler, const struct site *site,
                            enum keyword keyword, bool names)
{
    const struct dependents *dependents =
        site_has(site, keyword) ? make_dependents(compiler, site, keyword, names) : NULL;

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
    if (site_has(site, KEYWORD_PROPERTY_NAMES)) {
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
        compiler_refer_in_place(compiler, site, &call->u.block, element, site->key[KEYWORD_ALL_OF]);
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
    compiler_refer_in_place(compiler, site, &blocks[list->n++], element, key);
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
        if (site_has(site, KEYWORD_IF))
            compiler_refer_in_place(compiler, site, operands[i], key + 1, key);
        else // means nothing then
            compiler_unapplied(compiler, site, parts[i]);
    }
    bool records = site->is_tracked && site_has(site, KEYWORD_IF);
    if (branch->then != BLOCK_NONE || branch->otherwise != BLOCK_NONE || records)
        compiler_emit(compiler, site, records ? OP_IF_MARKED : OP_IF, KIND_ANY, KEYWORD_IF)
            ->u.branch = branch;
}

static void emit_dynamic(struct compiler *compiler, const struct site *site, uint32_t key,
                         enum keyword keyword)
{
    const struct note *note = &compiler->notes[key];
    struct slot *slot = &compiler->slots[note->slot];
    struct dynamic *dynamic = arena_alloc(&compiler->schema->arena, 1, sizeof(*dynamic));

    dynamic->slot = note->slot;
    slot->is_used |= !site->is_tracked;
    slot->is_tracked |= site->is_tracked;
    compiler_emit(compiler, site, site->is_tracked ? OP_DYNAMIC_MARKED : OP_DYNAMIC, KIND_ANY,
                  keyword)
        ->u.dynamic = dynamic;
    compiler_refer_in_place(compiler, site, &dynamic->block, note->target, key);
    *COMPILER_PUSH(compiler, dynamic_uses) =
        (struct dynamic_use){.from = site->block, .slot = note->slot, .token = key};
}

static void emit_reference(struct compiler *compiler, const struct site *site, enum keyword keyword)
{
    uint32_t key = site->key[keyword];

    if (key == TAPE_NONE || compiler->notes[key].target == TAPE_NONE)
        return;
    if (ref_is_dynamic(compiler, key)) {
        emit_dynamic(compiler, site, key, keyword);
        return;
    }
    struct instruction *call = compiler_emit(compiler, site, OP_CALL, KIND_ANY, keyword);
    compiler_refer_in_place(compiler, site, &call->u.block, compiler->notes[key].target, key);
}

void emit_apply(struct compiler *compiler, const struct site *site)
{
    emit_reference(compiler, site, KEYWORD_REF);
    emit_reference(compiler, site, KEYWORD_DYNAMIC_REF);
    emit_reference(compiler, site, KEYWORD_RECURSIVE_REF);
    if (site_has(site, KEYWORD_ALL_OF))
        emit_all_of(compiler, site);
    emit_list(compiler, site, site->is_tracked ? OP_ANY_OF_MARKED : OP_ANY_OF, KEYWORD_ANY_OF);
    emit_list(compiler, site, site->is_tracked ? OP_ONE_OF_MARKED : OP_ONE_OF, KEYWORD_ONE_OF);
    if (site_has(site, KEYWORD_NOT)) {
        struct instruction *not_ = compiler_emit(compiler, site, OP_NOT, KIND_ANY, KEYWORD_NOT);
        compiler_refer_apart(compiler, site, &not_->u.block, site->key[KEYWORD_NOT] + 1,
                             site->key[KEYWORD_NOT]);
    }
    emit_if(compiler, site);
    emit_dependents(compiler, site, KEYWORD_DEPENDENT_SCHEMAS, false);
    emit_dependents(compiler, site, KEYWORD_DEPENDENCIES, false);
}
