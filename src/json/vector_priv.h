// SPDX-License-Identifier: Apache-2.0
// The few questions about a piece of text that the parser asks many bytes at a time, by one means
// of the CPU's: AVX2, SSE4.2 or NEON where VECTOR_AVX2, VECTOR_SSE42 or VECTOR_NEON is defined,
// else a word of eight bytes. Compiled once for each by src/json/parse_*.c, through parser_priv.h.
//
// Each question looks at the VECTOR_SIZE bytes at `at` without the first `skip` of them (fewer than
// VECTOR_SIZE). The answer is a mask with VECTOR_STEP bits a byte, from the byte at + skip on, of
// which only the lowest set bit counts. An answer may lie behind the vector: then it is not there.
#ifndef CXSINK_JSON_VECTOR_PRIV_H
#define CXSINK_JSON_VECTOR_PRIV_H

#include "json/scan_priv.h"
#include "json/text.h"

#if defined(VECTOR_AVX2)
#include <immintrin.h>
#define VECTOR_TARGET __attribute__((target("avx2,bmi,bmi2")))
#define VECTOR_SIZE 32
#define VECTOR_STEP 1
#elif defined(VECTOR_SSE42)
#include <immintrin.h>
#define VECTOR_TARGET __attribute__((target("sse4.2")))
#define VECTOR_SIZE 16
#define VECTOR_STEP 1
#elif defined(VECTOR_NEON)
#include <arm_neon.h>
#define VECTOR_TARGET
#define VECTOR_SIZE 16
#define VECTOR_STEP 4
#else
#define VECTOR_TARGET
#define VECTOR_SIZE 8
#define VECTOR_STEP 8
#endif

#define VECTOR_INLINE VECTOR_TARGET static inline __attribute__((always_inline))

#if VECTOR_SIZE > 8

// --- what differs between the means --------------------------------------------------------------

typedef uint8_t vector_t __attribute__((vector_size(VECTOR_SIZE)));
typedef int8_t signed_vector_t __attribute__((vector_size(VECTOR_SIZE)));

// Of a vector of 0x00 and 0xff the mask; `v` as an index into 16 bytes, repeated in each 16.
#if defined(VECTOR_AVX2)

VECTOR_INLINE uint64_t vector_mask(vector_t v)
{
    return (uint32_t)_mm256_movemask_epi8((__m256i)v);
}

VECTOR_INLINE vector_t vector_lookup(const uint8_t table[16], vector_t nibbles)
{
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)table);

    return (vector_t)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half), (__m256i)nibbles);
}

#elif defined(VECTOR_SSE42)

VECTOR_INLINE uint64_t vector_mask(vector_t v)
{
    return (uint32_t)_mm_movemask_epi8((__m128i)v);
}

VECTOR_INLINE vector_t vector_lookup(const uint8_t table[16], vector_t nibbles)
{
    return (vector_t)_mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)table),
                                      (__m128i)nibbles);
}

#elif defined(VECTOR_NEON)

VECTOR_INLINE uint64_t vector_mask(vector_t v)
{
    uint8x8_t nibbles = vshrn_n_u16(vreinterpretq_u16_u8((uint8x16_t)v), 4);

    return vget_lane_u64(vreinterpret_u64_u8(nibbles), 0);
}

VECTOR_INLINE vector_t vector_lookup(const uint8_t table[16], vector_t nibbles)
{
    return (vector_t)vqtbl1q_u8(vld1q_u8(table), (uint8x16_t)nibbles);
}

#endif

VECTOR_INLINE vector_t vector_load(const char *at)
{
    vector_t v;

    memcpy(&v, at, sizeof(v));
    return v;
}

VECTOR_INLINE vector_t vector_fill(uint8_t byte)
{
    return byte - (vector_t){0};
}

// --- the questions -------------------------------------------------------------------------------

// Where is a quote, a backslash, a byte below 0x20 or, with `high`, above 0x7f?
VECTOR_INLINE uint64_t vector_stops(const char *at, size_t skip, bool high)
{
    vector_t text = vector_load(at);
    vector_t stops = (vector_t)(text == vector_fill('"')) | (vector_t)(text == vector_fill('\\'));

    if (high) // as signed bytes those above 0x7f are below 0x20, too
        stops |= (vector_t)((signed_vector_t)text < (signed_vector_t)vector_fill(0x20));
    else
        stops |= (vector_t)(text < vector_fill(0x20));
    return vector_mask(stops) >> skip * VECTOR_STEP;
}

// Where is a byte that is no white space?
VECTOR_INLINE uint64_t vector_no_space(const char *at, size_t skip)
{
    vector_t text = vector_load(at);
    vector_t space = (vector_t)(text == vector_fill(' ')) | (vector_t)(text == vector_fill('\n')) |
                     (vector_t)(text == vector_fill('\r')) | (vector_t)(text == vector_fill('\t'));

    return vector_mask(~space) >> skip * VECTOR_STEP;
}

// Faults of UTF-8 (RFC 3629), by what two bytes in sequence can say: the first byte's nibbles and
// the second's high one each name the faults that they are no alibi for. See Keiser and Lemire,
// "Validating UTF-8 in less than one instruction per byte" (2020).
enum {
    UTF8_NO_TAIL = 1,     // a lead, then no tail
    UTF8_STRAY = 2,       // ASCII, then a tail
    UTF8_OVERLONG_3 = 4,  // e0 80..9f
    UTF8_BEYOND = 8,      // f4 90..bf, f5.. 90..
    UTF8_SURROGATE = 16,  // ed a0..bf
    UTF8_OVERLONG_2 = 32, // c0, c1
    UTF8_BORDER = 64,     // f0 80..8f (overlong), f5.. 80..8f (beyond)
    UTF8_TAILS = 128,     // a tail, then a tail: right behind longer leads only
};

VECTOR_INLINE vector_t vector_pair_faults(vector_t first, vector_t second)
{
    enum { ANY = UTF8_NO_TAIL | UTF8_STRAY | UTF8_TAILS };
    enum { LEAD_F = ANY | UTF8_BEYOND | UTF8_BORDER };
    enum { TAIL = UTF8_STRAY | UTF8_OVERLONG_2 | UTF8_TAILS };
    static const uint8_t first_high[16] = {
        2,
        2,
        2,
        2,
        2,
        2,
        2,
        2, // ASCII
        128,
        128,
        128,
        128,                            // tails
        UTF8_NO_TAIL | UTF8_OVERLONG_2, // c
        UTF8_NO_TAIL,                   // d
        UTF8_NO_TAIL | UTF8_OVERLONG_3 | UTF8_SURROGATE,
        UTF8_NO_TAIL | UTF8_BEYOND | UTF8_BORDER,
    };
    static const uint8_t first_low[16] = {
        ANY | UTF8_OVERLONG_2 | UTF8_OVERLONG_3 | UTF8_BORDER,
        ANY | UTF8_OVERLONG_2,
        ANY,
        ANY,
        ANY | UTF8_BEYOND,
        LEAD_F,
        LEAD_F,
        LEAD_F,
        LEAD_F,
        LEAD_F,
        LEAD_F,
        LEAD_F,
        LEAD_F,
        LEAD_F | UTF8_SURROGATE,
        LEAD_F,
        LEAD_F,
    };
    static const uint8_t second_high[16] = {
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        1, // ASCII
        TAIL | UTF8_OVERLONG_3 | UTF8_BORDER,
        TAIL | UTF8_OVERLONG_3 | UTF8_BEYOND,
        TAIL | UTF8_SURROGATE | UTF8_BEYOND,
        TAIL | UTF8_SURROGATE | UTF8_BEYOND,
        1,
        1,
        1,
        1, // leads
    };

    return vector_lookup(first_high, first >> 4) & vector_lookup(first_low, first & 0x0f) &
           vector_lookup(second_high, second >> 4);
}

// Not zero where the text is not UTF-8, judged from three bytes before `at` on, which are read.
VECTOR_INLINE vector_t vector_utf8_faults(const char *at)
{
    vector_t longer = (vector_t)(vector_load(at - 2) >= vector_fill(0xe0)) |
                      (vector_t)(vector_load(at - 3) >= vector_fill(0xf0));

    return vector_pair_faults(vector_load(at - 1), vector_load(at)) ^
           (longer & vector_fill(UTF8_TAILS));
}

VECTOR_TARGET static inline bool vector_utf8_valid(const char *p, const char *end)
{
    const char *start = p;
    vector_t faults = {0};

    if (end - p < VECTOR_SIZE + 8)
        return text_utf8_valid(p, (size_t)(end - p));
    while (p - start < 3) { // so that there are three bytes to look back at
        size_t n = text_utf8_length(p, (size_t)(end - p));
        if (n == 0)
            return false;
        p += n;
    }
    for (; end - p > VECTOR_SIZE; p += VECTOR_SIZE)
        faults |= vector_utf8_faults(p);
    faults |= vector_utf8_faults(end - VECTOR_SIZE);
    bool cut = (uint8_t)end[-1] >= 0xc0 || (uint8_t)end[-2] >= 0xe0 || (uint8_t)end[-3] >= 0xf0;
    return !cut && vector_mask((vector_t)(faults != 0)) == 0;
}

#else

VECTOR_INLINE uint64_t vector_stops(const char *at, size_t skip, bool high)
{
    uint64_t text = scan_word(at) >> skip * 8; // what comes in from the top is a stop, too

    uint64_t below = (text - SCAN_ONES * 0x20) & ~text; // right up to the lowest one

    return ((high ? below | text : below) & SCAN_HIGHS) | scan_same(text, '"') |
           scan_same(text, '\\');
}

VECTOR_INLINE uint64_t vector_no_space(const char *at, size_t skip)
{
    uint64_t text = scan_word(at) >> skip * 8;

    return ~(scan_same(text, ' ') | scan_same(text, '\n') | scan_same(text, '\r') |
             scan_same(text, '\t')) &
           SCAN_HIGHS;
}

VECTOR_INLINE bool vector_utf8_valid(const char *p, const char *end)
{
    return text_utf8_valid(p, (size_t)(end - p));
}

#endif

#endif
