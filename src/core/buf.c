// SPDX-License-Identifier: Apache-2.0
#include "core/buf.h"

#include "core/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool buf_grow(struct buf *b, size_t more)
{
    size_t want;
    if (__builtin_add_overflow(b->len, more, &want))
        return false;
    if (b->max != 0 && want > b->max)
        return false;
    if (want <= b->cap)
        return true;
    size_t cap = b->cap < 256 ? 256 : b->cap;
    while (cap < want)
        cap = cap < SIZE_MAX / 2 ? cap * 2 : want;
    if (b->max != 0 && cap > b->max)
        cap = b->max;
    b->data = mem_realloc(b->data, cap);
    b->cap = cap;
    return true;
}

void buf_deinit(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void buf_shrink(struct buf *b, size_t keep)
{
    if (b->len == 0 && b->cap > keep)
        buf_deinit(b);
}

// For a text that fits, but without its NUL.
static bool append_exactly(struct buf *b, size_t length, const char *format, va_list args)
{
    if (buf_reserve(b, length) == NULL)
        return false;
    char *text = mem_alloc(length + 1);
    vsnprintf(text, length + 1, format, args);
    bool ok = buf_append(b, text, length);
    free(text);
    return ok;
}

bool buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *at = need < 0 ? NULL : buf_reserve(b, (size_t)need + 1);
    bool ok = at != NULL;
    if (ok) {
        vsnprintf(at, (size_t)need + 1, format, again);
        b->len += (size_t)need;
    } else if (need >= 0) {
        ok = append_exactly(b, (size_t)need, format, again);
    }
    va_end(again);
    return ok;
}

// Bytes of the well-formed UTF-8 sequence at `p` (RFC 3629 section 4), or 0.
static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] <= 0xf4 ? 4 : 0;
    if (p[0] < 0xc2 || n == 0 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static bool append_escaped(struct buf *b, unsigned char c)
{
    static const char letters[] = {['"'] = '"',  ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r',
                                   ['\t'] = 't', ['\b'] = 'b',  ['\f'] = 'f'};
    if (c < sizeof(letters) && letters[c] != 0) {
        char pair[2] = {'\\', letters[c]};
        return buf_append(b, pair, 2);
    }
    return buf_printf(b, "\\u%04x", c);
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

// Not 0 when a byte of the word is below `limit` (at most 0x80), or above 0x7f.
static uint64_t any_below(uint64_t word, unsigned limit)
{
    return ((word - EACH(limit)) | word) & EACH(0x80);
}

// How many bytes from here on stand for themselves: a multiple of eight, nearly all of it mostly.
static size_t plain_run(const unsigned char *p, size_t length)
{
    size_t n = 0;
    for (; n + 8 <= length; n += 8) {
        uint64_t word;
        memcpy(&word, p + n, 8);
        if ((any_below(word, 0x20) | any_below(word ^ EACH('"'), 1) |
             any_below(word ^ EACH('\\'), 1) | any_below(word ^ EACH(0x7f), 1)) != 0)
            break;
    }
    return n;
}

bool buf_json_string(struct buf *b, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    bool ok = buf_append(b, "\"", 1);
    for (size_t i = 0; ok && i < length;) {
        size_t run = plain_run(p + i, length - i);
        if (run > 0 && buf_append(b, p + i, run)) { // at the cap: what there is room for, below
            i += run;
            continue;
        }
        if (p[i] < 0x20 || p[i] == '"' || p[i] == '\\' || p[i] == 0x7f) {
            ok = append_escaped(b, p[i]);
            i++;
            continue;
        }
        size_t n = utf8_length(p + i, length - i);
        ok = n != 0 ? buf_append(b, p + i, n) : buf_append(b, "\xef\xbf\xbd", 3);
        i += n != 0 ? n : 1;
    }
    return ok && buf_append(b, "\"", 1);
}

const char *buf_text(struct buf *b)
{
    char *end = buf_reserve(b, 1);
    if (end == NULL) // at the cap: the last byte gives way
        end = b->data + b->cap - 1;
    *end = '\0';
    return b->data;
}
