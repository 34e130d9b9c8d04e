// SPDX-License-Identifier: Apache-2.0
// Runs the program over the tape. Recursion is as deep as the tape's nesting, times the schemas
// that apply to one value through one another (SCHEMA_IN_PLACE_MAX at most).
#include "schema/validate_priv.h"

#include "core/hash.h"
#include "core/mem.h"
#include "json/number.h"
#include "json/text.h"

#include <stdlib.h>
#include <string.h>

bool probe(struct run *run, block_t block, uint32_t token)
{
    bool explain = run->explain;

    run->explain = false;
    bool passed = verdict_passes(run, block, token);
    run->explain = explain;
    return passed;
}

static uint32_t count_passes(struct run *run, const struct block_list *list, uint32_t token,
                             uint32_t enough)
{
    bool explain = run->explain;

    run->explain = false;
    uint32_t count = verdict_count(run, list, token, enough);
    run->explain = explain;
    return count;
}

// --- strings -------------------------------------------------------------------------------------

void run_unescape(const struct tape *tape, uint32_t string, struct unescaped *out)
{
    out->owned = NULL;
    out->text = tape_string(tape, string, &out->length);
    if ((tape->tokens[string].flags & TAPE_ESCAPED) == 0)
        return;
    char *room = out->room;
    if (out->length > sizeof(out->room))
        room = out->owned = mem_alloc(out->length);
    out->length = text_unescape(tape, string, room);
    out->text = room;
}

// Not inlined, like format_unescaped(): its room must not lie on the stack of every level.
__attribute__((noinline)) static enum regex_result match_unescaped(struct run *run, uint32_t string,
                                                                   struct regex *regex)
{
    struct unescaped plain;

    run_unescape(run->tape, string, &plain);
    enum regex_result result = regex_match(regex, plain.text, plain.length, &run->steps);
    free(plain.owned);
    return result;
}

// `place`: the pattern's key in the schema.
bool run_matches(struct run *run, struct regex *regex, uint32_t place, uint32_t string)
{
    const struct tape *tape = run->tape;
    enum regex_result result;
    size_t length;
    const char *text = tape_string(tape, string, &length);

    if (check_is_plain(tape, string)) {
        result = regex_match(regex, text, length, &run->steps);
    } else {
        result = match_unescaped(run, string, regex);
    }
    run_spend(run, length / 4);
    if (result == REGEX_LIMIT)
        explain_limit(run, string, place, SCHEMA_PATTERN_LIMIT);
    return result == REGEX_MATCH;
}

__attribute__((noinline)) static bool format_unescaped(const struct tape *tape, uint32_t string,
                                                       enum format format)
{
    struct unescaped plain;

    run_unescape(tape, string, &plain);
    bool right = format_check(format, plain.text, plain.length);
    free(plain.owned);
    return right;
}

static bool has_format(struct run *run, uint32_t string, enum format format)
{
    const struct tape *tape = run->tape;
    size_t length;
    const char *text = tape_string(tape, string, &length);

    run_spend(run, length / 4);
    if (!check_is_plain(tape, string))
        return format_unescaped(tape, string, format);
    return format_check(format, text, length);
}

// --- numbers -------------------------------------------------------------------------------------

// The work is that of one number's digits by the other's.
static bool is_multiple(struct run *run, uint32_t token, uint32_t divisor)
{
    size_t length, divisor_length;
    const char *text = tape_raw(run->tape, token, &length);
    const char *divisor_text = tape_raw(&run->schema->tape, divisor, &divisor_length);

    run_spend(run, length * (1 + divisor_length / 8) / 4);
    return number_is_multiple(text, length, divisor_text, divisor_length);
}

// --- objects -------------------------------------------------------------------------------------

// Explains by the patternProperties that match the name.
static void explain_patterns(struct run *run, const struct object *object, uint32_t key)
{
    for (uint32_t i = 0; i < object->n_patterns; i++) {
        const struct pattern_property *pattern = &object->patterns[i];
        if (pattern->block != BLOCK_NONE && run_matches(run, pattern->regex, pattern->place, key))
            explain_block(run, pattern->block, key + 1);
    }
}

static void explain_required(struct run *run, const struct object *object, uint32_t token)
{
    for (uint32_t i = 0; i < object->n_required; i++) {
        const struct name *name = &object->required[i];
        run_spend(run, run->tape->tokens[token].count / 4);
        if (tape_member(run->tape, token, name->text, name->length, name->hash) == TAPE_NONE)
            explain(run, token, object->required_place, KEYWORD_REQUIRED,
                    "expected a member \"%.*s\"", (int)name->length, name->text);
    }
}

bool run_is_known(struct run *run, const struct object *object, uint32_t key)
{
    const struct property *property = check_property(object, run->tape, key);

    if (property != NULL && property->declared)
        return true;
    for (uint32_t i = 0; i < object->n_patterns; i++)
        if (run_matches(run, object->patterns[i].regex, object->patterns[i].place, key))
            return true;
    return false;
}

// With `explain` set: goes on at a failure, in the order that is promised.
static bool explain_object(struct run *run, const struct object *object, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t end = tokens[token].next;
    size_t before = run->count;

    run_spend(run, tokens[token].count);
    explain_required(run, object, token);
    for (uint32_t key = token + 1; key != end; key = tokens[key + 1].next) {
        const struct property *property = check_property(object, run->tape, key);
        if (property != NULL && property->block != BLOCK_NONE)
            run_block(run, property->block, key + 1);
        explain_patterns(run, object, key);
    }
    for (uint32_t key = token + 1; key != end; key = tokens[key + 1].next) {
        if (!object->has_additional || run_is_known(run, object, key))
            continue;
        if (object->additional_false)
            explain(run, key, object->additional_place, (enum keyword)object->additional_keyword,
                    "this member is not allowed");
        else if (object->additional != BLOCK_NONE)
            run_block(run, object->additional, key + 1);
    }
    return run->count == before;
}

static bool run_property_names(struct run *run, block_t block, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    bool passed = true;

    for (uint32_t key = token + 1; key != tokens[token].next; key = tokens[key + 1].next) {
        if (run_block(run, block, key))
            continue;
        if (!run->explain)
            return false;
        passed = false;
    }
    return passed;
}

static bool has_member(const struct run *run, uint32_t object, const struct name *name)
{
    return tape_member(run->tape, object, name->text, name->length, name->hash) != TAPE_NONE;
}

static bool run_dependent_required(struct run *run, const struct instruction *in, uint32_t token)
{
    bool passed = true;

    for (uint32_t i = 0; i < in->u.dependents->n; i++) {
        const struct dependent *dependent = &in->u.dependents->list[i];
        run_spend(run, run->tape->tokens[token].count / 4);
        if (!has_member(run, token, &dependent->trigger))
            continue;
        for (uint32_t k = 0; k < dependent->n_names; k++) {
            const struct name *name = &dependent->names[k];
            if (has_member(run, token, name))
                continue;
            if (!run->explain)
                return false;
            passed = false;
            explain(run, token, dependent->place, (enum keyword)in->keyword,
                    "expected a member \"%.*s\", because there is a \"%.*s\"", (int)name->length,
                    name->text, (int)dependent->trigger.length, dependent->trigger.text);
        }
    }
    return passed;
}

static bool run_dependent_schemas(struct run *run, const struct instruction *in, uint32_t token)
{
    bool passed = true;

    for (uint32_t i = 0; i < in->u.dependents->n; i++) {
        const struct dependent *dependent = &in->u.dependents->list[i];
        run_spend(run, run->tape->tokens[token].count / 4);
        if (!has_member(run, token, &dependent->trigger) || run_block(run, dependent->block, token))
            continue;
        if (!run->explain)
            return false;
        passed = false;
    }
    return passed;
}

// --- arrays --------------------------------------------------------------------------------------

// With `explain` set.
static bool explain_items(struct run *run, const struct items *items, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t index = 0;
    bool passed = true;

    for (uint32_t i = token + 1; i != tokens[token].next; i = tokens[i].next, index++) {
        block_t block = index < items->n_prefix ? items->prefix[index] : items->rest;
        if (block == BLOCK_NONE)
            break;
        passed = explain_block(run, block, i) && passed;
    }
    return passed;
}

bool run_contains_judge(struct run *run, const struct instruction *in, uint32_t token,
                        uint32_t count)
{
    const struct contains *contains = in->u.contains;

    if (count >= contains->min && count <= contains->max)
        return run->work >= 0;
    if (!run->explain)
        return false;
    if (count > contains->max)
        explain(run, token, contains->max_place, KEYWORD_MAX_CONTAINS,
                "expected at most %u elements that match contains, found %u", contains->max, count);
    else if (contains->min_place != TAPE_NONE)
        explain(run, token, contains->min_place, KEYWORD_MIN_CONTAINS,
                "expected at least %u elements that match contains, found %u", contains->min,
                count);
    else
        explain(run, token, in->place, KEYWORD_CONTAINS,
                "expected an element that matches contains");
    return false;
}

static bool run_contains(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct contains *contains = in->u.contains;
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t count = 0;

    for (uint32_t i = token + 1; i != tokens[token].next; i = tokens[i].next) {
        count += probe(run, contains->block, i);
        // Beyond the least, only a limit asks for more; beyond the limit, only the message does.
        if (count >= contains->min && contains->max == UINT32_MAX)
            break;
    }
    return run_contains_judge(run, in, token, count);
}

static bool run_tail(struct run *run, const struct tail *tail, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t index = 0;
    bool passed = true;

    if (tokens[token].count <= tail->first)
        return true;
    for (uint32_t i = token + 1; i != tokens[token].next; i = tokens[i].next, index++) {
        if (index < tail->first || run_block(run, tail->block, i))
            continue;
        if (!run->explain)
            return false;
        passed = false;
    }
    return passed;
}

static bool has_twins(struct run *run, uint32_t token)
{
    uint32_t first, second;

    run_spend_text(run, token);
    return equal_find_twins(run->tape, token, run->schema->seed, &first, &second);
}

// --- schemas for the same value ------------------------------------------------------------------

static bool run_if(struct run *run, const struct branch *branch, uint32_t token)
{
    block_t next = probe(run, branch->condition, token) ? branch->then : branch->otherwise;

    return run->work >= 0 && (next == BLOCK_NONE || run_block(run, next, token));
}

// --- the loop ------------------------------------------------------------------------------------

bool run_instruction(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct tape *tape = run->tape;

    switch ((enum opcode)in->op) {
    case OP_END:
        return true;
    case OP_FALSE:
        return false;
    case OP_TYPE:
    case OP_CONST:
    case OP_ENUM:
    case OP_MINIMUM:
    case OP_MAXIMUM:
    case OP_EXCLUSIVE_MINIMUM:
    case OP_EXCLUSIVE_MAXIMUM:
    case OP_MIN_LENGTH:
    case OP_MAX_LENGTH:
        return verdict_value_passes(run, in, token);
    case OP_MULTIPLE_OF:
        return is_multiple(run, token, in->u.word);
    case OP_FORMAT:
        return has_format(run, token, (enum format)in->u.word);
    case OP_PATTERN:
        return run_matches(run, in->u.regex, in->place, token);
    case OP_OBJECT:
        return explain_object(run, in->u.object, token);
    case OP_MIN_PROPERTIES:
    case OP_MIN_ITEMS:
        return tape->tokens[token].count >= in->u.word;
    case OP_MAX_PROPERTIES:
    case OP_MAX_ITEMS:
        return tape->tokens[token].count <= in->u.word;
    case OP_PROPERTY_NAMES:
        return run_property_names(run, in->u.block, token);
    case OP_DEPENDENT_REQUIRED:
        return run_dependent_required(run, in, token);
    case OP_ITEMS:
        return explain_items(run, in->u.items, token);
    case OP_CONTAINS:
        return run_contains(run, in, token);
    case OP_UNIQUE_ITEMS:
        return !has_twins(run, token);
    case OP_CALL:
        return run_block(run, in->u.block, token);
    case OP_ANY_OF:
        return count_passes(run, in->u.list, token, 1) == 1;
    case OP_ONE_OF:
        return count_passes(run, in->u.list, token, 2) == 1 && run->work >= 0;
    case OP_NOT:
        return !probe(run, in->u.block, token) && run->work >= 0;
    case OP_IF:
        return run_if(run, in->u.branch, token);
    case OP_DEPENDENT_SCHEMAS:
        return run_dependent_schemas(run, in, token);
    case OP_ITEMS_FROM:
        return run_tail(run, in->u.tail, token);
    default:
        return run_remembering(run, in, token);
    }
}

bool run_give_up(struct run *run, block_t block, uint32_t token)
{
    explain_limit(run, token, block_token(run->schema, block), SCHEMA_LIMIT);
    return false;
}

bool explain_block(struct run *run, block_t block, uint32_t token)
{
    struct frame frame = {
        .up = run->frame, .block = block, .token = token, .in = &run->schema->program[block]};
    unsigned kind = run->tape->tokens[token].kind;
    bool passed = true;

    if (!run_spend(run, 1))
        return run_give_up(run, block, token);
    run->frame = &frame;
    for (; frame.in->op != OP_END; frame.in++) {
        if ((frame.in->kinds >> kind & 1) == 0 || run_instruction(run, frame.in, token))
            continue;
        explain_instruction(run, frame.in, token);
        passed = false;
    }
    run->frame = frame.up;
    return passed;
}

bool run_block(struct run *run, block_t block, uint32_t token)
{
    return run->explain ? explain_block(run, block, token) : verdict_passes(run, block, token);
}

bool schema_validate(const struct schema *schema, const struct tape *tape,
                     struct schema_error *errors_r, size_t max_errors, size_t *n_errors_r)
{
    struct run run = {.schema = schema,
                      .tape = tape,
                      .errors = errors_r,
                      .max = max_errors,
                      .steps = REGEX_STEPS(tape->length),
                      .work = RUN_WORK(tape->length)};

    *n_errors_r = 0;
    if (run_verdict(&run))
        return true;
    if (max_errors == 0) {
        *n_errors_r = 1;
        return false;
    }
    run.explain = true;
    if (run.gave_up == NULL) {
        run.steps = REGEX_STEPS(tape->length);
        run.work = RUN_WORK(tape->length);
        explain_block(&run, 0, 0);
    }
    if (run.gave_up != NULL && !run.limit_told)
        explain_limit(&run, run.gave_up_token, run.gave_up_place, run.gave_up);
    *n_errors_r = run.count;
    return false;
}
