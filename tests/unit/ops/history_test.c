// SPDX-License-Identifier: Apache-2.0
// The history: rates, latencies, gaps, its bounds, and what is sent of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "ops/history.h"

#define WALL (INT64_C(1767225600) * US_PER_S) // 2026-01-01T00:00:00Z

struct fixture {
    struct history *history;
    struct history_totals totals;
    struct mono now;
    struct history_mark mark;
    struct buf json;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->history = history_create();
    f->now.us = 5 * US_PER_S;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    history_destroy(&f->history);
    assert_null(f->history);
    history_destroy(&f->history);
    buf_deinit(&f->json);
    free(f);
    return 0;
}

static void pass(struct fixture *f, int64_t us)
{
    f->now.us += us;
    history_add(f->history, f->now, WALL + f->now.us, &f->totals);
}

static const char *json(struct fixture *f)
{
    buf_clear(&f->json);
    history_json(f->history, &f->mark, &f->json);
    return buf_text(&f->json);
}

#define COLUMNS                                                                             \
    "{\"columns\":[\"at\",\"received\",\"committed\",\"rejected\",\"p50\",\"p99\",\"spool_" \
    "events\","                                                                             \
    "\"spool_bytes\",\"batches\",\"retries\"]"

static unsigned count_rows(const char *text, const char *name)
{
    char begin[32];
    unsigned rows = 0;
    snprintf(begin, sizeof(begin), "\"%s\":[", name);
    const char *at = strstr(text, begin);
    assert_non_null(at);
    for (at += strlen(begin); *at == '['; at += *at == ',') {
        rows++;
        at = strchr(at, ']') + 1;
    }
    return rows;
}

static void the_first_call_only_begins(void **state)
{
    struct fixture *f = *state;
    f->totals.received = 1000; // before its time
    assert_string_equal(json(f), COLUMNS ",\"seconds\":[],\"minutes\":[]}");
    pass(f, 0);
    assert_string_equal(json(f), COLUMNS ",\"seconds\":[],\"minutes\":[]}");
    f->totals.received += 7;
    pass(f, US_PER_S);
    assert_string_equal(json(f), COLUMNS ",\"seconds\":[[1767225606,7,0,0,null,null,0,0,0,0]],"
                                         "\"minutes\":[]}");
}

static void rates_are_by_the_time_that_passed(void **state)
{
    struct fixture *f = *state;
    pass(f, 0);
    f->totals = (struct history_totals){.received = 500,
                                        .committed = 400,
                                        .rejected = 10,
                                        .batches = 5,
                                        .retries = 1,
                                        .spool_events = 90,
                                        .spool_bytes = 12345678901};
    pass(f, 2500 * US_PER_MS);
    assert_non_null(
        strstr(json(f), "\"seconds\":[[1767225607.5,200,160,4,null,null,90,12345678848,2,0.4]]"));
    pass(f, US_PER_S);
    assert_non_null(
        strstr(json(f), "\"seconds\":[[1767225608.5,0,0,0,null,null,90,12345678848,0,0]]"));
}

static void a_clock_that_stands_adds_nothing(void **state)
{
    struct fixture *f = *state;
    pass(f, 0);
    f->totals.received = 5;
    pass(f, 0);
    pass(f, 0);
    assert_int_equal(count_rows(json(f), "seconds"), 0);
    pass(f, US_PER_S); // and nothing is lost
    assert_non_null(strstr(json(f), "\"seconds\":[[1767225606,5,"));
}

static void latencies_are_of_their_own_second(void **state)
{
    struct fixture *f = *state;
    f->totals.latency[0] = 1000000; // long ago
    pass(f, 0);
    f->totals.latency[3] += 100; // 5 to 10 ms
    pass(f, US_PER_S);
    assert_non_null(strstr(json(f), ",0,0,0,0.0075,0.00995,0,"));
    pass(f, US_PER_S);
    assert_non_null(strstr(json(f), ",0,0,0,null,null,0,"));
}

static void a_minute_joins_its_seconds(void **state)
{
    struct fixture *f = *state;
    pass(f, 0);
    for (int i = 1; i <= 60; i++) {
        f->totals.received += i;
        f->totals.spool_events = i == 30 ? 777 : 3;
        f->totals.spool_bytes = i == 31 ? 4096 : 0;
        f->totals.latency[i <= 30 ? 0 : 3]++;
        assert_int_equal(count_rows(json(f), "minutes"), 0);
        pass(f, US_PER_S);
    }
    // The mean rate, the most that waited, the latencies of all of it.
    assert_non_null(
        strstr(json(f), "\"minutes\":[[1767225665,30.5,0,0,0.001,0.0099,777,4096,0,0]]}"));
    for (int i = 0; i < 60; i++)
        pass(f, US_PER_S);
    assert_non_null(strstr(json(f), "\"minutes\":[[1767225725,0,0,0,null,null,3,0,0,0]]}"));
}

static void what_was_sent_is_not_sent_again(void **state)
{
    struct fixture *f = *state;
    struct history_mark begin = {0};
    pass(f, 0);
    for (int i = 0; i < 130; i++)
        pass(f, US_PER_S);
    const char *text = json(f);
    assert_int_equal(count_rows(text, "seconds"), 130);
    assert_int_equal(count_rows(text, "minutes"), 2);
    text = json(f);
    assert_int_equal(count_rows(text, "seconds") + count_rows(text, "minutes"), 0);
    for (int i = 0; i < 3; i++)
        pass(f, US_PER_S);
    assert_int_equal(count_rows(json(f), "seconds"), 3);
    f->mark = begin; // another viewer
    assert_int_equal(count_rows(json(f), "seconds"), 133);
}

static void it_keeps_only_so_much(void **state)
{
    struct fixture *f = *state;
    pass(f, 0);
    for (int i = 0; i < 60 * HISTORY_MINUTES + 100; i++)
        pass(f, US_PER_S);
    for (int i = 0; i < 100; i++)
        pass(f, 60 * US_PER_S);
    const char *text = json(f);
    assert_int_equal(count_rows(text, "seconds"), HISTORY_SECONDS);
    assert_int_equal(count_rows(text, "minutes"), HISTORY_MINUTES);
    // A viewer that fell behind gets what there still is.
    f->mark.seconds -= HISTORY_SECONDS + 50;
    assert_int_equal(count_rows(json(f), "seconds"), HISTORY_SECONDS);
}

static void large_figures_stay_numbers(void **state)
{
    struct fixture *f = *state;
    pass(f, 0);
    f->totals.received = 1e15;
    f->totals.committed = 0.00001;
    f->totals.spool_bytes = 1e18;
    pass(f, US_PER_S);
    assert_non_null(
        strstr(json(f), ",999999986991104,0.00001,0,null,null,0,999999984306749440,0,0]"));
}

#define HISTORY_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HISTORY_TEST(the_first_call_only_begins),
        HISTORY_TEST(rates_are_by_the_time_that_passed),
        HISTORY_TEST(a_clock_that_stands_adds_nothing),
        HISTORY_TEST(latencies_are_of_their_own_second),
        HISTORY_TEST(a_minute_joins_its_seconds),
        HISTORY_TEST(what_was_sent_is_not_sent_again),
        HISTORY_TEST(it_keeps_only_so_much),
        HISTORY_TEST(large_figures_stay_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
