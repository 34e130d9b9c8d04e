// SPDX-License-Identifier: Apache-2.0
// JSON as the kinds write it.
#include "kind_priv.h"

#include "core/mem.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void begin_member(struct buf *out, const char *name)
{
    if (out->data[out->len - 1] != '{')
        buf_append_text(out, ",");
    buf_json_string(out, name, strlen(name));
    buf_append_text(out, ":");
}

void put_text(struct buf *out, const char *name, const char *text)
{
    begin_member(out, name);
    if (text == NULL)
        buf_append_text(out, "null");
    else
        buf_json_string(out, text, strlen(text));
}

void put_integer(struct buf *out, const char *name, int64_t value)
{
    begin_member(out, name);
    buf_printf(out, "%" PRIi64, value);
}

void put_boolean(struct buf *out, const char *name, bool value)
{
    put_json(out, name, value ? "true" : "false");
}

void put_json(struct buf *out, const char *name, const char *json)
{
    begin_member(out, name);
    buf_append_text(out, json);
}

void put_value(struct buf *out, const char *name, const struct tape *tape, uint32_t value)
{
    begin_member(out, name);
    if (value == TAPE_NONE)
        buf_append_text(out, "null");
    else
        json_copy(out, tape, value);
}

// --- copies --------------------------------------------------------------------------------------

// numeric of PostgreSQL holds 131,072 digits before the point and 16,383 behind it; what is that
// long is nobody's number.
bool json_number_fits(const char *raw, size_t length)
{
    const char *exponent = memchr(raw, 'e', length);
    if (exponent == NULL)
        exponent = memchr(raw, 'E', length);
    if (exponent == NULL)
        return length <= 1000;
    size_t digits = length - (size_t)(exponent + 1 - raw);
    digits -= !isdigit((unsigned char)exponent[1]);
    return length <= 1000 && digits <= 3;
}

static void copy_number(struct buf *out, const char *raw, size_t length)
{
    if (json_number_fits(raw, length))
        buf_append(out, raw, length);
    else
        buf_json_string(out, raw, length);
}

// The string's text with every \u0000 replaced.
static void copy_string(struct buf *out, const struct tape *tape, uint32_t value)
{
    size_t length;
    const char *raw = tape_raw(tape, value, &length);
    if ((tape->tokens[value].flags & TAPE_HAS_NUL) == 0) {
        buf_append(out, raw, length);
        return;
    }
    for (size_t i = 0; i < length;) {
        size_t n = raw[i] == '\\' ? 2 : 1;
        if (n == 2 && length - i >= 6 && memcmp(raw + i, "\\u0000", 6) == 0) {
            buf_append_text(out, "\\ufffd");
            i += 6;
        } else {
            buf_append(out, raw + i, n);
            i += n;
        }
    }
}

static void copy_array(struct buf *out, const struct tape *tape, uint32_t array)
{
    uint32_t end = tape->tokens[array].next;
    buf_append_text(out, "[");
    for (uint32_t i = array + 1; i != end; i = tape->tokens[i].next) {
        if (i != array + 1)
            buf_append_text(out, ",");
        json_copy(out, tape, i);
    }
    buf_append_text(out, "]");
}

void put_members(struct buf *out, const struct tape *tape, uint32_t object)
{
    uint32_t end = tape->tokens[object].next;
    if (tape->tokens[object].kind != TAPE_OBJECT)
        return;
    for (uint32_t key = object + 1; key != end; key = tape->tokens[key + 1].next) {
        if (out->data[out->len - 1] != '{')
            buf_append_text(out, ",");
        copy_string(out, tape, key);
        buf_append_text(out, ":");
        json_copy(out, tape, key + 1);
    }
}

void json_copy(struct buf *out, const struct tape *tape, uint32_t value)
{
    size_t length;
    const char *raw = tape_raw(tape, value, &length);
    switch ((enum tape_kind)tape->tokens[value].kind) {
    case TAPE_STRING:
        copy_string(out, tape, value);
        break;
    case TAPE_NUMBER:
        copy_number(out, raw, length);
        break;
    case TAPE_ARRAY:
        copy_array(out, tape, value);
        break;
    case TAPE_OBJECT:
        buf_append_text(out, "{");
        put_members(out, tape, value);
        buf_append_text(out, "}");
        break;
    default:
        buf_append(out, raw, length);
    }
}
