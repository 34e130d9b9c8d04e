// SPDX-License-Identifier: Apache-2.0
// Durations and sizes: every unit, the limits, and what is neither.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/units.h"

#include <string.h>

struct duration_case {
    const char *text;
    int64_t us;
};

static void durations_of_every_unit(void **state)
{
    (void)state;
    static const struct duration_case cases[] = {
        {"500us", 500},
        {"250ms", 250000},
        {"30s", 30000000},
        {"5m", INT64_C(300000000)},
        {"2h", INT64_C(7200000000)},
        {"1d", INT64_C(86400000000)},
        {"0s", 0},
        {"0us", 0},
        {"007s", 7000000},
        {"9223372036854775807us", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = -1;
        assert_true(units_duration_parse(cases[i].text, &us));
        assert_true(us == cases[i].us);
    }
}

static void not_durations(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "s",
        "30",
        "0",
        "30 s",
        " 30s",
        "30s ",
        "-1s",
        "+1s",
        "1.5s",
        "1e3s",
        "30S",
        "30sec",
        "30ss",
        "1h30m",
        "1w",
        "1µs",
        "MS",
        "9223372036854775808us",
        "99999999999999999999s",
        "18446744073709551617us",
        "106751992d",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = 42;
        assert_false(units_duration_parse(cases[i], &us));
        assert_int_equal(us, 42);
    }
}

struct size_case {
    const char *text;
    uint64_t bytes;
};

static void sizes_of_every_unit(void **state)
{
    (void)state;
    static const struct size_case cases[] = {
        {"100B", 100},
        {"100", 100},
        {"0", 0},
        {"2KB", 2000},
        {"3MB", 3000000},
        {"4GB", UINT64_C(4000000000)},
        {"5TB", UINT64_C(5000000000000)},
        {"512KiB", 524288},
        {"1MiB", 1048576},
        {"4GiB", UINT64_C(4294967296)},
        {"1TiB", UINT64_C(1) << 40},
        {"9223372036854775807", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 42;
        assert_true(units_size_parse(cases[i].text, &bytes));
        assert_true(bytes == cases[i].bytes);
    }
}

static void not_sizes(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",           "B",
        "KiB",        "1 KiB",
        "1kb",        "1K",
        "1Kib",       "-1",
        "1.5MiB",     "1PiB",
        "0x10",       "9223372036854775808",
        "8388608TiB", "99999999999999999999",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 42;
        assert_false(units_size_parse(cases[i], &bytes));
    }
}

static void durations_are_written_without_fractions(void **state)
{
    (void)state;
    static const struct duration_case cases[] = {
        {"0s", 0},
        {"1us", 1},
        {"1500us", 1500},
        {"250ms", 250000},
        {"90s", 90000000},
        {"2m", 120000000},
        {"1h", INT64_C(3600000000)},
        {"36h", INT64_C(129600000000)},
        {"7d", INT64_C(604800000000)},
        {"9223372036854775807us", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[UNITS_TEXT_SIZE];
        int64_t again = -1;
        units_duration_format(cases[i].us, text);
        assert_string_equal(text, cases[i].text);
        assert_true(units_duration_parse(text, &again));
        assert_true(again == cases[i].us);
    }
}

static void sizes_are_written_without_fractions(void **state)
{
    (void)state;
    static const struct size_case cases[] = {
        {"0B", 0},       {"1B", 1},          {"1000B", 1000},     {"1KiB", 1024},
        {"1025B", 1025}, {"512KiB", 524288}, {"64MiB", 67108864}, {"16TiB", UINT64_C(16) << 40},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[UNITS_TEXT_SIZE];
        uint64_t again = 0;
        units_size_format(cases[i].bytes, text);
        assert_string_equal(text, cases[i].text);
        assert_true(units_size_parse(text, &again));
        assert_true(again == cases[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_of_every_unit),
        cmocka_unit_test(not_durations),
        cmocka_unit_test(sizes_of_every_unit),
        cmocka_unit_test(not_sizes),
        cmocka_unit_test(durations_are_written_without_fractions),
        cmocka_unit_test(sizes_are_written_without_fractions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
