// SPDX-License-Identifier: Apache-2.0
// number_is_multiple(): exact division of decimal numbers. Both are taken as whole numbers that do
// not end in 0, times a power of ten; the divisor sheds the factors that the powers of ten bring,
// and must divide what is left without remainder. Work: digits of the one times digits of the
// other.
#include "json/decimal_priv.h"
#include "json/number.h"

#include <string.h>

#define LIMB 1000000000 // a limb of a large number holds nine decimal digits
#define LIMB_DIGITS 9
#define LIMBS_MAX (NUMBER_DIVISOR_DIGITS_MAX / LIMB_DIGITS + 1)
// What fits an uint64_t whatever the digits are.
#define SMALL_DIGITS 18

// Digits of a decimal yet to be read.
struct digits {
    const char *p;
    size_t left;
};

// The next `n` of them (at most 18) as a number.
static uint64_t take_digits(struct digits *digits, size_t n)
{
    uint64_t value = 0;

    for (; n > 0; n--) {
        value = value * 10 + (uint64_t)(*digits->p - '0');
        if (--digits->left > 0)
            digits->p = decimal_next(digits->p);
    }
    return value;
}

// --- divisors of up to 18 digits -----------------------------------------------------------------

static uint64_t small_remainder(struct digits digits, uint64_t divisor)
{
    uint64_t rest = take_digits(&digits, digits.left % SMALL_DIGITS) % divisor;

    while (digits.left > 0) {
        unsigned __int128 value = (unsigned __int128)rest * 1000000000000000000u;
        rest = (uint64_t)((value + take_digits(&digits, SMALL_DIGITS)) % divisor);
    }
    return rest;
}

static bool small_divides(struct digits digits, uint64_t divisor, int64_t power)
{
    for (int64_t n = power; n > 0 && divisor % 2 == 0; n--)
        divisor /= 2;
    for (int64_t n = power; n > 0 && divisor % 5 == 0; n--)
        divisor /= 5;
    return small_remainder(digits, divisor) == 0;
}

// --- larger ones ---------------------------------------------------------------------------------

// Little end first.
struct large {
    size_t n; // limbs in use, the last of them not 0
    int64_t limbs[LIMBS_MAX];
};

static void large_read(struct digits digits, struct large *value_r)
{
    size_t first = digits.left % LIMB_DIGITS;

    value_r->n = (digits.left + LIMB_DIGITS - 1) / LIMB_DIGITS;
    for (size_t i = value_r->n; i-- > 0; first = 0)
        value_r->limbs[i] = (int64_t)take_digits(&digits, first > 0 ? first : LIMB_DIGITS);
}

// Divides by a small number; false, and nothing done, when there is a remainder.
static bool large_shed(struct large *value, int64_t factor)
{
    struct large quotient = {.n = value->n};
    int64_t rest = 0;

    for (size_t i = value->n; i-- > 0;) {
        rest = rest * LIMB + value->limbs[i];
        quotient.limbs[i] = rest / factor;
        rest %= factor;
    }
    if (rest != 0)
        return false;
    while (quotient.n > 1 && quotient.limbs[quotient.n - 1] == 0)
        quotient.n--;
    *value = quotient;
    return true;
}

// rest -= divisor * times; a negative outcome shows in the highest limb, at divisor->n.
static void take_off(int64_t *rest, const struct large *divisor, int64_t times)
{
    int64_t carry = 0;

    for (size_t i = 0; i < divisor->n; i++) {
        int64_t limb = rest[i] - divisor->limbs[i] * times + carry;
        carry = limb / LIMB - (limb % LIMB < 0);
        rest[i] = limb - carry * LIMB;
    }
    rest[divisor->n] += carry;
}

static bool is_less(const int64_t *rest, const struct large *divisor)
{
    if (rest[divisor->n] != 0)
        return rest[divisor->n] < 0;
    for (size_t i = divisor->n; i-- > 0;)
        if (rest[i] != divisor->limbs[i])
            return rest[i] < divisor->limbs[i];
    return false;
}

// rest %= divisor, where rest < divisor * LIMB. The quotient is guessed from the leading limbs.
static void reduce(int64_t *rest, const struct large *divisor)
{
    size_t n = divisor->n;
    double top = (double)rest[n] * LIMB + (double)rest[n - 1];
    double by = (double)divisor->limbs[n - 1];

    if (n > 1) {
        top += (double)rest[n - 2] / LIMB;
        by += (double)divisor->limbs[n - 2] / LIMB;
    }
    take_off(rest, divisor, (int64_t)(top / by));
    while (rest[n] < 0)
        take_off(rest, divisor, -1);
    while (!is_less(rest, divisor))
        take_off(rest, divisor, 1);
}

static bool large_divides(struct digits digits, struct large *divisor, int64_t power)
{
    int64_t rest[LIMBS_MAX + 1] = {0};

    for (int64_t n = power; n > 0 && large_shed(divisor, 2); n--) {
    }
    for (int64_t n = power; n > 0 && large_shed(divisor, 5); n--) {
    }
    rest[0] = (int64_t)take_digits(&digits, digits.left % LIMB_DIGITS);
    reduce(rest, divisor);
    while (digits.left > 0) {
        memmove(rest + 1, rest, divisor->n * sizeof(*rest));
        rest[0] = (int64_t)take_digits(&digits, LIMB_DIGITS);
        reduce(rest, divisor);
    }
    for (size_t i = 0; i < divisor->n; i++)
        if (rest[i] != 0)
            return false;
    return true;
}

// --- both ----------------------------------------------------------------------------------------

size_t number_digits(const char *text, size_t length)
{
    return decimal_of(text, length).n_digits;
}

bool number_is_multiple(const char *text, size_t length, const char *divisor, size_t divisor_length)
{
    struct decimal a = decimal_of(text, length);
    struct decimal b = decimal_of(divisor, divisor_length);
    struct digits value = {a.digits, a.n_digits}, by = {b.digits, b.n_digits};
    struct large large;

    if (b.n_digits == 0 || b.n_digits > NUMBER_DIVISOR_DIGITS_MAX)
        return false;
    if (a.n_digits == 0)
        return true;
    // With the divisor's power of ten the larger one, only a number ending in 0 could be a
    // multiple.
    int64_t power = (a.exponent - (int64_t)a.n_digits) - (b.exponent - (int64_t)b.n_digits);
    if (power < 0)
        return false;
    if (b.n_digits <= SMALL_DIGITS)
        return small_divides(value, take_digits(&by, by.left), power);
    large_read(by, &large);
    return large_divides(value, &large, power);
}
