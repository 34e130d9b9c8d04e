// SPDX-License-Identifier: Apache-2.0
// The clocks, and times as text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"

static void the_monotonic_clock_never_goes_back(void **state)
{
    struct mono last = mono_read();
    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct mono now = mono_read();
        assert_true(mono_diff(now, last) >= 0);
        last = now;
    }
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t after = (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000 - last.us;
    assert_in_range(after, 0, 10 * US_PER_S);
}

static void the_wall_clock_is_unix_time(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) * US_PER_S - US_PER_S;
    int64_t now = wall_read_us();
    assert_true(now >= before && now < before + 10 * US_PER_S);
}

static void times_add_and_subtract(void **state)
{
    struct mono t = {5};
    (void)state;
    assert_int_equal(mono_add(t, 7).us, 12);
    assert_int_equal(mono_diff(mono_add(t, -7), t), -7);
}

static void format_is(int64_t us, const char *want)
{
    char text[32];
    wall_format(us, text, sizeof(text));
    assert_string_equal(text, want);
}

static void times_are_written_in_utc(void **state)
{
    (void)state;
    format_is(0, "1970-01-01T00:00:00.000Z");
    format_is(INT64_C(1767323045678901), "2026-01-02T03:04:05.678Z");
    format_is(INT64_C(1709251199999999), "2024-02-29T23:59:59.999Z");
    format_is(INT64_C(4102444800000000), "2100-01-01T00:00:00.000Z");
}

static void times_before_1970_are_rounded_down(void **state)
{
    (void)state;
    format_is(-1, "1969-12-31T23:59:59.999Z");
    format_is(-US_PER_S, "1969-12-31T23:59:59.000Z");
    format_is(-US_PER_S - 1, "1969-12-31T23:59:58.999Z");
}

static void a_small_room_is_not_overrun(void **state)
{
    char text[12] = "???????????";
    (void)state;
    wall_format(0, text, 11);
    assert_string_equal(text, "1970-01-01");
    char exact[25];
    wall_format(0, exact, sizeof(exact));
    assert_string_equal(exact, "1970-01-01T00:00:00.000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(the_wall_clock_is_unix_time),
        cmocka_unit_test(times_add_and_subtract),
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(times_before_1970_are_rounded_down),
        cmocka_unit_test(a_small_room_is_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
