// SPDX-License-Identifier: Apache-2.0
// What the files of validation share.
#ifndef CXSINK_SCHEMA_VALIDATE_PRIV_H
#define CXSINK_SCHEMA_VALIDATE_PRIV_H

#include "json/text.h"
#include "schema/keywords_priv.h"
#include "schema/program_priv.h"
#include "schema/validate.h"

// A block that is being run with `explain`, and how far it is.
struct frame {
    const struct frame *up; // the block that runs it; NULL: the root's
    block_t block;
    uint32_t token;
    const struct instruction *in;
};

// How close a value came to a branch of anyOf or oneOf; less is closer (include/schema/validate.h).
struct score {
    uint32_t telling;  // failures that say what the value is not
    uint32_t failures; // all
    uint32_t first;    // token of the first one
};

// One validation. It runs first for the verdict alone, stopping at the first failure; only a value
// that failed is run again with `explain`, which goes on and describes.
struct run {
    const struct schema *schema;
    const struct tape *tape;
    bool explain;
    struct schema_error *errors; // `max` of them
    size_t max;
    size_t count;
    const struct frame *frame; // the innermost
    struct score *score;       // not NULL: failures are judged, not described
    uint32_t base;             // the value that is judged
    unsigned beneath;          // branches around, whose failures are told
    int64_t steps;             // that patterns may still take
    int64_t work;              // what all else may still take, below 0: that was too much
    // SCHEMA_PATTERN_LIMIT or SCHEMA_LIMIT: the value fails, whatever a `not` around makes of it.
    const char *gave_up;
    bool limit_told;                       // a failure says so
    uint32_t gave_up_token, gave_up_place; // of the first one
};

// What the work for a value of `length` bytes may be. One of it is the run of a block, a member of
// an object, or four bytes of a text that is looked at: some 5 ns. Every schema but those that
// multiply stays far below.
#define RUN_WORK(length) ((INT64_C(1) << 22) + (int64_t)(length)*32)

// False when that was too much.
static inline bool run_spend(struct run *run, uint64_t work)
{
    run->work -= (int64_t)work;
    return run->work >= 0;
}

// The work of looking at all of a value's text.
static inline void run_spend_text(struct run *run, uint32_t token)
{
    run_spend(run, (run->tape->tokens[token].end - run->tape->tokens[token].start) / 4);
}

// A string's bytes: the tape's own, or unescaped into `room` or (when longer) a piece of memory.
struct unescaped {
    const char *text;
    size_t length;
    char *owned; // to be freed; NULL mostly
    char room[4096];
};

// verdict.c, while `explain` is not set: the verdict, without failures.
bool run_verdict(struct run *run);
// Does the value pass the block?
bool verdict_passes(struct run *run, block_t block, uint32_t token);
// How many blocks of the list it passes; no further than `enough`.
uint32_t verdict_count(struct run *run, const struct block_list *list, uint32_t token,
                       uint32_t enough);
// A check of the value alone (its type, const, enum, lengths, bounds), which applies to its kind.
bool verdict_value_passes(struct run *run, const struct instruction *in, uint32_t token);

// validate.c: runs an instruction that applies to the value's kind, for the verdict or explaining.
bool run_instruction(struct run *run, const struct instruction *in, uint32_t token);
// Notes that the work was too much; false.
bool run_give_up(struct run *run, block_t block, uint32_t token);
// Does the string match? `place`: the pattern's key in the schema.
bool run_matches(struct run *run, struct regex *regex, uint32_t place, uint32_t string);
// A string's bytes; `owned` is to be freed.
void run_unescape(const struct tape *tape, uint32_t string, struct unescaped *out);
// The value passes the block; with `explain` set every failure is told.
bool run_block(struct run *run, block_t block, uint32_t token);
// The same with `explain` set only.
bool explain_block(struct run *run, block_t block, uint32_t token);
// Runs one for the verdict alone, where failures inside are not failures of the value.
bool probe(struct run *run, block_t block, uint32_t token);
// Is the member known to properties or patternProperties? Tells nothing.
bool run_is_known(struct run *run, const struct object *object, uint32_t key);
// Are `count` matches of "contains" as many as there must be?
bool run_contains_judge(struct run *run, const struct instruction *in, uint32_t token,
                        uint32_t count);
// track.c: the instructions from OP_SCOPE on.
bool run_remembering(struct run *run, const struct instruction *in, uint32_t token);

// failure.c: adds a failure of the value at `token`; `place` is the keyword's key (or the schema
// `false` itself) in the schema.
void explain(struct run *run, uint32_t token, uint32_t place, enum keyword keyword,
             const char *format, ...) __attribute__((format(printf, 5, 6)));
// A pattern (its key at `place`) was given up over the string at `token`, or a schema (at `place`)
// over the value at `token`: notes it, and with `explain` tells it, once.
void explain_limit(struct run *run, uint32_t token, uint32_t place, const char *limit);
// The schema that a block is made of.
uint32_t block_token(const struct schema *schema, block_t block);
// anyOf or oneOf, where all branches failed: tells that, and beneath it the failures of the one
// that came closest. `how_many` as in "at least one".
void explain_branches(struct run *run, const struct instruction *in, uint32_t token,
                      const char *how_many);

// explain.c: tells the failure of an instruction that failed as a whole.
void explain_instruction(struct run *run, const struct instruction *in, uint32_t token);

// equal.c: deep equality (JSON Schema Core section 4.2.2) of two values.
bool equal_values(const struct tape *a, uint32_t i, const struct tape *b, uint32_t k);
// The first two equal elements of an array, by their tokens; false when all are different.
bool equal_find_twins(const struct tape *tape, uint32_t array, uint64_t seed, uint32_t *first_r,
                      uint32_t *second_r);

static inline bool check_is_plain(const struct tape *tape, uint32_t string)
{
    return (tape->tokens[string].flags & TAPE_ESCAPED) == 0;
}

// What the object's schema says about a member; NULL: nothing.
static inline const struct property *check_property(const struct object *object,
                                                    const struct tape *tape, uint32_t key)
{
    uint32_t hash = tape->tokens[key].hash;
    uint32_t slot = property_slot(hash, object);

    for (; object->slots[slot].text != NULL; slot = (slot + 1) & object->mask) {
        const struct property *property = &object->slots[slot];
        if (property->hash != hash)
            continue;
        if (!check_is_plain(tape, key)) {
            if (text_string_equals(tape, key, property->text, property->length))
                return property;
            continue;
        }
        size_t length;
        const char *text = tape_string(tape, key, &length);
        if (property->length == length && text_same(property->text, text, length))
            return property;
    }
    return NULL;
}

#endif
