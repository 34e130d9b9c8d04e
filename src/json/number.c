// SPDX-License-Identifier: Apache-2.0
#include "json/number.h"

#include "json/decimal_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Exponents beyond this are all alike: no text that fits in memory brings one back from there.
#define EXPONENT_LIMIT (INT64_C(1) << 60)
// Significant digits that decide how a double is rounded; what follows only counts as "more".
#define DOUBLE_DIGITS 800

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static int64_t read_exponent(const char *p, const char *end)
{
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    int64_t value = 0;
    for (; p < end; p++) {
        if (value < EXPONENT_LIMIT / 10)
            value = value * 10 + (*p - '0');
        else
            value = EXPONENT_LIMIT;
    }
    return negative ? -value : value;
}

struct decimal decimal_of(const char *text, size_t length)
{
    const char *end = text + length;
    struct decimal d = {.negative = *text == '-'};
    const char *p = text + d.negative;
    const char *first = NULL; // significant digits
    const char *last = NULL;
    const char *point = NULL;
    for (; p < end && (is_digit(*p) || *p == '.'); p++) {
        if (*p == '.') {
            point = p;
        } else if (*p != '0') {
            first = first != NULL ? first : p;
            last = p;
        }
    }
    if (first == NULL)
        return d;
    const char *mantissa_end = p;
    if (p < end)
        d.exponent = read_exponent(p + 1, end);
    const char *units = point != NULL ? point : mantissa_end; // behind the digit of the ones
    d.exponent += first < units ? units - first - 1 : units - first;
    d.digits = first;
    d.n_digits = (size_t)(last - first) + 1;
    if (point != NULL && first < point && point < last)
        d.n_digits--;
    return d;
}

static bool decimal_is_integer(const struct decimal *d)
{
    return d->n_digits == 0 || d->exponent >= (int64_t)d->n_digits - 1;
}

bool number_is_integer(const char *text, size_t length)
{
    if (memchr(text, '.', length) == NULL && memchr(text, 'e', length) == NULL &&
        memchr(text, 'E', length) == NULL)
        return true;
    struct decimal d = decimal_of(text, length);
    return decimal_is_integer(&d);
}

// At most 18 digits and nothing else.
static bool short_integer(const char *text, size_t length, int64_t *value_r)
{
    bool negative = *text == '-';
    if (length - negative > 18)
        return false;
    int64_t value = 0;
    for (size_t i = negative; i < length; i++) {
        if (!is_digit(text[i]))
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *value_r = negative ? -value : value;
    return true;
}

enum number_result number_to_int64(const char *text, size_t length, int64_t *value_r)
{
    if (short_integer(text, length, value_r))
        return NUMBER_OK;
    struct decimal d = decimal_of(text, length);
    if (!decimal_is_integer(&d))
        return NUMBER_FRACTION;
    if (d.exponent > 18)
        return NUMBER_RANGE;
    // Counted downwards, as the negative range is the larger one.
    int64_t value = 0;
    const char *p = d.digits;
    for (int64_t i = 0; d.n_digits != 0 && i <= d.exponent; i++) {
        int digit = i < (int64_t)d.n_digits ? *p - '0' : 0;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return NUMBER_RANGE;
        if (i + 1 < (int64_t)d.n_digits)
            p = decimal_next(p);
    }
    if (!d.negative && value == INT64_MIN)
        return NUMBER_RANGE;
    *value_r = d.negative ? value : -value;
    return NUMBER_OK;
}

// Up to 15 digits and a power of ten up to 22 are exact as doubles, so that one operation rounds
// once (Clinger, "How to read floating point numbers accurately", 1990).
static bool short_double(const char *text, size_t length, double *value_r)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (length > 17)
        return false;
    bool negative = *text == '-';
    int64_t mantissa = 0;
    int decimals = -1;
    for (size_t i = negative; i < length; i++) {
        if (text[i] == '.') {
            decimals = 0;
            continue;
        }
        if (!is_digit(text[i]))
            return false;
        mantissa = mantissa * 10 + (text[i] - '0');
        decimals += decimals >= 0;
    }
    if (mantissa >= INT64_C(1) << 53)
        return false;
    double value = (double)mantissa / powers[decimals > 0 ? decimals : 0];
    *value_r = negative ? -value : value;
    return true;
}

enum number_result number_to_double(const char *text, size_t length, double *value_r)
{
    if (short_double(text, length, value_r))
        return NUMBER_OK;
    struct decimal d = decimal_of(text, length);
    // Rewritten as 0.ddd...e(exponent + 1): bounded however long the text is.
    char copy[DOUBLE_DIGITS + 40] = "-0.0";
    size_t at = 3;
    const char *p = d.digits;
    for (size_t i = 0; i < d.n_digits && i < DOUBLE_DIGITS; i++) {
        copy[at++] = *p;
        if (i + 1 < d.n_digits)
            p = decimal_next(p);
    }
    if (d.n_digits > DOUBLE_DIGITS)
        copy[at++] = '1';
    int64_t exponent = d.exponent < -99999 ? -99999 : d.exponent > 99999 ? 99999 : d.exponent;
    if (d.n_digits != 0)
        snprintf(copy + at, sizeof(copy) - at, "e%d", (int)exponent + 1);
    *value_r = strtod(copy + !d.negative, NULL);
    return isinf(*value_r) ? NUMBER_RANGE : NUMBER_OK;
}

bool number_is_finite(const char *text, size_t length)
{
    double value;
    return number_to_double(text, length, &value) == NUMBER_OK;
}

// Compares the absolute values of two that are not zero.
static int compare_magnitudes(const struct decimal *a, const struct decimal *b)
{
    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -1 : 1;
    const char *p = a->digits;
    const char *q = b->digits;
    size_t common = a->n_digits < b->n_digits ? a->n_digits : b->n_digits;
    for (size_t i = 0; i < common; i++) {
        if (*p != *q)
            return *p < *q ? -1 : 1;
        if (i + 1 < common) {
            p = decimal_next(p);
            q = decimal_next(q);
        }
    }
    return a->n_digits == b->n_digits ? 0 : a->n_digits < b->n_digits ? -1 : 1;
}

static int sign(const struct decimal *d)
{
    return d->n_digits == 0 ? 0 : d->negative ? -1 : 1;
}

int number_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    struct decimal x = decimal_of(a, a_length);
    struct decimal y = decimal_of(b, b_length);
    if (sign(&x) != sign(&y))
        return sign(&x) < sign(&y) ? -1 : 1;
    if (sign(&x) == 0)
        return 0;
    return sign(&x) * compare_magnitudes(&x, &y);
}
