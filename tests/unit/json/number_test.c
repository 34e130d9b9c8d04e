// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The text in an allocation of exactly its size, as numbers stand in events.
static char *exact(const char *text, size_t *length_r)
{
    *length_r = strlen(text);
    char *copy = malloc(*length_r);
    memcpy(copy, text, *length_r);
    return copy;
}

static void test_is_integer(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool integer;
    } numbers[] = {
        {"0", true},
        {"-0", true},
        {"12", true},
        {"-12", true},
        {"1.0", true},
        {"1e2", true},
        {"12.50e1", true},
        {"12.50e2", true},
        {"0.0", true},
        {"0e-99", true},
        {"0.000e5", true},
        {"1e999999999999", true},
        {"12.5", false},
        {"1e-1", false},
        {"12.50e0", false},
        {"1e-999999999999", false},
        {"0.001e2", false},
        {"0.001e3", true},
        {"100e-2", true},
        {"100e-3", false},
        {"1E+2", true},
        {"-1.5E+0", false},
        {"1.000000000000000000000000000001", false},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        size_t length;
        char *text = exact(numbers[i].text, &length);
        if (number_is_integer(text, length) != numbers[i].integer)
            fail_msg("%s", numbers[i].text);
        free(text);
    }
}

static void test_to_int64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum number_result result;
        int64_t value;
    } numbers[] = {
        {"0", NUMBER_OK, 0},
        {"-0", NUMBER_OK, 0},
        {"0.0e7", NUMBER_OK, 0},
        {"-42", NUMBER_OK, -42},
        {"999999999999999999", NUMBER_OK, 999999999999999999},
        {"-999999999999999999", NUMBER_OK, -999999999999999999},
        {"1000000000000000000", NUMBER_OK, 1000000000000000000},
        {"9223372036854775807", NUMBER_OK, INT64_MAX},
        {"-9223372036854775808", NUMBER_OK, INT64_MIN},
        {"9223372036854775808", NUMBER_RANGE, 0},
        {"-9223372036854775809", NUMBER_RANGE, 0},
        {"9223372036854775817", NUMBER_RANGE, 0},
        {"92233720368547758070", NUMBER_RANGE, 0},
        {"10000000000000000000", NUMBER_RANGE, 0},
        {"922337203685477580.7e1", NUMBER_OK, INT64_MAX},
        {"9.223372036854775807e18", NUMBER_OK, INT64_MAX},
        {"-9223372036854775.808e3", NUMBER_OK, INT64_MIN},
        {"12.0", NUMBER_OK, 12},
        {"1e2", NUMBER_OK, 100},
        {"1E+18", NUMBER_OK, 1000000000000000000},
        {"1e19", NUMBER_RANGE, 0},
        {"12300e-2", NUMBER_OK, 123},
        {"12.5", NUMBER_FRACTION, 0},
        {"1e-5", NUMBER_FRACTION, 0},
        {"0.5e1", NUMBER_OK, 5},
        {"1e99999999999999999999999999", NUMBER_RANGE, 0},
        {"1e-99999999999999999999999999", NUMBER_FRACTION, 0},
        {"0e99999999999999999999999999", NUMBER_OK, 0},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        size_t length;
        char *text = exact(numbers[i].text, &length);
        int64_t value = 0;
        enum number_result result = number_to_int64(text, length, &value);
        if (result != numbers[i].result || value != numbers[i].value)
            fail_msg("%s: %d, %lld", numbers[i].text, (int)result, (long long)value);
        free(text);
    }
}

static void check_double(const char *json)
{
    size_t length;
    char *text = exact(json, &length);
    double value;
    double expected = strtod(json, NULL);
    enum number_result result = number_to_double(text, length, &value);
    if (memcmp(&value, &expected, sizeof(value)) != 0 || (result == NUMBER_OK) == isinf(expected))
        fail_msg("%.60s: %a instead of %a", json, value, expected);
    assert_int_equal(number_is_finite(text, length), !isinf(expected));
    free(text);
}

static void test_to_double(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "0",
        "-0",
        "0.0",
        "-0.0",
        "0e5",
        "-0e-5",
        "1",
        "-1",
        "412",
        "12.5",
        "0.1",
        "-0.3",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "90071992547409.93",
        "0.9007199254740993",
        "1e23",
        "123456789012345678901234567890",
        "2.5e-3",
        "1e308",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e309",
        "1e-323",
        "5e-324",
        "2e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1e-400",
        "-1e-400",
        "1e999999999999999999999",
        "-1e99999",
        "1e-999999999999999999999",
        "0.000000000000000000000000000001e30",
        "2.2250738585072011e-308",
        "0.1000000000000000055511151231257827021181583404541015625",
        "100000000000000000000000000000000000000000e-41",
        "123456.789e3",
        "0.30000000000000004",
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        check_double(numbers[i]);
}

// Every short decimal with up to four digits before and behind the point, both signs sampled.
static void test_short_doubles(void **state)
{
    (void)state;
    char text[32];
    for (unsigned i = 0; i < 200000; i++) {
        snprintf(text, sizeof(text), "%s%u.%0*u", i % 3 == 0 ? "-" : "", i % 9973, 1 + (int)(i % 9),
                 i);
        check_double(text);
    }
}

// Digits far beyond what a double needs still decide: just below, at, and above a half.
static void test_long_doubles(void **state)
{
    (void)state;
    static char text[3000];
    memcpy(text, "9007199254740993", 16); // halfway between two doubles
    text[16] = '.';
    memset(text + 17, '0', sizeof(text) - 18);
    check_double(text);
    text[2500] = '1';
    check_double(text);
    text[2500] = '0';
    text[700] = '1';
    check_double(text);
    memset(text, '7', 400);
    text[400] = '\0';
    check_double(text); // infinite
    memcpy(text, "0.", 2);
    memset(text + 2, '0', 340);
    memcpy(text + 342, "3", 2);
    check_double(text); // too small
}

static void test_compare(void **state)
{
    (void)state;
    // Ascending; numbers in one line are equal.
    static const char *const order[][6] = {
        {"-1e99999999999999999999"},
        {"-1e400", "-10e399"},
        {"-12.51"},
        {"-12.5", "-1.25e1", "-125e-1", "-12.500"},
        {"-12.49999999999999999999999999"},
        {"-1", "-1.0", "-10e-1", "-0.01e2"},
        {"-1e-400"},
        {"0", "-0", "0.0", "0e999999999999999", "-0.00e-5"},
        {"1e-99999999999999999999"},
        {"1e-400"},
        {"0.1", "1e-1", "0.10", "10e-2", "0.0001e3"},
        {"0.10000000000000000000000000000001"},
        {"0.11"},
        {"1", "1.0", "1e0", "0.1e1", "1000e-3"},
        {"1.00000000000000000000000000000000000000001"},
        {"9", "9.0"},
        {"10", "1e1", "10.0", "1.0e+1", "100E-1"},
        {"9007199254740992"},
        {"9007199254740993"},
        {"9007199254740993.5"},
        {"1e400", "10e399", "0.001e403"},
        {"1.1e400"},
        {"1e99999999999999999999"},
    };
    size_t n = sizeof(order) / sizeof(order[0]);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            for (size_t k = 0; k < 36; k++) {
                const char *a = order[i][k / 6];
                const char *b = order[j][k % 6];
                if (a == NULL || b == NULL)
                    continue;
                int expected = i < j ? -1 : i > j ? 1 : 0;
                if (number_compare(a, strlen(a), b, strlen(b)) != expected)
                    fail_msg("%s and %s: not %d", a, b, expected);
            }
        }
    }
}

static void test_is_multiple(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *divisor;
        bool multiple;
    } pairs[] = {
        {"10", "2", true},
        {"10", "3", false},
        {"0", "3", true},
        {"7", "0", false},
        {"0", "0", false},
        {"4.5", "1.5", true},
        {"35", "1.5", false},
        {"0.0075", "0.0001", true},
        {"0.00751", "0.0001", false},
        {"19.99", "0.01", true},
        {"1.13", "0.01", true},
        {"1.131", "0.01", false},
        {"-9", "3", true},
        {"1e308", "0.123456789", false},
        {"1e308", "0.5", true},
        {"1e999999999", "7", false},
        {"7e999999999", "7", true},
        {"1e999999999", "1024", true},
        {"1e-5", "10", false},
        {"12391239123", "1e-8", true},
        {"123456789012345678901234567890", "10", true},
        {"123456789012345678901234567891", "10", false},
        {"36893488147419103232", "18446744073709551616", true},
        {"36893488147419103233", "18446744073709551616", false}, // the same double
        {"1e1000000000", "3", false},
        {"3e1000000000", "3e-1000000000", true},
        {"1e-400", "1e-401", true},
        {"1e-401", "1e-400", false},
        {"0.30000000000000000000000000000000000003", "0.1", false},
        {"0.3", "0.10000000000000000000000000000000000001", false},
        {"0.30000000000000000000000000000000000003", "0.10000000000000000000000000000000000001",
         true},
        {"1e40", "1234567890123456789012345678901234567890", false},
        {"1234567890123456789012345678901234567890e9", "1234567890123456789012345678901234567890",
         true},
        // 2^100 and 5^50: sheds its factors
        {"1e99", "1267650600228229401496703205376", false},
        {"1e100", "1267650600228229401496703205376", true},
        {"1e49", "88817841970012523233890533447265625", false},
        {"1e50", "88817841970012523233890533447265625", true},
        {"27670116110564327424", "18446744073709551616", false},
        {"1e309", "18446744073709551616", true},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (number_is_multiple(pairs[i].text, strlen(pairs[i].text), pairs[i].divisor,
                               strlen(pairs[i].divisor)) != pairs[i].multiple)
            fail_msg("%s of %s", pairs[i].text, pairs[i].divisor);
    }
}

// Decimal digits, least first.
struct product {
    unsigned char digits[1024];
    size_t n;
};

static void multiply(const char *a, const char *b, struct product *product_r)
{
    size_t n = strlen(a), k = strlen(b);

    memset(product_r, 0, sizeof(*product_r));
    product_r->n = n + k;
    for (size_t i = 0; i < n; i++) {
        unsigned carry = 0;
        for (size_t j = 0; j < k || carry > 0; j++) {
            unsigned digit = j < k ? (unsigned)(b[k - 1 - j] - '0') : 0;
            unsigned sum =
                product_r->digits[i + j] + (unsigned)(a[n - 1 - i] - '0') * digit + carry;
            product_r->digits[i + j] = (unsigned char)(sum % 10);
            carry = sum / 10;
        }
    }
}

// The product as text, with a point in front of its last `decimals` digits, plus 0 or 1 of those.
static void write_product(const struct product *product, size_t decimals, unsigned more, char *text)
{
    struct product sum = *product;
    char *p = text;

    for (size_t i = 0; more > 0; i++) {
        more += sum.digits[i];
        sum.digits[i] = (unsigned char)(more % 10);
        more /= 10;
    }
    size_t n = sum.n;
    while (n > decimals + 1 && sum.digits[n - 1] == 0)
        n--;
    while (n > 0) {
        *p++ = (char)('0' + sum.digits[--n]);
        if (n == decimals && n > 0)
            *p++ = '.';
    }
    *p = '\0';
}

static void random_digits(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) // many zeros and nines, where carries go wrong
        text[i] = "0000999912345678"[rand() % 16];
    text[0] = text[0] == '0' ? '7' : text[0];
    text[n] = '\0';
}

// Products of random numbers of all sizes are multiples, and their neighbours are not.
static void test_is_multiple_of_any_size(void **state)
{
    (void)state;
    char a[512], b[512], text[1100];
    struct product product;

    srand(1);
    for (int i = 0; i < 20000; i++) {
        size_t longest = i % 100 == 0 ? NUMBER_DIVISOR_DIGITS_MAX : 60;
        random_digits(a, 1 + (size_t)rand() % longest);
        random_digits(b, 2 + (size_t)rand() % (longest - 1));
        multiply(a, b, &product);
        size_t decimals = (size_t)rand() % 4; // of the product: the divisor is whole
        write_product(&product, 0, 0, text);
        if (!number_is_multiple(text, strlen(text), b, strlen(b)))
            fail_msg("%s of %s", text, b);
        write_product(&product, decimals, 1, text);
        if (number_is_multiple(text, strlen(text), b, strlen(b)))
            fail_msg("%s of %s", text, b);
    }
}

static void test_digits(void **state)
{
    (void)state;
    char longest[NUMBER_DIVISOR_DIGITS_MAX + 2];

    assert_int_equal(number_digits("0", 1), 0);
    assert_int_equal(number_digits("-0.00", 5), 0);
    assert_int_equal(number_digits("1e9", 3), 1);
    assert_int_equal(number_digits("-0.0120300e-7", 13), 4);
    assert_int_equal(number_digits("1200", 4), 2);
    memset(longest, '1', sizeof(longest));
    assert_true(
        number_is_multiple(longest, NUMBER_DIVISOR_DIGITS_MAX, longest, NUMBER_DIVISOR_DIGITS_MAX));
    assert_false(number_is_multiple(longest, NUMBER_DIVISOR_DIGITS_MAX + 1, longest,
                                    NUMBER_DIVISOR_DIGITS_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_integer),   cmocka_unit_test(test_to_int64),
        cmocka_unit_test(test_to_double),    cmocka_unit_test(test_short_doubles),
        cmocka_unit_test(test_long_doubles), cmocka_unit_test(test_compare),
        cmocka_unit_test(test_is_multiple),  cmocka_unit_test(test_is_multiple_of_any_size),
        cmocka_unit_test(test_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
