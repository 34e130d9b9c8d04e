// SPDX-License-Identifier: Apache-2.0
#include "readback_priv.h"

#include "core/mem.h"
#include "json/number.h"
#include "json/pointer.h"
#include "json/text.h"
#include "kind_priv.h"

#include <stdlib.h>
#include <string.h>

struct comparison {
    const struct tape *sent, *read;
    struct buf *out;
    unsigned count;
};

static void differ(struct comparison *c, uint32_t sent, uint32_t read)
{
    struct buf pointer = {0};
    if (++c->count > READBACK_MAX)
        return;
    pointer_of(c->sent, sent, &pointer);
    buf_append_text(c->out, c->count > 1 ? ",{" : "{");
    put_text(c->out, "pointer", buf_text(&pointer));
    put_value(c->out, "sent", c->sent, sent);
    if (read != TAPE_NONE)
        put_value(c->out, "read", c->read, read);
    buf_append_text(c->out, "}");
    buf_deinit(&pointer);
}

static bool numbers_equal(const struct comparison *c, uint32_t sent, uint32_t read)
{
    size_t a_length, b_length;
    const char *a = tape_raw(c->sent, sent, &a_length);
    const char *b = tape_raw(c->read, read, &b_length);
    return number_compare(a, a_length, b, b_length) == 0;
}

static bool scalars_equal(const struct comparison *c, uint32_t sent, uint32_t read)
{
    if (c->sent->tokens[sent].kind != c->read->tokens[read].kind)
        return false;
    if (c->sent->tokens[sent].kind == TAPE_NUMBER)
        return numbers_equal(c, sent, read);
    return c->sent->tokens[sent].kind != TAPE_STRING ||
           text_strings_equal(c->sent, sent, c->read, read);
}

// Arrays of the bodies hold scalars, and are told as a whole.
static bool arrays_equal(const struct comparison *c, uint32_t sent, uint32_t read)
{
    if (c->sent->tokens[sent].count != c->read->tokens[read].count)
        return false;
    uint32_t b = read + 1;
    for (uint32_t a = sent + 1; a != c->sent->tokens[sent].next; a = c->sent->tokens[a].next) {
        if (!scalars_equal(c, a, b))
            return false;
        b = c->read->tokens[b].next;
    }
    return true;
}

static void compare(struct comparison *c, uint32_t sent, uint32_t read);

static void compare_members(struct comparison *c, uint32_t sent, uint32_t read)
{
    uint32_t end = c->sent->tokens[sent].next;
    for (uint32_t key = sent + 1; key != end; key = c->sent->tokens[key + 1].next) {
        char *name = lookup_text(c->sent, key);
        uint32_t value = lookup_member(c->read, read, name);
        bool untold = sent == 0 && value == TAPE_NONE && strcmp(name, "metadata") == 0;
        if (!untold)
            compare(c, key + 1, value);
        free(name);
    }
}

static void compare(struct comparison *c, uint32_t sent, uint32_t read)
{
    enum tape_kind kind = c->sent->tokens[sent].kind;
    bool same_kind = read != TAPE_NONE && c->read->tokens[read].kind == kind;
    if (same_kind && kind == TAPE_OBJECT)
        compare_members(c, sent, read);
    else if (!same_kind ||
             (kind == TAPE_ARRAY ? !arrays_equal(c, sent, read) : !scalars_equal(c, sent, read)))
        differ(c, sent, read);
}

void readback_compare(const struct tape *sent, const struct tape *read, struct buf *differences)
{
    struct comparison c = {sent, read, differences, 0};
    compare(&c, 0, 0);
}

char *readback_sentence(const struct tape *tape, uint32_t differences)
{
    struct buf out = {0};
    uint32_t end = tape->tokens[differences].next;
    for (uint32_t i = differences + 1; i != end; i = tape->tokens[i].next) {
        char *pointer = lookup_text(tape, lookup_member(tape, i, "pointer"));
        char *sent = lookup_raw(tape, lookup_member(tape, i, "sent"));
        char *read = lookup_raw(tape, lookup_member(tape, i, "read"));
        buf_printf(&out, "%s%s (sent %.60s, read %.60s)", out.len > 0 ? ", " : "", pointer, sent,
                   read != NULL ? read : "nothing");
        free(pointer);
        free(sent);
        free(read);
    }
    char *sentence = mem_strdup(buf_text(&out));
    buf_deinit(&out);
    return sentence;
}
