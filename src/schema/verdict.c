// SPDX-License-Identifier: Apache-2.0
// The verdict alone, in one pass over the value that stops at the first failure: what nearly every
// event needs. Instructions that are rare, or the same here and there, run in validate.c.
#include "schema/validate_priv.h"

#include "core/hash.h"
#include "json/number.h"

#include <stdlib.h>
#include <string.h>

// Where the compiler would rather call.
#define INLINE static inline __attribute__((always_inline))

// --- any value -----------------------------------------------------------------------------------

static inline bool check_integer(struct run *run, uint32_t number, uint32_t kinds)
{
    size_t length;
    const char *text = tape_raw(run->tape, number, &length);

    if ((run->tape->tokens[number].flags & TAPE_DECIMAL) == 0)
        return true;
    run_spend(run, length / 4);
    return (kinds & KIND_AS_WRITTEN) == 0 && number_is_integer(text, length);
}

static inline bool check_type(struct run *run, uint32_t token, uint32_t kinds)
{
    unsigned kind = run->tape->tokens[token].kind;

    return (kinds >> kind & 1) != 0 ||
           (kind == TAPE_NUMBER && (kinds & KIND_INTEGER) != 0 && check_integer(run, token, kinds));
}

static inline bool check_const(struct run *run, uint32_t token, uint32_t expected)
{
    const struct tape *tape = run->tape, *schema = &run->schema->tape;
    size_t length, expected_length;

    if (tape->tokens[token].kind != TAPE_STRING || schema->tokens[expected].kind != TAPE_STRING ||
        !check_is_plain(tape, token) || !check_is_plain(schema, expected)) {
        run_spend_text(run, token);
        return equal_values(tape, token, schema, expected);
    }
    const char *text = tape_string(tape, token, &length);
    const char *expected_text = tape_string(schema, expected, &expected_length);
    return length == expected_length && text_same(text, expected_text, length);
}

// --- strings -------------------------------------------------------------------------------------

static size_t count_points(struct run *run, uint32_t string, size_t bytes)
{
    run_spend(run, bytes / 4);
    return text_string_code_points(run->tape, string);
}

static inline bool check_min_length(struct run *run, uint32_t string, uint32_t limit)
{
    size_t bytes;

    tape_string(run->tape, string, &bytes);
    // A code point takes one to four bytes, or up to twelve as two escapes: mostly that decides.
    return bytes >= limit && (bytes / 12 >= limit || count_points(run, string, bytes) >= limit);
}

static inline bool check_max_length(struct run *run, uint32_t string, uint32_t limit)
{
    size_t bytes;

    tape_string(run->tape, string, &bytes);
    return bytes <= limit || count_points(run, string, bytes) <= limit;
}

__attribute__((noinline)) static bool in_hashed_set(const struct name_set *set, const char *text,
                                                    size_t length)
{
    uint64_t first = hash_bytes(text, length, 0);
    uint32_t slot = name_slot(first, 0, (uint32_t)length, set);

    for (; set->slots[slot].text != NULL; slot = (slot + 1) & set->mask)
        if (set->slots[slot].first == first && set->slots[slot].length == length &&
            memcmp(set->slots[slot].text, text, length) == 0)
            return true;
    return false;
}

__attribute__((noinline)) static bool string_in_set(const struct tape *tape, uint32_t string,
                                                    const struct name_set *set)
{
    struct unescaped plain;

    run_unescape(tape, string, &plain);
    bool found = set->hashed ? in_hashed_set(set, plain.text, plain.length)
                             : name_find(set, plain.text, plain.length) != NULL;
    free(plain.owned);
    return found;
}

static bool other_in_table(struct run *run, const struct enumeration *set, uint32_t token)
{
    uint32_t slot = equal_slot(equal_hash(run->tape, token, run->schema->seed), set->others_mask);

    for (; set->others[slot] != 0; slot = (slot + 1) & set->others_mask)
        if (equal_values(run->tape, token, &run->schema->tape, set->others[slot]))
            return true;
    return false;
}

// What is no plain string or not to be found by words.
static __attribute__((noinline)) bool
check_enum_slowly(struct run *run, const struct enumeration *set, uint32_t token)
{
    unsigned kind = run->tape->tokens[token].kind;

    if (kind == TAPE_STRING)
        return set->n_strings > 0 && string_in_set(run->tape, token, &set->strings);
    if ((set->other_kinds >> kind & 1) == 0)
        return false;
    run_spend_text(run, token);
    if (set->others_mask != 0)
        return other_in_table(run, set, token);
    for (uint32_t i = 0; i < set->n_others; i++)
        if (equal_values(run->tape, token, &run->schema->tape, set->others[i]))
            return true;
    return false;
}

static inline bool check_enum(struct run *run, const struct enumeration *set, uint32_t token)
{
    const struct tape *tape = run->tape;
    size_t length;

    if (tape->tokens[token].kind != TAPE_STRING || !check_is_plain(tape, token) ||
        set->strings.hashed)
        return check_enum_slowly(run, set, token);
    const char *text = tape_string(tape, token, &length);
    return set->n_strings > 0 && name_find(&set->strings, text, length) != NULL;
}

// --- numbers -------------------------------------------------------------------------------------

// -1, 0, 1 as the number is below, at or above the bound. A number of up to 18 digits is compared
// as an integer.
static inline int check_compare(struct run *run, uint32_t number, const struct bound *bound)
{
    size_t length;
    const char *text = tape_raw(run->tape, number, &length);

    if ((run->tape->tokens[number].flags & TAPE_DECIMAL) != 0 || length > 18 || !bound->is_small) {
        run_spend(run, length / 4);
        return number_compare(text, length, bound->text, bound->length);
    }
    bool negative = *text == '-';
    int64_t value = 0;
    for (size_t i = negative; i < length; i++)
        value = value * 10 + (text[i] - '0');
    value = negative ? -value : value;
    return value < bound->small ? -1 : value > bound->small;
}

// --- blocks --------------------------------------------------------------------------------------

static bool checks_pass(struct run *run, const struct instruction *in, uint32_t token);

// Most blocks are no more than a type or a reference, and take no call here.
INLINE bool passes(struct run *run, block_t block, uint32_t token)
{
    const struct instruction *program = run->schema->program;
    const struct instruction *in = &program[block];

    for (;;) {
        if (in->op == OP_TYPE) {
            if (!check_type(run, token, in->u.word))
                return false;
            in++;
        }
        if (in->op == OP_END)
            return true;
        if (in->op != OP_CALL || in[1].op != OP_END)
            return checks_pass(run, in, token);
        in = &program[in->u.block];
    }
}

bool verdict_passes(struct run *run, block_t block, uint32_t token)
{
    return passes(run, block, token);
}

bool run_verdict(struct run *run)
{
    // What was given up makes the value fail, also where its failure would be right.
    return passes(run, 0, 0) && run->gave_up == NULL;
}

// The branches of a list that the value may pass.
static uint64_t candidates(const struct run *run, const struct choice *choice, uint32_t token)
{
    const struct tape *tape = run->tape;
    unsigned kind = tape->tokens[token].kind;
    uint64_t mask = choice->by_kind[kind];
    const struct name *member = &choice->member;
    size_t length;

    if (kind != TAPE_OBJECT || member->text == NULL)
        return mask;
    uint32_t value = tape_member(tape, token, member->text, member->length, member->hash);
    if (value == TAPE_NONE)
        return mask & choice->absent;
    if (tape->tokens[value].kind != TAPE_STRING)
        return mask & choice->other;
    if (!check_is_plain(tape, value))
        return mask;
    const char *text = tape_string(tape, value, &length);
    const struct name *found = name_find(&choice->strings, text, length);
    return mask & (found != NULL ? choice->masks[found - choice->strings.slots] : choice->other);
}

uint32_t verdict_count(struct run *run, const struct block_list *list, uint32_t token,
                       uint32_t enough)
{
    uint32_t count = 0;

    if (list->choice != NULL) {
        uint64_t mask = candidates(run, list->choice, token);
        for (; mask != 0 && count < enough; mask &= mask - 1) {
            run_spend(run, 1);
            count += passes(run, list->blocks[__builtin_ctzll(mask)], token);
        }
        return count;
    }
    for (uint32_t i = 0; i < list->n && count < enough; i++) {
        run_spend(run, 1);
        count += passes(run, list->blocks[i], token);
    }
    return count;
}

// A member that is not among the declared properties, or one where patterns have a say as well.
static __attribute__((noinline)) bool
undeclared_passes(struct run *run, const struct object *object, uint32_t key, bool declared)
{
    bool known = declared;

    for (uint32_t i = 0; i < object->n_patterns; i++) {
        const struct pattern_property *pattern = &object->patterns[i];
        if (!run_matches(run, pattern->regex, pattern->place, key))
            continue;
        known = true;
        if (pattern->block != BLOCK_NONE && !passes(run, pattern->block, key + 1))
            return false;
    }
    if (known || !object->has_additional)
        return true;
    return !object->additional_false &&
           (object->additional == BLOCK_NONE || passes(run, object->additional, key + 1));
}

// Names are unique in an object, so that counting those that are required tells whether all are
// there.
static inline bool object_passes(struct run *run, const struct object *object, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t end = tokens[token].next;
    uint32_t n_required = 0;

    run_spend(run, tokens[token].count);
    if (tokens[token].count < object->n_required)
        return false;
    for (uint32_t key = token + 1; key != end; key = tokens[key + 1].next) {
        const struct property *property = check_property(object, run->tape, key);
        bool declared = property != NULL && property->declared;
        if (property != NULL) {
            n_required += property->required;
            if ((property->kinds >> tokens[key + 1].kind & 1) == 0)
                return false;
            if (property->rest != BLOCK_NONE && !passes(run, property->rest, key + 1))
                return false;
        }
        if (declared ? object->n_patterns > 0 : object->looks_at_undeclared) {
            if (!undeclared_passes(run, object, key, declared))
                return false;
        } else if (object->names_only && n_required == object->n_required) {
            return true;
        }
    }
    return n_required == object->n_required;
}

static inline bool items_pass(struct run *run, const struct items *items, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t end = tokens[token].next, i = token + 1;

    run_spend(run, tokens[token].count);
    for (uint32_t index = 0; index < items->n_prefix && i != end; index++, i = tokens[i].next)
        if (!passes(run, items->prefix[index], i))
            return false;
    if (items->rest == BLOCK_NONE)
        return true;
    for (; i != end; i = tokens[i].next)
        if (!passes(run, items->rest, i))
            return false;
    return true;
}

static inline bool branch_passes(struct run *run, const struct branch *branch, uint32_t token)
{
    block_t next = passes(run, branch->condition, token) ? branch->then : branch->otherwise;

    return run->work >= 0 && (next == BLOCK_NONE || passes(run, next, token));
}

INLINE bool value_passes(struct run *run, const struct instruction *in, uint32_t token)
{
    switch ((enum opcode)in->op) {
    case OP_TYPE:
        return check_type(run, token, in->u.word);
    case OP_CONST:
        return check_const(run, token, in->u.word);
    case OP_ENUM:
        return check_enum(run, in->u.set, token);
    case OP_MINIMUM:
        return check_compare(run, token, in->u.bound) >= 0;
    case OP_MAXIMUM:
        return check_compare(run, token, in->u.bound) <= 0;
    case OP_EXCLUSIVE_MINIMUM:
        return check_compare(run, token, in->u.bound) > 0;
    case OP_EXCLUSIVE_MAXIMUM:
        return check_compare(run, token, in->u.bound) < 0;
    case OP_MIN_LENGTH:
        return check_min_length(run, token, in->u.word);
    case OP_MAX_LENGTH:
        return check_max_length(run, token, in->u.word);
    default:
        return run_instruction(run, in, token);
    }
}

bool verdict_value_passes(struct run *run, const struct instruction *in, uint32_t token)
{
    return value_passes(run, in, token);
}

static inline bool check_passes(struct run *run, const struct instruction *in, uint32_t token)
{
    switch ((enum opcode)in->op) {
    case OP_OBJECT:
        return object_passes(run, in->u.object, token);
    case OP_ITEMS:
        return items_pass(run, in->u.items, token);
    case OP_CALL:
        return passes(run, in->u.block, token);
    case OP_ANY_OF:
        return verdict_count(run, in->u.list, token, 1) == 1;
    case OP_ONE_OF:
        return verdict_count(run, in->u.list, token, 2) == 1 && run->work >= 0;
    case OP_NOT:
        return !passes(run, in->u.block, token) && run->work >= 0;
    case OP_IF:
        return branch_passes(run, in->u.branch, token);
    default:
        return value_passes(run, in, token);
    }
}

static bool checks_pass(struct run *run, const struct instruction *in, uint32_t token)
{
    unsigned kind = run->tape->tokens[token].kind;

    if (!run_spend(run, 1))
        return run_give_up(run, (block_t)(in - run->schema->program), token);
    for (; in->op != OP_END; in++)
        if ((in->kinds >> kind & 1) != 0 && !check_passes(run, in, token))
            return false;
    return true;
}
