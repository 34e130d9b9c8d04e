// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define EPOCH_2000 INT64_C(946684800) // Unix time of 2000-01-01

static bool parse(const char *text, enum time_offset offset, int64_t *us_r)
{
    return time_parse_timestamp(text, strlen(text), offset, us_r);
}

static void test_timestamps(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } stamps[] = {
        {"2000-01-01T00:00:00Z", 0},
        {"2000-01-01t00:00:00z", 0},
        {"2000-01-01T00:00:00.000001Z", 1},
        {"2000-01-01T00:00:00.0000014Z", 1},
        {"2000-01-01T00:00:00.0000015Z", 2},
        {"2000-01-01T00:00:00.9999999Z", 1000000},
        {"2000-01-01T00:00:00.12345649999999999999999999999999Z", 123456},
        {"2000-01-01T00:00:00.5Z", 500000},
        {"1999-12-31T23:59:59Z", -1000000},
        {"1999-12-31T23:59:60Z", 0},
        {"2016-12-31T23:59:60.25Z", INT64_C(536544000250000)},
        {"2000-01-01T05:45:00+05:45", 0},
        {"1999-12-31T16:00:00.000000-08:00", 0},
        {"2000-01-01T00:00:00-00:00", 0},
        {"2000-01-01T23:59:00+23:59", 0},
        {"2025-03-14T09:26:53.589Z", INT64_C(795259613589000)},
        {"2024-02-29T00:00:00Z", INT64_C(762480000000000)},
        {"0000-01-01T00:00:00Z", INT64_C(-63113904000000000)},
        {"0000-02-29T00:00:00Z", INT64_C(-63108806400000000)},
        {"0001-01-01T00:00:00Z", INT64_C(-63082281600000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(252455615999999999)},
    };
    for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
        int64_t us;
        if (!parse(stamps[i].text, TIME_OFFSET_REQUIRED, &us) || us != stamps[i].us)
            fail_msg("%s: %lld", stamps[i].text, (long long)us);
    }
}

static void test_bad_timestamps(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2025",
        "2025-03-14",
        "2025-03-14T",
        "2025-03-14T09:26Z",
        "2025-03-14T09:26:53",
        "2025-03-14 09:26:53",
        "2025-03-14 09:26:53Z",
        "2025-03-14T09:26:53+0100",
        "2025-03-14T09:26:53+01",
        "2025-03-14T09:26:53+24:00",
        "2025-03-14T09:26:53+01:60",
        "2025-03-14T09:26:53.Z",
        "2025-03-14T09:26:53,5Z",
        "2025-03-14T24:00:00Z",
        "2025-03-14T25:00:00Z",
        "2025-03-14T09:60:00Z",
        "2025-03-14T09:26:61Z",
        "2025-02-29T00:00:00Z",
        "2025-02-30T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2025-04-31T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z",
        "2025-01-00T00:00:00Z",
        "2025-01-32T00:00:00Z",
        "25-03-14T09:26:53Z",
        "12025-03-14T09:26:53Z",
        "2025-3-14T09:26:53Z",
        "2025-03-14T9:26:53Z",
        "2025-03-14T09:26:53Z ",
        " 2025-03-14T09:26:53Z",
        "2025-03-14T09:26:53ZZ",
        "2025/03/14T09:26:53Z",
        "2025-03-14T09.26.53Z",
        "20250314T092653Z",
        "1741944413",
        "+025-03-14T09:26:53Z",
        "2025-03-14T09:26:53Z+01:00",
        "2025-03-14T-9:26:53Z",
    };
    int64_t us;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i], TIME_OFFSET_REQUIRED, &us))
            fail_msg("%s", bad[i]);
    }
    assert_false(time_parse_timestamp("2025-03-14T09:26:53Z\0", 21, TIME_OFFSET_REQUIRED, &us));
}

// No prefix of a timestamp is one, and nothing behind it is read.
static void test_prefixes(void **state)
{
    (void)state;
    static const char text[] = "2025-03-14T09:26:53.589+05:45Z";
    int64_t us;
    for (size_t length = 0; length < sizeof(text) - 1; length++)
        assert_int_equal(time_parse_timestamp(text, length, TIME_OFFSET_REQUIRED, &us),
                         length == 29);
}

static void test_without_offset(void **state)
{
    (void)state;
    int64_t us;
    assert_true(parse("2000-01-02 00:00:00", TIME_OFFSET_OPTIONAL, &us));
    assert_int_equal(us, INT64_C(86400000000));
    assert_true(parse("2000-01-01T00:00:01.5", TIME_OFFSET_OPTIONAL, &us));
    assert_int_equal(us, 1500000);
    assert_true(parse("2000-01-01T01:00:00+01:00", TIME_OFFSET_OPTIONAL, &us));
    assert_int_equal(us, 0);
    assert_false(parse("2000-01-01", TIME_OFFSET_OPTIONAL, &us));
    assert_false(parse("2000-01-01T00:00:01 ", TIME_OFFSET_OPTIONAL, &us));
}

// Every day of the years 0000 to 9999 follows the one before; libc agrees.
static void test_calendar(void **state)
{
    (void)state;
    int32_t last = 0;
    char text[64];
    for (int year = 0; year <= 9999; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= 31; day++) {
                int32_t days;
                snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
                if (!time_parse_date(text, strlen(text), &days)) {
                    assert_true(day > 28);
                    continue;
                }
                if (year != 0 || month != 1 || day != 1)
                    assert_int_equal(days, last + 1);
                last = days;
            }
        }
        struct tm tm = {.tm_year = year - 1900, .tm_mon = 11, .tm_mday = 31};
        assert_int_equal(timegm(&tm), EPOCH_2000 + last * INT64_C(86400));
    }
}

static void test_date(void **state)
{
    (void)state;
    int32_t days;
    assert_true(time_parse_date("2000-03-01", 10, &days));
    assert_int_equal(days, 60);
    assert_false(time_parse_date("2000-03-01T", 11, &days));
    assert_false(time_parse_date("2000-3-01", 9, &days));
    assert_false(time_parse_date("", 0, &days));
}

static void test_time(void **state)
{
    (void)state;
    int64_t us;
    assert_true(time_parse_time("00:00:00", 8, &us));
    assert_int_equal(us, 0);
    assert_true(time_parse_time("23:59:59.999999", 15, &us));
    assert_int_equal(us, INT64_C(86399999999));
    assert_true(time_parse_time("23:59:60", 8, &us));
    assert_int_equal(us, INT64_C(86400000000));
    assert_false(time_parse_time("23:59:60.5", 10, &us));
    assert_false(time_parse_time("24:00:00", 8, &us));
    assert_false(time_parse_time("12:00", 5, &us));
    assert_false(time_parse_time("12:00:00Z", 9, &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timestamps), cmocka_unit_test(test_bad_timestamps),
        cmocka_unit_test(test_prefixes),   cmocka_unit_test(test_without_offset),
        cmocka_unit_test(test_calendar),   cmocka_unit_test(test_date),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
