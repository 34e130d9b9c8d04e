// SPDX-License-Identifier: Apache-2.0
#include "base64_text_priv.h"

#include <string.h>

// What a byte is: VALUE with the value of a character in the bits below, or nothing of base64.
enum { BAD = 0, VALUE = 64, SKIP = 128, PAD = 129 };

// clang-format off
static const unsigned char table[256] = {
    ['\r'] = SKIP, ['\n'] = SKIP, ['='] = PAD,
    ['A'] = 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83,
    84, 85, 86, 87, 88, 89,
    ['a'] = 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107,
    108, 109, 110, 111, 112, 113, 114, 115,
    ['0'] = 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
    ['+'] = 126, ['/'] = 127,
};
// clang-format on

// Characters with values at the start of `text`, a multiple of eight: nearly all of it, mostly.
static size_t plain_run(const char *text, size_t length)
{
    size_t n = 0;
    for (; n + 8 <= length; n += 8) {
        unsigned common = VALUE;
        for (size_t i = 0; i < 8; i++)
            common &= table[(unsigned char)text[n + i]];
        if (common != VALUE)
            break;
    }
    return n;
}

bool base64_text_check(const char *text, size_t length, uint64_t *bytes_r, size_t *offset_r)
{
    uint64_t values = 0;
    size_t padding = 0;
    for (size_t i = 0; i < length; i++) {
        if (padding == 0) {
            size_t run = plain_run(text + i, length - i);
            values += run;
            i += run;
            if (i == length)
                break;
        }
        unsigned entry = table[(unsigned char)text[i]];
        bool is_value = (entry & VALUE) != 0;
        *offset_r = i;
        if (entry == BAD || (is_value && padding > 0))
            return false;
        values += is_value;
        padding += entry == PAD;
        // Only the third and the fourth of a group may be missing.
        if (entry == PAD && (values % 4 < 2 || values % 4 + padding > 4))
            return false;
    }
    *offset_r = length;
    *bytes_r = values / 4 * 3 + (values % 4 > 0 ? values % 4 - 1 : 0);
    return values % 4 != 1;
}

size_t base64_text_begin(const char *text, size_t length, unsigned char *out, size_t room)
{
    size_t n = 0;
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < length && n < room; i++) {
        unsigned v = table[(unsigned char)text[i]];
        if ((v & VALUE) == 0)
            continue;
        held = held << 6 | (v & 63);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (unsigned char)(held >> bits);
        }
    }
    return n;
}
