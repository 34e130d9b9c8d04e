// SPDX-License-Identifier: Apache-2.0
#include "ops/history.h"

#include "core/buf.h"
#include "core/mem.h"

#include <math.h>
#include <stdlib.h>

#define MINUTE_US (60 * US_PER_S)

// X(name): the figures of a sample, as they are sent.
#define FIGURES(X)  \
    X(received)     \
    X(committed)    \
    X(rejected)     \
    X(p50)          \
    X(p99)          \
    X(spool_events) \
    X(spool_bytes)  \
    X(batches)      \
    X(retries)

enum figure {
#define FIGURE_ENUM(name) FIGURE_##name,
    FIGURES(FIGURE_ENUM)
#undef FIGURE_ENUM
        N_FIGURES
};

struct sample {
    int64_t at_us; // wall clock, at its end
    float figures[N_FIGURES];
};

struct ring {
    struct sample *items;
    uint64_t size, count; // `count` of all that ever came; number n is at n % size
};

// The samples of one length: what was counted when the present one began.
struct track {
    struct ring ring;
    int64_t length_us;
    struct mono began;
    struct history_totals from;
    double most_events, most_bytes;
};

struct history {
    struct track seconds, minutes;
    bool begun;
};

static void track_init(struct track *track, uint64_t size, int64_t length_us)
{
    track->ring.size = size;
    track->ring.items = mem_zalloc(size * sizeof(*track->ring.items));
    track->length_us = length_us;
}

struct history *history_create(void)
{
    struct history *history = mem_zalloc(sizeof(*history));
    track_init(&history->seconds, HISTORY_SECONDS, 0);
    track_init(&history->minutes, HISTORY_MINUTES, MINUTE_US);
    return history;
}

void history_destroy(struct history **pointer)
{
    struct history *history = *pointer;
    if (history == NULL)
        return;
    *pointer = NULL;
    free(history->seconds.ring.items);
    free(history->minutes.ring.items);
    free(history);
}

static void track_begin(struct track *track, struct mono now, const struct history_totals *totals)
{
    track->began = now;
    track->from = *totals;
    track->most_events = totals->spool_events;
    track->most_bytes = totals->spool_bytes;
}

static float latency(const struct history_totals *from, const struct history_totals *to,
                     double quantile)
{
    uint64_t buckets[METRIC_BUCKETS_MAX];
    for (size_t i = 0; i < METRIC_BUCKETS_MAX; i++)
        buckets[i] = to->latency[i] - from->latency[i];
    return (float)metric_interpolate(METRIC_COMMIT_LATENCY, buckets, quantile);
}

static void track_end(struct track *track, double elapsed, int64_t wall_us,
                      const struct history_totals *to)
{
    const struct history_totals *from = &track->from;
    struct sample *sample = &track->ring.items[track->ring.count++ % track->ring.size];
    *sample = (struct sample){
        .at_us = wall_us,
        .figures = {
            [FIGURE_received] = (float)((to->received - from->received) / elapsed),
            [FIGURE_committed] = (float)((to->committed - from->committed) / elapsed),
            [FIGURE_rejected] = (float)((to->rejected - from->rejected) / elapsed),
            [FIGURE_p50] = latency(from, to, 0.5),
            [FIGURE_p99] = latency(from, to, 0.99),
            [FIGURE_spool_events] = (float)track->most_events,
            [FIGURE_spool_bytes] = (float)track->most_bytes,
            [FIGURE_batches] = (float)((to->batches - from->batches) / elapsed),
            [FIGURE_retries] = (float)((to->retries - from->retries) / elapsed),
        }};
}

static void track_add(struct track *track, struct mono now, int64_t wall_us,
                      const struct history_totals *totals)
{
    int64_t elapsed_us = mono_diff(now, track->began);
    track->most_events = fmax(track->most_events, totals->spool_events);
    track->most_bytes = fmax(track->most_bytes, totals->spool_bytes);
    if (elapsed_us <= 0 || elapsed_us < track->length_us)
        return;
    track_end(track, (double)elapsed_us / (double)US_PER_S, wall_us, totals);
    track_begin(track, now, totals);
}

void history_add(struct history *history, struct mono now, int64_t wall_us,
                 const struct history_totals *totals)
{
    if (!history->begun) {
        track_begin(&history->seconds, now, totals);
        track_begin(&history->minutes, now, totals);
        history->begun = true;
        return;
    }
    // A second shows what stands at its end.
    history->seconds.most_events = history->seconds.most_bytes = 0;
    track_add(&history->seconds, now, wall_us, totals);
    track_add(&history->minutes, now, wall_us, totals);
}

// --- JSON ---

// n / scale, a power of ten, without zeros at its end. There are some 23,000 figures in all of it:
// printf() would hold the loop for milliseconds.
static void append_scaled(struct buf *out, uint64_t n, uint64_t scale)
{
    char text[40];
    char *at = text + sizeof(text);
    bool shown = false;
    for (; scale > 1; scale /= 10, n /= 10) {
        shown = shown || n % 10 != 0;
        if (shown)
            *--at = (char)('0' + n % 10);
    }
    if (shown)
        *--at = '.';
    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    buf_append(out, at, (size_t)(text + sizeof(text) - at));
}

static void append_figure(struct buf *out, float value)
{
    buf_append(out, ",", 1);
    double scale = value >= 1000 ? 1 : value >= 1 ? 1e3 : 1e6;
    if (isnan(value))
        buf_append_text(out, "null");
    else
        append_scaled(out, (uint64_t)llrint(fmin((double)value, 1e18) * scale), (uint64_t)scale);
}

static void append_rows(struct buf *out, const char *name, const struct ring *ring, uint64_t *mark)
{
    uint64_t oldest = ring->count > ring->size ? ring->count - ring->size : 0;
    uint64_t first = *mark > oldest ? *mark : oldest;
    buf_printf(out, ",\"%s\":[", name);
    for (uint64_t n = first; n < ring->count; n++) {
        const struct sample *sample = &ring->items[n % ring->size];
        buf_append_text(out, n > first ? ",[" : "[");
        append_scaled(out, (uint64_t)sample->at_us / (US_PER_S / 10), 10);
        for (int i = 0; i < N_FIGURES; i++)
            append_figure(out, sample->figures[i]);
        buf_append(out, "]", 1);
    }
    buf_append(out, "]", 1);
    *mark = ring->count;
}

void history_json(const struct history *history, struct history_mark *mark, struct buf *out)
{
    buf_append_text(out, "{\"columns\":[\"at\""
#define FIGURE_NAME(name) ",\"" #name "\""
                    FIGURES(FIGURE_NAME)
#undef FIGURE_NAME
                        "]");
    append_rows(out, "seconds", &history->seconds.ring, &mark->seconds);
    append_rows(out, "minutes", &history->minutes.ring, &mark->minutes);
    buf_append(out, "}", 1);
}
