// SPDX-License-Identifier: Apache-2.0
// json/number over two numbers, one a line, against arithmetic with all their digits written out.
#include "fuzz.h"

#include "json/number.h"
#include "json/tape.h"

#include <math.h>

#define DIGITS_MAX 1200 // of a number written out
#define EXPONENT_MAX 400

// digits * 10^exponent; digits[0] is the most significant one, "" is zero.
struct exact {
    bool negative;
    char digits[DIGITS_MAX];
    size_t length;
    int exponent;
};

static void trim(struct exact *x)
{
    size_t zeros = strspn(x->digits, "0");
    memmove(x->digits, x->digits + zeros, x->length - zeros + 1);
    x->length -= zeros;
    for (; x->length > 0 && x->digits[x->length - 1] == '0'; x->exponent++)
        x->digits[--x->length] = '\0';
    if (x->length == 0)
        x->exponent = 0;
}

// False when it is too long to be written out here.
static bool read_exact(const char *text, struct exact *x_r)
{
    bool fraction = false;
    *x_r = (struct exact){.negative = *text == '-'};
    for (text += x_r->negative; *text != '\0' && (*text | 0x20) != 'e'; text++) {
        if (*text == '.') {
            fraction = true;
            continue;
        }
        if (x_r->length >= 150)
            return false;
        x_r->digits[x_r->length++] = *text;
        x_r->exponent -= fraction;
    }
    if (*text != '\0') {
        double exponent = strtod(text + 1, NULL);
        if (fabs(exponent) > EXPONENT_MAX)
            return false;
        x_r->exponent += (int)exponent;
    }
    trim(x_r);
    return true;
}

// Appends zeros until the exponent is `exponent`, which is not above it.
static void write_out(struct exact *x, int exponent)
{
    for (; x->length > 0 && x->exponent > exponent; x->exponent--)
        x->digits[x->length++] = '0';
    x->digits[x->length] = '\0';
}

static void align(struct exact *a, struct exact *b)
{
    int exponent = a->length == 0              ? b->exponent
                   : b->length == 0            ? a->exponent
                   : a->exponent < b->exponent ? a->exponent
                                               : b->exponent;
    write_out(a, exponent);
    write_out(b, exponent);
}

static int compare_digits(const char *a, size_t a_length, const char *b, size_t b_length)
{
    return a_length != b_length ? (a_length < b_length ? -1 : 1) : memcmp(a, b, a_length);
}

static int sign_of(int value)
{
    return (value > 0) - (value < 0);
}

static int exact_compare(struct exact a, struct exact b)
{
    int signs[2] = {a.length == 0 ? 0
                    : a.negative  ? -1
                                  : 1,
                    b.length == 0 ? 0
                    : b.negative  ? -1
                                  : 1};
    if (signs[0] != signs[1])
        return signs[0] < signs[1] ? -1 : 1;
    align(&a, &b);
    return signs[0] * sign_of(compare_digits(a.digits, a.length, b.digits, b.length));
}

// Takes b off x, which is not less. Both are whole.
static void subtract(char *x, size_t *x_length, const char *b, size_t b_length)
{
    int borrow = 0;
    for (size_t i = 1; i <= *x_length; i++) {
        int digit = x[*x_length - i] - borrow - (i <= b_length ? b[b_length - i] - '0' : 0);
        borrow = digit < '0';
        x[*x_length - i] = (char)(digit + (borrow ? 10 : 0));
    }
    size_t zeros = 0;
    while (zeros < *x_length && x[zeros] == '0')
        zeros++;
    memmove(x, x + zeros, *x_length - zeros);
    *x_length -= zeros;
}

// By long division, digit after digit.
static bool exact_is_multiple(struct exact a, struct exact b)
{
    char rest[DIGITS_MAX + 2];
    size_t length = 0;
    if (b.length == 0)
        return false;
    align(&a, &b);
    for (size_t i = 0; i < a.length; i++) {
        if (length > 0 || a.digits[i] != '0')
            rest[length++] = a.digits[i];
        while (compare_digits(rest, length, b.digits, b.length) >= 0)
            subtract(rest, &length, b.digits, b.length);
    }
    return length == 0;
}

// --- one number ----------------------------------------------------------------------------------

static void check_int64(const char *text, const struct exact *x)
{
    static const char most[] = "9223372036854775807", least[] = "9223372036854775808";
    struct exact whole = *x;
    int64_t value = 12345;
    size_t length = strlen(text);
    enum number_result result = number_to_int64(text, length, &value);
    bool is_whole = x->exponent >= 0;

    FUZZ_CHECK(number_is_integer(text, length) == is_whole, "%s", text);
    FUZZ_CHECK((result == NUMBER_FRACTION) == !is_whole, "%s", text);
    if (!is_whole)
        return;
    write_out(&whole, 0);
    bool fits = compare_digits(whole.digits, whole.length, x->negative ? least : most, 19) <= 0;
    FUZZ_CHECK((result == NUMBER_OK) == fits, "%s", text);
    if (!fits) {
        FUZZ_CHECK(value == 12345, "%s", text);
        return;
    }
    char written[32];
    snprintf(written, sizeof(written), "%lld", (long long)value);
    const char *digits = written + (written[0] == '-');
    FUZZ_CHECK(whole.length == 0 ? value == 0
                                 : (value < 0) == x->negative && strcmp(digits, whole.digits) == 0,
               "%s: %s", text, written);
}

// strtod() of the C library rounds correctly.
static void check_double(const char *text)
{
    double value, expected = strtod(text, NULL);
    enum number_result result = number_to_double(text, strlen(text), &value);

    FUZZ_CHECK((result == NUMBER_RANGE) == (isinf(expected) != 0), "%s", text);
    FUZZ_CHECK(memcmp(&value, &expected, sizeof(value)) == 0, "%s: %.17g, not %.17g", text, value,
               expected);
    FUZZ_CHECK(number_is_finite(text, strlen(text)) == (result == NUMBER_OK), "%s", text);
}

static void check_pair(const char *a, const char *b)
{
    struct exact x, y;
    size_t a_length = strlen(a), b_length = strlen(b);
    int order = number_compare(a, a_length, b, b_length);
    bool multiple = number_is_multiple(a, a_length, b, b_length);

    FUZZ_CHECK(number_compare(b, b_length, a, a_length) == -order, "%s, %s", a, b);
    if (!read_exact(a, &x) || !read_exact(b, &y))
        return;
    FUZZ_CHECK(order == exact_compare(x, y), "%s, %s", a, b);
    FUZZ_CHECK(multiple == exact_is_multiple(x, y), "%s, %s", a, b);
}

static char *read_number(struct fuzz_piece *rest)
{
    struct fuzz_piece line = fuzz_line(rest);
    struct tape tape;
    char *number = NULL;

    tape_init(&tape, 0);
    if (tape_parse(&tape, line.data, line.size) && tape.tokens[0].kind == TAPE_NUMBER) {
        size_t length;
        const char *raw = tape_raw(&tape, 0, &length);
        number = fuzz_text(raw, length);
    }
    tape_deinit(&tape);
    return number;
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct fuzz_piece rest = {(const char *)data, size};
    char *a = read_number(&rest), *b = read_number(&rest);
    struct exact x;

    if (a != NULL) {
        check_double(a);
        if (read_exact(a, &x))
            check_int64(a, &x);
        FUZZ_CHECK(number_compare(a, strlen(a), a, strlen(a)) == 0, "%s", a);
    }
    if (a != NULL && b != NULL)
        check_pair(a, b);
    free(a);
    free(b);
    return 0;
}
