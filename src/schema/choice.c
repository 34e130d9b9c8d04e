// SPDX-License-Identifier: Apache-2.0
// Tells which branches of anyOf and oneOf a value cannot pass, without running them: by the value's
// kind, and for objects by the string that one member holds, when branches ask for certain ones
// (const or enum: the "type" or "op" of a tagged union).
#include "schema/compile_priv.h"

#include <string.h>

#define BRANCHES_MAX 64         // bits of a mask
#define STRINGS_MAX 512         // told apart by the member
#define CALLS_MAX 8             // references looked into, one through the other
#define FUEL_OF_LIST (1u << 14) // instructions looked at, and in all:
#define FUEL (1u << 22)
#define CANDIDATES_MAX 4 // branches that propose a member

// A list of branches, and the member they may be told apart by.
struct chooser {
    struct compiler *compiler;
    const struct schema *schema;
    const struct block_list *list;
    unsigned fuel;
    struct name member;
    // Of each branch the instruction (OP_CONST, OP_ENUM) that limits the member; NULL: any value.
    const struct instruction *limits[BRANCHES_MAX];
    unsigned n_limits;
};

// Is there fuel for an instruction? Without it, less is found out, and nothing wrong.
static bool burn(struct chooser *chooser)
{
    return chooser->fuel > 0 && chooser->fuel-- > 0;
}

static unsigned kinds_of(struct chooser *chooser, const struct instruction *in, unsigned calls)
{
    const struct schema *schema = chooser->schema;
    unsigned kinds = KIND_ANY;

    for (; in->op != OP_END && burn(chooser); in++)
        switch ((enum opcode)in->op) {
        case OP_FALSE:
            return 0;
        case OP_TYPE:
            kinds &= in->u.word | ((in->u.word & KIND_INTEGER) != 0 ? (unsigned)KIND_NUMBER : 0);
            break;
        case OP_CONST:
            kinds &= 1u << schema->tape.tokens[in->u.word].kind;
            break;
        case OP_ENUM:
            kinds &=
                in->u.set->other_kinds | (in->u.set->n_strings > 0 ? (unsigned)KIND_STRING : 0);
            break;
        case OP_CALL:
            if (calls > 0)
                kinds &= kinds_of(chooser, &schema->program[in->u.block], calls - 1);
            break;
        default:
            break;
        }
    return kinds;
}

// --- the member ----------------------------------------------------------------------------------

// What keeps the values of a block to certain strings; NULL: nothing does.
static const struct instruction *limit_of(const struct schema *schema, block_t block)
{
    const struct instruction *in = &schema->program[block];

    for (; in->op != OP_END; in++)
        if ((in->op == OP_ENUM && in->u.set->n_others == 0) ||
            (in->op == OP_CONST && schema->tape.tokens[in->u.word].kind == TAPE_STRING))
            return in;
    return NULL;
}

static const struct property *find_property(const struct object *object, const struct name *name)
{
    uint32_t slot = property_slot(name->hash, object);

    for (; object->slots[slot].text != NULL; slot = (slot + 1) & object->mask)
        if (object->slots[slot].length == name->length &&
            memcmp(object->slots[slot].text, name->text, name->length) == 0)
            return &object->slots[slot];
    return NULL;
}

// The limit that a block sets to an object's member; *required_r becomes true when it must be
// there.
static const struct instruction *member_limit(struct chooser *chooser, const struct instruction *in,
                                              unsigned calls, bool *required_r)
{
    const struct instruction *limit = NULL;

    for (; in->op != OP_END && burn(chooser); in++) {
        const struct instruction *found = NULL;
        if (in->op == OP_CALL && calls > 0) {
            const struct instruction *called = &chooser->schema->program[in->u.block];
            found = member_limit(chooser, called, calls - 1, required_r);
        } else if (in->op == OP_OBJECT) {
            const struct property *property = find_property(in->u.object, &chooser->member);
            *required_r |= property != NULL && property->required;
            if (property != NULL && property->block != BLOCK_NONE)
                found = limit_of(chooser->schema, property->block);
        }
        if (found != NULL)
            limit = found;
    }
    return limit;
}

static const struct instruction *branch_start(const struct chooser *chooser, uint32_t i)
{
    return &chooser->schema->program[chooser->list->blocks[i]];
}

// Takes the member when it limits more branches than the one before.
static void try_member(struct chooser *chooser, const struct property *property)
{
    struct chooser tried = *chooser;
    bool required = false;

    tried.member =
        (struct name){.text = property->text, .length = property->length, .hash = property->hash};
    tried.n_limits = 0;
    for (uint32_t i = 0; i < chooser->list->n; i++) {
        tried.limits[i] = member_limit(&tried, branch_start(chooser, i), CALLS_MAX, &required);
        tried.n_limits += tried.limits[i] != NULL;
    }
    chooser->fuel = tried.fuel;
    if (tried.n_limits > chooser->n_limits)
        *chooser = tried;
}

// Tries the members that a branch limits. False when there are none.
static bool try_branch(struct chooser *chooser, const struct instruction *in, unsigned calls)
{
    bool some = false;

    for (; in->op != OP_END && burn(chooser); in++) {
        if (in->op == OP_CALL && calls > 0)
            some |= try_branch(chooser, &chooser->schema->program[in->u.block], calls - 1);
        if (in->op != OP_OBJECT)
            continue;
        const struct object *object = in->u.object;
        for (uint32_t slot = 0; slot <= object->mask; slot++) {
            const struct property *property = &object->slots[slot];
            if (property->text == NULL || property->block == BLOCK_NONE ||
                limit_of(chooser->schema, property->block) == NULL)
                continue;
            try_member(chooser, property);
            some = true;
        }
    }
    return some;
}

// --- its strings ---------------------------------------------------------------------------------

static bool same_name(const struct name *a, const struct name *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static void add_string(struct name *strings, uint32_t *n, const char *text, uint32_t length)
{
    struct name name = {.text = text,
                        .length = length,
                        .first = name_word(text, length),
                        .last = name_last_word(text, length)};

    for (uint32_t i = 0; i < *n; i++)
        if (same_name(&strings[i], &name))
            return;
    if (*n <= STRINGS_MAX)
        strings[(*n)++] = name;
}

// Adds the strings that a limit allows.
static void add_strings(struct chooser *chooser, const struct instruction *limit,
                        struct name *strings, uint32_t *n)
{
    if (limit->op == OP_CONST) {
        size_t length;
        const char *text = compiler_text(chooser->compiler, limit->u.word, &length);
        add_string(strings, n, text, (uint32_t)length);
        return;
    }
    const struct name_set *set = &limit->u.set->strings;
    for (uint32_t i = 0; limit->u.set->n_strings > 0 && i <= set->mask; i++)
        if (set->slots[i].text != NULL)
            add_string(strings, n, set->slots[i].text, set->slots[i].length);
}

// Fills the table of strings. False when they are too many, or too much alike.
static bool fill_strings(struct chooser *chooser, struct choice *choice)
{
    struct arena *arena = &chooser->compiler->schema->arena;
    struct name strings[STRINGS_MAX + 1], some[STRINGS_MAX + 1];
    uint32_t n = 0;

    for (uint32_t i = 0; i < chooser->list->n; i++)
        if (chooser->limits[i] != NULL)
            add_strings(chooser, chooser->limits[i], strings, &n);
    if (n == 0 || n > STRINGS_MAX)
        return false;
    names_make_set(arena, strings, n, &choice->strings);
    if (choice->strings.hashed)
        return false;
    uint64_t *masks = arena_alloc(arena, (size_t)choice->strings.mask + 1, sizeof(*masks));
    for (uint32_t slot = 0; slot <= choice->strings.mask; slot++)
        masks[slot] = choice->other;
    for (uint32_t i = 0; i < chooser->list->n; i++) {
        uint32_t n_some = 0;
        if (chooser->limits[i] != NULL)
            add_strings(chooser, chooser->limits[i], some, &n_some);
        for (uint32_t k = 0; k < n_some; k++) {
            const struct name *found = name_find(&choice->strings, some[k].text, some[k].length);
            masks[found - choice->strings.slots] |= UINT64_C(1) << i;
        }
    }
    choice->masks = masks;
    return true;
}

static void choose_member(struct chooser *chooser, struct choice *choice)
{
    unsigned proposed = 0;

    for (uint32_t i = 0; i < chooser->list->n && proposed < CANDIDATES_MAX; i++)
        proposed += try_branch(chooser, branch_start(chooser, i), CALLS_MAX);
    if (chooser->n_limits < 2)
        return;
    for (uint32_t i = 0; i < chooser->list->n; i++) {
        bool required = false;
        member_limit(chooser, branch_start(chooser, i), CALLS_MAX, &required);
        choice->absent |= (uint64_t)!required << i;
        choice->other |= (uint64_t)(chooser->limits[i] == NULL) << i;
    }
    if (fill_strings(chooser, choice))
        choice->member = chooser->member;
}

void choice_make(struct compiler *compiler, struct block_list *list)
{
    struct chooser chooser = {
        .compiler = compiler, .schema = compiler->schema, .list = list, .fuel = FUEL_OF_LIST};

    if (list->n > BRANCHES_MAX || compiler->burnt > FUEL)
        return;
    struct choice *choice = arena_alloc(&compiler->schema->arena, 1, sizeof(*choice));
    for (uint32_t i = 0; i < list->n; i++) {
        unsigned kinds = kinds_of(&chooser, branch_start(&chooser, i), CALLS_MAX);
        for (unsigned kind = 0; kind < KINDS; kind++)
            choice->by_kind[kind] |= (uint64_t)(kinds >> kind & 1) << i;
    }
    choose_member(&chooser, choice);
    compiler->burnt += FUEL_OF_LIST - chooser.fuel;
    list->choice = choice;
}
