// SPDX-License-Identifier: Apache-2.0
// Strings of a tape as the text they stand for, and UTF-8 (RFC 3629). Pure, no allocation.
#ifndef CXSINK_JSON_TEXT_H
#define CXSINK_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tape;

// Are the two texts of `length` bytes the same? For names, most of which are short: no call then.
static inline bool text_same(const char *a, const char *b, size_t length)
{
    uint64_t x, y, x_end, y_end;
    uint32_t x_half = 0, y_half = 0, x_rest = 0, y_rest = 0;

    if (length > 16)
        return memcmp(a, b, length) == 0;
    if (length >= 8) {
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        memcpy(&x_end, a + length - 8, 8);
        memcpy(&y_end, b + length - 8, 8);
        return ((x ^ y) | (x_end ^ y_end)) == 0;
    }
    if (length >= 4) {
        memcpy(&x_half, a, 4);
        memcpy(&y_half, b, 4);
        memcpy(&x_rest, a + length - 4, 4);
        memcpy(&y_rest, b + length - 4, 4);
        return ((x_half ^ y_half) | (x_rest ^ y_rest)) == 0;
    }
    return length == 0 ||
           (a[0] == b[0] && a[length / 2] == b[length / 2] && a[length - 1] == b[length - 1]);
}

// Bytes of the well-formed UTF-8 sequence that starts at `p`, of which `left` bytes may be read (at
// least 1): 1 to 4, or 0 (overlong, a surrogate, beyond U+10FFFF, cut off, a stray byte).
size_t text_utf8_length(const char *p, size_t left);
// The code point that such a sequence of `n` bytes (1 to 4) stands for.
uint32_t text_utf8_decode(const char *p, size_t n);
// Is all of it well-formed? The empty text is.
bool text_utf8_valid(const char *text, size_t length);
// Code points of well-formed UTF-8.
size_t text_code_points(const char *text, size_t length);

// The functions below take a string token of a parsed tape, so its text is known to be right.

// Code points of the string, unescaped: a pair of escaped surrogates is one.
size_t text_string_code_points(const struct tape *tape, uint32_t string);
// Writes the unescaped bytes (UTF-8, no NUL behind them) and returns how many: never more than the
// bytes between the quotes, for which `out` must have room.
size_t text_unescape(const struct tape *tape, uint32_t string, char *out);
// Is the string, unescaped, exactly these bytes?
bool text_string_equals(const struct tape *tape, uint32_t string, const char *text, size_t length);
// Are two strings the same, unescaped? The tapes may be different ones.
bool text_strings_equal(const struct tape *a, uint32_t string_a, const struct tape *b,
                        uint32_t string_b);

#endif
