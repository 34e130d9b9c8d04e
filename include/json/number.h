// SPDX-License-Identifier: Apache-2.0
// Exact questions about JSON numbers, asked of their text (RFC 8259 section 6). Pure, no
// allocation; the time taken grows with the text, never with the exponent's value.
//
// Every `text` is a number a tape has accepted (tape_raw() of a TAPE_NUMBER), not NUL-terminated.
#ifndef CXSINK_JSON_NUMBER_H
#define CXSINK_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum number_result {
    NUMBER_OK,
    NUMBER_FRACTION, // not a whole number
    NUMBER_RANGE,    // whole, but not an int64_t; of a double: infinite
};

// Is its value whole? 1.0, 1e2, 12.50e1 and -0 are.
bool number_is_integer(const char *text, size_t length);
// Its value, if that is whole and fits; *value_r is left alone otherwise.
enum number_result number_to_int64(const char *text, size_t length, int64_t *value_r);
// The nearest double. NUMBER_RANGE when that is infinite (1e309), *value_r being +-HUGE_VAL then;
// too small a number is 0. In the "C" locale, which the daemon never leaves.
enum number_result number_to_double(const char *text, size_t length, double *value_r);
// Does it have a finite double?
bool number_is_finite(const char *text, size_t length);
// -1, 0 or 1 as a is less than, equal to, or greater than b, exactly.
int number_compare(const char *a, size_t a_length, const char *b, size_t b_length);
// Significant digits: from the first that is not 0 to the last that is not.
size_t number_digits(const char *text, size_t length);
// Is `text` a whole multiple of `divisor`? Exact; false when the divisor is 0, or has more than
// NUMBER_DIVISOR_DIGITS_MAX significant digits.
#define NUMBER_DIVISOR_DIGITS_MAX 400
bool number_is_multiple(const char *text, size_t length, const char *divisor,
                        size_t divisor_length);

#endif
