// SPDX-License-Identifier: Apache-2.0
// The rate limit: a period's worth at once, then an even pace; holds win.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/rate.h"

#define SECOND 1000000

static unsigned taken_within(struct rate *r, int64_t from, int64_t to)
{
    unsigned n = 0;
    for (int64_t now = from; now < to; now += SECOND / 1000) {
        while (rate_take(r, now) == 0)
            n++;
    }
    return n;
}

static void a_full_bucket_and_then_the_pace(void **state)
{
    struct rate r;
    (void)state;
    rate_init(&r, 10, SECOND);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rate_take(&r, 5 * SECOND), 0);
    assert_int_equal(rate_take(&r, 5 * SECOND), SECOND / 10);
    assert_int_equal(rate_wait(&r, 5 * SECOND + SECOND / 20), SECOND / 20);
    assert_int_equal(rate_take(&r, 5 * SECOND + SECOND / 10), 0);
    assert_int_equal(taken_within(&r, 6 * SECOND, 16 * SECOND), 9 + 99);
}

static void no_limit(void **state)
{
    struct rate r;
    (void)state;
    rate_init(&r, 0, SECOND);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(rate_take(&r, 0), 0);
}

static void a_hold_stops_all_and_the_later_one_wins(void **state)
{
    struct rate r;
    (void)state;
    rate_init(&r, 0, SECOND);
    rate_hold(&r, 7 * SECOND);
    rate_hold(&r, 3 * SECOND);
    assert_int_equal(rate_take(&r, 2 * SECOND), 5 * SECOND);
    assert_int_equal(rate_take(&r, 7 * SECOND), 0);
}

static void waiting_counts_nothing(void **state)
{
    struct rate r;
    (void)state;
    rate_init(&r, 2, SECOND);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rate_wait(&r, 0), 0);
    assert_int_equal(rate_take(&r, 0), 0);
    assert_int_equal(rate_take(&r, 0), 0);
    assert_int_equal(rate_take(&r, 0), SECOND / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_and_then_the_pace),
        cmocka_unit_test(no_limit),
        cmocka_unit_test(a_hold_stops_all_and_the_later_one_wins),
        cmocka_unit_test(waiting_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
