// SPDX-License-Identifier: Apache-2.0
#include "json/tape.h"

#include "core/mem.h"
#include "json/parse_priv.h"
#include "json/scan_priv.h"
#include "json/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const struct {
    const char *name;
    parse_function *parse; // NULL: not on this architecture
} variants[] = {
    [TAPE_PORTABLE] = {"portable", parse_portable},
#if defined(__x86_64__)
    [TAPE_SSE42] = {"sse4.2", parse_sse42},
    [TAPE_AVX2] = {"avx2", parse_avx2},
#elif defined(__AARCH64EL__)
    [TAPE_NEON] = {"neon", parse_neon},
#endif
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

// Has this CPU what the variant needs?
static bool is_there(enum tape_variant variant)
{
#if defined(__x86_64__)
    if (variant == TAPE_SSE42)
        return __builtin_cpu_supports("sse4.2") != 0;
    if (variant == TAPE_AVX2)
        return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 &&
               __builtin_cpu_supports("bmi2") != 0;
#endif
    return variants[variant].parse != NULL;
}

bool tape_use(struct tape *tape, enum tape_variant variant)
{
    if ((size_t)variant >= sizeof(variants) / sizeof(*variants) || !is_there(variant))
        return false;
    tape->parse = variants[variant].parse;
    return true;
}

void tape_init(struct tape *tape, unsigned max_depth)
{
    memset(tape, 0, sizeof(*tape));
    for (int variant = TAPE_VARIANTS; variant-- > 0 && tape->parse == NULL;)
        (void)tape_use(tape, (enum tape_variant)variant);
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

bool parse_fail(struct tape *tape, enum tape_error error, const char *at, const char *message)
{
    tape->error = error;
    tape->error_offset = (size_t)(at - tape->data);
    tape->error_message = message;
    return false;
}

struct tape_token *parse_more_tokens(struct tape *tape, uint32_t n_tokens)
{
    uint32_t cap = tape->cap_tokens < 64 ? 64 : tape->cap_tokens;
    // A text has at most one token a byte and 2^31 bytes, so this cannot overflow.
    while (cap <= n_tokens)
        cap *= 2;
    tape->tokens = mem_realloc_array(tape->tokens, cap, sizeof(*tape->tokens));
    tape->cap_tokens = cap;
    return tape->tokens;
}

static void note_nul(struct tape *tape, const char *at, unsigned *flags)
{
    *flags |= TAPE_HAS_NUL;
    if (tape->has_nul)
        return;
    tape->has_nul = true;
    tape->nul_token = tape->n_tokens; // the string's token is not pushed yet
    tape->nul_offset = (uint32_t)(at - tape->data);
}

static const char *fail_escape(struct tape *tape, enum tape_error error, const char *at,
                               const char *message)
{
    parse_fail(tape, error, at, message);
    return NULL;
}

static const char *unicode_escape(struct tape *tape, const char *p, const char *end,
                                  unsigned *flags)
{
    uint32_t unit = end - p >= 6 ? scan_hex4(p + 2) : UINT32_MAX;
    if (unit == UINT32_MAX)
        return fail_escape(tape, TAPE_SYNTAX, p, "expected four hexadecimal digits after \\u");
    if (unit == 0)
        note_nul(tape, p, flags);
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    bool pair = unit <= 0xdbff && end - p >= 12 && p[6] == '\\' && p[7] == 'u';
    uint32_t low = pair ? scan_hex4(p + 8) : 0;
    if (low < 0xdc00 || low > 0xdfff)
        return fail_escape(tape, TAPE_ENCODING, p,
                           "expected a pair of surrogates, found one alone");
    return p + 12;
}

const char *parse_escape(struct tape *tape, const char *p, const char *end, unsigned *flags)
{
    *flags |= TAPE_ESCAPED;
    if (end - p < 2)
        return fail_escape(tape, TAPE_SYNTAX, end, "expected the end of a string");
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        return unicode_escape(tape, p, end, flags);
    default:
        return fail_escape(tape, TAPE_SYNTAX, p,
                           "expected an escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u");
    }
}

// A text shorter than what variants read at its end, in a copy with room before it.
static bool parse_short(struct tape *tape, const char *data, size_t length)
{
    char room[2 * PARSE_LENGTH_MIN] = {0};
    memcpy(room + PARSE_LENGTH_MIN, data, length);
    tape->data = room + PARSE_LENGTH_MIN;
    bool right = tape->parse(tape, tape->data, length);
    tape->data = data;
    return right;
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
    if (length > TAPE_LENGTH_MAX)
        return parse_fail(tape, TAPE_SYNTAX, data, "expected a text of at most 2 GiB");
    return length < PARSE_LENGTH_MIN ? parse_short(tape, data, length)
                                     : tape->parse(tape, data, length);
}
