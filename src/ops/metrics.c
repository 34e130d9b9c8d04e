// SPDX-License-Identifier: Apache-2.0
#include "ops/metrics.h"

#include "core/counter.h"
#include "core/mem.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 65536

static void append_number(struct buf *out, double value)
{
    if (value == floor(value) && fabs(value) < 1e15)
        buf_printf(out, "%.0f", value);
    else
        buf_printf(out, "%.15g", value); // a Unix time with its fraction takes 13 or more
}

// A label value: backslash, quote and line feed are escaped.
static void append_label(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s=\"", name);
    for (const char *p = value != NULL ? value : ""; *p != '\0'; p++) {
        if (*p == '\\' || *p == '"')
            buf_printf(out, "\\%c", *p);
        else if (*p == '\n')
            buf_append_text(out, "\\n");
        else
            buf_append(out, p, 1);
    }
    buf_append(out, "\"", 1);
}

// name{labels,le="..."} with `suffix` after the name; `le` may be NULL.
static void append_name(struct buf *out, const struct metric_info *info, const char *suffix,
                        const struct metric_series *series, const char *le)
{
    buf_printf(out, "%s%s", info->name, suffix);
    const char *separator = "{";
    for (int i = 0; i < 2; i++) {
        if (info->labels[i] == NULL)
            continue;
        buf_append_text(out, separator);
        append_label(out, info->labels[i], series->labels[i]);
        separator = ",";
    }
    if (le != NULL) {
        buf_append_text(out, separator);
        append_label(out, "le", le);
        separator = ",";
    }
    buf_append_text(out, *separator == ',' ? "} " : " ");
}

static void append_histogram(struct buf *out, const struct metric_info *info,
                             const struct metric_series *series)
{
    uint64_t below = 0;
    for (size_t i = 0; i < info->n_bounds; i++) {
        char le[32];
        below += series->buckets[i];
        snprintf(le, sizeof(le), "%g", info->bounds[i]);
        append_name(out, info, "_bucket", series, le);
        buf_printf(out, "%llu\n", (unsigned long long)below);
    }
    append_name(out, info, "_bucket", series, "+Inf");
    buf_printf(out, "%llu\n", (unsigned long long)series->count);
    append_name(out, info, "_sum", series, NULL);
    append_number(out, series->sum);
    buf_append(out, "\n", 1);
    append_name(out, info, "_count", series, NULL);
    buf_printf(out, "%llu\n", (unsigned long long)series->count);
}

static void append_metric(struct buf *out, enum metric metric)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const struct metric_info *info = metric_info(metric);
    const struct metric_series *series = metric_first(metric);
    if (series == NULL)
        return;
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", info->name, info->help, info->name,
               types[info->type]);
    for (; series != NULL; series = series->next) {
        if (info->type == METRIC_HISTOGRAM) {
            append_histogram(out, info, series);
            continue;
        }
        append_name(out, info, "", series, NULL);
        append_number(out, series->value);
        buf_append(out, "\n", 1);
    }
}

// --- process_*: the names that every Prometheus client exports ---

struct process_value {
    const char *name, *type, *help;
    double value;
};

// Not from /proc/self/fd, which a process that may not be dumped cannot read without being root.
// One poll() tells of all numbers which are none.
static double count_descriptors(rlim_t limit)
{
    size_t n = limit < DESCRIPTORS_MAX ? (size_t)limit : DESCRIPTORS_MAX;
    struct pollfd *fds = mem_zalloc(n * sizeof(*fds));
    double count = 0;
    for (size_t i = 0; i < n; i++)
        fds[i].fd = (int)i;
    if (poll(fds, n, 0) >= 0) {
        for (size_t i = 0; i < n; i++)
            count += (fds[i].revents & POLLNVAL) == 0;
    }
    free(fds);
    return count;
}

// Unix time at which the process started: field 22 of /proc/self/stat counts ticks since boot.
static double start_time(void)
{
    char text[1024] = "";
    unsigned long long ticks = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    if (file != NULL) {
        size_t n = fread(text, 1, sizeof(text) - 1, file);
        text[n] = '\0';
        fclose(file);
    }
    const char *after = strrchr(text, ')');
    if (after == NULL ||
        sscanf(after + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &ticks) != 1)
        return 0;
    struct timespec wall, boot;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (double)(wall.tv_sec - boot.tv_sec) + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void read_memory(double *resident, double *virtual)
{
    unsigned long long pages = 0, resident_pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &pages, &resident_pages) != 2)
            pages = resident_pages = 0;
        fclose(file);
    }
    double size = (double)sysconf(_SC_PAGESIZE);
    *virtual = (double)pages * size;
    *resident = (double)resident_pages * size;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void append_process(struct buf *out)
{
    double resident, virtual;
    struct rlimit limit = {0};
    read_memory(&resident, &virtual);
    getrlimit(RLIMIT_NOFILE, &limit);
    const struct process_value values[] = {
        {"process_cpu_seconds_total", "counter", "User and system CPU time spent in seconds",
         cpu_seconds()},
        {"process_open_fds", "gauge", "Open file descriptors", count_descriptors(limit.rlim_cur)},
        {"process_max_fds", "gauge", "Most file descriptors it may open", (double)limit.rlim_cur},
        {"process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes", virtual},
        {"process_resident_memory_bytes", "gauge", "Resident memory size in bytes", resident},
        {"process_start_time_seconds", "gauge", "Start time of the process, Unix time",
         start_time()},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", values[i].name, values[i].help,
                   values[i].name, values[i].type, values[i].name);
        append_number(out, values[i].value);
        buf_append(out, "\n", 1);
    }
}

void metrics_render(struct buf *out)
{
    for (int m = 0; m < METRIC_COUNT; m++)
        append_metric(out, (enum metric)m);
    append_process(out);
}
