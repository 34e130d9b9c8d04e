// SPDX-License-Identifier: Apache-2.0
// A JSON number taken apart, for the files that calculate with numbers as text.
#ifndef CXSINK_JSON_DECIMAL_PRIV_H
#define CXSINK_JSON_DECIMAL_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// d.ddd * 10^exponent, from the first significant digit to the last.
struct decimal {
    bool negative;
    const char *digits; // in the text; may have the '.' inside
    size_t n_digits;    // 0: zero
    int64_t exponent;
};

struct decimal decimal_of(const char *text, size_t length);

// Moves to the next digit, over the point.
static inline const char *decimal_next(const char *p)
{
    p++;
    return *p == '.' ? p + 1 : p;
}

#endif
