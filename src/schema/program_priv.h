// SPDX-License-Identifier: Apache-2.0
// The compiled form of a schema: a flat program. Each schema (object or boolean) is a block of
// instructions that ends with OP_END; blocks name one another by the index of their first
// instruction. An instruction applies to the kinds of value in its mask and is passed over for the
// others. A block's instructions stand in the order that include/schema/validate.h promises.
//
// All texts stand one behind the other in one tape, the root's first: a document each. A schema
// that may be entered from another resource and binds dynamic anchors has a second block, which
// binds them and runs the first (OP_SCOPE). A schema on whose verdict an "unevaluated..." depends
// has one that records what it evaluates (OP_MARK...), in a bitmap with a bit for each member or
// element.
#ifndef CXSINK_SCHEMA_PROGRAM_PRIV_H
#define CXSINK_SCHEMA_PROGRAM_PRIV_H

#include "json/tape.h"
#include "schema/arena_priv.h"
#include "schema/format_priv.h"
#include "schema/regex_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bits of a kind mask.
enum {
    KIND_NULL = 1 << TAPE_NULL,
    KIND_BOOLEAN = 1 << TAPE_FALSE | 1 << TAPE_TRUE,
    KIND_NUMBER = 1 << TAPE_NUMBER,
    KIND_STRING = 1 << TAPE_STRING,
    KIND_ARRAY = 1 << TAPE_ARRAY,
    KIND_OBJECT = 1 << TAPE_OBJECT,
    KIND_ANY = 127,
    KIND_INTEGER = 128,    // of a type: numbers, if whole
    KIND_AS_WRITTEN = 256, // and only those without "." and exponent: draft 4 section 3.5
};

#define KINDS 7 // bits of KIND_ANY

// Names a block: the index of its first instruction; while compiling, the number of the block.
typedef uint32_t block_t;
#define BLOCK_NONE UINT32_MAX // nothing to check

// The instruction set; [operand].
enum opcode {
    OP_END,                // the value passed every instruction of the block
    OP_FALSE,              // fails: the schema is `false`
    OP_TYPE,               // [u.word: kind mask] its kind is in the mask
    OP_CONST,              // [u.word: schema token] equals that value
    OP_ENUM,               // [u.set] equals one of the values
    OP_MINIMUM,            // [u.bound] number >= bound
    OP_MAXIMUM,            // [u.bound] number <= bound
    OP_EXCLUSIVE_MINIMUM,  // [u.bound] number > bound
    OP_EXCLUSIVE_MAXIMUM,  // [u.bound] number < bound
    OP_MULTIPLE_OF,        // [u.word: schema token] number is a whole multiple
    OP_MIN_LENGTH,         // [u.word] string has at least so many code points
    OP_MAX_LENGTH,         // [u.word] string has at most so many code points
    OP_FORMAT,             // [u.word: enum format] string is of the format
    OP_PATTERN,            // [u.regex] string matches
    OP_OBJECT,             // [u.object] required, properties, patternProperties, additionalP.
    OP_MIN_PROPERTIES,     // [u.word] object has at least so many members
    OP_MAX_PROPERTIES,     // [u.word] object has at most so many members
    OP_PROPERTY_NAMES,     // [u.block] every member's name passes the block
    OP_DEPENDENT_REQUIRED, // [u.dependents] a member's presence asks for others
    OP_MIN_ITEMS,          // [u.word] array has at least so many elements
    OP_MAX_ITEMS,          // [u.word] array has at most so many elements
    OP_ITEMS,              // [u.items] elements pass their blocks
    OP_CONTAINS,           // [u.contains] so many elements pass the block
    OP_UNIQUE_ITEMS,       // no two elements are equal
    OP_CALL,               // [u.block] $ref, allOf: the value passes that block as well
    OP_ANY_OF,             // [u.list] passes at least one block
    OP_ONE_OF,             // [u.list] passes exactly one block
    OP_NOT,                // [u.block] does not pass the block
    OP_IF,                 // [u.branch] passes `then` or `else`, as it passes `if` or not
    OP_DEPENDENT_SCHEMAS,  // [u.dependents] a member's presence asks for a block
    OP_ITEMS_FROM,         // [u.tail] elements from the n-th on pass a block (unevaluatedItems)
    // Those below run in track.c, apart from the common ones.
    OP_SCOPE,          // [u.scope] binds dynamic anchors that are not bound yet, runs a block
    OP_DYNAMIC,        // [u.dynamic] $dynamicRef, $recursiveRef: passes the block bound to a slot
    OP_DYNAMIC_MARKED, // [u.dynamic] the same, recording
    OP_TRACK,          // [u.block] runs a block that records, in a new bitmap
    OP_TRACK_INSIDE, // [u.block] the same; when it passes, the outer bitmap gains what it recorded
    OP_MARK,         // [u.word] records the first n members or elements
    OP_MARK_KNOWN,   // [u.object] records members that properties, patternProperties name
    OP_CONTAINS_MARKED, // [u.contains] OP_CONTAINS, recording elements that pass
    OP_ANY_OF_MARKED,   // [u.list] OP_ANY_OF; all that pass record
    OP_ONE_OF_MARKED,   // [u.list] OP_ONE_OF; the one that passes records
    OP_IF_MARKED,       // [u.branch] OP_IF; `if` records when it passes
    OP_UNEVALUATED, // [u.block] members or elements not recorded pass the block, and are recorded
};

// A string to compare with: its bytes (unescaped), and words that tell strings apart at once.
struct name {
    const char *text;
    uint32_t length;
    uint32_t hash;  // tape_hash() of it
    uint64_t first; // name_word() of the first 8 bytes
    uint64_t last;  // and of the last 8 when there are more than 8, else 0
};

// A set of strings: a table of 2^n slots with open addressing, its multiplier chosen at compile
// time so that every string is found at once whenever such a multiplier turns up.
struct name_set {
    uint64_t multiplier;
    unsigned shift;           // 64 - n
    uint32_t mask;            // slots - 1
    bool hashed;              // `first` is the hash of the whole text, as its words tell too little
    const struct name *slots; // text NULL: free
};

struct enumeration {
    struct name_set strings;
    uint32_t n_strings;
    // The values that are not strings: their schema tokens, as a list of n_others, or, when they
    // are many, in a table by equal_hash(), of 2^n slots with open addressing, 0 being a free one.
    uint32_t n_others;
    const uint32_t *others;
    uint32_t others_mask; // slots - 1; 0: a list
    uint8_t other_kinds;  // their kinds
};

// Of minimum and its like. Small whole bounds are compared as integers.
struct bound {
    bool is_small;
    int64_t small;
    const char *text; // the number as it stands in the schema
    size_t length;
};

// What a name means within one object schema.
struct property {
    const char *text; // NULL: a free slot
    uint32_t length;
    uint32_t hash;
    bool declared; // in "properties"; else only in "required"
    bool required;
    uint8_t kinds; // of the block's leading type: the kinds that may pass
    block_t rest;  // the block behind that type; BLOCK_NONE: nothing more
    block_t block; // the whole of it, for telling failures; BLOCK_NONE: nothing
};

struct pattern_property {
    struct regex *regex;
    uint32_t place; // schema token of the pattern
    block_t block;  // BLOCK_NONE: the name counts as known, nothing more
};

struct object {
    const struct property *slots; // as in struct name_set, by the tape's hash of a key
    uint32_t multiplier;
    unsigned shift;
    uint32_t mask;
    bool looks_at_undeclared; // patterns, or additionalProperties that may fail
    bool names_only;          // beyond that, no member's value can fail
    uint32_t n_required;
    const struct name *required; // in the schema's order
    uint32_t required_place;
    uint32_t n_patterns;
    const struct pattern_property *patterns;
    // additionalProperties, or an unevaluatedProperties that comes to the same.
    bool has_additional;
    bool additional_false;
    uint16_t additional_keyword; // enum keyword
    uint32_t additional_place;
    block_t additional; // BLOCK_NONE: anything goes
};

struct items {
    uint32_t n_prefix;
    const block_t *prefix;
    block_t rest; // BLOCK_NONE: anything goes
};

struct tail {
    uint32_t first; // element from which on
    block_t block;
};

struct contains {
    block_t block;
    uint32_t min, max;             // max UINT32_MAX: no limit
    uint32_t min_place, max_place; // TAPE_NONE where the keyword is absent
};

// Which branches of a list may pass, a bit each (choice.c).
struct choice {
    uint64_t by_kind[KINDS]; // of the value
    // Of an object by the string that a member holds; member.text NULL: it tells nothing.
    struct name member;
    struct name_set strings;
    const uint64_t *masks; // by slot of `strings`
    uint64_t absent;       // when there is no such member
    uint64_t other;        // when it is another string, or none
};

struct block_list {
    uint32_t n;
    const block_t *blocks;
    const struct choice *choice; // NULL: any may pass
};

struct branch {
    block_t condition, then, otherwise;
};

// One trigger of dependentRequired (names) or dependentSchemas (block).
struct dependent {
    struct name trigger;
    uint32_t n_names;
    const struct name *names;
    block_t block;
    uint32_t place; // schema token of the trigger's key
};

struct dependents {
    uint32_t n;
    const struct dependent *list;
};

// What a dynamic anchor stands for in one resource.
struct binding {
    uint32_t slot;   // the anchor's name, numbered
    block_t block;   // the schema
    block_t tracked; // the same, recording; BLOCK_NONE when never asked for
};

struct scope {
    block_t block;
    uint32_t n;
    struct binding *bindings;
};

struct dynamic {
    uint32_t slot;
    block_t block; // when nothing is bound to the slot
};

// A text that the schema is made of.
struct document {
    const char *name; // "" for the root's
    uint32_t token;   // its root
    uint32_t start;   // where its text starts
};

struct instruction {
    uint8_t op;       // enum opcode
    uint8_t kinds;    // applies to these
    uint16_t keyword; // enum keyword, for failures
    uint32_t place;   // schema token of the keyword, for failures
    union {
        uint32_t word;
        block_t block;
        const struct enumeration *set;
        const struct bound *bound;
        struct regex *regex;
        const struct object *object;
        const struct items *items;
        const struct contains *contains;
        const struct block_list *list;
        const struct branch *branch;
        const struct dependents *dependents;
        const struct tail *tail;
        const struct scope *scope;
        const struct dynamic *dynamic;
    } u;
};

// A schema resource and what it is called.
struct named_resource {
    uint32_t token;  // its root
    const char *uri; // absolute, without fragment; "" when it has none
};

// Where a block comes from.
struct block_place {
    block_t start;
    uint32_t token; // its schema
};

struct tracker;

struct schema {
    char *text;       // the schema itself: const and enum compare with it, failures point into it
    size_t length;    // of `text`
    struct tape tape; // of `text`: of each document in it
    struct document *documents; // n_documents, by token
    uint32_t n_documents;
    struct tracker *tracker; // scratch of track.c; NULL when the program has no use for it
    struct arena arena;
    struct instruction *program; // block 0, the root's, starts at 0
    uint32_t n_program;
    const struct block_place *block_places; // n_blocks, by start
    uint32_t n_blocks;
    const struct named_resource *resources; // n_resources, by token
    uint32_t n_resources;
    struct regex **regexes; // owned; n_regexes
    size_t n_regexes;
    uint64_t seed; // of hashes of elements: events are not to choose what clashes
};

// Up to 8 bytes as a word: of texts of one length, equal words mean equal texts.
static inline uint64_t name_word(const char *p, size_t length)
{
    uint64_t word = 0;
    uint32_t low, high;

    if (length >= 8) {
        __builtin_memcpy(&word, p, 8);
    } else if (length >= 4) {
        __builtin_memcpy(&low, p, 4);
        __builtin_memcpy(&high, p + length - 4, 4);
        word = (uint64_t)high << 32 | low;
    } else if (length > 0) {
        word = (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[length / 2] << 8 |
               (uint64_t)(unsigned char)p[length - 1] << 16;
    }
    return word;
}

static inline uint64_t name_last_word(const char *p, size_t length)
{
    return length > 8 ? name_word(p + length - 8, 8) : 0;
}

// equal.c: equal values have equal hashes.
uint64_t equal_hash(const struct tape *tape, uint32_t token, uint64_t seed);

static inline uint32_t equal_slot(uint64_t hash, uint32_t mask)
{
    return (uint32_t)(hash >> 32) & mask;
}

static inline uint32_t name_slot(uint64_t first, uint64_t last, uint32_t length,
                                 const struct name_set *set)
{
    uint64_t mixed = (first ^ (last << 23 | last >> 41) ^ length) * set->multiplier;

    return (uint32_t)((mixed ^ mixed >> 29) * set->multiplier >> set->shift);
}

// documents.c: the document that the token is of.
const struct document *schema_document(const struct schema *schema, uint32_t token);

// The slot of a string in a set that is not hashed; NULL when it is not there.
static inline const struct name *name_find(const struct name_set *set, const char *text,
                                           size_t length)
{
    uint64_t first = name_word(text, length), last = name_last_word(text, length);
    uint32_t slot = name_slot(first, last, (uint32_t)length, set);

    for (; set->slots[slot].text != NULL; slot = (slot + 1) & set->mask) {
        const struct name *name = &set->slots[slot];
        if (name->first == first && name->last == last && name->length == length &&
            (length <= 16 || __builtin_memcmp(name->text, text, length) == 0))
            return name;
    }
    return NULL;
}

static inline uint32_t property_slot(uint32_t hash, const struct object *object)
{
    return (uint32_t)(hash * object->multiplier) >> object->shift;
}

#endif
