// SPDX-License-Identifier: Apache-2.0
#include "json/text.h"

#include "json/scan_priv.h"
#include "json/tape.h"

uint32_t scan_hex4(const char *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i];
        unsigned char letter = c | 0x20;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            digit = (uint32_t)(letter - 'a' + 10);
        else
            return UINT32_MAX;
        value = value << 4 | digit;
    }
    return value;
}

uint32_t scan_escape(const char **p)
{
    char letter = (*p)[1];
    *p += 2;
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        break;
    default:
        return (unsigned char)letter;
    }
    uint32_t unit = scan_hex4(*p);
    *p += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    uint32_t low = scan_hex4(*p + 2);
    *p += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

size_t scan_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t text_utf8_length(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < 2 || !is_tail(p[1]))
        return 0;
    if (p[0] < 0xe0)
        return 2;
    if (left < 3 || !is_tail(p[2]))
        return 0;
    if (p[0] < 0xf0) {
        bool overlong = p[0] == 0xe0 && p[1] < 0xa0;
        bool surrogate = p[0] == 0xed && p[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (left < 4 || !is_tail(p[3]))
        return 0;
    bool overlong = p[0] == 0xf0 && p[1] < 0x90;
    bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || beyond ? 0 : 4;
}

uint32_t text_utf8_decode(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    if (n == 1)
        return p[0];
    uint32_t c = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

bool text_utf8_valid(const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        uint64_t word;
        if (end - text >= 8 && (memcpy(&word, text, 8), word & SCAN_HIGHS) == 0) {
            text += 8;
            continue;
        }
        size_t n = text_utf8_length(text, (size_t)(end - text));
        if (n == 0)
            return false;
        text += n;
    }
    return true;
}

size_t text_code_points(const char *text, size_t length)
{
    size_t tails = 0;
    size_t i = 0;
    for (; length - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        // A tail byte has bit 7 and not bit 6.
        tails += (size_t)__builtin_popcountll(word & ~(word << 1) & SCAN_HIGHS);
    }
    for (; i < length; i++)
        tails += is_tail((unsigned char)text[i]);
    return length - tails;
}

size_t text_string_code_points(const struct tape *tape, uint32_t string)
{
    size_t length;
    const char *p = tape_string(tape, string, &length);
    unsigned flags = tape->tokens[string].flags;
    if ((flags & (TAPE_ESCAPED | TAPE_NON_ASCII)) == 0)
        return length;
    if ((flags & TAPE_ESCAPED) == 0)
        return text_code_points(p, length);
    const char *end = p + length;
    size_t count = 0;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        count += text_code_points(p, (size_t)((slash != NULL ? slash : end) - p));
        if (slash == NULL)
            break;
        p = slash;
        scan_escape(&p);
        count++;
    }
    return count;
}

size_t text_unescape(const struct tape *tape, uint32_t string, char *out)
{
    size_t length;
    const char *p = tape_string(tape, string, &length);
    const char *end = p + length;
    char *at = out;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash != NULL ? slash : end) - p);
        memcpy(at, p, plain);
        at += plain;
        if (slash == NULL)
            break;
        p = slash;
        // An escape is at least two bytes long and never shorter than what it stands for, but it
        // is encoded aside, as four bytes may not be left.
        char encoded[4];
        size_t n = scan_encode(scan_escape(&p), encoded);
        memcpy(at, encoded, n);
        at += n;
    }
    return (size_t)(at - out);
}

bool text_string_equals(const struct tape *tape, uint32_t string, const char *text, size_t length)
{
    size_t left;
    const char *p = tape_string(tape, string, &left);
    if ((tape->tokens[string].flags & TAPE_ESCAPED) == 0)
        return left == length && text_same(p, text, length);
    const char *end = p + left;
    const char *text_end = text + length;
    while (p < end) {
        char encoded[4] = {*p};
        size_t n = 1;
        if (*p == '\\')
            n = scan_encode(scan_escape(&p), encoded);
        else
            p++;
        if ((size_t)(text_end - text) < n || memcmp(text, encoded, n) != 0)
            return false;
        text += n;
    }
    return text == text_end;
}

// Reads one byte of plain text or one escape.
static uint32_t next_unit(const char **p)
{
    if (**p == '\\')
        return scan_escape(p);
    size_t n = text_utf8_length(*p, 4);
    const unsigned char *c = (const unsigned char *)*p;
    *p += n;
    switch (n) {
    case 2:
        return (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu);
    case 3:
        return (c[0] & 0xfu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
    case 4:
        return (c[0] & 0x7u) << 18 | (c[1] & 0x3fu) << 12 | (c[2] & 0x3fu) << 6 | (c[3] & 0x3fu);
    default:
        return c[0];
    }
}

bool text_strings_equal(const struct tape *a, uint32_t string_a, const struct tape *b,
                        uint32_t string_b)
{
    size_t length;
    const char *p = tape_string(a, string_a, &length);
    if ((a->tokens[string_a].flags & TAPE_ESCAPED) == 0)
        return text_string_equals(b, string_b, p, length);
    const char *end = p + length;
    const char *q = tape_string(b, string_b, &length);
    const char *q_end = q + length;
    if ((b->tokens[string_b].flags & TAPE_ESCAPED) == 0)
        return text_string_equals(a, string_a, q, length);
    while (p < end && q < q_end) {
        if (next_unit(&p) != next_unit(&q))
            return false;
    }
    return p == end && q == q_end;
}
