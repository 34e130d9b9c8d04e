// SPDX-License-Identifier: Apache-2.0
// What happened lately, for the charts of the status page: 15 minutes second by second, 24 hours
// minute by minute, in some 130 KB of memory, whatever the load. Pure: time and figures are
// arguments.
#ifndef CXSINK_OPS_HISTORY_H
#define CXSINK_OPS_HISTORY_H

#include "core/clock.h"
#include "core/counter.h"

#define HISTORY_SECONDS 900
#define HISTORY_MINUTES 1440

struct buf;
struct history;

struct history_totals {
    // Counted since the start.
    double received, committed, rejected, batches, retries;
    uint64_t latency[METRIC_BUCKETS_MAX]; // as in METRIC_COMMIT_LATENCY's series, summed
    // As they are now.
    double spool_events, spool_bytes;
};

struct history *history_create(void);
void history_destroy(struct history **history);
// Once a second, or when it comes to it: rates are by the time since the last call, and a gap
// stays a gap. The first call only begins.
void history_add(struct history *history, struct mono now, int64_t wall_us,
                 const struct history_totals *totals);

// How much of it somebody has seen; zeros: nothing.
struct history_mark {
    uint64_t seconds, minutes;
};
// Appends {"columns":[...],"seconds":[[...],...],"minutes":[[...],...]}: the samples since the
// mark, oldest first, and moves it. A sample has its time (Unix, at its end), events received,
// committed and rejected a second, the median and the 99th percentile of the commit latency (null
// where nothing was committed), events and bytes of the spool (of a minute the most), batches and
// retries a second.
void history_json(const struct history *history, struct history_mark *mark, struct buf *out);

#endif
