// SPDX-License-Identifier: Apache-2.0
// What core/loop and core/timer share: the timer heap that a loop owns.
#ifndef CXSINK_CORE_LOOP_PRIV_H
#define CXSINK_CORE_LOOP_PRIV_H

#include "core/loop.h"
#include "core/timer.h"

// A binary heap of running timers, earliest first, behind one timerfd.
struct timer_heap {
    struct timer **items;
    size_t count, cap;
    int fd;
    struct mono armed; // what the timerfd is set to; 0: nothing
};

struct timer_heap *loop_timers(struct loop *loop);

bool timer_heap_init(struct timer_heap *heap);
void timer_heap_deinit(struct timer_heap *heap);
// Runs what is due at `now`, without what is started meanwhile.
void timer_heap_run(struct timer_heap *heap, struct mono now);
// Sets the timerfd to the earliest deadline; once a turn.
void timer_heap_arm(struct timer_heap *heap);

#endif
