// SPDX-License-Identifier: Apache-2.0
#include "core/timer.h"

#include "core/loop.h"
#include "core/loop_priv.h"
#include "core/mem.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

bool timer_heap_init(struct timer_heap *heap)
{
    *heap = (struct timer_heap){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
    return heap->fd >= 0;
}

void timer_heap_deinit(struct timer_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        heap->items[i]->slot = 0;
    free(heap->items);
    if (heap->fd >= 0)
        close(heap->fd);
    *heap = (struct timer_heap){.fd = -1};
}

static void place(struct timer_heap *heap, size_t i, struct timer *timer)
{
    heap->items[i] = timer;
    timer->slot = i + 1;
}

static void sift_up(struct timer_heap *heap, size_t i, struct timer *timer)
{
    while (i > 0 && heap->items[(i - 1) / 2]->deadline.us > timer->deadline.us) {
        place(heap, i, heap->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(heap, i, timer);
}

static void sift_down(struct timer_heap *heap, size_t i, struct timer *timer)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap->items[child + 1]->deadline.us < heap->items[child]->deadline.us)
            child++;
        if (heap->items[child]->deadline.us >= timer->deadline.us)
            break;
        place(heap, i, heap->items[child]);
        i = child;
    }
    place(heap, i, timer);
}

static void insert(struct timer *timer)
{
    struct timer_heap *heap = loop_timers(timer->loop);
    if (heap->count == heap->cap) {
        heap->cap = heap->cap ? heap->cap * 2 : 32;
        heap->items = mem_realloc_array(heap->items, heap->cap, sizeof(*heap->items));
    }
    heap->count++;
    sift_up(heap, heap->count - 1, timer);
}

void timer_init(struct timer *timer, struct loop *loop, const char *name, timer_fn fn, void *owner)
{
    *timer = (struct timer){.name = name, .fn = fn, .owner = owner, .loop = loop};
}

static void start_at(struct timer *timer, struct mono deadline, int64_t period_us)
{
    timer_stop(timer);
    timer->deadline = deadline;
    timer->period_us = period_us;
    insert(timer);
}

void timer_start(struct timer *timer, int64_t delay_us)
{
    start_at(timer, mono_add(loop_now(timer->loop), delay_us > 0 ? delay_us : 0), 0);
}

void timer_start_periodic(struct timer *timer, int64_t period_us)
{
    if (period_us < 1)
        period_us = 1;
    start_at(timer, mono_add(loop_now(timer->loop), period_us), period_us);
}

void timer_stop(struct timer *timer)
{
    if (timer->slot == 0)
        return;
    struct timer_heap *heap = loop_timers(timer->loop);
    size_t i = timer->slot - 1;
    struct timer *last = heap->items[--heap->count];
    timer->slot = 0;
    if (last == timer)
        return;
    if (i > 0 && heap->items[(i - 1) / 2]->deadline.us > last->deadline.us)
        sift_up(heap, i, last);
    else
        sift_down(heap, i, last);
}

bool timer_running(const struct timer *timer)
{
    return timer->slot != 0;
}

int64_t timer_left_us(const struct timer *timer)
{
    if (timer->slot == 0)
        return 0;
    int64_t left = mono_diff(timer->deadline, loop_now(timer->loop));
    return left > 0 ? left : 0;
}

void timer_heap_run(struct timer_heap *heap, struct mono now)
{
    // A bound, so that a timer that restarts itself with no delay does not hold the turn.
    for (size_t budget = heap->count; budget > 0 && heap->count > 0; budget--) {
        struct timer *timer = heap->items[0];
        if (timer->deadline.us > now.us)
            return;
        timer_stop(timer);
        if (timer->period_us > 0) {
            int64_t next = timer->deadline.us + timer->period_us;
            timer->deadline.us = next > now.us ? next : now.us + timer->period_us;
            insert(timer);
        }
        timer->fn(timer->owner); // may free the timer's owner
    }
}

void timer_heap_arm(struct timer_heap *heap)
{
    struct mono want = heap->count > 0 ? heap->items[0]->deadline : (struct mono){0};
    if (want.us == heap->armed.us)
        return;
    struct itimerspec spec = {
        .it_value = {.tv_sec = want.us / US_PER_S, .tv_nsec = want.us % US_PER_S * 1000}};
    if (timerfd_settime(heap->fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
        heap->armed = want;
}
