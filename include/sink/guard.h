// SPDX-License-Identifier: Apache-2.0
// A stream's reject guard: the share of its last events that were refused, and whether a batch may
// commit. Pure. A batch is looked at before it commits (guard_trips) and counted when it has
// (guard_count), so that a batch that is sent again counts once.
//
// The window is a ring of one bit an event. A batch's refusals are spread evenly over it: within a
// batch their order is not known.
#ifndef CXSINK_SINK_GUARD_H
#define CXSINK_SINK_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard {
    double share;     // 0: off, nothing trips
    unsigned size;    // of the window, events
    uint64_t *bits;   // owned; 1: refused
    unsigned at;      // the next place
    unsigned seen;    // at most `size`
    unsigned refused; // of those seen
    bool open;        // nothing trips until the share is well again
};

// share 0 or events 0: off. Any earlier window is forgotten.
void guard_init(struct guard *guard, double share, unsigned events);
void guard_deinit(struct guard *guard);
// Forgets what was seen. `open`: lets everything pass until a whole window is well.
void guard_reset(struct guard *guard, bool open);

// Whether with `events` more, `refused` of them refused, too many would be.
bool guard_trips(const struct guard *guard, uint64_t events, uint64_t refused);
void guard_count(struct guard *guard, uint64_t events, uint64_t refused);

#endif
