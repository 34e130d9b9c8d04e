// SPDX-License-Identifier: Apache-2.0
// Inner loops shared by the files of json/: finding the end of plain text in a string, reading
// escapes, the fingerprint of names.
#ifndef CXSINK_JSON_SCAN_PRIV_H
#define CXSINK_JSON_SCAN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SCAN_ONES UINT64_C(0x0101010101010101)
#define SCAN_HIGHS UINT64_C(0x8080808080808080)

// Not zero when a byte of `word` ends plain text: '"', '\\', below 0x20, above 0x7f.
static inline uint64_t scan_word(uint64_t word)
{
    uint64_t quote = word ^ (SCAN_ONES * '"');
    uint64_t slash = word ^ (SCAN_ONES * '\\');
    uint64_t found = (quote - SCAN_ONES) & ~quote;
    found |= (slash - SCAN_ONES) & ~slash;
    found |= word - SCAN_ONES * 0x20;
    return (found | word) & SCAN_HIGHS;
}

static inline bool scan_is_special(char c)
{
    return c == '"' || c == '\\' || (unsigned char)c < 0x20 || (unsigned char)c > 0x7f;
}

// First byte from `p` on that is not plain ASCII text of a string, or `end`.
static inline const char *scan_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    for (; end - p >= 16; p += 16) {
        __m128i text = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i special = _mm_or_si128(_mm_cmpeq_epi8(text, quote), _mm_cmpeq_epi8(text, slash));
        // As signed bytes everything above 0x7f is below 0x20, too.
        special = _mm_or_si128(special, _mm_cmplt_epi8(text, space));
        int mask = _mm_movemask_epi8(special);
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    for (; end - p >= 8; p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        if (scan_word(word) != 0)
            break;
    }
    while (p < end && !scan_is_special(*p))
        p++;
    return p;
}

static inline uint64_t scan_load(const char *p, size_t bytes)
{
    uint64_t word = 0;
    memcpy(&word, p, bytes);
    return word;
}

// Fingerprint of a name: its length, its first, middle and last bytes.
static inline uint32_t scan_fingerprint(const char *p, size_t length)
{
    uint64_t a;
    uint64_t b;
    if (length >= 8) {
        a = scan_load(p, 8);
        b = scan_load(p + length - 8, 8);
        if (length > 16)
            a ^= scan_load(p + length / 2 - 4, 8) * UINT64_C(0x9e3779b97f4a7c15);
    } else if (length >= 4) {
        a = scan_load(p, 4);
        b = scan_load(p + length - 4, 4);
    } else if (length != 0) {
        a = (unsigned char)p[0];
        b = (uint64_t)(unsigned char)p[length / 2] << 8 | (unsigned char)p[length - 1];
    } else {
        a = b = 0;
    }
    uint64_t h = (a + length) * UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    h = (h ^ b) * UINT64_C(0xa0761d6478bd642f);
    return (uint32_t)(h >> 32);
}

// The code unit of four hexadecimal digits, or UINT32_MAX.
uint32_t scan_hex4(const char *p);
// Reads one escape that is known to be right; `*p` is at its backslash and is moved behind it (a
// surrogate pair is one). Returns the code point.
uint32_t scan_escape(const char **p);
// Writes a code point as UTF-8: 1 to 4 bytes.
size_t scan_encode(uint32_t code_point, char out[4]);

#endif
