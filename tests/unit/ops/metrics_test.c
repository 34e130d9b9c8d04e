// SPDX-License-Identifier: Apache-2.0
// Metrics as Prometheus text: labels, histograms, the process's own figures, promtool's opinion.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/counter.h"
#include "ops/metrics.h"

struct fixture {
    struct buf out;
};

static int set_up(void **state)
{
    metric_reset_all();
    *state = calloc(1, sizeof(struct fixture));
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    metric_reset_all();
    buf_deinit(&f->out);
    free(f);
    return 0;
}

static const char *render(struct fixture *f)
{
    buf_clear(&f->out);
    metrics_render(&f->out);
    return buf_text(&f->out);
}

// The value on the line that begins with `name` and a space; NAN when there is none.
static double value_of(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            return strtod(line + n + 1, NULL);
    }
    return NAN;
}

static void metrics_without_a_series_are_left_out(void **state)
{
    struct fixture *f = *state;
    assert_null(strstr(render(f), "cxsink_"));
    metric_series(METRIC_SPOOL_EVENTS, NULL, NULL);
    const char *text = render(f);
    assert_non_null(strstr(text, "# HELP cxsink_spool_events Events in the spool that are not yet "
                                 "committed to PostgreSQL\n# TYPE cxsink_spool_events gauge\n"
                                 "cxsink_spool_events 0\n"));
    assert_null(strstr(text, "cxsink_spool_bytes"));
}

static void series_of_a_metric_stand_together(void **state)
{
    struct fixture *f = *state;
    metric_add(metric_series(METRIC_EVENTS_COMMITTED, "a", "inserted"), 5);
    metric_add(metric_series(METRIC_EVENTS_RECEIVED, "a", NULL), 1);
    metric_add(metric_series(METRIC_EVENTS_COMMITTED, "b", "updated"), 7);
    assert_non_null(strstr(render(f),
                           "# TYPE cxsink_events_committed_total counter\n"
                           "cxsink_events_committed_total{stream=\"a\",result=\"inserted\"} 5\n"
                           "cxsink_events_committed_total{stream=\"b\",result=\"updated\"} 7\n"));
    assert_true(value_of(render(f), "cxsink_events_received_total{stream=\"a\"}") == 1);
}

static void label_values_are_escaped(void **state)
{
    struct fixture *f = *state;
    metric_add(metric_series(METRIC_EVENTS_RECEIVED, "a\"b\\c\nd{}=,\xc3\xa9", NULL), 1);
    metric_add(metric_series(METRIC_EVENTS_RECEIVED, "", NULL), 2);
    metric_add(metric_series(METRIC_EVENTS_RECEIVED, NULL, NULL), 3);
    const char *text = render(f);
    assert_non_null(
        strstr(text, "cxsink_events_received_total{stream=\"a\\\"b\\\\c\\nd{}=,\xc3\xa9\"} 1\n"
                     "cxsink_events_received_total{stream=\"\"} 2\n"));
}

static void numbers_keep_their_digits(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},          {-3, "-3"},
        {0.25, "0.25"},    {123456789012345, "123456789012345"},
        {1e300, "1e+300"}, {1767225678.375, "1767225678.375"},
        {INFINITY, "inf"},
    };
    struct fixture *f = *state;
    struct metric_series *series = metric_series(METRIC_SPOOL_BYTES, NULL, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char want[64];
        metric_set(series, cases[i].value);
        snprintf(want, sizeof(want), "\ncxsink_spool_bytes %s\n", cases[i].text);
        assert_non_null(strstr(render(f), want));
    }
}

static void a_histogram_is_cumulative(void **state)
{
    struct fixture *f = *state;
    struct metric_series *series = metric_series(METRIC_BATCH_EVENTS, NULL, NULL);
    metric_observe(METRIC_BATCH_EVENTS, series, 1, 3);
    metric_observe(METRIC_BATCH_EVENTS, series, 2000, 2);
    metric_observe(METRIC_BATCH_EVENTS, series, 20000, 1);
    const char *text = render(f);
    assert_non_null(strstr(text, "# TYPE cxsink_batch_events histogram\n"
                                 "cxsink_batch_events_bucket{le=\"1\"} 3\n"
                                 "cxsink_batch_events_bucket{le=\"2\"} 3\n"));
    assert_non_null(strstr(text, "cxsink_batch_events_bucket{le=\"1000\"} 3\n"
                                 "cxsink_batch_events_bucket{le=\"2000\"} 5\n"
                                 "cxsink_batch_events_bucket{le=\"5000\"} 5\n"
                                 "cxsink_batch_events_bucket{le=\"10000\"} 5\n"
                                 "cxsink_batch_events_bucket{le=\"+Inf\"} 6\n"
                                 "cxsink_batch_events_sum 24003\n"
                                 "cxsink_batch_events_count 6\n"));
}

static void a_histograms_labels_come_before_the_bound(void **state)
{
    struct fixture *f = *state;
    struct metric_series *series = metric_series(METRIC_COMMIT_LATENCY, "calls", NULL);
    metric_observe(METRIC_COMMIT_LATENCY, series, 0.002, 1);
    const char *text = render(f);
    assert_true(
        value_of(text, "cxsink_commit_latency_seconds_bucket{stream=\"calls\",le=\"0.001\"}") == 0);
    assert_true(
        value_of(text, "cxsink_commit_latency_seconds_bucket{stream=\"calls\",le=\"0.0025\"}") ==
        1);
    assert_true(value_of(text, "cxsink_commit_latency_seconds_sum{stream=\"calls\"}") == 0.002);
    assert_true(value_of(text, "cxsink_commit_latency_seconds_count{stream=\"calls\"}") == 1);
}

static void the_process_tells_its_own_figures(void **state)
{
    struct fixture *f = *state;
    struct rlimit limit;
    const char *text = render(f);
    double started = value_of(text, "process_start_time_seconds");
    double now = (double)time(NULL);
    assert_true(started > now - 600 && started <= now + 1);
    double resident = value_of(text, "process_resident_memory_bytes");
    assert_true(resident > 100000 && resident <= value_of(text, "process_virtual_memory_bytes"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(value_of(text, "process_max_fds") == (double)limit.rlim_cur);
    clock_t end = clock() + CLOCKS_PER_SEC / 50;
    double cpu = value_of(text, "process_cpu_seconds_total");
    while (clock() < end)
        continue;
    assert_true(value_of(render(f), "process_cpu_seconds_total") > cpu);
}

static void open_descriptors_are_counted(void **state)
{
    struct fixture *f = *state;
    int fds[10];
    double before = value_of(render(f), "process_open_fds");
    assert_true(before >= 3);
    for (int i = 0; i < 10; i++)
        fds[i] = dup(STDERR_FILENO);
    assert_true(value_of(render(f), "process_open_fds") == before + 10);
    for (int i = 0; i < 10; i++)
        close(fds[i]);
    assert_true(value_of(render(f), "process_open_fds") == before); // rendering leaves none
}

// A series of every metric, with values that are hard to write.
static void fill_everything(void)
{
    for (int m = 0; m < METRIC_COUNT; m++) {
        enum metric metric = (enum metric)m;
        struct metric_series *series = metric_series(metric, "a \"quoted\"\\\n", "4001");
        metric_series(metric, "second", "\xe6\x97\xa5");
        if (metric_info(metric)->type != METRIC_HISTOGRAM) {
            metric_set(series, 0.1 * m + 12345678.5);
            continue;
        }
        for (int i = 0; i < 100; i++)
            metric_observe(metric, series, i * i / 100.0, 1);
    }
}

static void promtool_has_no_complaint(void **state)
{
    struct fixture *f = *state;
    char report[4096];
    if (system("command -v promtool >/dev/null") != 0) {
        print_message("skipped: promtool is not installed (package prometheus)\n");
        skip();
    }
    fill_everything();
    render(f);
    char path[] = "/tmp/metrics_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, f->out.data, f->out.len), f->out.len);
    close(fd);
    char command[128];
    snprintf(command, sizeof(command), "promtool check metrics <%s 2>&1", path);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    report[fread(report, 1, sizeof(report) - 1, pipe)] = '\0';
    int code = pclose(pipe);
    unlink(path);
    assert_string_equal(report, "");
    assert_int_equal(code, 0);
}

static void rendering_takes_little(void **state)
{
    struct fixture *f = *state;
    struct timespec start, end;
    fill_everything();
    render(f);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start); // what others do is not its fault
    for (int i = 0; i < 10; i++)
        render(f);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    double ms =
        ((double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6) /
        10;
    print_message("%.2f ms a rendering of %zu bytes\n", ms, f->out.len);
    assert_true(ms < 100);
}

#define METRICS_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        METRICS_TEST(metrics_without_a_series_are_left_out),
        METRICS_TEST(series_of_a_metric_stand_together),
        METRICS_TEST(label_values_are_escaped),
        METRICS_TEST(numbers_keep_their_digits),
        METRICS_TEST(a_histogram_is_cumulative),
        METRICS_TEST(a_histograms_labels_come_before_the_bound),
        METRICS_TEST(the_process_tells_its_own_figures),
        METRICS_TEST(open_descriptors_are_counted),
        METRICS_TEST(promtool_has_no_complaint),
        METRICS_TEST(rendering_takes_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
