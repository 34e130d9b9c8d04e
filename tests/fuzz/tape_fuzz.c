// SPDX-License-Identifier: Apache-2.0
// json/tape over any bytes: what an accepted text's tape promises, what a refused one leaves.
#include "fuzz.h"

#include "core/buf.h"
#include "json/tape.h"
#include "json/text.h"

static bool has_byte(const char *text, size_t length, bool (*wanted)(char))
{
    for (size_t i = 0; i < length; i++)
        if (wanted(text[i]))
            return true;
    return false;
}

static bool is_backslash(char c)
{
    return c == '\\';
}

static bool is_high(char c)
{
    return (unsigned char)c > 0x7f;
}

static bool is_decimal(char c)
{
    return c == '.' || (c | 0x20) == 'e';
}

static void check_string(const struct tape *tape, uint32_t i)
{
    const struct tape_token *token = &tape->tokens[i];
    size_t length;
    const char *raw = tape_string(tape, i, &length);
    char *text = malloc(length + 1);
    size_t n = text_unescape(tape, i, text);

    FUZZ_CHECK(raw[-1] == '"' && raw[length] == '"', "token %u", i);
    FUZZ_CHECK(((token->flags & TAPE_ESCAPED) != 0) == has_byte(raw, length, is_backslash),
               "token %u", i);
    FUZZ_CHECK(((token->flags & TAPE_NON_ASCII) != 0) == has_byte(raw, length, is_high), "token %u",
               i);
    FUZZ_CHECK(((token->flags & TAPE_HAS_NUL) != 0) == (memchr(text, '\0', n) != NULL), "token %u",
               i);
    FUZZ_CHECK(text_utf8_valid(text, n), "token %u", i);
    if ((token->flags & TAPE_KEY) != 0)
        FUZZ_CHECK(token->hash == tape_hash(text, n), "token %u", i);
    free(text);
}

static void check_scalar(const struct tape *tape, uint32_t i)
{
    static const char *const words[] = {"null", "false", "true"};
    const struct tape_token *token = &tape->tokens[i];
    size_t length;
    const char *raw = tape_raw(tape, i, &length);

    FUZZ_CHECK(token->next == i + 1, "token %u", i);
    if (token->kind <= TAPE_TRUE)
        FUZZ_CHECK(length == strlen(words[token->kind]) &&
                       memcmp(raw, words[token->kind], length) == 0,
                   "token %u", i);
    else if (token->kind == TAPE_NUMBER)
        FUZZ_CHECK(((token->flags & TAPE_DECIMAL) != 0) == has_byte(raw, length, is_decimal),
                   "token %u", i);
    else
        check_string(tape, i);
}

// The children follow each other inside their container, as many as it says; a member is found by
// its name, so there is no other of that name before it.
static void check_container(const struct tape *tape, uint32_t i)
{
    const struct tape_token *token = &tape->tokens[i];
    bool object = token->kind == TAPE_OBJECT;
    uint32_t count = 0, child = i + 1, at = token->start + 1;

    FUZZ_CHECK(token->next > i && token->next <= tape->n_tokens, "token %u", i);
    for (; child < token->next; child = tape->tokens[child + object].next) {
        const struct tape_token *first = &tape->tokens[child];
        FUZZ_CHECK(((first->flags & TAPE_KEY) != 0) == object, "token %u", child);
        FUZZ_CHECK(first->start >= at, "token %u", child);
        at = tape->tokens[child + object].end;
        count++;
        if (object) {
            char *name = malloc(first->end - first->start);
            size_t length = text_unescape(tape, child, name);
            FUZZ_CHECK(tape_member(tape, i, name, length, first->hash) == child + 1, "token %u",
                       child);
            free(name);
        } else if (count < 16) {
            FUZZ_CHECK(tape_element(tape, i, count - 1) == child, "token %u", child);
        }
    }
    FUZZ_CHECK(child == token->next && count == token->count && at < token->end, "token %u", i);
}

static void check_tokens(const struct tape *tape)
{
    bool has_nul = false;

    FUZZ_CHECK(tape->n_tokens > 0 && tape->tokens[0].next == tape->n_tokens, "root");
    for (uint32_t i = 0; i < tape->n_tokens; i++) {
        const struct tape_token *token = &tape->tokens[i];
        FUZZ_CHECK(token->start < token->end && token->end <= tape->length, "token %u", i);
        if (token->kind >= TAPE_ARRAY)
            check_container(tape, i);
        else
            check_scalar(tape, i);
        if ((token->flags & TAPE_HAS_NUL) == 0 || has_nul)
            continue;
        has_nul = true;
        FUZZ_CHECK(tape->nul_token == i, "token %u", i);
        FUZZ_CHECK(memcmp(tape->data + tape->nul_offset, "\\u0000", 6) == 0, "token %u", i);
    }
    FUZZ_CHECK(tape->has_nul == has_nul, "U+0000");
}

static void check_same(const struct tape *a, const struct tape *b)
{
    FUZZ_CHECK(a->n_tokens == b->n_tokens, "%u, %u", a->n_tokens, b->n_tokens);
    for (uint32_t i = 0; i < a->n_tokens; i++) {
        const struct tape_token *x = &a->tokens[i], *y = &b->tokens[i];
        FUZZ_CHECK(x->kind == y->kind && x->flags == y->flags && x->next == y->next &&
                       x->count == y->count,
                   "token %u", i);
    }
}

// The tokens written without white space are a text with the same tape.
static void check_compact(const struct tape *tape)
{
    struct buf text = {0};
    struct tape again;
    uint32_t open[TAPE_DEPTH_DEFAULT], depth = 0;

    for (uint32_t i = 0; i < tape->n_tokens; i++) {
        size_t length;
        const char *raw = tape_raw(tape, i, &length);
        unsigned kind = tape->tokens[i].kind;
        buf_append(&text, raw, kind >= TAPE_ARRAY ? 1 : length);
        if (kind >= TAPE_ARRAY)
            open[depth++] = i;
        uint32_t next = i + 1;
        for (; depth > 0 && tape->tokens[open[depth - 1]].next == next; depth--)
            buf_append_text(&text, tape->tokens[open[depth - 1]].kind == TAPE_ARRAY ? "]" : "}");
        if ((tape->tokens[i].flags & TAPE_KEY) != 0)
            buf_append_text(&text, ":");
        else if (depth > 0 && open[depth - 1] != i)
            buf_append_text(&text, ",");
    }
    char *copy = fuzz_copy(text.data, text.len);
    tape_init(&again, 0);
    FUZZ_CHECK(tape_parse(&again, copy, text.len), "%s", again.error_message);
    check_same(tape, &again);
    tape_deinit(&again);
    free(copy);
    buf_deinit(&text);
}

// Each means of finding structure that this processor has comes to the same.
static void check_variants(const struct tape *tape)
{
    struct tape other;
    tape_init(&other, 0);
    for (int v = 0; v < TAPE_VARIANTS; v++) {
        if (!tape_use(&other, (enum tape_variant)v))
            continue;
        FUZZ_CHECK(tape_parse(&other, tape->data, tape->length) == (tape->error == TAPE_OK), "%d",
                   v);
        FUZZ_CHECK(other.error == tape->error && other.error_offset == tape->error_offset &&
                       strcmp(other.error_message, tape->error_message) == 0,
                   "variant %d: %s at %zu", v, other.error_message, other.error_offset);
        check_same(tape, &other);
    }
    tape_deinit(&other);
}

static void check_refusal(const struct tape *tape)
{
    FUZZ_CHECK(tape->error != TAPE_OK && tape->n_tokens == 0, "%d", tape->error);
    FUZZ_CHECK(tape->error_offset <= tape->length, "%zu", tape->error_offset);
    FUZZ_CHECK(tape->error_message[0] != '\0', "no sentence");
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct tape tape, warm;

    tape_init(&tape, 0);
    tape_init(&warm, 0);
    bool ok = tape_parse(&tape, (const char *)data, size);
    if (ok) {
        check_tokens(&tape);
        check_compact(&tape);
        tape_parse(&warm, "{\"\\u0000\":[1,2,{\"a\":[]}]}", 24);
        FUZZ_CHECK(tape_parse(&warm, (const char *)data, size), "a tape that was used before");
        check_same(&tape, &warm);
    } else {
        check_refusal(&tape);
    }
    check_variants(&tape);
    tape_deinit(&warm);
    tape_deinit(&tape);
    return 0;
}
