// SPDX-License-Identifier: Apache-2.0
#include "sink/isolate.h"

void isolate_start(struct isolate *isolate, const struct batch_run *runs, size_t n_runs)
{
    isolate->runs = runs;
    isolate->n_runs = n_runs;
    isolate->next_run = 0;
    isolate->depth = 0;
}

bool isolate_next(struct isolate *isolate, struct isolate_range *range_r)
{
    if (isolate->depth != 0) {
        isolate->current = isolate->stack[--isolate->depth];
    } else if (isolate->next_run < isolate->n_runs) {
        const struct batch_run *run = &isolate->runs[isolate->next_run];
        isolate->current = (struct isolate_range){
            .run = (uint32_t)isolate->next_run, .first = run->first, .count = run->count};
        isolate->next_run++;
    } else {
        return false;
    }
    *range_r = isolate->current;
    return true;
}

bool isolate_refused(struct isolate *isolate)
{
    struct isolate_range half = isolate->current;
    if (half.count == 1)
        return true;
    uint32_t left = half.count / 2;
    isolate->stack[isolate->depth++] = (struct isolate_range){
        .run = half.run, .first = half.first + left, .count = half.count - left};
    half.count = left;
    isolate->stack[isolate->depth++] = half;
    return false;
}
