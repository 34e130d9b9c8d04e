// SPDX-License-Identifier: Apache-2.0
// The breaker: opens after failures in a row, admits one probe, which alone decides.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/breaker.h"

#define RESET 1000

static void fail_once(struct breaker *b, int64_t now)
{
    assert_true(breaker_allows(b, now));
    breaker_end(b, breaker_begin(b), true, now);
}

static struct breaker opened(int64_t now)
{
    struct breaker b;
    breaker_init(&b, 3, RESET);
    for (int i = 0; i < 3; i++)
        fail_once(&b, now);
    assert_int_equal(b.state, BREAKER_OPEN);
    return b;
}

static void opens_after_failures_in_a_row_only(void **state)
{
    struct breaker b;
    (void)state;
    breaker_init(&b, 3, RESET);
    for (int i = 0; i < 10; i++) {
        fail_once(&b, 0);
        fail_once(&b, 0);
        assert_false(breaker_end(&b, breaker_begin(&b), false, 0));
    }
    assert_int_equal(b.state, BREAKER_CLOSED);
    fail_once(&b, 0);
    fail_once(&b, 0);
    assert_true(breaker_end(&b, breaker_begin(&b), true, 5));
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(breaker_reopens_at(&b), 5 + RESET);
}

static void is_shut_until_the_reset_time(void **state)
{
    struct breaker b = opened(100);
    (void)state;
    assert_false(breaker_allows(&b, 100));
    assert_false(breaker_allows(&b, 100 + RESET - 1));
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_true(breaker_allows(&b, 100 + RESET));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
}

static void admits_one_probe(void **state)
{
    struct breaker b = opened(0);
    (void)state;
    assert_true(breaker_allows(&b, RESET));
    assert_true(breaker_begin(&b));
    for (int i = 0; i < 50; i++)
        assert_false(breaker_allows(&b, 10 * RESET));
    breaker_abandon(&b, true); // it was never sent: another may be the probe
    assert_true(breaker_allows(&b, RESET));
}

static void a_good_probe_closes_it(void **state)
{
    struct breaker b = opened(0);
    (void)state;
    assert_true(breaker_allows(&b, RESET));
    assert_true(breaker_end(&b, breaker_begin(&b), false, RESET));
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.failures, 0);
    assert_false(breaker_begin(&b));
}

static void a_bad_probe_opens_it_again(void **state)
{
    struct breaker b = opened(0);
    (void)state;
    assert_true(breaker_allows(&b, RESET));
    assert_true(breaker_end(&b, breaker_begin(&b), true, RESET + 7));
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(breaker_reopens_at(&b), 2 * RESET + 7);
}

static void late_answers_of_older_requests_decide_nothing(void **state)
{
    struct breaker b = opened(0);
    (void)state;
    assert_false(breaker_end(&b, false, false, 1));
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_true(breaker_allows(&b, RESET));
    assert_true(breaker_begin(&b));
    assert_false(breaker_end(&b, false, true, RESET));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_true(b.probing);
    assert_string_equal(breaker_state_name(b.state), "half_open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_after_failures_in_a_row_only),
        cmocka_unit_test(is_shut_until_the_reset_time),
        cmocka_unit_test(admits_one_probe),
        cmocka_unit_test(a_good_probe_closes_it),
        cmocka_unit_test(a_bad_probe_opens_it_again),
        cmocka_unit_test(late_answers_of_older_requests_decide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
