// SPDX-License-Identifier: Apache-2.0
// Timers on the monotonic clock: a heap behind one timerfd (libwebsockets' own timers spin through
// the last millisecond). Embed a struct timer in its owner; it allocates nothing itself.
#ifndef CXSINK_CORE_TIMER_H
#define CXSINK_CORE_TIMER_H

#include "core/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;

typedef void (*timer_fn)(void *owner);

struct timer {
    const char *name; // a literal, for the log
    timer_fn fn;
    void *owner;
    // The rest is private to core/timer.
    struct loop *loop;
    struct mono deadline;
    int64_t period_us; // 0: one shot
    size_t slot;       // place in the heap plus one; 0: not running
};

// Sets the fields; does not start it.
void timer_init(struct timer *timer, struct loop *loop, const char *name, timer_fn fn, void *owner);
// Fires once in `delay_us` (0: next turn). A running timer is moved.
void timer_start(struct timer *timer, int64_t delay_us);
// Fires every `period_us`, first in one period; missed periods are not made up.
void timer_start_periodic(struct timer *timer, int64_t period_us);
// Safe on a timer that does not run, and inside any callback.
void timer_stop(struct timer *timer);
bool timer_running(const struct timer *timer);
// Microseconds left, 0 when due or not running.
int64_t timer_left_us(const struct timer *timer);

#endif
