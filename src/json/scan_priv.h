// SPDX-License-Identifier: Apache-2.0
// Small pieces shared by the files of json/: bytes in words, reading escapes, the fingerprint of
// names.
#ifndef CXSINK_JSON_SCAN_PRIV_H
#define CXSINK_JSON_SCAN_PRIV_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SCAN_ONES UINT64_C(0x0101010101010101)
#define SCAN_HIGHS UINT64_C(0x8080808080808080)

// Eight bytes of text, the first one the lowest.
static inline uint64_t scan_word(const char *p)
{
    uint64_t word;

    memcpy(&word, p, 8);
    return le64toh(word);
}

// Bit 7 of each byte that is `c`. Exact.
static inline uint64_t scan_same(uint64_t word, char c)
{
    uint64_t other = word ^ (SCAN_ONES * (unsigned char)c);

    return ~((other & ~SCAN_HIGHS) + ~SCAN_HIGHS) & ~other & SCAN_HIGHS;
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
