// SPDX-License-Identifier: Apache-2.0
// "$ref" within one file: fragments that are JSON Pointers (RFC 6901 section 6) or anchors, with or
// without the root's "$id" before them; and the proof that no schema applies itself to the value it
// is already looking at.
#include "schema/compile_priv.h"

#include "core/mem.h"
#include "json/pointer.h"

#include <stdlib.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

// In place; false when a "%" is not followed by two hex digits.
static bool percent_decode(char *text, size_t *length)
{
    size_t used = 0;

    for (size_t i = 0; i < *length; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < *length ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < *length ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        text[used++] = c;
    }
    *length = used;
    return true;
}

// Takes the root's "$id" (its own fragment apart) off the front. What is left is a fragment.
static bool take_base(struct compiler *compiler, char **text, size_t *length)
{
    const struct tape *tape = compiler->tape;
    uint32_t id = tape_member(tape, 0, "$id", 3, tape_hash("$id", 3));
    size_t base_length;

    if (*length > 0 && **text == '#')
        return true;
    if (id == TAPE_NONE || tape->tokens[id].kind != TAPE_STRING)
        return *length == 0;
    const char *base = compiler_text(compiler, id, &base_length);
    const char *fragment = memchr(base, '#', base_length);
    if (fragment != NULL)
        base_length = (size_t)(fragment - base);
    if (*length < base_length || memcmp(*text, base, base_length) != 0 ||
        (*length > base_length && (*text)[base_length] != '#'))
        return *length == 0;
    *text += base_length;
    *length -= base_length;
    return true;
}

static uint32_t find_pointer(struct compiler *compiler, uint32_t key, const char *text,
                             size_t length)
{
    struct pointer *pointer = NULL;
    struct status st = {0};

    if (pointer_compile(text, length, &pointer, &st) != STATUS_OK) {
        compiler_fault(compiler, key, "not a JSON Pointer: %s", st.detail);
        return TAPE_NONE;
    }
    uint32_t found = pointer_find(pointer, compiler->tape, 0);
    pointer_destroy(&pointer);
    if (found == TAPE_NONE)
        compiler_fault(compiler, key, "refers to a place that this file does not have");
    return found;
}

static uint32_t find_anchor(struct compiler *compiler, uint32_t key, const char *text,
                            size_t length)
{
    for (size_t i = 0; i < compiler->n_anchors; i++)
        if (compiler->anchors[i].length == length &&
            memcmp(compiler->anchors[i].name, text, length) == 0)
            return compiler->anchors[i].token;
    compiler_fault(compiler, key, "refers to an anchor that this file does not have");
    return TAPE_NONE;
}

// The schema that "$ref" at `key` names, or TAPE_NONE and a fault.
static uint32_t resolve(struct compiler *compiler, uint32_t key)
{
    size_t length;
    char *text = compiler_text(compiler, key + 1, &length);

    if (!take_base(compiler, &text, &length)) {
        compiler_fault(compiler, key,
                       "refers out of this file, which is not supported; move the schema into "
                       "\"$defs\" and write \"#/$defs/NAME\"");
        return TAPE_NONE;
    }
    if (length > 0) { // the "#"
        text++;
        length--;
    }
    if (!percent_decode(text, &length)) {
        compiler_fault(compiler, key, "a %% must be followed by two hex digits");
        return TAPE_NONE;
    }
    if (length == 0)
        return 0;
    return text[0] == '/' ? find_pointer(compiler, key, text, length)
                          : find_anchor(compiler, key, text, length);
}

static bool is_schema(const struct compiler *compiler, uint32_t token)
{
    enum tape_kind kind = (enum tape_kind)compiler->tape->tokens[token].kind;

    return kind == TAPE_OBJECT || kind == TAPE_TRUE || kind == TAPE_FALSE;
}

void refs_resolve(struct compiler *compiler)
{
    size_t n = compiler->n_refs;

    compiler->n_refs = 0; // resolving adds none
    for (size_t i = 0; i < n; i++) {
        struct pending_ref ref = compiler->refs[i];
        uint32_t target = resolve(compiler, ref.token);
        if (target != TAPE_NONE && !is_schema(compiler, target)) {
            compiler_fault(compiler, ref.token, "refers to something that is no schema: %s",
                           tape_kind_name((enum tape_kind)compiler->tape->tokens[target].kind));
            target = TAPE_NONE;
        }
        if (target != TAPE_NONE)
            compiler_refer_in_place(compiler, ref.from, ref.where, target, ref.token);
    }
}

// --- applying to the same value ------------------------------------------------------------------

// Peels blocks that nothing (left) applies, layer by layer; *deepest_r: how many layers. What is
// left in `counts` (of appliers, by block) lies on a circle or behind one.
static void peel(const struct compiler *compiler, uint32_t *counts, uint32_t *depths,
                 uint32_t *deepest_r)
{
    size_t n = compiler->n_blocks, n_edges = compiler->n_in_places;
    uint32_t *first = mem_zalloc((n + 2) * sizeof(*first));
    block_t *targets = mem_realloc_array(NULL, n_edges, sizeof(*targets));
    block_t *ready = mem_realloc_array(NULL, n, sizeof(*ready));
    size_t n_ready = 0;

    for (size_t i = 0; i < n_edges; i++) {
        first[compiler->in_places[i].from + 2]++;
        counts[compiler->in_places[i].to]++;
    }
    for (size_t i = 2; i <= n + 1; i++)
        first[i] += first[i - 1];
    for (size_t i = 0; i < n_edges; i++)
        targets[first[compiler->in_places[i].from + 1]++] = compiler->in_places[i].to;
    for (size_t i = 0; i < n; i++)
        if (counts[i] == 0)
            ready[n_ready++] = (block_t)i;
    *deepest_r = 0;
    for (size_t k = 0; k < n_ready; k++) {
        block_t from = ready[k];
        for (uint32_t i = first[from]; i < first[from + 1]; i++) {
            block_t to = targets[i];
            if (depths[to] < depths[from] + 1)
                depths[to] = depths[from] + 1;
            if (*deepest_r < depths[to])
                *deepest_r = depths[to];
            if (--counts[to] == 0)
                ready[n_ready++] = to;
        }
    }
    free(first);
    free(targets);
    free(ready);
}

void refs_check_in_place(struct compiler *compiler)
{
    uint32_t *counts = mem_zalloc(compiler->n_blocks * sizeof(*counts));
    uint32_t *depths = mem_zalloc(compiler->n_blocks * sizeof(*depths));
    uint32_t deepest;

    peel(compiler, counts, depths, &deepest);
    for (size_t i = 0; i < compiler->n_in_places; i++) {
        const struct in_place *edge = &compiler->in_places[i];
        size_t length;
        const char *name = tape_string(compiler->tape, edge->token, &length);
        if (counts[edge->from] > 0 && counts[edge->to] > 0 &&
            keyword_find(name, length) == KEYWORD_REF)
            compiler_fault(compiler, edge->token,
                           "comes back to itself without going into a member or an element of "
                           "the value: validation would never end");
    }
    if (deepest > SCHEMA_IN_PLACE_MAX)
        compiler_fault(compiler, 0,
                       "schemas apply one another (\"$ref\", \"allOf\", ...) more than %d deep",
                       SCHEMA_IN_PLACE_MAX);
    free(counts);
    free(depths);
}
