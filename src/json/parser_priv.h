// SPDX-License-Identifier: Apache-2.0
// The parser behind tape_parse(), compiled once for each means of the CPU's in vector_priv.h:
// src/json/parse_*.c define which, include this and hand out parser_run().
//
// What changes with every token is in a struct parser that never leaves the one function which all
// of these become, so that it lives in registers; what is rare is called with values.
#ifndef CXSINK_JSON_PARSER_PRIV_H
#define CXSINK_JSON_PARSER_PRIV_H

#include "json/members_priv.h"
#include "json/parse_priv.h"
#include "json/vector_priv.h"

// While a container is open its token's `next` holds the index of the container around it, so that
// the tape itself is the stack.
struct parser {
    struct tape *tape;
    const char *data;
    const char *p;
    const char *end;
    const char *last; // where the last whole vector begins
    struct tape_token *tokens;
    uint32_t n_tokens, cap_tokens; // the tape's n_tokens is set before it is looked at
    uint32_t open;                 // innermost open container, TAPE_NONE outside the root
    unsigned depth;
};

// What follows in the text.
enum parser_step {
    STEP_FAILED, // nothing: the error is told
    STEP_VALUE,  // a value
    STEP_BEHIND, // what may stand behind a value
};

VECTOR_INLINE bool parser_at(const struct parser *ps, char c)
{
    return ps->p < ps->end && *ps->p == c;
}

VECTOR_INLINE bool parser_fail(const struct parser *ps, const char *message)
{
    return parse_fail(ps->tape, TAPE_SYNTAX, ps->p, message);
}

// Appends a token from `start` to where the parser is.
VECTOR_INLINE struct tape_token *parser_push(struct parser *ps, enum tape_kind kind, unsigned flags,
                                             const char *start)
{
    if (__builtin_expect(ps->n_tokens == ps->cap_tokens, 0)) {
        ps->tokens = parse_more_tokens(ps->tape, ps->n_tokens);
        ps->cap_tokens = ps->tape->cap_tokens;
    }
    struct tape_token *token = &ps->tokens[ps->n_tokens++];
    token->kind = (uint8_t)kind;
    token->flags = (uint8_t)flags;
    token->start = (uint32_t)(start - ps->data);
    token->end = (uint32_t)(ps->p - ps->data);
    token->next = ps->n_tokens;
    token->count = 0;
    return token;
}

// --- white space ---------------------------------------------------------------------------------

// Behind the white space that begins at `p`.
VECTOR_TARGET static __attribute__((noinline)) const char *
parser_behind_space(const char *p, const char *end, const char *last)
{
    while (p < end) {
        const char *at = p < last ? p : last;
        uint64_t found = vector_no_space(at, (size_t)(p - at));
        if (found != 0)
            return p + __builtin_ctzll(found) / VECTOR_STEP;
        p = at + VECTOR_SIZE;
    }
    return end;
}

// The next byte that is no white space, and moves to it; 0 at the end (or at a NUL).
VECTOR_INLINE char parser_peek(struct parser *ps)
{
    if (ps->p < ps->end && (unsigned char)*ps->p > ' ')
        return *ps->p;
    if (ps->end - ps->p > 1 && *ps->p == ' ' && (unsigned char)ps->p[1] > ' ')
        return *++ps->p; // one space, as many writers put it behind ':' and ','
    ps->p = parser_behind_space(ps->p, ps->end, ps->last);
    return ps->p < ps->end ? *ps->p : '\0';
}

// --- strings -------------------------------------------------------------------------------------

// The first byte from `p` on that is not plain text of a string (with `high`: plain ASCII), or end.
VECTOR_INLINE const char *parser_find_stop(const char *p, const char *end, const char *last,
                                           bool high)
{
    while (p < end) {
        const char *at = p < last ? p : last;
        uint64_t found = vector_stops(at, (size_t)(p - at), high);
        if (__builtin_expect(found != 0, 1))
            return p + __builtin_ctzll(found) / VECTOR_STEP;
        p = at + VECTOR_SIZE;
    }
    return end;
}

VECTOR_TARGET static __attribute__((noinline)) const char *
parser_pass_text(struct tape *tape, const char *p, const char *end, const char *last)
{
    const char *stop = parser_find_stop(p, end, last, false);

    if (vector_utf8_valid(p, stop))
        return stop;
    for (size_t n; (n = text_utf8_length(p, (size_t)(end - p))) != 0;)
        p += n;
    parse_fail(tape, TAPE_ENCODING, p, "expected UTF-8");
    return NULL;
}

// Passes what is neither plain ASCII nor the closing quote. NULL on an error.
VECTOR_INLINE const char *parser_special(struct parser *ps, unsigned *flags)
{
    const char *p = ps->p;

    ps->tape->n_tokens = ps->n_tokens;
    if (p < ps->end && *p == '\\')
        return parse_escape(ps->tape, p, ps->end, flags);
    if (p < ps->end && (unsigned char)*p > 0x7f) {
        *flags |= TAPE_NON_ASCII;
        return parser_pass_text(ps->tape, p, ps->end, ps->last);
    }
    parser_fail(ps, p == ps->end ? "expected the end of a string"
                                 : "expected control characters to be escaped");
    return NULL;
}

// At the opening quote. The token is pushed; NULL on an error.
VECTOR_INLINE struct tape_token *parser_string(struct parser *ps, unsigned flags)
{
    const char *start = ps->p++;

    for (;;) {
        ps->p = parser_find_stop(ps->p, ps->end, ps->last, true);
        if (__builtin_expect(parser_at(ps, '"'), 1))
            break;
        unsigned found = 0;
        const char *behind = parser_special(ps, &found);
        if (behind == NULL)
            return NULL;
        flags |= found;
        ps->p = behind;
    }
    ps->p++;
    return parser_push(ps, TAPE_STRING, flags, start);
}

// A member up to its value.
VECTOR_INLINE enum parser_step parser_key(struct parser *ps)
{
    if (parser_peek(ps) != '"')
        return parser_fail(ps, "expected a member's name");
    struct tape_token *token = parser_string(ps, TAPE_KEY);
    if (token == NULL)
        return STEP_FAILED;
    if (__builtin_expect((token->flags & TAPE_ESCAPED) == 0, 1))
        token->hash = scan_fingerprint(ps->data + token->start + 1, token->end - token->start - 2);
    else
        token->hash = members_escaped_hash(ps->tape, ps->n_tokens - 1);
    if (parser_peek(ps) != ':')
        return parser_fail(ps, "expected ':'");
    ps->p++;
    return STEP_VALUE;
}

// --- numbers and words ---------------------------------------------------------------------------

VECTOR_INLINE bool parser_digits(struct parser *ps)
{
    const char *p = ps->p;

    while (p < ps->end && (unsigned char)(*p - '0') < 10)
        p++;
    bool some = p != ps->p;
    ps->p = p;
    return some;
}

// At '.', 'e' or 'E' behind a whole number.
VECTOR_INLINE bool parser_decimals(struct parser *ps)
{
    if (*ps->p == '.') {
        ps->p++;
        if (!parser_digits(ps))
            return parser_fail(ps, "expected a digit after '.'");
    }
    if (!parser_at(ps, 'e') && !parser_at(ps, 'E'))
        return true;
    ps->p++;
    if (parser_at(ps, '+') || parser_at(ps, '-'))
        ps->p++;
    return parser_digits(ps) || parser_fail(ps, "expected a digit in the exponent");
}

VECTOR_INLINE enum parser_step parser_number(struct parser *ps)
{
    const char *start = ps->p;
    unsigned flags = 0;

    if (*ps->p == '-')
        ps->p++;
    if (parser_at(ps, '0'))
        ps->p++;
    else if (!parser_digits(ps))
        return parser_fail(ps, "expected a digit");
    if (ps->p < ps->end && (*ps->p == '.' || (*ps->p | 0x20) == 'e')) {
        flags = TAPE_DECIMAL;
        if (!parser_decimals(ps))
            return STEP_FAILED;
    }
    parser_push(ps, TAPE_NUMBER, flags, start);
    return STEP_BEHIND;
}

VECTOR_INLINE enum parser_step parser_word(struct parser *ps, const char *word, size_t length,
                                           enum tape_kind kind)
{
    const char *start = ps->p;

    if ((size_t)(ps->end - start) < length || memcmp(start, word, length) != 0)
        return parser_fail(ps, "expected a value");
    ps->p += length;
    parser_push(ps, kind, 0, start);
    return STEP_BEHIND;
}

// --- structure -----------------------------------------------------------------------------------

// At the closing bracket.
VECTOR_INLINE enum parser_step parser_close(struct parser *ps)
{
    uint32_t closed = ps->open;
    struct tape_token *token = &ps->tokens[closed];

    ps->p++;
    ps->depth--;
    ps->open = token->next;
    token->next = ps->n_tokens;
    token->end = (uint32_t)(ps->p - ps->data);
    if (token->kind == TAPE_ARRAY || token->count < 2)
        return STEP_BEHIND;
    uint32_t again = members_duplicate(ps->tape, closed);
    if (again == TAPE_NONE)
        return STEP_BEHIND;
    return parse_fail(ps->tape, TAPE_DUPLICATE_MEMBER, ps->data + ps->tokens[again].start,
                      "expected members with different names");
}

// At the opening bracket; passes it and what stands before the first child's value, if there is a
// child.
VECTOR_INLINE enum parser_step parser_open(struct parser *ps, enum tape_kind kind)
{
    if (ps->depth == ps->tape->max_depth)
        return parse_fail(ps->tape, TAPE_DEPTH, ps->p, "expected less nesting");
    const char *start = ps->p++;
    struct tape_token *token = parser_push(ps, kind, 0, start);
    token->next = ps->open;
    ps->open = ps->n_tokens - 1;
    ps->depth++;
    if (parser_peek(ps) == (kind == TAPE_OBJECT ? '}' : ']'))
        return parser_close(ps);
    token->count = 1;
    return kind == TAPE_OBJECT ? parser_key(ps) : STEP_VALUE;
}

VECTOR_INLINE enum parser_step parser_no_value(struct parser *ps)
{
    static const char bom[] = "\xef\xbb\xbf";

    if (ps->p == ps->data && ps->end - ps->p >= 3 && memcmp(ps->p, bom, 3) == 0)
        return parser_fail(ps, "expected a value, found a byte order mark");
    return parser_fail(ps, "expected a value");
}

VECTOR_INLINE enum parser_step parser_value(struct parser *ps)
{
    char c = parser_peek(ps);

    if (c == '"')
        return parser_string(ps, 0) != NULL ? STEP_BEHIND : STEP_FAILED;
    switch (c) {
    case '{':
        return parser_open(ps, TAPE_OBJECT);
    case '[':
        return parser_open(ps, TAPE_ARRAY);
    case 'n':
        return parser_word(ps, "null", 4, TAPE_NULL);
    case 't':
        return parser_word(ps, "true", 4, TAPE_TRUE);
    case 'f':
        return parser_word(ps, "false", 5, TAPE_FALSE);
    case '-':
    case '0' ... '9':
        return parser_number(ps);
    default:
        return parser_no_value(ps);
    }
}

// Behind a child of the open container: the container's end, or up to its next child's value.
VECTOR_INLINE enum parser_step parser_behind(struct parser *ps)
{
    struct tape_token *token = &ps->tokens[ps->open];
    bool object = token->kind == TAPE_OBJECT;
    char c = parser_peek(ps);

    if (__builtin_expect(c == ',', 1)) {
        ps->p++;
        token->count++;
        return object ? parser_key(ps) : STEP_VALUE;
    }
    if (c == (object ? '}' : ']'))
        return parser_close(ps);
    return parser_fail(ps, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

VECTOR_INLINE bool parser_document(struct parser *ps)
{
    enum parser_step step = STEP_VALUE;

    do {
        step = step == STEP_VALUE ? parser_value(ps) : parser_behind(ps);
        if (step == STEP_FAILED)
            return false;
    } while (step == STEP_VALUE || ps->open != TAPE_NONE);
    parser_peek(ps);
    return ps->p == ps->end || parser_fail(ps, "expected the end of the text behind the value");
}

// Parses `length` bytes; VECTOR_SIZE bytes before their end may be read, whatever the length. Sets
// the tape's tokens and n_tokens, or the error.
VECTOR_TARGET static inline bool parser_run(struct tape *tape, const char *data, size_t length)
{
    struct parser ps = {
        .tape = tape,
        .data = data,
        .p = data,
        .end = data + length,
        .last = data + length - VECTOR_SIZE,
        .tokens = tape->tokens,
        .cap_tokens = tape->cap_tokens,
        .open = TAPE_NONE,
    };
    bool right = parser_document(&ps);

    tape->n_tokens = right ? ps.n_tokens : 0;
    return right;
}

#endif
