// SPDX-License-Identifier: Apache-2.0
#include "json/tape.h"

#include "core/mem.h"
#include "json/members_priv.h"
#include "json/scan_priv.h"
#include "json/text.h"

#include <stdlib.h>
#include <sys/random.h>

// Parsing state. While a container is open its token's `next` holds the index of the container
// around it, so that the tape itself is the stack.
struct parser {
    struct tape *tape;
    const char *p;
    const char *end;
    uint32_t open; // innermost open container, TAPE_NONE outside the root
    unsigned depth;
    bool fresh; // `open` has no child yet
};

const char *tape_error_name(enum tape_error error)
{
    static const char *const names[] = {
        [TAPE_OK] = "ok",
        [TAPE_SYNTAX] = "syntax",
        [TAPE_ENCODING] = "encoding",
        [TAPE_DEPTH] = "depth",
        [TAPE_DUPLICATE_MEMBER] = "duplicate_member",
    };
    return names[error];
}

const char *tape_kind_name(enum tape_kind kind)
{
    static const char *const names[] = {
        [TAPE_NULL] = "null",     [TAPE_FALSE] = "boolean", [TAPE_TRUE] = "boolean",
        [TAPE_NUMBER] = "number", [TAPE_STRING] = "string", [TAPE_ARRAY] = "array",
        [TAPE_OBJECT] = "object",
    };
    return names[kind];
}

void tape_init(struct tape *tape, unsigned max_depth)
{
    memset(tape, 0, sizeof(*tape));
    tape->max_depth = max_depth != 0 ? max_depth : TAPE_DEPTH_DEFAULT;
    // Without entropy the address has to do: the seed only keeps crafted names from colliding.
    if (getrandom(&tape->seed, sizeof(tape->seed), GRND_NONBLOCK) != sizeof(tape->seed))
        tape->seed = (uint64_t)(uintptr_t)tape;
}

static void free_arrays(struct tape *tape)
{
    free(tape->tokens);
    free(tape->table);
    free(tape->scratch);
    tape->tokens = NULL;
    tape->table = NULL;
    tape->scratch = NULL;
    tape->n_tokens = tape->cap_tokens = tape->cap_table = tape->cap_scratch = 0;
}

void tape_deinit(struct tape *tape)
{
    free_arrays(tape);
}

void tape_shrink(struct tape *tape, uint32_t keep)
{
    if (tape->cap_tokens > keep)
        free_arrays(tape);
}

static __attribute__((noinline, cold)) bool fail(struct parser *ps, enum tape_error error,
                                                 const char *at, const char *message)
{
    ps->tape->error = error;
    ps->tape->error_offset = (size_t)(at - ps->tape->data);
    ps->tape->error_message = message;
    return false;
}

static __attribute__((noinline, cold)) void grow_tokens(struct tape *tape)
{
    uint32_t cap = tape->cap_tokens < 64 ? 64 : tape->cap_tokens;
    // A text has at most one token a byte and 2^31 bytes, so this cannot overflow.
    while (cap <= tape->n_tokens)
        cap *= 2;
    tape->tokens = mem_realloc_array(tape->tokens, cap, sizeof(*tape->tokens));
    tape->cap_tokens = cap;
}

// Appends a token that ends where the parser is; callers set what is theirs.
static inline struct tape_token *push(struct parser *ps, enum tape_kind kind, const char *start)
{
    struct tape *tape = ps->tape;
    if (tape->n_tokens == tape->cap_tokens)
        grow_tokens(tape);
    struct tape_token *token = &tape->tokens[tape->n_tokens++];
    token->kind = (uint8_t)kind;
    token->flags = 0;
    token->start = (uint32_t)(start - tape->data);
    token->end = (uint32_t)(ps->p - tape->data);
    token->next = tape->n_tokens;
    token->count = 0;
    return token;
}

static inline void skip_space(struct parser *ps)
{
    while (ps->p < ps->end && (unsigned char)*ps->p <= 0x20) {
        char c = *ps->p;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return;
        ps->p++;
    }
}

static bool at(const struct parser *ps, char c)
{
    return ps->p < ps->end && *ps->p == c;
}

// --- strings
// ---------------------------------------------------------------------------------------

static void note_nul(struct parser *ps, unsigned *flags)
{
    struct tape *tape = ps->tape;
    *flags |= TAPE_HAS_NUL;
    if (tape->has_nul)
        return;
    tape->has_nul = true;
    tape->nul_token = tape->n_tokens; // the string's token is not pushed yet
    tape->nul_offset = (uint32_t)(ps->p - tape->data);
}

static bool unicode_escape(struct parser *ps, unsigned *flags)
{
    const char *p = ps->p;
    uint32_t unit = ps->end - p >= 6 ? scan_hex4(p + 2) : UINT32_MAX;
    if (unit == UINT32_MAX)
        return fail(ps, TAPE_SYNTAX, p, "expected four hexadecimal digits after \\u");
    if (unit == 0)
        note_nul(ps, flags);
    ps->p += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    bool pair = unit <= 0xdbff && ps->end - p >= 12 && p[6] == '\\' && p[7] == 'u';
    uint32_t low = pair ? scan_hex4(p + 8) : 0;
    if (low < 0xdc00 || low > 0xdfff)
        return fail(ps, TAPE_ENCODING, p, "expected a pair of surrogates, found one alone");
    ps->p += 6;
    return true;
}

static bool escape(struct parser *ps, unsigned *flags)
{
    *flags |= TAPE_ESCAPED;
    if (ps->end - ps->p < 2)
        return fail(ps, TAPE_SYNTAX, ps->end, "expected the end of a string");
    switch (ps->p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        ps->p += 2;
        return true;
    case 'u':
        return unicode_escape(ps, flags);
    default:
        return fail(ps, TAPE_SYNTAX, ps->p,
                    "expected an escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u");
    }
}

static bool non_ascii(struct parser *ps, unsigned *flags)
{
    *flags |= TAPE_NON_ASCII;
    const char *p = ps->p;
    do {
        size_t n = text_utf8_length(p, (size_t)(ps->end - p));
        if (n == 0)
            return fail(ps, TAPE_ENCODING, p, "expected UTF-8");
        p += n;
    } while (p < ps->end && (unsigned char)*p > 0x7f);
    ps->p = p;
    return true;
}

// At anything but plain text and the closing quote.
static __attribute__((noinline)) bool special(struct parser *ps, unsigned *flags)
{
    if (ps->p == ps->end)
        return fail(ps, TAPE_SYNTAX, ps->p, "expected the end of a string");
    if (*ps->p == '\\')
        return escape(ps, flags);
    if ((unsigned char)*ps->p > 0x7f)
        return non_ascii(ps, flags);
    return fail(ps, TAPE_SYNTAX, ps->p, "expected control characters to be escaped");
}

// At the opening quote. The token is pushed; NULL on an error.
static inline struct tape_token *parse_string(struct parser *ps)
{
    const char *start = ps->p++;
    unsigned flags = 0;
    for (;;) {
        ps->p = scan_plain(ps->p, ps->end);
        if (__builtin_expect(at(ps, '"'), 1))
            break;
        if (!special(ps, &flags))
            return NULL;
    }
    ps->p++;
    struct tape_token *token = push(ps, TAPE_STRING, start);
    token->flags = (uint8_t)flags;
    return token;
}

static bool parse_key(struct parser *ps)
{
    if (!at(ps, '"'))
        return fail(ps, TAPE_SYNTAX, ps->p, "expected a member's name");
    struct tape_token *token = parse_string(ps);
    if (token == NULL)
        return false;
    token->flags |= TAPE_KEY;
    struct tape *tape = ps->tape;
    if ((token->flags & TAPE_ESCAPED) == 0)
        token->hash =
            scan_fingerprint(tape->data + token->start + 1, token->end - token->start - 2);
    else
        token->hash = members_escaped_hash(tape, tape->n_tokens - 1);
    skip_space(ps);
    if (!at(ps, ':'))
        return fail(ps, TAPE_SYNTAX, ps->p, "expected ':'");
    ps->p++;
    skip_space(ps);
    return true;
}

// --- numbers and words
// -----------------------------------------------------------------------------

static inline bool digits(struct parser *ps)
{
    const char *p = ps->p;
    while (p < ps->end && (unsigned char)(*p - '0') < 10)
        p++;
    bool some = p != ps->p;
    ps->p = p;
    return some;
}

static bool parse_number(struct parser *ps)
{
    const char *start = ps->p;
    unsigned flags = 0;
    if (*ps->p == '-')
        ps->p++;
    if (at(ps, '0'))
        ps->p++;
    else if (!digits(ps))
        return fail(ps, TAPE_SYNTAX, ps->p, "expected a digit");
    if (at(ps, '.')) {
        flags = TAPE_DECIMAL;
        ps->p++;
        if (!digits(ps))
            return fail(ps, TAPE_SYNTAX, ps->p, "expected a digit after '.'");
    }
    if (at(ps, 'e') || at(ps, 'E')) {
        flags = TAPE_DECIMAL;
        ps->p++;
        if (at(ps, '+') || at(ps, '-'))
            ps->p++;
        if (!digits(ps))
            return fail(ps, TAPE_SYNTAX, ps->p, "expected a digit in the exponent");
    }
    push(ps, TAPE_NUMBER, start)->flags = (uint8_t)flags;
    return true;
}

static bool parse_word(struct parser *ps, const char *word, size_t length, enum tape_kind kind)
{
    const char *start = ps->p;
    if ((size_t)(ps->end - start) < length || memcmp(start, word, length) != 0)
        return fail(ps, TAPE_SYNTAX, start, "expected a value");
    ps->p += length;
    push(ps, kind, start);
    return true;
}

// --- structure
// -------------------------------------------------------------------------------------

static inline bool open_container(struct parser *ps, enum tape_kind kind)
{
    if (ps->depth == ps->tape->max_depth)
        return fail(ps, TAPE_DEPTH, ps->p, "expected less nesting");
    const char *start = ps->p++;
    struct tape_token *token = push(ps, kind, start);
    token->next = ps->open;
    ps->open = ps->tape->n_tokens - 1;
    ps->depth++;
    ps->fresh = true;
    return true;
}

// At the closing bracket.
static inline bool close_container(struct parser *ps)
{
    struct tape *tape = ps->tape;
    uint32_t closed = ps->open;
    struct tape_token *token = &tape->tokens[closed];
    ps->p++;
    ps->depth--;
    ps->fresh = false;
    ps->open = token->next;
    token->next = tape->n_tokens;
    token->end = (uint32_t)(ps->p - tape->data);
    if (token->kind == TAPE_ARRAY)
        return true;
    uint32_t again = members_duplicate(tape, closed);
    if (again == TAPE_NONE)
        return true;
    return fail(ps, TAPE_DUPLICATE_MEMBER, tape->data + tape->tokens[again].start,
                "expected members with different names");
}

static bool no_value(struct parser *ps)
{
    static const char bom[] = "\xef\xbb\xbf";
    if (ps->p == ps->tape->data && ps->end - ps->p >= 3 && memcmp(ps->p, bom, 3) == 0)
        return fail(ps, TAPE_SYNTAX, ps->p, "expected a value, found a byte order mark");
    return fail(ps, TAPE_SYNTAX, ps->p, "expected a value");
}

// A scalar, or the opening bracket of a container.
static inline bool parse_value(struct parser *ps)
{
    ps->fresh = false;
    switch (ps->p < ps->end ? *ps->p : '\0') {
    case '"':
        return parse_string(ps) != NULL;
    case '{':
        return open_container(ps, TAPE_OBJECT);
    case '[':
        return open_container(ps, TAPE_ARRAY);
    case 'n':
        return parse_word(ps, "null", 4, TAPE_NULL);
    case 't':
        return parse_word(ps, "true", 4, TAPE_TRUE);
    case 'f':
        return parse_word(ps, "false", 5, TAPE_FALSE);
    case '-':
    case '0' ... '9':
        return parse_number(ps);
    default:
        return no_value(ps);
    }
}

// One step inside the open container: its end, or its next child up to the child's own children.
static inline bool parse_step(struct parser *ps)
{
    bool object = ps->tape->tokens[ps->open].kind == TAPE_OBJECT;
    skip_space(ps);
    if (at(ps, object ? '}' : ']'))
        return close_container(ps);
    if (!ps->fresh) {
        if (!at(ps, ','))
            return fail(ps, TAPE_SYNTAX, ps->p,
                        object ? "expected ',' or '}'" : "expected ',' or ']'");
        ps->p++;
        skip_space(ps);
    }
    ps->tape->tokens[ps->open].count++;
    if (object && !parse_key(ps))
        return false;
    return parse_value(ps);
}

static bool parse_document(struct parser *ps)
{
    if (ps->tape->length > TAPE_LENGTH_MAX)
        return fail(ps, TAPE_SYNTAX, ps->p, "expected a text of at most 2 GiB");
    skip_space(ps);
    if (!parse_value(ps))
        return false;
    while (ps->open != TAPE_NONE) {
        if (!parse_step(ps))
            return false;
    }
    skip_space(ps);
    if (ps->p != ps->end)
        return fail(ps, TAPE_SYNTAX, ps->p, "expected the end of the text behind the value");
    return true;
}

bool tape_parse(struct tape *tape, const char *data, size_t length)
{
    if (data == NULL) // an empty message; arithmetic on NULL is not defined
        data = "";
    tape->data = data;
    tape->length = length;
    tape->n_tokens = 0;
    tape->has_nul = false;
    tape->nul_token = TAPE_NONE;
    tape->nul_offset = 0;
    tape->error = TAPE_OK;
    tape->error_offset = 0;
    tape->error_message = "";
    struct parser ps = {.tape = tape, .p = data, .end = data + length, .open = TAPE_NONE};
    if (parse_document(&ps))
        return true;
    tape->n_tokens = 0;
    return false;
}
