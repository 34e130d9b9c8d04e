// SPDX-License-Identifier: Apache-2.0
#include "jobs/base64_text.h"

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

// False: it cannot stand here.
static bool add_character(struct base64_text *scan, char c)
{
    unsigned entry = table[(unsigned char)c];
    bool is_value = (entry & VALUE) != 0;
    if (entry == BAD || (is_value && scan->padding > 0))
        return false;
    scan->values += is_value;
    scan->padding += entry == PAD;
    // Only the third and the fourth of a group may be missing.
    return entry != PAD || (scan->values % 4 >= 2 && scan->values % 4 + scan->padding <= 4);
}

void base64_text_add(struct base64_text *scan, const char *piece, size_t length)
{
    for (size_t i = 0; i < length && !scan->bad;) {
        size_t run = scan->padding == 0 ? plain_run(piece + i, length - i) : 0;
        scan->values += run;
        scan->at += run;
        i += run;
        if (i == length)
            break;
        scan->bad = !add_character(scan, piece[i++]);
        scan->at += !scan->bad;
    }
}

bool base64_text_end(const struct base64_text *scan, uint64_t *bytes_r)
{
    uint64_t rest = scan->values % 4;
    *bytes_r = scan->values / 4 * 3 + (rest > 0 ? rest - 1 : 0);
    return !scan->bad && rest != 1;
}

bool base64_text_check(const char *text, size_t length, uint64_t *bytes_r, size_t *offset_r)
{
    struct base64_text scan = {0};
    base64_text_add(&scan, text, length);
    *offset_r = scan.at;
    return base64_text_end(&scan, bytes_r);
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
