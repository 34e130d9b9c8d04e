// SPDX-License-Identifier: Apache-2.0
#include "json/pointer.h"

#include "core/mem.h"
#include "json/tape.h"
#include "json/text.h"

#include <stdlib.h>
#include <string.h>

static enum status_code check(const char *text, size_t length, size_t *n_parts_r, struct status *st)
{
    size_t parts = 0;
    if (length != 0 && text[0] != '/')
        return status_set(st, STATUS_INVALID, "a JSON Pointer is empty or starts with '/'");
    if (!text_utf8_valid(text, length))
        return status_set(st, STATUS_INVALID, "a JSON Pointer must be UTF-8");
    for (size_t i = 0; i < length; i++) {
        parts += text[i] == '/';
        if (text[i] == '~' && (i + 1 == length || (text[i + 1] != '0' && text[i + 1] != '1')))
            return status_set(st, STATUS_INVALID,
                              "'~' in a JSON Pointer must be followed by 0 or 1 (~0 is '~', ~1 is "
                              "'/'), at byte %zu",
                              i);
    }
    if (parts > POINTER_PARTS_MAX)
        return status_set(st, STATUS_INVALID, "a JSON Pointer may have at most %d parts",
                          POINTER_PARTS_MAX);
    *n_parts_r = parts;
    return STATUS_OK;
}

static void read_index(struct pointer_part *part)
{
    const char *name = part->name;
    part->is_index = part->length != 0 && (name[0] != '0' || part->length == 1);
    uint64_t value = 0;
    for (uint32_t i = 0; i < part->length; i++) {
        if (name[i] < '0' || name[i] > '9') {
            part->is_index = false;
            return;
        }
        if (value < UINT32_MAX)
            value = value * 10 + (uint64_t)(name[i] - '0');
    }
    part->index = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

enum status_code pointer_compile(const char *text, size_t length, struct pointer **pointer_r,
                                 struct status *st)
{
    *pointer_r = NULL;
    size_t n_parts = 0;
    enum status_code code = check(text, length, &n_parts, st);
    if (code != STATUS_OK)
        return code;
    // The names follow the parts; each '/' leaves room for its part's NUL, but the last needs one.
    struct pointer *pointer =
        mem_zalloc(sizeof(*pointer) + n_parts * sizeof(pointer->parts[0]) + length + 1);
    pointer->n_parts = n_parts;
    char *out = (char *)&pointer->parts[n_parts];
    size_t i = 0;
    for (size_t part = 0; part < n_parts; part++) {
        struct pointer_part *p = &pointer->parts[part];
        p->name = out;
        for (i++; i < length && text[i] != '/'; i++) {
            char c = text[i];
            if (c == '~')
                c = text[++i] == '0' ? '~' : '/';
            *out++ = c;
        }
        p->length = (uint32_t)(out - p->name);
        *out++ = '\0';
        p->hash = tape_hash(p->name, p->length);
        read_index(p);
    }
    *pointer_r = pointer;
    return STATUS_OK;
}

void pointer_destroy(struct pointer **pointer)
{
    free(*pointer);
    *pointer = NULL;
}

uint32_t pointer_find(const struct pointer *pointer, const struct tape *tape, uint32_t root)
{
    uint32_t at = root;
    for (size_t i = 0; i < pointer->n_parts && at != TAPE_NONE; i++) {
        const struct pointer_part *part = &pointer->parts[i];
        if (tape->tokens[at].kind == TAPE_OBJECT)
            at = tape_member(tape, at, part->name, part->length, part->hash);
        else
            at = part->is_index ? tape_element(tape, at, part->index) : TAPE_NONE;
    }
    return at;
}

static bool append_name(const struct tape *tape, uint32_t key, struct buf *out)
{
    size_t length;
    tape_string(tape, key, &length);
    // Unescaped at the end of twice the room, then moved forward, as each '~' and '/' becomes two.
    char *room = buf_reserve(out, 2 * length + 1);
    if (room == NULL)
        return false;
    char *name = room + length + 1;
    size_t n = text_unescape(tape, key, name);
    char *at = room;
    *at++ = '/';
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (c == '~' || c == '/') {
            *at++ = '~';
            c = c == '~' ? '0' : '1';
        }
        *at++ = c;
    }
    out->len += (size_t)(at - room);
    return true;
}

// Goes one level down towards `target`: the child that holds it, its step appended. TAPE_NONE at
// the cap of `out`.
static uint32_t descend(const struct tape *tape, uint32_t at, uint32_t target, struct buf *out)
{
    const struct tape_token *tokens = tape->tokens;
    bool object = tokens[at].kind == TAPE_OBJECT;
    uint32_t value = at + 1 + object;
    uint32_t n = 0;
    while (tokens[value].next <= target) {
        value = tokens[value].next + object;
        n++;
    }
    bool ok = object ? append_name(tape, value - 1, out) : buf_printf(out, "/%u", n);
    return ok ? value : TAPE_NONE;
}

bool pointer_of(const struct tape *tape, uint32_t target, struct buf *out)
{
    return pointer_of_below(tape, 0, target, out);
}

bool pointer_of_below(const struct tape *tape, uint32_t root, uint32_t target, struct buf *out)
{
    if ((tape->tokens[target].flags & TAPE_KEY) != 0)
        target++;
    uint32_t at = root;
    while (at != target) {
        at = descend(tape, at, target, out);
        if (at == TAPE_NONE)
            return false;
    }
    return true;
}
