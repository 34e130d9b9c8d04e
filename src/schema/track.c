// SPDX-License-Identifier: Apache-2.0
// Instructions that need to remember something. Bitmaps lie one on the other on a stack of words,
// which is reused from value to value; the topmost one that is not a copy is the current record.
#include "schema/track_priv.h"

#include "core/mem.h"
#include "schema/validate_priv.h"

#include <stdlib.h>
#include <string.h>

struct tracker {
    uint64_t *words; // owned
    size_t used, cap;
    size_t record, n_record;      // the current record: first word, how many
    const struct binding **bound; // owned; by slot, NULL: nothing
};

struct tracker *tracker_create(size_t n_slots)
{
    struct tracker *tracker = mem_zalloc(sizeof(*tracker));

    tracker->bound = mem_zalloc((n_slots + 1) * sizeof(*tracker->bound));
    return tracker;
}

void tracker_destroy(struct tracker **tracker)
{
    if (*tracker == NULL)
        return;
    free((*tracker)->words);
    free((*tracker)->bound);
    free(*tracker);
    *tracker = NULL;
}

// n words on top of the stack; returns where they start.
static size_t push(struct tracker *tracker, size_t n)
{
    size_t start = tracker->used;

    if (start + n > tracker->cap) {
        tracker->cap = (start + n) * 2;
        tracker->words = mem_realloc_array(tracker->words, tracker->cap, sizeof(*tracker->words));
    }
    tracker->used += n;
    return start;
}

static bool is_marked(const struct tracker *tracker, uint32_t i)
{
    return (tracker->words[tracker->record + i / 64] >> i % 64 & 1) != 0;
}

static void mark(struct tracker *tracker, uint32_t i)
{
    tracker->words[tracker->record + i / 64] |= UINT64_C(1) << i % 64;
}

static uint32_t count_of(const struct tape_token *token)
{
    return token->kind == TAPE_OBJECT || token->kind == TAPE_ARRAY ? token->count : 0;
}

// --- records -------------------------------------------------------------------------------------

static bool run_track(struct run *run, const struct instruction *in, uint32_t token)
{
    struct tracker *tracker = run->schema->tracker;
    size_t outer = tracker->record, n_outer = tracker->n_record;
    size_t n = (count_of(&run->tape->tokens[token]) + (size_t)63) / 64;

    run_spend(run, n);
    tracker->record = push(tracker, n);
    tracker->n_record = n;
    for (size_t i = 0; i < n; i++)
        tracker->words[tracker->record + i] = 0;
    bool passed = run_block(run, in->u.block, token);
    if (passed && in->op == OP_TRACK_INSIDE) // of the same value: n_outer is n
        for (size_t i = 0; i < n; i++)
            tracker->words[outer + i] |= tracker->words[tracker->record + i];
    tracker->used = tracker->record;
    tracker->record = outer;
    tracker->n_record = n_outer;
    return passed;
}

static void mark_first(struct run *run, uint32_t token, uint32_t n)
{
    struct tracker *tracker = run->schema->tracker;
    uint32_t count = run->tape->tokens[token].count;

    n = n < count ? n : count;
    run_spend(run, n);
    for (uint32_t i = 0; i < n; i++)
        mark(tracker, i);
}

static void mark_known(struct run *run, const struct object *object, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t i = 0;

    run_spend(run, tokens[token].count);
    for (uint32_t key = token + 1; key != tokens[token].next; key = tokens[key + 1].next, i++)
        if (run_is_known(run, object, key))
            mark(run->schema->tracker, i);
}

// Does the value pass the block? What it records is kept only then.
static bool probe_marked(struct run *run, block_t block, uint32_t token)
{
    struct tracker *tracker = run->schema->tracker;
    size_t n = tracker->n_record * sizeof(*tracker->words);
    size_t copy = push(tracker, tracker->n_record);

    run_spend(run, tracker->n_record);
    if (n > 0)
        memcpy(tracker->words + copy, tracker->words + tracker->record, n);
    bool passed = probe(run, block, token);
    if (!passed && n > 0)
        memcpy(tracker->words + tracker->record, tracker->words + copy, n);
    tracker->used = copy;
    return passed;
}

static uint32_t count_marked(struct run *run, const struct block_list *list, uint32_t token)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < list->n; i++)
        count += probe_marked(run, list->blocks[i], token);
    return count;
}

static bool run_if_marked(struct run *run, const struct branch *branch, uint32_t token)
{
    block_t next = probe_marked(run, branch->condition, token) ? branch->then : branch->otherwise;

    return run->work >= 0 && (next == BLOCK_NONE || run_block(run, next, token));
}

static bool run_contains_marked(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t index = 0, count = 0;

    for (uint32_t i = token + 1; i != tokens[token].next; i = tokens[i].next, index++)
        if (probe(run, in->u.contains->block, i)) {
            mark(run->schema->tracker, index);
            count++;
        }
    return run_contains_judge(run, in, token, count);
}

static bool run_unevaluated(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    bool is_object = tokens[token].kind == TAPE_OBJECT;
    uint32_t index = 0;
    bool passed = true;

    for (uint32_t i = token + 1; i != tokens[token].next; index++) {
        uint32_t value = i + is_object;
        i = tokens[value].next;
        if (is_marked(run->schema->tracker, index) || run_block(run, in->u.block, value))
            continue;
        if (!run->explain)
            return false;
        passed = false;
    }
    mark_first(run, token, UINT32_MAX);
    return passed;
}

// --- dynamic scope -------------------------------------------------------------------------------

// The first resource entered that has an anchor decides what the anchor means (Core section
// 8.2.3.2): so a slot is set by whoever finds it empty, and emptied by the same.
static bool run_scope(struct run *run, const struct scope *scope, uint32_t token)
{
    struct tracker *tracker = run->schema->tracker;
    size_t set = push(tracker, (scope->n + (size_t)63) / 64);

    for (uint32_t i = 0; i < scope->n; i++) {
        const struct binding *binding = &scope->bindings[i];
        bool empty = tracker->bound[binding->slot] == NULL;
        if (i % 64 == 0)
            tracker->words[set + i / 64] = 0;
        tracker->words[set + i / 64] |= (uint64_t)empty << i % 64;
        if (empty)
            tracker->bound[binding->slot] = binding;
    }
    bool passed = run_block(run, scope->block, token);
    for (uint32_t i = 0; i < scope->n; i++)
        if ((tracker->words[set + i / 64] >> i % 64 & 1) != 0)
            tracker->bound[scope->bindings[i].slot] = NULL;
    tracker->used = set;
    return passed;
}

static bool run_dynamic(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct dynamic *dynamic = in->u.dynamic;
    const struct binding *binding = run->schema->tracker->bound[dynamic->slot];
    bool marked = in->op == OP_DYNAMIC_MARKED;

    if (binding == NULL)
        return run_block(run, dynamic->block, token);
    return run_block(run, marked ? binding->tracked : binding->block, token);
}

bool run_remembering(struct run *run, const struct instruction *in, uint32_t token)
{
    switch ((enum opcode)in->op) {
    case OP_SCOPE:
        return run_scope(run, in->u.scope, token);
    case OP_DYNAMIC:
    case OP_DYNAMIC_MARKED:
        return run_dynamic(run, in, token);
    case OP_TRACK:
    case OP_TRACK_INSIDE:
        return run_track(run, in, token);
    case OP_MARK:
        mark_first(run, token, in->u.word);
        return true;
    case OP_MARK_KNOWN:
        mark_known(run, in->u.object, token);
        return true;
    case OP_CONTAINS_MARKED:
        return run_contains_marked(run, in, token);
    case OP_ANY_OF_MARKED:
        return count_marked(run, in->u.list, token) >= 1;
    case OP_ONE_OF_MARKED:
        return count_marked(run, in->u.list, token) == 1 && run->work >= 0;
    case OP_IF_MARKED:
        return run_if_marked(run, in->u.branch, token);
    case OP_UNEVALUATED:
        return run_unevaluated(run, in, token);
    default:
        return false;
    }
}
