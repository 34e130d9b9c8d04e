// SPDX-License-Identifier: Apache-2.0
// json/pointer: a pointer in the first line, a document behind it. What it finds is what a plain
// walk over names finds, and the pointer of every token leads back to it.
#include "fuzz.h"

#include "core/buf.h"
#include "json/pointer.h"
#include "json/tape.h"
#include "json/text.h"

// "~1" is '/', "~0" is '~' (RFC 6901 section 4). False when it is neither.
static bool unescape(struct fuzz_piece part, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < part.size; i++) {
        char c = part.data[i];
        if (c == '~') {
            if (++i == part.size || (part.data[i] != '0' && part.data[i] != '1'))
                return false;
            c = part.data[i] == '0' ? '~' : '/';
        }
        buf_append(out, &c, 1);
    }
    return true;
}

// Digits without a leading zero; -1 otherwise, and for what is no array's index anyway.
static int64_t index_of(const struct buf *name)
{
    int64_t value = 0;
    if (name->len == 0 || name->len > 9 || (name->data[0] == '0' && name->len > 1))
        return -1;
    for (size_t i = 0; i < name->len; i++) {
        if (name->data[i] < '0' || name->data[i] > '9')
            return -1;
        value = value * 10 + (name->data[i] - '0');
    }
    return value;
}

static uint32_t child(const struct tape *tape, uint32_t at, const struct buf *name)
{
    const struct tape_token *tokens = tape->tokens;
    const char *text = name->len > 0 ? name->data : "";
    int64_t index = index_of(name), i = 0;

    if (tokens[at].kind == TAPE_OBJECT) {
        for (uint32_t key = at + 1; key < tokens[at].next; key = tokens[key + 1].next)
            if (text_string_equals(tape, key, text, name->len))
                return key + 1;
    } else if (tokens[at].kind == TAPE_ARRAY && index >= 0) {
        for (uint32_t e = at + 1; e < tokens[at].next; e = tokens[e].next)
            if (i++ == index)
                return e;
    }
    return TAPE_NONE;
}

// False when the pointer is none.
static bool walk(struct fuzz_piece pointer, const struct tape *tape, uint32_t *found_r)
{
    struct buf name = {0};
    const char *end = pointer.data + pointer.size;
    bool ok =
        text_utf8_valid(pointer.data, pointer.size) && (pointer.size == 0 || *pointer.data == '/');
    *found_r = 0;
    for (const char *p = pointer.data; ok && p < end;) {
        struct fuzz_piece part = {p + 1, 0};
        while (part.data + part.size < end && part.data[part.size] != '/')
            part.size++;
        p = part.data + part.size;
        ok = unescape(part, &name);
        if (ok && *found_r != TAPE_NONE)
            *found_r = child(tape, *found_r, &name);
    }
    buf_deinit(&name);
    return ok;
}

static void check_way_back(const struct tape *tape, uint32_t token)
{
    struct buf text = {0};
    struct pointer *pointer;
    bool key = (tape->tokens[token].flags & TAPE_KEY) != 0;

    FUZZ_CHECK(pointer_of(tape, token, &text), "token %u", token);
    char *copy = fuzz_copy(text.data, text.len);
    FUZZ_CHECK(pointer_compile(copy, text.len, &pointer, NULL) == STATUS_OK, "token %u: %.*s",
               token, (int)text.len, copy);
    FUZZ_CHECK(pointer_find(pointer, tape, 0) == token + key, "token %u: %.*s", token,
               (int)text.len, copy);
    pointer_destroy(&pointer);
    free(copy);
    buf_deinit(&text);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct fuzz_piece rest = {(const char *)data, size}, line = fuzz_line(&rest);
    struct tape tape;
    struct pointer *pointer = NULL;
    struct status st = {0};
    uint32_t expected;
    char *text = fuzz_copy(line.data, line.size);

    tape_init(&tape, 0);
    if (!tape_parse(&tape, rest.data, rest.size))
        tape_parse(&tape, "{\"\":[0,{\"/~\":1}],\"0\":2}", 24);
    bool right = walk(line, &tape, &expected);
    bool compiled = pointer_compile(text, line.size, &pointer, &st) == STATUS_OK;
    if (compiled) {
        FUZZ_CHECK(right && pointer->n_parts <= POINTER_PARTS_MAX, "%.*s", (int)line.size, text);
        FUZZ_CHECK(pointer_find(pointer, &tape, 0) == expected, "%.*s", (int)line.size, text);
    } else {
        FUZZ_CHECK(!right || line.size >= POINTER_PARTS_MAX, "%s", st.detail);
    }
    for (uint32_t i = 0; i < tape.n_tokens && i < 200; i++)
        check_way_back(&tape, i);
    pointer_destroy(&pointer);
    tape_deinit(&tape);
    free(text);
    return 0;
}
