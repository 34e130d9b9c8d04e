// SPDX-License-Identifier: Apache-2.0
// Metrics: the table, series and their cap, histograms and quantiles.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/counter.h"

#define RESET_TEST(fn) cmocka_unit_test_setup_teardown(fn, reset, reset)

static int reset(void **state)
{
    (void)state;
    metric_reset_all();
    return 0;
}

static void the_table_follows_the_naming_rules(void **state)
{
    (void)state;
    for (int m = 0; m < METRIC_COUNT; m++) {
        const struct metric_info *info = metric_info((enum metric)m);
        size_t length = strlen(info->name);
        assert_memory_equal(info->name, "cxsink_", 7);
        assert_int_equal(strspn(info->name, "abcdefghijklmnopqrstuvwxyz_"), length);
        bool total = length > 6 && strcmp(info->name + length - 6, "_total") == 0;
        assert_int_equal(total, info->type == METRIC_COUNTER);
        assert_true(strlen(info->help) > 0);
        assert_true(info->labels[0] != NULL || info->labels[1] == NULL);
        assert_true(info->n_bounds < METRIC_BUCKETS_MAX);
        assert_int_equal(info->n_bounds > 0, info->type == METRIC_HISTOGRAM);
        for (size_t i = 1; i < info->n_bounds; i++)
            assert_true(info->bounds[i] > info->bounds[i - 1]);
        for (int other = 0; other < m; other++)
            assert_string_not_equal(info->name, metric_info((enum metric)other)->name);
    }
}

static void a_series_is_made_once(void **state)
{
    (void)state;
    assert_null(metric_first(METRIC_EVENTS_COMMITTED));
    struct metric_series *a = metric_series(METRIC_EVENTS_COMMITTED, "s", "inserted");
    struct metric_series *b = metric_series(METRIC_EVENTS_COMMITTED, "s", "updated");
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(metric_series(METRIC_EVENTS_COMMITTED, "s", "inserted"), a);
    assert_ptr_not_equal(metric_series(METRIC_EVENTS_COMMITTED, "t", "inserted"), a);
    assert_ptr_equal(metric_first(METRIC_EVENTS_COMMITTED), a); // in the order of their making
    assert_ptr_equal(a->next, b);
    metric_add(a, 2);
    metric_add(a, 3);
    assert_true(a->value == 5 && b->value == 0);
    metric_set(a, 1);
    assert_true(a->value == 1);
}

static void label_values_are_copied(void **state)
{
    char value[] = "stream-1";
    (void)state;
    struct metric_series *series = metric_series(METRIC_EVENTS_RECEIVED, value, NULL);
    value[0] = 'X';
    assert_string_equal(series->labels[0], "stream-1");
    assert_null(series->labels[1]);
}

static void values_of_labels_it_does_not_have_are_ignored(void **state)
{
    (void)state;
    struct metric_series *one = metric_series(METRIC_SPOOL_BYTES, NULL, NULL);
    assert_ptr_equal(metric_series(METRIC_SPOOL_BYTES, "a", "b"), one);
    assert_null(one->labels[0]);
    struct metric_series *stream = metric_series(METRIC_EVENTS_RECEIVED, "s", "extra");
    assert_ptr_equal(metric_series(METRIC_EVENTS_RECEIVED, "s", NULL), stream);
    // A value that is missing is a series of its own.
    struct metric_series *missing = metric_series(METRIC_EVENTS_RECEIVED, NULL, NULL);
    assert_ptr_not_equal(missing, stream);
    assert_ptr_equal(metric_series(METRIC_EVENTS_RECEIVED, NULL, NULL), missing);
}

static void further_series_share_one(void **state)
{
    char value[32];
    struct metric_series *series = NULL;
    (void)state;
    for (int i = 0; i < METRIC_SERIES_MAX; i++) {
        snprintf(value, sizeof(value), "code-%d", i);
        series = metric_series(METRIC_STREAM_DISCONNECTS, "s", value);
        assert_string_equal(series->labels[1], value);
    }
    struct metric_series *other = metric_series(METRIC_STREAM_DISCONNECTS, "s", "one more");
    assert_string_equal(other->labels[0], "other");
    assert_string_equal(other->labels[1], "other");
    for (int i = 0; i < 1000; i++) {
        snprintf(value, sizeof(value), "more-%d", i);
        assert_ptr_equal(metric_series(METRIC_STREAM_DISCONNECTS, value, "x"), other);
    }
    assert_ptr_equal(series->next, other);
    assert_null(other->next);
    // Those that were there are found as before, and another metric has room of its own.
    assert_ptr_equal(metric_series(METRIC_STREAM_DISCONNECTS, "s", "code-0"),
                     metric_first(METRIC_STREAM_DISCONNECTS));
    assert_string_equal(metric_series(METRIC_EVENTS_RECEIVED, "s", NULL)->labels[0], "s");
}

static void observations_fall_into_their_bucket(void **state)
{
    const struct metric_info *info = metric_info(METRIC_BATCH_EVENTS);
    struct metric_series *series = metric_series(METRIC_BATCH_EVENTS, NULL, NULL);
    (void)state;
    for (size_t i = 0; i < info->n_bounds; i++) {
        metric_observe(METRIC_BATCH_EVENTS, series, info->bounds[i], 1); // the bound belongs to it
        metric_observe(METRIC_BATCH_EVENTS, series, nextafter(info->bounds[i], 1e9), 2);
    }
    assert_int_equal(series->buckets[0], 1);
    for (size_t i = 1; i < info->n_bounds; i++)
        assert_int_equal(series->buckets[i], 3);
    assert_int_equal(series->buckets[info->n_bounds], 2); // +Inf
    assert_int_equal(series->count, 3 * info->n_bounds);
}

static void count_and_sum_follow(void **state)
{
    struct metric_series *series = metric_series(METRIC_COMMIT_LATENCY, "s", NULL);
    (void)state;
    metric_observe(METRIC_COMMIT_LATENCY, series, 0.25, 4);
    metric_observe(METRIC_COMMIT_LATENCY, series, 2, 1);
    metric_observe(METRIC_COMMIT_LATENCY, series, 0, 0);
    metric_observe(METRIC_COMMIT_LATENCY, series, -1, 1); // a clock that was set back
    assert_int_equal(series->count, 6);
    assert_true(series->sum == 2);
    assert_int_equal(series->buckets[0], 1);
}

static double quantile(const struct metric_series *series, double q)
{
    return metric_quantile(METRIC_BATCH_EVENTS, series, q);
}

static void quantiles_are_upper_bounds(void **state)
{
    struct metric_series *series = metric_series(METRIC_BATCH_EVENTS, NULL, NULL);
    (void)state;
    assert_true(quantile(series, 0.5) == 0); // nothing was observed
    metric_observe(METRIC_BATCH_EVENTS, series, 7, 50);
    metric_observe(METRIC_BATCH_EVENTS, series, 150, 45);
    metric_observe(METRIC_BATCH_EVENTS, series, 1500, 5);
    assert_true(quantile(series, 0) == 10); // not the empty bucket below it
    assert_true(quantile(series, 0.5) == 10);
    assert_true(quantile(series, 0.51) == 200);
    assert_true(quantile(series, 0.95) == 200);
    assert_true(quantile(series, 0.99) == 2000);
    assert_true(quantile(series, 1) == 2000);
    metric_observe(METRIC_BATCH_EVENTS, series, 1e9, 1000); // beyond the last bound
    assert_true(quantile(series, 0.99) == 10000);
}

static void a_counter_has_no_quantile(void **state)
{
    struct metric_series *series = metric_series(METRIC_SPOOL_EVENTS, NULL, NULL);
    (void)state;
    metric_observe(METRIC_SPOOL_EVENTS, series, 1, 1);
    assert_true(metric_quantile(METRIC_SPOOL_EVENTS, series, 0.5) == 0);
}

static void a_quantile_lies_within_its_bucket(void **state)
{
    (void)state;
    const struct metric_info *info = metric_info(METRIC_COMMIT_LATENCY);
    uint64_t buckets[METRIC_BUCKETS_MAX] = {0};
    assert_true(isnan(metric_interpolate(METRIC_COMMIT_LATENCY, buckets, 0.5)));
    buckets[0] = 10;
    assert_float_equal(metric_interpolate(METRIC_COMMIT_LATENCY, buckets, 0.5), info->bounds[0] / 2,
                       1e-9);
    assert_float_equal(metric_interpolate(METRIC_COMMIT_LATENCY, buckets, 1), info->bounds[0],
                       1e-9);
    assert_float_equal(metric_interpolate(METRIC_COMMIT_LATENCY, buckets, 0), 0, 1e-9);
    buckets[2] = 10; // none in bucket 1
    assert_float_equal(metric_interpolate(METRIC_COMMIT_LATENCY, buckets, 0.75),
                       (info->bounds[1] + info->bounds[2]) / 2, 1e-9);
    buckets[info->n_bounds] = 1000; // above every bound
    assert_float_equal(metric_interpolate(METRIC_COMMIT_LATENCY, buckets, 0.99),
                       info->bounds[info->n_bounds - 1], 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESET_TEST(the_table_follows_the_naming_rules),
        RESET_TEST(a_series_is_made_once),
        RESET_TEST(label_values_are_copied),
        RESET_TEST(values_of_labels_it_does_not_have_are_ignored),
        RESET_TEST(further_series_share_one),
        RESET_TEST(observations_fall_into_their_bucket),
        RESET_TEST(count_and_sum_follow),
        RESET_TEST(quantiles_are_upper_bounds),
        RESET_TEST(a_counter_has_no_quantile),
        RESET_TEST(a_quantile_lies_within_its_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
