// SPDX-License-Identifier: Apache-2.0
// Finds the bad rows of a refused batch by halving, pure: which range to try next, given how the
// last one went. The lane drives it, each range under a savepoint of one transaction. A range that
// is refused is tried again in two halves, the first half first, so that rows are written in the
// plan's order; a range of one row that is refused is a bad row. k bad rows among n cost at most
// about 2 k log2(n) + 1 ranges.
#ifndef CXSINK_SINK_ISOLATE_H
#define CXSINK_SINK_ISOLATE_H

#include "sink/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct isolate_range {
    uint32_t run;          // of the batch's plan
    uint32_t first, count; // entries of batch.order
};

// Halving 2^32 rows needs no deeper stack.
#define ISOLATE_DEPTH 34

struct isolate {
    const struct batch_run *runs; // of the batch
    size_t n_runs, next_run;
    struct isolate_range stack[ISOLATE_DEPTH];
    size_t depth;
    struct isolate_range current;
};

void isolate_start(struct isolate *isolate, const struct batch_run *runs, size_t n_runs);
// The next range to try; false when all is done.
bool isolate_next(struct isolate *isolate, struct isolate_range *range_r);
// The range that isolate_next gave last was refused. True when it is a single, bad row; else its
// halves follow. (A range that was taken needs no word.)
bool isolate_refused(struct isolate *isolate);

#endif
