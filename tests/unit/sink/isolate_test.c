// SPDX-License-Identifier: Apache-2.0
#include "sink/isolate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 2000

struct outcome {
    unsigned ranges, bad, written;
    uint32_t last; // entry that was written last
};

// Plays a server that refuses every range with a bad row in it.
static struct outcome play(const struct batch_run *runs, size_t n_runs, const bool *bad)
{
    struct isolate isolate;
    struct isolate_range range;
    struct outcome outcome = {0};
    isolate_start(&isolate, runs, n_runs);
    while (isolate_next(&isolate, &range)) {
        bool refused = false;
        outcome.ranges++;
        assert_true(range.count > 0);
        assert_true(range.run < n_runs);
        assert_true(range.first >= runs[range.run].first);
        assert_true(range.first + range.count <= runs[range.run].first + runs[range.run].count);
        for (uint32_t i = range.first; i < range.first + range.count; i++)
            refused = refused || bad[i];
        if (!refused) {
            assert_true(outcome.written == 0 || range.first > outcome.last); // in order
            outcome.written += range.count;
            outcome.last = range.first + range.count - 1;
        } else if (isolate_refused(&isolate)) {
            assert_int_equal(range.count, 1);
            assert_true(bad[range.first]);
            outcome.bad++;
        }
    }
    assert_false(isolate_next(&isolate, &range));
    return outcome;
}

static void test_three_anywhere(void **state)
{
    (void)state;
    static const uint32_t places[][3] = {
        {0, 1, 2}, {0, 1000, 1999}, {1997, 1998, 1999}, {499, 500, 501}, {7, 8, 1234}};
    struct batch_run run = {.count = ROWS};
    for (size_t p = 0; p < sizeof(places) / sizeof(*places); p++) {
        bool bad[ROWS] = {false};
        for (size_t i = 0; i < 3; i++)
            bad[places[p][i]] = true;
        struct outcome outcome = play(&run, 1, bad);
        assert_int_equal(outcome.bad, 3);
        assert_int_equal(outcome.written, ROWS - 3);
        assert_true(outcome.ranges <= 2 * 3 * 11 + 1);
    }
}

static void test_all_and_none(void **state)
{
    (void)state;
    struct batch_run run = {.count = ROWS};
    bool bad[ROWS] = {false};
    struct outcome outcome = play(&run, 1, bad);
    assert_int_equal(outcome.ranges, 1);
    assert_int_equal(outcome.written, ROWS);
    memset(bad, true, sizeof(bad));
    outcome = play(&run, 1, bad);
    assert_int_equal(outcome.bad, ROWS);
    assert_int_equal(outcome.written, 0);
    assert_int_equal(outcome.ranges, 2 * ROWS - 1);
}

static void test_runs_stay_apart(void **state)
{
    (void)state;
    static const struct batch_run runs[] = {
        {.first = 0, .count = 1}, {.first = 1, .count = 5}, {.first = 6, .count = 2}};
    for (unsigned mask = 0; mask < 256; mask++) {
        bool bad[8];
        unsigned expected = 0;
        for (unsigned i = 0; i < 8; i++) {
            bad[i] = mask >> i & 1;
            expected += bad[i];
        }
        struct outcome outcome = play(runs, 3, bad);
        assert_int_equal(outcome.bad, expected);
        assert_int_equal(outcome.written, 8 - expected);
    }
    struct outcome nothing = play(NULL, 0, NULL);
    assert_int_equal(nothing.ranges, 0);
}

static void test_deepest(void **state)
{
    (void)state;
    // Only the first of very many is bad: the stack holds one half of each level.
    struct batch_run run = {.count = UINT32_MAX};
    struct isolate isolate;
    struct isolate_range range;
    unsigned ranges = 0;
    isolate_start(&isolate, &run, 1);
    while (isolate_next(&isolate, &range)) {
        ranges++;
        assert_true(isolate.depth < ISOLATE_DEPTH);
        if (range.first == 0)
            isolate_refused(&isolate);
    }
    assert_true(ranges <= 2 * 32 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_anywhere),
        cmocka_unit_test(test_all_and_none),
        cmocka_unit_test(test_runs_stay_apart),
        cmocka_unit_test(test_deepest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
