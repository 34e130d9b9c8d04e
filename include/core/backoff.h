// SPDX-License-Identifier: Apache-2.0
// Full-jitter exponential backoff, pure: the n-th delay is uniform in [0, min(cap, base * 2^n)],
// never below `floor`. It never gives up.
#ifndef CXSINK_CORE_BACKOFF_H
#define CXSINK_CORE_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t base_us;
    int64_t cap_us;
    int64_t floor_us;  // least delay, so that an unlucky draw does not spin; may be 0
    unsigned attempts; // since the last reset
};

// The next delay in microseconds for a random word `random` (all 64 bits used); counts an attempt.
int64_t backoff_next(struct backoff *b, uint64_t random);
void backoff_reset(struct backoff *b);
// A random word for the above, from getrandom(2).
uint64_t backoff_random(void);

#endif
