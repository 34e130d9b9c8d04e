// SPDX-License-Identifier: Apache-2.0
// A rate limit, pure: a token bucket that holds one period's requests, and a hold that a 429 with
// Retry-After puts on the whole API. "now" is monotonic, in microseconds.
#ifndef CXSINK_JOBS_RATE_H
#define CXSINK_JOBS_RATE_H

#include <stdint.h>

struct rate {
    unsigned limit; // requests in a period; 0: no limit
    int64_t period_us;
    int64_t next_us; // virtual time of the generic cell rate algorithm
    int64_t held_until_us;
};

// Keeps nothing of the past.
void rate_init(struct rate *r, unsigned limit, int64_t period_us);
// How long until a request may go out; 0: now, and it is counted.
int64_t rate_take(struct rate *r, int64_t now_us);
// The same question, counting nothing.
int64_t rate_wait(const struct rate *r, int64_t now_us);
// No request before then (a later hold wins).
void rate_hold(struct rate *r, int64_t until_us);

#endif
