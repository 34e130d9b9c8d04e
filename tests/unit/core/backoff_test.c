// SPDX-License-Identifier: Apache-2.0
// Backoff: bounds over many draws, cap, floor, no overflow however often it is asked.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/backoff.h"
#include "core/clock.h"

static struct backoff usual(void)
{
    return (struct backoff){.base_us = US_PER_S, .cap_us = 30 * US_PER_S};
}

static void greatest_and_least_draws_reach_the_bounds(void **state)
{
    static const int64_t bounds[] = {1, 2, 4, 8, 16, 30, 30, 30};
    struct backoff high = usual(), low = usual();
    (void)state;
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        assert_int_equal(backoff_next(&high, UINT64_MAX), bounds[i] * US_PER_S);
        assert_int_equal(backoff_next(&low, 0), 0);
        assert_int_equal(high.attempts, i + 1);
    }
}

static void many_draws_fill_the_range_evenly(void **state)
{
    enum { DRAWS = 100000 };
    int tenths[10] = {0};
    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        struct backoff b = usual();
        b.attempts = 100;
        int64_t delay = backoff_next(&b, backoff_random());
        assert_in_range(delay, 0, 30 * US_PER_S);
        tenths[delay * 10 / (30 * US_PER_S + 1)]++;
    }
    for (int i = 0; i < 10; i++) // 1 in 10 each; off by 10 % is more than ten standard deviations
        assert_in_range(tenths[i], DRAWS / 10 * 9 / 10, DRAWS / 10 * 11 / 10);
}

static void a_reset_starts_over(void **state)
{
    struct backoff b = usual();
    (void)state;
    for (int i = 0; i < 10; i++)
        backoff_next(&b, UINT64_MAX);
    backoff_reset(&b);
    assert_int_equal(b.attempts, 0);
    assert_int_equal(backoff_next(&b, UINT64_MAX), US_PER_S);
}

static void the_floor_holds_for_every_draw(void **state)
{
    struct backoff b = usual();
    (void)state;
    b.floor_us = 100 * US_PER_MS;
    assert_int_equal(backoff_next(&b, 0), 100 * US_PER_MS);
    for (int i = 0; i < 10000; i++)
        assert_in_range(backoff_next(&b, backoff_random()), 100 * US_PER_MS, 30 * US_PER_S);
}

static void attempts_without_end_do_not_overflow(void **state)
{
    struct backoff b = {.base_us = 1, .cap_us = INT64_MAX};
    (void)state;
    for (int i = 0; i < 200; i++)
        assert_true(backoff_next(&b, UINT64_MAX) > 0);
    assert_true(backoff_next(&b, UINT64_MAX) == INT64_MAX);
    // However many there were (2^40 do not fit the count, which then stands still).
    b.attempts = UINT32_MAX;
    assert_true(backoff_next(&b, UINT64_MAX) == INT64_MAX);
    assert_true(backoff_next(&b, 0) == 0);
    assert_int_equal(b.attempts, UINT32_MAX);
    struct backoff large = {.base_us = INT64_MAX, .cap_us = INT64_MAX, .attempts = 3};
    assert_true(backoff_next(&large, UINT64_MAX) == INT64_MAX);
}

static void odd_settings_are_bounded(void **state)
{
    struct backoff above = {.base_us = 60 * US_PER_S, .cap_us = 30 * US_PER_S};
    (void)state;
    assert_int_equal(backoff_next(&above, UINT64_MAX), 30 * US_PER_S);
    // No base: no delay, and no search through the attempts for it.
    struct backoff none = {.cap_us = US_PER_S, .attempts = UINT32_MAX};
    struct mono start = mono_read();
    assert_int_equal(backoff_next(&none, UINT64_MAX), 0);
    assert_true(mono_diff(mono_read(), start) < 500 * US_PER_MS);
    none.floor_us = 5;
    assert_int_equal(backoff_next(&none, UINT64_MAX), 5);
    struct backoff negative = {.base_us = -1, .cap_us = -1};
    assert_int_equal(backoff_next(&negative, UINT64_MAX), 0);
}

static void random_words_differ_and_use_all_bits(void **state)
{
    uint64_t ones = 0, zeros = 0, last = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        uint64_t word = backoff_random();
        assert_true(word != last);
        last = word;
        ones |= word;
        zeros |= ~word;
    }
    assert_true(ones == UINT64_MAX && zeros == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greatest_and_least_draws_reach_the_bounds),
        cmocka_unit_test(many_draws_fill_the_range_evenly),
        cmocka_unit_test(a_reset_starts_over),
        cmocka_unit_test(the_floor_holds_for_every_draw),
        cmocka_unit_test(attempts_without_end_do_not_overflow),
        cmocka_unit_test(odd_settings_are_bounded),
        cmocka_unit_test(random_words_differ_and_use_all_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
