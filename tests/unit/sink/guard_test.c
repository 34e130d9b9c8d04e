// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sink/guard.h"

static struct guard make(double share, unsigned events)
{
    struct guard guard = {0};
    guard_init(&guard, share, events);
    return guard;
}

static void off_never_trips(void **state)
{
    (void)state;
    struct guard none = make(0.5, 0);
    struct guard zero = make(0, 100);
    assert_false(guard_trips(&none, 1000, 1000));
    assert_false(guard_trips(&zero, 1000, 1000));
    guard_count(&none, 1000, 1000);
    guard_count(&zero, 1000, 1000);
    guard_reset(&none, true);
    assert_int_equal(none.refused + zero.refused, 0);
}

// A tenth of the window, and 20 events at least; of a smaller window, all of it.
static void young_windows(void **state)
{
    (void)state;
    struct guard guard = make(0.5, 1000);
    assert_false(guard_trips(&guard, 99, 99));
    assert_true(guard_trips(&guard, 100, 100));
    assert_true(guard_trips(&guard, 100, 51));
    assert_false(guard_trips(&guard, 100, 50));
    guard_count(&guard, 99, 99);
    assert_true(guard_trips(&guard, 1, 1));
    assert_false(guard_trips(&guard, 1, 0)); // what is well may always go
    guard_deinit(&guard);
    guard = make(0.5, 100);
    assert_false(guard_trips(&guard, 19, 19));
    assert_true(guard_trips(&guard, 20, 20));
    guard_deinit(&guard);
    guard = make(1, 4);
    assert_false(guard_trips(&guard, 4, 4)); // no share is more than all of them
    guard_deinit(&guard);
    guard = make(0.9, 4);
    assert_false(guard_trips(&guard, 3, 3));
    assert_true(guard_trips(&guard, 4, 4));
    guard_deinit(&guard);
}

static void a_full_window(void **state)
{
    (void)state;
    struct guard guard = make(0.5, 100);
    guard_count(&guard, 5000, 0);
    assert_int_equal(guard.seen, 100);
    for (int i = 0; i < 50; i++) { // one after the other: half of the window, not more
        assert_false(guard_trips(&guard, 1, 1));
        guard_count(&guard, 1, 1);
    }
    assert_int_equal(guard.refused, 50);
    assert_true(guard_trips(&guard, 2, 2));
    // They fall out again.
    guard_count(&guard, 100, 0);
    assert_int_equal(guard.refused, 0);
    // A batch as large as the window is judged alone; of a larger one the window takes its share.
    assert_false(guard_trips(&guard, 1000, 500));
    assert_true(guard_trips(&guard, 1000, 501));
    guard_count(&guard, 1000, 300);
    assert_int_equal(guard.refused, 30);
    guard_count(&guard, 100, 100);
    assert_int_equal(guard.refused, 100);
    guard_deinit(&guard);
}

// The ring against a plain list of the last events.
static void the_ring(void **state)
{
    (void)state;
    enum { SIZE = 130, STEPS = 5000 };
    static bool list[STEPS];
    struct guard guard = make(0.5, SIZE);
    unsigned n = 0;
    uint32_t random = 1;
    while (n < STEPS - 10) {
        random = random * 1664525 + 1013904223;
        unsigned events = 1 + (random >> 24) % 9;
        bool refused = random >> 30 == 0;
        for (unsigned i = 0; i < events; i++)
            list[n++] = refused;
        guard_count(&guard, events, refused ? events : 0);
        unsigned expected = 0;
        for (unsigned i = n > SIZE ? n - SIZE : 0; i < n; i++)
            expected += list[i];
        assert_int_equal(guard.refused, expected);
        assert_int_equal(guard.seen, n < SIZE ? n : SIZE);
    }
    guard_deinit(&guard);
}

static void open_until_well(void **state)
{
    (void)state;
    struct guard guard = make(0.5, 100);
    guard_count(&guard, 100, 100);
    guard_reset(&guard, false);
    assert_int_equal(guard.seen + guard.refused, 0);
    assert_true(guard_trips(&guard, 100, 100));
    guard_reset(&guard, true);
    assert_false(guard_trips(&guard, 1000, 1000));
    guard_count(&guard, 1000, 1000);
    guard_count(&guard, 40, 0);
    assert_false(guard_trips(&guard, 1000, 1000));
    guard_count(&guard, 10, 0);
    assert_true(guard_trips(&guard, 1000, 1000));
    guard_deinit(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_never_trips), cmocka_unit_test(young_windows),
        cmocka_unit_test(a_full_window),   cmocka_unit_test(the_ring),
        cmocka_unit_test(open_until_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
