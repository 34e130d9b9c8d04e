// SPDX-License-Identifier: Apache-2.0
// Strict JSON parser (RFC 8259) to a flat array of tokens, the tape, in document order. Pure.
//
// A struct tape is made once and used for one text after the other; its arrays grow and stay, so a
// warm tape allocates nothing. Tokens hold offsets into the caller's text, which must stay as it is
// while the tape is read; it need not end in a NUL and is never read outside [data, data + length).
//
// Stricter than the RFC's "should": the text is valid UTF-8 (RFC 3629), \u escapes pair their
// surrogates, member names are unique within their object (compared unescaped), nesting is bounded,
// there is one value and nothing but white space around it, and no byte order mark.
//
// Walking: a value at index i ends before tape->tokens[i].next. The children of an array start at
// i + 1, each following one at the `next` of the one before. An object's are its members: a string
// token (TAPE_KEY), directly followed by the value's token:
//     for (uint32_t key = i + 1; key != end; key = tape->tokens[key + 1].next)
#ifndef CXSINK_JSON_TAPE_H
#define CXSINK_JSON_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Nesting allowed when tape_init() is given 0: an array or object in the root is depth 2.
#define TAPE_DEPTH_DEFAULT 128
// Index that means "no such value".
#define TAPE_NONE UINT32_MAX
// Longest text in bytes; longer ones are TAPE_SYNTAX (offsets are 32 bits wide).
#define TAPE_LENGTH_MAX (UINT32_C(1) << 31)

enum tape_kind {
    TAPE_NULL,
    TAPE_FALSE,
    TAPE_TRUE,
    TAPE_NUMBER,
    TAPE_STRING,
    TAPE_ARRAY,
    TAPE_OBJECT,
};

// Flags of a token.
enum {
    TAPE_ESCAPED = 1,   // a string with at least one backslash
    TAPE_HAS_NUL = 2,   // a string with U+0000 (always escaped)
    TAPE_NON_ASCII = 4, // a string with bytes over 0x7f
    TAPE_KEY = 8,       // a string that names a member
    TAPE_DECIMAL = 16,  // a number with '.', 'e' or 'E'; without it, the text is -?digits
};

struct tape_token {
    uint8_t kind; // enum tape_kind
    uint8_t flags;
    uint32_t start; // offset of the first byte: of a string its quote
    uint32_t end;   // offset behind the last byte, so data + start, end - start is its JSON text
    uint32_t next;  // index of the token behind this value and all it holds
    union {
        uint32_t count; // of an array its elements, of an object its members
        uint32_t hash;  // of a key: tape_hash() of its unescaped bytes
    };
};

enum tape_error {
    TAPE_OK,
    TAPE_SYNTAX,
    TAPE_ENCODING, // not UTF-8, or a surrogate without its other half
    TAPE_DEPTH,
    TAPE_DUPLICATE_MEMBER,
};

// By what a text is looked at: what the CPU has of these, all with the same results. From the
// second on each is better than those before it.
enum tape_variant {
    TAPE_PORTABLE, // words of eight bytes
    TAPE_SSE42,
    TAPE_AVX2, // with BMI
    TAPE_NEON,
    TAPE_VARIANTS // how many there are
};

struct tape {
    const char *data; // the text, the caller's
    size_t length;
    struct tape_token *tokens; // owned; the root is tokens[0]
    uint32_t n_tokens;
    bool has_nul;        // a string or a key holds U+0000
    uint32_t nul_token;  // the first such one (when has_nul)
    uint32_t nul_offset; // where its \u0000 is
    // The first error in reading order, when tape_parse() fails.
    enum tape_error error;
    size_t error_offset;       // 0 to length
    const char *error_message; // a literal: what was expected; never content
    // The rest is private to json/tape.
    bool (*parse)(struct tape *tape, const char *data, size_t length); // the variant
    uint32_t cap_tokens;
    unsigned max_depth;
    uint32_t *table; // of the members of a large object
    uint32_t cap_table;
    char *scratch; // an unescaped key
    uint32_t cap_scratch;
    uint64_t seed; // of the table
};

// `max_depth` 0: TAPE_DEPTH_DEFAULT.
void tape_init(struct tape *tape, unsigned max_depth);
void tape_deinit(struct tape *tape);
// Another variant than the best one that the CPU has, which tape_init() chooses. False, and nothing
// changed, when the CPU has it not.
bool tape_use(struct tape *tape, enum tape_variant variant);
// Frees the arrays when they hold more than `keep` tokens (after a rare large text).
void tape_shrink(struct tape *tape, uint32_t keep);

// Parses one text. False on an error, described in the tape, which then holds no tokens.
bool tape_parse(struct tape *tape, const char *data, size_t length);

// "syntax", "encoding", "depth", "duplicate_member"; "ok" for TAPE_OK. As in reason codes.
const char *tape_error_name(enum tape_error error);
// "null", "boolean", "number", "string", "array", "object", as messages call them.
const char *tape_kind_name(enum tape_kind kind);

// Cheap fingerprint of a member name; equal names have equal ones, so it is compared first. The
// same in every process of a build; not safe against crafted collisions, only fast.
uint32_t tape_hash(const char *name, size_t length);

// Value of the member `name` of the object at `object`, or TAPE_NONE (also when that is no object).
uint32_t tape_member(const struct tape *tape, uint32_t object, const char *name, size_t length,
                     uint32_t hash);
// The n-th element of the array at `array`, from 0, or TAPE_NONE.
uint32_t tape_element(const struct tape *tape, uint32_t array, uint32_t n);

// The JSON text of a value: of a string with its quotes and escapes.
static inline const char *tape_raw(const struct tape *tape, uint32_t i, size_t *length_r)
{
    *length_r = tape->tokens[i].end - tape->tokens[i].start;
    return tape->data + tape->tokens[i].start;
}

// The bytes between the quotes of a string token, escapes as they are.
static inline const char *tape_string(const struct tape *tape, uint32_t i, size_t *length_r)
{
    *length_r = tape->tokens[i].end - tape->tokens[i].start - 2;
    return tape->data + tape->tokens[i].start + 1;
}

#endif
