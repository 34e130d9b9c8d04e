// SPDX-License-Identifier: Apache-2.0
// Instructions for values as such: type, const, enum, numbers, strings. Cheap checks come first.
#include "schema/compile_priv.h"

#include "json/number.h"

static void emit_type(struct compiler *compiler, const struct site *site)
{
    const struct tape *tape = compiler->tape;
    uint32_t value = site->key[KEYWORD_TYPE] + 1;
    unsigned kinds = 0;
    size_t length;

    if (tape->tokens[value].kind == TAPE_STRING) {
        const char *name = compiler_name_text(compiler, value, &length);
        kinds = shape_type(name, length);
    } else {
        FOR_ELEMENTS(tape, element, value)
        {
            const char *name = compiler_name_text(compiler, element, &length);
            kinds |= shape_type(name, length);
        }
    }
    if ((kinds & KIND_NUMBER) != 0)
        kinds &= ~(unsigned)KIND_INTEGER;
    if (compiler->dialect->draft == SCHEMA_DRAFT_4)
        kinds |= KIND_AS_WRITTEN;
    compiler_emit(compiler, site, OP_TYPE, KIND_ANY, KEYWORD_TYPE)->u.word = kinds;
}

#define OTHERS_SMALL 8 // values are compared one by one

static void make_others_table(struct compiler *compiler, struct enumeration *set)
{
    uint32_t slots = 2 * OTHERS_SMALL;

    while (slots / 2 < set->n_others)
        slots *= 2;
    uint32_t *table = arena_alloc(&compiler->schema->arena, slots, sizeof(*table));
    for (uint32_t i = 0; i < set->n_others; i++) {
        uint64_t hash = equal_hash(compiler->tape, set->others[i], compiler->schema->seed);
        uint32_t slot = equal_slot(hash, slots - 1);
        while (table[slot] != 0)
            slot = (slot + 1) & (slots - 1);
        table[slot] = set->others[i];
    }
    set->others = table;
    set->others_mask = slots - 1;
}

static void emit_enum(struct compiler *compiler, const struct site *site)
{
    const struct tape *tape = compiler->tape;
    struct arena *arena = &compiler->schema->arena;
    uint32_t array = site->key[KEYWORD_ENUM] + 1;
    uint32_t count = tape->tokens[array].count;
    struct enumeration *set = arena_alloc(arena, 1, sizeof(*set));
    struct name *strings = arena_alloc(arena, count, sizeof(*strings));
    uint32_t *others = arena_alloc(arena, count, sizeof(*others));

    FOR_ELEMENTS(tape, element, array)
    {
        unsigned kind = tape->tokens[element].kind;
        if (kind == TAPE_STRING) {
            strings[set->n_strings++] = compiler_name(compiler, element);
        } else {
            others[set->n_others++] = element;
            set->other_kinds |= (uint8_t)(1u << kind);
        }
    }
    set->others = others;
    if (set->n_others > OTHERS_SMALL)
        make_others_table(compiler, set);
    names_make_set(arena, strings, set->n_strings, &set->strings);
    compiler_emit(compiler, site, OP_ENUM, KIND_ANY, KEYWORD_ENUM)->u.set = set;
}

static void emit_bound(struct compiler *compiler, const struct site *site, enum opcode op,
                       enum keyword keyword, uint32_t value)
{
    struct bound *bound = arena_alloc(&compiler->schema->arena, 1, sizeof(*bound));

    bound->text = tape_raw(compiler->tape, value, &bound->length);
    bound->is_small = number_to_int64(bound->text, bound->length, &bound->small) == NUMBER_OK;
    compiler_emit(compiler, site, op, KIND_NUMBER, keyword)->u.bound = bound;
}

static void emit_multiple_of(struct compiler *compiler, const struct site *site)
{
    uint32_t key = site->key[KEYWORD_MULTIPLE_OF];
    size_t length;
    const char *text = tape_raw(compiler->tape, key + 1, &length);

    if (number_digits(text, length) > NUMBER_DIVISOR_DIGITS_MAX)
        compiler_fault(compiler, key, "a divisor of more than %d digits is not supported",
                       NUMBER_DIVISOR_DIGITS_MAX);
    compiler_emit(compiler, site, OP_MULTIPLE_OF, KIND_NUMBER, KEYWORD_MULTIPLE_OF)->u.word =
        key + 1;
}

// A count beyond what an event can reach is as good as the largest number.
static uint32_t count_of(const struct compiler *compiler, uint32_t key)
{
    size_t length;
    const char *text = tape_raw(compiler->tape, key + 1, &length);
    int64_t value;

    if (number_to_int64(text, length, &value) != NUMBER_OK || value > UINT32_MAX)
        return UINT32_MAX;
    return (uint32_t)value;
}

static void emit_count(struct compiler *compiler, const struct site *site, enum opcode op,
                       unsigned kinds, enum keyword keyword)
{
    if (site_has(site, keyword))
        compiler_emit(compiler, site, op, kinds, keyword)->u.word =
            count_of(compiler, site->key[keyword]);
}

// The standard ignores formats that it does not know; a name that looks like a slip of the pen for
// one of its own is refused nevertheless.
static void fault_format(struct compiler *compiler, uint32_t key, const char *name, size_t length)
{
    const char *nearest = format_nearest(name, length);
    enum schema_strict strict = compiler->options->strict;

    if (strict == SCHEMA_STRICT_OFF || (strict == SCHEMA_STRICT_TYPOS && nearest == NULL))
        return;
    compiler_fault(compiler, key, "there is no such format%s%s%s",
                   nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?" : "");
}

static void emit_format(struct compiler *compiler, const struct site *site)
{
    uint32_t key = site->key[KEYWORD_FORMAT];
    size_t length;

    if (compiler->options->annotate_formats && !compiler->dialect->asserts_formats)
        return;
    const char *name = compiler_name_text(compiler, key + 1, &length);
    enum format format = format_find(name, length);
    if (format == FORMAT_UNKNOWN)
        fault_format(compiler, key, name, length);
    else
        compiler_emit(compiler, site, OP_FORMAT, KIND_STRING, KEYWORD_FORMAT)->u.word = format;
}

static void emit_pattern(struct compiler *compiler, const struct site *site)
{
    uint32_t key = site->key[KEYWORD_PATTERN];
    struct regex *regex = compiler_regex(compiler, key + 1, key);

    if (regex != NULL)
        compiler_emit(compiler, site, OP_PATTERN, KIND_STRING, KEYWORD_PATTERN)->u.regex = regex;
}

// In draft 4 "exclusiveMinimum": true changes what "minimum" means.
static void emit_limit(struct compiler *compiler, const struct site *site, enum keyword limit,
                       enum keyword exclusive)
{
    bool is_minimum = limit == KEYWORD_MINIMUM;
    enum opcode inclusive_op = is_minimum ? OP_MINIMUM : OP_MAXIMUM;
    enum opcode exclusive_op = is_minimum ? OP_EXCLUSIVE_MINIMUM : OP_EXCLUSIVE_MAXIMUM;
    bool is_draft_4 = compiler->dialect->draft == SCHEMA_DRAFT_4;
    uint32_t limit_key = site->key[limit], exclusive_key = site->key[exclusive];

    if (is_draft_4 && limit_key != TAPE_NONE && exclusive_key != TAPE_NONE &&
        compiler->tape->tokens[exclusive_key + 1].kind == TAPE_TRUE) {
        emit_bound(compiler, site, exclusive_op, exclusive, limit_key + 1);
        return;
    }
    if (limit_key != TAPE_NONE)
        emit_bound(compiler, site, inclusive_op, limit, limit_key + 1);
    if (exclusive_key != TAPE_NONE && !is_draft_4)
        emit_bound(compiler, site, exclusive_op, exclusive, exclusive_key + 1);
}

static void emit_numbers(struct compiler *compiler, const struct site *site)
{
    emit_limit(compiler, site, KEYWORD_MINIMUM, KEYWORD_EXCLUSIVE_MINIMUM);
    emit_limit(compiler, site, KEYWORD_MAXIMUM, KEYWORD_EXCLUSIVE_MAXIMUM);
    if (site_has(site, KEYWORD_MULTIPLE_OF))
        emit_multiple_of(compiler, site);
}

void emit_value(struct compiler *compiler, const struct site *site)
{
    if (site_has(site, KEYWORD_TYPE))
        emit_type(compiler, site);
    if (site_has(site, KEYWORD_CONST))
        compiler_emit(compiler, site, OP_CONST, KIND_ANY, KEYWORD_CONST)->u.word =
            site->key[KEYWORD_CONST] + 1;
    if (site_has(site, KEYWORD_ENUM))
        emit_enum(compiler, site);
    emit_numbers(compiler, site);
    emit_count(compiler, site, OP_MIN_LENGTH, KIND_STRING, KEYWORD_MIN_LENGTH);
    emit_count(compiler, site, OP_MAX_LENGTH, KIND_STRING, KEYWORD_MAX_LENGTH);
    if (site_has(site, KEYWORD_FORMAT))
        emit_format(compiler, site);
    if (site_has(site, KEYWORD_PATTERN))
        emit_pattern(compiler, site);
}

// --- arrays --------------------------------------------------------------------------------------

static void fill_prefix(struct compiler *compiler, uint32_t key, enum keyword keyword,
                        struct items *items)
{
    const struct tape *tape = compiler->tape;
    uint32_t count = tape->tokens[key + 1].count;
    block_t *prefix = arena_alloc(&compiler->schema->arena, count, sizeof(*prefix));

    items->prefix = prefix;
    FOR_ELEMENTS(tape, element, key + 1)
    compiler_refer(compiler, &prefix[items->n_prefix++], element, keyword);
}

static void emit_items(struct compiler *compiler, const struct site *site)
{
    const struct tape *tape = compiler->tape;
    struct items *items = arena_alloc(&compiler->schema->arena, 1, sizeof(*items));
    enum keyword prefix = KEYWORD_PREFIX_ITEMS, rest = KEYWORD_ITEMS;

    if ((compiler->dialect->draft_bit & DRAFTS_TO_19) != 0 && site_has(site, KEYWORD_ITEMS) &&
        tape->tokens[site->key[KEYWORD_ITEMS] + 1].kind == TAPE_ARRAY) {
        prefix = KEYWORD_ITEMS;
        rest = KEYWORD_ADDITIONAL_ITEMS;
    } else if (site_has(site, KEYWORD_ADDITIONAL_ITEMS)) { // means nothing then
        compiler_unapplied(compiler, site, KEYWORD_ADDITIONAL_ITEMS);
    }
    items->rest = BLOCK_NONE;
    if (site_has(site, prefix))
        fill_prefix(compiler, site->key[prefix], prefix, items);
    if (site_has(site, rest))
        compiler_refer(compiler, &items->rest, site->key[rest] + 1, rest);
    if (items->n_prefix > 0 || items->rest != BLOCK_NONE)
        compiler_emit(compiler, site, OP_ITEMS, KIND_ARRAY, site_has(site, prefix) ? prefix : rest)
            ->u.items = items;
}

static void emit_contains(struct compiler *compiler, const struct site *site)
{
    struct contains *contains = arena_alloc(&compiler->schema->arena, 1, sizeof(*contains));

    contains->min_place = site->key[KEYWORD_MIN_CONTAINS];
    contains->max_place = site->key[KEYWORD_MAX_CONTAINS];
    contains->min = contains->min_place == TAPE_NONE ? 1 : count_of(compiler, contains->min_place);
    contains->max =
        contains->max_place == TAPE_NONE ? UINT32_MAX : count_of(compiler, contains->max_place);
    compiler_refer(compiler, &contains->block, site->key[KEYWORD_CONTAINS] + 1, KEYWORD_CONTAINS);
    // Only draft 2020-12 counts what "contains" matches as evaluated.
    bool marks = site->is_tracked && (compiler->dialect->draft_bit & DRAFT_20) != 0;
    compiler_emit(compiler, site, marks ? OP_CONTAINS_MARKED : OP_CONTAINS, KIND_ARRAY,
                  KEYWORD_CONTAINS)
        ->u.contains = contains;
}

void emit_array(struct compiler *compiler, const struct site *site)
{
    uint32_t unique = site->key[KEYWORD_UNIQUE_ITEMS];

    emit_count(compiler, site, OP_MIN_ITEMS, KIND_ARRAY, KEYWORD_MIN_ITEMS);
    emit_count(compiler, site, OP_MAX_ITEMS, KIND_ARRAY, KEYWORD_MAX_ITEMS);
    emit_items(compiler, site);
    if (site_has(site, KEYWORD_CONTAINS))
        emit_contains(compiler, site);
    if (unique != TAPE_NONE && compiler->tape->tokens[unique + 1].kind == TAPE_TRUE)
        compiler_emit(compiler, site, OP_UNIQUE_ITEMS, KIND_ARRAY, KEYWORD_UNIQUE_ITEMS);
}
