// SPDX-License-Identifier: Apache-2.0
#include "core/counter.h"

#include "core/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double seconds_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025,
                                        0.05,  0.1,    0.25,  0.5,  1,     2.5,  5,
                                        10,    30,     60,    300,  1800};
static const double short_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                      0.05,   0.1,     0.25,   0.5,   1,      2.5,   5};
static const double count_bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

// Histograms end in +Inf, which has no bound; other types have none at all.
static const double none_bounds[] = {0};
#define N_BOUNDS(b) (sizeof(b) / sizeof((b)[0]))

static const struct metric_info infos[METRIC_COUNT] = {
#define METRIC_INFO(id, type_, buckets, name_, label1, label2, help_) \
    [METRIC_##                                                        \
        id] = {.name = (name_),                                       \
               .help = (help_),                                       \
               .labels = {label1, label2},                            \
               .type = METRIC_##type_,                                \
               .bounds = buckets##_bounds,                            \
               .n_bounds = METRIC_##type_ == METRIC_HISTOGRAM ? N_BOUNDS(buckets##_bounds) : 0},
    METRIC_TABLE(METRIC_INFO)
#undef METRIC_INFO
};

struct registry {
    struct metric_series *first, *last;
    size_t count;
};

static struct registry registries[METRIC_COUNT];

const struct metric_info *metric_info(enum metric metric)
{
    return &infos[metric];
}

static bool label_equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static struct metric_series *find(const struct registry *registry, const char *const value[2])
{
    for (struct metric_series *s = registry->first; s != NULL; s = s->next) {
        if (label_equal(s->labels[0], value[0]) && label_equal(s->labels[1], value[1]))
            return s;
    }
    return NULL;
}

static struct metric_series *append(struct registry *registry, const char *const value[2])
{
    struct metric_series *series = mem_zalloc(sizeof(*series));
    for (int i = 0; i < 2; i++)
        series->labels[i] = value[i] != NULL ? mem_strdup(value[i]) : NULL;
    if (registry->last != NULL)
        registry->last->next = series;
    else
        registry->first = series;
    registry->last = series;
    registry->count++;
    return series;
}

struct metric_series *metric_series(enum metric metric, const char *value1, const char *value2)
{
    const struct metric_info *info = metric_info(metric);
    struct registry *registry = &registries[metric];
    const char *values[2] = {info->labels[0] != NULL ? value1 : NULL,
                             info->labels[1] != NULL ? value2 : NULL};
    struct metric_series *series = find(registry, values);
    if (series == NULL && registry->count >= METRIC_SERIES_MAX) {
        for (int i = 0; i < 2; i++)
            values[i] = info->labels[i] != NULL ? "other" : NULL;
        series = find(registry, values);
    }
    return series != NULL ? series : append(registry, values);
}

const struct metric_series *metric_first(enum metric metric)
{
    return registries[metric].first;
}

void metric_observe(enum metric metric, struct metric_series *series, double value, uint64_t times)
{
    const struct metric_info *info = metric_info(metric);
    size_t i = 0;
    while (i < info->n_bounds && value > info->bounds[i])
        i++;
    series->buckets[i] += times;
    series->count += times;
    series->sum += value * (double)times;
}

double metric_quantile(enum metric metric, const struct metric_series *series, double quantile)
{
    const struct metric_info *info = metric_info(metric);
    double rank = quantile * (double)series->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < info->n_bounds && series->count > 0; i++) {
        seen += series->buckets[i];
        if (seen > 0 && (double)seen >= rank)
            return info->bounds[i];
    }
    return series->count > 0 && info->n_bounds > 0 ? info->bounds[info->n_bounds - 1] : 0;
}

double metric_interpolate(enum metric metric, const uint64_t *buckets, double quantile)
{
    const struct metric_info *info = metric_info(metric);
    uint64_t count = 0, below = 0;
    for (size_t i = 0; i <= info->n_bounds; i++)
        count += buckets[i];
    if (count == 0)
        return NAN;
    double rank = quantile * (double)count;
    for (size_t i = 0; i < info->n_bounds; i++) {
        double lower = i > 0 ? info->bounds[i - 1] : 0;
        if (buckets[i] > 0 && (double)(below + buckets[i]) >= rank)
            return lower +
                   (info->bounds[i] - lower) * fmax(rank - (double)below, 0) / (double)buckets[i];
        below += buckets[i];
    }
    return info->bounds[info->n_bounds - 1];
}

void metric_reset_all(void)
{
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        struct metric_series *series = registries[m].first;
        while (series != NULL) {
            struct metric_series *next = series->next;
            free((char *)(uintptr_t)series->labels[0]);
            free((char *)(uintptr_t)series->labels[1]);
            free(series);
            series = next;
        }
        registries[m] = (struct registry){0};
    }
}
